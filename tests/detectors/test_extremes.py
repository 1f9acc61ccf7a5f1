"""The tail and the records, with tails worked by hand."""

from __future__ import annotations

import math
import random

import pytest

from detectors.extremes import Extremes

THRESHOLD = 8.0
LATER = 60.0 * 1700.0


def fed(sizes: list[float]) -> Extremes:
    extremes = Extremes()
    for minute, size in enumerate(sizes):
        extremes.learn(size, 60.0 * minute, 600.0)
    return extremes


def exponential(n: int) -> list[float]:
    noise = random.Random(3)
    return [noise.expovariate(1.0) + 1e-9 for _ in range(n)]


def test_the_quantile_is_exceeded_by_four_in_a_hundred() -> None:
    assert fed(exponential(20000)).quantile == pytest.approx(-math.log(0.04), rel=0.15)


@pytest.mark.parametrize("size", [6.0, 9.0, 12.0])
def test_the_tail_of_an_exponential_is_its_size(size: float) -> None:
    # P(X > x) = exp(-x), so the surprise is x itself
    assert fed(exponential(20000)).tail(size) == pytest.approx(size, rel=0.15)


def test_what_came_in_three_episodes_is_no_news() -> None:
    quiet = [1.0 + 0.1 * (i % 7) for i in range(400)]
    twice = fed([*quiet, 50.0, *quiet, 50.0, *quiet])
    thrice = fed([*quiet, 50.0, *quiet, 50.0, *quiet, 50.0, *quiet])
    assert twice.surprise(50.0, LATER, THRESHOLD) >= THRESHOLD
    assert thrice.surprise(50.0, LATER, THRESHOLD) < THRESHOLD
    assert thrice.surprise(80.0, LATER, THRESHOLD) > THRESHOLD


def test_several_values_close_together_are_one_episode() -> None:
    quiet = [1.0 + 0.1 * (i % 7) for i in range(400)]
    assert fed([*quiet, *[50.0] * 5, *quiet]).surprise(50.0, LATER, THRESHOLD) > THRESHOLD


def test_nothing_is_surprising_before_a_dozen_sizes() -> None:
    assert fed([1.0] * 11).surprise(1e6, LATER, THRESHOLD) == 0.0
    assert fed([1.0] * 12).surprise(1e6, LATER, THRESHOLD) > THRESHOLD
