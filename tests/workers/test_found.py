"""A plain `sentinel run redis://…` beside real workers: what it finds, and what it opens when some are killed."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from sentinel.embedded import EmbeddedServer
from tests.acceptance.daemons import sentinel
from tests.workers.systems import SYSTEMS, at_hand

pytestmark = pytest.mark.slow

INTERVAL = 5.0


async def test_three_systems_at_once_are_found_and_shown_within_two_intervals(
    running: EmbeddedServer, tmp_path: Path
) -> None:
    systems = at_hand("celery", "rq", "bullmq")
    with ExitStack() as stack:
        for system in systems:
            stack.enter_context(system.worker(running.port, "w1", tmp_path / f"{system.name}.log"))
            system.tell(running.port, "enqueue", "6", str(tmp_path / "never"))
        async with sentinel(tmp_path, running.url) as daemon:
            for system in systems:
                told = {"queue": system.queue, "system": system.name}
                await daemon.shows(lambda depth: 4 <= depth <= 5, "queue_depth", 2 * INTERVAL, **told)
                await daemon.shows(lambda age: age > 0, "queue_oldest_age_seconds", 2 * INTERVAL, **told)
                await daemon.shows(lambda count: count >= 1, "queue_in_flight", 2 * INTERVAL, **told)
                await daemon.shows(lambda age: age < 15, "heartbeat_age_seconds", 2 * INTERVAL, system=system.name)
                assert daemon.said(f"found {system.name}: {system.queue}")


@pytest.mark.parametrize("name", [system.name for system in SYSTEMS])
async def test_a_fifth_of_a_fleet_that_is_killed_is_told_within_three_times_its_dead_after(
    running: EmbeddedServer, tmp_path: Path, name: str
) -> None:
    """A worker that is known by its connection alone is lost where work waits; where none does, it may be scaled in."""
    (system,) = at_hand(name)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(system.worker(running.port, f"w{number}", tmp_path / f"{number}.log"))
            for number in range(5)
        ]
        async with sentinel(tmp_path, running.url) as daemon:
            if not system.greets:
                system.tell(running.port, "enqueue", "20", str(tmp_path / "first"))
                await daemon.shows(lambda depth: depth > 0, "queue_depth", queue=system.queue, system=name)
                (tmp_path / "first").touch()
            await daemon.shows(lambda count: count == 5, "discovered_workers", 60.0, system=name)
            if system.offers.heartbeat == "estimate":
                system.tell(running.port, "enqueue", "40", str(tmp_path / "never"))
                await daemon.shows(lambda depth: depth > 0, "queue_depth", queue=system.queue, system=name)
            dead_after = await daemon.shows(lambda seconds: seconds > 0, "heartbeat_dead_after_seconds", system=name)
            workers[0].signal(signal.SIGKILL)
            within = 3 * dead_after
            await daemon.shows(lambda n: n >= 1, "sentinel_incidents_opened_total", within, cause="lost_workers")
