"""The default detector: what it reports, once, and what it lets pass."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Callable

import pytest

import detectors
from detectors import Default

START = 1_764_000_000.0


def alarms(value: Callable[[int], float], points: int, interval: float = 300.0) -> list[int]:
    """Indices of the values that alarm."""
    detector = detectors.default()
    return [i for i in range(points) if detector.update(START + interval * i, value(i)) >= 0.5]


def test_a_spike_is_reported_at_once() -> None:
    noise = random.Random(1)
    assert alarms(lambda i: noise.gauss(20.0, 2.0) + 60.0 * (i == 900), 1000) == [900]


def test_a_shift_that_stays_is_reported_once_and_adopted() -> None:
    noise = random.Random(2)
    assert alarms(lambda i: noise.gauss(20.0, 2.0) + 40.0 * (i >= 900), 1500) == [900]


def test_a_daily_rhythm_is_no_alarm_but_its_absence_is() -> None:
    noise = random.Random(3)

    def value(i: int) -> float:
        busy = 50.0 * math.sin(2 * math.pi * (START + 300.0 * i) / 86400.0)
        return 100.0 + (busy if i < 2160 else 0.0) + noise.gauss(0.0, 2.0)

    found = alarms(value, 2448)
    assert 2160 in found
    # four and a half days after the first three: about one false alarm is what is asked for
    assert len([i for i in found if 864 <= i < 2160]) <= 2


def test_what_comes_at_the_same_time_every_night_becomes_a_habit() -> None:
    noise = random.Random(4)
    found = alarms(lambda i: noise.gauss(20.0, 2.0) + 60.0 * (i % 288 == 30), 288 * 10)
    nights = [i // 288 for i in found if i % 288 == 30]
    assert nights[0] == 0 or nights[0] == 1
    assert len([night for night in nights if night >= 4]) <= 1


def test_a_constant_and_nan_are_silent() -> None:
    assert alarms(lambda i: 7.0, 2000) == []
    assert alarms(lambda i: math.nan if i % 5 else 7.0, 2000) == []


def test_a_rest_ends_when_things_grow_worse() -> None:
    noise = random.Random(5)
    worse = {900: 30.0, 903: 30.0, 920: 900.0}
    found = [i for i in alarms(lambda i: noise.gauss(20.0, 2.0) + worse.get(i, 0.0), 1000) if i >= 900]
    assert found == [900, 920]


def test_update_scores_as_score_does_and_learns_as_learn_does() -> None:
    noise = random.Random(6)
    one, other = Default(), Default()
    for i in range(400):
        t, x = START + 60.0 * i, noise.gauss(0.0, 1.0) + 9.0 * (i % 97 == 0)
        expected = other.score(t, x) or 0.0
        other.learn(t, x)
        assert one.update(t, x) == expected
    assert one == other


def test_an_explanation_names_the_range_the_view_and_the_beginning() -> None:
    noise = random.Random(7)
    detector = Default()
    for i in range(1000):
        detector.update(START + 300.0 * i, noise.gauss(20.0, 2.0))
    t = START + 300000.0
    why = detector.explain(t, 60.0)
    assert why is not None
    assert why.expected == pytest.approx(20.0, abs=1.0)
    assert why.off == pytest.approx(40.0, abs=1.0)
    assert 4.0 < why.low < 14.0 < 26.0 < why.high < 36.0
    assert why.since == t
    detector.learn(t, 60.0)
    worse = detector.explain(t + 300.0, 60.0)
    assert worse is not None
    assert worse.since == t
    for i in range(1, 20):
        detector.learn(t + 300.0 * i, 20.0)
    ordinary = detector.explain(t + 6000.0, 20.0)
    assert ordinary is not None
    assert ordinary.since is None


def test_the_ends_of_the_range_are_where_the_view_of_the_level_alarms() -> None:
    noise = random.Random(7)
    detector = Default()
    for i in range(1000):
        detector.update(START + 300.0 * i, noise.gauss(20.0, 2.0))
    why = detector.explain(START + 300000.0, 20.0)
    assert why is not None
    within, beyond = why.high - 0.4, why.high + 0.4
    assert (detector.score(START + 300000.0, beyond) or 0.0) >= 0.5
    assert (detector.score(START + 300000.0, within) or 0.0) < (detector.score(START + 300000.0, beyond) or 0.0)


def test_nothing_is_explained_before_the_first_score() -> None:
    assert Default().explain(START, 1.0) is None


def test_an_impossible_rate_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="false_alarms"):
        Default(false_alarms=0.0)


def test_a_constant_that_wakes_up_is_not_strange_for_ever() -> None:
    noise = random.Random(8)
    found = alarms(lambda i: float(i >= 300 and noise.random() < 0.02), 3000, interval=3600.0)
    assert len(found) <= 9  # about four are asked for in 2,700 values at one in 700, and the first one is news


def test_a_rate_that_is_asked_for_is_held_where_values_are_rare() -> None:
    noise, detector = random.Random(4), Default(false_alarms=4 * 86400.0)
    count = sum(detector.update(START + 3600.0 * i, noise.gauss(20.0, 2.0)) >= 0.5 for i in range(24 * 200))
    assert 25 <= count <= 100  # 50 are asked for: one in 96 values


def test_a_heavy_tail_does_not_alarm_more_than_twice_as_often_as_asked() -> None:
    noise, detector, alarms_found = random.Random(5), Default(false_alarms=2 * 86400.0), 0
    for i in range(288 * 60):
        x = noise.gauss(0.0, 1.0) / math.sqrt(noise.gammavariate(1.5, 2.0) / 3.0)  # Student, 3 degrees
        alarms_found += detector.update(START + 300.0 * i, x) >= 0.5
    assert 15 <= alarms_found <= 60


def test_a_score_that_was_reached_within_the_rest_is_halved() -> None:
    noise = random.Random(9)
    detector = Default()
    for i in range(900):
        detector.update(START + 300.0 * i, noise.gauss(20.0, 2.0))
    first = detector.update(START + 300.0 * 900, 60.0)
    assert first > 0.5
    t = START + 300.0 * 901
    rested = detector.score(t, 60.0)
    assert rested is not None
    assert rested < 0.5


def test_memory_and_start_are_small() -> None:
    detector = Default()
    for i in range(2000):
        detector.update(START + 300.0 * i, float(i % 7))
    assert len(pickle.dumps(detector)) < 5000
