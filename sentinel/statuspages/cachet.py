"""Cachet 3 (cachethq/core), which runs on one's own servers.

Knows its incidents, that they may be hidden, and that metadata finds them exactly. Components follow the worst of the
incidents that are open, so that they are only ever set with one. Source: reference/delivery.md 5.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

import aiohttp

from sentinel.model import ComponentStatus, PublicUpdate, Secret, Stage
from sentinel.notifiers.base import Attempt
from sentinel.notifiers.wording import cut, rfc3339
from sentinel.statuspages.api import Api
from sentinel.statuspages.base import Page, Remote, StatusPage

__all__ = ["Cachet"]

_STAGES = {Stage.INVESTIGATING: 1, Stage.MONITORING: 3, Stage.RESOLVED: 4}
_FIXED = 4
_STATUSES = {
    ComponentStatus.OPERATIONAL: 1,
    ComponentStatus.DEGRADED: 2,
    ComponentStatus.PARTIAL: 3,
    ComponentStatus.MAJOR: 4,
}


@dataclass(frozen=True, kw_only=True)
class Cachet(StatusPage):
    """Keeps incidents of a Cachet 3.

    Args:
        url: Of the site.
        token: With the abilities incidents.manage, incident-updates.manage and components.manage.
    """

    kind: ClassVar[str] = "cachet"
    keyed: ClassVar[bool] = True
    rate: ClassVar[float] = 1.0
    drafts: ClassVar[bool] = True
    sets_components: ClassVar[bool] = True

    url: str
    token: Secret

    def open(self, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt) -> Page:
        """The page's API, for one update."""
        return _Page(self, session, about, attempt)


class _Page(Page):
    """One update on the page. A component shows the worst of what is attached to it, ours or not."""

    def __init__(
        self,
        settings: Cachet,
        session: aiohttp.ClientSession,
        about: Mapping[str, Any],
        attempt: Attempt,
    ) -> None:
        self._key = str(about["key"])
        headers = {"authorization": f"Bearer {settings.token.reveal()}"}
        self._api = Api(settings, session, f"{settings.url.rstrip('/')}/api", headers, attempt.now)

    async def find(self, update: PublicUpdate) -> Sequence[Remote]:
        """By metadata, exactly."""
        path = f"incidents?filter[meta][sentinel_key]={quote(self._key, safe='')}&sort=-created_at&per_page=100"
        found = (await self._api.ask("GET", path))["data"]
        remotes = [remote for each in reversed(found) if (remote := await self.read(str(each["id"]))) is not None]
        return [remote for remote in remotes if remote.open]

    async def read(self, remote: str) -> Remote | None:
        found = await self._api.look(f"incidents/{remote}")
        if found is None:
            return None
        attributes = found["data"]["attributes"]
        updates = (await self._api.ask("GET", f"incidents/{remote}/updates?per_page=100"))["data"]
        newest = max(updates, key=lambda update: int(update["id"]), default=None)
        text = attributes["message"] if newest is None else newest["attributes"]["message"]
        mark = "first" if newest is None else str(newest["id"])
        return Remote(remote, mark, str(text), _status(attributes) != _FIXED)

    async def create(self, update: PublicUpdate) -> Remote:
        body = {
            "name": cut(update.title, 255),
            "status": _STAGES[update.stage],
            "message": update.message,
            "visible": not update.draft,
            "notifications": update.notify,
            "occurred_at": rfc3339(update.started),
            "components": [{"id": int(name), "status": _STATUSES[status]} for name, status in update.components],
            "meta": {"sentinel_key": self._key},
        }
        made = await self._api.ask("POST", "incidents", body)
        return Remote(str(made["data"]["id"]), "first", update.message)

    async def append(self, remote: str, update: PublicUpdate) -> Remote:
        """An update. Components stay as they were set with the incident, which lifts them when it is fixed."""
        await self._api.ask("PUT", f"incidents/{remote}", {"visible": not update.draft})
        body = {"status": _STAGES[update.stage], "message": update.message}
        made = await self._api.ask("POST", f"incidents/{remote}/updates", body)
        over = update.stage is Stage.RESOLVED
        return Remote(remote, str(made["data"]["id"]), update.message, not over)

    async def set_component(self, component: str, status: ComponentStatus) -> None:
        await self._api.ask("PUT", f"components/{component}", {"status": _STATUSES[status]})


def _status(attributes: Mapping[str, Any]) -> int:
    """The status, which some versions give as an object."""
    status = attributes["status"]
    return int(status["value"] if isinstance(status, dict) else status)
