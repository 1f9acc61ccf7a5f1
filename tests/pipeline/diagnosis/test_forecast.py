"""Ranges of the time that is left, worked by hand and tried on arrivals that come as they say."""

from __future__ import annotations

import math
import random

import pytest

from sentinel.model import Eta, Severity
from sentinel.pipeline.diagnosis.forecast import Background, Rhythm, Urgency, drift, fill_range
from sentinel.pipeline.diagnosis.habit import DAY

START = 20_000 * DAY


def test_a_rate_seen_for_long_is_trusted_more_than_one_seen_briefly() -> None:
    brief, long = fill_range([(10, 100)], (1000, 1000)), fill_range([(1000, 10_000)], (1000, 1000))
    assert brief is not None
    assert long is not None
    assert brief[0] < long[0] < 10_000 < long[1] < brief[1]


def test_the_range_is_that_of_the_delta_method() -> None:
    # 400 in 400 s, 400 left: variance 1/400 + 1/400 + 0.05², its root 0.0866, times 1.2816 gives 0.111.
    found = fill_range([(400, 400)], (400, 400))
    assert found == (pytest.approx(400 * math.exp(-0.111), rel=1e-3), pytest.approx(400 * math.exp(0.111), rel=1e-3))


def test_what_else_may_take_room_widens_both_ends() -> None:
    found = fill_range([(400, 400)], (300, 500))
    assert found == (pytest.approx(300 * math.exp(-0.111), rel=1e-3), pytest.approx(500 * math.exp(0.111), rel=1e-3))


def test_nothing_gained_gives_no_range() -> None:
    assert fill_range([(0, 100)], (10, 10)) is None
    assert fill_range([(10, 0)], (10, 10)) is None


def test_eight_of_ten_ranges_hold_the_truth_for_arrivals_at_random() -> None:
    coin, held = random.Random(3), 0
    for _ in range(1_000):
        seen = sum(coin.expovariate(1.0) for _ in range(30))
        left = sum(coin.expovariate(1.0) for _ in range(60))
        found = fill_range([(30, seen)], (60, 60), day=1e12)
        held += found is not None and found[0] <= left <= found[1]
    assert 780 <= held <= 880  # nominal 800, and a little more for the least drift


def test_a_rate_that_came_in_bursts_is_trusted_less() -> None:
    # 20 expected of each of six: 2 * (40² + 20² + 20²) / 20 = 240, over five degrees of freedom 48, and the course
    # strays by less. That is 120/48 clusters; Student's factor of 3.5 freedoms is 1.523. Variance 48/120 + 48/1200 +
    # 0.05² = 0.4425, so that the ends are 600 * exp(±1.013).
    steady, bursts = [(20.0, 10.0)] * 6, [(60.0, 10.0), (0.0, 10.0), (0.0, 10.0)] * 2
    narrow, wide = fill_range(steady, (1200, 1200), day=1e12), fill_range(bursts, (1200, 1200), day=1e12)
    assert narrow is not None
    assert narrow[0] > 500
    assert wide == (pytest.approx(600 * math.exp(-1.013), rel=2e-3), pytest.approx(600 * math.exp(1.013), rel=2e-3))


def test_one_burst_longer_than_a_part_tells_little_of_the_pace() -> None:
    # 400 in 20 of 100 minutes: the course is a triangle 320 high above its chord, 6 * 320²/3/400 = 512; ten parts give
    # 178. 400/512 clusters; Student's factor of 1.78 freedoms is 1.757. Variance 512/400 + 512/4000 + 0.05² = 1.41.
    found = fill_range([(10.0, 30.0)] * 40 + [(0.0, 30.0)] * 160, (4000, 4000), day=1e12)
    assert found is not None
    assert [math.log(end / 60_000) for end in found] == pytest.approx([-2.087, 2.087], rel=2e-3)


def test_eight_of_ten_ranges_hold_the_truth_for_bursts_that_come_at_random() -> None:
    """A burst of about 20 in five minutes comes every 50; 25 were seen, 50 are to come (a compound Poisson process)."""
    coin, held = random.Random(5), 0

    def bursts(number: int) -> list[tuple[float, float]]:
        made = []
        for _ in range(number):
            made.append((0.0, coin.expovariate(1 / 3000.0)))
            made += [(coin.expovariate(1 / 2.0), 30.0) for _ in range(10)]
        return made

    for _ in range(400):
        ahead = bursts(50)
        left = sum(gain for gain, _ in ahead)
        found = fill_range(bursts(25), (left, left), day=1e12)
        held += found is not None and found[0] <= sum(seconds for _, seconds in ahead) <= found[1]
    assert 280 <= held <= 360  # 70 % to 90 %; nominal 320


def test_the_last_blocks_make_the_rate_as_soon_as_they_are_surer_than_the_whole() -> None:
    # 100/h for two days, then 300/h for ten hours with one hour left: what was two days ago drifts more than it tells.
    blocks = [(100.0, 3600.0)] * 48 + [(300.0, 3600.0)] * 10
    found = fill_range(blocks, (300, 300))
    assert found is not None
    assert found[0] < 3600 < found[1]


def half_day() -> Rhythm:
    """Three times as busy in the first half of the day as in the second."""
    clock = Rhythm.of(START, [3.0] * 48 + [1.0] * 48)
    assert clock is not None
    return clock


def test_the_rhythm_of_traffic_is_a_clock_that_runs_both_ways() -> None:
    clock = half_day()
    assert clock.at(START + 3600.0) == pytest.approx(5400.0)
    assert clock.at(START + 18 * 3600.0) == pytest.approx(75_600.0)
    for hours in (-30.0, -1.0, 0.0, 11.9, 12.0, 23.99, 24.0, 100.0):
        assert clock.when(clock.at(START + hours * 3600.0)) == pytest.approx(START + hours * 3600.0)
    assert Rhythm.of(START, [0.0] + [1.0] * 95) is None


def test_whether_it_follows_the_traffic_is_open_until_what_was_seen_tells() -> None:
    # Twelve busy hours at 150/h and 3,600 left: 24 h if it is steady; if it follows the traffic, 600 come in the quiet
    # half, 1,800 in the next busy one, 600 in the next quiet one and 600 in four busy hours: 40 h.
    now, seen = START + 12 * 3600.0, [(150.0, 3600.0)] * 12
    found = fill_range(seen, (3600, 3600), now=now, rhythm=half_day())
    assert found is not None
    assert found[0] < 24 * 3600.0 < 40 * 3600.0 < found[1]


def test_what_slowed_with_the_traffic_will_be_as_fast_again_with_it() -> None:
    # A busy half at 150/h and a quiet one at 50/h follow the clock exactly; the next busy half brings 1,800.
    now, seen = START + DAY, [(150.0, 3600.0)] * 12 + [(50.0, 3600.0)] * 12
    found = fill_range(seen, (1200, 1200), now=now, rhythm=half_day())
    assert found is not None
    assert found[0] < 8 * 3600.0 < found[1] < 12 * 3600.0  # 12 h at the mean rate of 100/h


def test_what_stayed_while_the_traffic_slowed_is_steady() -> None:
    now, seen = START + DAY, [(100.0, 3600.0)] * 24
    found = fill_range(seen, (1200, 1200), now=now, rhythm=half_day())
    assert found is not None
    assert 9 * 3600.0 < found[0] < 12 * 3600.0 < found[1]


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
