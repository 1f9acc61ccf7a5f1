"""Real workers of all job systems at once beside a plain daemon: ordinary life is quiet, a loss and a halt are told."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.daemons import Running, sentinel
from tests.servers import REDIS, server
from tests.workers.systems import SYSTEMS, System, Worker, at_hand

pytestmark = pytest.mark.slow

APART = ("bull", "huey", "bee")
"""Bull has the keys of BullMQ, and Huey's workers are not told from those of Celery and Sidekiq."""
TOGETHER = tuple(system.name for system in SYSTEMS if system.name not in APART)
CAUSES = ("stall", "backlog", "lost_workers", "failing_jobs", "idle_spin", "clock_skew")
OPENED = "sentinel_incidents_opened_total"


class Life:
    """What happens to some systems on one server, one thing after the other, while a daemon looks on."""

    def __init__(self, systems: list[System], port: int, directory: Path, stack: ExitStack) -> None:
        self.systems, self.directory = systems, directory
        self._port, self._stack = port, stack
        self.daemon: Running

    def start(self, *names: str) -> list[Worker]:
        """A worker of each by each of these names."""
        return [
            self._stack.enter_context(system.worker(self._port, name, self.directory / f"{system.name}-{name}.log"))
            for name in names
            for system in self.systems
        ]

    async def tell(self, *words: str, to: Callable[[System], bool] = lambda system: True) -> None:
        """Have each do something."""
        for system in filter(to, self.systems):
            await asyncio.to_thread(system.tell, self._port, *words)

    async def work(self, gate: str) -> None:
        """Jobs are enqueued, wait for a while, and are done."""
        await self.tell("enqueue", "20", str(self.directory / gate))
        await self.shows_depth(lambda depth: depth > 0)
        (self.directory / gate).touch()
        await self.shows_depth(lambda depth: depth == 0)

    async def shows_depth(self, wanted: Callable[[float], bool]) -> None:
        """Of every queue."""
        for system in self.systems:
            await self.daemon.shows(wanted, "queue_depth", 60.0, queue=system.queue, system=system.name)

    async def shows_workers(self, count: int) -> None:
        """So many of each are known."""
        for system in self.systems:
            await self.daemon.shows(lambda known: known == count, "discovered_workers", 90.0, system=system.name)

    async def passes(self, polls: int) -> None:
        """So many polls more are taken."""
        until = (await self.daemon.metric("sentinel_polls_total") or 0.0) + polls
        await self.daemon.shows(lambda taken: taken >= until, "sentinel_polls_total", 30.0 + 10.0 * polls)


async def live(directory: Path, story: Callable[[Life], Awaitable[None]]) -> None:
    """The story of all systems, on two servers at the same time."""

    async def on_one(systems: list[System]) -> None:
        own = directory / systems[0].name
        own.mkdir()
        with server(binary=REDIS) as running, ExitStack() as stack:
            life = Life(systems, running.port, own, stack)
            async with sentinel(own, running.url) as life.daemon:
                await story(life)

    async with asyncio.TaskGroup() as group:
        for systems in [at_hand(*names) for names in (TOGETHER, APART)]:
            group.create_task(on_one(systems))


async def test_work_a_pause_delayed_jobs_a_scale_in_and_a_rolling_restart_wake_nobody(tmp_path: Path) -> None:
    """A queue that is left paused with work waiting is information, after a minute."""

    async def story(life: Life) -> None:
        first, second = life.start("w1"), life.start("w2")
        await life.work("first")
        await life.shows_workers(2)
        await life.tell("later", "4", to=lambda system: system.delays)
        pauses = [system for system in life.systems if system.pauses]
        await life.tell("pause", to=pauses.__contains__)
        await life.tell("enqueue", "8", str(life.directory / "paused"), to=pauses.__contains__)
        told = {"cause": "stall", "severity": "info"}
        await life.daemon.shows(lambda count: count == len(pauses), OPENED, 90.0, **told)
        (life.directory / "paused").touch()
        await life.tell("resume", to=pauses.__contains__)
        await life.shows_depth(lambda depth: depth == 0)
        for worker in first:
            worker.ask_to_stop()
        await life.shows_workers(1)
        life.start("w3")
        for worker in second:
            worker.ask_to_stop()
        await life.work("second")
        await life.passes(12)
        for cause in CAUSES:
            for severity in ("warning", "critical"):
                assert not await life.daemon.metric(OPENED, cause=cause, severity=severity), life.daemon.log

    await live(tmp_path, story)


async def test_workers_that_are_stopped_while_work_waits_are_a_stall(tmp_path: Path) -> None:
    """Their connections stay, and to some the server hands a job, which is then in flight."""

    async def story(life: Life) -> None:
        workers = life.start("w1")
        for number in range(3):
            await life.work(f"gate{number}")
        await life.shows_workers(1)
        for worker in workers:
            worker.signal(signal.SIGSTOP)
        await life.tell("enqueue", "8", str(life.directory / "never"))
        told = {"cause": "stall", "severity": "critical"}
        await life.daemon.shows(lambda count: count == len(life.systems), OPENED, 150.0, **told)

    await live(tmp_path, story)


async def test_a_fifth_of_any_fleet_that_is_killed_is_told_within_three_times_its_dead_after(tmp_path: Path) -> None:
    """A worker that is known by its connection alone is lost where work waits; where none does, it may be scaled in."""

    async def story(life: Life) -> None:
        first, _ = life.start("w1"), life.start("w2", "w3", "w4", "w5")
        await life.work("first")
        await life.shows_workers(5)
        await life.tell("enqueue", "40", str(life.directory / "never"))
        await life.shows_depth(lambda depth: depth > 0)
        ends = {
            system.name: 3 * await life.daemon.shows(bool, "heartbeat_dead_after_seconds", system=system.name)
            for system in life.systems
        }
        for worker in first:
            worker.signal(signal.SIGKILL)
        killed = asyncio.get_running_loop().time()
        for name in sorted(ends, key=ends.__getitem__):
            left = killed + ends[name] - asyncio.get_running_loop().time()
            await life.daemon.says(f"1 of 5 workers of {name}", within=left)

    await live(tmp_path, story)
