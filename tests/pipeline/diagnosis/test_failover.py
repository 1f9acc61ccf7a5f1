"""A failover that clients did not follow, and replicas that were always ones."""

from __future__ import annotations

from sentinel.model import Severity, labels
from sentinel.pipeline.diagnosis.failover import Failover
from tests.pipeline.diagnosis.server import Server

READONLY = labels(prefix="READONLY")


def server(role: str = "master") -> Server:
    made = Server(Failover(), redis_connected_clients=100.0).set(role_of(role), redis_info=1.0)
    made.group("worker-*", 80.0, 20.0).group("api-*", 20.0, 2.0).add(READONLY, redis_errors_total=0.0)
    assert made.run(60) == []
    return made


def role_of(role: str) -> tuple[tuple[str, str], ...]:
    return labels(role=role, server="redis", version="7.0.15")


def become(one: Server, role: str) -> Server:
    return one.drop("redis_info").set(role_of(role), redis_info=1.0)


def test_clients_that_still_write_a_minute_after_a_failover_are_critical() -> None:
    one = become(server(), "slave").rate(READONLY, redis_errors_total=12.0)
    assert one.run(60) == []
    (finding,) = one.tick()
    assert finding.severity is Severity.CRITICAL
    assert finding.summary == (
        "redis-a became a replica at 16:01 UTC, and clients still write to it: 12/s get READONLY since 16:01 UTC; 100 "
        "are connected."
    )
    assert finding.culprit is not None
    assert (finding.culprit.name, finding.culprit.share) == ("worker-*", None)


def test_errors_that_end_as_clients_follow_are_the_failover_itself() -> None:
    one = become(server(), "slave").rate(READONLY, redis_errors_total=50.0)
    one.run(40)
    assert one.rate(READONLY, redis_errors_total=0.0).run(600) == []


def test_writes_to_what_was_always_a_replica_are_a_warning() -> None:
    found = server("slave").rate(READONLY, redis_errors_total=0.5).run(120)
    assert {finding.severity for finding in found} == {Severity.WARNING}
    assert "redis-a is a replica, and clients still write to it" in found[-1].summary


def test_a_script_that_writes_once_in_half_a_minute_is_found_as_well() -> None:
    one, found = server("slave"), []
    for _ in range(6):
        one.add(READONLY, redis_errors_total=1.0)
        found += one.run(30)
    assert found != []


def test_a_master_that_takes_over_again_ends_it() -> None:
    one = become(server(), "slave").rate(READONLY, redis_errors_total=12.0)
    one.run(120)
    become(one, "master").rate(READONLY, redis_errors_total=0.0).run(60)
    assert one.run(60) == []


def test_a_replica_without_its_master_is_a_warning_after_a_minute() -> None:
    one = server("slave").set(redis_master_link_up=0.0)
    assert one.run(60) == []
    (finding,) = one.tick()
    assert (finding.subject, finding.severity) == ("replication", Severity.WARNING)
    assert one.set(redis_master_link_up=1.0).run(60) == []
