"""What people do, over HTTP: acknowledge, note, mark and resolve incidents, silence, and mark deploys.

    POST   /api/v1/incidents/ID/ack        {"by": "ada", "text": "restarting the api"}
    POST   /api/v1/incidents/ID/note       {"by": "ada", "text": "it began with the import"}
    POST   /api/v1/incidents/ID/mark       {"by": "ada", "verdict": "noise"}    or real
    POST   /api/v1/incidents/ID/resolve    {"by": "ada"}
    GET    /api/v1/silences                those in force
    POST   /api/v1/silences                {"by": "ada", "matchers": ["target=redis-a"], "lasts": 7200}
                                           or "until": Unix seconds, or "until_resolved": true
    DELETE /api/v1/silences/ID
    GET    /api/v1/deploys                 those of the last while
    POST   /api/v1/deploys                 {"by": "ci", "version": "v4.2", "targets": ["redis-*"], "lasts": 600}
    GET    /api/v1/events                  the audit trail, the newest last; ?limit=100

Makes actions of requests and hands them on; decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sentinel.model import Event
from sentinel.notifiers.wording import rfc3339
from sentinel.pipeline.actions import ActionError, Deploy, Silence, decode
from sentinel.web.guard import Guard, Handler, answer, body_of, limit_of, refusal
from sentinel.web.view import View

__all__ = ["add_acts", "event"]

_KINDS = {"ack": "acknowledge", "note": "note", "mark": "mark", "resolve": "resolve"}


def add_acts(app: web.Application, view: View, guard: Guard) -> None:
    """Put the paths into an application."""

    def acting(kind: str) -> Handler:
        async def act(request: web.Request) -> web.Response:
            try:
                values = await _values(request, view, kind)
                step = await view.act(decode(values))
            except LookupError as error:
                return refusal(404, str(error.args[0]))
            except (ActionError, ValueError) as error:
                return refusal(400, str(error))
            done = {"done": kind, "by": values["by"], "time": rfc3339(values["time"])}
            made = next((name for name, action in step.kept if action is not None), None)
            return answer(done if made is None else done | {"id": made})

        return guard.changing(act)

    async def silences(_: web.Request) -> web.Response:
        found = [(name, kept) for name, kept in view.kept().items() if isinstance(kept, Silence)]
        return answer({"time": rfc3339(view.now()), "silences": [_silence(name, kept) for name, kept in found]})

    async def deploys(_: web.Request) -> web.Response:
        found = [(name, kept) for name, kept in view.kept().items() if isinstance(kept, Deploy)]
        return answer({"time": rfc3339(view.now()), "deploys": [_deploy(name, kept) for name, kept in found]})

    async def events(request: web.Request) -> web.Response:
        limit = limit_of(request)
        return answer({"time": rfc3339(view.now()), "events": [event(e) for e in await view.events(None, limit)]})

    for path, kind in _KINDS.items():
        app.router.add_post(f"/api/v1/incidents/{{name}}/{path}", acting(kind))
    app.router.add_get("/api/v1/silences", silences)
    app.router.add_post("/api/v1/silences", acting("silence"))
    app.router.add_delete("/api/v1/silences/{silence}", acting("unsilence"))
    app.router.add_get("/api/v1/deploys", deploys)
    app.router.add_post("/api/v1/deploys", acting("deploy"))
    app.router.add_get("/api/v1/events", events)


async def _values(request: web.Request, view: View, kind: str) -> dict[str, Any]:
    """The fields of the action that a request asks for.

    Raises:
        LookupError: there is no such incident.
        ValueError: the body is not what it should be.
    """
    values: dict[str, Any] = {"by": f"someone at {request.remote}", **await body_of(request)}
    for ours in ("kind", "time", "incident") + (("silence",) if kind == "unsilence" else ()):
        if ours in values:
            raise ValueError(f"`{ours}` is not for the body; leave it out")
    if isinstance(values["by"], str) and not values["by"].strip():
        raise ValueError("`by` must say who you are")
    values |= {"kind": kind, "time": view.now()}
    if kind == "silence":
        _give_end(values)
    if name := request.match_info.get("name"):
        incident = await view.incident(name)
        if incident is None:
            raise LookupError(f"no incident is called {name[:40]!r}; /api/v1/incidents lists those open")
        values["incident"] = incident.id
    if silence := request.match_info.get("silence"):
        values["silence"] = silence
    return values


def _give_end(values: dict[str, Any]) -> None:
    """`lasts`, in seconds, as an end."""
    lasts = values.pop("lasts", None)
    if lasts is None:
        return
    if isinstance(lasts, bool) or not isinstance(lasts, int | float) or not lasts > 0:
        raise ValueError(f"`lasts` must be a number of seconds above 0, got {lasts!r:.40}")
    if "until" in values:
        raise ValueError("`lasts` and `until` say the same thing; keep one")
    values["until"] = values["time"] + lasts


def _silence(name: str, silence: Silence) -> dict[str, Any]:
    return {
        "id": name,
        "matchers": silence.matchers,
        "by": silence.by,
        "since": rfc3339(silence.time),
        "until": rfc3339(silence.until),
        "until_resolved": silence.until_resolved,
        "text": silence.text,
    }


def _deploy(name: str, deploy: Deploy) -> dict[str, Any]:
    return {
        "id": name,
        "version": deploy.version,
        "targets": deploy.targets,
        "by": deploy.by,
        "at": rfc3339(deploy.time),
        "lasts": deploy.lasts,
        "text": deploy.text,
    }


def event(found: Event) -> Mapping[str, Any]:
    """A line of the history as JSON."""
    at = rfc3339(found.time)
    return {"at": at, "kind": found.kind, "incident": found.incident, "by": found.by, "text": found.text}
