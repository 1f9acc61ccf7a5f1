"""Floors of quarter hours against former days, worked by hand."""

from __future__ import annotations

from sentinel.pipeline.diagnosis.floors import Floors
from sentinel.pipeline.diagnosis.habit import DAY

START = 20_000 * DAY
QUARTER = DAY / 96


def day_of(floors: Floors, day: int, level: float, *, bursts: float = 0.0) -> None:
    """A day at one level; each quarter hour also has a burst above it."""
    for quarter in range(96):
        for minute in range(15):
            high = bursts if minute % 3 else 0.0
            floors.add(START + day * DAY + quarter * QUARTER + minute * 60.0, level + high)


def test_nothing_is_known_in_the_first_day() -> None:
    floors = Floors()
    day_of(floors, 0, 100.0)
    assert not floors.known(START + DAY)
    assert floors.growth is None
    assert floors.excess.level == 0.0


def test_bursts_do_not_lift_the_floor() -> None:
    floors = Floors()
    day_of(floors, 0, 100.0)
    day_of(floors, 1, 100.0, bursts=500.0)
    assert floors.excess.level == 0.0


def test_the_excess_is_what_the_floor_has_over_the_highest_of_former_days() -> None:
    floors = Floors()
    day_of(floors, 0, 100.0)
    day_of(floors, 1, 90.0)
    assert floors.excess.level == -10.0
    day_of(floors, 2, 130.0)
    assert floors.excess.level == 30.0  # over the day before yesterday, the higher of both


def test_more_traffic_explains_a_higher_floor() -> None:
    floors = Floors()
    day_of(floors, 0, 100.0)
    for quarter in range(96):
        floors.add(START + DAY + quarter * QUARTER, 150.0, times=1.5)
    assert floors.excess.level == 0.0


def test_less_traffic_does_not_make_the_usual_floor_suspicious() -> None:
    floors = Floors()
    day_of(floors, 0, 100.0)
    for quarter in range(96):
        floors.add(START + DAY + quarter * QUARTER, 100.0, times=0.2)
    assert floors.excess.level == 0.0


def test_a_rise_is_given_with_the_reading_that_ends_a_quarter_hour_and_with_no_other() -> None:
    floors = Floors()
    day_of(floors, 0, 100.0)
    day_of(floors, 1, 100.0)
    for quarter in range(4):
        floors.add(START + 2 * DAY + quarter * QUARTER, 100.0 + 20.0 * quarter)
    assert floors.growth is not None
    assert floors.growth.gain == 40.0  # the quarter that has begun does not count yet
    floors.add(START + 2 * DAY + 3 * QUARTER + 60.0, 160.0)
    assert floors.growth is None


def test_a_day_that_is_not_to_be_learned_does_not_become_usual() -> None:
    floors = Floors()
    day_of(floors, 0, 100.0)
    for quarter in range(97):
        floors.add(START + DAY + quarter * QUARTER, 300.0, learn=False)
    floors.add(START + 2 * DAY + QUARTER, 300.0)
    assert floors.excess.level > 190.0


def test_a_rise_that_began_before_midnight_is_not_compared_with_itself_after_it() -> None:
    floors = Floors()
    day_of(floors, 0, 100.0)
    for quarter in range(96):
        floors.add(START + DAY + quarter * QUARTER, 100.0 if quarter < 92 else 500.0)
    for quarter in range(3):
        floors.add(START + 2 * DAY + quarter * QUARTER, 500.0)
        assert floors.excess.level == 400.0
