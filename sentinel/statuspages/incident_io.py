"""incident.io status pages, v2.

Knows the one page API with native idempotency: the event's id is the key, so that a second try gives the first one's
answer and nothing has to be looked for. Source: reference/delivery.md 5.4.
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

__all__ = ["IncidentIo"]

_STATUSES = {
    ComponentStatus.OPERATIONAL: "operational",
    ComponentStatus.DEGRADED: "degraded_performance",
    ComponentStatus.PARTIAL: "partial_outage",
    ComponentStatus.MAJOR: "full_outage",
}
_MOST_UPDATES = 90
"""The page takes 100 an incident; the last ones are kept for people."""


@dataclass(frozen=True, kw_only=True)
class IncidentIo(StatusPage):
    """Keeps incidents of one status page of incident.io.

    Args:
        page: The status page's id.
        api_key: With the scope "Create status page incidents, maintenance windows and publish updates".
        url: Of the API.
    """

    kind: ClassVar[str] = "incident_io"
    finds: ClassVar[bool] = False
    rate: ClassVar[float] = 5.0
    drafts: ClassVar[bool] = False
    sets_components: ClassVar[bool] = False

    page: str
    api_key: Secret
    url: str = "https://api.incident.io"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.page:
            raise ValueError("page must be the id of the status page")

    def open(self, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt) -> Page:
        """The page's API, for one update."""
        return _Page(self, session, attempt)


class _Page(Page):
    """One update on the page. Components follow incidents here; reading them needs another scope."""

    def __init__(self, settings: IncidentIo, session: aiohttp.ClientSession, attempt: Attempt) -> None:
        self._settings, self._event = settings, attempt.event_id
        headers = {"authorization": f"Bearer {settings.api_key.reveal()}"}
        self._api = Api(settings, session, f"{settings.url}/v2", headers, attempt.now)

    async def find(self, update: PublicUpdate) -> Sequence[Remote]:
        """Nothing: the same key makes nothing twice."""
        return ()

    async def read(self, remote: str) -> Remote | None:
        found = await self._api.look(f"status_page_incidents/{remote}")
        return None if found is None else _remote(found["status_page_incident"])

    async def create(self, update: PublicUpdate) -> Remote:
        body = {
            "idempotency_key": self._event,
            "status_page_id": self._settings.page,
            "name": cut(update.title, 200),
            "incident_status": update.stage.value,
            "message": cut(update.message, 4096),
            "component_statuses": _statuses(update),
            "notify_subscribers": update.notify,
        }
        made = await self._api.ask("POST", "status_page_incidents", body)
        return _remote(made["status_page_incident"])

    async def append(self, remote: str, update: PublicUpdate) -> Remote:
        """An update; none where so many were written that the last must be kept for the end."""
        before = await self._api.ask("GET", f"status_page_incidents/{remote}")
        over = update.stage is Stage.RESOLVED
        if len(before["status_page_incident"].get("updates", ())) >= _MOST_UPDATES and not over:
            return _remote(before["status_page_incident"])
        body: dict[str, Any] = {
            "status_page_incident_id": remote,
            "incident_status": update.stage.value,
            "message": cut(update.message, 4096),
            "notify_subscribers": update.notify,
        }
        if not over:  # a resolve makes all of them operational, and refuses to be told so
            body["component_statuses"] = _statuses(update)
        made = await self._api.ask("POST", "status_page_incident_updates", body)
        return _remote(made["status_page_incident"])


def _statuses(update: PublicUpdate) -> list[dict[str, str]]:
    return [{"component_id": name, "component_status": _STATUSES[status]} for name, status in update.components]


def _remote(incident: Mapping[str, Any]) -> Remote:
    """Updates come oldest first."""
    updates = incident.get("updates") or [{}]
    newest = updates[-1]
    is_open = newest.get("incident_status", incident.get("incident_status")) != "resolved"
    return Remote(str(incident["id"]), str(newest.get("id", "")), str(newest.get("message", "")), is_open)
