"""asynq: fixed keys with the queue in braces, counters of its own, and a lease for each task in flight.

From the layout of keys in the source of asynq 0.26, not from running it. Source: reference/queues.md section 1.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    mapped,
    number,
    numbers,
    parts,
    text,
    texts,
)
from sentinel.samplers.queues.fleet import Fleet

__all__ = ["Asynq"]

_LEASE: Seconds = 10.0
"""By which a server's score is ahead of its beat; it beats every 5 s."""
_SERVERS = "asynq:servers"


@dataclass(frozen=True)
class Asynq:
    """Queues and servers of asynq in one database."""

    offers: ClassVar[Offers] = Offers()
    telling: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = (
        "smembers",
        "zrange",
        "llen",
        "lindex",
        "zcard",
        "zcount",
        "exists",
        "get",
        "hget",
    )

    db: int | None = None
    """Where it is; without it, the target's own."""

    def follower(self) -> _Asynq:
        """Knows no queue yet."""
        return _Asynq()


@dataclass
class _Asynq:
    queues: tuple[str, ...] = field(default=(), init=False)
    listens: tuple[str, ...] = field(default=(), init=False)
    keys: tuple[str, ...] = field(default=("asynq:*",), init=False)
    _fleet: Fleet = field(default_factory=lambda: Fleet("asynq", _LEASE), init=False)
    _stamps: Stamps = field(default_factory=Stamps, init=False)
    _dead: dict[str, Rising] = field(default_factory=dict, init=False)

    @property
    def workers(self) -> int:
        return len(self._fleet)

    def discover(self, sight: Sight) -> Asking[None]:
        """Its registry."""
        (queues,) = yield (("SMEMBERS", "asynq:queues"),)
        self.queues = sight.room.take(texts(queues))

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """Servers and sizes, then the stamps of tasks that are new at the heads."""
        if not self.queues:
            return list(self._fleet.samples(sight.now, sight.clock))
        sized = [command for queue in self.queues for command in _sizes(queue, sight.clock)]
        servers, *replies = yield (("ZRANGE", _SERVERS, 0, -1, "WITHSCORES"), *sized)
        sizes = dict(zip(self.queues, parts(replies, 10), strict=True))
        heads = {queue: head for queue, each in sizes.items() if (head := text(each[1]))}
        missing = self._stamps.missing(heads)
        asked: list[Command] = [("HGET", _key(queue, f"t:{task}"), "pending_since") for queue, task in missing]
        for (queue, task), stamp in zip(missing, (yield asked) if asked else [], strict=True):
            self._stamps.learn(queue, task, epoch(stamp))
        self._meet(servers, sight)
        told = [sample for queue, each in sizes.items() for sample in self._told(queue, each, sight)]
        return [*told, *self._fleet.samples(sight.now, sight.clock)]

    def _told(self, queue: str, replies: Sequence[Reply], sight: Sight) -> list[Sample]:
        depth = checked(replies[0], _key(queue, "pending"))
        active, scheduled, retry, archived, expired, paused, processed, failed = numbers(replies[2:])
        state = QueueState(
            depth=depth,
            eligible=depth,
            oldest_age_seconds=self._stamps.age(queue, sight.clock) if depth else 0.0,
            in_flight=active,
            abandoned=expired,
            delayed=scheduled + retry,
            paused=paused,
            completed_total=processed,
            failed_total=failed,
            dead_total=self._dead.setdefault(queue, Rising()).to(archived),
        )
        return list(state.samples(queue + sight.place, "asynq", sight.now))

    def _meet(self, servers: Reply, sight: Sight) -> None:
        """A server that stops in order takes itself off the list."""
        expiries = {server.removeprefix(f"{_SERVERS}:").strip("{}"): at for server, at in mapped(servers).items()}
        self._fleet.keep(expiries, sight.clock)
        for server, expiry in expiries.items():
            at = number(expiry)
            if at is not None:
                self._fleet.beat(server, f"asynq{sight.place}", at - _LEASE, sight.clock)


def _key(queue: str, part: str) -> str:
    return f"asynq:{{{queue}}}:{part}"


def _sizes(queue: str, clock: float) -> tuple[Command, ...]:
    return (
        ("LLEN", _key(queue, "pending")),
        ("LINDEX", _key(queue, "pending"), -1),
        ("LLEN", _key(queue, "active")),
        ("ZCARD", _key(queue, "scheduled")),
        ("ZCARD", _key(queue, "retry")),
        ("ZCARD", _key(queue, "archived")),
        ("ZCOUNT", _key(queue, "lease"), "-inf", int(clock)),
        ("EXISTS", _key(queue, "paused")),
        ("GET", _key(queue, "processed")),
        ("GET", _key(queue, "failed")),
    )
