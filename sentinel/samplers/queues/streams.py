"""Streams read by a consumer group, and taskiq, which is built on them.

A consumer's name outlives it; one that is silent, with nothing to do and nothing left undone, was stopped.

Verified on taskiq-redis 1.2.4. Knows XLEN, XINFO and XRANGE; the time when an entry was added is its id. Must not know
what an entry holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from redis.exceptions import RedisError

from sentinel.model import Sample, Seconds
from sentinel.samplers.base import Reply
from sentinel.samplers.queues.base import Asking, Offers, QueueState, Sight, checked, mapped, number, text
from sentinel.samplers.queues.fleet import Fleet, Presence

__all__ = ["StreamQueue", "Taskiq"]

_DEAD_AFTER: Seconds = 10.0
_TASKIQ_BLOCK: Seconds = 2.0


@dataclass(frozen=True)
class StreamQueue:
    """A consumer group on a stream: depth is what it has not been given, in flight what it has not acknowledged.

    Where the server cannot tell the lag (before 7.0, or after XDEL) the stream's length stands in.
    """

    offers: ClassVar[Offers] = Offers(failures="no", heartbeat="estimate")
    needs: ClassVar[tuple[str, ...]] = ("xlen", "xinfo|groups", "xinfo|consumers", "xrange")
    telling: ClassVar[str] = ""

    key: str
    group: str
    name: str = ""
    """As in `queue_depth{queue="…"}`; without it, the key."""
    db: int | None = None
    """Where it is; without it, the target's own."""
    block: Seconds = 0.0
    """BLOCK of XREADGROUP, after which a consumer asks again; 0 where it may be silent for long: no heartbeats then."""

    def follower(self) -> _Stream:
        """Knows nothing yet."""
        return _Stream("stream", self.key, self.group, self.name or self.key, self.block)


@dataclass(frozen=True)
class Taskiq:
    """A stream of taskiq's RedisStreamBroker; the queue of its list broker is a plain list."""

    offers: ClassVar[Offers] = Offers(failures="no", heartbeat="estimate")
    needs: ClassVar[tuple[str, ...]] = ("type", "xlen", "xinfo|groups", "xinfo|consumers", "xrange")
    telling: ClassVar[str] = ""

    db: int | None = None
    """Where it is; without it, the target's own."""
    queue: str = "taskiq"
    """`queue_name`."""
    group: str = "taskiq"
    """`consumer_group_name`."""

    def follower(self) -> _Stream:
        """Knows nothing yet."""
        return _Stream("taskiq", self.queue, self.group, self.queue, _TASKIQ_BLOCK, found=False)


@dataclass
class _Stream:
    system: str
    key: str
    group: str
    name: str
    block: Seconds
    found: bool = True
    """Whether it is there, or named to be."""
    listens: tuple[str, ...] = field(default=(), init=False)
    _fleet: Fleet = field(init=False)
    _presence: Presence = field(init=False)
    _hanging: set[str] = field(default_factory=set, init=False)
    """By the last list of connections: later than that, it says nothing of who has been busy since."""

    def __post_init__(self) -> None:
        self._fleet = Fleet(self.system, max(_DEAD_AFTER, 3 * self.block))
        self._presence = Presence(self._fleet, self.block)

    @property
    def queues(self) -> tuple[str, ...]:
        return (self.name,) if self.found else ()

    @property
    def workers(self) -> int:
        return len(self._fleet)

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,)

    def discover(self, sight: Sight) -> Asking[None]:
        """A stream that has the group is found; a named one is there without."""
        if not self.found:
            (kind,) = yield (("TYPE", self.key),)
            if text(kind) == "stream":
                (groups,) = yield (("XINFO", "GROUPS", self.key),)
                self.found = bool(self._group(groups))
        sight.room.take(self.queues)

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """Its depth, what is in flight, and the consumers; a group that is not there has been given nothing."""
        if not self.found:
            return []
        key = self.key
        length, groups, consumers = yield (
            ("XLEN", key),
            ("XINFO", "GROUPS", key),
            ("XINFO", "CONSUMERS", key, self.group),
        )
        size = checked(length, key)
        if isinstance(groups, RedisError) and "no such key" not in str(groups):
            checked(groups, key)
        group = self._group(groups)
        lag, pending = number(group.get("lag")), number(group.get("pending")) or 0.0
        depth = size if lag is None else min(lag, size)
        oldest = yield from self._oldest(text(group.get("last-delivered-id")) or "0-0", depth)
        given = number(group.get("entries-read"))
        state = QueueState(
            depth=depth,
            eligible=depth,
            oldest_age_seconds=None if oldest is None else max(0.0, sight.clock - oldest) if depth else 0.0,
            in_flight=pending,
            consumers=number(group.get("consumers")),
            completed_total=None if given is None else max(0.0, given - pending),
        )
        samples = list(state.samples(self.queues[0] + sight.place, self.system, sight.now))
        return [*samples, *self._consumers(consumers, depth, sight)]

    def _oldest(self, last: str, depth: float) -> Asking[float | None]:
        """When the first entry that nobody was given was added."""
        if not depth:
            return 0.0
        (entries,) = yield (("XRANGE", self.key, _after(last), "+", "COUNT", 1),)
        first = entries[0] if isinstance(entries, list) and entries else [b""]
        found = number(text(first[0]).partition("-")[0])
        return None if found is None else found / 1000

    def _consumers(self, reply: Reply, depth: float, sight: Sight) -> Iterator[Sample]:
        """Names outlive consumers; what tells is connections, of which those seen last have the liveliest.

        One without a connection was stopped, unless it left work or work waits; of one that was never seen with one,
        nothing is known: it is long gone, or has been busy since before we looked. One whose connection has been silent
        for longer than it ever waits hangs, unless it has work.
        """
        if not self.block or sight.listed is None:
            return
        group = f"{self.system}:{self.name}{sight.place}"
        rows = [mapped(row) for row in (reply if isinstance(reply, list) else [])]
        rows.sort(key=lambda row: number(row.get("idle")) or 0.0)
        own = self._presence.recognized(sight.clients, lambda client: client.cmd == "xreadgroup")
        quiet = sorted(0 if client.blocked else client.idle for client in own.values())
        for place, about in enumerate(rows):
            worker, pending = text(about.get("name")), number(about.get("pending")) or 0.0
            silent, connected = (number(about.get("idle")) or 0.0) / 1000, place < len(quiet)
            if not connected and (worker not in self._fleet or (not pending and not depth)):
                self._fleet.leave(worker, sight.clock)
                continue
            if sight.listed == sight.clock:
                still = connected and not pending and min(silent, quiet[place]) > self._fleet.dead_after
                (self._hanging.add if still else self._hanging.discard)(worker)
            hangs = worker in self._hanging and connected and not pending and silent > self._fleet.dead_after
            at = sight.clock - silent if not connected else sight.listed - quiet[place] if hangs else sight.clock
            self._fleet.beat(worker, group, at, sight.clock, busy=pending)
        yield from self._fleet.samples(sight.now, sight.clock)

    def _group(self, reply: Reply) -> dict[str, bytes]:
        groups = (mapped(row) for row in (reply if isinstance(reply, list) else []))
        return next((group for group in groups if text(group.get("name")) == self.group), {})


def _after(entry: str) -> str:
    """The id that follows; exclusive ranges came with 6.2.

    >>> _after("1764000000000-7")
    '1764000000000-8'
    """
    milliseconds, _, sequence = entry.partition("-")
    return f"{milliseconds}-{int(sequence or 0) + 1}"
