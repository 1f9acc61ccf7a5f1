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

from sentinel.model import ComponentStatus, PublicUpdate, Seconds, Secret
from sentinel.notifiers.base import Attempt
from sentinel.statuspages.api import Api
from sentinel.statuspages.base import Page, Remote, StatusPage

__all__ = ["Gatus", "UptimeKuma", "gatus_path", "kuma_path"]


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

        def path(component: str, up: bool) -> tuple[str, str]:
            return "POST", gatus_path(component, "" if up else "reported by Sentinel")

        return _Page(Api(self, session, self.url.rstrip("/"), headers, attempt.now), path)


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
            return "GET", kuma_path(self.tokens[component], "" if up else "reported by Sentinel")

        return _Page(Api(self, session, self.url.rstrip("/"), {}, attempt.now), path)


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


def gatus_path(endpoint: str, trouble: str, took: Seconds | None = None) -> str:
    """Where Gatus is told how an external endpoint is; it makes its keys by putting a dash for what a path cannot hold.

    Args:
        endpoint: `group/name`, as Gatus's configuration has them.
        trouble: What is wrong; empty if nothing.
        took: How long it took to find out.

    >>> gatus_path("core/background jobs", "reported by Sentinel")
    'api/v1/endpoints/core_background-jobs/external?success=false&error=reported%20by%20Sentinel'
    """
    group, _, name = endpoint.rpartition("/")
    key = "_".join(quote(re.sub(r"[ /_,.#+&]", "-", part), safe="") for part in (group, name))
    error = f"&error={quote(trouble, safe='')}" if trouble else ""
    duration = "" if took is None else f"&duration={took * 1000:.0f}ms"
    return f"api/v1/endpoints/{key}/external?success={'false' if trouble else 'true'}{error}{duration}"


def kuma_path(token: Secret, trouble: str, took: Seconds | None = None) -> str:
    """Where Uptime Kuma is told how a push monitor is; arguments as of `gatus_path`.

    >>> kuma_path(Secret("t0"), "", took=0.25)
    'api/push/t0?status=up&msg=OK&ping=250'
    """
    word = quote(trouble or "OK", safe="")
    ping = "" if took is None else f"{took * 1000:.0f}"
    return f"api/push/{quote(token.reveal(), safe='')}?status={'down' if trouble else 'up'}&msg={word}&ping={ping}"
