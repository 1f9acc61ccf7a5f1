"""Heartbeats: how long ago each worker of a group showed a sign of life.

All groups are asked in one pipeline with the server's TIME, so that no clock but the writers' and the server's
matters. HGETALL and ZRANGE are O(n); at most 2,000 workers a group are told of, the others are left out and that
is said.

Knows how workers leave their beats, and to tell signing off from running out. Must not know a group's rhythm, nor
when an age is too old.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from redis.exceptions import RedisError

from sentinel.model import Sample, Seconds
from sentinel.samplers.base import Command, Reader, Reply, SamplerError, refusal, sample

__all__ = ["BY_NAME", "HashHeartbeat", "Heartbeat", "Heartbeats", "KeyHeartbeat", "StreamHeartbeat", "ZsetHeartbeat"]

_MOST = 2000
_ENTRIES = 1000
_SLACK = 0.05
"""Seconds around its expiry within which a vanished key counts as run out: TIME and PTTL are not one command."""
_SKEW = 1.0
"""Seconds that a beat may lie ahead of the server's clock before that is told."""
_SECONDS = {"s": 1.0, "ms": 0.001}


class Beats(Protocol):
    """Reads one group, and remembers what it must from one reading to the next."""

    def commands(self) -> tuple[Command, ...]:
        """What to ask."""

    def ages(self, replies: Sequence[Reply], clock: float) -> dict[str, float]:
        """Seconds since the last beat, by worker; `clock` is the server's time."""

    def trouble(self) -> str:
        """What the last reading could not tell of, or nothing."""


class Heartbeat(Protocol):
    """One worker group. A frozen dataclass whose fields are its settings, one line in `BY_NAME`."""

    needs: ClassVar[tuple[str, ...]]
    """ACL names of the commands that it uses."""

    @property
    def group(self) -> str:
        """As in `heartbeat_age_seconds{group="…"}`."""

    @property
    def key(self) -> str:
        """Where the beats are."""

    def beats(self, names: Callable[[], Collection[str]]) -> Beats:
        """A reader of the group; `names` gives the names of the clients that are connected."""


@dataclass(frozen=True)
class KeyHeartbeat:
    """A key with a TTL for each worker, set anew at each beat.

    The age is the longest TTL seen of the group less what is left. A key that is gone before its time was deleted:
    the worker signed off. That cannot be told where the TTL is shorter than the target's interval.
    """

    needs: ClassVar[tuple[str, ...]] = ("pttl",)

    group: str
    key: str
    """One worker's key, or a pattern in which `{client}` stands for the name of a client seen connected."""
    clients: str = ""
    """A regular expression that the whole name of a client must match; empty for any name."""
    forget_after: Seconds = 3600.0
    """A worker that is lost for longer is not told of any more."""

    def __post_init__(self) -> None:
        try:
            re.compile(self.clients)
        except re.error as error:
            raise ValueError(f"`clients` of heartbeats {self.group} is no regular expression: {error}") from None

    def beats(self, names: Callable[[], Collection[str]]) -> Beats:
        """Remembers each worker until it signs off or is forgotten."""
        return _Expiring(self, names)


@dataclass(frozen=True)
class HashHeartbeat:
    """A hash with the time of the last beat by worker. A field that is removed signs off."""

    needs: ClassVar[tuple[str, ...]] = ("hgetall",)

    group: str
    key: str
    unit: Literal["s", "ms"] = "s"
    """Of the times, which are Unix times."""
    forget_after: Seconds = 3600.0
    """A worker that is lost for longer is not told of any more."""

    def beats(self, names: Callable[[], Collection[str]]) -> Beats:
        """Remembers nothing."""
        return _Table(("HGETALL", self.key), self.unit, self.forget_after)


@dataclass(frozen=True)
class ZsetHeartbeat:
    """A sorted set of workers scored by their last beat. A member that is removed signs off."""

    needs: ClassVar[tuple[str, ...]] = ("zrange",)

    group: str
    key: str
    unit: Literal["s", "ms"] = "s"
    """Of the scores, which are Unix times."""
    forget_after: Seconds = 3600.0
    """A worker that is lost for longer is not told of any more."""

    def beats(self, names: Callable[[], Collection[str]]) -> Beats:
        """Remembers nothing."""
        return _Table(("ZRANGE", self.key, 0, -1, "WITHSCORES"), self.unit, self.forget_after)


@dataclass(frozen=True)
class StreamHeartbeat:
    """A stream to which each worker adds an entry at each beat; the entry's id is its time.

    At most 1,000 entries are read at a poll, the newest of them first seen. Nothing tells that a worker signed off.
    """

    needs: ClassVar[tuple[str, ...]] = ("xrange", "xrevrange")

    group: str
    key: str
    field: str = "worker"
    """Of an entry, in which the worker's name is."""
    forget_after: Seconds = 3600.0
    """A worker that is lost for longer is not told of any more."""

    def beats(self, names: Callable[[], Collection[str]]) -> Beats:
        """Remembers each worker's last beat."""
        return _Added(self)


BY_NAME: Mapping[str, type[Heartbeat]] = {
    "key": KeyHeartbeat,
    "hash": HashHeartbeat,
    "zset": ZsetHeartbeat,
    "stream": StreamHeartbeat,
}


def _nobody() -> Collection[str]:
    return ()


@dataclass
class Heartbeats:
    """All worker groups of a target, in one pipeline with the server's TIME."""

    name: ClassVar[str] = "heartbeats"

    groups: tuple[Heartbeat, ...]
    names: Callable[[], Collection[str]] = field(default=_nobody, repr=False)
    """Names of the clients that are connected, as the last census saw them."""
    trouble: str = field(default="", init=False)
    """What the last sample had to leave out, and why; empty when all could be read."""

    def __post_init__(self) -> None:
        self._beats = [group.beats(self.names) for group in self.groups]

    @property
    def commands(self) -> tuple[str, ...]:
        """What these groups need, and no more."""
        return ("time", *sorted({need for group in self.groups for need in group.needs}))

    async def sample(self, reader: Reader, now: float) -> list[Sample]:
        """An age for each worker of every group that can be read.

        Raises:
            SamplerError: none could.
        """
        asked = [beats.commands() for beats in self._beats]
        time, *rest = await reader.ask(("TIME",), *(command for commands in asked for command in commands))
        if not isinstance(time, list):
            raise refusal(time, "TIME")
        clock, replies = int(time[0]) + int(time[1]) / 1e6, iter(rest)
        samples: list[Sample] = []
        errors: list[SamplerError] = []
        troubles: list[str] = []
        for group, beats, commands in zip(self.groups, self._beats, asked, strict=True):
            own = [next(replies) for _ in commands]
            if failed := next((reply for reply in own if isinstance(reply, RedisError)), None):
                errors.append(refusal(failed, group.key))
                continue
            for worker, age in beats.ages(own, clock).items():
                samples += _told(group.group, worker, age, now)
            troubles += [f"{group.key}: {text}"] if (text := beats.trouble()) else []
        self.trouble = "; ".join([*map(str, errors), *troubles])
        if len(errors) == len(self.groups) > 0:
            raise SamplerError(errors[0].reason, self.trouble)
        return samples


def _told(group: str, worker: str, age: float, now: float) -> Iterator[Sample]:
    yield sample("heartbeat_age_seconds", now, max(0.0, age), group=group, worker=worker)
    if age < -_SKEW:
        yield sample("worker_clock_skew_seconds", now, -age, group=group, worker=worker)


class _Table:
    """Workers and the times of their beats in one reply: member, time, member, time …"""

    def __init__(self, command: Command, unit: str, forget_after: Seconds) -> None:
        self._command, self._scale, self._forget_after = command, _SECONDS[unit], forget_after
        self._left_out = 0

    def commands(self) -> tuple[Command, ...]:
        return (self._command,)

    def ages(self, replies: Sequence[Reply], clock: float) -> dict[str, float]:
        flat = replies[0] if isinstance(replies[0], list) else []
        times = {_text(raw): _time(text) for raw, text in zip(flat[::2], flat[1::2], strict=False)}
        ages = {worker: clock - time * self._scale for worker, time in times.items() if time is not None}
        kept = sorted(worker for worker, age in ages.items() if age <= self._forget_after)
        self._left_out = max(0, len(kept) - _MOST)
        return {worker: ages[worker] for worker in kept[:_MOST]}

    def trouble(self) -> str:
        return _too_many(self._left_out)


class _Added:
    """Entries of a stream, from where the last reading ended."""

    def __init__(self, settings: StreamHeartbeat) -> None:
        self._settings = settings
        self._last = ""
        self._beaten: dict[str, float] = {}
        self._left_out = 0

    def commands(self) -> tuple[Command, ...]:
        key = self._settings.key
        newest: Command = ("XREVRANGE", key, "+", "-", "COUNT", _ENTRIES)
        return (("XRANGE", key, self._last, "+", "COUNT", _ENTRIES) if self._last else newest,)

    def ages(self, replies: Sequence[Reply], clock: float) -> dict[str, float]:
        entries = sorted(entry for entry in map(self._entry, replies[0] or ()) if entry)
        for time, worker, number in entries:
            self._beaten[worker], self._last = time, number
        kept = sorted(worker for worker, at in self._beaten.items() if clock - at <= self._settings.forget_after)
        self._left_out = max(0, len(kept) - _MOST)
        self._beaten = {worker: self._beaten[worker] for worker in kept[:_MOST]}
        return {worker: clock - at for worker, at in self._beaten.items()}

    def trouble(self) -> str:
        return _too_many(self._left_out)

    def _entry(self, entry: Reply) -> tuple[float, str, str] | None:
        """Time, worker and id."""
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[1], list):
            return None
        named = dict(zip(map(_text, entry[1][::2]), entry[1][1::2], strict=False)).get(self._settings.field)
        number = _text(entry[0])
        time = _time(number.partition("-")[0].encode())
        return None if named is None or time is None else (time / 1000, _text(named), number)


class _Expiring:
    """Keys that expire unless their workers renew them."""

    def __init__(self, settings: KeyHeartbeat, names: Callable[[], Collection[str]]) -> None:
        self._settings, self._names = settings, names
        self._clients = re.compile(settings.clients or ".*", re.DOTALL)
        self._longest = 0.0
        self._expiry: dict[str, float] = {}
        self._asked: list[str] = []
        self._left_out = 0

    def commands(self) -> tuple[Command, ...]:
        workers = [*sorted(self._expiry), *sorted(self._candidates() - self._expiry.keys())]
        self._asked, self._left_out = workers[:_MOST], max(0, len(workers) - _MOST)
        return tuple(("PTTL", self._settings.key.replace("{client}", worker)) for worker in self._asked)

    def ages(self, replies: Sequence[Reply], clock: float) -> dict[str, float]:
        for worker, left in zip(self._asked, replies, strict=True):
            self._note(worker, int(left) / 1000 if int(left) >= 0 else None, clock)
        self._expiry = {w: at for w, at in self._expiry.items() if clock - at <= self._settings.forget_after}
        return {worker: self._longest - (expiry - clock) for worker, expiry in self._expiry.items()}

    def trouble(self) -> str:
        if not self._asked:
            return f"no connected client has a name that matches {self._settings.clients or '.*'}"
        return _too_many(self._left_out)

    def _candidates(self) -> set[str]:
        if "{client}" not in self._settings.key:
            return {self._settings.key}
        return {name for name in self._names() if name and self._clients.fullmatch(name)}

    def _note(self, worker: str, left: float | None, clock: float) -> None:
        """A key without a TTL tells no age, as one that is gone before its time."""
        if left is not None:
            self._longest = max(self._longest, left)
            self._expiry[worker] = clock + left
        elif self._expiry.get(worker, math.inf) > clock + _SLACK:
            self._expiry.pop(worker, None)


def _too_many(left_out: int) -> str:
    return f"{left_out} workers beyond the first {_MOST:,} are left out" if left_out else ""


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _time(text: bytes) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
