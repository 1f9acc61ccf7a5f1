"""Stall: work that nobody takes is told within a minute; slow, idle and habitual queues are left alone."""

from __future__ import annotations

import pytest

from sentinel.model import Finding, Sample, Severity, labels
from sentinel.pipeline.diagnosis.stall import Stall
from tests.pipeline.diagnosis.queue_world import Judged, of


def worked(judged: Judged, polls: int = 60, **more: float) -> None:
    """A queue that is worked on: it goes up and comes down at once."""
    for number in range(polls):
        assert judged.queue(float(number % 2), **more) is None


def silence(judged: Judged, seconds: float, depth: float = 5.0, **more: float) -> Finding | None:
    """Work that waits for that long; what fires at the end."""
    found = None
    for _ in range(int(seconds / 5)):
        found = judged.queue(depth, **more)
    return found


def test_work_that_nobody_takes_is_told_within_a_minute() -> None:
    judged = Judged(Stall())
    worked(judged)
    found = silence(judged, 60.0)
    assert found is not None
    assert found.severity is Severity.CRITICAL
    assert "5 jobs wait in encode and they have not become fewer since" in found.summary


def test_half_a_minute_is_too_early() -> None:
    judged = Judged(Stall())
    worked(judged)
    assert silence(judged, 35.0) is None


def test_one_job_taken_ends_it() -> None:
    judged = Judged(Stall())
    worked(judged)
    assert silence(judged, 90.0) is not None
    assert judged.queue(4.0) is None


def test_a_queue_whose_depth_seldom_falls_gets_the_longer_for_it() -> None:
    """It falls in one of five readings: twenty without a fall have a chance of 0.8 ** 20 = 1 %, fifty of 0.001 %."""
    judged = Judged(Stall())
    depth = 100.0
    for number in range(100):
        depth += -4.0 if number % 5 == 0 else 1.0
        assert judged.queue(depth) is None
    assert silence(judged, 100.0, depth) is None
    assert silence(judged, 150.0, depth) is not None


def test_an_overload_in_which_jobs_are_completed_is_no_stall() -> None:
    judged = Judged(Stall())
    done = 0.0
    for number in range(200):
        done += 5.0
        assert judged.queue(20.0 * number, completed_total=done) is None


def test_a_bulk_that_arrives_faster_than_it_is_done_is_no_stall() -> None:
    judged = Judged(Stall())
    worked(judged)
    assert not any(judged.queue(600.0 * number) for number in range(60))


def test_a_head_that_changes_is_a_sign_of_work() -> None:
    judged = Judged(Stall())
    worked(judged, oldest_age_seconds=0.0)
    assert not any(judged.queue(100.0 + number, oldest_age_seconds=20.0) for number in range(60))


def test_a_head_that_only_grows_old_is_none() -> None:
    judged = Judged(Stall())
    worked(judged, oldest_age_seconds=0.0)
    found = [judged.queue(100.0 + number, oldest_age_seconds=5.0 * number) for number in range(13)]
    assert found[-1] is not None
    assert "112 jobs wait in encode and none has been taken since" in found[-1].summary


def test_long_jobs_in_flight_are_waited_for() -> None:
    judged = Judged(Stall())
    worked(judged, in_flight=0.0)
    assert silence(judged, 1800.0, in_flight=4.0) is None


def test_workers_that_hang_with_jobs_in_flight_are_seen_by_missing_completions() -> None:
    """At one a second, forty are missing after 40 s: a chance of exp(-40)."""
    judged = Judged(Stall())
    done = 0.0
    for number in range(60):
        done += 5.0
        judged.queue(float(1 + number % 2), in_flight=4.0, completed_total=done)
    assert silence(judged, 60.0, in_flight=4.0, completed_total=done) is not None


def test_an_idle_queue_and_jobs_of_the_future_are_quiet() -> None:
    judged = Judged(Stall())
    worked(judged, eligible=0.0)
    assert silence(judged, 3600.0, depth=1e6, eligible=0.0) is None


def test_a_queue_that_nobody_ever_worked_on_is_a_warning_after_a_quarter_of_an_hour() -> None:
    judged = Judged(Stall())
    assert silence(judged, 880.0) is None
    found = silence(judged, 40.0)
    assert found is not None
    assert found.severity is Severity.WARNING


def test_idle_workers_need_no_record_to_be_blamed() -> None:
    judged = Judged(Stall())
    found = silence(judged, 60.0, in_flight=0.0, consumers=2.0)
    assert found is not None
    assert found.severity is Severity.CRITICAL


def test_a_queue_that_was_always_emptied_at_once_is_a_warning_within_a_minute() -> None:
    judged = Judged(Stall())
    for _ in range(12):
        assert judged.poll(*waiting_clients(0.0, 1.0)) is None
    found = None
    for _ in range(12):
        found = judged.poll(*waiting_clients(5.0, 0.0))
    assert found is not None
    assert found.severity is Severity.WARNING


def waiting_clients(depth: float, blocked: float) -> list[Sample]:
    return [of("queue_depth", depth, labels(queue="encode", system="list")), of("redis_blocked_clients", blocked, ())]


def test_no_consumers_at_all_is_enough_once_a_fleet_had_time_to_start() -> None:
    judged = Judged(Stall())
    for number in range(60):
        judged.queue(100.0 - 3 * (number % 2), consumers=2.0)
    assert silence(judged, 100.0, depth=101.0, consumers=0.0) is None
    assert silence(judged, 40.0, depth=101.0, consumers=0.0) is not None


def test_a_paused_queue_is_information_first_and_a_warning_after_half_an_hour() -> None:
    judged = Judged(Stall())
    worked(judged, paused=0.0)
    first = silence(judged, 60.0, paused=1.0)
    later = silence(judged, 1800.0, paused=1.0)
    assert first is not None
    assert later is not None
    assert (first.severity, later.severity) == (Severity.INFO, Severity.WARNING)
    assert "encode is paused" in later.summary


def test_a_pause_of_each_night_is_a_habit_on_the_second() -> None:
    judged = Judged(Stall())
    nights = []
    for _ in range(2):
        found = [judged.queue(5.0, after=60.0, paused=1.0) for _ in range(120)]
        nights.append(any(found))
        for _ in range(86400 // 60 - 120):
            judged.queue(0.0, after=60.0, paused=0.0)
    assert nights == [True, False]


def test_jobs_that_leave_without_ever_being_completed_are_told() -> None:
    judged = Judged(Stall())
    done = 0.0
    for number in range(60):
        done += 5.0
        judged.queue(float(10 + number % 2), completed_total=done)
    found = [judged.queue(400.0 - 10 * number, completed_total=done) for number in range(20)]
    assert found[-1] is not None
    assert "jobs were taken from encode" in found[-1].summary


@pytest.mark.parametrize("held", [0.0, 30.0])
def test_jobs_in_flight_have_not_vanished(held: float) -> None:
    judged = Judged(Stall())
    done = 0.0
    for number in range(60):
        done += 5.0
        judged.queue(float(10 + number % 2), completed_total=done, in_flight=0.0)
    for number in range(3):
        judged.queue(30.0 - 10 * number, completed_total=done, in_flight=held * (number + 1) / 3)
    found = [judged.queue(0.0, completed_total=done, in_flight=held) for _ in range(10)]
    assert (found[-1] is None) is (held > 0)


def test_workers_that_beat_while_nothing_moves_are_named_as_liars() -> None:
    judged = Judged(Stall())
    worked(judged)
    judged.fleet(1.0, 2.0, 1.5, after=0.0)
    found = [stalled_with_beats(judged) for _ in range(13)]
    assert found[-1] is not None
    assert "though 3 of 3 workers beat" in found[-1].summary


def stalled_with_beats(judged: Judged) -> Finding | None:
    beats = [of("heartbeat_age_seconds", 1.0 + n, labels(group="encoders", worker=f"w{n}")) for n in range(3)]
    return judged.poll(of("queue_depth", 5.0, labels(queue="encode", system="list")), *beats)
