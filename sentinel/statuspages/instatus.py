"""Instatus.

Knows its incidents, that they can be drafts, and that it lists updates with their texts. There is no idempotency: what
was made before an answer was lost is found by the exact time at which it began, and our reference in its text.
Source: reference/delivery.md 5.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp

from sentinel.model import ComponentStatus, PublicUpdate, Secret
from sentinel.notifiers.base import Attempt
from sentinel.notifiers.wording import rfc3339
from sentinel.statuspages.api import Api
from sentinel.statuspages.base import Page, Remote, StatusPage

__all__ = ["Instatus"]

_STATUSES = {
    ComponentStatus.OPERATIONAL: "OPERATIONAL",
    ComponentStatus.DEGRADED: "DEGRADEDPERFORMANCE",
    ComponentStatus.PARTIAL: "PARTIALOUTAGE",
    ComponentStatus.MAJOR: "MAJOROUTAGE",
}
_PER_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class Instatus(StatusPage):
    """Keeps incidents of one Instatus page.

    Args:
        page: The page's id.
        api_key: Of an owner of the page.
        url: Of the API.
    """

    kind: ClassVar[str] = "instatus"
    rate: ClassVar[float] = 0.3
    drafts: ClassVar[bool] = True
    sets_components: ClassVar[bool] = True

    page: str
    api_key: Secret
    url: str = "https://api.instatus.com"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.page.isalnum():
            raise ValueError(f"page must be the id of the page, letters and digits, got {self.page!r}")

    def open(self, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt) -> Page:
        """The page's API, for one update."""
        return _Page(self, session, about, attempt)


class _Page(Page):
    """One update on the page. The API gives no way to read a component."""

    def __init__(
        self,
        settings: Instatus,
        session: aiohttp.ClientSession,
        about: Mapping[str, Any],
        attempt: Attempt,
    ) -> None:
        self._ref = str(about["ref"])
        headers = {"authorization": f"Bearer {settings.api_key.reveal()}"}
        self._api = Api(settings, session, f"{settings.url}/v1/{settings.page}", headers, attempt.now)

    async def find(self, update: PublicUpdate) -> Sequence[Remote]:
        """By the exact beginning, and our reference in the first text."""
        listed = await self._api.listed(f"incidents?page=1&per_page={_PER_PAGE}&!status=RESOLVED")
        started = rfc3339(update.started)
        ours = [
            incident
            for incident in listed
            if incident.get("started") == started and any(self._ref in text for text in _texts(incident))
        ]
        return [_remote(incident, self._ref) for incident in reversed(ours)]

    async def read(self, remote: str) -> Remote | None:
        found = await self._api.look(f"incidents/{remote}")
        return None if found is None else _remote(found, self._ref)

    async def create(self, update: PublicUpdate) -> Remote:
        body = {
            "name": update.title,
            "started": rfc3339(update.started),
            "shouldPublish": not update.draft,
            **self._fields(update),
        }
        return _remote(await self._api.ask("POST", "incidents", body), self._ref)

    async def append(self, remote: str, update: PublicUpdate) -> Remote:
        await self._api.ask("PUT", f"incidents/{remote}", {"shouldPublish": not update.draft})
        body = self._fields(update) | {"started": rfc3339(update.started)}
        await self._api.ask("POST", f"incidents/{remote}/incident-updates", body)
        return _remote(await self._api.ask("GET", f"incidents/{remote}"), self._ref)

    def _fields(self, update: PublicUpdate) -> dict[str, Any]:
        return {
            "message": f"{update.message}\n\n{self._ref}",
            "status": update.stage.value.upper(),
            "notify": update.notify,
            "components": [name for name, _ in update.components],
            "statuses": [{"id": name, "status": _STATUSES[status]} for name, status in update.components],
        }

    async def set_component(self, component: str, status: ComponentStatus) -> None:
        await self._api.ask("PUT", f"components/{component}", {"status": _STATUSES[status]})


def _texts(incident: Mapping[str, Any]) -> list[str]:
    updates = incident.get("updates") or []
    return [str(incident.get("message", "")), *(str(update.get("message", "")) for update in updates)]


def _remote(incident: Mapping[str, Any], ref: str) -> Remote:
    """Updates come oldest first."""
    updates = incident.get("updates") or [{}]
    text = str(updates[-1].get("message", "")).removesuffix(ref).rstrip()
    return Remote(str(incident["id"]), str(updates[-1].get("id", "")), text, incident.get("status") != "RESOLVED")
