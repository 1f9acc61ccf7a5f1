"""A Discord webhook on loopback: messages that can be edited, embeds within their limits, Discord's codes."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from tests.notifiers.fakes import Fake, wrong

PATH = "/api/webhooks/1234567890/TOKEN-in-the-path"


def _text(limit: int) -> Any:
    return lambda value: isinstance(value, str) and 0 < len(value) <= limit


_FIELD = {"name": _text(256), "value": _text(1024), "inline": lambda v: isinstance(v, bool)}
_EMBED = {
    "title": _text(256),
    "description": _text(4096),
    "color": lambda v: isinstance(v, int) and 0 <= v <= 0xFFFFFF,
    "fields": lambda v: len(v) <= 25 and not any(wrong(field, _FIELD, ("name", "value")) for field in v),
    "footer": lambda v: not wrong(v, {"text": _text(2048)}, ("text",)),
    "timestamp": _text(40),
    "url": lambda v: v.startswith(("https://", "http://")),
}
_BODY = {
    "content": lambda v: isinstance(v, str) and len(v) <= 2000,
    "embeds": lambda v: len(v) <= 10 and not any(wrong(embed, _EMBED, ()) for embed in v),
    "allowed_mentions": lambda v: v == {"parse": []},
}


class FakeDiscord(Fake):
    """A channel with one webhook."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[str, dict[str, Any]] = {}
        self.threads: list[str | None] = []
        self.deleted = False

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        if self.deleted or not request.path.startswith(PATH):
            return self._no(404, 10015, "Unknown Webhook")
        document = orjson.loads(body)
        if errors := wrong(document, _BODY, ("allowed_mentions",)) or _bad(document):
            return self._no(400, 50035, f"Invalid Form Body: {errors}")
        self.threads.append(request.query.get("thread_id"))
        if request.method == "PATCH":
            identity = request.path.removeprefix(f"{PATH}/messages/")
            if identity not in self.messages:
                return self._no(404, 10008, "Unknown Message")
            self.messages[identity].update(document)
        elif request.query.get("wait") == "true":
            identity = str(1_400_000_000_000_000_000 + len(self.messages))
            self.messages[identity] = document
        else:
            return web.Response(status=204)
        self.accept(document)
        return web.json_response({"id": identity, "channel_id": "9", **self.messages[identity]})

    @staticmethod
    def _no(status: int, code: int, message: str) -> web.Response:
        return web.json_response({"message": message, "code": code}, status=status)


def _bad(document: dict[str, Any]) -> str:
    embeds = document.get("embeds", [])
    if not document.get("content") and not embeds:
        return "Cannot send an empty message"
    total = sum(
        len(embed.get("title", "")) + len(embed.get("description", "")) + len(embed.get("footer", {}).get("text", ""))
        + sum(len(field["name"]) + len(field["value"]) for field in embed.get("fields", []))
        for embed in embeds
    )  # fmt: skip
    return "Embed size exceeds maximum size of 6000" if total > 6000 else ""
