"""Sorted sets as queues, by priority or by the time when a job is due.

Knows ZCARD, ZCOUNT and ZRANGE. Must not know what a job looks like.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from sentinel.model import Sample
from sentinel.samplers.base import Command
from sentinel.samplers.queues.base import Asking, Offers, QueueState, Sight, checked, number

__all__ = ["ZsetQueue"]


@dataclass(frozen=True)
class ZsetQueue:
    """A sorted set. With `scores: time` members scored in the future, in Unix seconds, are delayed, not waiting."""

    offers: ClassVar[Offers] = Offers("yes", "yes", "yes", "no", "no", "no", "no")
    needs: ClassVar[tuple[str, ...]] = ("zcard", "zcount", "zrange")
    telling: ClassVar[str] = ""

    key: str
    name: str = ""
    """As in `queue_depth{queue="…"}`; without it, the key."""
    db: int | None = None
    """Where it is; without it, the target's own."""
    scores: Literal["none", "time"] = "none"

    def follower(self) -> _Zset:
        """Knows nothing yet."""
        return _Zset(self)


@dataclass
class _Zset:
    settings: ZsetQueue
    listens: tuple[str, ...] = field(default=(), init=False)
    workers: int = field(default=0, init=False)

    @property
    def queues(self) -> tuple[str, ...]:
        return (self.settings.name or self.settings.key,)

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.settings.key,)

    def discover(self, sight: Sight) -> Asking[None]:
        """Nothing: it is named."""
        sight.room.take(self.queues)
        yield from ()

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """Its size; where scores are times also what is due, and since when the first is."""
        key, timed = self.settings.key, self.settings.scores == "time"
        due: tuple[Command, ...] = (("ZCOUNT", key, "-inf", repr(sight.clock)), ("ZRANGE", key, 0, 0, "WITHSCORES"))
        size, *more = yield (("ZCARD", key), *(due if timed else ()))
        state = QueueState(depth=checked(size, key))
        if timed:
            eligible = checked(more[0], key)
            first = number(more[1][1]) if isinstance(more[1], list) and len(more[1]) == 2 else None
            state.depth, state.eligible = eligible, eligible
            state.delayed = checked(size, key) - eligible
            state.oldest_age_seconds = max(0.0, sight.clock - first) if eligible and first is not None else 0.0
        return list(state.samples(self.queues[0] + sight.place, "zset", sight.now))
