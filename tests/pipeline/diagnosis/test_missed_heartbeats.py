"""Pushed heartbeats: late, failed and endless runs are told; a restart of Sentinel makes nobody late."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.model import Finding, Severity
from sentinel.pipeline.diagnosis.missed_heartbeats import MissedHeartbeats
from sentinel.samplers.pushed import PushedHeartbeat, PushedHeartbeats, UnknownHeartbeatError
from tests.pipeline.diagnosis.queue_world import START, Judged

HOUR = 3600.0


class Watched:
    """One pushed heartbeat, judged by its cause."""

    def __init__(self, file: Path | None = None, **settings: float) -> None:
        self.judged = Judged(MissedHeartbeats())
        self.pushed = PushedHeartbeats([PushedHeartbeat("report", **settings)], file)
        self.pushed.load()

    def wait(self, seconds: float) -> Finding | None:
        return self.judged.poll(*self.pushed.poll(self.judged.now + seconds).samples, after=seconds)

    def tell(self, beat: str = "success") -> None:
        self.pushed.take("report", beat, self.judged.now)


def test_a_job_that_comes_within_its_grace_is_fine_and_one_that_does_not_is_late() -> None:
    watched = Watched(period=HOUR, grace=600.0)
    watched.tell()
    assert watched.wait(HOUR + 600.0) is None
    found = watched.wait(1.0)
    assert found is not None
    assert found.severity is Severity.WARNING
    assert found.summary == "report has not been heard of for 70 min; it should come every 60 min."


def test_one_that_misses_a_second_time_is_critical_and_a_success_ends_it() -> None:
    watched = Watched(period=HOUR, grace=600.0)
    watched.tell()
    found = watched.wait(2 * HOUR)
    assert found is not None
    assert found.severity is Severity.CRITICAL
    watched.tell()
    assert watched.wait(5.0) is None


def test_a_failure_is_told_at_once_and_until_the_next_success() -> None:
    watched = Watched(period=HOUR)
    watched.tell()
    watched.tell("fail")
    found = watched.wait(5.0)
    assert found is not None
    assert "report tells that it failed" in found.summary
    watched.tell("success")
    assert watched.wait(5.0) is None


def test_a_run_without_an_end_is_told() -> None:
    watched = Watched(period=24 * HOUR, longest=HOUR)
    watched.tell("start")
    assert watched.wait(HOUR) is None
    found = watched.wait(60.0)
    assert found is not None
    assert "has been running for 61 min; it may take 60 min" in found.summary


def test_without_a_period_the_rhythm_is_learnt() -> None:
    watched = Watched()
    for _ in range(12):
        for _ in range(6):
            assert watched.wait(10.0) is None
        watched.tell()
    assert watched.wait(70.0) is None
    assert watched.wait(120.0) is not None


def test_one_that_was_never_heard_of_counts_from_when_it_was_first_known() -> None:
    watched = Watched(period=HOUR, grace=60.0)
    assert watched.wait(0.0) is None
    assert watched.wait(HOUR) is None
    assert watched.wait(120.0) is not None


def test_what_was_heard_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "heartbeats.json"
    first = Watched(file, period=HOUR)
    first.tell()
    first.pushed.save()
    second = Watched(file, period=HOUR)
    assert second.wait(HOUR + 30.0) is None
    assert second.wait(60.0) is not None


def test_a_file_that_cannot_be_read_is_said_and_counts_from_now(tmp_path: Path) -> None:
    file = tmp_path / "heartbeats.json"
    file.write_text("{")
    pushed = PushedHeartbeats([PushedHeartbeat("report")], file)
    assert "cannot be read" in pushed.load()
    assert pushed.poll(START).samples[0].value == 0.0


def test_a_name_that_is_not_configured_is_refused_with_what_to_do() -> None:
    with pytest.raises(UnknownHeartbeatError, match="no heartbeat is called 'reprot': add it to pushed_heartbeats"):
        PushedHeartbeats([PushedHeartbeat("report")]).take("reprot", "success", START)
