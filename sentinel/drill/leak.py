"""A leak: an endpoint that opens a connection on its error path, uses it once, and forgets it.

Knows how to leak and how to clean up after itself. It holds a bounded number of connections, ends by itself, and
closes all of them when it is left, however that happens: a drill may hurt its server, but not for longer than it runs.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from random import Random
from types import TracebackType

from redis.asyncio.connection import Connection

from sentinel.drill.clients import LOST, ask, full, open_connection
from sentinel.model import Seconds

__all__ = ["Leak"]


class Leak:
    """Failed requests, each of which costs the server a connection.

    Args:
        port: Of a server on loopback.
        name: What the connections call themselves; empty for none.
        rate: Failed requests a second on average; they come at random, as errors do.
        at_most: Connections held at once; then it stops.
        lasts: Seconds after which it stops.
        seed: Of when the requests fail.

    Use it as a context manager around `run`: leaving it closes what was leaked.
    """

    def __init__(
        self, port: int, *, name: str, rate: float, at_most: int = 1000, lasts: Seconds = 600.0, seed: int = 7
    ) -> None:
        if not rate > 0:
            raise ValueError(f"the rate of a leak must be above 0 a second, got {rate}")
        self.port, self.name, self.rate, self.at_most, self.lasts = port, name, rate, at_most, lasts
        self.refused = asyncio.Event()
        """Set when the server refused one for want of room."""
        self._random = Random(seed)
        self._forgotten: list[Connection] = []

    @property
    def held(self) -> int:
        """How many connections are leaked and open."""
        return len(self._forgotten)

    async def run(self) -> None:
        """Leak until the cap, the time, a refusal or a cancellation."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.lasts
        while self.held < self.at_most:
            wait = self._random.expovariate(self.rate)
            if loop.time() + wait >= end:
                return
            await asyncio.sleep(wait)
            try:
                await self._fail_a_request()
            except LOST as error:
                if full(error):
                    self.refused.set()
                return

    async def close(self) -> None:
        """Recycle the process, as it were: all that was leaked is closed."""
        async with AsyncExitStack() as stack:
            while self._forgotten:
                stack.push_async_callback(self._forgotten.pop().disconnect, nowait=True)

    async def __aenter__(self) -> Leak:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _fail_a_request(self) -> None:
        """Ask once for what the request wanted, fail, and never think of the connection again."""
        opened = await open_connection(self.port, self.name)
        self._forgotten.append(opened)
        try:
            await ask(opened, "GET", f"assembly:{self.held}:status")
        except LOST:
            self._forgotten.remove(opened)
            await opened.disconnect(nowait=True)
            raise
