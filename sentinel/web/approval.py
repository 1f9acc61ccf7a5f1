"""Links by which a person answers a draft of a status page: `/approve/SNT-…`, signed.

Whoever has the link may answer, and nobody else: it goes into the chats where the draft is told. GET shows the exact
text and asks, since previews of links follow GETs; POST answers. A link is good for one draft, until that is answered
or the link is old, and so for one answer.

Knows signatures and one page of HTML. Does not know why a draft is there. Source: reference/delivery.md section 8.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import secrets
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web

from sentinel import statefile
from sentinel.model import Notification, Seconds
from sentinel.pipeline.actions import ActionError, decode
from sentinel.pipeline.publishing import Published
from sentinel.web.view import View

__all__ = ["Links", "add_approval", "key_of"]

_VALID: Final[Seconds] = 1800.0
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_SAID: Final = {"approve": "It is published now.", "withdraw": "The draft was dropped; nothing is public."}


class Links(NamedTuple):
    """Makes links, and knows its own again.

    Args:
        key: That signs them.
        url: Under which people reach the pages.
    """

    key: bytes
    url: str

    def of(self, draft: Published, now: float) -> str:
        """The link that answers a draft, good for half an hour at most."""
        until = int(now + _VALID)
        return f"{self.url.rstrip('/')}/approve/{draft.ref}?until={until}&sig={self._sign(draft, until)}"

    def knows(self, draft: Published, until: str, signature: str, now: float) -> bool:
        """Whether a link is one of ours, for this very draft, and not old."""
        if not until.isdecimal() or len(until) > 12 or int(until) < now:
            return False
        return hmac.compare_digest(self._sign(draft, int(until)).encode(), signature.encode())

    def put_into(self, told: Notification, published: Iterable[Published], now: float) -> Notification:
        """The notification; that of a draft which still waits with the link that answers it."""
        incident = told.incident
        ref = incident.subject.rpartition("/")[2] if incident.cause == "public_update" else ""
        draft = next((one for one in published if one.ref == ref and one.drafted is not None), None)
        if draft is None:
            return told
        context = (*incident.context, f"Answer here: {self.of(draft, now)}")
        return replace(told, incident=replace(incident, context=context))

    def _sign(self, draft: Published, until: int) -> str:
        what = f"answer {draft.page} {draft.id} {draft.drafted!r} until {until}"
        return base64.urlsafe_b64encode(hmac.digest(self.key, what.encode(), hashlib.sha256)).decode().rstrip("=")


def key_of(path: Path) -> bytes:
    """The key in a file, which is made if there is none that only we could have written. Blocks.

    Raises:
        OSError: it can be neither read nor made.
    """
    try:
        key = statefile.read_ours(path)
        if len(key) == 32:
            return key
    except FileNotFoundError:
        pass
    key = secrets.token_bytes(32)
    statefile.replace(path, key)
    return key


def add_approval(app: web.Application, view: View, links: Links) -> None:
    """Put the paths into an application."""

    def draft_of(request: web.Request) -> tuple[Published, str, str]:
        ref, asked = request.match_info["ref"], request.query
        for one, title, text in view.published():
            if one.ref == ref and one.drafted is not None:
                if links.knows(one, asked.get("until", ""), asked.get("sig", ""), view.now()):
                    return one, title, text
                break
        raise web.HTTPGone

    async def shown(request: web.Request) -> web.StreamResponse:
        try:
            one, title, text = draft_of(request)
        except web.HTTPGone:
            return _gone()
        return _page(f"Draft {one.ref} for {one.page.removeprefix('page/')}", _form(one, title, text))

    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            one, _, _ = draft_of(request)
        except web.HTTPGone:
            return _gone()
        form = await request.post()
        verb, name = str(form.get("verb", "")), str(form.get("by", "")).strip()[:80]
        if verb not in _SAID:
            return _page("Not understood", "<p>Choose to publish or to drop the draft.</p>", 400)
        by = f"{name or 'someone'} by a link, at {request.remote}"
        try:
            await view.act(decode({"kind": verb, "time": view.now(), "ref": one.ref, "by": by}))
        except ActionError:
            return _gone()
        return _page(one.ref, f"<p>{_SAID[verb]}</p>")

    app.router.add_get("/approve/{ref}", shown)
    app.router.add_post("/approve/{ref}", answered)


def _form(one: Published, title: str, text: str) -> str:
    return (
        f"<p>Customers would read this of <b>{html.escape(one.rule.name)}</b>:</p>"
        f"<blockquote><b>{html.escape(title)}</b><br>{html.escape(text)}</blockquote>"
        '<form method="post"><p><label>Your name <input name="by" maxlength="80"></label></p>'
        '<p><button name="verb" value="approve">Publish it</button> '
        '<button name="verb" value="withdraw">Drop it</button></p></form>'
    )


def _gone() -> web.Response:
    said = "<p>This link is not good any more: the draft was answered or dropped, or the link is old.</p>"
    return _page("No such draft", f"{said}<p><code>sentinel page list</code> shows what waits.</p>", 410)


def _page(title: str, body: str, status: int = 200) -> web.Response:
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
    style = "<style>body{font:16px/1.5 sans-serif;max-width:40em;margin:3em auto;padding:0 1em}</style>"
    whole = f"{head}{style}<h1>{html.escape(title)}</h1>{body}</html>"
    return web.Response(text=whole, status=status, content_type="text/html", headers=_HEADERS)
