"""Lists as queues: LPUSH and RPOP, or BLMOVE.

Knows LLEN and LINDEX. Must not know what a job looks like: of the next one only a hash is kept, to see whether it is
still the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from sentinel.model import Sample
from sentinel.samplers.queues.ageing import Ageing, Peeking
from sentinel.samplers.queues.base import Asking, Offers, QueueState, Sight, checked

__all__ = ["ListQueue"]


@dataclass(frozen=True)
class ListQueue:
    """A list; its depth is its length. An absent key is an empty queue."""

    offers: ClassVar[Offers] = Offers("yes", "no", "estimate", "no", "no", "no", "no")
    needs: ClassVar[tuple[str, ...]] = ("llen", "lindex")
    telling: ClassVar[str] = ""

    key: str
    name: str = ""
    """As in `queue_depth{queue="…"}`; without it, the key."""
    db: int | None = None
    """Where it is; without it, the target's own."""
    take: Literal["right", "left"] = "right"
    """The end from which jobs are taken."""

    def follower(self) -> _List:
        """Knows nothing yet."""
        return _List(self)


@dataclass
class _List:
    settings: ListQueue
    listens: tuple[str, ...] = field(default=(), init=False)
    workers: int = field(default=0, init=False)
    _ageing: Ageing = field(default_factory=lambda: Ageing(unique=False), init=False)
    _peeking: Peeking = field(default_factory=Peeking, init=False)

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
        """Its depth, and its next job if it may be looked at."""
        key, clock = self.settings.key, sight.clock
        next_job = ("LINDEX", key, -1 if self.settings.take == "right" else 0)
        length, *fetched = yield (("LLEN", key), *([next_job] if self._peeking.may(key, clock) else []))
        depth = checked(length, key)
        head = self._peeking.fetched(key, fetched[0], clock) if fetched else None
        age = self._ageing.age(depth, head, clock)
        state = QueueState(depth=depth, oldest_age_seconds=age, estimate=True)
        return list(state.samples(self.queues[0] + sight.place, "list", sight.now))
