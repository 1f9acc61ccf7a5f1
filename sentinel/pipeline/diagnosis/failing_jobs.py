"""Failing jobs: a larger part of a queue's jobs fails than usual, beyond chance.

Judged by counting: of the jobs that ended of late, how many failed, against the part that this queue is used to. A
poison job that is tried again and again is the same sight: failures without completions.

What imitates it, and what separates them:

* a queue that always fails a little: its own part is learnt, in quiet times only;
* one failure in a quiet hour: too few to be beyond chance;
* retries that succeed in the end: they count as failures while they last, which is what they are;
* a bulk: more failures, but not a larger part.

Not judged where a system does not tell what was completed: then no part can be said.

Source: reference/incidents.md 1.3 F2-F4; the test is the binomial one, by Chernoff's bound (1952), which never
understates the chance.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.queues import queue_name
from sentinel.pipeline.diagnosis.words import clock_time, count, span

__all__ = ["FailingJobs", "chance_at_most"]

PRIOR_JOBS, PRIOR_FAILED = 50.0, 0.5
"""What is believed of a queue before it was seen: one in a hundred fails, with the weight of fifty jobs."""
MEMORY = 5000.0
"""Jobs after which the usual part is half forgotten."""


def chance_at_most(failed: float, jobs: float, usual: float) -> float:
    """Upper bound of the probability that `failed` or more of `jobs` fail where the part `usual` does.

    Args:
        failed: Jobs that failed, up to `jobs`.
        jobs: Jobs that ended.
        usual: Part that fails, above 0 and below 1.

    Source: Chernoff (1952): exp(-n D(a || p)) with the relative entropy D.

    >>> round(chance_at_most(10, 20, 0.05), 9)  # D = 0.8304
    6.1e-08
    >>> chance_at_most(1, 20, 0.05)
    1.0
    """
    if jobs <= 0 or failed / jobs <= usual:
        return 1.0
    part = min(1.0, failed / jobs)
    entropy = part * math.log(part / usual)
    if part < 1.0:
        entropy += (1 - part) * math.log((1 - part) / (1 - usual))
    return math.exp(-min(700.0, jobs * entropy))


@dataclass(slots=True)
class _Queue:
    recent: deque[tuple[float, float, float]] = field(default_factory=deque)
    """Time; jobs that failed and that ended since the reading before."""
    time: float | None = None
    jobs: float = PRIOR_JOBS
    failed: float = PRIOR_FAILED
    since: float | None = None

    @property
    def usual(self) -> float:
        """Part of the jobs that fails, as learnt."""
        return min(0.99, max(1e-4, self.failed / self.jobs))


@dataclass
class FailingJobs:
    """More of a queue's jobs fail than usual."""

    name: ClassVar[str] = "failing_jobs"
    needs: ClassVar[tuple[str, ...]] = ("queue_failed_total", "queue_completed_total")
    windows: ClassVar[tuple[str, ...]] = ()

    window: Seconds = 300.0
    """Time over which jobs are counted."""
    at_least: float = 5.0
    """Failed jobs below which nothing is said."""
    chance: float = 1e-6
    """Probability of so many failures by the usual part."""
    warning_part: float = 0.2
    """Part of the jobs that fails from which on it is a warning."""
    critical_part: float = 0.9
    """And critical: hardly any job succeeds."""

    _queues: dict[Labels, _Queue] = field(default_factory=dict, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires once a queue until the part that fails is usual again."""
        for track in view.each("queue_failed_total"):
            completed = view.value("queue_completed_total", track.labels)
            if track.value is None or completed is None:
                continue
            queue = self._queues.setdefault(track.labels, _Queue())
            jobs, failed = self._count(queue, track.value, completed, view.now)
            suspect = failed >= self.at_least and chance_at_most(failed, jobs, queue.usual) <= self.chance
            queue.since = None if not suspect else view.now if queue.since is None else queue.since
            if queue.since is not None:
                yield self._finding(view, queue_name(track), queue, jobs, failed)

    def _count(self, queue: _Queue, failed: float, completed: float, now: float) -> tuple[float, float]:
        """Jobs that ended within the window, and those of them that failed; what leaves it unsuspected is learnt.

        Takes rates. A system that counts each attempt may count more failures than jobs that ended.
        """
        elapsed = now - (now if queue.time is None else queue.time)
        queue.time = now
        queue.recent.append((now, failed * elapsed, max(failed, completed) * elapsed))
        while queue.recent[0][0] <= now - self.window:
            _, out_failed, out_jobs = queue.recent.popleft()
            if queue.since is None:
                keep = 0.5 ** (out_jobs / MEMORY)
                queue.jobs = queue.jobs * keep + out_jobs
                queue.failed = queue.failed * keep + out_failed
        return sum(entry[2] for entry in queue.recent), sum(entry[1] for entry in queue.recent)

    def _finding(self, view: View, name: str, queue: _Queue, jobs: float, failed: float) -> Finding:
        part = failed / jobs
        since = view.now if queue.since is None else queue.since
        severity = Severity.WARNING if part >= self.warning_part else Severity.INFO
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.CRITICAL if part >= self.critical_part else severity,
            time=view.now,
            firing=True,
            summary=(
                f"{count(failed)} of {count(jobs)} jobs of {name} that ended in the last {span(self.window)} failed "
                f"({part:.0%}); usually {queue.usual:.1%} do."
            ),
            subject=name,
            value=part,
            threshold=self.warning_part,
            evidence=(
                Evidence("failed", failed, "jobs", f"about {count(jobs * queue.usual)} of {count(jobs)}"),
                Evidence("part that fails", part, "ratio", f"about {queue.usual:.2%}"),
                Evidence("chance of as many by bad luck", chance_at_most(failed, jobs, queue.usual), "", "above 1e-06"),
            ),
            first_action=(
                f"Read the newest errors of {name}'s workers; look for a deploy or a dependency that failed at "
                f"{clock_time(since)}."
            ),
            ruled_out=("not a few unlucky jobs: so many are beyond chance", "not only more work: a larger part fails"),
            affected=(f"queue {name}",),
            since=since,
        )
