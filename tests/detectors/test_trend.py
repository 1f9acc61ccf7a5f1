"""Slopes, tests and time left, with numbers worked by hand or printed in the sources."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.trend import UNKNOWN, Floor, Slope, TimeLeft, Trend, eta, mann_kendall, theil_sen


def test_a_straight_line_has_one_slope() -> None:
    t = np.arange(10.0) * 60.0
    assert theil_sen(t, 5.0 + 0.5 * t) == Slope(0.5, 0.5, 0.5)


def test_the_slope_is_the_median_over_all_pairs() -> None:
    # pairs of (0,0) (1,1) (2,5) (4,6): 1, 5/2, 6/4, 4, 5/3, 1/2; sorted .5 1 1.5 1.667 2.5 4
    slope = theil_sen(np.array([0.0, 1.0, 2.0, 4.0]), np.array([0.0, 1.0, 5.0, 6.0]))
    assert slope.value == pytest.approx((1.5 + 5 / 3) / 2)


def test_sens_interval_for_his_own_example() -> None:
    # Sen (1968), section 6: t 1 2 3 4 10 12 18, x 9 15 19 20 45 55 78. 21 slopes, median 4.
    t = np.array([1.0, 2.0, 3.0, 4.0, 10.0, 12.0, 18.0])
    x = np.array([9.0, 15.0, 19.0, 20.0, 45.0, 55.0, 78.0])
    slope = theil_sen(t, x, confidence=0.93)
    assert slope.value == pytest.approx(4.0)
    # Variance 7 * 6 * 19 / 18 = 44.33; 1.812 * 6.658 = 12.06; ranks 4 and 18 of the sorted slopes.
    slopes = sorted((x[j] - x[i]) / (t[j] - t[i]) for i in range(7) for j in range(i + 1, 7))
    assert (slope.low, slope.high) == pytest.approx((slopes[3], slopes[17]))


def test_points_of_one_time_say_nothing_of_a_slope() -> None:
    assert theil_sen(np.zeros(4), np.arange(4.0)) == UNKNOWN
    assert theil_sen(np.array([5.0]), np.array([1.0])) == UNKNOWN


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    noise = np.random.default_rng(3)
    t = np.arange(40.0)
    held = 0
    for _ in range(400):
        slope = theil_sen(t, 0.1 * t + noise.normal(size=40), confidence=0.9)
        held += slope.low <= 0.1 <= slope.high
    assert held / 400 == pytest.approx(0.9, abs=0.045)


def test_memory_widens_the_interval_of_values_that_resemble_their_neighbours() -> None:
    noise = np.random.default_rng(4)
    t = np.arange(60.0)
    plain = wide = 0
    for _ in range(300):
        x = np.zeros(60)
        for i in range(1, 60):
            x[i] = 0.6 * x[i - 1] + noise.normal()
        plain += theil_sen(t, x).low > 0 or theil_sen(t, x).high < 0
        wide += theil_sen(t, x, memory=True).low > 0 or theil_sen(t, x, memory=True).high < 0
    assert plain / 300 > 0.3  # three times the tenth that was asked for
    assert wide / 300 < 0.2


def test_mann_kendall_counts_pairs() -> None:
    # 1 3 2 4: five pairs in order, one not, S = 4, variance 4 * 3 * 13 / 18
    tendency = mann_kendall(np.array([1.0, 3.0, 2.0, 4.0]))
    assert tendency.z == pytest.approx(3.0 / math.sqrt(8.6667), rel=1e-4)
    assert tendency.p == pytest.approx(0.3082, abs=1e-3)


def test_ties_reduce_the_variance() -> None:
    # 1 1 2 3: S = 5; variance (4 * 3 * 13 - 2 * 1 * 9) / 18 = 7.667
    assert mann_kendall(np.array([1.0, 1.0, 2.0, 3.0])).z == pytest.approx(4.0 / math.sqrt(7.6667), rel=1e-4)
    assert mann_kendall(np.full(9, 4.0)).p == 1.0


def test_a_falling_series_has_a_tendency_below_zero() -> None:
    assert mann_kendall(np.array([5.0, 4.0, 3.0, 2.0, 1.0])).z == pytest.approx(-2.2045, abs=1e-4)


@pytest.mark.parametrize(
    ("level", "low", "high", "left"),
    [
        (400.0, 1.5, 2.0, TimeLeft(300.0, 400.0)),
        (400.0, -1.0, 2.0, TimeLeft(300.0, None)),
        (400.0, -2.0, 0.0, None),
        (1000.0, -2.0, -1.0, TimeLeft(0.0, 0.0)),
        (400.0, -math.inf, math.inf, TimeLeft(0.0, None)),
    ],
)
def test_time_left_lies_between_the_fastest_and_the_slowest_slope(
    level: float, low: float, high: float, left: TimeLeft | None
) -> None:
    assert eta(level, 1000.0, low, high) == left


def test_a_floor_forgets_its_oldest_step() -> None:
    floor = Floor(step=10.0, steps=2)
    ended = [floor.add(float(t), float(x)) for t, x in [(1, 5), (4, 3), (12, 8), (27, 9), (31, 1)]]
    assert ended == [False, False, True, True, True]
    times, lows = floor.lows()
    assert times.tolist() == [12.0, 27.0]
    assert lows.tolist() == [8.0, 9.0]


def test_a_floor_takes_an_earlier_time_into_the_present_step() -> None:
    floor = Floor(step=10.0, steps=3)
    for t, x in [(25.0, 7.0), (3.0, 6.0), (31.0, 9.0)]:
        floor.add(t, x)
    assert floor.lows()[1].tolist() == [6.0]


def leaking(trend: Trend, rate: float, minutes: int = 61) -> Trend:
    for minute in range(minutes):
        busy = 200.0 if minute % 3 else 0.0
        trend.learn(60.0 * minute, 100.0 + rate * minute + busy)
    return trend


def test_a_leak_under_traffic_scores_by_the_time_left() -> None:
    trend = leaking(Trend(level=1000.0, horizon=7200.0, window=3600.0, steps=20), rate=2.0)
    assert trend.slope.value == pytest.approx(2.0 / 60.0)
    # the last step that is over has its floor at minute 57: 214; at minute 60 that makes 220, 780 missing at
    # 2 a minute are 390 minutes
    assert trend.score(3600.0, 220.0) == pytest.approx(120.0 / 390.0)


def test_traffic_without_a_leak_scores_nothing() -> None:
    assert leaking(Trend(level=1000.0, window=3600.0, steps=20), rate=0.0).score(3600.0, 300.0) == 0.0


def test_a_level_that_is_reached_scores_highest_even_unlearnt() -> None:
    assert Trend(level=1000.0).score(0.0, 1000.0) == 1e6


def test_no_score_before_five_steps_are_over() -> None:
    trend = leaking(Trend(level=1000.0, window=3600.0, steps=20), rate=2.0, minutes=13)
    assert trend.score(780.0, 150.0) is None


@pytest.mark.parametrize(
    "settings", [{"horizon": 0.0}, {"window": -1.0}, {"steps": 4}, {"confidence": 1.0}, {"level": math.nan}]
)
def test_impossible_settings_are_refused_by_name(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Trend(**{"level": 5.0, **settings})  # type: ignore[arg-type]
