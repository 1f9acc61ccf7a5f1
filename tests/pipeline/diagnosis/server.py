"""A server whose figures are written by hand, told to causes poll by poll. Knows metric names, judges nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from sentinel.model import Finding, Labels, Poll, Sample, Series, labels
from sentinel.pipeline.diagnosis import Diagnosis, windows
from sentinel.pipeline.series import SeriesStore

__all__ = ["START", "Server"]

START = 1764000000.0
"""16:00 UTC."""


class Server:
    """Gauges stay as they are set; counters rise by their rate with each poll.

    Args:
        causes: Those that judge; each has its defaults unless given otherwise.
        step: Seconds between polls.
        gauges: First values, as for `set`.
    """

    def __init__(self, *causes: Any, step: float = 5.0, **gauges: float) -> None:
        settings = {cause.name: cause for cause in causes}
        self.now, self.step = START, step
        self.values: dict[Series, float] = {}
        self.rates: dict[Series, float] = {}
        self.exemplars: dict[Series, Labels] = {}
        self.hidden: set[str] = set()
        self._store = SeriesStore(windows(settings))
        self._diagnosis = Diagnosis("redis-a", settings)
        self.up()
        self.set(redis_restarts_total=0.0, **gauges)

    def set(self, labelled: Labels = (), **gauges: float) -> Self:
        """Gauges from now on, all with these labels."""
        self.values |= {Series(name, labelled): value for name, value in gauges.items()}
        return self

    def rate(self, labelled: Labels = (), **rates: float) -> Self:
        """Rises a second of counters from now on."""
        self.rates |= {Series(name, labelled): rate for name, rate in rates.items()}
        return self

    def add(self, labelled: Labels = (), **amounts: float) -> Self:
        """A jump of counters."""
        for name, amount in amounts.items():
            self.values[Series(name, labelled)] = self.values.get(Series(name, labelled), 0.0) + amount
        return self

    def drop(self, *metrics: str) -> Self:
        """Metrics that are no longer part of a poll."""
        for one in [one for one in {**self.values, **self.rates} if one.metric in metrics]:
            self.values.pop(one, None)
            self.rates.pop(one, None)
        return self

    def group(self, group: str, clients: float, sources: float, **example: str) -> Self:
        """A client group of the census from now on."""
        key = labels(group=group)
        self.set(key, redis_group_clients=clients, redis_group_sources=sources)
        self.add(key, redis_group_births_total=0.0, redis_group_deaths_total=0.0)
        if example:
            self.exemplars[Series("redis_group_clients", key)] = labels(**example)
        return self

    def up(self) -> Self:
        """It can be read."""
        self.hidden.clear()
        self.drop("sampler_failed")
        return self.set(labels(sampler="info"), sampler_up=1.0)

    def down(self, reason: str) -> Self:
        """It cannot be read, for this reason."""
        self.drop("sampler_failed")
        self.hidden = {one.metric for one in self.values if not one.metric.startswith(("sampler_", "redis_dial"))}
        self.set(labels(sampler="info"), sampler_up=0.0)
        return self.set(labels(sampler="info", reason=reason), sampler_failed=1.0)

    def poll(self) -> Poll:
        """The next poll."""
        self.now += self.step
        for series, rate in self.rates.items():
            self.values[series] = self.values.get(series, 0.0) + rate * self.step
        return Poll("redis-a", self.now, tuple(self._samples()))

    def tick(self) -> list[Finding]:
        """One poll; what fires."""
        poll = self.poll()
        self._store.feed(poll)
        found, _ = self._diagnosis.judge(poll, self._store)
        return found

    def run(self, seconds: float) -> list[Finding]:
        """Polls for that long; everything that fires."""
        return [finding for _ in range(round(seconds / self.step)) for finding in self.tick()]

    def _samples(self) -> Iterator[Sample]:
        for series, value in self.values.items():
            if series.metric not in self.hidden:
                yield Sample(series, self.now, value, self.exemplars.get(series))
