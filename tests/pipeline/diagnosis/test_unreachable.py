"""Cut off in three ways: we, newcomers, and groups of clients; and what only looks so."""

from __future__ import annotations

import pytest

from sentinel.model import Severity, labels
from sentinel.pipeline.diagnosis.unreachable import Unreachable
from tests.pipeline.diagnosis.server import Server


def steady() -> Server:
    """Ten quiet minutes with three groups, 100 clients."""
    server = Server(Unreachable(), redis_connected_clients=100.0, redis_dial_seconds=0.001, redis_ping_seconds=0.0005)
    server.group("api-*", 40.0, 5.0).group("worker-*", 40.0, 20.0).group("cron-*", 20.0, 20.0)
    assert server.run(600) == []
    return server


@pytest.mark.parametrize(
    ("reason", "severity", "says"),
    [
        ("refused", Severity.CRITICAL, "nobody listens on that port"),
        ("loading", Severity.CRITICAL, "it is loading its data"),
        ("auth", Severity.WARNING, "does not take our user name and password"),
        ("noperm", Severity.WARNING, "our user may not run INFO"),
        ("surprise", Severity.CRITICAL, "it does not answer as Redis does"),
    ],
)
def test_each_reason_has_words_and_a_severity_of_its_own(reason: str, severity: Severity, says: str) -> None:
    server = steady().down(reason)
    assert server.run(45) == []  # the first poll that fails is 0 s in
    (finding,) = server.tick()
    assert (finding.severity, finding.value) == (severity, 45.0)
    assert finding.summary.startswith("redis-a cannot be read since 16:10 UTC (45 s): ")
    assert says in finding.summary


def test_the_time_that_a_poll_itself_waited_counts() -> None:
    server = steady().down("reset")
    server.hidden.discard("poll_seconds")
    server.set(poll_seconds=5.0)
    assert server.run(40) == []
    assert server.tick()[0].value == 45.0


def test_a_blip_and_a_restart_are_not_told() -> None:
    server = steady()
    assert server.down("refused").run(40) == []
    assert server.up().add(redis_restarts_total=1.0).run(600) == []


@pytest.mark.parametrize("reason", ["timeout", "busy"])
def test_a_server_that_is_held_up_is_left_to_frozen(reason: str) -> None:
    assert steady().down(reason).run(300) == []


def test_newcomers_that_fail_while_open_connections_work_are_told_after_the_same_time() -> None:
    server = steady().drop("redis_dial_seconds").set(labels(reason="reset"), redis_dial_failed=1.0)
    assert server.run(45) == []
    (finding,) = server.tick()
    assert (finding.subject, finding.severity) == ("new connections", Severity.CRITICAL)
    assert "new connections fail since 16:10 UTC" in finding.summary
    assert finding.first_action.startswith("Restart nothing yet")
    server.drop("redis_dial_failed").set(redis_dial_seconds=0.001)
    assert server.run(60) == []


def test_a_full_server_is_not_called_unreachable_for_newcomers() -> None:
    server = steady().drop("redis_dial_seconds").set(labels(reason="full"), redis_dial_failed=1.0)
    assert server.run(300) == []


def test_two_groups_that_lose_the_server_at_once_and_stay_away_are_told() -> None:
    server = steady().group("api-*", 2.0, 1.0).group("worker-*", 10.0, 5.0)
    assert server.run(45) == []
    (finding,) = server.tick()
    assert (finding.subject, finding.severity) == ("clients", Severity.WARNING)
    assert "api-* and worker-* lost their connections to redis-a at once at 16:10 UTC" in finding.summary
    assert "12 of 80 are left" in finding.summary
    server.group("api-*", 40.0, 5.0)
    assert server.run(60) == []


def test_one_group_that_goes_is_a_scale_in() -> None:
    assert steady().group("worker-*", 0.0, 0.0).run(600) == []


def test_groups_that_come_back_within_the_time_of_a_blip_are_not_told() -> None:
    server = steady().group("api-*", 0.0, 0.0).group("worker-*", 0.0, 0.0)
    assert server.run(40) == []
    assert server.group("api-*", 40.0, 5.0).group("worker-*", 40.0, 20.0).run(300) == []


def test_pools_that_shrink_over_a_quiet_night_are_not_told() -> None:
    server = steady()
    for minute in range(30):
        left = 40.0 * 0.9**minute
        assert server.group("api-*", left, 5.0).group("worker-*", left, 20.0).run(60) == []


def test_a_flood_that_ends_is_not_told() -> None:
    server = steady().group("api-*", 400.0, 5.0).group("worker-*", 400.0, 20.0)
    assert server.run(300) == []
    assert server.group("api-*", 36.0, 5.0).group("worker-*", 36.0, 20.0).run(600) == []


def test_a_leak_whose_processes_are_recycled_is_not_told_though_another_group_shrinks() -> None:
    server = steady()
    for hour in range(24):
        server.group("api-*", 40.0 + 40.0 * hour, 5.0).set(
            labels(group="api-*"), redis_group_unused_clients=40.0 * hour
        )
        assert server.run(3600) == []
    server.group("api-*", 40.0, 5.0).set(labels(group="api-*"), redis_group_unused_clients=0.0)
    assert server.group("cron-*", 8.0, 8.0).run(600) == []


def test_what_a_group_holds_is_its_median_of_the_last_day() -> None:
    server = steady().group("api-*", 80.0, 5.0).group("worker-*", 80.0, 20.0)
    assert server.run(13 * 3600) == []  # more than half of a day at 80
    findings = server.group("api-*", 30.0, 5.0).group("worker-*", 30.0, 20.0).run(60)
    assert "60 of 160 are left" in findings[-1].summary


def test_clients_that_come_back_after_a_restart_of_the_server_are_not_told() -> None:
    server = steady().add(redis_restarts_total=1.0)
    for group in ("api-*", "worker-*", "cron-*"):
        server.group(group, 0.0, 0.0)
    assert server.run(50) == []
