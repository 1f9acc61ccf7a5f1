"""Leaks of every pace, and everything that looks like one. All numbers are worked by hand."""

from __future__ import annotations

import pytest

from sentinel.model import Finding, Severity, labels
from sentinel.pipeline.diagnosis.leak import Leak
from tests.pipeline.diagnosis.census import Census
from tests.pipeline.diagnosis.server import START, Server

STEP = 30.0
DAY = 86400.0


def shop(limit: float = 10_000.0, step: float = STEP, **groups: float) -> Census:
    """A quiet hour of two services; `api` holds 100 on ten processes."""
    server = Server(Leak(), step=step, redis_max_clients=limit).rate(redis_commands_total=1000.0)
    census = Census(server, **(groups or {"api": 100.0, "web": 200.0}))
    assert census.rest(3600.0) == []
    return census


def test_a_leak_is_told_with_its_thirty_fourth_connection() -> None:
    census = shop()
    assert census.leak("api", 33) == []
    (finding,) = census.leak("api", 1)
    assert finding.subject == "api"
    assert finding.summary == (
        "api-1 holds 34 connections that were opened since 17:00 UTC and never used again, 2/min more; "
        "334 of 10,000 in use."
    )
    assert finding.since == START + 3600.0
    assert (finding.score, finding.threshold) == (34.0, 34.0)


def test_the_time_left_decides_how_bad_it_is() -> None:
    # 120 an hour into 19,666 takes 164 hours; 1,200 an hour takes 16; 12,000 an hour 98 minutes.
    severities = []
    for each in (1.0, 10.0, 100.0):
        (finding,) = shop(limit=20_000.0).leak("api", 34, each)
        severities.append(finding.severity)
    assert severities == [Severity.INFO, Severity.WARNING, Severity.CRITICAL]


def test_the_range_holds_the_truth_of_a_steady_leak_all_the_way() -> None:
    census = shop(limit=700.0)
    for left in range(366, 10, -1):
        found = census.leak("api", 1) if left < 366 else census.leak("api", 34)
        (finding,) = found
        assert finding.eta is not None
        assert finding.eta.earliest <= census.server.now + left * STEP <= (finding.eta.latest or 0)


def test_severity_does_not_flap_around_its_line() -> None:
    census = shop(limit=620.0)  # 286 left at the thirty-fourth: 2.4 hours at 120 an hour
    told = [census.leak("api", 34)[0].severity]
    for number in range(120):
        told.append(census.leak("api", 1, each=number % 3)[0].severity)
    assert told == sorted(told)


def test_who_does_it_is_named_with_an_example_from_first_suspicion() -> None:
    census = shop()
    (finding,) = census.leak("api", 34)
    assert finding.culprit is not None
    assert (finding.culprit.name, finding.culprit.share) == ("api-1", 1.0)
    assert finding.culprit.detail == "group api, addr 10.4.7.3, cmd info"
    first = finding.culprit.examples
    census.example = (("addr", "10.9.9.9"),)
    (later,) = census.leak("api", 1)
    assert later.culprit is not None
    assert later.culprit.examples == first


def test_where_no_row_holds_most_the_group_is_named() -> None:
    census = shop()
    census.example = (("name", "api-7"), ("share", "0.20"))
    (finding,) = census.leak("api", 34)
    assert finding.culprit is not None
    assert finding.culprit.name == "api"


def test_a_leak_is_over_when_its_connections_are_closed() -> None:
    census = shop()
    census.leak("api", 60)
    census.close("api", 50)
    assert census.tick() == []


def test_what_is_left_after_a_fix_and_goes_on_growing_is_told_again_from_its_own_beginning() -> None:
    census = shop()
    census.leak("api", 200, each=5)
    census.close("api", 1000)
    assert census.rest(600.0) == []
    assert census.leak("api", 33) == []
    (finding,) = census.leak("api", 1)
    assert finding.value == 34.0


def test_a_second_leak_in_another_group_is_another_finding() -> None:
    census = shop()
    census.leak("api", 40)
    found: list[Finding] = []
    for _ in range(40):
        census.open("web", 1)
        found = census.leak("api", 1)
    assert sorted(finding.subject for finding in found) == ["api", "web"]


def test_a_leak_that_stopped_is_over_after_half_an_hour_and_its_level_is_normal_then() -> None:
    census = shop()
    census.leak("api", 40)
    assert census.rest(1740.0)
    assert census.rest(120.0)[2:] == []
    assert census.leak("api", 33) == []
    assert census.leak("api", 1) != []


def test_a_leak_that_goes_on_for_days_never_becomes_normal() -> None:
    census = shop(step=300.0)
    census.leak("api", 40)
    assert all(census.leak("api", 1) for _ in range(1000))


def test_at_the_wall_it_stays_open_though_it_can_not_grow() -> None:
    census = shop(limit=400.0)
    census.leak("api", 99)
    census.server.rate(redis_connections_rejected_total=2.0)
    found = census.rest(7200.0)
    assert len(found) == 240
    assert found[-1].summary.endswith("The server is full and refuses newcomers now.")


# Look-alikes.


def test_connections_that_are_used_again_as_fast_as_they_come_are_no_leak() -> None:
    census = shop()
    for number in range(2_000):
        census.open("api", 3)
        census.use("api", 3 if number % 7 else 2)
        census.close("api", 3, used=True)
        if number % 50 == 49:
            census.use("api", census.cohort["api"])
        assert census.tick() == []


def test_a_pool_that_fills_in_a_few_jumps_is_no_leak() -> None:
    census = shop(limit=600.0)
    assert census.leak("api", 3, each=30) == []
    assert census.rest(7200.0) == []


def test_a_deploy_that_replaces_old_connections_by_unused_ones_is_no_leak() -> None:
    census = shop(limit=600.0)
    for _ in range(10):
        census.open("api", 8, processes=1)
        census.close("api", 10, used=True)
        census.sources["api"] -= 1
        assert census.tick() == []
    assert census.rest(3600.0) == []


def test_new_processes_with_pools_like_the_others_are_no_leak() -> None:
    census = shop(limit=600.0)
    for _ in range(10):
        census.open("api", 10, processes=1)
        assert census.tick() == []


def test_growth_in_use_is_no_leak() -> None:
    census = shop()
    assert census.leak("api", 300, used=True) == []


@pytest.mark.parametrize("groups", [("api", "web"), ("api", "web", "mail")])
def test_a_rush_of_all_groups_alike_is_no_leak(groups: tuple[str, ...]) -> None:
    census = shop(limit=2_000.0, step=5.0, **dict.fromkeys(groups, 100.0))
    for number in range(60):
        for group in groups:
            census.open(group, 8 if (number % 2 == 0) == (group == "api") else 7)
        assert census.tick() == []


def test_groups_that_leak_alike_for_longer_than_a_rush_are_told_each() -> None:
    census = shop(api=100.0, web=100.0, mail=100.0)
    found: list[Finding] = []
    for _ in range(40):  # of half a minute
        for group in census.clients:
            census.open(group, 1)
        found = census.tick()
    assert sorted(finding.subject for finding in found) == ["api", "mail", "web"]


def test_a_cohort_that_was_as_large_yesterday_is_no_leak() -> None:
    census = shop()
    census.leak("api", 2, each=100)
    census.use("api", 200)
    census.close("api", 200, used=True)
    assert census.rest(3600.0) == []
    assert census.leak("api", 150) == []
    assert census.leak("api", 60) != []


def test_a_restart_begins_the_count_anew() -> None:
    census = shop()
    assert census.leak("api", 30) == []
    census.server.add(redis_restarts_total=1.0)
    assert census.leak("api", 30) == []


# By the floor: kept busy, or without a client list.


def of_a_day(census: Census) -> Census:
    """A day on which `web` breathes between 200 and 260."""
    for minute in range(0, 1440, 5):
        census.clients["web"] = 200.0 + (60.0 if 480 <= minute < 1200 else 0.0)
        assert census.tick() == []
    census.clients["web"] = 200.0
    return census


def test_a_leak_that_is_kept_busy_is_found_by_its_floor_once_there_is_a_day_to_compare_with() -> None:
    census = of_a_day(shop(step=300.0))
    found: list[Finding] = []
    for _ in range(24):  # 360 an hour, for two hours
        found = found or census.leak("api", 1, each=30, used=True)
    (finding,) = found
    assert finding.subject == "api"
    assert "more than on former days since" in finding.summary
    assert finding.severity is Severity.WARNING


def test_in_its_first_day_growth_in_use_cannot_be_told_from_a_pool_and_is_not() -> None:
    assert shop(step=300.0).leak("api", 250, each=5, used=True) == []


def test_more_of_everything_with_more_traffic_is_no_leak() -> None:
    census = of_a_day(shop(step=300.0))
    for number in range(1, 100):
        census.clients["api"] = 100.0 * (1 + number / 100)
        census.server.rate(redis_commands_total=1000.0 * (1 + number / 100))
        assert census.tick() == []


def test_without_a_client_list_a_leak_is_told_by_the_total_and_nobody_is_named() -> None:
    server = Server(Leak(), step=300.0, redis_max_clients=10_000.0, redis_connected_clients=400.0)
    assert server.run(1.2 * DAY) == []
    found: list[Finding] = []
    for number in range(36):
        found = server.set(redis_connected_clients=400.0 + 30.0 * number).tick()
    (finding,) = found
    assert (finding.subject, finding.culprit) == ("", None)
    assert "Nobody can be named" in finding.summary
    assert "client|list" in finding.first_action


@pytest.mark.parametrize("metric", ["redis_connected_clients", "redis_max_clients"])
def test_without_its_numbers_it_is_not_judged(metric: str) -> None:
    census = shop()
    census.server.drop(metric)
    assert metric in Leak.needs


def test_the_queues_that_share_the_server_are_called_as_elsewhere() -> None:
    census = shop()
    for system, queue in (("celery", "default"), ("list", "encode"), ("sidekiq", "default")):
        census.server.set(labels(queue=queue, system=system), queue_depth=1.0)
    (finding,) = census.leak("api", 34)
    assert finding.affected == ("queue celery:default", "queue encode", "queue sidekiq:default")
