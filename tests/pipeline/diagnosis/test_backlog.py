"""Backlog: work that piles up is told, and work that is about to be done is not a page."""

from __future__ import annotations

from sentinel.model import Finding, Severity
from sentinel.pipeline.diagnosis.backlog import Backlog
from tests.pipeline.diagnosis.queue_world import Judged


def busy(judged: Judged, polls: int = 60, **more: float) -> None:
    """A healthy queue: up to nine jobs wait, and now and then none."""
    for number in range(polls):
        assert judged.queue(float(number % 10), **more) is None


def rise(judged: Judged, polls: int, by: float = 10.0, first: float = 10.0) -> list[Finding | None]:
    return [judged.queue(first + by * number) for number in range(polls)]


def severities(found: list[Finding | None]) -> list[Severity | None]:
    return [finding and finding.severity for finding in found]


def test_a_floor_that_rises_is_noticed_within_a_dozen_polls() -> None:
    judged = Judged(Backlog())
    busy(judged)
    found = rise(judged, 12)
    assert found[-1] is not None
    assert found[-1].severity is Severity.INFO
    assert "+2/s since" in found[-1].summary


def test_a_rise_of_five_minutes_is_a_warning_and_of_fifteen_critical() -> None:
    judged = Judged(Backlog())
    busy(judged)
    found = severities(rise(judged, 200))
    assert found[50] is Severity.INFO
    assert found[75] is Severity.WARNING
    assert found[170] is Severity.WARNING
    assert found[195] is Severity.CRITICAL


def test_a_bulk_that_is_enqueued_in_four_minutes_and_worked_off_is_never_a_page() -> None:
    judged = Judged(Backlog())
    busy(judged)
    up = severities(rise(judged, 48, by=200.0))
    down = severities([judged.queue(9600.0 - 20 * number) for number in range(470)])
    assert {*up, *down} == {None, Severity.INFO}


def test_a_bulk_of_each_night_is_not_even_noticed_on_the_second() -> None:
    judged = Judged(Backlog())
    first_night = night(judged)
    for _ in range(86400 // 60 - 100):
        judged.queue(3.0, after=60.0)
    assert any(first_night)
    assert not any(night(judged))


def night(judged: Judged) -> list[Finding | None]:
    """40 minutes of enqueueing and an hour of work, a poll a minute."""
    for number in range(40):
        judged.queue(float(number % 3), after=0.01)
    up = [judged.queue(100.0 * number, after=60.0) for number in range(40)]
    return up + [judged.queue(4000.0 - 66 * number, after=60.0) for number in range(60)]


def test_the_night_of_the_first_day_would_have_warned() -> None:
    found = severities(night(Judged(Backlog())))
    assert Severity.WARNING in found


def test_it_is_over_when_the_floor_is_a_quarter_of_its_peak() -> None:
    judged = Judged(Backlog())
    busy(judged)
    rise(judged, 100)
    assert judged.queue(260.0) is not None
    assert judged.queue(200.0) is None


def test_jobs_of_the_future_do_not_count() -> None:
    judged = Judged(Backlog())
    busy(judged, eligible=0.0)
    assert not any(judged.queue(1000.0 * number, eligible=float(number % 5)) for number in range(100))


def test_a_loss_of_pace_makes_it_a_warning_after_a_minute() -> None:
    judged = Judged(Backlog())
    done = 0.0
    for number in range(60):
        done += 50.0
        judged.queue(float(number % 10), completed_total=done)
    found = []
    for number in range(30):
        done += 20.0
        found.append(judged.queue(10.0 + 30 * number, completed_total=done))
    assert severities(found)[29] is Severity.WARNING


def test_the_same_rise_at_full_pace_is_still_information() -> None:
    judged = Judged(Backlog())
    done = 0.0
    for number in range(90):
        done += 50.0
        found = judged.queue(float(number % 10) if number < 60 else 30.0 * (number - 59), completed_total=done)
    assert found is not None
    assert found.severity is Severity.INFO


def test_an_objective_that_is_missed_is_a_warning_however_few_wait() -> None:
    judged = Judged(Backlog(slo={"encode": 60.0}))
    busy(judged, oldest_age_seconds=5.0)
    assert judged.queue(2.0, oldest_age_seconds=60.0) is None
    found = judged.queue(2.0, oldest_age_seconds=61.0)
    assert found is not None
    assert found.severity is Severity.WARNING
    assert "The oldest has waited 61 s; the objective is 60 s." in found.summary


def test_the_objective_of_all_others_is_the_star() -> None:
    judged = Judged(Backlog(slo={"*": 60.0, "thumbs": 5.0}))
    busy(judged, oldest_age_seconds=30.0)
    assert judged.queue(2.0, oldest_age_seconds=61.0) is not None


def a_day(judged: Judged, longest: float) -> list[Finding | None]:
    """A poll each five minutes; jobs wait for up to `longest` seconds, most of all at its end."""
    return [judged.queue(2.0, after=300.0, oldest_age_seconds=longest * number / 288) for number in range(289)]


def test_without_an_objective_a_wait_far_beyond_those_of_former_days_is_information() -> None:
    judged = Judged(Backlog())
    for _ in range(2):
        assert not any(a_day(judged, longest=400.0))
    assert judged.queue(2.0, oldest_age_seconds=1190.0) is None
    found = judged.queue(2.0, oldest_age_seconds=1210.0)
    assert found is not None
    assert found.severity is Severity.INFO
    assert "The oldest has waited 20 min; by former days it should be no more than 20 min." in found.summary


def test_before_a_whole_day_was_seen_no_wait_is_too_long() -> None:
    judged = Judged(Backlog())
    a_day(judged, longest=400.0)
    assert judged.queue(2.0, oldest_age_seconds=40_000.0) is None


def test_waits_that_have_become_longer_for_good_are_usual_some_days_later() -> None:
    judged = Judged(Backlog())
    for _ in range(2):
        a_day(judged, longest=400.0)
    days = [a_day(judged, longest=40_000.0) for _ in range(4)]
    assert [any(day) for day in days] == [True, True, True, False]


def test_a_slow_rise_is_found_before_it_becomes_usual() -> None:
    """One job in three polls, with a saw-tooth of three jobs on it: ten readings are not enough, forty are."""
    judged = Judged(Backlog())
    busy(judged)
    found = severities([judged.queue(number / 3 + number % 4) for number in range(240)])
    assert Severity.WARNING in found


def test_a_level_that_stays_is_adopted_after_an_hour() -> None:
    judged = Judged(Backlog())
    busy(judged)
    rise(judged, 30)
    found = [judged.queue(300.0 + number % 7) for number in range(800)]
    assert found[600] is not None
    assert found[799] is None


def test_a_level_that_has_jumped_and_stays_is_not_growing() -> None:
    judged = Judged(Backlog())
    busy(judged)
    found = [judged.queue(500.0 + number % 7) for number in range(300)]
    assert {finding.severity for finding in found if finding} <= {Severity.INFO}
