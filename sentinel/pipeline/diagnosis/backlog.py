"""Backlog: more work arrives than is done, and the queue grows without end in sight.

Judged on the queue's *floor* over a few readings: a healthy queue comes down to its usual low again and again,
however high it jumps in between; a backlog does not.

What imitates it, and what separates them:

* a nightly bulk: the depth jumps once and then falls (the floor is high, but it is not rising);
* a rolling restart: short;
* a peak of the day: the floor stays within what has been seen before.

Source: reference/incidents.md 1.3 F1-F7 and 1.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from detectors.trend import mann_kendall
from sentinel.model import Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import clock_time, count, pace, span
from sentinel.pipeline.series import Track

__all__ = ["Backlog"]


@dataclass(slots=True)
class _Queue:
    usual: float = 0.0
    """Highest floor seen in quiet times; fades slowly."""
    seen: int = 0
    since: float | None = None
    peak: float = 0.0


@dataclass
class Backlog:
    """A queue's floor is above anything usual and significantly rising."""

    name: ClassVar[str] = "backlog"
    needs: ClassVar[tuple[str, ...]] = ("queue_depth",)
    windows: ClassVar[tuple[str, ...]] = ("queue_depth",)

    floor_polls: int = 6
    """Readings over which the floor is taken."""
    trend_polls: int = 10
    """Readings over which it must rise."""
    significance: float = 1e-3
    """Of the Mann-Kendall test: ten readings that rise without a break have p = 1/3,628,800."""
    at_least: float = 20.0
    """Jobs below which nothing is said."""
    critical_after: Seconds = 900.0
    """A backlog that has grown for this long is critical."""
    warm_up: int = 30

    _queues: dict[Labels, _Queue] = field(default_factory=dict, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires once a queue until its floor is back at what is usual."""
        stalled = {finding.subject for finding in view.found.get("stall", ())}
        for track in view.each("queue_depth"):
            queue = self._queues.setdefault(track.labels, _Queue())
            queue.seen += 1
            floor = min(track.last(self.floor_polls))
            if queue.since is None:
                queue.since = self._begin(queue, track, floor, view.steady_since)
            elif floor <= max(queue.usual, queue.peak / 4):
                queue.since, queue.peak = None, 0.0
            if queue.since is None:
                queue.usual = max(floor, queue.usual - 0.001 * (queue.usual - floor))
            elif track.label("queue") not in stalled:
                queue.peak = max(queue.peak, floor)
                yield self._finding(view, queue, track)

    def _begin(self, queue: _Queue, track: Track, floor: float, steady_since: float) -> float | None:
        """When the growth began, if it is one."""
        if queue.seen < self.warm_up or floor < max(self.at_least, 2 * queue.usual):
            return None
        times, values = track.window(steady_since)
        if len(values) < self.trend_polls:
            return None
        tendency = mann_kendall(values[-self.trend_polls :])
        rising = tendency.z > 0 and tendency.p <= self.significance
        return float(times[-self.trend_polls]) if rising else None

    def _finding(self, view: View, queue: _Queue, track: Track) -> Finding:
        name, depth, since = track.label("queue"), track.raw, queue.since or view.now
        times, values = track.window(0.0)
        first = max(0, len(values) - self.trend_polls)
        growth = float((values[-1] - values[first]) / max(1e-9, times[-1] - times[first]))
        pressing = growth > 0 and view.now - since >= self.critical_after
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.CRITICAL if pressing else Severity.WARNING,
            time=view.now,
            firing=True,
            summary=(
                f"{count(depth)} jobs wait in {name}, {'+' + pace(growth) if growth > 0 else 'falling'} since "
                f"{clock_time(since)}; usually it comes down to {count(queue.usual)} or less."
            ),
            subject=name,
            value=depth,
            threshold=max(self.at_least, 2 * queue.usual),
            evidence=(
                Evidence("jobs waiting", depth, "", f"down to {count(queue.usual)} now and then"),
                Evidence("growth", growth, "1/s", "not above 0 for long"),
                Evidence("growing for", view.now - since, "s"),
            ),
            first_action=(
                f"Add workers for {name} or find what slows them; check what began to fill it at {clock_time(since)}."
            ),
            ruled_out=(
                "not a bulk that drains: it is still rising" if growth > 0 else "not over: above the usual level",
                f"not a short pause of the workers: it has lasted {span(view.now - since)}",
            ),
            affected=(f"queue {name}",),
            since=since,
        )
