"""Laravel's queues, and Horizon, which tells who works on them.

Prefixes are made from the application's name: the ones of an application that was given none are looked for, others are
named in YAML. Horizon's supervisors beat every second, and tell which queues they work on with how many processes;
plain `queue:work` gives no sign of life, and its failures are in a SQL table.

From the layout of keys in the source of Laravel 13.26 and Horizon 5.29, not from running them.
Source: reference/queues.md section 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson

from sentinel.model import Sample, Seconds
from sentinel.samplers.base import Reply
from sentinel.samplers.queues.ageing import Peeking
from sentinel.samplers.queues.base import (
    Asking,
    Offers,
    QueueState,
    Rising,
    Sight,
    checked,
    epoch,
    mapped,
    number,
    numbers,
    parts,
    text,
)
from sentinel.samplers.queues.fleet import Fleet

__all__ = ["Laravel", "stamp_of"]

_DEAD_AFTER: Seconds = 29.0
_SUPERVISORS = 100


@dataclass(frozen=True)
class Laravel:
    """Queues of one Laravel application in one database, and its Horizon."""

    offers: ClassVar[Offers] = Offers(failures="estimate", progress="estimate")
    needs: ClassVar[tuple[str, ...]] = ("zrange", "exists", "hget", "llen", "lindex", "zcard", "zcount")
    telling: ClassVar[str] = ""

    db: int | None = None
    """Where it is; without it, the target's own."""
    prefix: str = "laravel_database_"
    """Of the Redis connection; from Laravel 13 on by default `<app>-database-`."""
    horizon: str = "laravel_horizon:"
    """Prefix of Horizon's keys."""
    queues: tuple[str, ...] = ("default",)
    """Beside those that Horizon works on."""

    def follower(self) -> _Laravel:
        """Knows no queue yet."""
        return _Laravel(self)


@dataclass
class _Laravel:
    settings: Laravel
    queues: tuple[str, ...] = field(default=(), init=False)
    listens: tuple[str, ...] = field(default=(), init=False)
    _consumers: dict[str, float] = field(default_factory=dict, init=False)
    _fleet: Fleet = field(default_factory=lambda: Fleet("laravel", _DEAD_AFTER), init=False)
    _stamps: dict[str, float | None] = field(default_factory=dict, init=False)
    _peeking: Peeking = field(default_factory=Peeking, init=False)
    _failed: Rising = field(default_factory=Rising, init=False)
    _done: dict[str, Rising] = field(default_factory=dict, init=False)

    @property
    def workers(self) -> int:
        return len(self._fleet)

    @property
    def keys(self) -> tuple[str, ...]:
        return (f"{self.settings.prefix}queues:*", f"{self.settings.horizon}*")

    def discover(self, sight: Sight) -> Asking[None]:
        """What Horizon's supervisors work on, and named queues that hold anything."""
        horizon, named = self.settings.horizon, self.settings.queues
        asked = [("EXISTS", *(self._key(queue, part) for part in ("", ":delayed", ":reserved"))) for queue in named]
        supervisors, *replies = yield (("ZRANGE", f"{horizon}supervisors", 0, _SUPERVISORS - 1), *asked)
        there = {queue for queue, keys in zip(named, numbers(replies), strict=True) if keys}
        names = [text(name) for name in supervisors] if isinstance(supervisors, list) else []
        told = (yield [("HGET", f"{horizon}supervisor:{name}", "processes") for name in names]) if names else []
        self._consumers = {}
        for processes in told:
            for queue, count in _processes(processes).items():
                self._consumers[queue] = self._consumers.get(queue, 0.0) + count
        self.queues = sight.room.take({*there, *self.queues, *self._consumers})

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """Everything in one go; a queue's next job only if it may be looked at."""
        if not self.queues:
            return list(self._fleet.samples(sight.now, sight.clock))
        horizon = self.settings.horizon
        sized = [command for queue in self.queues for command in self._sizes(queue, sight.clock)]
        beats, failed, *replies = yield (
            ("ZRANGE", f"{horizon}supervisors", 0, _SUPERVISORS - 1, "WITHSCORES"),
            ("ZCARD", f"{horizon}recent_failed_jobs"),
            *sized,
        )
        supervisors = mapped(beats)
        self._meet(supervisors, sight)
        samples: list[Sample] = []
        if supervisors:
            shared = QueueState(failed_total=self._failed.to(number(failed) or 0.0))
            name = self.queues[0] if len(self.queues) == 1 else "*"
            samples += shared.samples(name + sight.place, "laravel", sight.now)
        for queue, each in zip(self.queues, parts(replies, 7), strict=True):
            samples += self._told(queue, each, sight)
        return [*samples, *self._fleet.samples(sight.now, sight.clock)]

    def _key(self, queue: str, part: str = "") -> str:
        return f"{self.settings.prefix}queues:{queue}{part}"

    def _sizes(self, queue: str, clock: float) -> tuple[tuple[str | int, ...], ...]:
        key, may = self._key(queue), self._peeking.may(queue, clock)
        return (
            ("LLEN", key),
            ("LINDEX", key, 0) if may else ("EXISTS", key),
            ("ZCARD", f"{key}:delayed"),
            ("ZCOUNT", f"{key}:delayed", "-inf", int(clock)),
            ("ZCARD", f"{key}:reserved"),
            ("ZCOUNT", f"{key}:reserved", "-inf", int(clock)),
            ("HGET", f"{self.settings.horizon}queue:{queue}", "throughput"),
        )

    def _told(self, queue: str, replies: Sequence[Reply], sight: Sight) -> list[Sample]:
        waiting = checked(replies[0], self._key(queue))
        delayed, overdue, reserved, expired = numbers(replies[2:6])
        if self._peeking.may(queue, sight.clock):
            self._peeking.fetched(queue, replies[1], sight.clock)
            self._stamps[queue] = stamp_of(replies[1])
        stamp, throughput = self._stamps.get(queue), number(replies[6])
        depth = waiting + overdue
        state = QueueState(
            depth=depth,
            eligible=depth,
            oldest_age_seconds=0.0 if not depth else None if stamp is None else max(0.0, sight.clock - stamp),
            in_flight=reserved - expired,
            abandoned=expired,
            delayed=delayed - overdue,
            consumers=self._consumers.get(queue),
        )
        if throughput is not None:
            state.completed_total = self._done.setdefault(queue, Rising()).to(throughput)
        return list(state.samples(queue + sight.place, "laravel", sight.now))

    def _meet(self, supervisors: Mapping[str, bytes], sight: Sight) -> None:
        """A supervisor that is terminated takes itself off the list."""
        self._fleet.keep(supervisors, sight.clock)
        for supervisor, beat in supervisors.items():
            at = number(beat)
            if at is not None:
                self._fleet.beat(supervisor, f"laravel{sight.place}", at, sight.clock)


def _processes(told: Any) -> dict[str, float]:
    """Processes by queue: `{"redis:default": 50}`, where several queues are joined by commas."""
    try:
        found = orjson.loads(told)
    except (ValueError, TypeError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {
        queue: number(count) or 0.0
        for name, count in pairs
        for queue in str(name).partition(":")[2].split(",")
        if queue
    }


_STAMP = re.compile(rb'"(?:pushedAt|createdAt)":"?([\d.]{1,20})')


def stamp_of(job: Reply) -> float | None:
    """When a job was pushed, by Horizon or Laravel from 12.18 on; of the job nothing else is looked at.

    >>> stamp_of(b'{"uuid":"x","data":{},"pushedAt":"1764000000.5"}'), stamp_of(b'{"createdAt":1764000000}')
    (1764000000.5, 1764000000.0)
    """
    found = _STAMP.findall(job) if isinstance(job, bytes) else []
    return epoch(found[-1]) if found else None
