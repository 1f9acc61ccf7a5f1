"""Quantiles without keeping values."""

from __future__ import annotations

import random

import pytest

from detectors import Quantiles
from detectors.quantiles import P2


@pytest.mark.parametrize(("share", "quantile"), [(0.5, 0.6931), (0.9, 2.3026), (0.99, 4.6052)])
def test_the_quantiles_of_an_exponential_are_found(share: float, quantile: float) -> None:
    noise, marker = random.Random(1), P2(share)
    for _ in range(20000):
        marker.learn(noise.expovariate(1.0))
    assert marker.value == pytest.approx(quantile, rel=0.06)


def test_few_values_are_kept_as_they_are() -> None:
    marker = P2(0.5)
    assert marker.value == 0.0
    for x in (3.0, 1.0, 2.0):
        marker.learn(x)
    assert marker.value == 2.0


def test_each_side_is_measured_by_its_own_quantile() -> None:
    noise, latency = random.Random(2), Quantiles()
    for i in range(5000):
        latency.learn(float(i), noise.expovariate(1.0))
    # median 0.69, quantiles 0.01 and 4.61: 8.5 lies 2 of the upper distances off, -0.67 two of the lower ones
    assert latency.score(5000.0, 8.5) == pytest.approx(2.0, rel=0.15)
    assert latency.score(5000.0, -0.67) == pytest.approx(2.0, rel=0.15)


def test_an_old_level_is_forgotten_after_two_windows() -> None:
    noise, latency = random.Random(3), Quantiles(window=1000, warm_up=100)
    for i in range(10000):
        latency.learn(float(i), noise.gauss(10.0 if i < 5000 else 50.0, 1.0))
    assert (latency.score(10000.0, 50.0) or 0.0) < 1.0 < 3.0 < (latency.score(10000.0, 10.0) or 0.0)


@pytest.mark.parametrize(("name", "value"), [("share", 0.5), ("window", 100), ("warm_up", 4)])
def test_impossible_settings_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Quantiles(**{name: value})  # type: ignore[arg-type]
