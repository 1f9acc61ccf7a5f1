"""Other people's names for what Sentinel samples, and scrapes put together to polls.

redis_exporter knows totals only: with them a replay says when, but not who. Sentinel's own metrics, if a Prometheus
scraped them, are taken as they are, client groups included. What is in neither vocabulary is left out.

Pure. Knows names and their meaning; must not know where rows come from.

Source: redis_exporter's exporter.go (metricMapGauges, metricMapCounters) of September 2026 and of version 1.16.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sentinel.model import Poll, Sample, Series

__all__ = ["EXPORTER", "OWN", "SELECTOR", "Row", "polls"]

EXPORTER: Mapping[str, str] = {
    "redis_connected_clients": "redis_connected_clients",
    "redis_blocked_clients": "redis_blocked_clients",
    "redis_pubsub_clients": "redis_pubsub_clients",
    "redis_max_clients": "redis_max_clients",
    "redis_config_maxclients": "redis_max_clients",
    "redis_connected_slaves": "redis_connected_replicas",
    "redis_cluster_connections": "redis_cluster_links",
    "redis_connections_received_total": "redis_connections_received_total",
    "redis_rejected_connections_total": "redis_connections_rejected_total",
    "redis_evicted_clients_total": "redis_evicted_clients_total",
    "redis_commands_processed_total": "redis_commands_total",
    "redis_memory_used_bytes": "redis_memory_used_bytes",
    "redis_memory_max_bytes": "redis_memory_max_bytes",
    "redis_mem_clients_normal": "redis_memory_clients_bytes",
    "redis_client_recent_max_output_buffer_bytes": "redis_client_output_buffer_max_bytes",
    "redis_uptime_in_seconds": "redis_uptime_seconds",
    "redis_exporter_last_scrape_ping_time_seconds": "redis_ping_seconds",
    "redis_master_link_up": "redis_master_link_up",
}
"""redis_exporter's names without labels of their own, and what they are here."""
_LABELLED = {
    "redis_errors_total": ("redis_errors_total", "err", "prefix"),
    "redis_key_size": ("queue_depth", "key", "queue"),
}
"""Those with one label that counts, under its name there and here."""
OWN = ("redis_", "queue_", "heartbeat_", "sentinel_sampler_")
"""What Sentinel's own sampled metrics begin with."""
_SPECIAL = frozenset({"redis_up", "redis_instance_info", *_LABELLED})
SELECTOR = (
    "|".join(sorted({*EXPORTER, *_SPECIAL}))
    + "|redis_(group|census|restarts|reserved|seats|ping|dial)_?.*|(queue|heartbeat|sentinel_sampler)_.*"
)
"""A regular expression for all names that can be used."""
_OF_THE_SCRAPE = frozenset({"__name__", "instance", "job", "target", "addr", "alias"})


class Row(NamedTuple):
    """One value as others keep it."""

    time: float
    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(slots=True)
class _Scrape:
    """What is being put together for one target."""

    time: float
    samples: dict[Series, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Known:
    uptime: float | None = None
    restarts: float = 0.0


def polls(rows: Iterable[Row], target_label: str = "") -> Iterator[Poll]:
    """Rows in the order of time as polls: what one target gave at one time belongs together.

    Args:
        rows: In order of time.
        target_label: The label that names the target; without it `target` (Sentinel's own), else `instance`, else
            `addr`.
    """
    open_: dict[str, _Scrape] = {}
    known: dict[str, _Known] = {}
    for row in rows:
        target = _target(row.labels, target_label)
        scrape = open_.get(target)
        if scrape is None or scrape.time != row.time:
            if scrape is not None:
                yield from _poll(target, scrape, known.setdefault(target, _Known()))
            scrape = open_[target] = _Scrape(row.time)
        for series, value in _translated(row):
            if row.name != "redis_config_maxclients" or series not in scrape.samples:
                scrape.samples[series] = value
    for target, scrape in open_.items():
        yield from _poll(target, scrape, known.setdefault(target, _Known()))


def _target(labels: Mapping[str, str], wanted: str) -> str:
    for name in (wanted,) if wanted else ("target", "instance", "addr"):
        if labels.get(name):
            return labels[name].removeprefix("redis://")
    return "redis"


def _poll(target: str, scrape: _Scrape, known: _Known) -> Iterator[Poll]:
    if not scrape.samples:
        return
    uptime = scrape.samples.get(Series("redis_uptime_seconds"))
    if uptime is not None:
        known.restarts += known.uptime is not None and uptime < known.uptime
        known.uptime = uptime
        scrape.samples.setdefault(Series("redis_restarts_total"), known.restarts)
    yield Poll(target, scrape.time, tuple(Sample(series, scrape.time, v) for series, v in scrape.samples.items()))


def _translated(row: Row) -> Iterator[tuple[Series, float]]:
    name, labels = row.name, row.labels
    if name == "redis_up":
        yield Series("sampler_up", (("sampler", "info"),)), row.value
        if not row.value:
            yield Series("sampler_failed", (("reason", "refused"), ("sampler", "info"))), 1.0
    elif name == "redis_instance_info":
        yield from _instance(labels)
    elif name in _LABELLED and _LABELLED[name][1] in labels:
        ours, theirs, label = _LABELLED[name]
        yield Series(ours, ((label, labels[theirs]),)), row.value
    elif name in EXPORTER:
        yield Series(EXPORTER[name]), row.value
    elif name.startswith(OWN) and "target" in labels:
        own = sorted((key, value) for key, value in labels.items() if key not in _OF_THE_SCRAPE)
        yield Series(name.removeprefix("sentinel_"), tuple(own)), row.value


def _instance(labels: Mapping[str, str]) -> Iterator[tuple[Series, float]]:
    pairs = {"role": labels.get("role", ""), "server": "redis", "version": labels.get("redis_version", "")}
    yield Series("redis_info", tuple(sorted(pairs.items()))), 1.0
    if policy := labels.get("maxmemory_policy"):
        yield Series("redis_memory_noeviction"), float(policy == "noeviction")
