"""Huey: a list, or a sorted set by priority, and a schedule; no counter, no heartbeat, no sign of what runs.

There is no registry either: the default name `huey` is found, others are named in YAML or found by a scan. Payloads
are pickled and tell no time, but in a sorted set they begin with it.

A worker is known by its connection, which waits in BRPOP for a second at a time while there is nothing to do. So do
those of Celery and Sidekiq, and where they are in the same database nothing is told of workers. Nor is told that one
hangs, as it may be busy: while it works its consumer's scheduler may use the connection, or nobody.

Verified on Huey 3.5.4. Source: reference/queues.md section 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Sample, Seconds
from sentinel.samplers.base import Client, Command, Reply
from sentinel.samplers.queues.ageing import Ageing, Peeking
from sentinel.samplers.queues.base import Asking, Offers, QueueState, Sight, checked, parts, text
from sentinel.samplers.queues.fleet import Fleet, Presence

__all__ = ["Huey", "key_name", "stamp_of"]

_PREFIX, _SCHEDULE = "huey.redis.", "huey.schedule."
_DEAD_AFTER: Seconds = 30.0
"""The list of connections is as old as that at times."""
_ALIKE = frozenset({"celery", "sidekiq"})
"""Systems whose workers wait in the same command."""


@dataclass(frozen=True)
class Huey:
    """Queues of Huey in one database."""

    offers: ClassVar[Offers] = Offers(
        age="estimate", in_flight="no", failures="no", progress="no", heartbeat="estimate"
    )
    needs: ClassVar[tuple[str, ...]] = ("type", "llen", "lindex", "zcard", "zrange", "zcount")
    telling: ClassVar[str] = r"huey\.redis\..+"

    db: int | None = None
    """Where it is; without it, the target's own."""
    queues: tuple[str, ...] = ("huey",)
    """Names as in the application."""

    def follower(self) -> _Huey:
        """Knows no queue yet."""
        return _Huey(tuple(key_name(name) for name in self.queues))


@dataclass
class _Huey:
    named: tuple[str, ...]
    queues: tuple[str, ...] = field(default=(), init=False)
    listens: tuple[str, ...] = field(default=(), init=False)
    _presence: Presence = field(init=False)
    _sorted: set[str] = field(default_factory=set, init=False)
    """Queues by priority."""
    _ages: dict[str, Ageing] = field(default_factory=dict, init=False)
    _peeking: Peeking = field(default_factory=Peeking, init=False)

    def __post_init__(self) -> None:
        self._presence = Presence(Fleet("huey", _DEAD_AFTER), quiet=math.inf)

    @property
    def workers(self) -> int:
        return len(self._presence.fleet)

    @property
    def keys(self) -> tuple[str, ...]:
        return (f"{_PREFIX}*", f"{_SCHEDULE}*")

    def discover(self, sight: Sight) -> Asking[None]:
        """Whether a name has a queue or a schedule now; once found it stays, as an empty one has no key."""
        scanned = {key.removeprefix(_PREFIX) for key in sight.scanned if key.startswith(_PREFIX)}
        names = sorted({*self.named, *scanned, *self.queues})
        replies = yield [("TYPE", part + name) for name in names for part in (_PREFIX, _SCHEDULE)]
        types = {name: [text(kind) for kind in kinds] for name, kinds in zip(names, parts(replies, 2), strict=True)}
        there = {name for name, (own, later) in types.items() if own in ("list", "zset") or later == "zset"}
        turned = {name for name, (own, _) in types.items() if own == "list"}
        self._sorted = {*self._sorted, *(name for name, (own, _) in types.items() if own == "zset")} - turned
        self.queues = sight.room.take({*there, *self.queues})
        self._ages = {queue: self._ages.get(queue) or Ageing() for queue in self.queues}

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """Sizes and what is next, in one go."""
        if not self.queues:
            return []
        found = parts((yield [each for queue in self.queues for each in self._sizes(queue, sight.clock)]), 4)
        told = zip(self.queues, found, strict=True)
        states = {queue: state for queue, replies in told if (state := self._state(queue, replies, sight.clock))}
        samples = [each for queue in states for each in states[queue].samples(queue + sight.place, "huey", sight.now)]
        if _ALIKE.isdisjoint(sight.beside):
            needed = any(state.depth for state in states.values())
            samples += self._presence.see_all(self.queues, _asks, sight, needed=needed, busy=True)
        return samples

    def _sizes(self, queue: str, clock: float) -> tuple[Command, ...]:
        key, schedule = f"{_PREFIX}{queue}", f"{_SCHEDULE}{queue}"
        by_priority, peek = queue in self._sorted, self._peeking.may(queue, clock)
        next_job: Command = ("ZRANGE", key, 0, 0) if by_priority else ("LINDEX", key, -1)
        return (
            ("ZCARD" if by_priority else "LLEN", key),
            next_job if peek else ("TYPE", key),
            ("ZCARD", schedule),
            ("ZCOUNT", schedule, "-inf", int(clock)),
        )

    def _state(self, queue: str, replies: Sequence[Reply], clock: float) -> QueueState | None:
        if "WRONGTYPE" in str(replies[0]):
            (self._sorted.discard if queue in self._sorted else self._sorted.add)(queue)
            return None
        waiting, delayed, overdue = (checked(replies[place], f"{_PREFIX}{queue}") for place in (0, 2, 3))
        first = replies[1][0] if isinstance(replies[1], list) and replies[1] else replies[1]
        head = self._peeking.fetched(queue, first, clock) if self._peeking.may(queue, clock) else None
        stamp = stamp_of(first, clock) if queue in self._sorted else None
        age = self._ages[queue].age(waiting, head, clock)
        return QueueState(
            depth=waiting + overdue,
            eligible=waiting + overdue,
            oldest_age_seconds=age if stamp is None or not waiting else clock - stamp,
            delayed=delayed - overdue,
            estimate=stamp is None,
        )


def _asks(client: Client) -> bool:
    return client.cmd == "brpop" and client.blocked and not client.name


def key_name(name: str) -> str:
    """What Huey makes of a name in its keys.

    >>> key_name("my-app")
    'myapp'
    """
    return re.sub(r"[^A-Za-z0-9_]", "", name)


def stamp_of(member: Reply, clock: float) -> float | None:
    """When a job of a sorted set was enqueued: its first 8 bytes, in microseconds. None if that cannot be.

    >>> stamp_of((1_764_000_000_000_000).to_bytes(8, "big") + b"...", 1_764_000_060.0)
    1764000000.0
    """
    if not isinstance(member, bytes) or len(member) < 8:
        return None
    stamp = int.from_bytes(member[:8], "big") / 1e6
    return stamp if 0 <= clock - stamp < 1e9 else None
