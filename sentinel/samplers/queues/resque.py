"""Resque: lists by queue, a set of workers, and a hash of their beats by the server's own clock.

Jobs are stamped with nothing, so that ages are estimates. Counters are kept for all queues together. Beats come every
minute; after five the others clear a worker away.

node-resque works on the same keys, but each of its workers has a key for its beats, by its own clock and every five
seconds, and jobs that fail are not among those that it counts as processed.

Verified on node-resque 9.7.1; Ruby's from recorded keys of Resque 3.0. Source: reference/queues.md section 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Sample, Seconds
from sentinel.samplers.base import Reply
from sentinel.samplers.queues.ageing import Ageing, Peeking
from sentinel.samplers.queues.base import Asking, Offers, QueueState, Sight, checked, epoch, mapped, numbers, texts
from sentinel.samplers.queues.fleet import Fleet

__all__ = ["Resque"]

_DEAD_AFTER: Seconds = 300.0
_NODE_DEAD_AFTER: Seconds = 30.0
"""Six beats; its own scheduler gives them an hour."""


@dataclass(frozen=True)
class Resque:
    """Queues and workers of Resque in one database."""

    offers: ClassVar[Offers] = Offers(age="estimate")
    needs: ClassVar[tuple[str, ...]] = ("smembers", "get", "hgetall", "exists", "llen", "lindex")
    telling: ClassVar[str] = ""

    db: int | None = None
    """Where it is; without it, the target's own."""
    prefix: str = "resque"

    def follower(self) -> _Resque:
        """Knows no queue yet."""
        return _Resque(self.prefix)


@dataclass
class _Resque:
    prefix: str
    queues: tuple[str, ...] = field(default=(), init=False)
    listens: tuple[str, ...] = field(default=(), init=False)
    _workers: tuple[str, ...] = field(default=(), init=False)
    _fleet: Fleet = field(default_factory=lambda: Fleet("resque", _DEAD_AFTER), init=False)
    _node: Fleet = field(default_factory=lambda: Fleet("resque", _NODE_DEAD_AFTER), init=False)
    _node_seen: bool = field(default=False, init=False)
    _ages: dict[str, Ageing] = field(default_factory=dict, init=False)
    _peeking: Peeking = field(default_factory=Peeking, init=False)

    @property
    def workers(self) -> int:
        return len(self._workers)

    @property
    def keys(self) -> tuple[str, ...]:
        return (f"{self.prefix}:*",)

    def discover(self, sight: Sight) -> Asking[None]:
        """Its two registries."""
        queues, workers = yield (("SMEMBERS", f"{self.prefix}:queues"), ("SMEMBERS", f"{self.prefix}:workers"))
        self.queues = sight.room.take(texts(queues))
        self._workers = tuple(texts(workers))
        for fleet in (self._fleet, self._node):
            fleet.keep(self._workers, sight.clock)
        self._ages = {queue: self._ages.get(queue) or Ageing(unique=False) for queue in self.queues}

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """Everything in one go; a queue's next job only if it may be looked at."""
        if not self.queues and not self._workers:
            return self._fleets(sight)
        peeked = [queue for queue in self.queues if self._peeking.may(queue, sight.clock)]
        registered, processed, failed, beats, *rest = yield (
            ("SMEMBERS", f"{self.prefix}:workers"),
            ("GET", f"{self.prefix}:stat:processed"),
            ("GET", f"{self.prefix}:stat:failed"),
            ("HGETALL", f"{self.prefix}:workers:heartbeat"),
            *(("EXISTS", f"{self.prefix}:worker:{worker}") for worker in self._workers),
            *(("GET", f"{self.prefix}:worker:ping:{worker.rpartition(':')[0]}") for worker in self._workers),
            *(("LLEN", f"{self.prefix}:queue:{queue}") for queue in self.queues),
            *(("LINDEX", f"{self.prefix}:queue:{queue}", 0) for queue in peeked),
        )
        count = len(self._workers)
        busy = dict(zip(self._workers, numbers(rest[:count]), strict=True))
        pings = dict(zip(self._workers, rest[count : 2 * count], strict=True))
        sizes = rest[2 * count :]
        self._meet(busy, mapped(beats), pings, sight)
        for fleet in (self._fleet, self._node):
            self._workers = fleet.stay(self._workers, registered, sight.clock)
        done, failures = numbers((processed, failed))
        done += failures if self._node_seen else 0.0
        name = self.queues[0] if len(self.queues) == 1 else "*"
        shared = QueueState(
            in_flight=sum(busy.values()), consumers=len(busy), completed_total=done, failed_total=failures
        )
        samples = list(shared.samples(name + sight.place, "resque", sight.now))
        heads = {
            queue: self._peeking.fetched(queue, job, sight.clock)
            for queue, job in zip(peeked, sizes[len(self.queues) :], strict=True)
        }
        for queue, length in zip(self.queues, sizes, strict=False):
            depth = checked(length, f"{self.prefix}:queue:{queue}")
            age = self._ages[queue].age(depth, heads.get(queue), sight.clock, done)
            state = QueueState(depth=depth, eligible=depth, oldest_age_seconds=age, estimate=True)
            samples += state.samples(queue + sight.place, "resque", sight.now)
        return [*samples, *self._fleets(sight)]

    def _fleets(self, sight: Sight) -> list[Sample]:
        return [one for fleet in (self._fleet, self._node) for one in fleet.samples(sight.now, sight.clock)]

    def _meet(
        self, busy: Mapping[str, float], beats: Mapping[str, bytes], pings: Mapping[str, Reply], sight: Sight
    ) -> None:
        """One that never beat is of a version before there were heartbeats: nothing is told of it."""
        for worker, works in busy.items():
            node = ping_of(pings[worker])
            self._node_seen |= node is not None
            at = epoch(beats.get(worker)) if node is None else node
            if at is not None:
                group = f"resque:{worker.rpartition(':')[2]}{sight.place}"
                fleet = self._fleet if node is None else self._node
                fleet.beat(worker, group, at, sight.clock, busy=works)


def ping_of(reply: Reply) -> float | None:
    """When a worker of node-resque last beat.

    >>> ping_of(b'{"time":1795485600,"name":"vm:1445","queues":"mails"}')
    1795485600.0
    """
    found = _PING.search(reply) if isinstance(reply, bytes) else None
    return epoch(found[1]) if found else None


_PING = re.compile(rb'"time":(\d{1,16})')
