"""Opsgenie's Alert API on loopback: one open alert an alias, limits as documented, 202 for all that is well formed."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import orjson
from aiohttp import web

from tests.notifiers.fakes import Fake, wrong

KEY = "c0ffee00-TOKEN-of-opsgenie"


def _text(limit: int, least: int = 1) -> Any:
    return lambda value: isinstance(value, str) and least <= len(value) <= limit


def _details(value: Any) -> bool:
    texts = all(isinstance(each, str) for each in value.values())
    return texts and sum(len(name) + len(each) for name, each in value.items()) <= 8000


_ALERT = {
    "message": _text(130),
    "alias": _text(512),
    "description": _text(15_000),
    "responders": lambda v: len(v) <= 50 and all(each.keys() == {"type", "name"} for each in v),
    "tags": lambda v: len(v) <= 20 and all(0 < len(tag) <= 50 for tag in v),
    "details": _details,
    "entity": _text(512),
    "source": _text(100),
    "priority": lambda v: v in ("P1", "P2", "P3", "P4", "P5"),
}
_ACTION = {"source": _text(100), "note": _text(25_000)}


class FakeOpsgenie(Fake):
    """An account with one integration."""

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[str, dict[str, Any]] = {}
        self.closed: list[dict[str, Any]] = []

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        if request.headers.get("Authorization") != f"GenieKey {KEY}":
            return web.json_response({"message": "Key format is not valid!"}, status=401)
        head, _, action = request.raw_path.partition("?")[0].removeprefix("/v2/alerts").strip("/").partition("/")
        document, alias = orjson.loads(body), unquote(head)
        if head and request.query.get("identifierType") != "alias":
            return self._no("identifierType is missing")
        if not head and request.method == "POST":
            return self._create(document)
        if request.method == "PUT" and action in ("message", "description", "priority"):
            if errors := wrong(document, {action: _ALERT[action]}, (action,)):
                return self._no(errors)
            self.open.get(alias, {}).update(document)
        elif request.method == "POST" and action in ("acknowledge", "close"):
            if errors := wrong(document, _ACTION, ()):
                return self._no(errors)
            if action == "close" and alias in self.open:
                self.closed.append(self.open.pop(alias))
            elif alias in self.open:
                self.open[alias]["acknowledged"] = True
        else:
            return web.json_response({"message": "No handler found"}, status=404)
        return self._yes(document, whole=request.method == "POST")

    def _create(self, document: dict[str, Any]) -> web.Response:
        if errors := wrong(document, _ALERT, ("message",)):
            return self._no(errors)
        alias = document["alias"]
        if alias in self.open:
            self.open[alias]["count"] += 1
        else:
            self.open[alias] = {**document, "count": 1}
        return self._yes(document)

    def _yes(self, document: dict[str, Any], *, whole: bool = True) -> web.Response:
        if whole:
            self.accept(document)
        return web.json_response({"result": "Request will be processed", "took": 0.1, "requestId": "43a2"}, status=202)

    @staticmethod
    def _no(errors: Any) -> web.Response:
        return web.json_response({"message": f"Request body is not processable: {errors}"}, status=422)
