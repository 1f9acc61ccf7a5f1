"""Pages that are only pushed: Gatus's external endpoints and Uptime Kuma's push monitors drive one component each.

Knows two URLs. Neither makes incidents: a component is well or it is not. Source: reference/delivery.md 5.8 and 5.9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

import aiohttp

from sentinel.model import ComponentStatus, PublicUpdate, Secret
from sentinel.notifiers.base import Attempt
from sentinel.statuspages.api import Api
from sentinel.statuspages.base import Page, Remote, StatusPage

__all__ = ["Gatus", "UptimeKuma"]


@dataclass(frozen=True, kw_only=True)
class _Pushed(StatusPage):
    """A page whose components are told that they are up or down.

    Args:
        url: Of the page.
    """

    rate: ClassVar[float] = 1.0
    drafts: ClassVar[bool] = False
    sets_components: ClassVar[bool] = True
    makes_incidents: ClassVar[bool] = False

    url: str


@dataclass(frozen=True, kw_only=True)
class Gatus(_Pushed):
    """External endpoints of Gatus. Components are `group/name`, as Gatus's configuration has them.

    Args:
        token: Of the endpoints.
    """

    kind: ClassVar[str] = "gatus"

    token: Secret

    def open(self, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt) -> Page:
        """The page's API, for one update."""
        headers = {"authorization": f"Bearer {self.token.reveal()}"}
        api = Api(self, session, f"{self.url.rstrip('/')}/api/v1/endpoints", headers, attempt.now)
        return _Page(api, _gatus_path)


@dataclass(frozen=True, kw_only=True)
class UptimeKuma(_Pushed):
    """Push monitors of Uptime Kuma. Components are named here, each with the token in its push URL.

    Args:
        tokens: By component.
    """

    kind: ClassVar[str] = "uptime_kuma"

    tokens: Mapping[str, Secret]

    def __post_init__(self) -> None:
        super().__post_init__()
        for rule in self.publish:
            if rule.component not in self.tokens:
                raise ValueError(f"tokens must have one for the component {rule.component}")

    def open(self, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt) -> Page:
        """The page's API, for one update."""

        def path(component: str, up: bool) -> tuple[str, str]:
            token = quote(self.tokens[component].reveal(), safe="")
            return "GET", f"{token}?status={'up' if up else 'down'}&msg={'OK' if up else 'reported+by+Sentinel'}&ping="

        return _Page(Api(self, session, f"{self.url.rstrip('/')}/api/push", {}, attempt.now), path)


class _Page(Page):
    """One update of components; everything about incidents is empty."""

    def __init__(self, api: Api, path: Any) -> None:
        self._api, self._path = api, path

    async def find(self, update: PublicUpdate) -> Sequence[Remote]:
        return ()

    async def read(self, remote: str) -> Remote | None:
        return None

    async def create(self, update: PublicUpdate) -> Remote:
        raise NotImplementedError("a pushed page makes no incidents")

    async def append(self, remote: str, update: PublicUpdate) -> Remote:
        raise NotImplementedError("a pushed page makes no incidents")

    async def set_component(self, component: str, status: ComponentStatus) -> None:
        method, path = self._path(component, status is ComponentStatus.OPERATIONAL)
        await self._api.ask(method, path)


def _gatus_path(component: str, up: bool) -> tuple[str, str]:
    """Gatus makes its keys by putting a dash for what a path cannot hold.

    >>> _gatus_path("core/background jobs", False)
    ('POST', 'core_background-jobs/external?success=false&error=reported+by+Sentinel')
    """
    group, _, name = component.rpartition("/")
    key = "_".join(re.sub(r"[ /_,.#+&]", "-", part) for part in (group, name))
    error = "" if up else "&error=reported+by+Sentinel"
    return "POST", f"{key}/external?success={'true' if up else 'false'}{error}"
