"""arq: one sorted set of job ids by the time when they are due, in which running jobs stay until they are done.

What runs is told by a key for each job; it is looked up for the first hundred due ones, which are the oldest. All
workers share one health key, written once an hour unless told otherwise, so that a worker's sign of life is its
connection: it polls twice a second while it has a slot free. One that has none when it is first seen, and none at any
list of connections after, looks like whoever enqueues: it is not known until it has.

Verified on arq 0.28.0 and 0.25.0. Source: reference/queues.md section 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Sample, Seconds
from sentinel.samplers.base import Client, Command, Reply
from sentinel.samplers.queues.base import Asking, Offers, QueueState, Rising, Sight, number, numbers, parts, text
from sentinel.samplers.queues.fleet import Fleet, Presence

__all__ = ["Arq", "health_of"]

_DEAD_AFTER: Seconds = 30.0
"""The list of connections is as old as that at times; arq itself has no such time."""
_QUIET: Seconds = 5.0
_FIRST = 100


@dataclass(frozen=True)
class Arq:
    """Queues and workers of arq in one database."""

    offers: ClassVar[Offers] = Offers(failures="estimate", progress="estimate", heartbeat="estimate")
    needs: ClassVar[tuple[str, ...]] = ("zcard", "zcount", "zrange", "exists", "get")
    telling: ClassVar[str] = ""

    db: int | None = None
    """Where it is; without it, the target's own."""
    queues: tuple[str, ...] = ("arq:queue",)
    """`queue_name` of the workers."""

    def follower(self) -> _Arq:
        """Knows no queue yet."""
        return _Arq(self.queues)


@dataclass
class _Arq:
    named: tuple[str, ...]
    queues: tuple[str, ...] = field(default=(), init=False)
    listens: tuple[str, ...] = field(default=(), init=False)
    _fleet: Fleet = field(default_factory=lambda: Fleet("arq", _DEAD_AFTER), init=False)
    _presence: Presence = field(init=False)
    _done: dict[str, Rising] = field(default_factory=dict, init=False)
    _failed: dict[str, Rising] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._presence = Presence(self._fleet, _QUIET)

    @property
    def workers(self) -> int:
        return len(self._fleet)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("arq:in-progress:*", *(f"{queue}*" for queue in self.named))))

    def discover(self, sight: Sight) -> Asking[None]:
        """A queue is there once it held a job, or has a worker; an empty one has no key."""
        asked: list[Command] = [("ZCARD", queue) for queue in self.named]
        asked += [("EXISTS", _health(queue)) for queue in self.named]
        replies = numbers((yield asked))
        there = {
            queue
            for queue, held, healthy in zip(self.named, replies, replies[len(self.named) :], strict=False)
            if held or healthy
        }
        self.queues = sight.room.take({*there, *self.queues})

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """What is due, then which of that runs."""
        if not self.queues:
            return list(self._fleet.samples(sight.now, sight.clock))
        due_by = int(sight.clock * 1000)
        asked: list[Command] = []
        for queue in self.queues:
            asked += [("ZCARD", queue), ("ZCOUNT", queue, "-inf", due_by), ("GET", _health(queue))]
            asked += [("ZRANGE", queue, 0, _FIRST - 1, "WITHSCORES")]
        found = dict(zip(self.queues, parts((yield asked), 4), strict=True))
        jobs = [(queue, job, due) for queue, each in found.items() for job, due in _jobs(each[3]) if due <= due_by]
        runs = (yield [("EXISTS", f"arq:in-progress:{job}") for _, job, _ in jobs]) if jobs else []
        samples: list[Sample] = []
        states: list[QueueState] = []
        for queue, (size, due, health, _) in found.items():
            own = [(at, bool(running)) for (of, _, at), running in zip(jobs, runs, strict=True) if of == queue]
            states.append(self._state(queue, numbers((size, due)), text(health), own, sight.clock))
            samples += states[-1].samples(queue + sight.place, "arq", sight.now)
        needed, busy = any(state.depth for state in states), any(state.in_flight for state in states)
        return [*samples, *self._presence.see_all(self.queues, _asks, sight, needed=needed, busy=busy)]

    def _state(
        self, queue: str, sizes: Sequence[float], health: str, first: Sequence[tuple[float, bool]], clock: float
    ) -> QueueState:
        size, due = sizes
        running = sum(runs for _, runs in first)
        waiting = max(0.0, due - running)
        oldest = next((at for at, runs in first if not runs), None)
        told = health_of(health)
        state = QueueState(
            depth=waiting,
            eligible=waiting,
            oldest_age_seconds=clock - oldest / 1000 if waiting and oldest is not None else 0.0,
            in_flight=running,
            delayed=size - due,
        )
        if told:
            done, failed = self._done.setdefault(queue, Rising()), self._failed.setdefault(queue, Rising())
            state.completed_total = done.to(told.get("j_complete", 0.0) + told.get("j_failed", 0.0))
            state.failed_total = failed.to(told.get("j_failed", 0.0))
        return state


def _asks(client: Client) -> bool:
    """It polled within the last second. Before that it may have been used in turn with others of its worker's pool."""
    return client.cmd == "zrangebyscore" and client.idle <= 1


def _health(queue: str) -> str:
    return f"{queue}:health-check"


def _jobs(reply: Reply) -> list[tuple[str, float]]:
    flat = reply if isinstance(reply, list) else []
    return [(text(job), number(due) or 0.0) for job, due in zip(flat[::2], flat[1::2], strict=False)]


def health_of(line: str) -> dict[str, float]:
    """Counters of the health key.

    >>> health_of("Nov-24 02:02:18 j_complete=4 j_failed=1 j_retried=0 j_ongoing=2 queued=5")["j_complete"]
    4.0
    """
    return {name: float(count) for name, count in re.findall(r"(\w+)=(\d{1,15})", line)}
