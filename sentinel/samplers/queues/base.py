"""What a kind of queue is.

Knows how a queue asks and reads. Must not know other queues, nor when a depth is too deep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from redis.exceptions import RedisError

from sentinel.model import Sample
from sentinel.samplers.base import Command, Reply, refusal

__all__ = ["Queue", "checked"]


class Queue(Protocol):
    """One queue of one target. A frozen dataclass whose fields are its settings, one line in `BY_NAME`."""

    @property
    def key(self) -> str:
        """Where it is."""

    @property
    def name(self) -> str:
        """As in `queue_depth{queue="…"}`; without it, the key."""

    def commands(self, clock: float) -> tuple[Command, ...]:
        """What to ask; `clock` is the server's own time."""

    def read(self, replies: Sequence[Reply], now: float) -> list[Sample]:
        """Samples from the replies to its commands, in order.

        Raises:
            SamplerError: the server refused or the key is of another type; the text names the key.
        """


def checked(reply: Reply, key: str) -> float:
    """A number of a reply.

    Raises:
        SamplerError: it is an error.
    """
    if isinstance(reply, RedisError):
        raise refusal(reply, key)
    return float(reply)
