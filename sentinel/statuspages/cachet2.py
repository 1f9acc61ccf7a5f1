"""Cachet 2.3 and 2.4, the version that many still run.

Knows that an incident has one component, that booleans which are left out fall back to true, and that nothing tells
who wrote an update. Source: reference/delivery.md 5.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp

from sentinel.model import ComponentStatus, PublicUpdate, Secret, Stage
from sentinel.notifiers.base import Attempt
from sentinel.notifiers.wording import cut
from sentinel.statuspages.api import Api
from sentinel.statuspages.base import Page, Remote, StatusPage

__all__ = ["Cachet2"]

_STAGES = {Stage.INVESTIGATING: 1, Stage.MONITORING: 3, Stage.RESOLVED: 4}
_FIXED = 4
_STATUSES = {
    ComponentStatus.OPERATIONAL: 1,
    ComponentStatus.DEGRADED: 2,
    ComponentStatus.PARTIAL: 3,
    ComponentStatus.MAJOR: 4,
}
_MEANINGS = {number: status for status, number in _STATUSES.items()}


@dataclass(frozen=True, kw_only=True)
class Cachet2(StatusPage):
    """Keeps incidents of a Cachet 2.

    Args:
        url: Of the site.
        token: Of a user's API.
    """

    kind: ClassVar[str] = "cachet2"
    rate: ClassVar[float] = 0.5
    drafts: ClassVar[bool] = True
    sets_components: ClassVar[bool] = True

    url: str
    token: Secret

    def open(self, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt) -> Page:
        """The page's API, for one update."""
        return _Page(self, session, about, attempt)


class _Page(Page):
    """One update on the page."""

    def __init__(
        self, settings: Cachet2, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt
    ) -> None:
        self._ref = str(about["ref"])
        headers = {"x-cachet-token": settings.token.reveal()}
        self._api = Api(settings, session, f"{settings.url.rstrip('/')}/api/v1", headers, attempt.now)

    async def find(self, update: PublicUpdate) -> Sequence[Remote]:
        """By our reference in the first text."""
        listed = (await self._api.ask("GET", "incidents?per_page=100&sort=id&order=desc"))["data"]
        ours = [each for each in listed if self._ref in each["message"] and int(each["status"]) != _FIXED]
        found = [await self.read(str(each["id"])) for each in reversed(ours)]
        return [remote for remote in found if remote is not None]

    async def read(self, remote: str) -> Remote | None:
        found = await self._api.look(f"incidents/{remote}")
        if found is None:
            return None
        incident = found["data"]
        updates = (await self._api.ask("GET", f"incidents/{remote}/updates?per_page=100"))["data"]
        newest = max(updates, key=lambda update: int(update["id"]), default=None)
        text = str((incident if newest is None else newest)["message"]).removesuffix(self._ref).rstrip()
        mark = "first" if newest is None else str(newest["id"])
        return Remote(remote, mark, text, int((newest or incident)["status"]) != _FIXED)

    async def create(self, update: PublicUpdate) -> Remote:
        body = {
            "name": cut(update.title, 255),
            "status": _STAGES[update.stage],
            "message": f"{update.message}\n\n{self._ref}",
            "visible": int(not update.draft),
            "notify": update.notify,
            "stickied": False,
        }
        for component, status in update.components[:1]:
            body |= {"component_id": int(component), "component_status": _STATUSES[status]}
        made = await self._api.ask("POST", "incidents", body)
        return Remote(str(made["data"]["id"]), "first", update.message)

    async def append(self, remote: str, update: PublicUpdate) -> Remote:
        incident = {"visible": int(not update.draft), "notify": update.notify, "stickied": False}
        await self._api.ask("PUT", f"incidents/{remote}", incident)
        body = {"status": _STAGES[update.stage], "message": update.message}
        made = await self._api.ask("POST", f"incidents/{remote}/updates", body)
        await self.complete(remote, update)
        return Remote(remote, str(made["data"]["id"]), update.message, update.stage is not Stage.RESOLVED)

    async def complete(self, remote: str, update: PublicUpdate) -> None:
        """Components do not follow an incident's updates."""
        for component, status in update.components:
            await self.set_component(component, status)

    async def component(self, component: str) -> ComponentStatus | None:
        found = await self._api.ask("GET", f"components/{component}")
        return _MEANINGS.get(int(found["data"]["status"]))

    async def set_component(self, component: str, status: ComponentStatus) -> None:
        await self._api.ask("PUT", f"components/{component}", {"status": _STATUSES[status]})
