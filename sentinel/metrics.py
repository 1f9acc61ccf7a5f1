"""What Sentinel says about itself, and the newest value of everything it samples, for Prometheus.

Knows names, types and labels of metrics; each daemon has a registry of its own, so that two fit in one process. Must
not know who counts or when: the shell counts, the core never does. Our own labels take values from configuration or
from a closed list, never from what a server or a destination answered; what is sampled is bounded by number instead.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample as Line

from sentinel.model import Sample, Series

__all__ = ["CONTENT_TYPE", "Metrics", "Newest"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Newest = Iterable[tuple[str, Sample]]
"""The newest sample of every series, with its target."""

_POLL_SECONDS = (0.005, 0.025, 0.1, 0.5, 2.5)
_LAG_SECONDS = (0.1, 0.5, 1, 5, 15, 60, 300, 3600)


class Metrics:
    """The metrics of one daemon.

    Args:
        version: Of Sentinel, as said by `sentinel_build_info`.
        latest: Gives what was sampled, at every scrape. Exported under its own names with the label `target`; only a
            metric that speaks of a sampler (`sampler_up`) becomes `sentinel_sampler_up`.
        series_per_target: At most so many of them a target; how many were left out is a metric too.

    >>> metrics = Metrics("0.1.0")
    >>> metrics.polls.labels(target="redis-a", outcome="ok").inc()
    """

    def __init__(self, version: str, latest: Callable[[], Newest] = tuple, series_per_target: int = 500) -> None:
        self._latest, self._series_per_target = latest, series_per_target
        self._registry = registry = _Registry()
        ProcessCollector(registry=registry)
        Info("sentinel_build", "The version that runs.", registry=registry).info({"version": version})

        def counter(name: str, says: str, *labels: str) -> Counter:
            return Counter(f"sentinel_{name}", says, labels, registry=registry)

        def gauge(name: str, says: str, *labels: str) -> Gauge:
            return Gauge(f"sentinel_{name}", says, labels, registry=registry)

        def histogram(name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"sentinel_{name}", says, labels, buckets=buckets, registry=registry)

        self.polls = counter("polls_total", "Polls ended, by outcome (ok or a reason).", "target", "outcome")
        self.polls_skipped = counter("polls_skipped_total", "Polls left out: the one before still ran.", "target")
        self.poll_seconds = histogram("poll_seconds", "How long a poll took.", _POLL_SECONDS)
        self.samples = counter("samples_total", "Samples fed to the pipeline.", "target")

        self.incidents = gauge("incidents", "Incidents by state and severity.", "state", "severity")
        self.incidents_opened = counter("incidents_opened_total", "Incidents opened.", "cause", "severity")

        self.notifications = counter(
            "notifications_total", "Attempts to notify, by outcome.", "destination", "kind", "outcome"
        )
        self.delivery_lag_seconds = histogram(
            "delivery_lag_seconds", "From the decision to the delivery.", _LAG_SECONDS, "destination"
        )
        self.outbox_rows = gauge("outbox_rows", "Rows of the outbox.", "destination", "state")
        self.outbox_oldest_seconds = gauge("outbox_oldest_seconds", "Age of the oldest row due.", "destination")
        self.breaker_state = gauge("breaker_state", "0 closed, 1 half open, 2 open.", "destination")
        self.dead_letters = counter("dead_letters_total", "Rows given up on.", "destination", "reason")

        self.outbox_bytes = gauge("outbox_bytes", "What waits in the outbox, by size.")
        self.truncations = counter(
            "truncations_total", "Parts of messages that were cut to a destination's limits.", "destination", "field"
        )
        self.template_errors = counter(
            "template_errors_total", "Templates that failed, built-in words in their place.", "destination", "template"
        )

        self.switch_pings = counter(
            "switch_pings_total", "Pings to dead man's switches, by what they said.", "switch", "signal", "outcome"
        )
        self.switch_told_seconds = gauge(
            "switch_told_timestamp_seconds", "When a dead man's switch was last told that all works.", "switch"
        )

        self.store_failures = counter("store_failures_total", "Transactions that the disk refused.")
        self.config_reloads = counter("config_reloads_total", "Reloads of the configuration.", "outcome")
        self.snapshot_age_seconds = gauge("snapshot_age_seconds", "Age of the newest snapshot of detector state.")
        self.late_seconds = gauge("late_seconds", "How late this process comes to what is due: too busy, or starved.")
        self.clock_held_back_seconds = gauge("clock_held_back_seconds", "How far the wall clock stands behind.")

    def forget_target(self, target: str) -> None:
        """Drop the series of a target that is no longer watched."""
        for metric in (self.polls, self.polls_skipped, self.samples):
            metric.remove_by_labels({"target": target})

    def forget_destination(self, destination: str) -> None:
        """Drop the levels of a destination that is no longer configured; what was counted stays."""
        for metric in (self.outbox_rows, self.outbox_oldest_seconds, self.breaker_state):
            metric.remove_by_labels({"destination": destination})

    def forget_switch(self, switch: str) -> None:
        """Drop the level of a dead man's switch that is no longer configured."""
        self.switch_told_seconds.remove_by_labels({"switch": switch})

    async def exposition(self) -> bytes:
        """Everything in Prometheus's text format, to be served as `CONTENT_TYPE`.

        Written in a thread: 50,000 lines take 0.4 s, in which a thousand targets want to be polled.
        """
        newest = list(self._latest())
        return await asyncio.to_thread(self._write, newest)

    def _write(self, newest: Newest) -> bytes:
        return generate_latest(self._registry) + generate_latest(_Sampled(newest, self._series_per_target))


class _Registry(CollectorRegistry):
    """Leaves out the `…_created` lines, which double the size of every counter for no reader."""

    def collect(self) -> Iterator[Family]:
        for family in super().collect():
            family.samples = [line for line in family.samples if not line.name.endswith("_created")]
            yield family


class _Sampled(Collector):
    """What was sampled, at most so many series a target."""

    def __init__(self, newest: Newest, series_per_target: int) -> None:
        self._newest = newest
        self._most = series_per_target

    def collect(self) -> Iterator[Family]:
        seen: Counts[str] = Counts()
        families: dict[str, Family] = {}
        for target, (series, _, value, _) in sorted(self._newest, key=_identity):
            seen[target] += 1
            if seen[target] <= self._most:
                name = f"sentinel_{series.metric}" if series.metric.startswith("sampler_") else series.metric
                family = families.get(name) or families.setdefault(name, _family(name))
                family.samples.append(Line(name, {**dict(series.labels), "target": target}, value))
        yield from families.values()
        yield _left_out({target: count - self._most for target, count in seen.items() if count > self._most})


def _identity(item: tuple[str, Sample]) -> tuple[str, Series]:
    """Order that does not change from scrape to scrape, so that it is always the same series that are left out."""
    target, sample = item
    return target, sample.series


def _family(name: str) -> Family:
    if name.endswith("_total"):
        return Family(name.removesuffix("_total"), "As sampled; only rises.", "counter")
    return Family(name, "As sampled.", "gauge")


def _left_out(counts: Mapping[str, int]) -> Family:
    family = Family("sentinel_series_left_out", "Sampled series not exported here: too many a target.", "gauge")
    for target, count in counts.items():
        family.add_sample(family.name, {"target": target}, count)
    return family
