"""A workflow of Microsoft Teams on loopback: takes adaptive cards that are some, up to 21 kB, and answers 202."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from tests.notifiers.fakes import Fake, wrong

_LOOKS = {
    "weight": lambda v: v in ("Default", "Lighter", "Bolder"),
    "size": lambda v: v in ("Default", "Small", "Medium", "Large", "ExtraLarge"),
    "color": lambda v: v in ("Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"),
    "spacing": lambda v: v in ("None", "Small", "Default", "Medium", "Large", "ExtraLarge", "Padding"),
    "wrap": lambda v: isinstance(v, bool),
    "isSubtle": lambda v: isinstance(v, bool),
}
_TEXT = {"type": lambda v: v == "TextBlock", "text": lambda v: isinstance(v, str) and v.strip() != "", **_LOOKS}
_FACT = {"title": lambda v: isinstance(v, str), "value": lambda v: isinstance(v, str)}
_FACTS = {
    "type": lambda v: v == "FactSet",
    "facts": lambda v: v and not any(wrong(fact, _FACT, ("title", "value")) for fact in v),
}
_ACTION = {
    "type": lambda v: v == "Action.OpenUrl",
    "title": lambda v: isinstance(v, str),
    "url": lambda v: v.startswith(("https://", "http://")),
}
_CARD = {
    "$schema": lambda v: v == "http://adaptivecards.io/schemas/adaptive-card.json",
    "type": lambda v: v == "AdaptiveCard",
    "version": lambda v: v in ("1.2", "1.3", "1.4", "1.5"),
    "msteams": lambda v: v == {"width": "full"},
    "body": lambda v: v and not any(_wrong_element(element) for element in v),
    "actions": lambda v: not any(wrong(action, _ACTION, ("type", "url")) for action in v),
}
_ATTACHMENT = {
    "contentType": lambda v: v == "application/vnd.microsoft.card.adaptive",
    "contentUrl": lambda v: v is None,
    "content": lambda v: not wrong(v, _CARD, ("type", "version", "body")),
}
_MESSAGE = {
    "type": lambda v: v == "message",
    "attachments": lambda v: len(v) == 1 and not wrong(v[0], _ATTACHMENT, tuple(_ATTACHMENT)),
}


def _wrong_element(element: dict[str, Any]) -> list[str]:
    known = _FACTS if element.get("type") == "FactSet" else _TEXT
    return wrong(element, known, tuple(known)[:2])


class FakeTeams(Fake):
    """A workflow that posts cards into a channel."""

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        if len(body) > 21_000:
            return web.Response(status=413, text="RequestEntityTooLarge")
        document = orjson.loads(body)
        if errors := wrong(document, _MESSAGE, ("type", "attachments")):
            return web.json_response({"error": {"code": "InvalidRequest", "message": str(errors)}}, status=400)
        self.accept(document)
        return web.Response(status=202)
