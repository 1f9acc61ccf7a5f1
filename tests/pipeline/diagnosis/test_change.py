"""What changed on purpose or by itself: one line of information, and never more than one an hour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from sentinel.model import Finding, Severity, labels
from sentinel.pipeline.diagnosis import View
from sentinel.pipeline.diagnosis.change import Change
from tests.pipeline.diagnosis.server import START, Server

API = labels(group="api-*")


def server(clients: float = 40.0, sources: float = 10.0) -> Server:
    made = Server(Change(), redis_connected_clients=100.0, redis_max_clients=1000.0, redis_uptime_seconds=86400.0)
    made.set(labels(role="master"), redis_info=1.0).group("api-*", clients, sources)
    assert made.run(1200) == []
    return made


def lines(found: list[Finding]) -> set[str]:
    assert {finding.severity for finding in found} <= {Severity.INFO}
    return {finding.summary for finding in found}


def deploy(one: Server, replaced: int = 40, seconds: float = 300.0) -> list[Finding]:
    """So many connections closed and as many opened, evenly."""
    rate = replaced / seconds
    one.rate(API, redis_group_births_total=rate, redis_group_deaths_total=rate)
    found = one.run(seconds)
    one.rate(API, redis_group_births_total=0.0, redis_group_deaths_total=0.0)
    return found


def test_a_deploy_is_told_once_it_is_over_with_what_it_replaced() -> None:
    one = server()
    assert deploy(one) == []
    assert lines(one.run(600)) == {"deploy of api-* at 16:20 UTC: 40 of 40 replaced."}


def test_its_line_stands_for_five_minutes() -> None:
    one = server()
    deploy(one)
    found = one.run(1200)
    assert found[-1].time - found[0].time == 295.0


def test_a_second_deploy_within_the_hour_waits_for_the_next_line() -> None:
    one = server()
    deploy(one)
    first = one.run(900)
    deploy(one)
    assert one.run(900) == []
    second = one.run(3600)
    assert lines(second) == {"deploy of api-* at 16:40 UTC: 40 of 40 replaced."}
    assert second[0].time - first[0].time == 3600.0


def test_many_changes_share_a_line() -> None:
    one = server().group("worker-*", 20.0, 20.0)
    one.run(900)
    one.rate(labels(group="worker-*"), redis_group_births_total=0.1, redis_group_deaths_total=0.1)
    deploy(one)
    one.rate(labels(group="worker-*"), redis_group_births_total=0.0, redis_group_deaths_total=0.0)
    (line,) = lines(one.run(600))
    assert line == (
        "deploy of api-* at 16:35 UTC: 40 of 40 replaced; deploy of worker-* at 16:35 UTC: 20 of 20 replaced."
    )


def test_a_pool_that_renews_its_connections_all_day_is_not_deployed() -> None:
    one, found = server(), []
    for turn in range(400):
        one.add(API, redis_group_births_total=float(turn % 2), redis_group_deaths_total=float(turn % 2))
        found += one.run(25 + turn % 7 * 20)  # one in every 100 to 350 s, with pauses
    assert found == []


def test_a_deploy_of_a_group_that_renews_its_connections_anyway_is_told() -> None:
    one = server()
    one.rate(API, redis_group_births_total=0.01, redis_group_deaths_total=0.01)  # nine of forty in 15 minutes
    assert one.run(7200) == []
    one.rate(API, redis_group_births_total=0.2, redis_group_deaths_total=0.2)
    one.run(200)
    one.rate(API, redis_group_births_total=0.01, redis_group_deaths_total=0.01)
    (line,) = lines(one.run(900))
    assert line.startswith("deploy of api-* at 18:20 UTC: 4")


def test_a_leak_is_no_deploy() -> None:
    one = server()
    one.rate(API, redis_group_births_total=0.2)
    for clients in range(41, 400):
        assert one.group("api-*", float(clients), 10.0).tick() == []


@dataclass
class Blames:
    """A leak cause that blames a group from some time on."""

    since: float = START + 1800.0
    name: ClassVar[str] = "leak"
    needs: ClassVar[tuple[str, ...]] = ()
    windows: ClassVar[tuple[str, ...]] = ()

    def judge(self, view: View) -> Iterable[Finding]:
        if view.now >= self.since:
            yield Finding(view.target, "leak", "cause", Severity.CRITICAL, view.now, True, "…", "api-*")


def test_what_a_leak_is_blamed_for_is_no_pool_that_filled() -> None:
    server = Server(Change(), Blames(), redis_connected_clients=100.0).group("api-*", 40.0, 10.0)
    server.run(1200)
    for clients in range(41, 200):
        server.add(API, redis_group_births_total=1.0).group("api-*", float(clients), 10.0).tick()
    assert {finding.source for finding in server.run(1800)} == {"leak"}


def test_clients_that_always_live_for_moments_are_never_deployed() -> None:
    one = server().rate(API, redis_group_births_total=0.5, redis_group_deaths_total=0.5)
    assert one.run(7200) == []


def test_scaling_is_told_by_processes_with_as_many_connections_each() -> None:
    one = server().add(API, redis_group_births_total=20.0).group("api-*", 60.0, 15.0)
    assert lines(one.run(600)) == {"api-* scaled at 16:20 UTC: 10 to 15 processes, 40 to 60."}


def test_a_pool_that_fills_to_its_mark_is_told_once_it_stands_still() -> None:
    one = server()
    for clients in range(42, 81, 2):
        assert one.add(API, redis_group_births_total=2.0).group("api-*", float(clients), 10.0).tick() == []
    assert one.run(900) == []  # until it is known whether they are used
    assert lines(one.run(300)) == {"pools of api-* filled at 16:20 UTC: 40 to 80."}


def test_what_came_and_is_not_used_is_no_pool_that_filled() -> None:
    one = server().set(API, redis_group_unused_clients=5.0)
    for clients in range(42, 81, 2):
        assert one.add(API, redis_group_births_total=2.0).group("api-*", float(clients), 10.0).tick() == []
    one.run(420)  # stands still: a leak between two bursts
    assert one.set(API, redis_group_unused_clients=25.0).run(3600) == []


def test_a_pool_that_breathes_is_not_told() -> None:
    one = server()
    for turn in range(200):
        grown = turn % 2 * 8.0
        one.add(API, redis_group_births_total=grown, redis_group_deaths_total=8.0 - grown)
        assert one.group("api-*", 40.0 + grown, 10.0).run(30) == []


def test_a_restart_is_told_apart_from_another_server_in_its_place() -> None:
    restarted = server()
    restarted.down("refused").run(20)
    restarted.up().set(redis_uptime_seconds=3.0).add(redis_restarts_total=1.0)
    assert lines(restarted.run(150)) == {"the server was restarted (away for 25 s at most)."}
    replaced = server().set(redis_uptime_seconds=1e6).add(redis_restarts_total=1.0)
    assert lines(replaced.run(150)) == {"another server answers there (up for 12 d)."}


def test_clients_that_reconnect_after_an_outage_are_not_deployed() -> None:
    one = server()
    one.down("timeout").run(60)
    one.up().add(API, redis_group_births_total=30.0, redis_group_deaths_total=30.0).run(10)
    one.add(API, redis_group_births_total=10.0, redis_group_deaths_total=10.0)
    assert one.run(1200) == []


def test_a_change_of_role_and_of_the_limit_are_told() -> None:
    one = server().drop("redis_info").set(labels(role="slave"), redis_info=1.0).set(redis_max_clients=500.0)
    assert lines(one.run(150)) == {"became a replica (was the master); maxclients changed from 1,000 to 500."}
