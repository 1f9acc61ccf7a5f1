"""Floods of seconds and of minutes, and everything that looks like one. All numbers are worked by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import pytest

from sentinel.model import Finding, Severity, labels
from sentinel.pipeline.diagnosis import View
from sentinel.pipeline.diagnosis.flood import Flood
from tests.pipeline.diagnosis.server import Server


def quiet(clients: float = 100.0, ceiling: float = 1100.0) -> Server:
    """Ten quiet minutes at 100 of 1,100: a fifth of the room is 200."""
    server = Server(Flood(), redis_connected_clients=clients, redis_max_clients=ceiling)
    server.group("api-*", 60.0, 6.0).group("worker-*", 40.0, 10.0)
    assert server.run(600) == []
    return server


def climb(server: Server, per_second: float, seconds: float) -> list[Finding]:
    """The level rises steadily, all of it in one group of as many sources as before."""
    found = []
    for _ in range(round(seconds / server.step)):
        level = next(v for k, v in server.values.items() if k.metric == "redis_connected_clients")
        level += per_second * server.step
        server.set(redis_connected_clients=level).group("api-*", level - 40.0, 6.0, name="api-1", share="1.00")
        found += server.tick()
    return found


def test_a_rush_is_critical_once_a_fifth_of_the_room_is_taken() -> None:
    server = quiet()
    assert climb(server, 24.0, 5) == []  # 120 of the 200 that it takes
    assert climb(server, 24.0, 5)[0].severity is Severity.CRITICAL
    (finding,) = climb(server, 24.0, 5)
    assert finding.summary.startswith("360 more connections in 15 s, api-1 first: 460 of 1,100 in use, usually at most")
    assert finding.eta is not None  # 640 left at 24 a second
    assert finding.eta.earliest < server.now + 26.7 < (finding.eta.latest or 0)


def test_a_flood_that_takes_a_quarter_of_an_hour_is_found_with_more_than_half_of_it_left() -> None:
    found = climb(quiet(), 1000.0 / 900.0, 0.45 * 900)
    assert [finding.source for finding in found[:1]] == ["flood"]


def test_a_climb_that_takes_three_hours_is_none() -> None:
    assert climb(quiet(), 1000.0 / 10800.0, 7200) == []


def test_a_single_step_that_stops_is_none() -> None:
    server = quiet().set(redis_connected_clients=400.0)
    assert server.run(1200) == []


def test_what_comes_back_after_a_restart_is_none_up_to_what_was_there() -> None:
    server = quiet(clients=600.0).set(redis_connected_clients=5.0).add(redis_restarts_total=1.0)
    server.run(10)
    assert climb(server, 12.0, 50) == []  # 605 at the end


def test_for_a_minute_after_an_outage_old_and_new_connections_may_stand_side_by_side() -> None:
    server = quiet(clients=300.0)
    server.down("timeout").run(60)
    assert climb(server.up(), 20.0, 15) == []  # up to 600, twice what was there
    assert climb(server, 20.0, 5) != []


def test_a_deploy_that_doubles_processes_for_a_while_is_none() -> None:
    server = Server(Flood(), redis_connected_clients=300.0, redis_max_clients=1000.0).group("api-*", 300.0, 30.0)
    server.run(600)
    for pods in range(31, 61):
        server.set(redis_connected_clients=10.0 * pods).group("api-*", 10.0 * pods, float(pods))
        assert server.tick() == []


def test_new_processes_that_hold_far_more_than_the_old_ones_are_one() -> None:
    server = Server(Flood(), redis_connected_clients=300.0, redis_max_clients=1000.0).group("api-*", 300.0, 30.0)
    server.run(600)
    found = []
    for pods in range(31, 41):
        level = 300.0 + 50.0 * (pods - 30)
        server.set(redis_connected_clients=level).group("api-*", level, float(pods))
        found += server.tick()
    assert {finding.source for finding in found} == {"flood"}


def test_nothing_is_said_while_the_usual_level_is_being_learnt() -> None:
    server = Server(Flood(), redis_connected_clients=10.0, redis_max_clients=1000.0)
    server.group("api-*", 10.0, 6.0)
    assert climb(server, 5.0, 140) == []


def test_it_is_over_when_the_level_is_down_again() -> None:
    server = quiet()
    climb(server, 20.0, 20)
    server.set(redis_connected_clients=150.0)
    assert server.run(60) == []


def test_a_level_that_stands_for_ten_minutes_is_the_new_usual_one_and_a_warning_until_then() -> None:
    server = quiet()
    climb(server, 20.0, 20)
    standing = server.run(600)
    assert standing[0].severity is Severity.CRITICAL
    assert {finding.severity for finding in standing[15:]} == {Severity.WARNING}  # it rose last a minute ago
    assert server.run(600) == []
    assert climb(server, 10.0, 10) == []  # 600 of 1,100: a fifth of the room is 120 now


def test_it_stays_while_the_server_refuses() -> None:
    server = quiet().rate(redis_connections_rejected_total=0.0)
    climb(server, 50.0, 20)
    server.set(redis_connected_clients=1098.0).rate(redis_connections_rejected_total=30.0)
    found = server.run(1200)
    assert {finding.severity for finding in found} == {Severity.CRITICAL}
    assert "It refuses newcomers now (30/s)." in found[-1].summary


@pytest.mark.parametrize("usual", [10.0, 400.0, 900.0])
def test_the_wobble_of_a_count_is_none(usual: float) -> None:
    server = Server(Flood(), redis_connected_clients=usual, redis_max_clients=1000.0)
    server.run(300)
    for sign in (1, -1, 1, 1, -1, 1, 1, 1) * 20:
        server.set(redis_connected_clients=usual + sign * 3 * usual**0.5)
        assert server.tick() == []


@dataclass
class Leaks:
    """A leak cause that blames a group."""

    name: ClassVar[str] = "leak"
    needs: ClassVar[tuple[str, ...]] = ()
    windows: ClassVar[tuple[str, ...]] = ()

    def judge(self, view: View) -> Iterable[Finding]:
        yield Finding(view.target, "leak", "cause", Severity.WARNING, view.now, True, "…", "api-*")


def rush_during_a_leak(never_used: float) -> list[Finding]:
    """360 newcomers to `api-*`, which leaks, in 15 seconds; so many of a hundred are never used again."""
    server = Server(Flood(), Leaks(), redis_connected_clients=100.0, redis_max_clients=1100.0)
    server.group("api-*", 60.0, 6.0).set(labels(group="api-*"), redis_group_untouched_clients=20.0).run(600)
    found = []
    for came in (120.0, 240.0, 360.0):
        server.set(redis_connected_clients=100.0 + came).group("api-*", 60.0 + came, 6.0)
        server.set(labels(group="api-*"), redis_group_untouched_clients=20.0 + came * never_used / 100)
        found += server.tick()
    return found


def test_a_flood_during_a_leak_is_told_beside_it() -> None:
    assert {finding.source for finding in rush_during_a_leak(never_used=40.0)} == {"leak", "flood"}


def test_a_rush_that_is_a_leak_is_left_to_it() -> None:
    assert {finding.source for finding in rush_during_a_leak(never_used=60.0)} == {"leak"}
