"""The loop: a pipeline is told a tape, and what comes out is kept; on the way it is noted what there was to see.

Pure. Knows entries and the pipeline's three verbs. Must not judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sentinel.model import Incident, Notification, Poll, Seconds, Series
from sentinel.pipeline import ActionError, Pipeline, PipelineSettings, Step
from sentinel.tape import Advance, Begin, Entry, Gap

__all__ = ["History", "Replayed", "Seen", "replay", "tell", "with_clock"]

POINTS = 720
"""Kept of a level for a chart: lowest and highest of each stretch."""
GAP_FACTOR = 10.0
"""A pause this many times the usual one is a gap."""
_CLIENTS = Series("redis_connected_clients")
_CEILING = Series("redis_max_clients")
_REJECTED = Series("redis_connections_rejected_total")
_RESTARTS = Series("redis_restarts_total")
_UP = Series("sampler_up", (("sampler", "info"),))
_WANTED = frozenset((_CLIENTS, _CEILING, _REJECTED, _RESTARTS, _UP))
_FULL = 0.9
"""Part of the ceiling from which on a server that cannot be read is taken for a full one: who dials anew at each look,
as redis_exporter does, is refused like anybody."""


@dataclass(slots=True)
class Level:
    """A level over time as stretches with their lowest and highest, few enough to draw."""

    width: Seconds = 1.0
    times: list[float] = field(default_factory=list)
    lows: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)

    def add(self, time: float, value: float) -> None:
        """Take a value. When there are too many stretches, two become one."""
        if self.times and time - self.times[-1] < self.width:
            self.lows[-1], self.highs[-1] = min(self.lows[-1], value), max(self.highs[-1], value)
            return
        self.times.append(time)
        self.lows.append(value)
        self.highs.append(value)
        if len(self.times) > 2 * POINTS:
            self._halve()

    def _halve(self) -> None:
        pairs = range(0, len(self.times), 2)
        self.lows = [min(self.lows[at : at + 2]) for at in pairs]
        self.highs = [max(self.highs[at : at + 2]) for at in pairs]
        self.times = self.times[::2]
        self.width = max(2 * self.width, (self.times[-1] - self.times[0]) / len(self.times))


@dataclass(slots=True)
class Seen:
    """What a tape holds of one target."""

    first: float
    last: float
    polls: int = 0
    samples: int = 0
    gaps: list[tuple[float, float]] = field(default_factory=list)
    walls: list[float] = field(default_factory=list)
    """Times at which the server began to refuse newcomers, us included, with at least an hour between two."""
    restarts: list[float] = field(default_factory=list)
    clients: Level = field(default_factory=Level)
    ceiling: float | None = None
    usual: Seconds = 0.0
    """Mean time between two polls."""
    _clients: float = 0.0
    _rejected: float | None = None
    _restarts: float | None = None
    _refused: float = float("-inf")

    def add(self, poll: Poll) -> None:
        """Take a poll."""
        self.polls += 1
        self.samples += len(poll.samples)
        self._pause(poll.time)
        for series, time, value, _ in poll.samples:
            if series in _WANTED:
                self._take(series, time, value)

    def _pause(self, time: float) -> None:
        pause, self.last = time - self.last, time
        if self.polls > 10 and pause > GAP_FACTOR * self.usual:
            self.gaps.append((time - pause, time))
        elif pause > 0:
            self.usual += (pause - self.usual) / min(self.polls, 100)

    def _take(self, series: Series, time: float, value: float) -> None:
        if series is _CLIENTS or series == _CLIENTS:
            self.clients.add(time, value)
            self._clients = value
        elif series == _CEILING:
            self.ceiling = value
        elif series == _REJECTED:
            if self._rejected is not None and value > self._rejected:
                self._wall(time)
            self._rejected = value
        elif series == _UP:
            if not value and self.ceiling and self._clients >= _FULL * self.ceiling:
                self._wall(time)
        else:
            if self._restarts is not None and value > self._restarts:
                self.restarts.append(time)
            self._restarts = value

    def _wall(self, time: float) -> None:
        if not self.walls or time - self._refused > 3600:
            self.walls.append(time)
        self._refused = time


@dataclass(slots=True)
class History:
    """What a tape holds."""

    targets: dict[str, Seen] = field(default_factory=dict)
    starts: list[Begin] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Take an entry."""
        if isinstance(entry, Poll):
            seen = self.targets.get(entry.target)
            if seen is None:
                seen = self.targets[entry.target] = Seen(entry.time, entry.time)
            seen.add(entry)
        elif isinstance(entry, Begin):
            self.starts.append(entry)
        elif isinstance(entry, Gap):
            self.gaps.append(entry)

    @property
    def first(self) -> float:
        """When it begins; 0 if there is nothing."""
        return min((seen.first for seen in self.targets.values()), default=0.0)

    @property
    def last(self) -> float:
        """When it ends."""
        return max((seen.last for seen in self.targets.values()), default=0.0)

    @property
    def samples(self) -> int:
        """Of all targets."""
        return sum(seen.samples for seen in self.targets.values())


@dataclass(slots=True)
class Replayed:
    """What came out, and what there was."""

    notifications: list[Notification] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    """Every change of an incident, told or not, in order."""
    history: History = field(default_factory=History)


def tell(pipeline: Pipeline, entry: Entry) -> Step:
    """Tell a pipeline one entry of a tape; what is not for it changes nothing."""
    match entry:
        case Poll():
            return pipeline.feed(entry)
        case Advance(now):
            return pipeline.advance(now)
        case Begin() | Gap():
            return Step()
    try:
        return pipeline.act(entry)
    except ActionError:
        return Step()


def replay(entries: Iterable[Entry], settings: PipelineSettings) -> Replayed:
    """Tell a fresh pipeline everything, in the order in which it stands."""
    pipeline, result = Pipeline(settings), Replayed()
    for entry in entries:
        step = tell(pipeline, entry)
        result.notifications += step.notifications
        result.incidents += step.incidents
        result.history.add(entry)
    return result


def with_clock(polls: Iterable[Poll], every: Seconds = 60.0) -> Iterator[Entry]:
    """Polls of a source that kept no clock, with the passing of time told now and then as a daemon would have."""
    due = float("-inf")
    for poll in polls:
        if poll.time >= due:
            due = poll.time + every
            yield Advance(poll.time)
        yield poll
