"""How a public incident is made once, kept current, left alone when a person takes over, and never made twice.

A status page is a notifier: it is told a `Notification`, of which it looks at `public` alone. What it made is kept in
the reference: the page's id for it, the newest update that is ours, and the components that we changed. If the page
shows a newer update than ours, a person is at work, and nothing more is written: hands off.

Knows the life of a public incident on any page. Must not know any vendor, nor when something is published
(`sentinel.pipeline.publishing`). Source: reference/delivery.md 5.11 (create protocol) and 8 (life, hands off).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Protocol

import aiohttp
import orjson

from sentinel.model import ComponentStatus, Notification, PublicUpdate, Reason, Seconds, Secret, Severity, Stage
from sentinel.notifiers.base import Attempt, DeliveryError, Message, Outcome
from sentinel.notifiers.http import HttpSettings, check_url
from sentinel.notifiers.voice import Links, Templates
from sentinel.pipeline.public_rules import Gates, Mode, PublicRule

__all__ = ["LIST_LAG", "Kept", "Page", "Remote", "StatusPage", "decoded", "encoded", "left_to_people", "publish"]

DOUBLE = "This was reported twice. Please see the other report."
LIST_LAG: Seconds = 2.0
"""A list may not yet show what was made just before: it is asked again after this."""


@dataclass(frozen=True, kw_only=True)
class StatusPage(HttpSettings):
    """What all status pages have in common.

    Args:
        mode: `off`; `draft`: a person approves the exact text; `component_only`: change components, make no incident;
            `auto`: publish what passes the gates.
        publish: What customers notice, in which component, and in which words. Without it nothing is public.
        gates: What must hold before something is public by itself, and how it ends.
        url: Of the site or of its API.
    """

    kind: ClassVar[str]
    rate: ClassVar[float]
    reasons: ClassVar[frozenset[Reason]] = frozenset(Reason)
    pages: ClassVar[bool] = True
    """It wakes nobody; but what came and went while it could not be reached is no news for customers any more."""
    groups: ClassVar[bool] = False
    min_severity: ClassVar[Severity] = Severity.INFO
    drafts: ClassVar[bool]
    """Whether the page itself keeps drafts from the public."""
    sets_components: ClassVar[bool]
    """Whether a component can be changed without an incident."""
    finds: ClassVar[bool] = True
    """Whether what was made can be looked for."""
    keyed: ClassVar[bool] = False
    """Whether it can be looked for by its key alone, which survives the loss of all state."""
    makes_incidents: ClassVar[bool] = True
    """Whether it knows incidents at all, and not components alone."""

    mode: Mode = "draft"
    publish: tuple[PublicRule, ...] = ()
    gates: Gates = field(default_factory=Gates)
    url: str

    def __post_init__(self) -> None:
        check_url("url", Secret(self.url), allow_http=self.allow_http)
        if self.mode == "component_only" and not self.sets_components:
            raise ValueError("mode must be draft or auto here: this page cannot change a component without an incident")
        if self.templates != Templates() or self.links != Links():
            raise ValueError("templates must be left out here: the words for customers are under `publish`")

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """The public update; there is no plainer text to fall back to than words for customers."""
        return encoded(notification)

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Make, continue or end the incident. Gives the new reference."""
        update, about = decoded(message)
        if not self.makes_incidents:
            update = replace(update, components_only=True)
        try:
            if about["first"] is False and attempt.unsure_since is None and attempt.ref is None:
                attempt = replace(attempt, unsure_since=update.started)  # the reference is lost: look before making
            return await publish(
                self.open(session, about, attempt), update, attempt, maker=about["first"] or self.finds
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            why = f"{self.kind} answered in a shape that is not its own ({type(error).__name__}: {error})"
            raise DeliveryError(Outcome.AMBIGUOUS, f"{why}; check `url`. It is looked at again.") from error

    async def left_open(self, session: aiohttp.ClientSession, key: str, component: str, now: float) -> Sequence[Remote]:
        """Open incidents with a key, oldest first; only if `keyed`.

        Raises:
            DeliveryError: it cannot be said.
        """
        about = {"key": key, "incident": "", "ref": ""}
        page = self.open(session, about, Attempt("", now))
        return await page.find(PublicUpdate(Stage.INVESTIGATING, "", "", ((component, ComponentStatus.DEGRADED),), now))

    def open(self, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt) -> Page:
        """The page's API, for one update.

        Args:
            session: The destination's own.
            about: `key`, `incident` and `ref` of what the update is about, and whether it is the first.
            attempt: What delivery knows of this try.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Kept:
    """Our memory of what we made on a page; its JSON is the reference that delivery keeps."""

    id: str = ""
    """The page's id of the incident; empty where only components were changed."""
    mark: str = ""
    """The newest update that is ours."""
    components: Mapping[str, int] = field(default_factory=dict)
    """What we set, by component."""
    hands_off: bool = False
    """A person has taken over."""

    def text(self) -> str:
        """As a reference."""
        return orjson.dumps([self.id, self.mark, self.components, self.hands_off]).decode()

    @classmethod
    def of(cls, ref: str) -> Kept:
        """Back from a reference."""
        return cls(*orjson.loads(ref))


def left_to_people(ref: str) -> bool:
    """Whether a reference says that a person has taken over; one that is none of ours says nothing."""
    try:
        return Kept.of(ref).hands_off
    except (TypeError, ValueError):
        return False


class Remote(NamedTuple):
    """A public incident as the page shows it."""

    id: str
    mark: str
    """Names its newest update, or the state of all of it where updates have no names."""
    text: str = ""
    """Of the newest update."""
    open: bool = True


class Page(Protocol):
    """One update on one page. Every call may raise DeliveryError."""

    async def find(self, update: PublicUpdate) -> Sequence[Remote]:
        """Our open incidents of this key, oldest first. A list that fails must raise, never come back empty."""

    async def read(self, remote: str) -> Remote | None:
        """The incident with this id; None if somebody deleted it."""

    async def create(self, update: PublicUpdate) -> Remote:
        """Make the incident with its first update, and set its components."""

    async def append(self, remote: str, update: PublicUpdate) -> Remote:
        """Add an update, and set its components."""

    async def complete(self, remote: str, update: PublicUpdate) -> None:
        """What an update asks for beside its text, where that takes requests of its own. Done again after a try that
        broke off behind the text, so it must bear that."""
        return

    async def component(self, component: str) -> ComponentStatus | None:
        """What the page says of a component now; None where it cannot say."""
        return None

    async def set_component(self, component: str, status: ComponentStatus) -> None:
        """Change a component alone; nothing on pages whose components follow incidents."""
        return


async def publish(page: Page, update: PublicUpdate, attempt: Attempt, *, maker: bool = True) -> str | None:
    """Tell a page one update. Gives the new reference.

    Args:
        page: It.
        update: What it is told.
        attempt: What delivery knows of this try.
        maker: Whether it may make an incident: not if there may be one that cannot be looked for.
    """
    kept = Kept.of(attempt.ref) if attempt.ref else None
    if kept is not None and kept.hands_off:
        return None
    if update.components_only:
        return await _components_only(page, update, kept or Kept())
    if kept is None:
        return await _begin(page, update, attempt, maker)
    return await _go_on(page, update, kept, attempt)


async def _begin(page: Page, update: PublicUpdate, attempt: Attempt, maker: bool) -> str | None:
    """Make it, unless it is there. A recovery from what was never made is no reason to make it."""
    found = await page.find(update)
    if attempt.unsure_since is not None and not found:
        await asyncio.sleep(LIST_LAG)
        found = await page.find(update)
    if not found:
        if update.stage is not Stage.INVESTIGATING or not maker:
            return None
        return _kept(await page.create(update), update).text()
    for double in found[1:]:
        await page.append(double.id, replace(update, stage=Stage.RESOLVED, message=DOUBLE, notify=False))
    if found[0].text == update.message:
        return _kept(found[0], update).text()
    return _kept(await page.append(found[0].id, update), update).text()


async def _go_on(page: Page, update: PublicUpdate, kept: Kept, attempt: Attempt) -> str | None:
    remote = await page.read(kept.id)
    left = Kept(kept.id, kept.mark, {}, hands_off=True).text()
    if remote is None:
        return left
    if remote.mark != kept.mark:
        if attempt.unsure_since is None or remote.text != update.message:
            return left
        await page.complete(kept.id, await _ours(page, update, kept))  # the text of the try before got through
        return _kept(remote, update).text()
    if not remote.open:
        return left
    ours = await _ours(page, update, kept)
    return _kept(await page.append(kept.id, ours), ours).text()


async def _components_only(page: Page, update: PublicUpdate, kept: Kept) -> str:
    ours = await _ours(page, update, kept)
    for component, status in ours.components:
        await page.set_component(component, status)
    return _kept(Remote("", ""), ours).text()


async def _ours(page: Page, update: PublicUpdate, kept: Kept) -> PublicUpdate:
    """With those of its components that still say what we set. Ones that we did not set are only made worse."""
    wanted = []
    for component, status in update.components:
        now, set_before = await page.component(component), kept.components.get(component)
        if set_before is None:
            if now is None or status > now:
                wanted.append((component, status))
        elif now is None or now == set_before:
            wanted.append((component, status))
    return replace(update, components=tuple(wanted))


def _kept(remote: Remote, update: PublicUpdate) -> Kept:
    return Kept(remote.id, remote.mark, {name: int(status) for name, status in update.components})


def encoded(notification: Notification) -> Message:
    """What a page needs of a notification, as the body that delivery hands to `notify`.

    Raises:
        ValueError: it is not for status pages.
    """
    update, incident = notification.public, notification.incident
    if update is None:
        raise ValueError("a status page is told public updates only")
    document = {
        "key": incident.dedup_key,
        "incident": incident.id,
        "ref": incident.ref,
        "first": notification.reason is Reason.OPENED,
        "stage": update.stage.value,
        "title": update.title,
        "message": update.message,
        "components": [[name, int(status)] for name, status in update.components],
        "started": update.started,
        "notify": update.notify,
        "draft": update.draft,
        "components_only": update.components_only,
    }
    return Message(orjson.dumps(document))


def decoded(message: Message) -> tuple[PublicUpdate, dict[str, Any]]:
    """Back from the body: the update, and `key`, `incident` and `ref` of what it is about."""
    document: dict[str, Any] = orjson.loads(message.body)
    update = PublicUpdate(
        stage=Stage(document["stage"]),
        title=document["title"],
        message=document["message"],
        components=tuple((name, ComponentStatus(status)) for name, status in document["components"]),
        started=document["started"],
        notify=document["notify"],
        draft=document["draft"],
        components_only=document["components_only"],
    )
    return update, document
