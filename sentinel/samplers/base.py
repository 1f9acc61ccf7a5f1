"""What a sampler is, and the names of everything that samplers say.

A sampler asks one source for samples at an interval. It knows a protocol and the shape of one source; it must
not judge, wait, retry or keep history beyond what telling two readings apart needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from sentinel.model import Labels, Sample, Series

__all__ = ["Command", "Reader", "Reply", "Sampler", "SamplerError", "sample"]

Command = tuple[str | bytes | int | float, ...]
Reply = Any
"""What redis-py gives for a RESP2 reply: bytes, int, list, None, or a ResponseError instance in its place."""


class SamplerError(Exception):
    """A source could not be asked or answered. `reason` is one word for labels, the text says what to do.

    Reasons: `refused` (nobody listens), `full` (max number of clients), `reset`, `timeout`, `auth`, `noperm`,
    `tls`, `loading`, `not_redis`, `protocol`, `dns`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Reader(Protocol):
    """A way to ask the target: sends commands as one pipeline on a seat, gives the replies in order."""

    async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
        """Replies in order; an error reply is a `ResponseError` in its place.

        Raises:
            SamplerError: the connection failed; the seat is then opened anew before the next call.
        """


class Sampler(Protocol):
    """One source of one target. A dataclass whose fields are its settings, one line in `BY_NAME`."""

    name: ClassVar[str]
    """As in `sampler_up{sampler="…"}`."""
    commands: ClassVar[tuple[str, ...]]
    """ACL names of the commands that it needs, such as `info` or `client|list`."""

    async def sample(self, reader: Reader, now: float) -> Sequence[Sample]:
        """Samples at `now`. Never raises on odd replies: what it cannot read it leaves out.

        Raises:
            SamplerError: nothing could be read.
        """


def sample(metric: str, time: float, value: float, exemplar: Labels | None = None, **labels: str) -> Sample:
    """A sample, spelled briefly."""
    return Sample(Series(metric, tuple(sorted(labels.items()))), time, value, exemplar)
