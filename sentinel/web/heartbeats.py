"""Heartbeats over HTTP: `POST /api/v1/heartbeats/NAME`, and `…/start`, `…/fail` for what began and what failed.

The body is not read: a job needs no more than `curl -X POST`. What comes from a page in a browser is refused; such a
request always names its origin (Fetch standard, section 3.1).
"""

from __future__ import annotations

from aiohttp import web

from sentinel.samplers.pushed import UnknownHeartbeatError
from sentinel.web.guard import answer, refusal
from sentinel.web.view import View

__all__ = ["add_heartbeats"]


def add_heartbeats(app: web.Application, view: View) -> None:
    """Put the paths into an application."""

    async def beat(request: web.Request) -> web.Response:
        if "Origin" in request.headers:
            return refusal(403, "a heartbeat comes from a job, not from a page in a browser")
        name, kind = request.match_info["name"], request.match_info.get("kind", "success")
        try:
            await view.beat(name, kind)
        except UnknownHeartbeatError as error:
            return refusal(404, str(error))
        except ValueError as error:
            return refusal(400, str(error))
        return answer({"heartbeat": name, "beat": kind})

    app.router.add_post("/api/v1/heartbeats/{name}", beat)
    app.router.add_post("/api/v1/heartbeats/{name}/{kind}", beat)
