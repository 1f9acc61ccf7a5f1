"""Telegram's Bot API on loopback: one chat with messages, known methods with known arguments, HTML that is HTML."""

from __future__ import annotations

import html
from html.parser import HTMLParser
from typing import Any

import orjson
from aiohttp import web

from tests.notifiers.fakes import Fake, wrong

TOKEN = "1234567890:TOKEN-of-the-bot"
CHAT = "-1001234567890"

_TEXT = {
    "chat_id": lambda v: isinstance(v, str),
    "text": lambda v: isinstance(v, str),
    "parse_mode": lambda v: v == "HTML",
    "link_preview_options": lambda v: v == {"is_disabled": True},
}
_SEND = _TEXT | {
    "message_thread_id": lambda v: isinstance(v, int),
    "reply_parameters": lambda v: v.keys() <= {"message_id", "allow_sending_without_reply"},
}
_EDIT = _TEXT | {"message_id": lambda v: isinstance(v, int)}


class FakeTelegram(Fake):
    """A bot in one group."""

    def __init__(self) -> None:
        super().__init__()
        self.chat = CHAT
        self.messages: dict[int, dict[str, Any]] = {}
        self.moved_from = ""
        """The number that the group had before it became a supergroup."""

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        _, token, method = request.path.split("/")
        if token != f"bot{TOKEN}":
            return self._no(401, "Unauthorized")
        document = orjson.loads(body)
        known = {"sendMessage": _SEND, "editMessageText": _EDIT}.get(method)
        if known is None:
            return self._no(404, "Not Found")
        if errors := wrong(document, known, ("chat_id", "text")):
            return self._no(400, f"Bad Request: {errors}")
        if document["chat_id"] == self.moved_from:
            return self._no(
                400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=int(self.chat)
            )
        if document["chat_id"] != self.chat:
            return self._no(400, "Bad Request: chat not found")
        if why := _bad(document):
            return self._no(400, f"Bad Request: {why}")
        return self._send(document) if method == "sendMessage" else self._edit(document)

    def _send(self, document: dict[str, Any]) -> web.Response:
        number = len(self.messages) + 100
        self.messages[number] = {**document, "message_id": number}
        return self._yes(number)

    def _edit(self, document: dict[str, Any]) -> web.Response:
        number = document["message_id"]
        if number not in self.messages:
            return self._no(400, "Bad Request: message to edit not found")
        if self.messages[number]["text"] == document["text"]:
            return self._no(400, "Bad Request: message is not modified: specified new message content is the same")
        self.messages[number].update(document)
        return self._yes(number)

    def _yes(self, number: int) -> web.Response:
        self.accept(self.messages[number])
        return web.json_response({"ok": True, "result": {"message_id": number, "text": self.messages[number]["text"]}})

    @staticmethod
    def _no(code: int, description: str, **parameters: Any) -> web.Response:
        said: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
        return web.json_response(said | ({"parameters": parameters} if parameters else {}), status=code)


class _Entities(HTMLParser):
    """Allowed tags, each closed; what is left is the text that counts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.open: list[str] = []
        self.text = ""
        self.wrong = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        if tag not in {"b", "i", "u", "s", "code", "pre", "a"}:
            self.wrong = f'can\'t parse entities: Unsupported start tag "{tag}"'

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong = "can't parse entities: Unmatched end tag"

    def handle_data(self, data: str) -> None:
        self.text += data
        if "<" in data or "&" in data:
            self.wrong = "can't parse entities: unescaped"

    def handle_entityref(self, name: str) -> None:
        self.text += html.unescape(f"&{name};")


def _bad(document: dict[str, Any]) -> str:
    text = document["text"]
    if document.get("parse_mode") == "HTML":
        parser = _Entities()
        parser.feed(text)
        parser.close()
        if parser.wrong or parser.open:
            return parser.wrong or "can't parse entities: Can't find end tag"
        text = parser.text
    return "message is too long" if len(text) > 4096 else "" if text.strip() else "message text is empty"
