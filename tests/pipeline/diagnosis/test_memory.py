"""Memory by level, by trend, at the wall, and evictions beside queues. A limit of 1 GB; all rates by hand."""

from __future__ import annotations

from sentinel.model import Finding, Severity, labels
from sentinel.pipeline.diagnosis.memory import Memory
from tests.pipeline.diagnosis.server import Server

GB = 1e9


def server(used: float = 0.3, step: float = 30.0, **gauges: float) -> Server:
    first = {"redis_memory_max_bytes": GB, "redis_memory_noeviction": 1.0, "redis_memory_clients_bytes": 1e7}
    made = Server(Memory(), step=step, **(first | {"redis_memory_used_bytes": used * GB} | gauges))
    return made.set(labels(queue="encode"), queue_depth=2500.0)


def climb(one: Server, start: float, per_hour: float, hours: float) -> list[Finding]:
    """Parts of the limit, rising steadily."""
    found = []
    for poll in range(round(hours * 3600 / one.step)):
        one.set(redis_memory_used_bytes=(start + per_hour * poll * one.step / 3600) * GB)
        found += one.tick()
    return found


def test_levels_warn_and_escalate_and_are_left_a_fifth_lower() -> None:
    one = server(0.84)
    severities = [(one.set(redis_memory_used_bytes=part * GB).tick() or [None])[0] for part in (0.86, 0.95, 0.77, 0.7)]
    assert [found and found.severity for found in severities] == [
        Severity.WARNING, Severity.CRITICAL, Severity.CRITICAL, Severity.WARNING,
    ]  # fmt: skip
    assert one.set(redis_memory_used_bytes=0.67 * GB).run(120) == []


def test_the_text_names_the_deepest_queue() -> None:
    (finding,) = server(0.9).tick()
    assert finding.summary == (
        "858 MiB of 954 MiB are in use, 90% of maxmemory. Then every write is refused (OOM), enqueueing too."
    )
    assert finding.first_action.startswith("Work off or trim encode (2,500 jobs wait)")


def test_a_climb_is_told_with_its_time_left_long_before_the_level() -> None:
    found = climb(server(), 0.6, 0.1, 1.0)  # at 70 % after an hour: 3 hours left
    assert found[0].severity is Severity.WARNING
    assert found[0].value is not None
    assert found[0].value < 0.65
    assert found[-1].eta is not None
    assert found[-1].eta.earliest <= found[-1].time + 3 * 3600 + 60 <= (found[-1].eta.latest or 0) + 120


def test_a_fast_climb_is_told_even_from_below() -> None:
    found = climb(server(), 0.3, 1.2, 0.3)  # full in 35 minutes
    assert found[0].severity is Severity.CRITICAL
    assert found[0].value is not None
    assert found[0].value < 0.55


def test_a_slow_morning_is_not_told_on_the_first_day() -> None:
    assert climb(server(), 0.3, 0.05, 5.0) == []


def test_once_a_day_is_known_only_what_rises_above_it_counts() -> None:
    one = server(0.3, step=300.0)
    for _ in range(2):
        climb(one, 0.3, 0.4, 1.0)
        climb(one, 0.7, -0.4, 1.0)
        one.run(22 * 3600)
    assert climb(one, 0.3, 0.4, 1.0) == []  # up to 0.7, as on the days before
    found = climb(one, 0.7, 0.4, 0.3)
    assert found != []
    assert "rising by" in found[0].summary


def test_refused_writes_are_critical_at_once_and_for_two_minutes_after_the_last() -> None:
    one = server(0.5).rate(labels(prefix="OOM"), redis_errors_total=0.0)
    one.run(60)
    (finding,) = one.add(labels(prefix="OOM"), redis_errors_total=150.0).tick()
    assert finding.severity is Severity.CRITICAL
    assert finding.summary == (
        "redis-a refuses writes since 16:01 UTC (OOM, 5/s now): 477 MiB of 954 MiB are in use. Nothing can be enqueued."
    )
    assert len(one.run(120)) == 4
    assert one.run(120) == []


def test_a_full_cache_is_at_work() -> None:
    one = server(0.99, redis_memory_noeviction=0.0).drop("queue_depth").rate(redis_evicted_keys_total=500.0)
    assert one.run(3600) == []


def test_evictions_beside_queues_are_a_warning() -> None:
    one = server(0.99, redis_memory_noeviction=0.0).rate(redis_evicted_keys_total=500.0)
    found = one.run(120)
    assert found[-1].severity is Severity.WARNING
    assert "jobs and heartbeats can vanish" in found[-1].summary


def test_without_a_limit_the_hosts_memory_is_the_wall() -> None:
    one = server(0.9, redis_memory_max_bytes=0.0, redis_memory_rss_bytes=0.9 * GB, redis_memory_system_bytes=GB)
    (finding,) = one.tick()
    assert "90% of the host's memory (no maxmemory is set)" in finding.summary
    assert "Then the kernel ends the server." in finding.summary
    assert server(0.9, redis_memory_max_bytes=0.0).run(60) == []
