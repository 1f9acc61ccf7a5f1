"""Real workers of every job system that can be had, on a real server: what is told of them and their queues.

asynq and Laravel are not here: they are read from recorded key layouts alone, in tests/samplers/adapters. So is Ruby's
Resque, which Debian does not have; its keys are those of node-resque, which is.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sentinel.embedded import EmbeddedServer
from tests.workers.conftest import Gate, Watch
from tests.workers.systems import SYSTEMS, System

pytestmark = pytest.mark.slow


def of(condition: Callable[[System], bool]) -> pytest.MarkDecorator:
    """Only the systems of which that holds."""
    chosen = [system for system in SYSTEMS if condition(system)]
    return pytest.mark.parametrize("system", chosen, indirect=True, ids=lambda system: system.name)


async def test_jobs_wait_are_worked_on_and_are_done(
    running: EmbeddedServer, system: System, watch: Watch, tmp_path: Path, gate: Gate
) -> None:
    with system.worker(running.port, "w1", tmp_path / "log"):
        await watch.until_known()
        before = time.time()
        system.tell(running.port, "enqueue", "6", gate.path)
        after = time.time()
        await watch.until(lambda: watch.value("depth") == watch.value("eligible") == 6 - system.taken)
        if system.in_flight is not None:
            await watch.until(lambda: watch.value("in_flight") == system.in_flight)
        age = watch.value("oldest_age_seconds")
        if age is not None:
            assert time.time() - after - 2 <= age <= time.time() - before + 2
        done = watch.value("completed_total") or 0.0
        gate.open()
        await watch.until(lambda: watch.value("depth") == 0)
        assert watch.value("oldest_age_seconds") in (0, None)
        if system.offers.progress != "no":
            await watch.until(lambda: (watch.value("completed_total") or 0) - done >= 5)
        if system.in_flight is not None:
            await watch.until(lambda: watch.value("in_flight") == 0)


async def test_a_killed_worker_is_lost_while_work_waits(
    running: EmbeddedServer, system: System, watch: Watch, tmp_path: Path, gate: Gate
) -> None:
    with system.worker(running.port, "w1", tmp_path / "log") as worker:
        await watch.until_known()
        system.tell(running.port, "enqueue", "6", gate.path)
        await watch.until(lambda: watch.value("depth") == 6 - system.taken)
        await watch.until(watch.ages)
        assert max(watch.ages()) < 10
        worker.signal(signal.SIGKILL)
        await watch.until(lambda: max(watch.ages(), default=0) > 12)
        assert not [place for metric, place in watch.values if metric == "worker_gone"]


@of(lambda system: system.hangs is not None)
async def test_a_stopped_worker_hangs(
    running: EmbeddedServer, system: System, watch: Watch, tmp_path: Path, gate: Gate
) -> None:
    with system.worker(running.port, "w1", tmp_path / "log") as worker:
        await watch.until_known()
        worker.signal(signal.SIGSTOP)
        await watch.until(lambda: max(watch.ages(), default=0) > 7, patience=system.hangs + 15)
        worker.signal(signal.SIGCONT)
        await watch.until(lambda: max(watch.ages(), default=9) < 6)


async def test_a_worker_that_stops_in_order_is_gone_and_not_lost(
    running: EmbeddedServer, system: System, watch: Watch, tmp_path: Path
) -> None:
    with system.worker(running.port, "w1", tmp_path / "log") as worker:
        await watch.until_known()
        worker.ask_to_stop()
        await watch.until(lambda: [place for metric, place in watch.values if metric == "worker_gone"], system.goodbye)
        assert watch.ages() == []


async def test_delayed_jobs_do_not_wait_and_have_no_age(
    running: EmbeddedServer, system: System, watch: Watch, tmp_path: Path
) -> None:
    with system.worker(running.port, "w1", tmp_path / "log"):
        await watch.until_known()
        if system.delays or system.name == "celery":
            system.tell(running.port, "later", "4")
        if system.delays:
            await watch.until(lambda: watch.value("delayed") == 4)
        await watch.until(lambda: watch.value("depth") in (0, None))
        assert watch.value("eligible") in (0, None)
        assert watch.value("oldest_age_seconds") in (0, None)


@of(lambda system: system.pauses)
async def test_a_paused_queue_says_so(
    running: EmbeddedServer, system: System, watch: Watch, tmp_path: Path, gate: Gate
) -> None:
    with system.worker(running.port, "w1", tmp_path / "log"):
        await watch.until_known()
        system.tell(running.port, "enqueue", "1", gate.path)
        await watch.until(lambda: watch.value("paused") == 0)
        system.tell(running.port, "pause")
        await watch.until(lambda: watch.value("paused") == 1)
        system.tell(running.port, "enqueue", "3", gate.path)
        await watch.until(lambda: watch.value("depth") == 3)
        system.tell(running.port, "resume")
        await watch.until(lambda: watch.value("paused") == 0)


@of(lambda system: system.offers.failures != "no")
async def test_failures_are_counted(
    running: EmbeddedServer, system: System, watch: Watch, tmp_path: Path, gate: Gate
) -> None:
    with system.worker(running.port, "w1", tmp_path / "log"):
        await watch.until_known()
        system.tell(running.port, "enqueue", "1", gate.path)
        gate.open()
        metric = "dead_total" if system.name == "dramatiq" else "failed_total"
        await watch.until(lambda: watch.value(metric) == 0)
        system.tell(running.port, "enqueue", "3", "fail")
        await watch.until(lambda: watch.value(metric) == 3)
