"""Slack's Web API on loopback: a channel with messages and threads, known methods with known arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from tests.notifiers.fakes import Fake, bad_blocks

TOKEN = "xoxb-1234567890-TOKENTOKEN"

_MESSAGE = {"channel", "text", "blocks", "metadata"}
_POST = _MESSAGE | {"thread_ts", "reply_broadcast", "unfurl_links", "unfurl_media"}
_QUERY = {"channel", "oldest", "inclusive", "include_all_metadata", "limit", "cursor"}


class FakeSlackApp(Fake):
    """A workspace with one channel, of which the bot is a member."""

    def __init__(self, *, channel: str = "C0123456789", scopes: tuple[str, ...] = ("chat:write", "channels:history")):
        super().__init__()
        self.channel = channel
        self.scopes = scopes
        self.messages: list[dict[str, Any]] = []
        """All that was posted, replies too, oldest first."""
        self.locked: str = ""
        """What Slack says to an edit; empty if it lets one edit."""
        self.lag = 0
        """How many lists to come do not show the newest message yet."""
        self.page = 50
        """Messages that a list gives at most, whatever was asked for."""
        self.calls: list[str] = []
        self.clock = 1_764_072_000.0

    @property
    def parents(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if "thread_ts" not in message]

    @property
    def replies(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if "thread_ts" in message]

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        method = request.path.rpartition("/")[2]
        self.calls.append(method)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._no("invalid_auth")
        act: Callable[[dict[str, Any]], web.Response] | None = {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
        }.get(method)
        if act is None:
            return self._no("unknown_method")
        if method.startswith("conversations."):
            if "channels:history" not in self.scopes:
                return self._no("missing_scope")
            return act(dict(request.query))
        if request.headers.get("Content-Type") != "application/json; charset=utf-8":
            return self._no("invalid_form_data")
        return act(orjson.loads(body))

    def _post(self, arguments: dict[str, Any]) -> web.Response:
        if why := self._wrong(arguments, _POST):
            return self._no(why)
        if (parent := arguments.get("thread_ts")) is not None:
            if parent not in {message["ts"] for message in self.parents}:
                return self._no("thread_not_found")
        elif "reply_broadcast" in arguments:
            return self._no("invalid_arguments")
        self.clock += 1
        message = {**arguments, "ts": f"{self.clock:.6f}"}
        self.messages.append(message)
        self.accept(message)
        return self._yes(channel=self.channel, ts=message["ts"], message=message)

    def _update(self, arguments: dict[str, Any]) -> web.Response:
        if why := self._wrong(arguments, _MESSAGE | {"ts"}):
            return self._no(why)
        if arguments["channel"] != self.channel:
            return self._no("channel_not_found")
        found = [message for message in self.messages if message["ts"] == arguments.get("ts")]
        if not found:
            return self._no("message_not_found")
        if self.locked:
            return self._no(self.locked)
        found[0].pop("blocks", None)
        found[0].update(arguments)
        self.accept(found[0])
        return self._yes(channel=self.channel, ts=found[0]["ts"])

    def _history(self, query: dict[str, Any]) -> web.Response:
        shown = [message for message in self.messages if "thread_ts" not in message or message.get("reply_broadcast")]
        return self._list(query, _QUERY, shown)

    def _replies(self, query: dict[str, Any]) -> web.Response:
        thread = [m for m in self.messages if query.get("ts") in (m["ts"], m.get("thread_ts"))]
        return self._list(query, _QUERY | {"ts"}, thread) if thread else self._no("thread_not_found")

    def _list(self, query: dict[str, Any], known: set[str], messages: list[dict[str, Any]]) -> web.Response:
        if query.keys() - known or query.get("channel") != self.channel:
            return self._no("invalid_arguments" if query.keys() - known else "channel_not_found")
        if self.lag:
            self.lag, messages = self.lag - 1, messages[:-1]
        with_metadata = query.get("include_all_metadata") == "true"
        since = [m for m in messages if float(m["ts"]) >= float(query.get("oldest", 0))]
        newest = [m if with_metadata else {k: v for k, v in m.items() if k != "metadata"} for m in reversed(since)]
        start, size = int(query.get("cursor") or 0), min(self.page, int(query["limit"]))
        more = str(start + size) if start + size < len(newest) else ""
        page = newest[start : start + size]
        return self._yes(messages=page, has_more=bool(more), response_metadata={"next_cursor": more})

    def _wrong(self, arguments: dict[str, Any], known: set[str]) -> str:
        """What Slack says to a message's arguments; empty if nothing."""
        if arguments.keys() - known:
            return "invalid_arguments"
        if arguments.get("channel") not in (self.channel, "#alerts"):
            return "channel_not_found"
        if not arguments.get("text"):
            return "no_text"
        if len(arguments["text"]) > 4000:
            return "msg_too_long"
        metadata = arguments.get("metadata", {"event_type": "none", "event_payload": {}})
        if metadata.keys() != {"event_type", "event_payload"} or len(orjson.dumps(metadata)) > 8000:
            return "invalid_metadata_format"
        return "invalid_blocks" if bad_blocks(arguments.get("blocks", [])) else ""

    @staticmethod
    def _no(error: str) -> web.Response:
        return web.json_response({"ok": False, "error": error})

    @staticmethod
    def _yes(**answer: Any) -> web.Response:
        return web.json_response({"ok": True, **answer})
