"""Better Stack status reports.

Knows reports, their updates, and that its errors are one string. There are neither drafts nor idempotency: what was
made before an answer was lost is found by the exact time at which it began and its title. An update must name every
resource. Source: reference/delivery.md 5.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp

from sentinel.model import ComponentStatus, PublicUpdate, Secret, Stage
from sentinel.notifiers.base import Attempt
from sentinel.notifiers.wording import rfc3339
from sentinel.statuspages.api import Api
from sentinel.statuspages.base import Page, Remote, StatusPage

__all__ = ["BetterStack"]

_STATUSES = {
    ComponentStatus.OPERATIONAL: "degraded",  # while it is watched: a report of which all is resolved is over
    ComponentStatus.DEGRADED: "degraded",
    ComponentStatus.PARTIAL: "degraded",
    ComponentStatus.MAJOR: "downtime",
}
_PER_PAGE = 250


@dataclass(frozen=True, kw_only=True)
class BetterStack(StatusPage):
    """Keeps status reports of one Better Stack status page.

    Args:
        page: The status page's id, digits.
        token: An API token of the team.
        url: Of the API.
    """

    kind: ClassVar[str] = "better_stack"
    rate: ClassVar[float] = 0.3
    drafts: ClassVar[bool] = False
    sets_components: ClassVar[bool] = False

    page: str
    token: Secret
    url: str = "https://uptime.betterstack.com/api/v2"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.page.isdigit():
            raise ValueError(f"page must be the digits of the page's id, got {self.page!r}")

    def open(self, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt) -> Page:
        """The page's API, for one update."""
        return _Page(self, session, attempt)


class _Page(Page):
    """One update on the page. Resources have no status of their own: it comes from their monitors and reports."""

    def __init__(self, settings: BetterStack, session: aiohttp.ClientSession, attempt: Attempt) -> None:
        headers = {"authorization": f"Bearer {settings.token.reveal()}"}
        self._api = Api(settings, session, f"{settings.url}/status-pages/{settings.page}", headers, attempt.now)

    async def find(self, update: PublicUpdate) -> Sequence[Remote]:
        """By the exact beginning and the title, among those without an end."""
        listed = await self._api.ask("GET", f"status-reports?page=1&per_page={_PER_PAGE}")
        started, title = rfc3339(update.started), update.title
        ours = [
            report["id"]
            for report in listed["data"]
            if report["attributes"]["ends_at"] is None
            and (report["attributes"]["starts_at"], report["attributes"]["title"]) == (started, title)
        ]
        return [remote for each in sorted(ours, key=int) if (remote := await self.read(each)) is not None]

    async def read(self, remote: str) -> Remote | None:
        found = await self._api.look(f"status-reports/{remote}")
        if found is None:
            return None
        updates = (await self._api.ask("GET", f"status-reports/{remote}/status-updates"))["data"]
        newest: Any = max(updates, key=lambda update: int(update["id"]), default={"id": "", "attributes": {}})
        is_open = found["data"]["attributes"]["aggregate_state"] != "resolved"
        return Remote(remote, str(newest["id"]), str(newest["attributes"].get("message", "")), is_open)

    async def create(self, update: PublicUpdate) -> Remote:
        body = {
            "title": update.title,
            "report_type": "manual",
            "starts_at": rfc3339(update.started),
            **self._fields(update),
        }
        made = await self._api.ask("POST", "status-reports", body)
        return await self._read_back(str(made["data"]["id"]))

    async def append(self, remote: str, update: PublicUpdate) -> Remote:
        body = self._fields(update)
        await self._api.ask("POST", f"status-reports/{remote}/status-updates", body)
        return await self._read_back(remote)

    async def _read_back(self, remote: str) -> Remote:
        found = await self.read(remote)
        return found or Remote(remote, "", "", False)

    def _fields(self, update: PublicUpdate) -> dict[str, Any]:
        over = update.stage is Stage.RESOLVED
        return {
            "message": update.message,
            "notify_subscribers": update.notify,
            "affected_resources": [
                {"status_page_resource_id": name, "status": "resolved" if over else _STATUSES[status]}
                for name, status in update.components
            ],
        }
