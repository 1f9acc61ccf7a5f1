"""Clients that connect for each command, and everything that opens many connections for another reason."""

from __future__ import annotations

import pytest

from sentinel.model import Finding, Severity, labels
from sentinel.pipeline.diagnosis.churn import PORTS, TIME_WAIT, Churn
from tests.pipeline.diagnosis.server import Server


def quiet(opened: float = 2.0) -> Server:
    """Half an hour of connections opened and closed at a usual rate, at a level of 100."""
    server = Server(Churn(), redis_connected_clients=100.0, redis_max_clients=1000.0)
    server.rate(redis_connections_received_total=opened, redis_connections_rejected_total=0.0)
    server.group("api-*", 60.0, 6.0)
    assert server.run(1800) == []
    return server


def test_twenty_times_the_usual_rate_is_told_within_a_minute() -> None:
    server = quiet().rate(redis_connections_received_total=40.0)
    assert server.run(25) == []
    found = server.run(35)
    assert found[0].severity is Severity.WARNING
    assert found[-1].summary == (
        "40/s connections are opened and closed again since 16:30 UTC, usually at most 2/s, while their number stays "
        "at 100."
    )


def test_three_times_the_usual_rate_is_not_told() -> None:
    assert quiet().rate(redis_connections_received_total=6.0).run(3600) == []


@pytest.mark.parametrize(("opened", "told"), [(6.0, False), (8.0, True)])
def test_a_few_more_in_a_busy_moment_are_chance(opened: float, told: bool) -> None:
    # Of one a second 2.5 are usual in a busy hour, 10 in the 4 s that are judged; chance makes 26 of them, 6.7/s.
    server = Server(Churn(for_=4.0), step=1.0, redis_connected_clients=100.0)
    server.rate(redis_connections_received_total=1.0, redis_connections_rejected_total=0.0)
    assert server.run(1800) == []
    assert bool(server.rate(redis_connections_received_total=opened).run(30)) is told


def test_it_is_over_at_twice_the_usual_rate() -> None:
    server = quiet().rate(redis_connections_received_total=40.0)
    server.run(120)
    assert server.rate(redis_connections_received_total=5.0).run(30) != []  # a deviation of the median: not yet
    server.rate(redis_connections_received_total=4.0).run(60)
    assert server.run(60) == []


def test_a_burst_of_reconnects_is_not_told() -> None:
    server = quiet().add(redis_connections_received_total=500.0)
    assert server.run(600) == []


def test_connections_that_stay_are_not_churn() -> None:
    server, found = quiet(), []
    for _ in range(60):
        level = next(v for k, v in server.values.items() if k.metric == "redis_connected_clients")
        server.rate(redis_connections_received_total=42.0).set(redis_connected_clients=level + 200.0)
        found += server.tick()
    assert found == []


def test_a_deploy_is_not_told_because_its_connections_live_on() -> None:
    server = quiet(opened=0.1).rate(redis_connections_received_total=4.0)
    server.rate(labels(group="api-*"), redis_group_births_total=3.8, redis_group_deaths_total=3.8)
    assert server.run(300) == []


def test_it_is_told_where_no_census_can_say_who_lives_on() -> None:
    server = Server(Churn(), redis_connected_clients=100.0).rate(redis_connections_received_total=0.1)
    server.run(1800)
    found = server.rate(redis_connections_received_total=4.0).run(300)
    assert found != []


def test_the_return_of_all_after_a_restart_is_not_told() -> None:
    server = quiet().add(redis_restarts_total=1.0).rate(redis_connections_received_total=60.0)
    assert server.run(110) == []
    assert server.rate(redis_connections_received_total=2.0).run(600) == []


def test_a_restart_ends_it_and_what_goes_on_afterwards_is_told_anew() -> None:
    server = quiet().rate(redis_connections_received_total=40.0)
    assert server.run(120) != []
    assert server.add(redis_restarts_total=1.0).run(120) == []
    assert server.run(120) != []


def test_retries_at_the_wall_are_not_churn() -> None:
    server = quiet().rate(redis_connections_received_total=0.5, redis_connections_rejected_total=200.0)
    assert server.run(1800) == []


def test_an_open_churn_goes_on_at_the_wall_with_the_sum_of_accepted_and_refused() -> None:
    server = quiet().rate(redis_connections_received_total=40.0)
    server.run(120)
    found = server.rate(redis_connections_received_total=1.0, redis_connections_rejected_total=39.0).run(120)
    assert len(found) == 24
    assert found[-1].value == 40.0
    assert "and 39/s refused" in found[-1].summary


def test_nothing_is_said_while_the_usual_rate_is_being_learnt() -> None:
    server = Server(Churn(), redis_connected_clients=100.0).rate(redis_connections_received_total=50.0)
    assert server.run(1800) == []


def test_half_of_a_sources_ports_in_time_wait_is_critical_however_usual_it_is() -> None:
    server = Server(Churn(), redis_connected_clients=10.0).group("mailer", 3.0, 1.0)
    server.rate(redis_connections_received_total=0.4 * PORTS / TIME_WAIT)
    assert server.run(1800) == []
    found = server.rate(redis_connections_received_total=0.6 * PORTS / TIME_WAIT).run(120)
    assert found[-1].severity is Severity.CRITICAL
    assert evidence(found[-1])["a source's local ports in TIME_WAIT"] == 0.6


def test_the_same_rate_from_ten_sources_uses_a_tenth_of_each_ones_ports() -> None:
    server = Server(Churn(), redis_connected_clients=10.0).group("mailer", 30.0, 10.0)
    server.rate(redis_connections_received_total=0.6 * PORTS / TIME_WAIT)
    assert server.run(1800) == []


def test_the_group_with_most_lives_is_named_and_said_to_be_uncertain() -> None:
    server = quiet().group("worker-*", 40.0, 4.0).rate(redis_connections_received_total=40.0)
    server.rate(labels(group="worker-*"), redis_group_births_total=2.0, redis_group_deaths_total=2.0)
    found = server.run(180)
    assert found[-1].culprit is not None
    assert found[-1].culprit.name == "worker-*"
    assert "shorter ones have no name" in found[-1].culprit.detail


def test_a_group_that_leaks_beside_it_is_not_named() -> None:
    server = quiet().group("worker-*", 40.0, 4.0).rate(redis_connections_received_total=40.0)
    server.rate(labels(group="worker-*"), redis_group_births_total=2.0, redis_group_deaths_total=2.0)
    server.rate(labels(group="api-*"), redis_group_births_total=4.0)
    found = server.run(180)
    assert found[-1].culprit is not None
    assert found[-1].culprit.name == "worker-*"


def evidence(finding: Finding) -> dict[str, float]:
    return {one.name: round(one.value, 3) for one in finding.evidence}
