"""The moving average, with numbers worked by hand."""

from __future__ import annotations

import math

import pytest

from detectors import Ewma


def fed(ewma: Ewma, *points: tuple[float, float]) -> Ewma:
    for t, x in points:
        ewma.learn(t, x)
    return ewma


def test_until_weights_settle_every_value_counts_alike() -> None:
    ewma = fed(Ewma(half_life=1e6, warm_up=2), (0, 1.0), (1, 2.0), (2, 6.0))
    assert ewma.mean == pytest.approx(3.0)
    assert ewma.deviation == pytest.approx(math.sqrt((4 + 1 + 9) / 3))
    assert ewma.score(3.0, 3.0 + 2 * math.sqrt(14 / 3)) == pytest.approx(2.0)


def test_a_value_weighs_half_after_a_half_life() -> None:
    # 0 and 4 average to 2 with variance 4; a third value one half-life on takes weight 1/2:
    # mean (2 + 10) / 2 = 6, variance (4 + 0.5 * 8 * 8) / 2 = 18.
    ewma = fed(Ewma(half_life=10.0, warm_up=2), (0, 0.0), (10, 4.0), (20, 10.0))
    assert ewma.mean == pytest.approx(6.0)
    assert ewma.deviation == pytest.approx(math.sqrt(18.0))


def test_two_short_steps_forget_as_much_as_one_long_step() -> None:
    start = [(float(i), float(i % 2)) for i in range(2000)]
    before = fed(Ewma(half_life=10.0), *start).mean
    once = fed(Ewma(half_life=10.0), *start, (2004.0, 8.0))
    twice = fed(Ewma(half_life=10.0), *start, (2001.5, 8.0), (2004.0, 8.0))
    assert once.mean == pytest.approx(8.0 - (8.0 - before) * 0.5**0.5)
    assert twice.mean == pytest.approx(once.mean)


def test_a_long_gap_counts_as_one_half_life() -> None:
    start = [(float(i), 5.0 + i % 2) for i in range(100)]
    ewma = fed(Ewma(half_life=10.0), *start)
    before = ewma.mean
    ewma.learn(1e9, 9.0)
    assert ewma.mean == pytest.approx((before + 9.0) / 2)


def test_a_time_that_stands_still_takes_the_last_interval_again() -> None:
    start = [(float(i), float(i % 2)) for i in range(100)]
    forward, still = fed(Ewma(half_life=5.0), *start), fed(Ewma(half_life=5.0), *start)
    forward.learn(100.0, 3.0)
    still.learn(99.0, 3.0)
    assert still.mean == forward.mean


def test_no_score_before_the_warm_up_ends() -> None:
    ewma = fed(Ewma(warm_up=3), (0, 1.0), (1, 2.0))
    assert ewma.score(2.0, 99.0) is None
    assert ewma.distance(99.0) is None
    ewma.learn(2.0, 3.0)
    assert ewma.score(3.0, 2.0) == 0.0


def test_a_constant_has_a_tiny_scale_and_any_other_value_is_far() -> None:
    ewma = fed(Ewma(), *((float(i), 0.1) for i in range(100)))
    score = ewma.score(100.0, 0.2)
    assert score is not None
    assert score > 1e6
    assert ewma.score(100.0, 0.1) == pytest.approx(0.0, abs=1e-3)


def test_the_resolution_tames_a_constant() -> None:
    ewma = fed(Ewma(resolution=0.5), *((float(i), 10.0) for i in range(100)))
    assert ewma.score(100.0, 11.0) == pytest.approx(2.0)


def test_the_distance_has_a_sign() -> None:
    ewma = fed(Ewma(warm_up=2), (0, 9.0), (1, 11.0))
    assert ewma.distance(8.0) == pytest.approx(-2.0)


@pytest.mark.parametrize(
    "settings", [{"half_life": 0.0}, {"half_life": math.nan}, {"warm_up": 1}, {"resolution": -1.0}]
)
def test_impossible_settings_are_refused_by_name(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Ewma(**settings)  # type: ignore[arg-type]
