"""What Apprise's plug-in for JSON over HTTP sends, and nothing else."""

from __future__ import annotations

import orjson
from aiohttp import web

from tests.notifiers.fakes import Fake, wrong

__all__ = ["JsonReceiver"]


class JsonReceiver(Fake):
    """What Apprise's `json://` sends."""

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        document = orjson.loads(body)
        known = {"version": lambda v: v == "1.0", "attachments": lambda v: v == [], "title": bool, "message": bool}
        if errors := wrong(document, known | {"type": lambda v: v in ("info", "success", "warning", "failure")}, ()):
            return web.Response(status=400, text=str(errors))
        self.accept(document)
        return web.Response(status=200)
