"""A plain `sentinel run redis://…` beside real workers: what it finds."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from sentinel.embedded import EmbeddedServer
from tests.acceptance.daemons import sentinel
from tests.workers.systems import at_hand

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
