"""The pages: paths to answers. Judges only whether what it is shown is recent enough to be called ready."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import orjson
from aiohttp import web

from sentinel.metrics import CONTENT_TYPE
from sentinel.model import Seconds
from sentinel.web.heartbeats import add_heartbeats
from sentinel.web.incidents import add_incidents
from sentinel.web.view import TargetState, View

__all__ = ["make_app"]

_POLLS_MISSED: Final = 3
"""A target is late after so many intervals: one poll may time out without a word."""
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "sentinel"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(view: View, *, stuck_after: Seconds = 120.0) -> web.Application:
    """The pages over a daemon.

    /metrics              Prometheus's text format
    /healthz              200 while the process answers; what is degraded is said in the body
    /readyz               200 when every target was sampled recently and no destination is stuck; else 503 and why
    /api/v1/incidents     `incidents`
    /api/v1/heartbeats    `heartbeats`

    Args:
        view: The daemon.
        stuck_after: Seconds that a notification may be overdue before its destination is called stuck.
    """

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await view.exposition(), headers={"Content-Type": CONTENT_TYPE})

    async def healthz(_: web.Request) -> web.Response:
        degraded = list(view.degraded())
        return _json({"status": "degraded" if degraded else "ok", "degraded": degraded})

    async def readyz(_: web.Request) -> web.Response:
        reasons = [*_late(view), *_stuck(view, stuck_after)]
        return _json({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    app = web.Application(middlewares=[_with_headers])
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    add_incidents(app, view)
    add_heartbeats(app, view)
    return app


@web.middleware
async def _with_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as refusal:
        response = _json({"error": refusal.reason}, status=refusal.status)
        if "Allow" in refusal.headers:
            response.headers["Allow"] = refusal.headers["Allow"]
    response.headers.update(_HEADERS)
    return response


def _late(view: View) -> Iterator[dict[str, Any]]:
    now = view.now()
    for target, state in sorted(view.targets().items()):
        if state.sampled is None:
            yield {"target": target, "reason": "not sampled yet"}
        elif (age := now - state.sampled) > _POLLS_MISSED * state.interval:
            yield {"target": target, "reason": _overdue(age, state)}


def _overdue(age: Seconds, state: TargetState) -> str:
    return f"last sampled {age:.0f} s ago, expected every {state.interval:g} s"


def _stuck(view: View, after: Seconds) -> Iterator[dict[str, Any]]:
    for destination, age in sorted(view.outbox_ages().items()):
        if age > after:
            yield {"destination": destination, "reason": f"a notification has been due for {age:.0f} s"}


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body) + b"\n", status=status, content_type="application/json")
