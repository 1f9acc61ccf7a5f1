"""Tails as in the paper."""

from __future__ import annotations

import random

import pytest

from detectors import Spot


def test_about_as_many_values_alarm_as_the_risk_says() -> None:
    noise, spot, alarms = random.Random(1), Spot(risk=1e-3, share=0.05), 0
    for i in range(40000):
        x = noise.gauss(0.0, 1.0)
        alarms += (spot.score(float(i), x) or 0.0) >= 1.0
        spot.learn(float(i), x)
    assert 40 <= alarms <= 160  # 0.001 on each of two sides of 39,000 values


def test_a_drift_is_followed_with_depth_and_not_without() -> None:
    noise, plain, deep = random.Random(2), Spot(), Spot(depth=20)
    for i in range(4000):
        x = 0.01 * i + noise.gauss(0.0, 1.0)
        plain.learn(float(i), x)
        deep.learn(float(i), x)
    assert (deep.score(4000.0, 40.0) or 0.0) < 1.0 <= (deep.score(4000.0, 20.0) or 0.0)
    assert (plain.score(4000.0, 20.0) or 0.0) < 1.0


def test_the_tail_of_equal_peaks_is_the_one_worked_by_hand() -> None:
    spot = Spot(risk=1e-3, share=0.1, warm_up=200)
    for i in range(200):
        spot.learn(float(i), float(i % 10))  # 0 to 9: levels 8 and 1, with 20 peaks of 1 beyond each
    why = spot.explain(200.0, 4.5)
    assert why is not None
    # no spread: shape -0.5, scale 1.5; 1.5 / -0.5 * ((0.001 * 200 / 20) ** 0.5 - 1) = 2.7
    assert (why.low, why.expected, why.high) == (pytest.approx(-1.7), 4.5, pytest.approx(10.7))


@pytest.mark.parametrize(
    ("name", "value"), [("risk", 0.1), ("share", 0.2), ("depth", -1), ("warm_up", 100), ("peaks", 5)]
)
def test_impossible_settings_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Spot(**{name: value})  # type: ignore[arg-type]
