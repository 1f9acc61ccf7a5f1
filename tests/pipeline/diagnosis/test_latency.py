"""Slow servers, and who holds them up."""

from __future__ import annotations

import pytest

from sentinel.model import Finding, Severity, labels
from sentinel.pipeline.diagnosis.latency import Latency
from tests.pipeline.diagnosis.server import Server


def steady(ping: float = 0.0005) -> Server:
    server = Server(Latency(), redis_ping_seconds=ping, redis_saving=0.0, redis_last_fork_seconds=0.002)
    server.rate(redis_commands_total=800.0, redis_cpu_seconds_total=0.1)
    assert server.run(600) == []
    return server


def command(server: Server, name: str, calls: float, seconds: float) -> Server:
    """From now on the command runs so often a second, and takes so much of each."""
    key = labels(command=name)
    server.add(key, redis_command_calls_total=0.0, redis_command_seconds_total=0.0)
    return server.rate(key, redis_command_calls_total=calls, redis_command_seconds_total=seconds)


def slow(server: Server, ping: float = 0.25) -> Finding:
    found = server.set(redis_ping_seconds=ping).run(60)
    return found[-1]


def test_half_a_minute_of_slow_answers_is_a_warning() -> None:
    server = steady().set(redis_ping_seconds=0.25)
    assert server.run(30) == []
    (finding,) = server.run(10)[:1]
    assert finding.severity is Severity.WARNING
    assert finding.summary.startswith(
        "redis-a answers a PING in 250 ms (median of 60 s, since 16:09 UTC), usually 0.5 ms"
    )


def test_a_second_is_critical_and_stays_so_down_to_four_fifths_of_it() -> None:
    server = steady().set(redis_ping_seconds=1.1)
    assert server.run(60)[-1].severity is Severity.CRITICAL
    assert server.set(redis_ping_seconds=0.85).run(120)[-1].severity is Severity.CRITICAL
    assert server.set(redis_ping_seconds=0.75).run(120)[-1].severity is Severity.WARNING


def test_it_ends_below_four_fifths_of_the_line() -> None:
    server = steady()
    slow(server, 0.11)
    assert server.set(redis_ping_seconds=0.085).run(120)[-1:] != []
    server.set(redis_ping_seconds=0.07).run(60)
    assert server.run(60) == []


def test_one_slow_answer_is_a_blip() -> None:
    server = steady().set(redis_ping_seconds=3.0)
    assert server.tick() == []
    assert server.set(redis_ping_seconds=0.0005).run(600) == []


def test_a_server_far_away_is_measured_by_its_own_usual() -> None:
    assert steady(ping=0.09).set(redis_ping_seconds=0.4).run(120) == []
    assert steady(ping=0.09).set(redis_ping_seconds=0.5).run(120) != []


def test_the_command_that_takes_most_of_the_time_is_named() -> None:
    server = command(command(steady(), "get", 700.0, 0.004), "keys", 2.0, 0.84)
    finding = slow(server)
    assert finding.summary.endswith("usually 0.5 ms: KEYS takes 84% of its time: 2/s of 0.42 s each.")
    assert finding.culprit is not None
    assert finding.culprit.name == "KEYS"
    assert "SCAN instead of KEYS" in finding.first_action


@pytest.mark.parametrize(
    ("set_up", "says"),
    [
        ({"redis_saving": 1.0, "redis_last_fork_seconds": 0.8}, "its fork stopped everything for 0.8 s"),
        ({"redis_saving": 1.0}, "a snapshot or rewrite is being written."),
        ({}, "the server's own figures do not say why"),
    ],
)
def test_the_reason_is_looked_for_in_the_servers_figures(set_up: dict[str, float], says: str) -> None:
    assert says in slow(steady().set(**set_up)).summary


def test_a_thread_at_its_limit_and_a_pause_are_told() -> None:
    busy = slow(steady().rate(redis_cpu_seconds_total=0.97, redis_commands_total=90000.0))
    assert "its thread is at 97% of a CPU with 90,000/s commands" in busy.summary
    paused = slow(steady().set(labels(reason="client_pause"), redis_paused=1.0))
    assert "CLIENT PAUSE is in force" in paused.summary


def test_single_waits_that_come_again_are_told_with_the_command_that_explains_them() -> None:
    server = command(steady(), "keys", 0.0, 0.0)
    found = []
    for _ in range(3):
        server.add(labels(command="keys"), redis_command_calls_total=1.0, redis_command_seconds_total=2.0)
        found += server.set(redis_ping_seconds=1.9).tick()
        found += server.set(redis_ping_seconds=0.0005).run(180)
    assert found[0].severity is Severity.WARNING
    assert "3 waits of up to 1.9 s since 16:10 UTC" in found[0].summary
    assert "A call of KEYS takes 2 s, and everybody waits for it." in found[0].summary
    assert server.run(1200)[-1].time < server.now - 600.0  # over once the first of the three is 15 minutes old


def test_slowness_that_lasts_is_told_as_that_and_not_as_stalls() -> None:
    server = command(steady(), "keys", 2.0, 0.84)
    found = server.set(redis_ping_seconds=0.25).run(120)
    assert all("stops again" not in finding.summary for finding in found)


def test_waits_that_take_every_third_answer_are_told_without_a_command_that_explains_them() -> None:
    server, found = steady(), []
    for _ in range(10):
        found += server.set(redis_ping_seconds=1.9).tick()
        found += server.set(redis_ping_seconds=0.0005).run(10)
    assert 120 <= found[0].time - found[0].since <= 135
    assert found[0].severity is Severity.WARNING
    assert "waits of up to 1.9 s since 16:10 UTC. In between it is fast: the server's own" in found[0].summary
    assert server.run(600)[-1].time < server.now - 300.0  # over when it is less than one answer in five


def test_single_waits_that_no_command_explains_are_not_told() -> None:
    server = steady()
    for _ in range(10):
        assert server.set(redis_ping_seconds=1.9).tick() == []
        assert server.set(redis_ping_seconds=0.0005).run(60) == []
