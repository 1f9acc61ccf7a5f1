"""Forecasts, with numbers worked by hand."""

from __future__ import annotations

import math
import random

import pytest

from detectors import Holt, HoltWinters


def test_level_and_slope_after_three_values_are_those_worked_by_hand() -> None:
    # Half-lives so long that every value counts as in a plain average: a = b = 1 / count.
    holt = Holt(half_life=1e9, trend_half_life=1e9, warm_up=3)
    holt.learn(0.0, 10.0)
    holt.learn(10.0, 14.0)  # expected 10, error 4: level 12, slope 0.5 * 0.5 * 4 / 10
    assert (holt.level, holt.slope) == (12.0, 0.1)
    holt.learn(20.0, 16.0)  # expected 13, error 3: level 14, slope 0.1 + 3 / 9 / 10
    assert holt.level == pytest.approx(14.0)
    assert holt.slope == pytest.approx(0.1 + 1 / 30)


def test_a_ramp_is_followed_through_a_gap_and_a_step_is_not() -> None:
    noise, holt = random.Random(1), Holt()
    for minute in range(600):
        holt.learn(60.0 * minute, 100.0 + minute + noise.gauss(0.0, 1.0))
    later = 60.0 * 610
    assert (holt.score(later, 710.0) or 0.0) < 3.0 < (holt.score(later, 740.0) or 0.0)


def test_a_season_is_expected_from_the_second_day_on() -> None:
    noise, season = random.Random(2), HoltWinters()
    for i in range(3 * 288):
        season.learn(300.0 * i, 100.0 + 50.0 * math.sin(2 * math.pi * i / 288) + noise.gauss(0.0, 2.0))
    noon, evening = 300.0 * (3 * 288 + 72), 300.0 * (3 * 288 + 216)  # crest and trough
    assert (season.score(noon, 150.0) or 0.0) < 3.0 < (season.score(noon, 100.0) or 0.0)
    assert (season.score(evening, 50.0) or 0.0) < 3.0 < (season.score(evening, 100.0) or 0.0)
    why = season.explain(noon, 100.0)
    assert why is not None
    assert why.low < 150.0 < why.high


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Holt(half_life=0.0), "half_life"),
        (lambda: Holt(warm_up=2), "warm_up"),
        (lambda: HoltWinters(period=0.0), "period"),
        (lambda: HoltWinters(slots=1), "slots"),
        (lambda: HoltWinters(season_weight=1.0), "season_weight"),
    ],
)
def test_impossible_settings_are_refused_by_name(make: type, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make()
