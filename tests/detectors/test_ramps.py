"""Slopes that begin, with sums worked by hand."""

from __future__ import annotations

import math
import random

import pytest

from detectors import SlopeGlr


def settled() -> SlopeGlr:
    """Mean 10, deviation 1, no sums yet but those of the alternating values."""
    slope = SlopeGlr(half_life=1e12, warm_up=1000)
    for second in range(1000):
        slope.learn(float(second), 10.0 + (-1.0) ** second)
    return slope


def test_four_rising_values_score_as_worked_by_hand() -> None:
    slope = settled()
    for i, x in enumerate((11.0, 12.0, 13.0)):
        slope.learn(1000.0 + i, x)
    # 1 * 1 + 2 * 2 + 3 * 3 + 4 * 4 = 30, over sqrt(1 + 4 + 9 + 16), over the limit of 5
    assert slope.score(1003.0, 14.0) == pytest.approx(math.sqrt(30.0) / 5.0, rel=0.02)


def test_a_slope_is_found_before_any_single_value_is_strange() -> None:
    noise, slope = random.Random(1), SlopeGlr()
    for i in range(2000):
        slope.learn(60.0 * i, noise.gauss(0.0, 1.0))
    found = None
    for j in range(60):
        t, x = 60.0 * (2000 + j), noise.gauss(0.0, 1.0) + 0.1 * j
        if (slope.score(t, x) or 0.0) >= 1.0:
            found = j
            break
        slope.learn(t, x)
    assert found is not None
    assert found <= 25


def test_noise_and_a_lone_spike_are_no_slope() -> None:
    noise, slope = random.Random(2), SlopeGlr()
    for i in range(8000):
        x = noise.gauss(0.0, 1.0) + 50.0 * (i == 4000)
        assert (slope.score(60.0 * i, x) or 0.0) < 1.0
        slope.learn(60.0 * i, x)


def test_the_moments_that_are_kept_stay_few() -> None:
    noise, slope = random.Random(3), SlopeGlr()
    for i in range(5000):
        slope.learn(60.0 * i, noise.gauss(0.0, 1.0))
    assert len(slope._sums) < 50


@pytest.mark.parametrize(("name", "value"), [("limit", 0.0), ("longest", 5), ("warm_up", 1)])
def test_impossible_settings_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        SlopeGlr(**{name: value})  # type: ignore[arg-type]
