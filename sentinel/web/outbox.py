"""The outbox over HTTP: what waits, what was given up and why, and what would be sent.

GET    /api/v1/outbox                  ?state=waiting, dead or all; ?limit=100
GET    /api/v1/outbox/EVENT            one, with the body that it would send
POST   /api/v1/outbox/EVENT/retry      {"by": "ada"}: now, whatever it waited for; also one that was given up
POST   /api/v1/outbox/EVENT/drop       {"by": "ada"}
"""

from __future__ import annotations

from typing import Any, Literal

from aiohttp import web

from sentinel.notifiers.wording import rfc3339, title
from sentinel.outbox import Letter, RowState
from sentinel.web.guard import Guard, Handler, answer, body_of, limit_of, refusal
from sentinel.web.view import View

__all__ = ["add_outbox"]

_WAITING = (RowState.PENDING, RowState.SENDING)


def add_outbox(app: web.Application, view: View, guard: Guard) -> None:
    """Put the paths into an application."""

    async def listed(request: web.Request) -> web.Response:
        state = request.query.get("state", "all")
        if state not in ("waiting", "dead", "all"):
            return refusal(400, f"`state` must be waiting, dead or all, got {state[:40]!r}")
        limit = limit_of(request)
        letters = [each for each in await view.letters(limit) if state in ("all", _sort(each))]
        found = [_brief(each) for each in letters[:limit]]
        return answer({"time": rfc3339(view.now()), "notifications": found})

    async def one(request: web.Request) -> web.Response:
        event = request.match_info["event"]
        letter = await view.letter(event)
        if letter is None:
            return refusal(404, f"no notification is called {event[:60]!r}; `sentinel outbox list` shows them")
        return answer(_brief(letter) | {"body": view.wording(letter.notification)})

    def acting(verb: Literal["retry", "drop"]) -> Handler:
        async def act(request: web.Request) -> web.Response:
            event = request.match_info["event"]
            try:
                by = (await body_of(request)).get("by", f"someone at {request.remote}")
                await view.look_after(event, verb, str(by))
            except LookupError as error:
                return refusal(404, str(error.args[0]))
            except ValueError as error:
                return refusal(400, str(error))
            return answer({"done": verb, "event": event})

        return guard.changing(act)

    app.router.add_get("/api/v1/outbox", listed)
    app.router.add_get("/api/v1/outbox/{event}", one)
    app.router.add_post("/api/v1/outbox/{event}/retry", acting("retry"))
    app.router.add_post("/api/v1/outbox/{event}/drop", acting("drop"))


def _sort(letter: Letter) -> str:
    return "waiting" if letter.state in _WAITING else "dead"


def _brief(letter: Letter) -> dict[str, Any]:
    notification = letter.notification
    return {
        "event": notification.event_id,
        "destination": notification.destination,
        "reason": notification.reason,
        "ref": notification.incident.ref,
        "about": title(notification.incident),
        "state": letter.state,
        "since": rfc3339(letter.created),
        "not_before": rfc3339(letter.not_before),
        "attempts": letter.attempts,
        "error": letter.error,
    }
