"""The ordinary life of a shop's Redis: services with pools, a queue with workers, and jobs that come and go.

Knows what a healthy server looks like to a watcher: connections that are used, a queue that comes down to nothing
again and again, workers that beat and sign off, short-lived clients. Nothing here misbehaves; that is what the
drills add. When the server has no room or is gone, each client waits a moment and comes back, as real ones do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from random import Random
from types import MappingProxyType

from redis.asyncio.connection import Connection

from sentinel.clock import Clock
from sentinel.drill.clients import LOST, ask, connection
from sentinel.model import Seconds

__all__ = ["HEARTBEATS", "QUEUE", "Background"]

QUEUE = "queue:encode"
"""Key of the list in which jobs wait."""
HEARTBEATS = "heartbeats:encode"
"""Key of the sorted set of workers by the Unix time of their last beat."""

_COME_BACK: Seconds = 0.5


@dataclass(frozen=True)
class Background:
    """What goes on at a server on loopback when all is well.

    The same seed gives the same decisions; how they interleave is up to the machine.
    """

    port: int
    pools: Mapping[str, int] = field(
        default_factory=lambda: MappingProxyType({"api-orders": 26, "api-upload": 18, "api-account": 14, "web": 10})
    )
    """Services by name, and how many connections each keeps."""
    requests: float = 20.0
    """A second, of each service; its connections take turns."""
    workers: int = 6
    jobs: float = 9.0
    """A second. A worker needs `job_seconds` for each, so that a fleet of six has room for 15 a second."""
    job_seconds: Seconds = 0.4
    beat: Seconds = 1.0
    """At least so often each worker gives a sign of life."""
    short_lived: float = 2.0
    """Clients a second that connect, do one thing, and go: cron jobs, deploy scripts, health checks."""
    seed: int = 7

    async def run(self) -> None:
        """Live until cancelled; then all connections are closed and all workers signed off."""
        async with asyncio.TaskGroup() as tasks:
            for name, size in self.pools.items():
                tasks.create_task(self._keep(name, partial(self._serve, name, size)))
            for number in range(1, self.workers + 1):
                name = f"worker-encode-{number}"
                tasks.create_task(self._keep(name, partial(self._work, name)))
            tasks.create_task(self._keep("producer", self._produce))
            tasks.create_task(self._keep("short-lived", self._come_and_go))

    async def _keep(self, name: str, live: Callable[[Random], Awaitable[None]]) -> None:
        """Live, and begin again after each loss of the server; dice of one's own, so that nobody disturbs another."""
        dice = Random(f"{self.seed} {name}")
        while True:
            try:
                await live(dice)
            except LOST:
                await asyncio.sleep(_COME_BACK)

    async def _serve(self, name: str, size: int, dice: Random) -> None:
        """A service: its pool is opened at once, and requests use the connections in turn."""
        async with AsyncExitStack() as stack:
            pool = [await stack.enter_async_context(connection(self.port, name)) for _ in range(size)]
            while True:
                for opened in pool:
                    await self._request(opened, dice)
                    await asyncio.sleep(dice.expovariate(self.requests))

    async def _request(self, opened: Connection, dice: Random) -> None:
        key = f"session:{dice.randrange(500)}"
        if dice.random() < 0.3:
            await ask(opened, "SET", key, dice.getrandbits(32), "EX", 60)
        else:
            await ask(opened, "GET", key)

    async def _work(self, name: str, dice: Random) -> None:
        """A worker: beats, waits for a job, does it. It signs off only when it is told to stop."""
        clock = Clock()
        async with connection(self.port, name) as opened:
            try:
                while True:
                    await ask(opened, "ZADD", HEARTBEATS, clock.now(), name)
                    if await ask(opened, "BRPOP", QUEUE, self.beat) is not None:
                        await asyncio.sleep(dice.uniform(0.5, 1.5) * self.job_seconds)
            except asyncio.CancelledError:
                await self._sign_off(name)
                raise

    async def _sign_off(self, name: str) -> None:
        """On a connection of its own, as the other may be in the middle of a reply."""
        try:
            async with connection(self.port, name) as opened:
                await ask(opened, "ZREM", HEARTBEATS, name)
        except LOST:
            return

    async def _produce(self, dice: Random) -> None:
        """Jobs come in little bunches, so that some wait for a moment."""
        async with connection(self.port, "producer") as opened:
            while True:
                await asyncio.sleep(dice.expovariate(self.jobs / 4))
                for _ in range(dice.randint(1, 7)):
                    await ask(opened, "LPUSH", QUEUE, f"job-{dice.getrandbits(32):08x}")

    async def _come_and_go(self, dice: Random) -> None:
        while True:
            await asyncio.sleep(dice.expovariate(self.short_lived))
            async with connection(self.port, f"cron-{dice.randrange(5)}") as opened:
                await ask(opened, "EXISTS", "session:1")
