"""What an incident's metrics did before, during and after it, for the post-mortem.

Knows which series a cause looks at, and how to keep few points of many. Does not know what they mean. The first
finding is kept as it was: its evidence, and the clients that it names, are gone from the server later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sentinel.model import Course, Finding, Incident, Labels, Recording, Seconds, Series
from sentinel.pipeline.series import SeriesStore, Track

__all__ = ["Recorder"]

_POINTS = 240
"""Kept of a series at most; when there are more, every other one is dropped."""
_COURSE = 48
"""Of these, given to a message at most."""
_SERIES = 8
"""Kept of an incident at most, those of its own subject first."""
_BEFORE: Seconds = 1200.0
_AFTER: Seconds = 600.0


@dataclass(slots=True)
class _Reel:
    target: str
    first: Finding
    points: dict[tuple[str, Labels], list[tuple[float, float]]] = field(default_factory=dict)
    gap: Seconds = 0.0
    until: float = float("inf")


class Recorder:
    """Records all open incidents, and each for a while after its end.

    Args:
        metrics: What each cause or rule looks at.
    """

    def __init__(self, metrics: Mapping[str, tuple[str, ...]]) -> None:
        self._metrics = metrics
        self._reels: dict[str, _Reel] = {}

    def begin(self, incident: Incident, store: SeriesStore) -> Recording:
        """An incident opened: keep what its series did before."""
        reel = _Reel(incident.target, incident.finding)
        since = incident.opened - _BEFORE
        for metric, track in self._chosen(incident, store):
            times, values = track.window(since)
            pairs = list(zip(times.tolist(), values.tolist(), strict=True))
            if not pairs and track.value is not None:
                pairs = [(track.time, track.value)]
            reel.points[metric, track.labels] = _thinned(pairs, _POINTS // 2)
        self._reels[incident.id] = reel
        return self._recording(incident.id, reel)

    def feed(self, target: str, now: float, store: SeriesStore) -> list[Recording]:
        """A poll of the target came. Gives recordings that are complete."""
        done = []
        for name, reel in [(name, reel) for name, reel in self._reels.items() if reel.target == target]:
            for (metric, labels), points in reel.points.items():
                track = store.one(metric, labels)
                if track is not None and track.time == now and track.value is not None:
                    self._keep(reel, points, now, track.value)
            if now >= reel.until:
                done.append(self._recording(name, self._reels.pop(name)))
        return done

    def end(self, incident: Incident, now: float) -> Recording | None:
        """An incident is over: go on for a while."""
        reel = self._reels.get(incident.id)
        if reel is None:
            return None
        reel.until = now + _AFTER
        return self._recording(incident.id, reel)

    def recording(self, incident: str) -> Recording | None:
        """What is recorded so far of an incident that is open or was a short while ago."""
        reel = self._reels.get(incident)
        return None if reel is None else self._recording(incident, reel)

    def course(self, incident: str) -> Course | None:
        """What the first of an incident's series that moved at all did up to now; None if none did."""
        reel = self._reels.get(incident)
        for (metric, _), points in reel.points.items() if reel is not None else ():
            if len({value for _, value in points}) > 1:
                shown = _thinned(points, _COURSE)
                return Course(metric, shown[0][0], tuple(value for _, value in shown))
        return None

    def reels(self) -> dict[str, _Reel]:
        """Worth a snapshot."""
        return self._reels

    def restore(self, reels: dict[str, _Reel], incidents: Iterable[str]) -> None:
        """Take up `reels` of incidents that are still known."""
        known = set(incidents)
        self._reels = {name: reel for name, reel in reels.items() if name in known}

    def _chosen(self, incident: Incident, store: SeriesStore) -> list[tuple[str, Track]]:
        found = [(metric, track) for metric in self._metrics.get(incident.cause, ()) for track in store.each(metric)]
        subject = incident.subject
        own = [item for item in found if subject and any(value == subject for _, value in item[1].labels)]
        whole = [item for item in found if not item[1].labels]
        return (own + whole or found)[:_SERIES]

    @staticmethod
    def _keep(reel: _Reel, points: list[tuple[float, float]], now: float, value: float) -> None:
        if points and now - points[-1][0] < reel.gap:
            return
        points.append((now, value))
        if len(points) > _POINTS:
            del points[1::2]
            reel.gap = (points[-1][0] - points[0][0]) / len(points)

    @staticmethod
    def _recording(incident: str, reel: _Reel) -> Recording:
        series = tuple((Series(metric, labels), tuple(points)) for (metric, labels), points in reel.points.items())
        return Recording(incident, reel.first, series)


def _thinned(points: list[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    step = -(-len(points) // most) if points else 1
    return points[::step]
