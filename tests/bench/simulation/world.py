"""One Redis server and its clients over weeks, worked out from a `Plan` as arrays with one entry a poll.

The groups add up to the connected clients, births and deaths to their change, and the server's counters hold
all that the census saw. The same plan gives the same world. Knows nothing of samples: see `polls`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .clients import Group, Use, connections
from .fleet import Span, fleet, interrupted, nightly, wanted_replicas
from .plan import Batch, Churn, Deployment, Flood, Leak, Plan, Queue
from .traffic import DAY, HOUR, MONDAY, Counts, Grid, Values, load, wander

__all__ = ["SEATS", "Mask", "World"]

SEATS = 2
"""Connections that the sampler itself holds open."""

BURN_IN = DAY
"""The day before the first poll, in which pools come to be as full as on any other day."""

Mask = NDArray[np.bool_]
Work = dict[str, Values]
"""One queue, by `depth`, `oldest`, `done`, `usage`, `failed`."""


class World:
    """What the server holds at each poll of a plan. Arrays have shape (polls,)."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.grid = Grid(MONDAY - BURN_IN, plan.step, round((plan.days * DAY + BURN_IN) / plan.step))
        self.load = load(self.rng("load"), self.grid, growth=plan.growth, waves=plan.waves)
        self.groups: dict[str, Group] = {}
        self.workers: list[tuple[str, int, Span]] = []
        """Processes that work on queues and send heartbeats: service, number, life."""
        self.queues = {queue.name: self._work(queue) for queue in plan.queues}
        self._opened_by: dict[Leak, Counts] = {}
        self._churned = np.zeros(self.grid.size, np.int32)
        self._fill()
        self.demand: Counts = self._sum("count")
        """Clients that there would be without a ceiling."""
        self.ceiling: Counts = self._limits() - plan.replicas
        """Connected clients at which the server refuses the next one."""
        self.outside: Counts = np.maximum(self.demand - self.ceiling, 0)
        """Clients that want in and are refused."""
        self._keep_within_the_ceiling()

    def wall(self, leaks: tuple[Leak, ...] = (), after: float = 0.0) -> float | None:
        """When the ceiling is hit if nobody does anything about `leaks`; None if not within the plan.

        Leaks that begin once these are fixed do not count: nobody can know of them before.
        """
        demand = self.demand.copy()
        for later in self.plan.leaks:
            if any(leak.stop is not None and leak.stop <= later.start for leak in leaks):
                demand -= self._still_open(later)
        for leak in leaks:
            demand += np.cumsum(self._opened_by[leak], dtype=np.int32) - self._still_open(leak)
        first = self.grid.at(after)
        hit = np.flatnonzero(demand[first:] >= self.ceiling[first:])
        return float(self.grid.start + (first + hit[0]) * self.grid.step) if hit.size else None

    @cached_property
    def connected(self) -> Counts:
        """Clients that got in; replicas are not among them."""
        return self._sum("count")

    @cached_property
    def received(self) -> Counts:
        """Connections accepted since the last poll: those that a census sees, and those too short for it."""
        unseen = np.where(self.outside > 0, self._churned // 5, self._churned)
        return np.asarray(self._sum("births") + unseen, np.int32)

    @cached_property
    def rejected(self) -> Counts:
        """Connections refused since the last poll: each one outside tries again about every 6 seconds."""
        tries = self.rng("rejected").poisson(self.outside * self.grid.step / 6.0)
        return np.where(self.outside > 0, tries + self._churned * 4 // 5, 0).astype(np.int32)

    @cached_property
    def seen(self) -> Mask:
        """Whether the server answers."""
        blind = np.zeros(self.grid.size, bool)
        for start, end in (*self.plan.restarts, *self.plan.freezes):
            blind |= self.during(start, end)
        return ~blind

    @cached_property
    def booted(self) -> Mask:
        """The first poll after each restart."""
        booted = np.zeros(self.grid.size, bool)
        for _, up in self.plan.restarts:
            booted[min(self.grid.at(up), self.grid.size - 1)] = True
        return booted

    def rng(self, *part: str) -> np.random.Generator:
        """Randomness of one part, the same whatever else the plan holds."""
        return np.random.default_rng([self.plan.seed, zlib.crc32("/".join(part).encode())])

    def during(self, start: float, end: float) -> Mask:
        """The polls from `start` to before `end`."""
        mask = np.zeros(self.grid.size, bool)
        mask[self.grid.at(start) : self.grid.at(end)] = True
        return mask

    def _sum(self, attribute: str) -> Counts:
        arrays = [getattr(group, attribute) for group in self.groups.values()]
        return np.asarray(np.sum(arrays, axis=0), np.int32)

    def _fill(self) -> None:
        for deployment in self.plan.deployments:
            self._deploy(deployment)
        for batch in self.plan.batches:
            self._run_nightly(batch)
        for churn in (*self.plan.passing, *self.plan.churns):
            self._churn(churn)
        for leak in self.plan.leaks:
            self._leak(leak)
        for flood in self.plan.floods:
            self._flood(flood)
        self._group("sentinel", "10.0.9", "info")
        self._hold("sentinel", SEATS, [(self.grid.start, self.grid.end)], self.rng("seats"))

    def _group(self, label: str, block: str = "10.0.0", command: str = "get", pubsub: bool = False) -> Group:
        if label not in self.groups:
            name = "" if label.startswith("unnamed ") else label
            self.groups[label] = Group(label, self.grid, name, block, command, pubsub)
        return self.groups[label]

    def _hold(self, label: str, each: int, spans: list[Span], rng: np.random.Generator) -> None:
        """`each` connections for every span, never used for long nor idle for long."""
        for start, end in interrupted(spans, self.plan.restarts, rng):
            life = self.grid.at(end) - self.grid.at(start)
            if life > 0:
                none = np.zeros(life, np.int32)
                self.groups[label].add(self.grid.at(start), Use(none + each, none, none, none, none))

    def _deploy(self, deployment: Deployment) -> None:
        rng = self.rng("deployment", deployment.service)
        grid, noise = self.grid, wander(rng, self.grid.size + 2_000, float(np.exp(-self.grid.step / 240.0)))
        group = self._group(deployment.label, deployment.block, deployment.command, deployment.pubsub)
        wanted = wanted_replicas(self.load, grid, deployment.replicas, deployment.scales)
        busy = self._busy(deployment, wanted)
        rollouts = self.plan.rollouts.get(deployment.service, ())
        for number, span in enumerate(fleet(wanted, rollouts, grid.end, rng)):
            for start, end in interrupted([span], self.plan.restarts, rng):
                life = slice(grid.at(start), grid.at(end))
                if life.stop > life.start:
                    use = deployment.pool.use(connections(busy[life], rng, noise), grid.step, rng)
                    group.add(life.start, use, sources=0 if deployment.nat else 1)
            if deployment.queue:
                self.workers.append((deployment.service, number, span))
        if deployment.nat:
            group.sources = np.maximum(group.sources, 1)

    def _busy(self, deployment: Deployment, wanted: list[tuple[float, int]]) -> Values:
        """Connections in use at once in one process, on average."""
        if deployment.queue:
            return deployment.busy * self.queues[deployment.queue]["usage"]
        changes = [self.grid.at(time) for time, _ in wanted]
        replicas = np.repeat([count for _, count in wanted], np.diff([*changes, self.grid.size]))
        return np.asarray(deployment.busy * self.load * deployment.replicas / np.maximum(replicas, 1))

    def _run_nightly(self, batch: Batch) -> None:
        rng = self.rng("batch", batch.service)
        self._group(batch.service, "10.0.7", "rpush")
        spans = nightly(self.grid.start, round(self.plan.days) + 1, batch.hour, batch.hours, batch.processes, rng)
        self._hold(batch.service, batch.each, spans, rng)

    def _churn(self, churn: Churn) -> None:
        rng = self.rng("churn", churn.label, str(churn.start))
        rate = churn.per_second * self.load * self.during(churn.start, churn.end)
        present = rng.poisson(rate * churn.life).astype(np.int32)
        untouched = rng.binomial(present, 0.3).astype(np.int32)
        self._group(churn.label).add_passing(present, untouched)
        self._churned += rng.poisson(np.maximum(rate * self.grid.step - present, 0)).astype(np.int32)

    def _leak(self, leak: Leak) -> None:
        rng = self.rng("leak", leak.label, str(leak.start))
        opened = rng.poisson(self._leak_rate(leak, rng) * self.grid.step / HOUR).astype(np.int32)
        self._opened_by[leak] = opened
        start = leak.start
        for closing in [*self._closings(leak), *([self.grid.end] if leak.stop is None else [])]:
            part = np.where(self.during(start, closing), opened, 0).astype(np.int32)
            self._group(leak.label).add_leak(part, self.grid.at(closing), idle=leak.idle)
            start = closing

    def _leak_rate(self, leak: Leak, rng: np.random.Generator) -> Values:
        """Connections an hour: steady, with the load, or in bursts of some minutes that come at random."""
        rate = leak.per_hour * self.during(leak.start, self.grid.end)
        if leak.shape == "load":
            return np.asarray(rate * self.load)
        if leak.shape == "bursts":
            on = np.zeros(self.grid.size)
            for at in np.flatnonzero(rng.random(self.grid.size) < self.grid.step / (2 * HOUR)):
                length = 1 + int(rng.exponential(600.0 / self.grid.step))
                on[at : at + length] += rng.gamma(2.0, 0.5)
            return np.asarray(rate * (0.1 + 0.9 * on / on[self.grid.at(leak.start) :].mean()))
        return np.asarray(rate)

    def _still_open(self, leak: Leak) -> Counts:
        """Connections of `leak` that are open, after fixes and restarts."""
        opened = self._opened_by[leak].copy()
        if leak.stop is not None:
            opened[self.grid.at(leak.stop) :] = 0
        total = np.cumsum(opened, dtype=np.int32)
        closed = np.zeros_like(total)
        for closing in self._closings(leak):
            at = self.grid.at(closing)
            closed[at:] = total[at - 1]
        return total - closed

    def _closings(self, leak: Leak) -> list[float]:
        """When all that had leaked is closed: restarts of its processes and of the server, and the fix."""
        end = leak.stop if leak.stop is not None else self.grid.end
        restarts = [down for down, _ in self.plan.restarts if leak.start < down < end]
        return sorted([*leak.closings, *restarts, *([leak.stop] if leak.stop is not None else [])])

    def _flood(self, flood: Flood) -> None:
        rng = self.rng("flood", str(flood.start))
        clients = flood.clients // len(flood.labels)
        for label in flood.labels:
            arrive = flood.start + rng.uniform(0.0, flood.spread, clients)
            leave = arrive + rng.uniform(0.7, 1.3, clients) * flood.stay
            self.groups[label].add_visitors(self._tally(arrive), self._tally(leave), idle=flood.idle)

    def _tally(self, times: Values) -> Counts:
        """How many of `times` fall to each poll."""
        at = ((times - self.grid.start) // self.grid.step).astype(int) + 1
        return np.bincount(at[at < self.grid.size], minlength=self.grid.size).astype(np.int32)

    def _limits(self) -> Counts:
        limits = np.zeros(self.grid.size, np.int32)
        for time, limit in self.plan.limits:
            limits[self.grid.at(time) :] = limit
        return limits

    def _keep_within_the_ceiling(self) -> None:
        """Whoever comes at the ceiling waits outside: mostly of groups that were growing when it was hit."""
        edges = np.flatnonzero(np.diff((self.outside > 0).astype(np.int8), prepend=0, append=0))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            before = slice(max(0, first - self.grid.steps(900.0)), first + 1)
            gains = {
                label: max(1, int((group.births[before] - group.deaths[before]).sum()))
                for label, group in self.groups.items()
                if label != "sentinel"
            }
            self._hold_back(slice(first, last), gains)

    def _hold_back(self, episode: slice, gains: Mapping[str, int]) -> None:
        remaining, weight = self.outside[episode].copy(), sum(gains.values())
        for label, gain in sorted(gains.items(), key=lambda pair: pair[1]):
            count = self.groups[label].count
            share = np.minimum(np.ceil(remaining * (gain / weight)), count[episode]).astype(np.int32)
            weight -= gain
            remaining -= share
            count[episode] -= share
            _recount(self.groups[label], count, episode)
            for cohort in (self.groups[label].unused, self.groups[label].untouched):
                cohort[episode] = np.clip(cohort[episode] - share, 0, count[episode])

    def _work(self, queue: Queue) -> Work:
        """A queue as a fluid: what comes less what workers can do, never below nothing (Lindley, 1952)."""
        rng, size, step = self.rng("queue", queue.name), self.grid.size, self.grid.step
        came = rng.poisson(queue.rate * np.minimum(self.load, 0.85 / queue.usage) * step).astype(float)
        for batch in self.plan.batches:
            for day in range(round(self.plan.days) + 1 if batch.queue == queue.name else 0):
                at = self.grid.at(self.grid.start + day * DAY + batch.hour * HOUR)
                bulk = self.grid.steps(300.0)
                came[at : at + bulk] += batch.jobs / bulk
        can = queue.rate / queue.usage * step * np.exp(0.05 * wander(rng, size, 0.9))
        balance = np.cumsum(came - can)
        waiting = balance - np.minimum.accumulate(np.minimum(balance, 0.0))
        done = np.maximum(came - np.diff(waiting, prepend=0.0), 0.0)
        usage = np.clip(done / can, 0.0, 1.0)
        depth = np.rint(waiting + rng.poisson(usage / (1.05 - usage)))
        oldest = np.where(depth > 0, waiting / (can / step) + rng.exponential(0.3, size), 0.0)
        failed = rng.poisson(done * 0.002).astype(float)
        return {"depth": depth, "oldest": oldest, "done": np.rint(done), "usage": usage, "failed": failed}


def _recount(group: Group, count: Counts, episode: slice) -> None:
    """Gives `group` the births and deaths that lead to `count`, its renewals as before."""
    renewed = np.minimum(group.births, group.deaths)
    change = np.diff(count, prepend=np.int32(0))
    touched = slice(episode.start, episode.stop + 1)
    group.births[touched] = (np.maximum(change, 0) + renewed)[touched]
    group.deaths[touched] = (np.maximum(-change, 0) + renewed)[touched]
