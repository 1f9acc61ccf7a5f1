"""OneUptime.

Knows its incidents, states and public notes, and that its components are monitors. There is no idempotency: what was
made before an answer was lost is found by its title and our reference. Written from the shape of the API, and not tried
against a real one. Source: reference/delivery.md 5.7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp

from sentinel.model import PublicUpdate, Secret, Stage
from sentinel.notifiers.base import Attempt
from sentinel.statuspages.api import Api
from sentinel.statuspages.base import Page, Remote, StatusPage

__all__ = ["OneUptime"]


@dataclass(frozen=True, kw_only=True)
class OneUptime(StatusPage):
    """Keeps incidents of a OneUptime project. Components are the ids of its monitors.

    Args:
        project: Its id.
        severity: The id of the severity that incidents get.
        api_key: Of the project.
        url: Of the site.
    """

    kind: ClassVar[str] = "oneuptime"
    rate: ClassVar[float] = 0.5
    drafts: ClassVar[bool] = True
    sets_components: ClassVar[bool] = False

    project: str
    severity: str
    api_key: Secret
    url: str = "https://oneuptime.com"

    def open(self, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt) -> Page:
        """The project, for one update."""
        return _Page(self, session, about, attempt)


class _Page(Page):
    """One update in the project. Its components are monitors, which have states of their own."""

    def __init__(
        self, settings: OneUptime, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt
    ) -> None:
        self._settings, self._ref = settings, str(about["ref"])
        headers = {"apikey": settings.api_key.reveal(), "projectid": settings.project}
        self._api = Api(settings, session, f"{settings.url.rstrip('/')}/api", headers, attempt.now)

    async def find(self, update: PublicUpdate) -> Sequence[Remote]:
        """By title, and our reference in the description."""
        listed = await self._list("incident", {"title": update.title}, {"_id": True, "description": True})
        ours = [str(each["_id"]) for each in listed if self._ref in each.get("description", "")]
        found = [await self.read(each) for each in reversed(ours)]
        return [remote for remote in found if remote is not None and remote.open]

    async def _list(self, what: str, query: Mapping[str, Any], select: Mapping[str, Any]) -> list[Any]:
        body = {"query": query, "select": select, "sort": {"createdAt": "DESC"}}
        found = await self._api.ask("POST", f"{what}/get-list?skip=0&limit=100", body)
        return list(found["data"])

    async def read(self, remote: str) -> Remote | None:
        select = {"description": True, "currentIncidentState": {"isResolvedState": True}}
        found = await self._list("incident", {"_id": remote}, select)
        if not found:
            return None
        notes = await self._list("incident-public-note", {"incidentId": remote}, {"_id": True, "note": True})
        first = str(found[0].get("description", "")).removesuffix(self._ref).rstrip()
        newest = notes[0] if notes else {"_id": "first", "note": first}
        is_open = not (found[0].get("currentIncidentState") or {}).get("isResolvedState", False)
        return Remote(remote, str(newest["_id"]), str(newest["note"]), is_open)

    async def create(self, update: PublicUpdate) -> Remote:
        data = {
            "title": update.title,
            "description": f"{update.message}\n\n{self._ref}",
            "incidentSeverityId": self._settings.severity,
            "monitors": [{"_id": component} for component, _ in update.components],
            "isVisibleOnStatusPage": not update.draft,
            "shouldStatusPageSubscribersBeNotifiedOnIncidentCreated": update.notify,
        }
        made = await self._api.ask("POST", "incident", {"data": data})
        return Remote(str(made["_id"]), "first", update.message)

    async def append(self, remote: str, update: PublicUpdate) -> Remote:
        """A public note, and at the end the state that the project calls resolved."""
        await self._api.ask("PUT", f"incident/{remote}", {"data": {"isVisibleOnStatusPage": not update.draft}})
        note = {
            "incidentId": remote,
            "note": update.message,
            "shouldStatusPageSubscribersBeNotifiedOnNoteCreated": update.notify,
        }
        made = await self._api.ask("POST", "incident-public-note", {"data": note})
        await self.complete(remote, update)
        return Remote(remote, str(made["_id"]), update.message, update.stage is not Stage.RESOLVED)

    async def complete(self, remote: str, update: PublicUpdate) -> None:
        """The end is a state."""
        if update.stage is Stage.RESOLVED:
            states = await self._list("incident-state", {"isResolvedState": True}, {"_id": True})
            moved = {"incidentId": remote, "incidentStateId": states[0]["_id"]}
            moved["shouldStatusPageSubscribersBeNotified"] = False
            await self._api.ask("POST", "incident-state-timeline", {"data": moved})
