"""Polls of a simulated server, as the samplers would make them: names and meaning as in `sentinel.samplers`.

A day at a time: every series becomes a column, NaN where a poll does not hold it; each row is then a poll.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from sentinel.model import Labels, Poll, Sample, Series, labels

from .clients import Group
from .traffic import DAY, MONDAY, Counts, Values
from .world import SEATS, World

__all__ = ["polls"]

SAMPLERS = ("info", "clients", "dial", "queues", "heartbeats")
BEAT = 10.0
"""Seconds between the heartbeats of a worker."""


def polls(world: World, until: float | None = None, *, work: bool = True) -> Iterator[Poll]:
    """Polls in order, from Monday up to `until`. One in 2,000 is missing, as a busy sampler would have it.

    `work`: with queues and heartbeats, which are a third of all samples.
    """
    return _Assembly(world, work).polls(world.grid.size if until is None else world.grid.at(until))


@dataclass(frozen=True, slots=True)
class _Column:
    """One series over a day. `cases`: exemplars, spread over the day, shown while the value is above 0."""

    series: Series
    values: Values
    cases: tuple[Labels, ...] = ()


class _Assembly:
    """Columns of a world, with its counters summed up once."""

    def __init__(self, world: World, work: bool) -> None:
        self.world, self.work = world, work
        rng, size = world.rng("counters"), world.grid.size
        commands = 18.0 * world.demand[: world.grid.steps(DAY)].mean() * world.grid.step * world.load
        history = np.zeros(size)
        history[0] = 2_000_000.0
        self.totals = {
            Series("redis_connections_received_total"): self._since_boot(world.received + history),
            Series("redis_connections_rejected_total"): self._since_boot(world.rejected),
            Series("redis_commands_total"): self._since_boot(np.rint(commands * rng.normal(1.0, 0.02, size))),
            Series("redis_errors_total", labels(prefix="ERR")): self._since_boot(
                rng.poisson(0.02 * world.grid.step, size)
            ),
            Series("redis_evicted_clients_total"): np.zeros(size),
            Series("redis_restarts_total"): np.cumsum(world.booted).astype(float),
        }
        self.counted = {label: _counted(group) for label, group in world.groups.items()}
        self.done = {name: (np.cumsum(w["done"]), np.cumsum(w["failed"])) for name, w in world.queues.items()}
        boot = np.full(size, world.grid.start - 40 * DAY)
        for _, up in world.plan.restarts:
            boot[world.grid.at(up) :] = up
        self.uptime = np.floor(world.grid.times - boot)

    def polls(self, end: int) -> Iterator[Poll]:
        kept = self.world.rng("missed").random(self.world.grid.size) > 1 / 2000
        per_day = self.world.grid.steps(DAY)
        for first in range(self.world.grid.at(MONDAY), end, per_day):
            day = slice(first, min(end, first + per_day))
            yield from self._day(day, kept[day].tolist())

    def _day(self, day: slice, kept: list[bool]) -> Iterator[Poll]:
        columns = self._columns(day)
        series = [column.series for column in columns]
        rows = np.column_stack([column.values for column in columns]).tolist()
        exemplars = [(place, column.cases) for place, column in enumerate(columns) if column.cases]
        target = self.world.plan.target
        for row, time in enumerate(self.world.grid.times[day].tolist()):
            if not kept[row]:
                continue
            values = rows[row]
            samples = [*map(Sample, series, repeat(time), values)]
            for place, cases in exemplars:
                if values[place] > 0.0:
                    case = cases[row * len(cases) // len(rows)]
                    samples[place] = Sample(series[place], time, values[place], case)
            yield Poll(target, time, tuple([sample for sample in samples if sample[2] == sample[2]]))

    def _columns(self, day: slice) -> list[_Column]:
        seen = self.world.seen[day]
        answers = [*self._server(day), *self._census(day)]
        if self.work:
            answers += [*self._queues(day), *self._heartbeats(day)]
        shown = [replace(column, values=np.where(seen, column.values, np.nan)) for column in answers]
        return shown + list(self._samplers(day))

    def _since_boot(self, increments: NDArray[np.generic]) -> Values:
        """A server's counter, which begins at 0 with each restart."""
        total = np.cumsum(increments.astype(float))
        base = np.zeros(len(total))
        for at in np.flatnonzero(self.world.booted):
            base[at:] = total[at - 1] if at else 0.0
        return np.asarray(total - base)

    def _server(self, day: slice) -> Iterator[_Column]:
        world, size = self.world, day.stop - day.start
        rng = world.rng("server", str(day.start))
        groups = world.groups.values()
        connected = world.connected[day].astype(float)
        memory = connected * 20_000.0 - sum(18_000.0 * np.minimum(g.unused[day], connected) for g in groups)
        depth = sum((work["depth"][day] for work in world.queues.values()), np.zeros(size))
        hiccups = (rng.random(size) < 0.004) * rng.exponential(0.008, size)
        ping = 0.0004 * rng.lognormal(0.0, 0.25, size) + hiccups
        full = world.outside[day] > 0
        gauges: dict[str, Values | Counts] = {
            "redis_connected_clients": connected,
            "redis_blocked_clients": np.sum([group.blocked[day] for group in groups], axis=0),
            "redis_pubsub_clients": sum((g.count[day] for g in groups if g.pubsub), np.zeros(size)),
            "redis_max_clients": world.ceiling[day] + world.plan.replicas,
            "redis_connected_replicas": np.full(size, float(world.plan.replicas)),
            "redis_cluster_links": np.zeros(size),
            "redis_memory_used_bytes": 3e8 + memory + depth * 1_000.0 + rng.normal(0.0, 1e6, size),
            "redis_memory_max_bytes": np.full(size, world.plan.memory_limit),
            "redis_memory_clients_bytes": memory,
            "redis_uptime_seconds": self.uptime[day],
            "redis_seats": np.full(size, float(SEATS)),
            "redis_ping_seconds": ping,
            "redis_dial_seconds": np.where(full, np.nan, 0.0011 * rng.lognormal(0.0, 0.3, size) + ping),
            "redis_census_seconds": 4e-4 + 9e-7 * connected * rng.lognormal(0.0, 0.1, size),
        }
        for name, values in gauges.items():
            yield _Column(Series(name), np.asarray(values, float))
        for series, total in self.totals.items():
            yield _Column(series, total[day])
        yield _Column(Series("redis_info", labels(role="master", server="redis", version="7.2.5")), np.ones(size))
        yield _Column(Series("redis_dial_failed", labels(reason="full")), np.where(full, 1.0, np.nan))

    def _census(self, day: slice) -> Iterator[_Column]:
        for label, group in self.world.groups.items() if self.world.plan.listed else ():
            count, births, deaths = self.counted[label]
            sources = np.minimum(np.maximum(group.sources, 1), count)
            for metric, values in (
                ("redis_group_clients", count),
                ("redis_group_blocked_clients", np.minimum(group.blocked, count)),
                ("redis_group_sources", sources),
                ("redis_group_births_total", births),
                ("redis_group_deaths_total", deaths),
            ):
                yield _Column(Series(metric, labels(group=label)), values[day].astype(float))
            cases = _cases(group, day.start)
            for metric, values in (
                ("redis_group_unused_clients", group.unused),
                ("redis_group_untouched_clients", group.untouched),
            ):
                cohort = np.minimum(values, count)[day].astype(float)
                yield _Column(Series(metric, labels(group=label)), cohort, cases)

    def _queues(self, day: slice) -> Iterator[_Column]:
        for name, work in self.world.queues.items():
            workers = [d for d in self.world.plan.deployments if d.queue == name]
            done, failed = self.done[name]
            times, services = self.world.grid.times[day], {d.service for d in workers}
            lives = [span for service, _, span in self.world.workers if service in services]
            there = sum(((times >= start) & (times < end) for start, end in lives), np.zeros(len(times)))
            for metric, values in (
                ("queue_depth", work["depth"][day]),
                ("queue_in_flight", np.rint(work["usage"][day] * sum(d.replicas * d.busy for d in workers))),
                ("queue_consumers", there),
                ("queue_oldest_age_seconds", work["oldest"][day]),
                ("queue_delayed", np.full(len(done[day]), 25.0)),
                ("queue_completed_total", done[day]),
                ("queue_failed_total", failed[day]),
            ):
                yield _Column(Series(metric, labels(queue=name)), np.asarray(values, float))

    def _heartbeats(self, day: slice) -> Iterator[_Column]:
        times = self.world.grid.times[day]
        for service, number, (start, end) in self.world.workers:
            if start <= times[-1] and end > times[0]:
                worker = f"{service}-{zlib.crc32(f'{service}{number}'.encode()):08x}"
                age = np.where((times >= start) & (times < end), (times - start) % BEAT, np.nan)
                yield _Column(Series("heartbeat_age_seconds", labels(group=service, worker=worker)), age)

    def _samplers(self, day: slice) -> Iterable[_Column]:
        world, seen = self.world, self.world.seen[day]
        for name in SAMPLERS:
            yield _Column(Series("sampler_up", labels(sampler=name)), seen.astype(float))
        for reason, spans in (("refused", world.plan.restarts), ("timeout", world.plan.freezes)):
            failing = np.any([world.during(*span)[day] for span in spans], axis=0) if spans else None
            if failing is not None and failing.any():
                shown = np.where(failing, 1.0, np.nan)
                yield _Column(Series("redis_dial_failed", labels(reason=reason)), shown)
                for name in SAMPLERS:
                    yield _Column(Series("sampler_failed", labels(reason=reason, sampler=name)), shown)


def _counted(group: Group) -> tuple[Counts, Counts, Counts]:
    """Clients, births so far and deaths so far."""
    births, deaths = np.cumsum(group.births, dtype=np.int32), np.cumsum(group.deaths, dtype=np.int32)
    return births - deaths, births, deaths


def _cases(group: Group, seed: int) -> tuple[Labels, ...]:
    """Exemplars for a day: a row of CLIENT LIST for every 15 minutes."""
    rng = np.random.default_rng([seed, zlib.crc32(group.label.encode())])
    cases = []
    for _ in range(96):
        age = str(int(rng.uniform(600, 40_000)))
        addr = f"{group.block}.{rng.integers(2, 250)}:{rng.integers(32_768, 60_999)}"
        cases.append(labels(name=group.name, addr=addr, cmd=group.command, age=age, idle=age, share="1.0"))
    return tuple(cases)
