"""Fixed limits, with numbers worked by hand."""

from __future__ import annotations

import math

import pytest

from detectors import AboveLimit, BelowLimit, OutsideBand


@pytest.mark.parametrize(("x", "score"), [(0.0, 0.0), (100.0, 0.25), (400.0, 1.0), (800.0, 2.0), (-5.0, 0.0)])
def test_above_scores_the_share_of_the_limit(x: float, score: float) -> None:
    assert AboveLimit(limit=400.0).score(0.0, x) == score


@pytest.mark.parametrize(("x", "score"), [(8.0, 0.0), (9.0, 0.0), (5.0, 0.75), (4.0, 1.0), (0.0, 2.0), (-4.0, 3.0)])
def test_below_mirrors_above_at_the_limit(x: float, score: float) -> None:
    assert BelowLimit(limit=4.0).score(0.0, x) == score


@pytest.mark.parametrize(("x", "score"), [(10.0, 0.0), (30.0, 1.0), (-10.0, 1.0), (50.0, 2.0), (-30.0, 2.0)])
def test_a_band_scores_one_at_either_edge(x: float, score: float) -> None:
    assert OutsideBand(low=-10.0, high=30.0).score(0.0, x) == score


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_judged(x: float) -> None:
    assert AboveLimit(1.0).score(0.0, x) is BelowLimit(1.0).score(0.0, x) is OutsideBand(0, 1).score(0.0, x) is None


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan, math.inf])
def test_a_limit_that_cannot_be_divided_by_is_refused(limit: float) -> None:
    for detector in (AboveLimit, BelowLimit):
        with pytest.raises(ValueError, match=f"limit must be above 0, got {limit}"):
            detector(limit)


def test_a_band_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match=r"low must be below high, got 3\.0 and 3\.0"):
        OutsideBand(low=3.0, high=3.0)
