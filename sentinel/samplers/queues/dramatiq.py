"""dramatiq: lists of message ids, hashes of messages, and one sorted set of everybody's last beat.

Producers beat, too, and fall silent when they have nothing to say. Who has had messages to acknowledge is a worker; it
is lost if it is silent while it has some still. There is no registry of queues: `default` is found, others are named
in YAML.

Verified on dramatiq 2.2.1. Source: reference/queues.md section 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Sample, Seconds
from sentinel.samplers.base import Command, Reply
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
    mapped,
    number,
    numbers,
    parts,
    text,
)
from sentinel.samplers.queues.fleet import Fleet

__all__ = ["Dramatiq", "stamp_of"]

_DEAD_AFTER: Seconds = 60.0
_QUIET: Seconds = 20.0
"""A worker beats every second or so; one that is silent for so long and owes nothing has stopped."""
_MOST = 200
"""Beating members that are looked at: those that beat last."""


@dataclass(frozen=True)
class Dramatiq:
    """Queues and workers of dramatiq in one database."""

    offers: ClassVar[Offers] = Offers(progress="no")
    needs: ClassVar[tuple[str, ...]] = ("exists", "llen", "hlen", "lindex", "zcard", "zrange", "scard", "hget")
    telling: ClassVar[str] = r"[^:]+:.+\.msgs"

    db: int | None = None
    """Where it is; without it, the target's own."""
    namespace: str = "dramatiq"
    queues: tuple[str, ...] = ("default",)

    def follower(self) -> _Dramatiq:
        """Knows no queue yet."""
        return _Dramatiq(self.namespace, self.queues)


@dataclass
class _Dramatiq:
    namespace: str
    named: tuple[str, ...]
    queues: tuple[str, ...] = field(default=(), init=False)
    listens: tuple[str, ...] = field(default=(), init=False)
    _fleet: Fleet = field(default_factory=lambda: Fleet("dramatiq", _DEAD_AFTER), init=False)
    _stamps: Stamps = field(default_factory=Stamps, init=False)
    _peeking: Peeking = field(default_factory=Peeking, init=False)
    _dead: dict[str, Rising] = field(default_factory=dict, init=False)

    @property
    def workers(self) -> int:
        return len(self._fleet)

    @property
    def keys(self) -> tuple[str, ...]:
        return (f"{self.namespace}:*",)

    def discover(self, sight: Sight) -> Asking[None]:
        """Its beats say that it is there; a scan tells the names of its queues."""
        (there,) = yield (("EXISTS", f"{self.namespace}:__heartbeats__"),)
        pattern = re.compile(rf"{re.escape(self.namespace)}:(.+?)(\.DQ)?\.msgs")
        scanned = {found[1] for key in sight.scanned if (found := pattern.fullmatch(key))}
        if number(there) or self.queues:
            self.queues = sight.room.take({*self.named, *scanned, *self.queues})

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """Sizes and beats, then stamps, and what each has still to acknowledge."""
        if not self.queues:
            return list(self._fleet.samples(sight.now, sight.clock))
        sized = [command for queue in self.queues for command in self._sizes(queue)]
        beats, *replies = yield (("ZRANGE", f"{self.namespace}:__heartbeats__", -_MOST, -1, "WITHSCORES"), *sized)
        sizes = dict(zip(self.queues, parts(replies, 5), strict=True))
        heads = {queue: head for queue, each in sizes.items() if (head := text(each[1]))}
        missing = [each for each in self._stamps.missing(heads) if self._peeking.may(each[0], sight.clock)]
        beaten = {member: at / 1000 for member, score in mapped(beats).items() if (at := number(score)) is not None}
        asked: list[Command] = [("HGET", f"{self.namespace}:{queue}.msgs", job) for queue, job in missing]
        asked += [
            ("SCARD", f"{self.namespace}:__acks__.{member}.{queue}") for member in beaten for queue in self.queues
        ]
        found = (yield asked) if asked else []
        for (queue, job), message in zip(missing, found, strict=False):
            self._peeking.fetched(queue, message, sight.clock)
            self._stamps.learn(queue, job, stamp_of(message))
        self._meet(beaten, parts(numbers(found[len(missing) :]), len(self.queues)), sight)
        told = [sample for queue, each in sizes.items() for sample in self._told(queue, each, sight)]
        return [*told, *self._fleet.samples(sight.now, sight.clock)]

    def _sizes(self, queue: str) -> tuple[Command, ...]:
        key = f"{self.namespace}:{queue}"
        return (
            ("LLEN", key),
            ("LINDEX", key, 0),
            ("HLEN", f"{key}.msgs"),
            ("HLEN", f"{key}.DQ.msgs"),
            ("ZCARD", f"{key}.XQ"),
        )

    def _told(self, queue: str, replies: Sequence[Reply], sight: Sight) -> Iterator[Sample]:
        depth = checked(replies[0], f"{self.namespace}:{queue}")
        messages, delayed, buried = numbers(replies[2:])
        state = QueueState(
            depth=depth,
            eligible=depth,
            oldest_age_seconds=self._stamps.age(queue, sight.clock) if depth else 0.0,
            in_flight=messages - depth,
            delayed=delayed,
            dead_total=self._dead.setdefault(queue, Rising()).to(buried),
        )
        yield from state.samples(queue + sight.place, "dramatiq", sight.now)

    def _meet(self, beaten: Mapping[str, float], held: Sequence[Sequence[float]], sight: Sight) -> None:
        for (member, at), counts in zip(beaten.items(), held, strict=True):
            busy = sum(counts)
            if not busy and member not in self._fleet:
                continue
            if not busy and sight.clock - at > _QUIET:
                self._fleet.leave(member, sight.clock)
            else:
                self._fleet.beat(member, f"dramatiq{sight.place}", at, sight.clock, busy=busy)


_STAMP = re.compile(rb'"(requeue_timestamp|message_timestamp)":\s*(\d{1,16})')


def stamp_of(message: Reply) -> float | None:
    """When a message was enqueued, or enqueued again; of the message nothing else is looked at.

    >>> stamp_of(b'{"args":[],"options":{},"message_timestamp":1795508470895}')
    1795508470.895
    """
    found = _STAMP.findall(message) if isinstance(message, bytes) else []
    stamps = {name: epoch(stamp) for name, stamp in found}
    return stamps.get(b"requeue_timestamp") or stamps.get(b"message_timestamp")
