"""Failing jobs: a larger part than usual is told, a few unlucky ones are not."""

from __future__ import annotations

import pytest

from sentinel.model import Finding, Severity
from sentinel.pipeline.diagnosis.failing_jobs import FailingJobs, chance_at_most
from tests.pipeline.diagnosis.queue_world import Judged


class Queue:
    """Counters of a queue that rise by so much a poll."""

    def __init__(self) -> None:
        self.judged = Judged(FailingJobs())
        self.done = self.failed = 0.0

    def work(self, polls: int, done: float, failed: float) -> Finding | None:
        found = None
        for _ in range(polls):
            self.done, self.failed = self.done + done, self.failed + failed
            found = self.judged.queue(0.0, completed_total=self.done, failed_total=self.failed)
        return found


def test_half_of_the_jobs_failing_is_a_warning_within_half_a_minute() -> None:
    queue = Queue()
    assert queue.work(200, 10.0, 0.0) is None
    found = queue.work(6, 10.0, 5.0)
    assert found is not None
    assert found.severity is Severity.INFO
    found = queue.work(60, 10.0, 5.0)
    assert found is not None
    assert found.severity is Severity.WARNING
    assert "of 600 jobs of encode that ended in the last 5 min failed (50%)" in found.summary


def test_nearly_all_failing_is_critical() -> None:
    queue = Queue()
    queue.work(200, 10.0, 0.0)
    found = queue.work(60, 10.0, 9.5)
    assert found is not None
    assert found.severity is Severity.CRITICAL


def test_a_poison_job_that_is_tried_again_and_again_is_told_though_nothing_completes() -> None:
    queue = Queue()
    queue.work(200, 1.0, 0.0)
    found = queue.work(100, 0.0, 1.0)
    assert found is not None
    assert found.severity is Severity.CRITICAL


def test_a_queue_that_always_fails_a_little_is_left_alone() -> None:
    queue = Queue()
    queue.work(400, 20.0, 0.2)
    assert queue.work(400, 20.0, 0.4) is None


def test_one_failure_in_a_quiet_hour_is_not_told() -> None:
    queue = Queue()
    queue.work(700, 0.01, 0.0)
    assert queue.work(1, 1.0, 1.0) is None


def test_a_bulk_with_more_failures_but_no_larger_part_is_quiet() -> None:
    queue = Queue()
    queue.work(400, 10.0, 0.2)
    assert queue.work(60, 500.0, 10.0) is None


def test_what_fails_while_it_is_told_is_not_learnt_as_usual() -> None:
    queue = Queue()
    queue.work(200, 10.0, 0.0)
    queue.work(2000, 10.0, 5.0)
    assert queue.work(100, 10.0, 0.0) is None
    assert queue.work(60, 10.0, 5.0) is not None


def test_a_system_that_does_not_tell_completions_is_not_judged() -> None:
    judged = Judged(FailingJobs())
    assert not any(judged.queue(0.0, failed_total=50.0 * number) for number in range(100))


@pytest.mark.parametrize(("failed", "jobs", "usual"), [(3, 10, 0.1), (10, 20, 0.05), (20, 20, 0.5)])
def test_the_bound_is_never_below_the_binomial_tail(failed: int, jobs: int, usual: float) -> None:
    from math import comb

    tail = sum(comb(jobs, k) * usual**k * (1 - usual) ** (jobs - k) for k in range(failed, jobs + 1))
    assert tail <= chance_at_most(failed, jobs, usual) <= 10 * jobs * tail
