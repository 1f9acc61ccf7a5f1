"""Profiles and peaks of the day, with means worked by hand."""

from __future__ import annotations

import pytest

from detectors.seasonal import DAY, DayPeaks, DayProfile

HOUR = 3600.0


def test_a_time_of_day_is_unknown_until_its_slot_is_over() -> None:
    profile = DayProfile(slots=24)
    profile.learn(0.0, 5.0)
    assert profile.offset(0.5 * HOUR) is None
    profile.learn(HOUR, 7.0)
    profile.learn(2 * HOUR, 7.0)
    assert profile.offset(1.0 * HOUR) == 6.0  # halfway between the middles of the first two slots


def test_a_new_day_counts_by_its_weight() -> None:
    profile = DayProfile(slots=2, weight=0.25)
    for half in range(9):
        profile.learn(half * DAY / 2, 8.0 if half < 6 else 0.0)
    # three days of 8, then one of 0: the plain mean until 1/n falls below the weight, then 0.25 * 0 + 0.75 * 8
    assert profile.offset(0.25 * DAY) == pytest.approx(6.0)


def test_a_peak_covers_its_neighbours_and_is_no_habit_of_its_own_hour() -> None:
    peaks = DayPeaks(slots=24)
    peaks.learn(3.5 * HOUR, 5.0)
    assert peaks.habit(3.6 * HOUR) == 0.0
    found = [peaks.habit(DAY + hour * HOUR) for hour in (1.5, 2.5, 3.5, 4.5, 5.5)]
    assert found == pytest.approx([0.0, 5.0, 5.0, 5.0, 0.0], abs=0.1)


def test_a_peak_that_does_not_come_again_fades() -> None:
    peaks = DayPeaks(slots=24, fade=0.5)
    peaks.learn(3.5 * HOUR, 8.0)
    peaks.learn(12.5 * HOUR, 1.0)
    assert [peaks.habit(day * DAY + 3.5 * HOUR) for day in (1, 2, 3)] == [8.0, 4.0, 2.0]


@pytest.mark.parametrize("slots", [1, 1441])
def test_an_impossible_number_of_slots_is_refused(slots: int) -> None:
    with pytest.raises(ValueError, match="slots"):
        DayProfile(slots=slots)
    with pytest.raises(ValueError, match="slots"):
        DayPeaks(slots=slots)
