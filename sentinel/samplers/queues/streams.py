"""Streams read by a consumer group.

Knows XLEN and XINFO GROUPS. Must not know what an entry holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from redis.exceptions import RedisError

from sentinel.model import Sample
from sentinel.samplers.base import Command, Reply, sample
from sentinel.samplers.queues.base import checked

__all__ = ["StreamQueue"]


@dataclass(frozen=True)
class StreamQueue:
    """A consumer group on a stream: depth is what it has not been given, in flight what it has not acknowledged.

    Where the server cannot tell the lag (before 7.0, or after XDEL) the stream's length stands in.
    """

    key: str
    group: str
    name: str = ""
    """As in `queue_depth{queue="…"}`; without it, the key."""

    def commands(self, clock: float) -> tuple[Command, ...]:
        """XLEN and XINFO GROUPS."""
        return (("XLEN", self.key), ("XINFO", "GROUPS", self.key))

    def read(self, replies: Sequence[Reply], now: float) -> list[Sample]:
        """Its depth and what is in flight; a group that is not there has been given nothing."""
        name, length = self.name or self.key, checked(replies[0], self.key)
        if isinstance(replies[1], RedisError) and "no such key" not in str(replies[1]):
            checked(replies[1], self.key)
        group = self._group(replies[1])
        lag = group.get(b"lag")
        depth = length if lag is None else min(float(lag), length)
        return [
            sample("queue_depth", now, depth, queue=name),
            sample("queue_in_flight", now, float(group.get(b"pending") or 0), queue=name),
        ]

    def _group(self, reply: Reply) -> dict[bytes, Reply]:
        rows = reply if isinstance(reply, list) else []
        groups = (dict(zip(row[::2], row[1::2], strict=False)) for row in rows)
        return next((group for group in groups if group.get(b"name") == self.group.encode()), {})
