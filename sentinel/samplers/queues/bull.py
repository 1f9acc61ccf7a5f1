"""BullMQ and its forerunner Bull: one layout of keys, of which Bull has fewer.

There is no registry of queues and no heartbeat. Queues are known by their workers' connections, which are named after
them, and stay known as long as their keys exist. A worker is alive while its connection is; it hangs when that has
shown no command for longer than a blocking call lasts, unless jobs are worked on and their locks renewed.

Progress is the count of jobs ever created less those that are somewhere in the queue, so that it does not matter
whether finished jobs are kept. A due job that nobody has moved out of `delayed` counts as eligible: workers do that.

Verified on BullMQ 6.7.0 (Node) and 3.4.4 (Python), Bull 4.16.5. Source: reference/queues.md section 1.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Sample, Seconds
from sentinel.samplers.base import Command, Reply
from sentinel.samplers.queues.base import (
    Asking,
    Offers,
    QueueState,
    Rising,
    Sight,
    Stamps,
    checked,
    epoch,
    fields_of,
    number,
    numbers,
    parts,
    text,
    texts,
)
from sentinel.samplers.queues.fleet import Fleet, Presence, name_of

__all__ = ["Bull", "BullMq", "queue_of"]

_DEAD_AFTER: Seconds = 30.0
_QUIET: Seconds = 20.0
"""A blocking call ends after 5 s, up to 10 s."""
_LOCKS = 10
"""Of the jobs in flight, the longest taken ones, whose locks are looked at."""
_MARKER = "0:"
"""An id that begins so is no job: older versions wake workers by it."""
_DUE_SCALE = 4096
"""By which scores of `delayed` exceed milliseconds."""


@dataclass(frozen=True)
class _Settings:
    """What both have in common."""

    needs: ClassVar[tuple[str, ...]] = (
        "exists",
        "pubsub|channels",
        "llen",
        "zcard",
        "get",
        "hget",
        "lindex",
        "zrange",
        "lrange",
        "zcount",
        "hmget",
    )

    db: int | None = None
    """Where it is; without it, the target's own."""
    prefix: str = "bull"
    queues: tuple[str, ...] = ()
    """Beside those that connected workers are named after."""


@dataclass(frozen=True)
class BullMq(_Settings):
    """Queues and workers of BullMQ in one database."""

    offers: ClassVar[Offers] = Offers(in_flight="yes", heartbeat="estimate")
    telling: ClassVar[str] = r".+:meta"

    def follower(self) -> _Bull:
        """Knows no queue yet."""
        return _Bull("bullmq", self.prefix, self.queues)


@dataclass(frozen=True)
class Bull(_Settings):
    """Queues and workers of Bull in one database."""

    offers: ClassVar[Offers] = Offers(heartbeat="estimate")
    telling: ClassVar[str] = r".+:id"

    def follower(self) -> _Bull:
        """Knows no queue yet."""
        return _Bull("bull", self.prefix, self.queues)


@dataclass
class _Bull:
    system: str
    prefix: str
    named: tuple[str, ...]
    queues: tuple[str, ...] = field(default=(), init=False)
    listens: tuple[str, ...] = field(default=(), init=False)
    _fleet: Fleet = field(init=False)
    _presence: Presence = field(init=False)
    _stamps: Stamps = field(default_factory=Stamps, init=False)
    _done: dict[str, Rising] = field(default_factory=dict, init=False)
    _failed: dict[str, Rising] = field(default_factory=dict, init=False)
    _last: dict[str, tuple[float, ...]] = field(default_factory=dict, init=False)
    _looked: dict[str, float] = field(default_factory=dict, init=False)
    """Server's time of the last closer look."""

    def __post_init__(self) -> None:
        self._fleet = Fleet(self.system, _DEAD_AFTER)
        self._presence = Presence(self._fleet, _QUIET)

    @property
    def workers(self) -> int:
        return len(self._fleet)

    @property
    def keys(self) -> tuple[str, ...]:
        return (f"{self.prefix}:*",)

    def discover(self, sight: Sight) -> Asking[None]:
        """Names from connections, channels and a scan; kept is what has keys of this system."""
        (channels,) = yield (("PUBSUB", "CHANNELS", f"{self.prefix}:*:delayed"),)
        connected = {name for client in sight.clients if (name := queue_of(client.name, self.prefix))}
        keyed = {name for key in (*texts(channels), *sight.scanned) if (name := self._within(key))}
        names = sorted({*self.named, *self.queues, *connected, *keyed})
        if not names:
            return
        asked: list[Command] = [("HMGET", self._key(name, "meta"), "version", "opts.maxLenEvents") for name in names]
        asked += [("EXISTS", self._key(name, "id")) for name in names]
        replies = yield asked
        is_mq = {name for name, of_mq in zip(names, replies, strict=False) if of_mq not in ([None, None], None)}
        is_any = {name for name, there in zip(names, replies[len(names) :], strict=True) if there} | connected
        left = self.queues if len(self._fleet) else ()
        self.queues = sight.room.take({*self.named, *(is_mq if self.system == "bullmq" else {*is_any, *left} - is_mq)})
        self._done = {queue: self._done.get(queue) or Rising() for queue in self.queues}
        self._failed = {queue: self._failed.get(queue) or Rising() for queue in self.queues}

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """Sizes of all queues, then a closer look at those where something waits, runs or was added."""
        if not self.queues:
            return list(self._fleet.samples(sight.now, sight.clock))
        sized = [command for queue in self.queues for command in self._sizes(queue)]
        sizes = dict(zip(self.queues, parts((yield sized), 6), strict=True))
        for queue, replies in sizes.items():
            checked(replies[0], self._key(queue, "wait"))
        busy = [queue for queue in self.queues if self._stirs(queue, sizes[queue])]
        closer = {queue: self._closer(queue, sizes[queue], sight.clock) for queue in busy}
        rest = iter((yield [command for asked in closer.values() for command in asked.values()]) if closer else ())
        looks = {queue: {name: next(rest) for name in asked} for queue, asked in closer.items()}
        unlocked = yield from self._look_up(looks)
        samples: list[Sample] = []
        for queue in self.queues:
            samples += self._told(queue, sizes[queue], looks.get(queue, {}), unlocked.get(queue, 0), sight)
        return [*samples, *self._fleet.samples(sight.now, sight.clock)]

    def _key(self, queue: str, part: str) -> str:
        return f"{self.prefix}:{queue}:{part}"

    def _within(self, key: str) -> str:
        """The queue of a key or channel that every queue of these systems has; empty if it is none."""
        inner = key.removeprefix(f"{self.prefix}:")
        name, _, part = inner.rpartition(":")
        return name if inner != key and part in ("meta", "id", "delayed") else ""

    def _sizes(self, queue: str) -> tuple[Command, ...]:
        paused = ("HGET", self._key(queue, "meta"), "paused")
        return (
            ("LLEN", self._key(queue, "wait")),
            ("ZCARD", self._key(queue, "prioritized")),
            ("LLEN", self._key(queue, "active")),
            ("ZCARD", self._key(queue, "delayed")),
            ("GET", self._key(queue, "id")),
            paused if self.system == "bullmq" else ("EXISTS", self._key(queue, "meta-paused")),
        )

    def _stirs(self, queue: str, sizes: Sequence[Reply]) -> bool:
        """Whether there is more to see than at the last reading, or was then."""
        last, self._last[queue] = self._last.get(queue), tuple(numbers(sizes[:5]))
        return any(self._last[queue][:4]) or self._last[queue] != last

    def _closer(self, queue: str, sizes: Sequence[Reply], clock: float) -> dict[str, Command]:
        """What is worth asking, by what holds anything."""
        since, self._looked[queue] = self._looked.get(queue, clock), clock
        waiting, prioritized, active, delayed = self._last[queue][:4]
        asked: dict[str, Command] = {
            "kept": ("ZCARD", self._key(queue, "failed")),
            "failed": ("ZCOUNT", self._key(queue, "failed"), f"({int(since * 1000)}", "+inf"),
        }
        if waiting:
            asked["wait"] = ("LINDEX", self._key(queue, "wait"), -1)
        if prioritized:
            asked["prioritized"] = ("ZRANGE", self._key(queue, "prioritized"), 0, 0)
        if number(sizes[5]):
            asked["paused"] = ("LLEN", self._key(queue, "paused"))
        if delayed:
            asked["first"] = ("ZRANGE", self._key(queue, "delayed"), 0, 0, "WITHSCORES")
            asked["due"] = ("ZCOUNT", self._key(queue, "delayed"), "-inf", int(clock * 1000 * _DUE_SCALE))
        if active:
            asked["active"] = ("LRANGE", self._key(queue, "active"), -_LOCKS, -1)
        return asked

    def _look_up(self, looks: Mapping[str, Mapping[str, Reply]]) -> Asking[dict[str, int]]:
        """Learn the stamps of jobs that are new at the heads, and count jobs in flight that have no lock."""
        heads = {}
        for queue, look in looks.items():
            first = ("".join(texts(look.get("prioritized"))[:1]), text(look.get("wait")))
            for place, head in zip(("prioritized", "wait"), first, strict=True):
                if head and not head.startswith(_MARKER):
                    heads[f"{place}:{queue}"] = head
        missing = self._stamps.missing(heads)
        active = [(queue, job) for queue, look in looks.items() for job in texts(look.get("active"))]
        asked: list[Command] = [
            ("HMGET", self._key(place.partition(":")[2], job), "timestamp", "delay") for place, job in missing
        ]
        asked += [("EXISTS", self._key(queue, f"{job}:lock")) for queue, job in active]
        replies = (yield asked) if asked else []
        for (place, job), reply in zip(missing, replies, strict=False):
            created, delay = fields_of(reply, 2)
            stamp = epoch(created)
            self._stamps.learn(place, job, None if stamp is None else stamp + (number(delay) or 0.0) / 1000)
        unlocked: dict[str, int] = {}
        for (queue, _), locked in zip(active, replies[len(missing) :], strict=True):
            unlocked[queue] = unlocked.get(queue, 0) + (locked == 0)
        return unlocked

    def _told(
        self, queue: str, sizes: Sequence[Reply], look: Mapping[str, Reply], unlocked: int, sight: Sight
    ) -> list[Sample]:
        waiting, prioritized, active, delayed, created = numbers(sizes[:5])
        held, due = numbers(look.get(name) for name in ("paused", "due"))
        waiting += held - text(look.get("wait")).startswith(_MARKER)
        overdue = min(delayed, due)
        depth = waiting + prioritized + overdue
        self._count(queue, look)
        state = QueueState(
            depth=depth,
            eligible=depth,
            oldest_age_seconds=self._oldest(queue, look.get("first"), sight.clock) if depth else 0.0,
            in_flight=active,
            abandoned=unlocked,
            delayed=delayed - overdue,
            paused=bool(number(sizes[5])),
            consumers=self._workers(queue, needed=depth > 0 or unlocked > 0, busy=active > unlocked, sight=sight),
            enqueued_total=created,
            completed_total=self._done[queue].to(created - waiting - prioritized - active - delayed),
            failed_total=self._failed[queue].total,
        )
        return list(state.samples(queue + sight.place, self.system, sight.now))

    def _count(self, queue: str, look: Mapping[str, Reply]) -> None:
        """Failures by what is kept of them; where no more are kept, by the workers' clocks, which may miss some."""
        if look:
            kept, lately = numbers((look["kept"], look["failed"]))
            full = self._failed[queue].last == kept
            self._failed[queue].to(kept)
            self._failed[queue].total += lately if full else 0.0

    def _oldest(self, queue: str, first: Reply, clock: float) -> float | None:
        """Of what waits, by priority or not, and what is overdue; None if no stamp of it is known."""
        due = number(first[1]) if isinstance(first, list) and len(first) == 2 else None
        ages = [self._stamps.age(f"{place}:{queue}", clock) for place in ("wait", "prioritized")]
        ages += [clock - due / 1000 / _DUE_SCALE] if due is not None else []
        return max((age for age in ages if age is not None and age >= 0), default=None)

    def _workers(self, queue: str, *, needed: bool, busy: bool, sight: Sight) -> int | None:
        if sight.listed is None:
            return None
        names = names_of(queue, self.prefix)
        own = {
            name_of(client): client
            for client in sight.clients
            if client.name.split(":w:")[0] in names and client.cmd not in ("xread", "subscribe", "psubscribe")
        }
        group = f"{self.system}:{queue}{sight.place}"
        return self._presence.see(group, own, sight.listed, sight.clock, needed=needed, busy=busy)


def names_of(queue: str, prefix: str) -> tuple[str, str]:
    """The names of its workers' connections, of Node and of Python.

    >>> names_of("mails", "bull")
    ('bull:bWFpbHM=', 'bull:mails')
    """
    return f"{prefix}:{base64.b64encode(queue.encode()).decode()}", f"{prefix}:{queue}"


def queue_of(name: str, prefix: str) -> str:
    """The queue that a connection is named after; empty if it is none.

    >>> queue_of("bull:bWFpbHM=:w:mailer 7", "bull"), queue_of("bull:mails", "bull"), queue_of("web", "bull")
    ('mails', 'mails', '')
    """
    inner = name.removeprefix(f"{prefix}:")
    word = inner.split(":w:")[0].removesuffix(":qe")
    if inner == name or not word:
        return ""
    try:
        decoded = base64.b64decode(word, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return word
    return decoded if decoded.isprintable() and len(word) % 4 == 0 else word
