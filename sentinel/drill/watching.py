"""What a running Sentinel says, from outside: its API, asked again and again.

Knows the API's JSON as any client of it would; shares no line with the daemon. Must not know scenarios.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from sentinel.model import Seconds

__all__ = ["Heard", "Watcher"]

_EVERY: Seconds = 0.25
_TIMEOUT: Seconds = 5.0


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


class Watcher:
    """Follows the open incidents of a Sentinel.

    Args:
        pages: Where its pages are, such as http://127.0.0.1:9750.
        target: Only incidents of this target; empty: of all.
    """

    def __init__(self, pages: str, target: str = "") -> None:
        self.pages = pages.rstrip("/")
        self._target = target
        self._known: dict[str, Heard] = {}
        self._news = asyncio.Condition()
        self.failing = ""
        """Why it does not answer now; empty while it does."""

    @property
    def heard(self) -> list[Heard]:
        """All that was heard of, in the order of hearing."""
        return list(self._known.values())

    async def run(self) -> None:
        """Ask until cancelled."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await self._look(session)
                await asyncio.sleep(_EVERY)

    async def first(self, wanted: Callable[[Heard], bool]) -> Heard:
        """The first incident that is wanted: one that is known, or the next to come."""
        async with self._news:
            while True:
                found = next((heard for heard in self._known.values() if wanted(heard)), None)
                if found is not None:
                    return found
                await self._news.wait()

    async def _look(self, session: aiohttp.ClientSession) -> None:
        try:
            async with session.get(f"{self.pages}/api/v1/incidents") as answer:
                body = orjson.loads(await answer.read())
            incidents = body["incidents"]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
            self.failing = type(error).__name__
            return
        self.failing = ""
        at = asyncio.get_running_loop().time()
        async with self._news:
            for incident in incidents:
                if not self._target or incident["target"] == self._target:
                    self._take(incident, at)
            self._news.notify_all()

    def _take(self, incident: Mapping[str, Any], at: float) -> None:
        """What was known stays as it was heard first, but for what comes to be known later: who, and how bad."""
        known = self._known.get(incident["id"])
        self._known[incident["id"]] = Heard(known.at if known else at, incident)
