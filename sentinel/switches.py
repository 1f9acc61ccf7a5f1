"""Dead man's switches: what somebody else waits for, so that Sentinel's own end does not go unseen.

Each speaks one service's protocol: `begin` and `end` of a round, each one exchange that is never queued; the next round
says it better. Whether a round worked is decided in `sentinel.rounds`.

Knows URLs and answers. Must not know what a round is made of. Source: reference/delivery.md 5.8, 5.9 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

import aiohttp

from sentinel.model import Seconds, Secret
from sentinel.notifiers.base import Outcome
from sentinel.notifiers.http import Answer, HttpSettings, check, check_url, exchange, refused, said
from sentinel.notifiers.voice import Links, Templates
from sentinel.statuspages.push import gatus_path, kuma_path

__all__ = ["BY_NAME", "GatusSwitch", "Healthchecks", "Round", "Switch", "UptimeKumaSwitch"]


class Round(NamedTuple):
    """One round of all that Sentinel does, as it is told of."""

    id: UUID
    now: float
    """Unix seconds."""
    trouble: str = ""
    """What did not work; empty if all did."""
    took: Seconds = 0.0


@dataclass(frozen=True, kw_only=True)
class Switch(HttpSettings):
    """What all dead man's switches have in common.

    Args:
        interval: From one round to the next. Let the service wait for at least twice as long.
        max_outbox_age: A notification that has waited for longer than this makes a round fail.
    """

    kind: ClassVar[str]
    least_interval: ClassVar[Seconds]
    """What the service bears."""
    told_of_starts: ClassVar[bool] = False

    interval: Seconds = 60.0
    max_outbox_age: Seconds = 600.0

    def __post_init__(self) -> None:
        if self.interval < self.least_interval:
            raise ValueError(f"interval must be at least {self.least_interval:g} seconds, got {self.interval:g}")
        if self.templates != Templates() or self.links != Links():
            raise ValueError("templates must be left out here: a ping has no words")

    async def begin(self, session: aiohttp.ClientSession, round_: Round) -> None:
        """Tell that a round begins, if `told_of_starts`.

        Raises:
            DeliveryError: it did not work.
        """
        raise NotImplementedError

    async def end(self, session: aiohttp.ClientSession, round_: Round) -> None:
        """Tell how it went.

        Raises:
            DeliveryError: it did not work.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Healthchecks(Switch):
    """Healthchecks, hosted or one's own, and what speaks its protocol: start, then success or failure with the reason.

    Args:
        url: The check's ping URL, by its UUID or by ping key and slug.
        create: With a slug: make the check if there is none.
    """

    kind: ClassVar[str] = "healthchecks"
    least_interval: ClassVar[Seconds] = 30.0
    """Two pings a round, and the service takes five a minute."""
    told_of_starts: ClassVar[bool] = True

    url: Secret
    create: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_url("url", self.url, allow_http=self.allow_http)

    async def begin(self, session: aiohttp.ClientSession, round_: Round) -> None:
        """The service measures from here how long the round takes."""
        await self._ping(session, "/start", round_)

    async def end(self, session: aiohttp.ClientSession, round_: Round) -> None:
        """Success, or failure at once."""
        await self._ping(session, "/fail" if round_.trouble else "", round_)

    async def _ping(self, session: aiohttp.ClientSession, signal: str, round_: Round) -> None:
        asked = {"rid": str(round_.id)} | ({"create": "1"} if self.create else {})
        url = f"{self.url.reveal().rstrip('/')}{signal}?{urlencode(asked)}"
        headers = {"content-type": "text/plain; charset=utf-8"}
        answer = await exchange(session, self, url, body=round_.trouble.encode(), headers=headers)
        check(answer, self, round_.now, {409: Outcome.REJECTED_CONFIG})
        if "(" in answer.text:  # "OK (not found)", "OK (rate limited)": said with 200, and not taken
            raise refused(Outcome.REJECTED_CONFIG, answer, self, answer.text)


@dataclass(frozen=True, kw_only=True)
class _Pushed(Switch):
    """One that is told of each round's end alone.

    Args:
        url: Of the site.
        token: Of the endpoint or monitor.
    """

    least_interval: ClassVar[Seconds] = 5.0

    url: str
    token: Secret

    def __post_init__(self) -> None:
        super().__post_init__()
        check_url("url", Secret(self.url), allow_http=self.allow_http)

    async def _push(
        self, session: aiohttp.ClientSession, method: str, path: str, headers: Mapping[str, str], round_: Round
    ) -> Answer:
        url = f"{self.url.rstrip('/')}/{path}"
        answer = await exchange(session, self, url, headers=headers, method=method)
        check(answer, self, round_.now)
        return answer


@dataclass(frozen=True, kw_only=True)
class GatusSwitch(_Pushed):
    """An external endpoint of Gatus; its `heartbeat: interval:` there makes it a switch.

    Args:
        endpoint: `group/name`, as Gatus's configuration has them.
    """

    kind: ClassVar[str] = "gatus"

    endpoint: str

    async def end(self, session: aiohttp.ClientSession, round_: Round) -> None:
        """Up or down, with the reason and how long the round took."""
        headers = {"authorization": f"Bearer {self.token.reveal()}"}
        await self._push(session, "POST", gatus_path(self.endpoint, round_.trouble, round_.took), headers, round_)


@dataclass(frozen=True, kw_only=True)
class UptimeKumaSwitch(_Pushed):
    """A push monitor of Uptime Kuma, by the token in its push URL."""

    kind: ClassVar[str] = "uptime_kuma"

    async def end(self, session: aiohttp.ClientSession, round_: Round) -> None:
        """Up or down, with the reason and how long the round took."""
        answer = await self._push(session, "GET", kuma_path(self.token, round_.trouble, round_.took), {}, round_)
        if said(answer).get("ok") is not True:
            raise refused(Outcome.REJECTED_CONFIG, answer, self, answer.text)


BY_NAME: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {switch.kind: switch for switch in (Healthchecks, GatusSwitch, UptimeKumaSwitch)}
)
"""The switches by the `kind` that picks them in YAML."""
