"""Processes that come and go: deploys, autoscaling, batches. Gives the spans in which each one lives.

Knows of load and time only; what a process holds open is `clients`' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .traffic import HOUR, Grid, Values

__all__ = ["Rollout", "Span", "Style", "fleet", "interrupted", "nightly", "wanted_replicas"]

Style = Literal["rolling", "surge", "blue_green", "recreate"]
Span = tuple[float, float]
"""Start and end of a process's life, Unix seconds."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A deploy: all processes of a deployment are replaced, and so, within minutes, all their connections."""

    time: float
    style: Style


def wanted_replicas(busy: Values, grid: Grid, replicas: int, scales: bool) -> list[tuple[float, int]]:
    """(time, replicas) at each change. Scaling looks every 5 min: up at once, down after half an hour."""
    if not scales:
        return [(grid.start, replicas)]
    every = grid.steps(300.0)
    needed = np.ceil(busy[::every] * replicas * 0.9).astype(int)
    padded = np.concatenate([np.full(6, needed[0]), needed])
    wanted = np.maximum(np.lib.stride_tricks.sliding_window_view(padded, 7).max(axis=1), 2)
    changes = np.flatnonzero(np.diff(wanted, prepend=-1))
    return [(grid.start + float(i) * every * grid.step, int(wanted[i])) for i in changes]


def fleet(
    wanted: Sequence[tuple[float, int]], rollouts: Iterable[Rollout], end: float, rng: np.random.Generator
) -> list[Span]:
    """The lives of a deployment's processes until `end`."""
    done: list[Span] = []
    running: list[float] = []
    replicas = 0
    changes: list[tuple[float, int | Rollout]] = [*wanted, *((rollout.time, rollout) for rollout in rollouts)]
    for time, change in sorted(changes, key=lambda pair: pair[0]):
        if isinstance(change, Rollout):
            fresh, ends = _replace(change, len(running), rng)
            done += [(start, max(stop, start + 1.0)) for start, stop in zip(running, ends, strict=True)]
            running = fresh
        else:
            replicas = change
            while len(running) > replicas:
                start = running.pop()
                done.append((start, max(start, time) + float(rng.uniform(1.0, 30.0))))
            running += [time + float(rng.uniform(5.0, 60.0)) for _ in range(replicas - len(running))]
    return done + [(start, max(end, start + 1.0)) for start in running]


def _replace(rollout: Rollout, replicas: int, rng: np.random.Generator) -> tuple[list[float], list[float]]:
    """Starts of the new processes and ends of the old ones."""
    order = np.arange(replicas)
    if rollout.style == "rolling":
        starts = rollout.time + order * rng.uniform(15.0, 60.0)
        ends = starts + rng.uniform(5.0, 90.0)
    elif rollout.style == "surge":
        starts = rollout.time + (order // max(1, replicas // 4)) * rng.uniform(60.0, 150.0)
        ends = starts + rng.uniform(30.0, 300.0, replicas)
    elif rollout.style == "blue_green":
        starts = rollout.time + rng.uniform(0.0, 30.0, replicas)
        ends = np.full(replicas, rollout.time + rng.uniform(240.0, 900.0))
    else:
        ends = np.full(replicas, rollout.time)
        starts = rollout.time + rng.uniform(5.0, 45.0, replicas)
    return starts.tolist(), ends.tolist()


def interrupted(spans: Iterable[Span], outages: Sequence[Span], rng: np.random.Generator) -> list[Span]:
    """Spans as the server sees them: each outage ends all connections, and they come back within a minute."""
    pieces = list(spans)
    for down, up in outages:
        split: list[Span] = []
        for start, end in pieces:
            if end <= down or start >= up:
                split.append((start, end))
                continue
            if start < down:
                split.append((start, down))
            if end > up:
                split.append((up + float(rng.exponential(8.0)), end))
        pieces = [(start, end) for start, end in split if end > start]
    return pieces


def nightly(first: float, days: int, hour: float, hours: float, processes: int, rng: np.random.Generator) -> list[Span]:
    """A batch each night from `hour` on: its processes start within minutes and end one by one."""
    spans: list[Span] = []
    for day in range(days):
        begins = first + (day * 24 + hour) * HOUR + float(rng.uniform(0.0, 300.0))
        lengths = hours * HOUR * rng.uniform(0.6, 1.2, processes)
        spans += [(begins + float(rng.uniform(0.0, 240.0)), begins + float(length)) for length in lengths]
    return spans
