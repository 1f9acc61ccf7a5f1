"""Whether the daemon lives, and whether it sees and tells: `/healthz` and `/readyz`.

Judges only whether what it is shown is recent enough to be called ready.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from sentinel.model import Seconds
from sentinel.web.guard import answer
from sentinel.web.view import View

__all__ = ["add_health"]


def add_health(app: web.Application, view: View, *, stuck_after: Seconds) -> None:
    """Put the paths into an application.

    /healthz    200 while the process answers; what is degraded is said in the body
    /readyz     200 when every target was sampled recently and no destination is stuck; else 503 and why
    """

    async def healthz(_: web.Request) -> web.Response:
        degraded = list(view.degraded())
        return answer({"status": "degraded" if degraded else "ok", "degraded": degraded})

    async def readyz(_: web.Request) -> web.Response:
        reasons = [*_late(view), *_stuck(view, stuck_after)]
        return answer({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)


def _late(view: View) -> Iterator[dict[str, Any]]:
    now = view.now()
    for target, state in sorted(view.targets().items()):
        if (why := state.late(now)) is not None:
            yield {"target": target, "reason": why}


def _stuck(view: View, after: Seconds) -> Iterator[dict[str, Any]]:
    for destination, age in sorted(view.outbox_ages().items()):
        if age > after:
            yield {"destination": destination, "reason": f"a notification has been due for {age:.0f} s"}
