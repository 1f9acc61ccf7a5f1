"""A server, and a target that watches it while real workers run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sentinel.embedded import EmbeddedServer
from sentinel.samplers.queues import Discovery
from sentinel.samplers.redis_clients import CensusSettings
from sentinel.samplers.target import Target, TargetSettings
from tests.servers import REDIS, server
from tests.workers.systems import SYSTEMS, System, at_hand

collect_ignore = ["apps"]
"""They import libraries of the workers' own environment."""
PATIENCE = 30.0
_PAUSE = 0.1


@dataclass(frozen=True)
class Gate:
    """The file for which jobs wait."""

    path: str

    def open(self) -> None:
        """Let them be done."""
        Path(self.path).touch()


class Watch:
    """Polls a target until what is waited for can be seen."""

    def __init__(self, target: Target, system: System, port: int, directory: Path) -> None:
        self.target, self.system, self.port, self.directory = target, system, port, directory
        self.values: dict[tuple[str, str], float] = {}
        """By metric without `queue_`, and queue, worker or group; `""` for the system's own queue."""

    async def poll(self) -> None:
        """One poll."""
        poll = await self.target.poll(time.time())
        self.values = {}
        for series, _, value, _ in poll.samples:
            about = dict(series.labels)
            if about.get("system") == self.system.name:
                place = about.get("queue") or about.get("worker") or about.get("group") or ""
                place = "" if place in (self.system.queue, "*") else place
                self.values[series.metric.removeprefix("queue_"), place] = value

    def value(self, metric: str, place: str = "") -> float | None:
        """The newest value, or None."""
        return self.values.get((metric, place))

    def ages(self) -> list[float]:
        """Seconds since the last sign of life of each worker."""
        return [value for (metric, _), value in self.values.items() if metric == "heartbeat_age_seconds"]

    async def until_known(self) -> None:
        """Poll until its worker is; where queues are known by their jobs only, after it has had some."""
        if not self.system.greets:
            gate = Gate(str(self.directory / "first"))
            self.system.tell(self.port, "enqueue", str(self.system.taken + 1), gate.path)
            await self.until(lambda: self.value("depth"))
            gate.open()
            await self.until(lambda: self.value("depth") == 0 and self.value("in_flight") in (0, None))
        await self.until(self.ages)

    async def until(self, seen: Callable[[], Any], patience: float = PATIENCE) -> None:
        """Poll until it can be seen."""
        end = time.monotonic() + patience
        await self.poll()
        while not seen():
            assert time.monotonic() < end, f"not seen in {patience:.0f} s: {self.values}; {self.target.notes()}"
            await asyncio.sleep(_PAUSE)
            await self.poll()


@pytest.fixture
def running() -> Iterator[EmbeddedServer]:
    with server(binary=REDIS) as started:
        yield started


@pytest.fixture(params=SYSTEMS, ids=lambda system: system.name)
def system(request: pytest.FixtureRequest) -> System:
    (found,) = at_hand(request.param.name)
    return found


@pytest.fixture
async def watch(running: EmbeddedServer, system: System, tmp_path: Path) -> AsyncIterator[Watch]:
    census = CensusSettings(interval=0.0, budget=1.0)
    target = Target(TargetSettings("a", running.url, census=census, discover=Discovery(interval=0.5)))
    yield Watch(target, system, running.port, tmp_path)
    await target.close()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(str(tmp_path / "go"))
