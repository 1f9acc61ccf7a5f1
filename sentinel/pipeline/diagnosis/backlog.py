"""Backlog: more work arrives than is done, and the queue grows without end in sight.

Judged on the queue's *floor* over a few readings: a healthy queue comes down to its usual low again and again,
however high it jumps in between; a backlog does not. Noticed as soon as the floor rises beyond chance, which is
information; a warning when it has gone on rising for `for_`, or when less is completed than the queue is used to
while work waits, or when the oldest job has waited longer than the objective (`slo`) that was set for the queue. Where
none was set, three times the longest wait of former days is taken for it, once there is a whole day of them: to miss
what nobody promised is information.

What imitates it, and what separates them:

* a bulk that is enqueued within minutes and then worked off: it rises for less than `for_`, and once it falls it is
  information with the time at which it will be gone;
* a nightly bulk: the same hour of former days was as deep;
* a rolling restart: short;
* a peak of the day: the floor stays within what has been seen before;
* jobs of the future: only those that could be taken now count, where the system tells them apart.

Without a day of history the nightly bulk is unknown: if it is enqueued for longer than `for_`, the first one warns.

Source: reference/incidents.md 1.3 F1-F7 and 1.4; Mann (1945) and Kendall (1975) for the rise; F1 and F2 for judging
by the queue and not by the server.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from detectors.trend import mann_kendall
from sentinel.model import Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.habit import DAY, Habit
from sentinel.pipeline.diagnosis.queues import QueueReading, queue_readings
from sentinel.pipeline.diagnosis.words import clock_time, count, pace, span
from sentinel.pipeline.series import Track, Window

__all__ = ["Backlog"]

DEEPER = 1.5
"""A floor half again as high as on former days is news."""
SLOWED = 0.7
"""Part of the usual completions while work waits; the lab's and the simulation's fleets vary by 5-20 %."""
RATE = 0.002
"""Of the way from the usual floor to the present one, a reading: half of it in 350, half an hour at 5 seconds. What
doubles within that time is seen before it is usual."""
MOST = 40
"""Readings that the rank test looks at, evenly spaced: its cost rises with their square."""
LONGER = 3.0
"""A wait three times as long as the longest of former days is worth a line. A choice, and no page hangs on it: a wait
is depth over pace (Little 1961), so it varies with both, and more than the depth for which `DEEPER` is."""
WEIGHT = 0.02
"""Of a reading in the usual completions: the memory is about fifty readings with work waiting."""


@dataclass(slots=True)
class _Queue:
    habit: Habit = field(default_factory=Habit)
    """Floors of former days."""
    waits: Habit = field(default_factory=Habit)
    """The longest wait of each day, as of its midnight."""
    met: float | None = None
    """When it was seen first."""
    usual: float = 0.0
    """Mean floor of quiet times."""
    capacity: float | None = None
    """Completions a second while work waits, in quiet times."""
    seen: int = 0
    since: float | None = None
    rose: float | None = None
    """When it was last seen to rise."""
    peak: float = 0.0


class _Overdue(NamedTuple):
    """How long a job may wait, and whether somebody said so."""

    limit: Seconds
    promised: bool


class _Growth(NamedTuple):
    """How the depth has moved over some readings."""

    rate: float
    """Jobs a second."""
    rising: bool
    """Beyond chance."""


def _growth(window: Window, significance: float) -> _Growth:
    times, values = window
    if len(values) < 2:
        return _Growth(0.0, False)
    import numpy as np  # only where there is a queue to judge

    step = -(-len(values) // MOST)
    tendency = mann_kendall(np.frombuffer(values[::-step][::-1]))
    rate = (values[-1] - values[0]) / max(1e-9, times[-1] - times[0])
    return _Growth(rate, bool(tendency.z > 0 and tendency.p <= significance))


@dataclass
class Backlog:
    """A queue's floor is above anything usual and significantly rising, or its jobs wait for too long."""

    name: ClassVar[str] = "backlog"
    needs: ClassVar[tuple[str, ...]] = ("queue_depth",)
    windows: ClassVar[tuple[str, ...]] = ("queue_depth", "queue_eligible")

    floor_polls: int = 6
    """Readings over which the floor is taken."""
    trend_polls: int = 10
    """Readings over which it must rise."""
    significance: float = 1e-3
    """Of the Mann-Kendall test: ten readings that rise without a break have p = 1/3,628,800."""
    at_least: float = 20.0
    """Jobs below which nothing is said, unless they wait for longer than the objective."""
    for_: Seconds = 300.0
    """A rise for this long is a warning."""
    critical_after: Seconds = 900.0
    """A rise for this long is critical."""
    adopt_after: Seconds = 3600.0
    """A level that has not risen for this long is the new usual one."""
    slo: Mapping[str, Seconds] = field(default_factory=dict)
    """How long a job may wait, by queue; `*` for all others. Needs a job system that tells the age. A queue without is
    held to the waits of former days."""
    warm_up: int = 30

    _queues: dict[Labels, _Queue] = field(default_factory=dict, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires once a queue until its floor is back at what is usual and its jobs are as young as they should be."""
        stalled = {finding.subject for finding in view.found.get("stall", ())}
        for reading in view.once(queue_readings):
            queue = self._queues.setdefault(reading.labels, _Queue())
            track = view.store.one(reading.series, reading.labels)
            if track is None:
                continue
            self._follow(queue, track, view)
            overdue = self._overdue(queue, reading, view.now)
            if queue.since is None and overdue is None:
                self._learn(queue, reading)
            elif reading.name not in stalled:
                yield self._finding(view, reading, queue, self._moves(queue, track, view), overdue)

    def _overdue(self, queue: _Queue, reading: QueueReading, now: float) -> _Overdue | None:
        """Whether the oldest job has waited for too long, and by what measure."""
        if reading.oldest is None:
            return None
        queue.met = now if queue.met is None else queue.met
        midnight = now - now % DAY
        limit = self.slo.get(reading.name, self.slo.get("*"))
        promised = limit is not None
        if limit is None and midnight - queue.met >= DAY:
            limit = max(self.for_, LONGER * queue.waits.usual(midnight))
        queue.waits.learn(midnight, reading.oldest if limit is None else min(reading.oldest, limit))
        return _Overdue(limit, promised) if limit is not None and reading.oldest > limit else None

    def _follow(self, queue: _Queue, track: Track, view: View) -> None:
        """Whether the floor has left the usual, or has come back."""
        floor = min(track.last(self.floor_polls))
        queue.seen += 1
        if queue.since is not None:
            queue.peak = max(queue.peak, floor)
            if floor <= max(queue.usual, queue.peak / 4):
                queue.since, queue.peak = None, 0.0
        elif queue.seen < self.warm_up:
            queue.usual = max(floor, queue.usual)
        elif floor > DEEPER * queue.habit.usual(view.now):
            if floor >= max(self.at_least, 2 * queue.usual):
                queue.since = queue.rose = self._began(track, max(queue.usual, floor / 4), view.steady_since)
            queue.usual += RATE * (floor - queue.usual)
        queue.habit.learn(view.now, floor)

    def _began(self, track: Track, low: float, steady_since: float) -> float | None:
        """When it was last low, if it rises since: over a few readings if it is steep, over more if slow or rough."""
        times, values = track.window(steady_since)
        for polls in (self.trend_polls, 4 * self.trend_polls, 16 * self.trend_polls):
            if polls <= len(values) and self._rises((times[-polls:], values[-polls:])).rising:
                return times[max((i for i, value in enumerate(values[-polls:]) if value <= low), default=0) - polls]
        return None

    def _moves(self, queue: _Queue, track: Track, view: View) -> _Growth:
        """How it moves of late: over the second half of the time since it began."""
        times, values = track.window(0.0)
        since = view.now if queue.since is None else (queue.since + view.now) / 2
        first = min(bisect_left(times, since), max(0, len(times) - self.trend_polls))
        growth = self._rises((times[first:], values[first:]))
        if growth.rising:
            queue.rose = view.now
        elif queue.since is not None and view.now - (queue.rose or queue.since) >= self.adopt_after:
            queue.usual, queue.since, queue.peak = min(track.last(self.floor_polls)), None, 0.0
        return growth

    def _rises(self, window: Window) -> _Growth:
        """The growth over a window; not rising if the newest readings go back."""
        growth = _growth(window, self.significance)
        newest = _growth((window[0][-self.trend_polls :], window[1][-self.trend_polls :]), self.significance)
        return newest if newest.rate < 0 else growth

    @staticmethod
    def _learn(queue: _Queue, reading: QueueReading) -> None:
        """What is completed while work waits, in quiet times."""
        if reading.completed is not None and reading.waiting > 0:
            before = reading.completed if queue.capacity is None else queue.capacity
            queue.capacity = before + WEIGHT * (reading.completed - before)

    def _severity(self, queue: _Queue, reading: QueueReading, growth: _Growth, lasted: Seconds, late: bool) -> Severity:
        worse = growth.rising and growth.rate > 0
        if worse and (lasted >= self.critical_after or late):
            return Severity.CRITICAL
        slowed = (
            reading.completed is not None
            and queue.capacity is not None
            and reading.completed < SLOWED * queue.capacity
            and lasted >= self.for_ / 5
        )
        return Severity.WARNING if late or (worse and (lasted >= self.for_ or slowed)) else Severity.INFO

    def _finding(
        self, view: View, reading: QueueReading, queue: _Queue, growth: _Growth, overdue: _Overdue | None
    ) -> Finding:
        name, waiting = reading.name, reading.waiting
        since = view.now - (reading.oldest or 0.0) if queue.since is None else queue.since
        lasted = view.now - since
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=self._severity(queue, reading, growth, lasted, overdue is not None and overdue.promised),
            time=view.now,
            firing=True,
            summary=" ".join(_sentences(reading, queue, growth, since, overdue)),
            subject=name,
            value=waiting,
            threshold=max(self.at_least, 2 * queue.usual),
            evidence=tuple(_evidence(reading, queue, growth, lasted, overdue)),
            first_action=(
                f"Add workers for {name} or find what slows them; check what began to fill it at {clock_time(since)}."
            ),
            ruled_out=(
                "not a bulk that drains: it is still rising" if growth.rate > 0 else "not over: above the usual level",
                f"not a short pause of the workers: it has lasted {span(lasted)}",
            ),
            affected=(f"queue {name}",),
            since=since,
        )


def _sentences(
    reading: QueueReading, queue: _Queue, growth: _Growth, since: float, overdue: _Overdue | None
) -> Iterable[str]:
    name, waiting = reading.name, reading.waiting
    if growth.rate > 0:
        moves = f"+{pace(growth.rate)} since {clock_time(since)}"
    elif growth.rate < 0:
        moves = f"falling by {pace(-growth.rate)}, empty in about {span(waiting / -growth.rate)}"
    else:
        moves = f"as many as before, since {clock_time(since)}"
    yield f"{count(waiting)} jobs wait in {name}, {moves}; usually it {_low(queue)}."
    if overdue is not None and reading.oldest is not None:
        promise = "the objective is" if overdue.promised else "by former days it should be no more than"
        yield f"The oldest has waited {span(reading.oldest)}; {promise} {span(overdue.limit)}."


def _low(queue: _Queue) -> str:
    return f"comes down to {count(queue.usual)} or less" if queue.usual >= 1 else "comes down to nothing"


def _evidence(
    reading: QueueReading, queue: _Queue, growth: _Growth, lasted: Seconds, overdue: _Overdue | None
) -> Iterable[Evidence]:
    yield Evidence("jobs waiting", reading.waiting, "jobs", f"now and then it {_low(queue)}")
    yield Evidence("growth", growth.rate, "jobs/s", "not above 0 for long")
    yield Evidence("above the usual for", lasted, "s")
    if reading.oldest is not None:
        yield Evidence("oldest job", reading.oldest, "s", "" if overdue is None else f"up to {overdue.limit:.0f}")
    if reading.completed is not None and queue.capacity is not None:
        yield Evidence("completed", reading.completed, "jobs/s", f"about {queue.capacity:.3g} while work waits")
