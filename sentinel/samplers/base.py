"""What a sampler is, and the names of everything that samplers say.

A sampler asks one source for samples at an interval. It knows a protocol and the shape of one source; it must
not judge, wait, retry or keep history beyond what telling two readings apart needs.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from redis.exceptions import AuthenticationError, RedisError

from sentinel.model import Labels, Sample, Seconds, Series

__all__ = ["Client", "Command", "Reader", "Reply", "Sampler", "SamplerError", "Vitals", "refusal", "sample"]

Command = tuple[str | bytes | int | float, ...]
Reply = Any
"""What hiredis gives for a RESP2 reply: bytes, int, list, None, or a ResponseError instance in its place."""


class SamplerError(Exception):
    """A source could not be asked or answered. `reason` is one word for labels, the text says what to do.

    Reasons: `refused` (nobody listens), `full` (max number of clients), `reset`, `timeout`, `auth`, `noperm`,
    `tls`, `loading`, `busy` (a script runs), `not_redis`, `protocol`, `dns`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


_CODES = {
    "WRONGPASS": ("auth", "wrong user name or password"),
    "NOAUTH": ("auth", "a password is required: give it in the URL or as `password`"),
    "DENIED": ("auth", "the server is in protected mode: give it a password or a bind address"),
    "NOPERM": ("noperm", "not permitted"),
    "LOADING": ("loading", "the server is loading its data"),
    "MASTERDOWN": ("loading", "the replica has no link to its master"),
    "BUSY": ("busy", "the server is held up by a script"),
}


def refusal(error: RedisError, what: str) -> SamplerError:
    """The SamplerError that an error reply amounts to; `what` was asked: a command, or a key's name.

    >>> refusal(RedisError("NOPERM User x has no permissions to run the 'info' command"), "INFO").reason
    'noperm'
    """
    code, _, text = str(error).partition(" ")
    if code == "ERR" and text.startswith("max number of clients"):
        return SamplerError("full", "max number of clients reached: it refuses every new connection")
    if code not in _CODES:
        known = isinstance(error, AuthenticationError)
        return SamplerError("auth" if known else "protocol", f"{what}: {error}")
    reason, meaning = _CODES[code]
    return SamplerError(reason, f"{what}: {meaning}" + (f" ({text})" if reason == "noperm" else ""))


class Reader(Protocol):
    """A way to ask the target: sends commands as one pipeline on a seat, gives the replies in order."""

    async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
        """Replies in order; an error reply is a `ResponseError` in its place.

        Raises:
            SamplerError: the connection failed; the seat is then opened anew before the next call.
        """


class Client(NamedTuple):
    """One connection, as CLIENT LIST showed it."""

    id: int
    addr: str
    name: str
    age: int
    """Seconds since it was opened."""
    idle: int
    """Seconds since its last command."""
    blocked: bool
    """Whether it waits in a command such as BRPOP."""
    db: int
    cmd: str
    """The last command, in small letters."""


@dataclass(slots=True)
class Vitals:
    """What INFO said last, for the other samplers of the same target: they adapt to it, and ask it no more.

    None: not read yet.
    """

    phase: float = 0.0
    """Part of an interval, 0 to 1: see `begun`."""
    run_id: str | None = None
    connected: float | None = None
    received: float | None = None
    rejected: float | None = None
    output_buffer: float | None = None
    """Bytes of the largest output buffer of late."""
    valkey: bool = False
    version: tuple[int, ...] = ()
    own_ids: frozenset[int] = frozenset()
    """Client ids of our seats."""
    client_names: frozenset[str] = frozenset()
    """Names that the census saw last."""
    clients: tuple[Client, ...] = ()
    """Connections that it saw last, a bounded number; first those that are named or may wait for jobs."""
    listed: float | None = None
    """When that was, as the `now` of the poll."""
    list_bytes: int = 0
    """Length of that reply: for a while the server tells it as an output buffer, ours."""

    def begun(self, before: float | None, now: float, interval: Seconds) -> float:
        """From when the interval counts after which something rare, that is done now, is done again.

        That is now, but the first time (`before` is None) earlier by this target's own part of the interval: targets
        that began together shall not do it together for ever.

        >>> Vitals(phase=0.25).begun(None, 1000.0, 60.0), Vitals(phase=0.25).begun(985.0, 1045.0, 60.0)
        (985.0, 1045.0)
        """
        return now - self.phase * interval if before is None else now


class Sampler(Protocol):
    """One source of one target. A dataclass whose fields are its settings, one line in `BY_NAME`."""

    name: ClassVar[str]
    """As in `sampler_up{sampler="…"}`."""

    @property
    def commands(self) -> tuple[str, ...]:
        """ACL names of the commands that it needs, such as `info` or `client|list`. May be a class attribute."""

    async def sample(self, reader: Reader, now: float) -> Sequence[Sample]:
        """Samples at `now`. Never raises on odd replies: what it cannot read it leaves out.

        Raises:
            SamplerError: nothing could be read.
        """


def sample(metric: str, time: float, value: float, exemplar: Labels | None = None, **labels: str) -> Sample:
    """A sample, spelled briefly."""
    return Sample(_series(metric, tuple(labels.items())), time, value, exemplar)


@functools.lru_cache(maxsize=16_384)
def _series(metric: str, pairs: tuple[tuple[str, str], ...]) -> Series:
    """Kept, as the same are spelled at each poll, and shared by all targets."""
    return Series(metric, tuple(sorted(pairs)))
