"""The pages: which paths there are, and what all answers have in common. A route file is one line in `make_app`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from sentinel.metrics import CONTENT_TYPE
from sentinel.model import Seconds
from sentinel.web.acts import add_acts
from sentinel.web.approval import Links, add_approval
from sentinel.web.guard import Guard, Handler, refusal
from sentinel.web.health import add_health
from sentinel.web.heartbeats import add_heartbeats
from sentinel.web.incidents import add_incidents
from sentinel.web.outbox import add_outbox
from sentinel.web.status_pages import add_status_pages
from sentinel.web.timeline import add_timeline
from sentinel.web.view import View

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware

__all__ = ["make_app"]

_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "sentinel"}
_LARGEST: Final = 64 << 10
"""Bytes of a request's body."""


def make_app(
    view: View, *, guard: Guard | None = None, links: Links | None = None, stuck_after: Seconds = 120.0
) -> web.Application:
    """The pages over a daemon: `/metrics` in Prometheus's text format, and what the modules beside this one add.

    Args:
        view: The daemon.
        guard: Who may ask and who may change something; without it, whoever is on this host.
        links: By which drafts of status pages may be answered; None for none.
        stuck_after: Seconds that a notification may be overdue before its destination is called stuck.
    """
    guard = guard or Guard()
    app = web.Application(middlewares=[_with_headers, _admitting(guard)], client_max_size=_LARGEST)
    app.router.add_get("/metrics", _metrics(view))
    add_health(app, view, stuck_after=stuck_after)
    add_incidents(app, view)
    add_timeline(app, view)
    add_acts(app, view, guard)
    add_heartbeats(app, view)
    add_status_pages(app, view, guard)
    add_outbox(app, view, guard)
    if links is not None:
        add_approval(app, view, links)
    return app


def _metrics(view: View) -> Handler:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await view.exposition(), headers={"Content-Type": CONTENT_TYPE})

    return metrics


@web.middleware
async def _with_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        response = refusal(error.status, error.reason)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    response.headers.update(_HEADERS)
    return response


def _admitting(guard: Guard) -> Middleware:
    @web.middleware
    async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
        return guard.admit(request) or await handler(request)

    return admitted
