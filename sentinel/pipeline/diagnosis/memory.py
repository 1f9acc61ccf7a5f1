"""Memory: the server nears the limit at which it refuses writes, or has reached it.

With `noeviction`, as queues need it, a server at `maxmemory` answers every write with OOM: nothing is enqueued, no
heartbeat is written, and often nothing is dequeued either, as that writes, too. Without a `maxmemory` the host's memory
is the wall, and the kernel ends the process there. With an eviction policy a full server is a cache at work, and said
nothing of, unless queues live on it and keys are evicted: then jobs can vanish.

What imitates it, and what separates them: the rhythm of the day and the nightly bulk come back to a level that was
there the day before, so once a day is known a trend counts only above the highest level of that day; before that, only
above `trend_above` or if it is full within `critical_within` (no rhythm is that steep). Fat clients are
`client_buffers`.

Source: reference/incidents.md 1.3 F1-F7 (10 h of lead in F7, nobody looked); slopes by Theil and Sen on the floors of
minutes, widened for memory (detectors/trend.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from detectors.trend import Floor, eta, theil_sen
from sentinel.model import Eta, Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.levels import Held, Ladder
from sentinel.pipeline.diagnosis.words import clock_time, count, pace, size, span

__all__ = ["Memory"]

_OOM: Labels = (("prefix", "OOM"),)
_STEPS = 60
"""Floors within `trend_window`: a Theil-Sen fit of 60 points takes 60 µs, once a step."""
_STEPS_LEAST = 10
"""Ten floors that rise without a break have p = 1 / 3,628,800 by chance."""


@dataclass
class Memory:
    """Close to the limit, on the way to it, or there."""

    name: ClassVar[str] = "memory"
    needs: ClassVar[tuple[str, ...]] = ("redis_memory_used_bytes",)
    windows: ClassVar[tuple[str, ...]] = ()

    warning_above: float = 0.85
    """Part of the limit, 0-1."""
    critical_above: float = 0.95
    trend_above: float = 0.6
    """Part of the limit above which a trend counts while no day is known yet."""
    trend_window: Seconds = 3600.0
    critical_within: Seconds = 3600.0
    """Full within this time is critical."""
    warning_within: Seconds = 21600.0
    day: Seconds = 86400.0
    """Levels of this long ago and since are usual."""
    hold: Seconds = 120.0
    """A pause in refused writes or evictions this long is not yet a recovery."""

    _floor: Floor = field(init=False, repr=False)
    _peaks: deque[tuple[float, float]] = field(default_factory=deque, init=False, repr=False)
    """Highest level of each `trend_window` of the last `day`, with its beginning."""
    _first: float | None = field(default=None, init=False, repr=False)
    _slope: tuple[float, float, float] | None = field(default=None, init=False, repr=False)
    """Low, middle and high, bytes a second; None if it does not surely rise."""
    _oom: Held = field(default_factory=Held, init=False, repr=False)
    _evicting: Held = field(default_factory=Held, init=False, repr=False)
    _level: Ladder = field(default_factory=Ladder, init=False, repr=False)
    _trend: Ladder = field(default_factory=Ladder, init=False, repr=False)

    def __post_init__(self) -> None:
        self._floor = Floor(step=max(1e-3, self.trend_window / _STEPS), steps=_STEPS)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires for refused writes, for a level, for a trend, or for evictions beside queues; the first that holds."""
        used, limit = self._used(view)
        if used is None or not limit:
            return
        self._learn(view.now, used)
        if self._oom.take(bool(view.value("redis_errors_total", _OOM)), view.now, self.hold) is not None:
            yield self._refused(view, used, limit)
        elif self._evicts(view):
            evicted = view.value("redis_evicted_keys_total") or 0.0
            if self._evicting.take(evicted > 0 and _has_queues(view), view.now, self.hold) is not None:
                yield self._evicted(view, used, limit, evicted)
        else:
            yield from self._filling(view, used, limit)

    @staticmethod
    def _used(view: View) -> tuple[float | None, float]:
        """What is taken, and of what: of `maxmemory`, or where there is none of the host's memory."""
        limit = view.value("redis_memory_max_bytes") or 0.0
        if limit:
            return view.value("redis_memory_used_bytes"), limit
        return view.value("redis_memory_rss_bytes"), view.value("redis_memory_system_bytes") or 0.0

    @staticmethod
    def _evicts(view: View) -> bool:
        return bool(view.value("redis_memory_max_bytes")) and view.value("redis_memory_noeviction") == 0.0

    def _learn(self, now: float, used: float) -> None:
        self._first = now if self._first is None else self._first
        if not self._peaks or now - self._peaks[-1][0] >= self.trend_window:
            self._peaks.append((now, used))
        elif used > self._peaks[-1][1]:
            self._peaks[-1] = self._peaks[-1][0], used
        while now - self._peaks[0][0] > self.day + self.trend_window:
            self._peaks.popleft()
        if self._floor.add(now, used):
            times, lows = self._floor.lows()
            recent = times >= now - self.trend_window
            times, lows = times[recent], lows[recent]
            fit = theil_sen(times, lows, confidence=0.8, memory=True) if len(lows) >= _STEPS_LEAST else None
            self._slope = (fit.low, fit.value, fit.high) if fit is not None and fit.low > 0 else None

    def _filling(self, view: View, used: float, limit: float) -> Iterator[Finding]:
        level = self._level.take(used / limit, self.warning_above, self.critical_above)
        left = self._time_left(view.now, used, limit)
        pressing = 0.0 if left is None else 1.0 / max(1e-9, left.earliest - view.now)
        trend = self._trend.take(pressing, 1.0 / self.warning_within, 1.0 / self.critical_within)
        if max(level, trend) > Severity.INFO:
            yield self._near(view, max(level, trend), used, limit, left)

    def _time_left(self, now: float, used: float, limit: float) -> Eta | None:
        """When it is full, if it rises surely and above what former hours explain."""
        if self._slope is None:
            return None
        low, _, high = self._slope
        found = eta(used, limit, low, high)
        if found is None or found.latest is None:
            return None
        known = self._first is not None and now - self._first >= self.day
        if known:
            usual = used <= max(peak for time, peak in self._peaks if now - time >= self.trend_window)
        else:
            usual = used < self.trend_above * limit and found.latest > self.critical_within
        return None if usual else Eta(now + found.earliest, now + found.latest, f"{size(limit)} of memory")

    def _near(self, view: View, severity: Severity, used: float, limit: float, left: Eta | None) -> Finding:
        slope = self._slope[1] if self._slope is not None else 0.0
        rises = f", rising by {size(slope * 3600)} an hour" if left is not None else ""
        own = bool(view.value("redis_memory_max_bytes"))
        wall = "maxmemory" if own else "the host's memory (no maxmemory is set)"
        then = "Then every write is refused (OOM), enqueueing too." if own else "Then the kernel ends the server."
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=severity,
            time=view.now,
            firing=True,
            summary=f"{size(used)} of {size(limit)} are in use, {used / limit:.0%} of {wall}{rises}. {then}",
            value=used / limit,
            threshold=self.warning_above,
            evidence=(
                Evidence("memory in use", used, "B", f"below {size(self.warning_above * limit)}"),
                Evidence("limit", limit, "B"),
                Evidence("growth in an hour", slope * 3600, "B", "comes back to the level of the day before"),
                *_who(view),
            ),
            eta=left,
            first_action=(
                f"{_trim(view)}; CONFIG SET maxmemory higher buys time if the host has it."
                if own
                else f"{_trim(view)}, and set a maxmemory below what the host has."
            ),
            ruled_out=(
                "not a cache that is full: nothing may be evicted here"
                if own
                else "not a limit of its own: none is set",
                "not the rhythm of the day: the level is above it" if left is not None else "not a peak that has gone",
            ),
            affected=view.affected,
        )

    def _refused(self, view: View, used: float, limit: float) -> Finding:
        since = self._oom.since or view.now
        rate = view.value("redis_errors_total", _OOM) or 0.0
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.CRITICAL,
            time=view.now,
            firing=True,
            summary=(
                f"{view.target} refuses writes since {clock_time(since)} (OOM, {pace(rate)} now): {size(used)} of "
                f"{size(limit)} are in use. Nothing can be enqueued."
            ),
            value=rate,
            evidence=(
                Evidence("writes refused (OOM)", rate, "/s", "none"),
                Evidence("memory in use", used, "B", f"below {size(limit)}"),
                *_who(view),
            ),
            first_action=f"CONFIG SET maxmemory higher if the host has memory left. {_trim(view)}.",
            ruled_out=("not down: reads go on", "not full of clients: open and new connections work"),
            affected=view.affected,
            since=since,
        )

    def _evicted(self, view: View, used: float, limit: float, rate: float) -> Finding:
        since = self._evicting.since or view.now
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.WARNING,
            time=view.now,
            firing=True,
            summary=(
                f"{view.target} evicts keys since {clock_time(since)} ({pace(rate)} now) to stay below {size(limit)}, "
                "and queues live on it: jobs and heartbeats can vanish without an error."
            ),
            value=rate,
            evidence=(
                Evidence("keys evicted", rate, "/s", "none where queues live"),
                Evidence("memory in use", used, "B", f"below {size(limit)}"),
                *_who(view),
            ),
            first_action=(
                "Move the cache to a server of its own, or set maxmemory-policy noeviction here; until then raise "
                "maxmemory."
            ),
            ruled_out=("not expiry: evictions are counted apart from it",),
            affected=view.affected,
            since=since,
        )


def _has_queues(view: View) -> bool:
    return any(True for _ in view.store.each("queue_depth"))


def _who(view: View) -> Iterator[Evidence]:
    """What takes the memory, as far as it can be seen without reading keys."""
    clients = view.value("redis_memory_clients_bytes")
    if clients is not None:
        yield Evidence("of it, clients' buffers", clients, "B")
    for track in sorted(view.store.each("queue_depth"), key=lambda track: -track.raw)[:3]:
        yield Evidence(f"jobs waiting in {track.label('queue')}", track.raw)


def _trim(view: View) -> str:
    deepest = max(view.store.each("queue_depth"), key=lambda track: track.raw, default=None)
    if deepest is not None and deepest.raw > 0:
        return f"Work off or trim {deepest.label('queue')} ({count(deepest.raw)} jobs wait)"
    return f"Find what grew in the last {span(3600)} (redis-cli --bigkeys on a replica)"
