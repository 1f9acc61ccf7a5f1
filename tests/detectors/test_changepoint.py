"""CUSUM and Page-Hinkley, with sums worked by hand and run lengths from the tables."""

from __future__ import annotations

import random
from typing import TypeVar

import pytest

from detectors import Cusum, PageHinkley, changepoint

D = TypeVar("D", Cusum, PageHinkley)

KNOWN = [9.0, 11.0, 9.0, 11.0]
"""Mean 10, deviation 1."""


def fed(detector: D, values: list[float]) -> D:
    for second, x in enumerate(values):
        detector.learn(float(second), x)
    return detector


def test_cusum_adds_what_exceeds_the_slack() -> None:
    cusum = fed(Cusum(slack=0.5, limit=4.0, warm_up=4, half_life=1e12), KNOWN)
    assert cusum.score(4.0, 12.0) == pytest.approx(1.5 / 4.0)
    assert cusum.score(4.0, 8.0) == pytest.approx(1.5 / 4.0)
    assert cusum.score(4.0, 10.4) == 0.0


def test_one_spike_counts_as_four_deviations() -> None:
    assert fed(Cusum(slack=0.5, limit=7.0, warm_up=4), KNOWN).score(4.0, 1e9) == pytest.approx(0.5)
    assert fed(PageHinkley(slack=0.5, limit=7.0, warm_up=4), KNOWN).score(4.0, 1e9) == pytest.approx(0.5)


def test_page_hinkley_sums_over_values_with_the_mean_of_all() -> None:
    detector = fed(PageHinkley(slack=0.5, limit=10.0, warm_up=4), KNOWN)
    detector.learn(4.0, 12.0)  # sum 2 - 0.5 = 1.5; then mean 10.4, squared deviations 4 + 2 * 1.6 = 7.2
    assert detector.score(5.0, 11.6) == pytest.approx((1.5 + 1.2 / 1.2 - 0.5) / 10.0)


def run_length(cusum: Cusum, noise: random.Random, shift: float) -> int:
    for n in range(1, 5000):
        score = cusum.score(float(n), x := noise.gauss(shift, 1.0))
        if score is not None and score >= 1.0:
            return n
        cusum._above, cusum._below = changepoint._sums(
            cusum._above, cusum._below, cusum._scale.distance(x) or 0.0, cusum.slack
        )
    return 5000


@pytest.mark.parametrize(("shift", "mean", "within"), [(0.0, 465.0, 0.15), (1.0, 10.4, 0.08), (2.0, 4.01, 0.08)])
def test_run_lengths_are_those_of_the_table(shift: float, mean: float, within: float) -> None:
    # Montgomery (2009), table 9.3: slack 0.5, limit 5, known mean 0 and deviation 1
    noise = random.Random(5)
    known = fed(Cusum(slack=0.5, limit=5.0, warm_up=2, half_life=1e12), [-1.0, 1.0])
    lengths = []
    for _ in range(300):
        known._above = known._below = 0.0
        lengths.append(run_length(known, noise, shift))
    assert sum(lengths) / 300 == pytest.approx(mean, rel=within)


@pytest.mark.parametrize("detector", [Cusum(), PageHinkley()], ids=["cusum", "page_hinkley"])
def test_a_shift_of_one_deviation_alarms_and_is_accepted_once_learnt(detector: Cusum | PageHinkley) -> None:
    noise = random.Random(6)
    alarms = []
    for minute in range(2000):
        x = noise.gauss(10.0 if minute < 1000 else 11.5, 1.0)
        score = detector.score(60.0 * minute, x)
        if score is not None and score >= 1.0:
            alarms.append(minute)
        detector.learn(60.0 * minute, x)
    assert len(alarms) == 1
    assert 1000 < alarms[0] < 1060


@pytest.mark.parametrize("settings", [{"slack": -1.0}, {"limit": 0.0}, {"warm_up": 1}])
@pytest.mark.parametrize("detector", [Cusum, PageHinkley])
def test_impossible_settings_are_refused_by_name(detector: type, settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        detector(**settings)
