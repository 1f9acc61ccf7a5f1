"""Stall: there is work, and nobody takes any, or it is taken and never done.

Judged on signs of work. Between two readings a job was taken if the depth fell, something was completed or failed,
more are in flight, or the oldest waiting job is younger than the time that has passed would make it. Three ways to
be stalled:

* *not taken*: no sign of work for longer than chance allows, by how often this queue showed one while work waited,
  and by how many would have been completed at its usual pace: consumers that reconnected without asking again, a
  fetcher that died, workers that hang;
* *paused*: the system says so, and work waits;
* *vanishing*: the depth falls and nothing is ever completed: the job is taken, and lost.

What imitates it, and what separates them:

* an overload is `backlog`: it shows signs of work. A bulk that arrives faster than it is worked off hides the falls
  of the depth, so a reading in which the depth rose more than it usually does says nothing by itself;
* long jobs: while some are in flight, only missing completions count;
* an idle queue, one with jobs of the future only, and a fleet scaled to nothing have no work that could be taken;
* a queue that is worked on, or a pause that ends, at its own time of the day: former days waited as long;
* a queue that was never seen with work waiting has no record to compare with. If it is known that nothing is in flight
  while workers beat, nothing excuses them; if jobs used to be taken between two readings, with clients blocked for
  more, a pause is worth a warning: it may be one long job. Otherwise it needs `for_unknown`.

Heartbeats that lie are told here: when the workers beat and nothing moves, that is evidence, not comfort.

Source: reference/incidents.md 1.3 E1-E10 (E1: connected, beating, not consuming; E3: "active stays 0, wait grows";
E9: the queue drains while completions are 0).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from sentinel.model import Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.habit import Habit
from sentinel.pipeline.diagnosis.queues import QueueReading, queue_readings
from sentinel.pipeline.diagnosis.words import clock_time, count, pace, span

__all__ = ["Stall"]

LONGER = 1.5
"""Half again as long as on former days is news."""
QUICK = 10
"""Readings of an empty queue with clients that wait for jobs, from which on jobs are known to be taken at once."""
STARTING = 3
"""Times `for_` that a fleet which was scaled to nothing gets to start: an autoscaler looks every 15-30 s and a
process needs a minute or so."""
VANISHED = 20
"""Jobs that left without one being completed: at most one in a million of healthy queues has twenty in flight
unseen and none done."""
WEIGHT = 0.05
"""Of a reading in the usual pace and the usual rise: a memory of about twenty readings with work. Rises without a
sign of work weigh a tenth: they are what is being judged."""
LEAST_RISE = 3.0
"""Jobs between two readings that never count as a bulk."""

Way = Literal["taken", "paused", "vanishing"]


@dataclass(slots=True)
class _Queue:
    time: float = 0.0
    waiting: float = 0.0
    depth: float = 0.0
    oldest: float | None = None
    in_flight: float | None = None
    since: float | None = None
    """Since when there has been work without a sign of it being done."""
    readings: int = 0
    """That say something, since then."""
    busy: int = 0
    works: int = 0
    """Readings with work waiting up to the last sign of work, and those of them with one."""
    quick: int = 0
    """Readings in which it was empty and clients of the server waited for jobs."""
    pace: float = 0.0
    """Completions a second while work waits."""
    rise: float = 0.0
    """Usual rise of the depth between two readings."""
    done: float = 0.0
    """Completed in all, as far as seen."""
    left: float = 0.0
    """Jobs that left since one was completed or failed."""
    left_since: float = 0.0
    habit: Habit = field(default_factory=Habit)
    """How long former days waited."""


@dataclass
class Stall:
    """Work waits and shows no sign of being done for longer than chance allows."""

    name: ClassVar[str] = "stall"
    needs: ClassVar[tuple[str, ...]] = ("queue_depth",)
    windows: ClassVar[tuple[str, ...]] = ()

    polls: int = 8
    """Readings without a sign of work, at least …"""
    for_: Seconds = 40.0
    """… and for this long: under a minute from the first job with the default interval."""
    chance: float = 1e-4
    """Probability of so long a pause, by what the queue did before: it is asked only of pauses that have lasted for
    `for_`, which a queue that is worked on seldom has."""
    for_unknown: Seconds = 900.0
    """For queues that nobody worked on while we watched."""
    for_paused: Seconds = 1800.0
    """How long a queue may be paused with work waiting before it is a warning."""

    _queues: dict[Labels, _Queue] = field(default_factory=dict, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires once a queue until it shows a sign of work."""
        for reading in view.once(queue_readings):
            queue = self._queues.setdefault(reading.labels, _Queue(time=view.now))
            _read(queue, reading, view.now)
            queue.quick += not reading.waiting and bool(view.value("redis_blocked_clients"))
            way = self._way(queue, reading, view)
            if way is not None:
                yield self._finding(view, reading, queue, way)

    def _way(self, queue: _Queue, reading: QueueReading, view: View) -> Way | None:
        if queue.left >= VANISHED and queue.done >= VANISHED and view.now - queue.left_since >= self.for_:
            return "vanishing"
        if queue.since is None or view.now - view.steady_since < self.for_:
            return None
        lasted = view.now - queue.since
        if lasted <= LONGER * queue.habit.usual(view.now):
            return None
        if reading.paused:
            return "paused" if lasted >= self.for_ else None
        return "taken" if self._beyond_chance(queue, reading, lasted, _beating(view, reading)[0]) else None

    def _beyond_chance(self, queue: _Queue, reading: QueueReading, lasted: Seconds, beating: int) -> bool:
        if lasted < self.for_ or queue.readings < self.polls:
            return False
        if reading.completed is not None and math.exp(-min(700.0, queue.pace * lasted)) <= self.chance:
            return True
        if reading.in_flight:
            return False
        idle = reading.in_flight == 0 and (beating or reading.consumers)
        if queue.works < 3 or idle:
            return bool(idle or queue.quick >= QUICK or lasted >= self.for_unknown)
        if reading.consumers == 0:
            return lasted >= (self.for_ if beating else STARTING * self.for_)
        return (1 - queue.works / queue.busy) ** queue.readings <= self.chance

    def _severity(self, queue: _Queue, reading: QueueReading, way: Way, lasted: Seconds) -> Severity:
        if way == "paused":
            return Severity.WARNING if lasted >= self.for_paused else Severity.INFO
        known = queue.works >= 3 or reading.in_flight == 0 or lasted >= 2 * self.for_unknown
        return Severity.CRITICAL if known else Severity.WARNING

    def _finding(self, view: View, reading: QueueReading, queue: _Queue, way: Way) -> Finding:
        name = reading.name
        since = queue.left_since if way == "vanishing" or queue.since is None else queue.since
        lasted = view.now - since
        beating, fleet = _beating(view, reading)
        workers = f"{beating} of {fleet} workers beat" if fleet else ""
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=self._severity(queue, reading, way, lasted),
            time=view.now,
            firing=True,
            summary=_summary(reading, queue, way, since, lasted, workers),
            subject=name,
            value=lasted,
            threshold=self.for_,
            evidence=tuple(_evidence(view, reading, queue, workers)),
            first_action=_action(name, way),
            ruled_out=_ruled_out(way),
            affected=(f"queue {name}",),
            since=since,
        )


def _read(queue: _Queue, reading: QueueReading, now: float) -> None:
    """Take what the reading shows of work, and what it cannot show."""
    worked = _worked(queue, reading, now)
    if queue.waiting > 0:
        rise = max(0.0, reading.waiting - queue.waiting)
        telling = reading.completed is not None or reading.oldest is not None or rise <= 2 * queue.rise + LEAST_RISE
        queue.readings += worked or telling
        queue.rise += (WEIGHT if worked else WEIGHT / 10) * (rise - queue.rise)
        if worked:
            queue.works, queue.busy = queue.works + 1, queue.busy + queue.readings
        if worked and reading.completed is not None:
            queue.pace += WEIGHT * (reading.completed - queue.pace) if queue.pace else reading.completed
    if worked or reading.waiting <= 0:
        queue.since, queue.readings = None, 0
    elif queue.since is None:
        queue.since = now
    if queue.since is not None:
        queue.habit.learn(now, now - queue.since)
    _follow_leaving(queue, reading, now)
    queue.time, queue.waiting, queue.depth = now, reading.waiting, reading.depth
    queue.oldest, queue.in_flight = reading.oldest, reading.in_flight


def _worked(queue: _Queue, reading: QueueReading, now: float) -> bool:
    """Whether a job was taken or done since the reading before."""
    if reading.waiting < queue.waiting or reading.completed or reading.failed:
        return True
    if reading.in_flight is not None and queue.in_flight is not None and reading.in_flight > queue.in_flight:
        return True
    if reading.oldest is None or queue.oldest is None or queue.waiting <= 0:
        return False
    return reading.oldest < queue.oldest + (now - queue.time) / 2


def _follow_leaving(queue: _Queue, reading: QueueReading, now: float) -> None:
    """Count what leaves a queue whose completions are told."""
    if reading.completed is None:
        return
    queue.done += reading.completed * (now - queue.time)
    held = (reading.in_flight or 0.0) - (queue.in_flight or 0.0)
    if reading.completed or reading.failed:
        queue.left, queue.left_since = 0.0, now
    else:
        queue.left = max(0.0, queue.left + max(0.0, queue.depth - reading.depth) - held)


def _beating(view: View, reading: QueueReading) -> tuple[int, int]:
    """Workers of the queue's system that lost_workers would not call late, roughly: half of the fleet is as young."""
    beats = view.known("heartbeat_age_seconds", 60.0)
    ages = sorted(track.raw for track in beats if track.label("system") == reading.worker_system)
    if not ages:
        return 0, 0
    limit = max(3.0, 3 * ages[len(ages) // 2])
    return sum(age <= limit for age in ages), len(ages)


def _summary(reading: QueueReading, queue: _Queue, way: Way, since: float, lasted: Seconds, workers: str) -> str:
    name, waiting, at = reading.name, count(reading.waiting), clock_time(since)
    if way == "paused":
        return f"{name} is paused, and {waiting} jobs have waited in it since {at} ({span(lasted)})."
    if way == "vanishing":
        return f"{count(queue.left)} jobs were taken from {name} since {at} and none was completed ({span(lasted)})."
    alive = f", though {workers}" if workers else ""
    told = reading.completed is not None or reading.oldest is not None
    idle = "none has been taken" if told else "they have not become fewer"
    return f"{waiting} jobs wait in {name} and {idle} since {at} ({span(lasted)}){alive}."


def _evidence(view: View, reading: QueueReading, queue: _Queue, workers: str) -> Iterable[Evidence]:
    yield Evidence("jobs waiting", reading.waiting, "jobs")
    usual = f"a sign of work in {queue.works} of {queue.busy}" if queue.busy else "no record yet"
    yield Evidence("readings without a sign of work", queue.readings, "", usual)
    if reading.completed is not None:
        yield Evidence("completed", reading.completed, "jobs/s", f"about {pace(queue.pace)} while work waits")
    if reading.in_flight is not None:
        yield Evidence("in flight", reading.in_flight, "jobs")
    if reading.consumers is not None:
        yield Evidence("consumers", reading.consumers, "", "at least 1")
    blocked = view.value("redis_blocked_clients")
    if blocked is not None:
        yield Evidence("clients that wait for jobs", blocked, "", "the idle part of the fleet")


def _action(name: str, way: Way) -> str:
    if way == "paused":
        return f"Resume {name} if nobody means it to be paused."
    if way == "vanishing":
        return f"Stop the workers of {name} before the rest is lost; look in their logs for what fails after taking."
    return f"Restart the workers of {name}: they may be connected and not asking, or hang in a job."


def _ruled_out(way: Way) -> tuple[str, ...]:
    if way == "paused":
        return ("not a habit: former days were not paused for so long at this time",)
    if way == "vanishing":
        return ("not idle: the depth falls", "not slow jobs: too few are in flight")
    return ("not an overload: that queue would show jobs being taken", "not idle: work waits")
