"""Strict doubles of vendors on loopback: they refuse what the vendor refuses, and misbehave when told to.

Written from reference/delivery.md, not from our own messages.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web
from slack_sdk.models.blocks import Block

__all__ = ["Fake", "FakePagerDuty", "FakeSlack", "bad_blocks", "serving", "wrong"]

ROUTING_KEY = "N0123456789abcdef0123456789abcde"
OTHER_ROUTING_KEY = "Q0123456789abcdef0123456789abcde"


class Fake:
    """A receiver that takes any POST. `modes` says, request by request, how to misbehave; then it behaves.

    Modes: a status (500, 301 …), `hang`, `reset` (before reading), `reset after` (processing), `huge`, or a tuple of
    status, headers and text.
    """

    def __init__(self) -> None:
        self.url = ""
        self.modes: deque[Any] = deque()
        self.accepted: list[dict[str, Any]] = []
        """Bodies that were processed, in order."""
        self.headers: list[Mapping[str, str]] = []
        self.seen = asyncio.Event()
        self.over = asyncio.Event()

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        """Process a request as the vendor would."""
        self.accept(orjson.loads(body))
        return web.Response(status=204)

    def accept(self, document: dict[str, Any]) -> None:
        self.accepted.append(document)
        self.seen.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        mode = self.modes.popleft() if self.modes else None
        if mode == "reset":
            return self._cut(request)
        body = await request.read()
        self.headers.append(dict(request.headers))
        match mode:
            case None:
                return self.judge(request, body)
            case "hang":
                await self.over.wait()
                return web.Response(status=500)
            case "reset after":
                self.judge(request, body)
                return self._cut(request)
            case "huge":
                return web.Response(status=500, body=b"x" * (5 << 20))
            case 301 | 307:
                return web.Response(status=mode, headers={"Location": "http://127.0.0.2:9/elsewhere?token=abcdefgh"})
            case int():
                return web.Response(status=mode, text=f"said with {mode}: {request.url}")
        status, headers, text = mode
        return web.Response(status=status, headers=headers, text=text)

    @staticmethod
    def _cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


@asynccontextmanager
async def serving(fake: Fake, path: str = "/hook/TOKEN-in-the-path") -> AsyncIterator[Fake]:
    """Serve a fake on a free loopback port."""
    app = web.Application(client_max_size=1 << 20)
    app.router.add_route("*", "/{any:.*}", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    fake.url = f"http://127.0.0.1:{port}{path}"
    try:
        yield fake
    finally:
        fake.over.set()
        await runner.cleanup()


class FakeSlack(Fake):
    """An incoming webhook: `ok`, or why not. Blocks also pass slack_sdk's own validators."""

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            return web.Response(status=400, text="invalid_payload")
        if not isinstance(document, dict) or document.keys() - {"text", "blocks"}:
            return web.Response(status=400, text="invalid_payload")
        if not document.get("text"):
            return web.Response(status=400, text="no_text")
        if (why := bad_blocks(document.get("blocks", []))) or len(document["text"]) > 4000:
            return web.Response(status=400, text=f"invalid_blocks {why}")
        self.accept(document)
        return web.Response(text="ok")


class FakePagerDuty(Fake):
    """The Events API v2, with the alerts that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[str, list[dict[str, Any]]] = {}
        self.changes: list[dict[str, Any]] = []

    def _change(self, document: dict[str, Any]) -> web.Response:
        known = {"routing_key": _EVENT["routing_key"], "payload": _EVENT["payload"], "links": _EVENT["links"]}
        errors = wrong(document, known, ("routing_key", "payload")) + wrong(document["payload"], _CHANGE, ("summary",))
        if errors or document["routing_key"].startswith("R"):
            return web.json_response({"status": "invalid event", "message": "invalid", "errors": errors}, status=400)
        self.changes.append(document)
        self.accept(document)
        return web.json_response({"status": "success", "message": "Change event processed"}, status=202)

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        document = orjson.loads(body)
        if request.path.endswith("/v2/change/enqueue"):
            return self._change(document)
        if errors := _pagerduty_errors(document, len(body)):
            answer = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return web.json_response(answer, status=400)
        self.accept(document)
        key, action, held = document["dedup_key"], document["event_action"], self.open
        if action == "trigger":
            held.setdefault(key, []).append(document)
        elif key in held and held[key][-1]["routing_key"] == document["routing_key"]:
            held[key].append(document) if action == "acknowledge" else held.pop(key)
        return web.json_response({"status": "success", "message": "Event processed", "dedup_key": key}, status=202)


_CHANGE: dict[str, Callable[[Any], bool]] = {
    "summary": lambda v: isinstance(v, str) and 0 < len(v) <= 1024,
    "source": lambda v: isinstance(v, str),
    "timestamp": lambda v: bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", v)),
    "custom_details": lambda v: isinstance(v, dict),
}
_LINK = re.compile(r"<https?://[^<>|\s]+\|[^<>|]+>")


def bad_blocks(blocks: list[dict[str, Any]]) -> str:
    """What Slack would say to blocks; empty if nothing."""
    if len(blocks) > 50:
        return "too many"
    total = 0
    for block, parsed in zip(blocks, Block.parse_all(blocks), strict=True):
        if not isinstance(parsed, Block) or parsed.to_dict() != block:
            return f"unknown fields in {block}"
        texts = [block["text"]] if "text" in block else block["elements"]
        total += sum(len(text["text"]) for text in texts)
        if any(not text["text"] for text in texts):
            return f"empty text in {block}"
        marked = [text["text"] for text in texts if text["type"] == "mrkdwn"]
        if any(re.search(r"&(?!amp;|lt;|gt;)|<|>", _LINK.sub("", text)) for text in marked):
            return f"unescaped text in {block}"
    return "msg_blocks_too_long" if total > 10_000 else ""


_PAYLOAD: dict[str, Callable[[Any], bool]] = {
    "summary": lambda v: isinstance(v, str) and 0 < len(v) <= 1024,
    "source": lambda v: isinstance(v, str) and v != "",
    "severity": lambda v: v in ("critical", "error", "warning", "info"),
    "timestamp": lambda v: bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", v)),
    "component": lambda v: isinstance(v, str),
    "group": lambda v: isinstance(v, str),
    "class": lambda v: isinstance(v, str),
    "custom_details": lambda v: isinstance(v, dict),
}
_EVENT: dict[str, Callable[[Any], bool]] = {
    "routing_key": lambda v: isinstance(v, str) and len(v) == 32,
    "event_action": lambda v: v in ("trigger", "acknowledge", "resolve"),
    "dedup_key": lambda v: isinstance(v, str) and 0 < len(v) <= 255,
    "payload": lambda v: isinstance(v, dict),
    "client": lambda v: isinstance(v, str),
    "client_url": lambda v: bool(re.match("https?://", v)),
    "links": lambda v: all(link.keys() == {"href", "text"} and re.match("https?://", link["href"]) for link in v),
}


def _pagerduty_errors(document: dict[str, Any], size: int) -> list[str]:
    errors = [] if size <= 512_000 else ["body too large"]
    errors += wrong(document, _EVENT, ("routing_key", "event_action", "dedup_key"))
    if document.get("routing_key") not in (None, ROUTING_KEY, OTHER_ROUTING_KEY):
        errors.append("Invalid routing key")
    if document.get("event_action") == "trigger":
        errors += wrong(document.get("payload", {}), _PAYLOAD, ("summary", "source", "severity"))
    return errors


def wrong(document: dict[str, Any], known: Mapping[str, Callable[[Any], bool]], needed: tuple[str, ...]) -> list[str]:
    missing = [f"'{name}' is missing or blank" for name in needed if name not in document]
    unknown = [f"unknown field '{name}'" for name in document.keys() - known.keys()]
    return missing + unknown + [f"'{n}' is invalid" for n, v in document.items() if n in known and not known[n](v)]
