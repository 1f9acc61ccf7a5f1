"""The troubles that a drill can make, and those that only look like one.

Each is a few lines of what really happens to servers: connections that are forgotten, jobs that nobody takes, a
network that loses bytes. A scenario runs until it is cancelled or its own bound is reached; what it opens is the
victim's to close.

Knows how to make trouble and what it should be called. Must not know who watches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import Random

from sentinel.clock import Clock
from sentinel.drill.proxy import Fault, Proxy
from sentinel.drill.victim import KEYS, LOST, TTL, Victim
from sentinel.model import Seconds
from sentinel.samplers.link import Link

__all__ = ["BEATS", "BY_NAME", "QUEUE", "Scenario", "Stage", "World"]

QUEUE = f"{KEYS}jobs"
"""The list in which a drill's jobs wait; a Sentinel that is to see them is told of it in YAML."""
BEATS = f"{KEYS}beats"
"""The sorted set of its workers by their last beat."""
FULL = frozenset({"leak", "masked_leak", "exhaustion"})


@dataclass
class World:
    """What a scenario has to work with."""

    victim: Victim
    room: int
    """Connections that the server still takes."""
    scale: float = 1.0
    """How many times faster the watching Sentinel takes its time."""
    proxy: Proxy | None = None
    """Between the watching Sentinel and the server, if there is one."""
    seed: int = 7


@dataclass(frozen=True)
class Stage:
    """One trouble, and what it should be called.

    Args:
        make: Makes it until cancelled.
        causes: Names that are right; empty for a look-alike, of which nothing should be told.
        culprit: Part of the culprit's name; empty where nobody can be named.
        lasts: Seconds, of the watching Sentinel's, after which an alert would be too late.
        usual: Seconds, of the same, of ordinary life before it, so that there is something to compare with.
        fills: Connections a second by which the server fills, where it does: gives the lead.
    """

    make: Callable[[World], Awaitable[None]]
    causes: frozenset[str] = frozenset()
    culprit: str = ""
    lasts: Seconds = 600.0
    usual: Seconds = 0.0
    fills: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """A drill: one stage after another."""

    says: str
    stages: tuple[Stage, ...]
    needs_proxy: bool = False
    needs_queue: bool = False

    @property
    def quiet(self) -> bool:
        """Whether it only looks like trouble."""
        return not any(stage.causes for stage in self.stages)


# Connections


async def _leak(name: str, rate: float, at_once: int, world: World) -> None:
    """Each failed request opens a connection, uses it once and forgets it."""
    dice = Random(f"{world.seed} {name}")
    with suppress(OverflowError, *LOST):
        while True:
            await asyncio.sleep(dice.expovariate(rate / at_once))
            for _ in range(at_once):
                link = await world.victim.open(name)
                await world.victim.ask(link, "GET", f"{KEYS}nothing")


async def _flood(name: str, part: float, world: World) -> None:
    """A burst of traffic: much of the room that is left within seconds, and each connection is used."""
    wanted = int(part * world.room)
    with suppress(OverflowError, *LOST):
        links = []
        for number in range(wanted):
            links.append(await world.victim.open(name))
            if number % 10 == 9:
                await asyncio.sleep(0.1)
        await _use(world.victim, links, forever=True)


async def _churn(at_once: int, world: World) -> None:
    """A client without a pool: it connects, asks one thing, goes, and comes again."""

    async def one() -> None:
        while True:
            with suppress(*LOST):
                link = await world.victim.open("drill-churn")
                await world.victim.ask(link, "GET", f"{KEYS}nothing")
                await world.victim.close(link)
            await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(one())


async def _use(victim: Victim, links: list[Link], forever: bool = False) -> None:
    """Connections at work: each asks something every second or so."""
    with suppress(*LOST):
        while True:
            for link in links:
                await victim.ask(link, "GET", f"{KEYS}nothing")
            await asyncio.sleep(0.5)
            if not forever:
                return


# The server


async def _freeze(world: World) -> None:
    """It answers nobody, for a while that the server itself bounds."""
    link = await world.victim.open("drill-freeze")
    milliseconds = int(1000 * min(120.0, 10.0 + 90.0 / world.scale))
    with suppress(*LOST):
        await world.victim.ask(link, "CLIENT", "PAUSE", milliseconds, "ALL")
    await asyncio.sleep(milliseconds / 1000)


_BUSY = "local x = 0 for i = 1, tonumber(ARGV[1]) do x = x + i end return 1"
"""Work that is bounded by its turns: within a script the clock stands still."""
_BUSY_FOR: Seconds = 0.4


async def _slow(world: World) -> None:
    """Scripts that take too long, one after another with hardly a pause."""
    loop, link, turns = asyncio.get_running_loop(), await world.victim.open("drill-slow"), 1e6
    with suppress(*LOST):
        while True:
            begun = loop.time()
            await world.victim.ask(link, "EVAL", _BUSY, 0, int(turns))
            turns *= min(4.0, max(0.5, _BUSY_FOR / max(0.001, loop.time() - begun)))
            await asyncio.sleep(0.05)


async def _outage(fault: Fault, world: World) -> None:
    """The network between the watcher and a server that is well."""
    assert world.proxy is not None
    world.proxy.set_fault(fault)
    try:
        await asyncio.Event().wait()
    finally:
        world.proxy.set_fault("none")


# Queues and workers


async def _produce(world: World, a_second: float) -> None:
    dice, link = Random(f"{world.seed} jobs"), await world.victim.open("drill-producer")
    while True:
        await asyncio.sleep(dice.expovariate(a_second))
        await world.victim.exchange(link, ("LPUSH", QUEUE, "job"), ("EXPIRE", QUEUE, int(TTL)))


async def _consume(world: World, lasts: Seconds | None) -> None:
    """Takes jobs as they come, and after a while no more, on a connection that stays."""
    loop, link = asyncio.get_running_loop(), await world.victim.open("drill-consumer")
    end = None if lasts is None else loop.time() + lasts
    while end is None or loop.time() < end:
        await world.victim.ask(link, "RPOP", QUEUE)
        await asyncio.sleep(0.05)


async def _stuck_queue(world: World) -> None:
    """A queue that was served, until its worker no longer takes anything, though it is still connected."""
    with suppress(*LOST):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_produce(world, 4.0))
            await _consume(world, 20.0 + 300.0 / world.scale)


async def _dead_workers(world: World) -> None:
    """Eight workers beat; after a while half of them do no longer, without having signed off."""
    link, clock = await world.victim.open("drill-worker"), Clock()
    silent_from = asyncio.get_running_loop().time() + 10.0 + 60.0 / world.scale
    with suppress(*LOST):
        while True:
            living = range(8) if asyncio.get_running_loop().time() < silent_from else range(4)
            beats = [("ZADD", BEATS, clock.now(), f"drill-worker-{number}") for number in living]
            await world.victim.exchange(link, *beats, ("EXPIRE", BEATS, int(TTL)))
            await asyncio.sleep(1.0)


# What only looks like trouble


async def _deploy(world: World) -> None:
    """Pools of three services are opened anew beside the old ones, which then go; twice."""
    names, size = ("drill-api", "drill-web", "drill-mail"), max(2, world.room // 30)
    old: list[Link] = []
    with suppress(*LOST):
        for _ in range(3):
            new = [await world.victim.open(name) for name in names for _ in range(size)]
            for _ in range(6):
                await _use(world.victim, new)
            await world.victim.close(*old) if old else None
            old = new
        await _use(world.victim, old, forever=True)


async def _scale_out(world: World) -> None:
    """One process after another joins, each with a pool that is used."""
    size = max(2, world.room // 40)
    links: list[Link] = []
    with suppress(*LOST):
        for number in range(1, 7):
            links += [await world.victim.open(f"drill-app-{number}") for _ in range(size)]
            for _ in range(6):
                await _use(world.victim, links)
        await _use(world.victim, links, forever=True)


async def _batch(world: World) -> None:
    """A bulk of jobs at once, which the workers then work off."""
    link = await world.victim.open("drill-producer")
    with suppress(*LOST):
        await world.victim.exchange(link, *[("LPUSH", QUEUE, "job")] * 400, ("EXPIRE", QUEUE, int(TTL)))
        await _consume(world, None)


def _leaking(name: str, rate: float = 2.0, at_once: int = 1) -> Stage:
    return Stage(partial(_leak, name, rate, at_once), FULL, name, usual=120.0, fills=rate)


_CUT = frozenset({"unreachable", "frozen"})
BY_NAME: Mapping[str, Scenario] = {
    "leak": Scenario("an endpoint forgets its connections, one by one", (_leaking("drill-leak"),)),
    "burst-leak": Scenario("the same, six at a time", (_leaking("drill-burst", 2.0, 6),)),
    "second-leak": Scenario(
        "a leak is mended, and a second one stands behind it", (_leaking("drill-first"), _leaking("drill-second"))
    ),
    "flood": Scenario(
        "connections jump",
        (Stage(partial(_flood, "drill-flood", 0.6), frozenset({"flood", "exhaustion"}), "", 300.0, 300.0, 100.0),),
    ),
    "churn": Scenario(
        "connections come and go all the time", (Stage(partial(_churn, 4), frozenset({"churn"}), "", 900.0, 720.0),)
    ),
    "freeze": Scenario("the server answers nobody", (Stage(_freeze, _CUT, "", 300.0, 60.0),)),
    "slow": Scenario("long scripts hold the server up", (Stage(_slow, frozenset({"latency"}), "", 600.0, 300.0),)),
    "stuck-queue": Scenario(
        "workers no longer take jobs", (Stage(_stuck_queue, frozenset({"stall", "backlog"}), "", 3600.0),), False, True
    ),
    "dead-workers": Scenario(
        "half of the workers are gone", (Stage(_dead_workers, frozenset({"lost_workers"}), "", 900.0),), False, True
    ),
    "outage-cut": Scenario(
        "the network refuses", (Stage(partial(_outage, "cut"), _CUT, "", 300.0, 60.0),), needs_proxy=True
    ),
    "outage-drop": Scenario(
        "the network loses all bytes", (Stage(partial(_outage, "drop"), _CUT, "", 300.0, 60.0),), needs_proxy=True
    ),
    "outage-delay": Scenario(
        "the network is slow",
        (Stage(partial(_outage, "delay"), frozenset({"latency"}), "", 600.0, 300.0),),
        needs_proxy=True,
    ),
    "deploy": Scenario("looks like a leak: pools of old and new side by side", (Stage(_deploy),)),
    "scale-out": Scenario("looks like a leak: more processes, each with a pool", (Stage(_scale_out),)),
    "batch": Scenario("looks like a stall: many jobs at once", (Stage(_batch),), False, True),
}
"""Every drill by its name."""
