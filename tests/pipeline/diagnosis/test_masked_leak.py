"""Leaks that restarts take away, and teeth that are none. All numbers are worked by hand."""

from __future__ import annotations

from typing import Any

from sentinel.model import Finding, Severity
from sentinel.pipeline.diagnosis.leak import Leak
from sentinel.pipeline.diagnosis.masked_leak import MaskedLeak
from tests.pipeline.diagnosis.census import Census
from tests.pipeline.diagnosis.server import Server

STEP = 300.0
HOUR = 3600.0


def shop(*causes: Any, limit: float = 10_000.0) -> Census:
    """`api` holds 100 on ten processes, `web` 200; one poll in five minutes."""
    server = Server(*(causes or (MaskedLeak(),)), step=STEP, redis_max_clients=limit)
    census = Census(server, api=100.0, web=200.0)
    assert census.rest(HOUR) == []
    return census


def tooth(census: Census, hours: float, per_hour: float = 120.0) -> list[Finding]:
    """A leak between two restarts; what fires at its end."""
    return census.leak("api", round(hours * 12), each=per_hour / 12)


def restart(census: Census, polls: int = 3) -> list[Finding]:
    """What has leaked goes with its processes, one after another; what fires then."""
    held, found = census.cohort["api"], []
    for _ in range(polls):
        census.close("api", held / polls)
        found = census.tick()
    return found


def test_two_restarts_make_one_masked_leak_with_its_pace() -> None:
    census = shop()
    assert tooth(census, 12) == []
    assert restart(census) == []
    assert tooth(census, 12) == []
    (finding,) = restart(census)
    assert finding.subject == "api"
    assert finding.summary == (
        "api-1 leaks 2/min and is saved by restarts: 2 of them since 17:00 UTC, one in 12 h, took away 2,880 "
        "connections that were never used again; 0 are there again. 300 of 10,000 in use."
    )


def test_it_says_when_a_freeze_would_fill_the_server() -> None:
    census = shop()
    for _ in range(3):
        tooth(census, 20)
        found = restart(census)
    (finding,) = found
    assert finding.eta is not None
    full = census.server.now + 9_700 / 120 * HOUR  # of 10,000, 300 are in use
    assert finding.eta.earliest < full < (finding.eta.latest or 0)
    assert finding.eta.latest is not None
    assert finding.eta.wall == "10,000 clients, if nothing restarts"
    # A point estimate within a quarter of the truth.
    middle = ((finding.eta.earliest - census.server.now) * (finding.eta.latest - census.server.now)) ** 0.5
    assert 0.75 < middle / (9_700 / 120 * HOUR) < 1.25


def test_it_is_one_incident_through_all_restarts_and_no_new_leak_after_each() -> None:
    census = shop(Leak(), MaskedLeak())
    for _ in range(2):
        assert {finding.source for finding in tooth(census, 12)} == {"leak"}
        restart(census)
    for _ in range(4):
        for _ in range(12):
            assert {finding.source for finding in tooth(census, 1)} == {"masked_leak"}
        assert {finding.source for finding in restart(census)} == {"masked_leak"}


def test_restarts_more_often_than_the_time_to_the_wall_are_never_critical() -> None:
    census = shop(limit=1_000.0)  # 700 left: full in 5.8 hours without the restart every 4
    worst = []
    for _ in range(5):
        for _ in range(4):
            worst += [finding.severity for finding in tooth(census, 1)]
        restart(census)
    assert set(worst) == {Severity.WARNING}


def test_a_tooth_that_outlasts_all_others_is_as_bad_as_the_time_that_is_left() -> None:
    census = shop(limit=1_300.0)
    for _ in range(3):
        tooth(census, 4)
        restart(census)
    assert tooth(census, 5.9)[0].severity is Severity.WARNING
    (finding,) = tooth(census, 1)  # 6.9 hours, restarts came every four; 172 left
    assert finding.severity is Severity.CRITICAL


def test_a_slow_one_is_information() -> None:
    census = shop(limit=20_000.0)
    for _ in range(2):
        tooth(census, 24, per_hour=60.0)
        found = restart(census)
    assert found[0].severity is Severity.INFO


def test_it_is_over_when_it_does_not_grow_again() -> None:
    census = shop()
    for _ in range(3):
        tooth(census, 6)
        restart(census)
    assert census.rest(8.5 * HOUR)
    census.rest(2 * HOUR)
    assert census.tick() == []


# Look-alikes.


def test_one_leak_that_was_fixed_is_not_masked() -> None:
    census = shop()
    tooth(census, 12)
    assert restart(census) == []
    assert census.rest(48 * HOUR) == []


def test_pools_that_fill_within_the_hour_after_each_deploy_are_not() -> None:
    census = shop()
    for _ in range(4):
        tooth(census, 1)
        assert census.rest(11 * HOUR) == []
        assert restart(census) == []


def test_connections_that_are_replaced_while_they_grow_unused_are_not() -> None:
    census = shop()
    for _ in range(3):
        for _ in range(40):
            census.open("api", 2)
            census.close("api", 2, used=True)
            assert census.tick() == []
        census.use("api", 80)
        assert census.tick() == []


def test_a_saw_of_jumps_is_not() -> None:
    census = shop()
    for _ in range(5):
        census.leak("api", 2, each=50)
        assert census.rest(6 * HOUR) == []
        assert restart(census) == []
