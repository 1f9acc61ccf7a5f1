"""Bee-Queue: lists of job ids, a hash of jobs, and sets of those that succeeded or failed.

Queues are known by the channels to which everybody who uses them subscribes, and stay known as long as their keys
exist. A worker takes jobs over a connection that does nothing else and has no name: it is alive while that is. Which
queue it takes them from cannot be seen.

Verified on Bee-Queue 2.0.0. Source: reference/queues.md section 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Sample, Seconds
from sentinel.samplers.base import Client, Command, Reply
from sentinel.samplers.queues.ageing import Peeking
from sentinel.samplers.queues.base import (
    Asking,
    Offers,
    QueueState,
    Rising,
    Sight,
    Stamps,
    checked,
    epoch,
    numbers,
    parts,
    text,
    texts,
)
from sentinel.samplers.queues.fleet import Fleet, Presence

__all__ = ["Bee", "stamp_of"]

_DEAD_AFTER: Seconds = 30.0
"""The list of connections is as old as that at times."""
_QUIET: Seconds = 20.0
"""A worker that has nothing to do waits in a command, however long; it is out of it only to begin another."""


@dataclass(frozen=True)
class Bee:
    """Queues of Bee-Queue in one database."""

    offers: ClassVar[Offers] = Offers(heartbeat="estimate")
    telling: ClassVar[str] = r".+:id"
    needs: ClassVar[tuple[str, ...]] = (
        "pubsub|channels",
        "exists",
        "llen",
        "lindex",
        "zcard",
        "zcount",
        "scard",
        "get",
        "hget",
    )

    db: int | None = None
    """Where it is; without it, the target's own."""
    prefix: str = "bq"
    queues: tuple[str, ...] = ()
    """Beside those whose channels somebody subscribes to."""

    def follower(self) -> _Bee:
        """Knows no queue yet."""
        return _Bee(self.prefix, self.queues)


@dataclass
class _Bee:
    prefix: str
    named: tuple[str, ...]
    queues: tuple[str, ...] = field(default=(), init=False)
    listens: tuple[str, ...] = field(default=(), init=False)
    _presence: Presence = field(init=False)
    _stamps: Stamps = field(default_factory=Stamps, init=False)
    _peeking: Peeking = field(default_factory=Peeking, init=False)
    _done: dict[str, Rising] = field(default_factory=dict, init=False)
    _failed: dict[str, Rising] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._presence = Presence(Fleet("bee", _DEAD_AFTER), _QUIET)

    @property
    def workers(self) -> int:
        return len(self._presence.fleet)

    @property
    def keys(self) -> tuple[str, ...]:
        return (f"{self.prefix}:*",)

    def discover(self, sight: Sight) -> Asking[None]:
        """Names by channels and a scan; kept is what has keys in this database."""
        (channels,) = yield (("PUBSUB", "CHANNELS", f"{self.prefix}:*:events"),)
        pattern = re.compile(rf"{re.escape(self.prefix)}:(.+):(?:events|id)")
        met = {found[1] for key in (*texts(channels), *sight.scanned) if (found := pattern.fullmatch(key))}
        names = sorted({*self.named, *self.queues, *met})
        there = (yield [("EXISTS", self._key(name, "id")) for name in names]) if names else []
        kept = {name for name, exists in zip(names, numbers(there), strict=True) if exists}
        self.queues = sight.room.take({*self.named, *kept})

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """Sizes, then the stamps of jobs that are new at the heads."""
        if not self.queues:
            return []
        sized = [command for queue in self.queues for command in self._sizes(queue, sight.clock)]
        sizes = dict(zip(self.queues, parts((yield sized), 7), strict=True))
        heads = {queue: head for queue, each in sizes.items() if (head := text(each[1]))}
        missing = [each for each in self._stamps.missing(heads) if self._peeking.may(each[0], sight.clock)]
        jobs = (yield [("HGET", self._key(queue, "jobs"), job) for queue, job in missing]) if missing else []
        for (queue, job), payload in zip(missing, jobs, strict=True):
            self._peeking.fetched(queue, payload, sight.clock)
            self._stamps.learn(queue, job, stamp_of(payload))
        states = {queue: self._state(queue, each, sight.clock) for queue, each in sizes.items()}
        samples = [each for queue in states for each in states[queue].samples(queue + sight.place, "bee", sight.now)]
        needed, busy = any(state.depth for state in states.values()), any(state.in_flight for state in states.values())
        return [*samples, *self._presence.see_all(self.queues, _takes, sight, needed=needed, busy=busy)]

    def _key(self, queue: str, part: str) -> str:
        return f"{self.prefix}:{queue}:{part}"

    def _sizes(self, queue: str, clock: float) -> tuple[Command, ...]:
        return (
            ("LLEN", self._key(queue, "waiting")),
            ("LINDEX", self._key(queue, "waiting"), -1),
            ("LLEN", self._key(queue, "active")),
            ("ZCARD", self._key(queue, "delayed")),
            ("SCARD", self._key(queue, "failed")),
            ("GET", self._key(queue, "id")),
            ("ZCOUNT", self._key(queue, "delayed"), "-inf", int(clock * 1000)),
        )

    def _state(self, queue: str, replies: Sequence[Reply], clock: float) -> QueueState:
        waiting = checked(replies[0], self._key(queue, "waiting"))
        active, delayed, failed, created, overdue = numbers(replies[2:])
        done, failures = self._done.setdefault(queue, Rising()), self._failed.setdefault(queue, Rising())
        return QueueState(
            depth=waiting + overdue,
            eligible=waiting + overdue,
            oldest_age_seconds=self._stamps.age(queue, clock) if waiting else None if overdue else 0.0,
            in_flight=active,
            delayed=delayed - overdue,
            enqueued_total=created,
            completed_total=done.to(created - waiting - active - delayed),
            failed_total=failures.to(failed),
        )


def _takes(client: Client) -> bool:
    """Those of Bull wait in the same command, and have names."""
    return client.cmd == "brpoplpush" and not client.name


_STAMP = re.compile(rb'"options":\{"timestamp":(\d{10,16})')


def stamp_of(payload: Reply) -> float | None:
    """When a job was made; of the job nothing else is looked at.

    >>> stamp_of(b'{"data":{"a":1},"options":{"timestamp":1795508500110,"stacktraces":[]},"status":"created"}')
    1795508500.11
    """
    found = _STAMP.search(payload) if isinstance(payload, bytes) else None
    return epoch(found[1]) if found else None
