"""Lists as queues: LPUSH and RPOP, or BLMOVE.

Knows LLEN. Must not know what a job looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sentinel.model import Sample
from sentinel.samplers.base import Command, Reply, sample
from sentinel.samplers.queues.base import checked

__all__ = ["ListQueue"]


@dataclass(frozen=True)
class ListQueue:
    """A list; its depth is its length. An absent key is an empty queue."""

    key: str
    name: str = ""
    """As in `queue_depth{queue="…"}`; without it, the key."""

    def commands(self, clock: float) -> tuple[Command, ...]:
        """LLEN."""
        return (("LLEN", self.key),)

    def read(self, replies: Sequence[Reply], now: float) -> list[Sample]:
        """Its depth."""
        return [sample("queue_depth", now, checked(replies[0], self.key), queue=self.name or self.key)]
