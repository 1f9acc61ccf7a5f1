"""Polls of a small server on which a leak goes to the wall, worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.model import Poll, Reason, Sample, Series, Severity, labels
from sentinel.pipeline import CAUSES, Destination, PipelineSettings, Route

NOW = 1764000000.0
CEILING = 1000.0
SERVED = 100.0
PER_POLL = 1.0
LEAK_FROM = 120
"""Poll from which on each poll of 10 s brings one connection more: 900 polls, 2.5 h, to the wall."""
WALL = LEAK_FROM + int((CEILING - SERVED) / PER_POLL)


def settings(**causes: object) -> PipelineSettings:
    """The causes of a full server, those given otherwise (None: off), and one receiver of everything."""
    chosen = {name: CAUSES[name]() for name in ("leak", "exhaustion", "refused", "unreachable")} | causes
    everything = Destination("ops", "ops/webhook", Severity.INFO, frozenset(Reason))
    return PipelineSettings(
        causes={name: cause for name, cause in chosen.items() if cause is not None},
        routes=(Route("ops", repeat_interval=300.0),),
        destinations=(everything,),
    )


def polls(
    count: int = WALL + 60, target: str = "redis-a", first: float = NOW, leak_from: int = LEAK_FROM
) -> list[Poll]:
    """One poll each 10 s; from `leak_from` on `api` leaks, and at the ceiling newcomers are refused."""
    return [Poll(target, first + 10.0 * n, tuple(_samples(n, first + 10.0 * n, leak_from))) for n in range(count)]


def _samples(number: int, time: float, leak_from: int) -> Iterator[Sample]:
    wanted = max(0, number - leak_from + 1) * PER_POLL
    leaked = min(CEILING - SERVED, wanted)
    yield _sample("redis_connected_clients", time, SERVED + leaked)
    yield _sample("redis_max_clients", time, CEILING)
    yield _sample("redis_connections_received_total", time, 5000.0 + 2 * number + leaked)
    yield _sample("redis_connections_rejected_total", time, wanted - leaked)
    yield _sample("redis_commands_total", time, 1e6 + 900.0 * number)
    for group, held in (("api", 40.0 + leaked), ("web", 60.0)):
        unused = leaked if group == "api" else 0.0
        yield _sample("redis_group_clients", time, held, group=group)
        yield _sample("redis_group_untouched_clients", time, unused, group=group)
        yield _sample("redis_group_unused_clients", time, max(0.0, unused - 6), group=group)
        yield _sample("redis_group_sources", time, 4.0, group=group)


def _sample(metric: str, time: float, value: float, **pairs: str) -> Sample:
    return Sample(Series(metric, labels(**pairs)), time, value)
