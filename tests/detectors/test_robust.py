"""Median and median deviation, against numbers worked by hand and against sorting everything."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import Robust


def fed(robust: Robust, values: list[float]) -> Robust:
    for second, x in enumerate(values):
        robust.learn(float(second), x)
    return robust


def test_half_of_the_values_may_be_wild() -> None:
    # median 5; deviations 4 3 1 0 2 1e6 1e9, sorted 0 1 2 3 4 ..., so their median is 3
    robust = fed(Robust(window=7, warm_up=7), [1.0, 2.0, 4.0, 5.0, 7.0, 1e6, 1e9])
    assert robust.median == 5.0
    assert robust.deviation == pytest.approx(3.0 / 0.6745)
    assert robust.score(8.0, 11.0) == pytest.approx(6.0 * 0.6745 / 3.0)


def test_old_values_leave_the_window() -> None:
    robust = fed(Robust(window=4, warm_up=2), [900.0, 900.0, 1.0, 2.0, 3.0, 4.0])
    assert robust.median == 2.5


def test_where_most_values_are_equal_a_wider_radius_is_taken() -> None:
    # 80 zeros and 20 sevens: half of the window lies at distance 0, 90 % within 7
    robust = fed(Robust(window=100), [7.0 if i % 5 == 0 else 0.0 for i in range(100)])
    assert robust.deviation == pytest.approx(7.0 / 1.6449)
    # two sevens: 90 % lies at 0 as well, 99 % within 7
    robust = fed(Robust(window=100), [7.0 if i % 50 == 0 else 0.0 for i in range(100)])
    assert robust.deviation == pytest.approx(7.0 / 2.5758)


@given(st.lists(st.integers(-5, 5).map(float) | st.floats(-1e3, 1e3), min_size=4, max_size=40))
def test_median_and_deviation_are_those_of_the_sorted_window(values: list[float]) -> None:
    robust = fed(Robust(window=16, warm_up=2), values)
    window = values[-16:]
    centre = statistics.median(window)
    distances = sorted(abs(x - centre) for x in window)
    radius = distances[min(len(window), len(window) // 2 + 1) - 1]
    assert robust.median == centre
    if radius > 1e-3:
        assert robust.deviation == pytest.approx(radius / 0.6745)


def test_no_score_before_the_warm_up_ends() -> None:
    robust = fed(Robust(warm_up=3), [1.0, 2.0])
    assert robust.score(2.0, 50.0) is None


@pytest.mark.parametrize("settings", [{"window": 3}, {"warm_up": 1}, {"warm_up": 9, "window": 8}])
def test_impossible_settings_are_refused_by_name(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Robust(**settings)


@pytest.mark.parametrize("window", [4, 9, 240])
def test_the_deviation_that_is_followed_is_that_of_the_whole_window(window: int) -> None:
    noise = random.Random(7)
    for draw in (lambda: noise.gauss(0.0, 1.0), lambda: float(noise.randrange(3)), lambda: noise.paretovariate(0.5)):
        robust = Robust(window=window, warm_up=4)
        for second in range(600):
            robust.learn(float(second), draw())
            x = robust.median + 1.0
            if second >= 4:
                assert robust.score(600.0, x) == (x - robust.median) / robust.deviation
