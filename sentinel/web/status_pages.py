"""What customers are told, and what waits for a person, over HTTP.

    GET    /api/v1/status-pages                    drafts and open public incidents, with their exact texts
    POST   /api/v1/status-pages/REF/approve        {"by": "ada"}
    POST   /api/v1/status-pages/REF/withdraw       {"by": "ada"}

Nothing is ever published by a GET: a preview of a link must not be an approval.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sentinel.notifiers.wording import rfc3339
from sentinel.pipeline.actions import ActionError, decode
from sentinel.pipeline.publishing import Published
from sentinel.web.guard import Guard, Handler, answer, body_of, refusal
from sentinel.web.view import View

__all__ = ["add_status_pages"]


def add_status_pages(app: web.Application, view: View, guard: Guard) -> None:
    """Put the paths into an application."""

    async def listed(_: web.Request) -> web.Response:
        return answer({"time": rfc3339(view.now()), "published": [_one(*each) for each in view.published()]})

    def acting(kind: str) -> Handler:
        async def act(request: web.Request) -> web.Response:
            try:
                values = {"by": f"someone at {request.remote}", **await body_of(request)}
                ours = {"kind": kind, "time": view.now(), "ref": request.match_info["ref"]}
                await view.act(decode(values | ours))
            except (ActionError, ValueError) as error:
                return refusal(400, str(error))
            return answer({"done": kind, "ref": request.match_info["ref"]})

        return guard.changing(act)

    app.router.add_get("/api/v1/status-pages", listed)
    app.router.add_post("/api/v1/status-pages/{ref}/approve", acting("approve"))
    app.router.add_post("/api/v1/status-pages/{ref}/withdraw", acting("withdraw"))


def _one(published: Published, title: str, message: str) -> dict[str, Any]:
    return {
        "ref": published.ref,
        "page": published.page.removeprefix("page/"),
        "component": published.rule.name,
        "state": "draft" if published.drafted is not None else published.stage.value,
        "began": rfc3339(published.opened),
        "title": title,
        "message": message,
    }
