"""Ranges of the time that is left, worked by hand and tried on arrivals that come as they say."""

from __future__ import annotations

import math
import random

import pytest

from sentinel.model import Eta, Severity
from sentinel.pipeline.diagnosis.forecast import Background, Urgency, dispersion, drift, fill_range
from sentinel.pipeline.diagnosis.habit import DAY

START = 20_000 * DAY


def test_a_rate_seen_for_long_is_trusted_more_than_one_seen_briefly() -> None:
    brief, long = fill_range(10, 100, (1000, 1000)), fill_range(1000, 10_000, (1000, 1000))
    assert brief is not None
    assert long is not None
    assert brief[0] < long[0] < 10_000 < long[1] < brief[1]


def test_the_range_is_that_of_the_delta_method() -> None:
    # 400 in 400 s, 400 left: variance 1/400 + 1/400 + 0.05², its root 0.0866, times 1.2816 gives 0.111.
    found = fill_range(400, 400, (400, 400))
    assert found == (pytest.approx(400 * math.exp(-0.111), rel=1e-3), pytest.approx(400 * math.exp(0.111), rel=1e-3))


def test_what_else_may_take_room_widens_both_ends() -> None:
    found = fill_range(400, 400, (300, 500))
    assert found == (pytest.approx(300 * math.exp(-0.111), rel=1e-3), pytest.approx(500 * math.exp(0.111), rel=1e-3))


def test_nothing_gained_gives_no_range() -> None:
    assert fill_range(0, 100, (10, 10)) is None
    assert fill_range(10, 0, (10, 10)) is None


def test_eight_of_ten_ranges_hold_the_truth_for_arrivals_at_random() -> None:
    coin, held = random.Random(3), 0
    for _ in range(1_000):
        seen = sum(coin.expovariate(1.0) for _ in range(30))
        left = sum(coin.expovariate(1.0) for _ in range(60))
        found = fill_range(30, seen, (60, 60), day=1e12)
        held += found is not None and found[0] <= left <= found[1]
    assert 780 <= held <= 880  # nominal 800, and a little more for the least drift


def test_bursts_are_more_dispersed_than_single_arrivals() -> None:
    assert dispersion([(10.0, 60.0)] * 6) == 1.0
    # 20 expected of each: 2 * (40² + 20² + 20²) / 20 = 240, over five degrees of freedom.
    assert dispersion([(60.0, 60.0), (0.0, 60.0), (0.0, 60.0)] * 2) == 48.0


def test_a_rate_drifts_with_the_time_of_day_and_least_between_whole_days() -> None:
    assert drift(900.0, 900.0) == 0.05
    assert drift(3600.0, 8 * 3600.0) == 0.3
    assert drift(DAY, 3 * DAY) == 0.2
    assert drift(240.0, 480.0, day=5760.0) == pytest.approx(0.075)  # a day of 96 minutes: a quarter of a third


def test_without_a_day_of_history_a_peak_may_be_twice_the_present() -> None:
    background = Background()
    assert background.range(START, 600.0, 0.0) == (600.0, 600.0)
    assert background.range(START, 600.0, DAY) == (300.0, 1200.0)


def test_with_a_day_of_history_the_peak_ahead_is_that_of_yesterday() -> None:
    background = Background()
    for quarter in range(97):
        background.learn(START + quarter * DAY / 96, 900.0 if quarter == 48 else 500.0)
    now = START + DAY + 30 * DAY / 96
    assert background.range(now, 500.0, 3600.0) == (400.0, 500.0)
    assert background.range(now, 500.0, 6 * 3600.0) == (400.0, 900.0)


def test_severity_goes_by_the_early_end() -> None:
    urgency = Urgency(critical_within=7200.0, warning_within=DAY)
    assert urgency.severity(0.0, Eta(7200.0, 9e9, "")) is Severity.CRITICAL
    assert urgency.severity(0.0, Eta(7201.0, None, "")) is Severity.WARNING
    assert urgency.severity(0.0, Eta(DAY + 1, None, "")) is Severity.INFO
    assert urgency.severity(0.0, None) is Severity.INFO
