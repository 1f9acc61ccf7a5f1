"""The ceiling by level, by former days, by trend. All numbers are worked by hand."""

from __future__ import annotations

import math
import random

from sentinel.model import Finding, Severity
from sentinel.pipeline.diagnosis.exhaustion import Exhaustion
from sentinel.pipeline.diagnosis.flood import Flood
from sentinel.pipeline.diagnosis.leak import Leak
from tests.pipeline.diagnosis.census import Census
from tests.pipeline.diagnosis.server import Server

DAY = 86400.0


def server(clients: float = 300.0, limit: float = 1000.0, step: float = 30.0) -> Server:
    return Server(Exhaustion(), step=step, redis_connected_clients=clients, redis_max_clients=limit)


def at(one: Server, *levels: float) -> list[Finding]:
    """A poll at each level; what fires at the last."""
    found: list[Finding] = []
    for level in levels:
        found = one.set(redis_connected_clients=level).tick()
    return found


def days(
    one: Server, number: float, noise: float = 0.0, seed: int = 1, low: float = 400.0, high: float = 790.0
) -> None:
    """Days that swing between `low` and `high`, with noise; none of it fires at page level."""
    coin = random.Random(seed)
    for _ in range(round(number * DAY / one.step)):
        wave = 0.5 - 0.5 * math.cos(2 * math.pi * (one.now % DAY) / DAY)
        level = (low + (high - low) * wave) * (1 + noise * coin.gauss(0.0, 1.0))
        for finding in at(one, round(level)):
            assert finding.severity is Severity.INFO, finding.summary


def test_four_fifths_for_two_minutes_is_a_warning() -> None:
    one = server()
    assert at(one, 300, 810, 810, 810, 810) == []
    (finding,) = at(one, 810)
    assert finding.severity is Severity.WARNING
    assert finding.summary.startswith("810 of 1,000 connections in use (81%), above 80% since")


def test_nine_tenths_for_half_a_minute_is_critical() -> None:
    one = server()
    assert at(one, 300, 910) == []
    assert at(one, 910)[0].severity is Severity.CRITICAL


def test_a_spike_of_a_minute_is_nothing() -> None:
    assert at(server(), 300, 950, 300, 300, 950, 300) == []


def test_what_counts_against_the_limit_lowers_the_ceiling() -> None:
    one = server().set(redis_connected_replicas=2.0, redis_cluster_links=3.0, redis_reserved_clients=45.0)
    assert at(one, 300, 770, 770, 770, 770, 770)[0].summary.startswith("770 of 950")


def test_a_limit_lowered_under_load_is_told_and_said() -> None:
    one = server(clients=450.0)
    one.run(600)
    found = one.set(redis_max_clients=480.0).run(60)
    assert found[-1].severity is Severity.CRITICAL
    assert "the ceiling fell from 1,000 to 480 at" in found[-1].summary


def test_a_limit_below_the_peak_of_every_day_is_told_at_once() -> None:
    one = server(step=300.0)
    days(one, 1.3)  # it is 23:12 UTC, at 403; the peak of 790 is noon's
    (finding,) = one.set(redis_max_clients=700.0).tick()
    assert finding.severity is Severity.WARNING
    assert "former days had up to" in finding.summary
    assert finding.eta is not None
    # cos passes 700 of 400..790 at 0.337 of a day: 8 h 5 min past midnight.
    hours = (math.acos(1 - 2 * 300 / 390) / (2 * math.pi) * DAY + DAY - one.now % DAY) / 3600
    assert finding.eta.earliest <= one.now + hours * 3600 <= (finding.eta.latest or 0)


def hour_of(level: float) -> float:
    """Hours after midnight at which a day of `days` reaches a level; the afternoon's is 24 less that."""
    return math.acos(1 - 2 * (level - 400) / 390) / (2 * math.pi) * 24


def test_the_range_of_a_peak_is_from_a_busier_day_to_a_less_busy_one() -> None:
    one = server(step=300.0)
    days(one, 1.3)
    (finding,) = one.set(redis_max_clients=700.0).tick()
    assert finding.eta is not None
    assert finding.eta.latest is not None
    midnight = one.now - one.now % DAY + DAY
    earliest, latest = (finding.eta.earliest - midnight) / 3600, (finding.eta.latest - midnight) / 3600
    assert abs(earliest - hour_of(700 / 1.077)) <= 0.5  # to two quarter hours, as former days know no finer
    assert abs(latest - hour_of(700 * 1.077)) <= 0.5


def test_a_less_busy_day_may_not_meet_the_ceiling_so_that_the_range_ends_with_the_busier_ones_peak() -> None:
    one = server(step=300.0)
    days(one, 1.3)
    (finding,) = one.set(redis_max_clients=760.0).tick()  # 760 * 1.077 is more than the peak of 790
    assert finding.eta is not None
    assert finding.eta.latest is not None
    hours = (finding.eta.latest - (one.now - one.now % DAY + DAY)) / 3600
    assert 0 <= hours - (24 - hour_of(760 / 1.077)) <= 1.0


def test_peaks_that_come_every_day_are_no_page() -> None:
    days(server(step=60.0), 5, noise=0.02, high=780.0)


def test_a_peak_above_the_line_is_a_warning_once_and_information_from_the_second_day_on() -> None:
    one, by_day = server(step=300.0), []
    for _ in range(3):
        found = []
        for _ in range(288):
            wave = 0.5 - 0.5 * math.cos(2 * math.pi * (one.now % DAY) / DAY)
            found += at(one, round(400 + 430 * wave))
        by_day.append(max((finding.severity for finding in found), default=None))
    assert by_day == [Severity.WARNING, Severity.INFO, Severity.INFO]


def test_a_day_that_is_busier_from_its_morning_on_is_told_before_its_peak() -> None:
    one, first = server(step=300.0), None
    days(one, 2.3)  # to 23:12
    for _ in range(150):
        wave = 0.5 - 0.5 * math.cos(2 * math.pi * (one.now % DAY) / DAY)
        found = at(one, round(1.4 * (400 + 390 * wave)))
        if first is None and found and found[0].severity >= Severity.WARNING:
            first = one.now % DAY
    assert first is not None
    # 1.4 times 714 is 1,000: full at a wave of 0.806, 8 h 31 min; told in the night before.
    assert first < 5 * 3600


def test_what_somebody_holds_all_day_is_not_multiplied_by_the_peak() -> None:
    one = server(step=300.0, limit=10_000.0)
    days(one, 2.3)  # to 23:12, at 403
    for number in range(200):  # 4,000 more within an hour, then nothing but the day
        wave = 0.5 - 0.5 * math.cos(2 * math.pi * (one.now % DAY) / DAY)
        found = at(one, round(400 + 390 * wave + min(4_000, 300 * number)))
        if number > 30:
            assert found == []


def test_a_floor_that_was_told_is_over_when_a_restart_takes_it_away() -> None:
    one, found = server(step=300.0, limit=4000.0), []
    days(one, 2.0, noise=0.02)
    level = 400.0
    while not found:
        level += 10.0
        found = at(one, round(level))
    assert at(one, 400) == []


def test_a_steep_rise_is_critical_while_most_of_the_rest_is_free() -> None:
    one, coin = server(), random.Random(2)
    at(one, *(300 + coin.randint(-4, 4) for _ in range(120)))
    for number in range(60):
        found = at(one, 300 + 10 * number + coin.randint(-4, 4))
        if found:
            break
    assert found[0].severity is Severity.CRITICAL
    assert found[0].eta is not None
    assert 590 <= found[0].value * 1000 <= 700  # type: ignore[operator]


def test_noise_that_looks_like_a_trend_for_ten_minutes_is_none() -> None:
    one, coin, level = server(clients=650.0), random.Random(7), 0.0
    for _ in range(10_000):  # three days of noise of 4 % that remembers ten minutes
        level = 0.951 * level + 0.309 * coin.gauss(0.0, 26.0)
        assert at(one, round(650 + level)) == []


def test_a_floor_that_leaves_former_days_behind_is_a_warning_with_a_day_left() -> None:
    one = server(step=300.0, limit=4000.0)
    days(one, 2.0, noise=0.02)
    began, found = one.now, []
    while not found and one.now < began + DAY:
        wave = 0.5 - 0.5 * math.cos(2 * math.pi * (one.now % DAY) / DAY)
        found = at(one, round(400 + 390 * wave + 120 * (one.now - began) / 3600))
    assert found[0].severity is Severity.WARNING
    assert one.now - began < 5 * 3600  # full after some 28 hours


def test_it_keeps_quiet_while_a_leak_says_as_much_and_names_who() -> None:
    one = Server(Leak(), Exhaustion(), step=30.0, redis_max_clients=500.0)
    census = Census(one, api=100.0, web=200.0)
    census.rest(3600.0)
    assert {finding.source for finding in census.leak("api", 140)} == {"leak"}


def test_it_speaks_while_a_flood_says_less() -> None:
    one = Server(Flood(), Exhaustion(), step=5.0, redis_connected_clients=300.0, redis_max_clients=1000.0)
    one.run(600)
    said = [f for level in (400, 500, 600, 700, 800, 850, 900, *[930] * 20) for f in at(one, level)]
    worst = {source: max(f.severity for f in said if f.source == source) for source in {f.source for f in said}}
    assert max(worst.values()) is Severity.CRITICAL


def test_it_ends_when_the_level_is_down_and_not_ten_minutes_later() -> None:
    one = server()
    assert at(one, 300, *[910] * 10)
    assert at(one, 400) == []


def test_it_does_not_end_for_one_reading_below_the_line() -> None:
    one = server()
    assert at(one, 300, *[905] * 10, 895)[0].severity is Severity.CRITICAL
