"""Recent values of one target's series: counters to rates, windows, what has ended, what came late.

Knows what a counter is (its name ends in `_total`) and that time goes forward. Knows no metric by name and does
not judge.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from sentinel.model import Labels, Poll, Seconds, Series

__all__ = ["SeriesStore", "Track", "Window"]

Window = tuple["array[float]", "array[float]"]
"""Times and values: doubles, as many of each, oldest first. `numpy.frombuffer` takes them without a copy; that numpy is
not needed for a window spares a daemon that never looks for trends its 15 MB."""

CAPACITY = 240
"""Samples kept of a windowed series: 20 minutes at 5 seconds, about 4 kB."""


class Track:
    """One series: its newest value, for a counter its newest rate, and a window where one is asked for.

    `value` is what is judged: the sampled value of a gauge, the rate per second of a counter (None after its
    first sample). `raw` is always as sampled.
    """

    __slots__ = ("_times", "_values", "exemplar", "labels", "raw", "time", "value")

    def __init__(self, labels: Labels, windowed: bool) -> None:
        self.labels = labels
        self.time = float("-inf")
        self.raw = float("nan")
        self.value: float | None = None
        self.exemplar: Labels | None = None
        self._times = array("d") if windowed else None
        self._values = array("d") if windowed else None

    def label(self, name: str) -> str:
        """Value of a label, empty if the series does not have it."""
        return next((value for key, value in self.labels if key == name), "")

    def _keep(self, time: float, value: float) -> None:
        times, values = self._times, self._values
        if times is None or values is None:
            return
        times.append(time)
        values.append(value)
        if len(times) > CAPACITY + CAPACITY // 4:
            del times[:-CAPACITY], values[:-CAPACITY]

    def gauge(self, time: float, value: float) -> None:
        """Take a sampled value as it is."""
        self.time = time
        self.raw = self.value = value
        if self._times is not None:
            self._keep(time, value)

    def counter(self, time: float, value: float) -> None:
        """Take a counter's reading: the rate since the last one. A fall means that it began again at 0."""
        if self.time != float("-inf"):
            risen = value - self.raw if value >= self.raw else value
            self.value = risen / (time - self.time)
            if self._times is not None:
                self._keep(time, self.value)
        self.time, self.raw = time, value

    def window(self, since: float) -> Window:
        """Kept times and values at or after `since`."""
        if self._times is None or self._values is None:
            return array("d"), array("d")
        start = bisect_left(self._times, since)
        return self._times[start:], self._values[start:]

    def last(self, count: int) -> list[float]:
        """The newest `count` kept values, oldest first."""
        return self._values[-count:].tolist() if self._values else []


class _Family:
    """All series of one metric."""

    __slots__ = ("counts", "newest", "tracks")

    def __init__(self, metric: str) -> None:
        self.counts = metric.endswith("_total")
        self.newest = float("-inf")
        self.tracks: dict[Labels, Track] = {}


class SeriesStore:
    """All series of one target.

    Args:
        windowed: Metrics of which a window is kept.
        forget_after: Seconds after which a series that has ended is dropped.
    """

    def __init__(self, windowed: Iterable[str], forget_after: Seconds = 3600.0) -> None:
        self._windowed = frozenset(windowed)
        self._forget_after = forget_after
        self._families: dict[str, _Family] = {}
        self._swept = float("-inf")
        self.late = 0
        """Samples dropped because a newer one of their series was there already."""

    def feed(self, poll: Poll) -> None:
        """Take all samples of a poll. NaN and late samples are dropped and counted, never mended."""
        families = self._families
        for (metric, labels), time, value, exemplar in poll.samples:
            family = families.get(metric)
            if family is None:
                family = families[metric] = _Family(metric)
            track = family.tracks.get(labels)
            if track is None:
                track = family.tracks[labels] = Track(labels, metric in self._windowed)
            if time <= track.time or value != value:
                self.late += 1
                continue
            if family.counts:
                track.counter(time, value)
            else:
                track.gauge(time, value)
            track.exemplar = exemplar
            if time > family.newest:
                family.newest = time
        if poll.time - self._swept > self._forget_after / 4:
            self._sweep(poll.time)

    def _sweep(self, now: float) -> None:
        self._swept = now
        for family in self._families.values():
            ended = [labels for labels, track in family.tracks.items() if now - track.time > self._forget_after]
            for labels in ended:
                del family.tracks[labels]

    def one(self, metric: str, labels: Labels = ()) -> Track | None:
        """The series of that metric and exactly these labels."""
        family = self._families.get(metric)
        return None if family is None else family.tracks.get(labels)

    def each(self, metric: str) -> Iterator[Track]:
        """Series of a metric that were part of its newest reading; those that were not have ended."""
        family = self._families.get(metric)
        if family is None:
            return iter(())
        newest = family.newest
        return (track for track in family.tracks.values() if track.time == newest)

    def newest(self, metric: str) -> float | None:
        """Time of the newest sample of a metric."""
        family = self._families.get(metric)
        return None if family is None or family.newest == float("-inf") else family.newest

    def samples(self) -> Iterator[tuple[Series, Track]]:
        """Every series that has not ended, for metrics pages."""
        for metric in self._families:
            for track in self.each(metric):
                yield Series(metric, track.labels), track
