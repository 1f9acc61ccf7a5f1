"""The server is full now: who says so, and when nobody needs to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from sentinel.model import Finding, Severity, labels
from sentinel.pipeline.diagnosis import View
from sentinel.pipeline.diagnosis.refused import Refused
from tests.pipeline.diagnosis.server import Server


@dataclass
class Told:
    """A cause that has told of it already, this loudly."""

    severity: Severity
    name: ClassVar[str] = "leak"
    needs: ClassVar[tuple[str, ...]] = ()
    windows: ClassVar[tuple[str, ...]] = ()

    def judge(self, view: View) -> Iterable[Finding]:
        yield Finding(view.target, self.name, "cause", self.severity, view.now, True, "told")


def full(*others: Told) -> Server:
    server = Server(Refused(), *others, redis_connected_clients=1000.0, redis_max_clients=1000.0, redis_seats=2.0)
    server.group("api-*", 800.0, 8.0).rate(redis_connections_rejected_total=0.0)
    server.run(60)
    return server


def test_the_first_refusal_is_critical_and_says_who_holds_most() -> None:
    (finding,) = full().add(redis_connections_rejected_total=1.0).tick()
    assert finding.severity is Severity.CRITICAL
    assert finding.summary == (
        "redis-a refuses new connections since 16:01 UTC: 1,000 of 1,000 clients. Most are held by api-* (800)."
    )


def test_a_newcomer_that_is_told_full_counts_as_a_refusal() -> None:
    assert full().set(labels(reason="full"), redis_dial_failed=1.0).tick() != []


def test_a_count_from_long_ago_is_none() -> None:
    assert full().set(redis_connections_rejected_total=5000.0).run(0) == []
    server = Server(Refused(), redis_connected_clients=10.0, redis_connections_rejected_total=5000.0)
    assert server.run(60) == []


def test_a_pause_of_less_than_a_minute_is_no_recovery() -> None:
    server = full().add(redis_connections_rejected_total=1.0)
    assert len(server.run(60)) == 12
    assert server.run(10) != []
    assert server.run(30) == []


def test_it_keeps_quiet_only_beside_a_cause_that_says_it_as_loudly() -> None:
    loud = full(Told(Severity.CRITICAL)).rate(redis_connections_rejected_total=5.0)
    assert {finding.source for finding in loud.run(60)} == {"leak"}
    soft = full(Told(Severity.INFO)).rate(redis_connections_rejected_total=5.0)
    assert {finding.source for finding in soft.run(60)} == {"leak", "refused"}
