"""Phi accrual, with tails of the normal distribution from tables."""

from __future__ import annotations

import math

import pytest

from detectors import PhiAccrual


def beating(gaps: list[float], **settings: float) -> PhiAccrual:
    phi = PhiAccrual(**{"warm_up": 3, "least_deviation": 1.0, **settings})  # type: ignore[arg-type]
    t = 0.0
    phi.learn(t, 0.0)
    for gap in gaps:
        t += gap
        phi.learn(t, 0.0)
    return phi


# One-sided tails: 0.5, 0.158655, 0.0227501, 2.86652e-7
@pytest.mark.parametrize(("age", "tail"), [(10.0, 0.5), (12.0, 0.158655), (14.0, 0.0227501), (20.0, 2.86652e-7)])
def test_phi_is_the_tail_of_the_learnt_gaps(age: float, tail: float) -> None:
    phi = beating([8.0, 12.0, 8.0, 12.0])  # mean 10, deviation 2
    assert phi.score(0.0, age) == pytest.approx(-math.log10(tail), rel=1e-5)


def test_phi_stays_finite_and_grows_where_the_tail_underflows() -> None:
    phi = beating([10.0] * 4)
    near, far = phi.score(0.0, 10.0 + 29.999), phi.score(0.0, 10.0 + 30.001)
    assert near == pytest.approx(far, rel=1e-3)
    day = phi.score(0.0, 86400.0)
    assert day is not None
    assert 1e9 < day < math.inf


def test_the_same_beat_seen_at_several_ages_is_one_beat() -> None:
    phi = PhiAccrual(warm_up=2)
    for t in range(0, 61, 5):
        phi.learn(float(t), float(t % 20))  # beats at 0 20 40 60, sampled every 5 s
    assert phi.score(80.0, 20.0) == pytest.approx(-math.log10(0.5))


def test_ages_rounded_down_by_a_second_make_no_new_beats() -> None:
    phi = PhiAccrual(warm_up=2)
    for tick in range(200):
        t = 0.7 * tick
        phi.learn(t, float(int(t % 20.0)))
    assert len(phi._gaps) == 6
    assert phi._mean == pytest.approx(20.0, abs=0.3)


def test_a_pause_is_forgiven() -> None:
    assert beating([10.0] * 4, pause=30.0).score(0.0, 40.0) == pytest.approx(-math.log10(0.5))


def test_an_outage_is_learnt_as_twice_the_mean_gap_at_most() -> None:
    phi = beating([10.0] * 10)
    phi.learn(100.0 + 36000.0, 0.0)
    assert phi._mean == pytest.approx((10 * 10.0 + 20.0) / 11)


def test_a_sender_that_slows_down_for_good_is_accepted() -> None:
    phi = beating([10.0] * 20 + [60.0] * 40, window=20)
    assert phi.score(0.0, 60.0) == pytest.approx(-math.log10(0.5))


def test_a_clock_set_back_starts_a_new_beat_without_a_gap() -> None:
    phi = beating([10.0] * 4)
    phi.learn(-5000.0, 0.0)
    phi.learn(-4990.0, 0.0)
    assert list(phi._gaps) == [10.0] * 5


def test_no_score_before_the_warm_up_ends() -> None:
    assert beating([10.0, 10.0]).score(0.0, 500.0) is None


@pytest.mark.parametrize(
    "settings", [{"window": 1}, {"warm_up": 0}, {"warm_up": 101}, {"least_deviation": 0.0}, {"pause": -1.0}]
)
def test_impossible_settings_are_refused_by_name(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        PhiAccrual(**settings)  # type: ignore[arg-type]
