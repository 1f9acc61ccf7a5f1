"""Workers that ask without waiting, and servers that are simply busy."""

from __future__ import annotations

from sentinel.model import Severity, labels
from sentinel.pipeline.diagnosis.idle_spin import IdleSpin
from tests.pipeline.diagnosis.server import Server


def server(cpu: float = 0.8, depth: float = 0.0, **calls: float) -> Server:
    """Calls a second by command."""
    made = Server(IdleSpin(), redis_connected_clients=50.0, redis_blocked_clients=0.0)
    made.rate(redis_commands_total=sum(calls.values()), redis_cpu_seconds_total=cpu)
    made.set(labels(queue="jobs"), queue_depth=depth)
    for command, rate in calls.items():
        made.add(labels(command=command), redis_command_calls_total=0.0)
        made.rate(labels(command=command), redis_command_calls_total=rate)
    return made


def test_tens_of_thousands_of_asks_on_an_empty_queue_are_a_warning_after_five_minutes() -> None:
    one = server(brpoplpush=80000.0, lpush=2.0, get=500.0).group("worker-*", 40.0, 40.0, cmd="brpoplpush")
    assert one.run(305) == []  # the first rate is known with the second poll
    (finding,) = one.tick()
    assert finding.severity is Severity.WARNING
    assert finding.summary == (
        "Work is asked for 80,000/s and there is none (2/s are put in): BRPOPLPUSH without waiting since 16:00 UTC, at "
        "80% of a CPU. worker-* is the likely one."
    )


def test_what_costs_little_is_information() -> None:
    found = server(cpu=0.1, rpop=3000.0, lpush=1.0).run(400)
    assert {finding.severity for finding in found} == {Severity.INFO}


def test_work_that_is_put_in_about_as_often_is_work() -> None:
    assert server(rpop=5000.0, lpush=900.0).run(900) == []


def test_a_queue_with_jobs_in_it_is_no_idle_one() -> None:
    assert server(rpop=5000.0, depth=40.0).run(900) == []


def test_jobs_that_complete_are_work_whoever_puts_them_in() -> None:
    one = server(bzpopmin=5000.0).rate(labels(queue="jobs"), queue_completed_total=600.0)
    assert one.run(900) == []


def test_a_cache_is_not_asked_for_work() -> None:
    assert server(get=90000.0, rpop=2000.0).run(900) == []


def test_a_thousand_patient_pollers_are_not_worth_a_word() -> None:
    assert server(rpop=900.0).run(900) == []


def test_a_moment_of_it_is_not_told() -> None:
    one = server(rpop=5000.0)
    one.run(200)
    assert one.rate(labels(command="lpush"), redis_command_calls_total=5000.0).run(900) == []
