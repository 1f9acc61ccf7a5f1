"""Sorted sets as queues, by priority or by the time when a job is due.

Knows ZCARD and ZCOUNT. Must not know what a job looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sentinel.model import Sample
from sentinel.samplers.base import Command, Reply, sample
from sentinel.samplers.queues.base import checked

__all__ = ["ZsetQueue"]


@dataclass(frozen=True)
class ZsetQueue:
    """A sorted set. With `scores: time` members scored in the future, in Unix seconds, are delayed, not waiting."""

    key: str
    name: str = ""
    """As in `queue_depth{queue="…"}`; without it, the key."""
    scores: Literal["none", "time"] = "none"

    def commands(self, clock: float) -> tuple[Command, ...]:
        """ZCARD, and where scores are times ZCOUNT of those that are due."""
        due: tuple[Command, ...] = (("ZCOUNT", self.key, "-inf", repr(clock)),) if self.scores == "time" else ()
        return (("ZCARD", self.key), *due)

    def read(self, replies: Sequence[Reply], now: float) -> list[Sample]:
        """Its depth, and how many are delayed."""
        name, numbers = self.name or self.key, [checked(reply, self.key) for reply in replies]
        samples = [sample("queue_depth", now, numbers[-1], queue=name)]
        if self.scores == "time":
            samples.append(sample("queue_delayed", now, max(0.0, numbers[0] - numbers[1]), queue=name))
        return samples
