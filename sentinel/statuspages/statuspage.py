"""Atlassian Statuspage, API v1.

Knows its incidents, its components, and that it has neither drafts nor idempotency: whatever is created is public, so
what was made before an answer was lost is found again by its metadata. Source: reference/delivery.md 5.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp

from sentinel.model import ComponentStatus, PublicUpdate, Secret
from sentinel.notifiers.base import Attempt
from sentinel.notifiers.wording import cut
from sentinel.statuspages.api import Api
from sentinel.statuspages.base import Page, Remote, StatusPage

__all__ = ["Statuspage"]

_STATUSES = {
    ComponentStatus.OPERATIONAL: "operational",
    ComponentStatus.DEGRADED: "degraded_performance",
    ComponentStatus.PARTIAL: "partial_outage",
    ComponentStatus.MAJOR: "major_outage",
}
_MEANINGS = {text: status for status, text in _STATUSES.items()}
_PER_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class Statuspage(StatusPage):
    """Keeps incidents and components of one page of Atlassian Statuspage.

    Args:
        page: The page's id.
        api_key: Of a user that may edit this page alone.
        url: Of the API.
    """

    kind: ClassVar[str] = "statuspage"
    keyed: ClassVar[bool] = True
    rate: ClassVar[float] = 0.3
    """The key may ask once a second; an update takes three requests."""
    drafts: ClassVar[bool] = False
    sets_components: ClassVar[bool] = True

    page: str
    api_key: Secret
    url: str = "https://api.statuspage.io/v1"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.page.isalnum():
            raise ValueError(f"page must be the id of the page, letters and digits, got {self.page!r}")

    def open(self, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt) -> Page:
        """The page's API, for one update."""
        return _Page(self, session, about, attempt)


class _Page(Page):
    """One update on the page."""

    def __init__(
        self,
        settings: Statuspage,
        session: aiohttp.ClientSession,
        about: Mapping[str, Any],
        attempt: Attempt,
    ) -> None:
        self._about = about
        base = f"{settings.url}/pages/{settings.page}"
        self._api = Api(settings, session, base, {"authorization": f"OAuth {settings.api_key.reveal()}"}, attempt.now)

    async def find(self, update: PublicUpdate) -> Sequence[Remote]:
        """By metadata, over all pages of the list."""
        found: list[Remote] = []
        for number in range(1, 11):
            listed = await self._api.listed(f"incidents/unresolved?page={number}&per_page={_PER_PAGE}")
            found += [_remote(incident) for incident in listed if self._is_ours(incident)]
            if len(listed) < _PER_PAGE:
                break
        return found[::-1]

    def _is_ours(self, incident: Mapping[str, Any]) -> bool:
        marked = (incident.get("metadata") or {}).get("sentinel") or {}
        return bool(marked.get("key") == self._about["key"])

    async def read(self, remote: str) -> Remote | None:
        found = await self._api.look(f"incidents/{remote}")
        return None if found is None else _remote(found)

    async def create(self, update: PublicUpdate) -> Remote:
        incident = {
            **self._fields(update),
            "name": cut(update.title, 255),
            "reminder_intervals": "[]",
            "metadata": {"sentinel": {"key": self._about["key"], "incident": self._about["incident"]}},
        }
        return _remote(await self._api.ask("POST", "incidents", {"incident": incident}))

    async def append(self, remote: str, update: PublicUpdate) -> Remote:
        changed = {"incident": self._fields(update)}
        return _remote(await self._api.ask("PATCH", f"incidents/{remote}", changed))

    def _fields(self, update: PublicUpdate) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "status": update.stage.value,
            "body": cut(update.message, 25_000),
            "deliver_notifications": update.notify,
        }
        if update.components:
            fields["components"] = {name: _STATUSES[status] for name, status in update.components}
            fields["component_ids"] = [name for name, _ in update.components]
        return fields

    async def component(self, component: str) -> ComponentStatus | None:
        found = await self._api.ask("GET", f"components/{component}")
        return _MEANINGS.get(found["status"])

    async def set_component(self, component: str, status: ComponentStatus) -> None:
        await self._api.ask("PATCH", f"components/{component}", {"component": {"status": _STATUSES[status]}})


def _remote(incident: Mapping[str, Any]) -> Remote:
    """Updates come newest first."""
    updates = incident.get("incident_updates") or [{}]
    newest = updates[0]
    return Remote(
        str(incident["id"]), str(newest.get("id", "")), str(newest.get("body", "")), incident["status"] != "resolved"
    )
