"""What a running Sentinel says, from outside: its API, asked again and again, or what it posts to a webhook.

Knows both JSONs as any client would; shares no line with the daemon. Must not know scenarios.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import aiohttp
import orjson

from sentinel.drill.receiver import Receiver
from sentinel.model import Seconds

__all__ = ["Heard", "PagesWatcher", "Watcher", "WebhookWatcher"]

_EVERY: Seconds = 0.25
_TIMEOUT: Seconds = 5.0
_NEWS = frozenset({"opened", "escalated"})
"""What a webhook must say of an incident that was not heard of before; a reminder is of an older one."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An incident as it was heard of first."""

    at: float
    """The loop's time."""
    incident: Mapping[str, Any]

    @property
    def cause(self) -> str:
        """What it is."""
        return str(self.incident["cause"])

    @property
    def severity(self) -> str:
        """How bad, when it was heard of."""
        return str(self.incident["severity"])

    @property
    def culprit(self) -> str:
        """Who does it; empty where nobody is named."""
        return str((self.incident.get("culprit") or {}).get("name", ""))

    @property
    def says(self) -> str:
        """Its summary."""
        return str(self.incident["summary"])


class Watcher(ABC):
    """Follows the incidents of a Sentinel.

    Args:
        where: It is listened to, for people.
        target: Only incidents of this target; empty: of all.
    """

    def __init__(self, where: str, target: str = "") -> None:
        self.where = where
        self._target = target
        self._known: dict[str, Heard] = {}
        self._news = asyncio.Condition()
        self.failing = ""
        """Why it does not answer now; empty while it does."""

    @property
    def heard(self) -> list[Heard]:
        """All that was heard of, in the order of hearing."""
        return list(self._known.values())

    @abstractmethod
    async def run(self) -> None:
        """Listen until cancelled."""

    async def first(self, wanted: Callable[[Heard], bool]) -> Heard:
        """The first incident that is wanted: one that is known, or the next to come."""
        async with self._news:
            while True:
                found = next((heard for heard in self._known.values() if wanted(heard)), None)
                if found is not None:
                    return found
                await self._news.wait()

    async def _take(self, incidents: Iterable[Mapping[str, Any]]) -> None:
        """What was known stays as it was heard first, but for what comes to be known later: who, and how bad."""
        at = asyncio.get_running_loop().time()
        async with self._news:
            for incident in incidents:
                if not self._target or incident["target"] == self._target:
                    known = self._known.get(incident["id"])
                    self._known[incident["id"]] = Heard(known.at if known else at, incident)
            self._news.notify_all()


class PagesWatcher(Watcher):
    """By its API.

    Args:
        pages: Where its pages are, such as http://127.0.0.1:9750.
        target: Only incidents of this target; empty: of all.
    """

    def __init__(self, pages: str, target: str = "") -> None:
        super().__init__(pages.rstrip("/"), target)

    async def run(self) -> None:
        """Ask until cancelled."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await self._look(session)
                await asyncio.sleep(_EVERY)

    async def _look(self, session: aiohttp.ClientSession) -> None:
        try:
            async with session.get(f"{self.where}/api/v1/incidents") as answer:
                body = orjson.loads(await answer.read())
            incidents = body["incidents"]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
            self.failing = type(error).__name__
            return
        self.failing = ""
        await self._take(incidents)


class WebhookWatcher(Watcher):
    """By what it posts: the whole way to those who are told.

    Args:
        receiver: Where it posts to; entered by the caller, so that its address is known.
        target: Only incidents of this target; empty: of all.

    It hears of what opens or escalates from now on, and cannot tell silence from a Sentinel that does not run.
    """

    def __init__(self, receiver: Receiver, target: str = "") -> None:
        super().__init__(receiver.url, target)
        self._receiver = receiver

    async def run(self) -> None:
        """Take what arrives until cancelled."""
        for number in count():
            arrival = await self._receiver.nth(number)
            if arrival.kind in _NEWS or arrival.incident["id"] in self._known:
                await self._take((arrival.incident,))
