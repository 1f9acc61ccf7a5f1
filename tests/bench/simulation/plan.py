"""What is to happen to one server: its deployments, days and troubles, as plain values.

Says what, not how: `world` works it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .clients import Pool
from .fleet import Rollout, Span
from .traffic import Wave

__all__ = ["Batch", "Churn", "Deployment", "Flood", "Leak", "Plan", "Queue", "census_label"]


def census_label(name: str, block: str, command: str) -> str:
    """What the census calls a group: the clients' name, or for unnamed ones their block and command."""
    return name or f"unnamed {block}.0/24 {command}"


@dataclass(frozen=True, slots=True)
class Deployment:
    """Processes of one kind that are deployed and scaled together."""

    service: str
    pool: Pool
    busy: float
    """Connections that a process has in use at once at load 1; for workers the busy part of their slots."""
    replicas: int
    named: bool = True
    scales: bool = False
    queue: str = ""
    """The queue that its processes work on."""
    block: str = "10.0.0"
    command: str = "get"
    pubsub: bool = False
    nat: bool = False
    """All processes seen under one address."""

    @property
    def label(self) -> str:
        """The census group that it falls into."""
        return census_label(self.service if self.named else "", self.block, self.command)


@dataclass(frozen=True, slots=True)
class Batch:
    """A nightly job: processes that hold `each` connections for hours, and jobs that pile up on a queue."""

    service: str
    hour: float
    hours: float
    processes: int
    each: int
    queue: str
    jobs: int


@dataclass(frozen=True, slots=True)
class Queue:
    """Jobs a second at load 1, and the part of its workers' capacity that they take; never more than 85 % of it."""

    name: str
    rate: float
    usage: float


@dataclass(frozen=True, slots=True)
class Leak:
    """Connections of one group that are opened and never closed, `per_hour` on average."""

    label: str
    per_hour: float
    start: float
    stop: float | None = None
    """When its fix is deployed; what it had opened closes with the old processes."""
    shape: Literal["steady", "load", "bursts"] = "steady"
    idle: bool = True
    """Used once and never again; otherwise kept busy, say by a health check or a subscription."""
    closings: tuple[float, ...] = ()
    """Restarts of its processes, each of which closes what had leaked; the leak goes on."""


@dataclass(frozen=True, slots=True)
class Flood:
    """`clients` newcomers within `spread` seconds, shared by the groups; each stays about `stay` seconds."""

    start: float
    clients: int
    spread: float
    stay: float
    labels: tuple[str, ...]
    idle: bool = True
    """They say hello and wait; otherwise all are in use."""


@dataclass(frozen=True, slots=True)
class Churn:
    """A group that connects for each command: `per_second` connections that live `life` seconds."""

    label: str
    start: float
    end: float
    per_second: float
    life: float = 0.02


@dataclass(frozen=True, slots=True)
class Plan:
    """All that happens to one server."""

    seed: int
    days: float
    step: float = 30.0
    target: str = "redis-sim"
    deployments: tuple[Deployment, ...] = ()
    rollouts: Mapping[str, tuple[Rollout, ...]] = field(default_factory=dict)
    """By service."""
    batches: tuple[Batch, ...] = ()
    queues: tuple[Queue, ...] = ()
    passing: tuple[Churn, ...] = ()
    """Connections for a moment that belong to every day: crons, scripts; `per_second` at load 1."""
    waves: tuple[Wave, ...] = ()
    growth: float = 0.0
    """Per week."""
    leaks: tuple[Leak, ...] = ()
    floods: tuple[Flood, ...] = ()
    churns: tuple[Churn, ...] = ()
    limits: tuple[tuple[float, int], ...] = ((0.0, 10_000),)
    """(time, maxclients) from then on."""
    replicas: int = 1
    restarts: tuple[Span, ...] = ()
    freezes: tuple[Span, ...] = ()
    memory_limit: float = 0.0
    listed: bool = True
    """Whether CLIENT LIST is allowed; on some managed servers it is not."""
