"""Alertmanager's API v2 on loopback: the alerts it holds by their labels, and what it refuses, in its words."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import orjson
from aiohttp import web

from tests.notifiers.fakes import Fake

_FIELDS = {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"


class FakeAlertmanager(Fake):
    """Takes arrays of alerts; valid ones of a batch are kept even if another is refused."""

    def __init__(self, token: str = "") -> None:
        super().__init__()
        self.token = token
        self.held: dict[str, dict[str, Any]] = {}

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        if request.path != "/api/v2/alerts":
            return web.json_response({"code": 404, "message": f"path {request.path} was not found"}, status=404)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401, text="Unauthorized")
        batch = orjson.loads(body)
        if not isinstance(batch, list):
            return web.json_response({"code": 400, "message": 'parsing alerts body from "" failed'}, status=400)
        wrong = [why for each in batch if (why := _wrong(each))]
        for each in batch:
            if not _wrong(each):
                self.held[repr(sorted(each["labels"].items()))] = each
        if wrong:
            return web.json_response("; ".join(wrong), status=400)
        self.accept(batch)
        return web.Response(status=200)

    def firing(self, now: float) -> list[dict[str, Any]]:
        """What has not ended by `now`."""
        return [each for each in self.held.values() if datetime.fromisoformat(each["endsAt"]).timestamp() > now]


def _wrong(one: dict[str, Any]) -> str:
    if one.keys() - _FIELDS:
        return f"unknown field {sorted(one.keys() - _FIELDS)}"
    if not one.get("labels") or "alertname" not in one["labels"]:
        return "at least one label pair required"
    for name, value in {**one["labels"], **one["annotations"]}.items():
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) or not isinstance(value, str) or not value:
            return f'invalid label set: invalid name "{name}"'
    times = [one["startsAt"], one["endsAt"]]
    if not all(re.fullmatch(_TIME, time) for time in times):
        return "invalid time"
    return "start time must be before end time" if times[0] > times[1] else ""
