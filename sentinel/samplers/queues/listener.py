"""Hearing what workers publish, on a connection of its own that is opened only where there are such workers.

Nobody waits for messages: they are taken from the connection at each poll, at most so many, and what the server holds
back meanwhile is bounded by its own limit for subscribers (32 MB), at which it would close the connection.

Knows subscribing and reading what has come. Must not know what a message means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from redis.exceptions import RedisError

from sentinel.model import Seconds
from sentinel.samplers.base import SamplerError
from sentinel.samplers.dial import Dialer
from sentinel.samplers.link import Link
from sentinel.samplers.queues.base import text

__all__ = ["Listener"]

_NAME = "sentinel-listener"
_MOST = 5000
_BREATH: Seconds = 0.005
"""A message that has arrived is read within this; what comes later is for the next poll."""
_RETRY: Seconds = 30.0


class Listener:
    """What was published since the last call.

    Args:
        dialer: Opens the connection.
        timeout: Bound of opening it.
    """

    def __init__(self, dialer: Dialer, timeout: Seconds) -> None:
        self._dialer, self._timeout = dialer, timeout
        self._link: Link | None = None
        self._patterns: frozenset[str] = frozenset()
        self._next_dial = 0.0

    async def hear(self, patterns: Collection[str]) -> list[tuple[str, bytes]]:
        """Channel and payload of each message, oldest first; nothing while the connection is not there.

        Raises:
            SamplerError: it could not be opened, or was lost; the next try is half a minute later.
        """
        wanted = frozenset(patterns)
        if wanted != self._patterns:
            await self.close()
            self._patterns, self._next_dial = wanted, 0.0
        if not wanted or not await self._open(sorted(wanted)):
            return []
        assert self._link is not None
        try:
            return await self._heard(self._link)
        except (RedisError, OSError) as error:
            await self.close()
            raise SamplerError("reset", f"the events of workers are not heard: {error}") from None

    async def close(self) -> None:
        """Give the connection back."""
        link, self._link = self._link, None
        if link:
            await link.close()

    @staticmethod
    async def _heard(link: Link) -> list[tuple[str, bytes]]:
        found: list[tuple[str, bytes]] = []
        while len(found) < _MOST and (message := await link.pushed(_BREATH)) is not None:
            if isinstance(message, list) and len(message) == 4:
                found.append((text(message[2]), message[3]))
        return found

    async def _open(self, wanted: Collection[str]) -> bool:
        loop = asyncio.get_running_loop()
        if self._link is None and loop.time() >= self._next_dial:
            self._next_dial = loop.time() + _RETRY
            try:
                async with asyncio.timeout(self._timeout):
                    self._link, replies = await self._dialer.open(_NAME, *(("PSUBSCRIBE", each) for each in wanted))
            except TimeoutError:
                raise SamplerError("timeout", "the events of workers are not heard: no answer in time") from None
            if refused := next((reply for reply in replies if isinstance(reply, RedisError)), None):
                await self.close()
                raise SamplerError("noperm", f"the events of workers are not heard: {refused}")
        return self._link is not None
