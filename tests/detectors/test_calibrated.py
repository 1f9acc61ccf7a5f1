"""Budgets: how often a calibrated detector alarms, and what it says of its threshold."""

from __future__ import annotations

import random

import pytest

from detectors import AboveLimit, Calibrated, Cusum, Default, Ewma, checks, within_budget

START = 1_764_000_000.0
DAY = 86400.0


def alarms(detector: Calibrated, days: float, seed: int, interval: float = 300.0) -> int:
    noise = random.Random(seed)
    count = 0
    for i in range(int(days * DAY / interval)):
        t, x = START + interval * i, noise.gauss(20.0, 2.0)
        count += (detector.score(t, x) or 0.0) >= 0.5
        detector.learn(t, x)
    return count


def test_a_budget_of_one_in_three_days_is_kept_within_a_factor_of_two() -> None:
    found = sum(alarms(Calibrated(Ewma(), false_alarms=3 * DAY), 30, seed) for seed in range(3))
    assert 15 <= found <= 60  # 30 in three times 30 days


def test_every_detector_keeps_its_promises_when_calibrated() -> None:
    for inner in (Ewma, lambda: AboveLimit(limit=120.0), lambda: Cusum(warm_up=30)):
        checks.run(lambda inner=inner: Calibrated(inner()))  # type: ignore[misc]


def test_the_bound_grows_surer_and_counts_the_alarms() -> None:
    noise, detector = random.Random(4), Calibrated(Ewma(), false_alarms=3 * DAY)
    widths, counted = [], 0
    for i in range(9000):
        t, x = START + 300.0 * i, noise.gauss(20.0, 2.0)
        counted += (detector.score(t, x) or 0.0) >= 0.5
        detector.learn(t, x)
        if i in (400, 8999):
            bound = detector.bound(t)
            assert bound is not None
            widths.append(bound.high - bound.low)
    assert bound is not None
    assert bound.alarms == counted
    assert bound.low < bound.score < bound.high
    assert widths[1] < widths[0]


def test_the_range_explained_is_that_of_the_bound() -> None:
    noise, detector = random.Random(5), Calibrated(Ewma(), false_alarms=DAY)
    for i in range(2000):
        detector.learn(START + 300.0 * i, noise.gauss(20.0, 2.0))
    t = START + 300.0 * 2000
    why, bound = detector.explain(t, 50.0), detector.bound(t)
    assert why is not None
    assert bound is not None
    assert isinstance(detector.detector, Ewma)
    assert (why.high - why.expected) / detector.detector.deviation == pytest.approx(bound.score)


def test_nothing_is_said_of_the_first_hundred_scores() -> None:
    noise, detector = random.Random(6), Calibrated(Ewma(warm_up=10))
    for i in range(109):
        assert detector.score(START + 60.0 * i, 1e6) is None
        detector.learn(START + 60.0 * i, noise.gauss(20.0, 2.0))
    detector.learn(START + 60.0 * 110, 20.0)
    assert detector.score(START + 60.0 * 111, 20.0) is not None


def test_the_default_detector_takes_the_budget_itself() -> None:
    assert within_budget(Default(), 7 * DAY) == Default(false_alarms=7 * DAY)


def test_an_impossible_budget_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="false_alarms"):
        Calibrated(Ewma(), false_alarms=0.0)
