"""Stall: there is work, and nobody takes any.

The depth of a queue that is being worked on goes down now and then, however overloaded. When it has not gone down in
`polls` readings and `for_` seconds, though it used to, nobody takes jobs: consumers that reconnected without asking
again, a fetcher that died, a queue left paused.

What imitates it, and what separates them: an overloaded queue is `backlog` (it goes down between arrivals); an idle
queue has no work; a queue that nobody ever worked on while we watched has no record to compare with, so it needs the
longer `for_unknown`.

Source: reference/incidents.md 1.3 E1-E10.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import clock_time, count, span

__all__ = ["Stall"]


@dataclass(slots=True)
class _Queue:
    depth: float = 0.0
    since: float | None = None
    """Since when there has been work without the depth going down."""
    readings: int = 0
    busy: int = 0
    falls: int = 0


@dataclass
class Stall:
    """Work waits and the queue's depth has not gone down for longer than chance allows."""

    name: ClassVar[str] = "stall"
    needs: ClassVar[tuple[str, ...]] = ("queue_depth",)
    windows: ClassVar[tuple[str, ...]] = ()

    polls: int = 10
    for_: Seconds = 60.0
    chance: float = 1e-6
    """Probability of so many readings without a fall, from how often it fell while there was work."""
    for_unknown: Seconds = 900.0
    """For queues that never went down while we watched."""

    _queues: dict[Labels, _Queue] = field(default_factory=dict, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires once a queue until its depth goes down."""
        for track in view.each("queue_depth"):
            queue = self._queues.setdefault(track.labels, _Queue())
            self._read(queue, track.raw, view.now)
            if queue.since is not None and self._stalled(queue, view):
                yield self._finding(view, track.label("queue"), queue)

    def _read(self, queue: _Queue, depth: float, now: float) -> None:
        if queue.depth > 0:
            queue.busy += 1
            queue.falls += depth < queue.depth
        if depth <= 0 or depth < queue.depth:
            queue.since, queue.readings = None, 0
        if depth > 0:
            queue.since = now if queue.since is None else queue.since
            queue.readings += 1
        queue.depth = depth

    def _stalled(self, queue: _Queue, view: View) -> bool:
        lasted = view.now - (queue.since or view.now)
        if view.now - view.steady_since < self.for_:
            return False
        if queue.falls < 3:
            return lasted >= self.for_unknown
        often = queue.falls / queue.busy
        return lasted >= self.for_ and queue.readings >= self.polls and (1 - often) ** queue.readings <= self.chance

    def _finding(self, view: View, name: str, queue: _Queue) -> Finding:
        since = queue.since or view.now
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.CRITICAL,
            time=view.now,
            firing=True,
            summary=(
                f"{count(queue.depth)} jobs wait in {name} and none has been taken since {clock_time(since)} "
                f"({span(view.now - since)})."
            ),
            subject=name,
            value=view.now - since,
            threshold=self.for_,
            evidence=(
                Evidence("jobs waiting", queue.depth),
                Evidence("readings without a fall", queue.readings, "", f"a fall in {queue.falls} of {queue.busy}"),
                Evidence("blocked clients", view.value("redis_blocked_clients") or 0.0),
            ),
            first_action=f"Restart the workers of {name}: they may be connected and not asking. Is it paused?",
            ruled_out=("not an overload: that queue would go down between arrivals", "not idle: work waits"),
            affected=(f"queue {name}",),
            since=since,
        )
