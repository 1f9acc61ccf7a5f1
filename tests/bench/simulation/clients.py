"""How connection pools answer to load: what each process holds open, and what a census counts of it.

A pool turns the connections that its process wants at once into a `Use`: how many are open, how many were
quietly replaced, blocked, never used again. A `Group` adds up the processes of one deployment. Counts are
statistical: no single connection is followed. Knows nothing of servers, polls or incidents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from sentinel.samplers.redis_clients import CensusSettings

from .traffic import Counts, Grid, Values

__all__ = ["OLD", "Elastic", "Group", "Mark", "Pool", "Sessions", "Use", "Workers", "connections"]

OLD = CensusSettings().unused_after
"""Seconds of age from which a connection that was used once and never again counts as unused."""


@dataclass(frozen=True, slots=True)
class Use:
    """What one process holds, poll by poll; every array int32, shape (polls of its life,)."""

    count: Counts
    recycled: Counts
    """Closed and opened anew since the last poll, on top of what the change of `count` says."""
    blocked: Counts
    unused: Counts
    """Older than `OLD`, used once and never again."""
    untouched: Counts
    """The same at any age: the newest of a pool are among them until they serve again."""


class Pool(Protocol):
    """What a process does with the connections that it wants at once."""

    def use(self, wanted: Counts, step: float, rng: np.random.Generator) -> Use:
        """`wanted`: connections in use at each poll of the process's life, `step` seconds apart."""


def _earlier(values: Counts, polls: int) -> Counts:
    if polls == 0:
        return values
    shifted = np.zeros_like(values)
    shifted[polls:] = values[: max(0, len(values) - polls)]
    return shifted


def _never_again(opened: Counts, wanted: Counts, polls: int) -> Counts:
    """Connections of a last-in-first-out pool, opened `polls` ago or before, that never served in a later poll."""
    served = np.maximum.accumulate(np.minimum(wanted, _earlier(opened, 1)))
    return np.maximum(_earlier(opened, polls) - served, 0)


def _polls(seconds: float, step: float) -> int:
    return max(1, round(seconds / step))


@dataclass(frozen=True, slots=True)
class Mark:
    """Opens on demand up to `limit`, never closes: fills to its high-water mark. Opens `warm` at the start.

    Hands out the last one returned, so that what a peak opened may never be used again: it looks leaked.
    """

    limit: int
    warm: int = 0

    def use(self, wanted: Counts, step: float, rng: np.random.Generator) -> Use:
        wanted = np.minimum(wanted, self.limit)
        opened = np.maximum.accumulate(np.maximum(wanted, self.warm))
        none = np.zeros_like(opened)
        unused = _never_again(opened, wanted, _polls(OLD, step))
        return Use(opened, none, none, unused, _never_again(opened, wanted, 0))


@dataclass(frozen=True, slots=True)
class Elastic:
    """Follows demand, closes what idled for `idle_timeout`, keeps `warm` open, renews after `lifetime`."""

    limit: int
    warm: int = 0
    idle_timeout: float = 300.0
    lifetime: float = 1800.0

    def use(self, wanted: Counts, step: float, rng: np.random.Generator) -> Use:
        wanted = np.minimum(wanted, self.limit)
        span = _polls(self.idle_timeout, step)
        padded = np.concatenate([np.full(span - 1, wanted[0], np.int32), wanted])
        recent = np.lib.stride_tricks.sliding_window_view(padded, span).max(axis=1)
        count = np.maximum(recent, self.warm).astype(np.int32)
        recycled, unused, untouched = np.zeros((3, len(count)), np.int32)
        times = np.arange(len(count), dtype=np.int32)
        for place in range(1, int(count.max()) + 1):
            there = count >= place
            renewed = there & (rng.random(len(count), np.float32) < step / self.lifetime)
            arrived = np.diff(there, prepend=False) & there
            opened = np.maximum.accumulate(np.where(renewed | arrived, times, -1))
            served = np.maximum.accumulate(np.where(wanted >= place, times, -1))
            idle = there & (served <= opened)
            recycled += renewed & ~arrived
            untouched += idle
            unused += idle & (times - opened >= _polls(OLD, step))
        return Use(count, recycled, np.zeros_like(count), unused, untouched)


@dataclass(frozen=True, slots=True)
class Workers:
    """`slots` connections that wait in BRPOP unless a job is wanted, `command` for results and beats."""

    slots: int
    command: int = 1

    def use(self, wanted: Counts, step: float, rng: np.random.Generator) -> Use:
        count = np.full_like(wanted, self.slots + self.command)
        none = np.zeros_like(count)
        return Use(count, none, self.slots - np.minimum(wanted, self.slots), none, none)


@dataclass(frozen=True, slots=True)
class Sessions:
    """One connection for each session that is `wanted`; a session lasts `lifetime` on average."""

    lifetime: float = 1200.0

    def use(self, wanted: Counts, step: float, rng: np.random.Generator) -> Use:
        none = np.zeros_like(wanted)
        recycled = rng.poisson(wanted * (step / self.lifetime)).astype(np.int32)
        return Use(wanted, recycled, none, none, none)


@dataclass(eq=False)
class Group:
    """The clients that a census counts together. Arrays: int32, shape (polls,); births and deaths a poll."""

    label: str
    grid: Grid
    name: str = ""
    """CLIENT SETNAME of its clients; empty for unnamed ones."""
    block: str = "10.0.0"
    """First three parts of their addresses."""
    command: str = "get"
    pubsub: bool = False
    births: Counts = field(init=False)
    deaths: Counts = field(init=False)
    blocked: Counts = field(init=False)
    unused: Counts = field(init=False)
    untouched: Counts = field(init=False)
    sources: Counts = field(init=False)

    def __post_init__(self) -> None:
        for array in ("births", "deaths", "blocked", "unused", "untouched", "sources"):
            setattr(self, array, np.zeros(self.grid.size, np.int32))

    @property
    def count(self) -> Counts:
        """Clients at each poll."""
        return np.cumsum(self.births - self.deaths, dtype=np.int32)

    def add(self, first: int, use: Use, sources: int = 1) -> None:
        """A process that lives from poll `first` for as long as `use` is, or to the end of the grid."""
        life = slice(first, first + len(use.count))
        change = np.diff(use.count, prepend=np.int32(0))
        self.births[life] += np.maximum(change, 0) + use.recycled
        self.deaths[life] += np.maximum(-change, 0) + use.recycled
        if life.stop < self.grid.size:
            self.deaths[life.stop] += use.count[-1]
        self.blocked[life] += use.blocked
        self.unused[life] += use.unused
        self.untouched[life] += use.untouched
        self.sources[life] += sources

    def add_passing(self, present: Counts, untouched: Counts) -> None:
        """Lives shorter than a poll: whoever is `present` at one is born there and gone at the next."""
        self.births += present
        self.untouched += untouched
        self.deaths[1:] += present[:-1]

    def add_leak(self, opened: Counts, closed_at: int, *, idle: bool = True) -> None:
        """Connections `opened` at each poll and not closed before poll `closed_at`, when all go.

        `idle`: used once and never again, so that they join the unused when old.
        """
        kept = opened.copy()
        kept[closed_at:] = 0
        if closed_at < self.grid.size:
            self.deaths[closed_at] += kept.sum()
        self.births += kept
        if idle:
            for counts, age in ((self.untouched, 0), (self.unused, self.grid.steps(OLD))):
                cohort = np.cumsum(_earlier(kept, age), dtype=np.int32)
                cohort[closed_at:] = 0
                counts += cohort

    def add_visitors(self, arrivals: Counts, departures: Counts, *, idle: bool) -> None:
        """Clients that come and stay for a while; `idle`: they say hello and wait until they leave."""
        self.births += arrivals
        self.deaths += departures
        if idle:
            self.untouched += np.cumsum(arrivals - departures, dtype=np.int32)
            aged = np.cumsum(_earlier(arrivals, self.grid.steps(OLD)) - departures, dtype=np.int32)
            self.unused += np.maximum(aged, 0)


def connections(busy: Values, rng: np.random.Generator, noise: Values) -> Counts:
    """Connections wanted at once by a process of which `busy` are in use on average: about Poisson."""
    offset = int(rng.integers(0, max(1, len(noise) - len(busy))))
    spread = np.sqrt(np.maximum(busy, 0.0)) * noise[offset : offset + len(busy)]
    return np.maximum(np.rint(busy + spread), 0).astype(np.int32)
