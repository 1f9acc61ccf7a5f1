"""Heartbeats over HTTP: `POST /api/v1/heartbeats/NAME`, and `…/start`, `…/fail` for what began and what failed.

The body is not read: a job needs no more than `curl -X POST`. What comes from a page in a browser is refused; such a
request always names its origin (Fetch standard, section 3.1).
"""

from __future__ import annotations

import orjson
from aiohttp import web

from sentinel.samplers.pushed import UnknownHeartbeatError
from sentinel.web.view import View

__all__ = ["add_heartbeats"]


def add_heartbeats(app: web.Application, view: View) -> None:
    """Put the paths into an application."""

    async def beat(request: web.Request) -> web.Response:
        if "Origin" in request.headers:
            return _answer(403, error="a heartbeat comes from a job, not from a page in a browser")
        name, kind = request.match_info["name"], request.match_info.get("kind", "success")
        try:
            await view.beat(name, kind)
        except UnknownHeartbeatError as error:
            return _answer(404, error=str(error))
        except ValueError as error:
            return _answer(400, error=str(error))
        return _answer(200, heartbeat=name, beat=kind)

    app.router.add_post("/api/v1/heartbeats/{name}", beat)
    app.router.add_post("/api/v1/heartbeats/{name}/{kind}", beat)


def _answer(status: int, **body: str) -> web.Response:
    return web.Response(body=orjson.dumps(body) + b"\n", status=status, content_type="application/json")
