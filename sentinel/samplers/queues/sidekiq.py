"""Sidekiq: lists by queue, sorted sets for retries, schedule and dead jobs, and a hash for each process.

Processes beat every 5 s up to 6.5, every 10 s from 7.0. A stopped one leaves the set `processes`; a killed one stays
in it while its hash runs out after a minute. Counters and what runs are told for all queues together.

Verified on Sidekiq 6.4.1 and 7.3.9. Source: reference/queues.md section 1.
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
    fields_of,
    number,
    numbers,
    text,
    texts,
)
from sentinel.samplers.queues.fleet import Fleet

__all__ = ["Sidekiq", "stamp_of"]

_DEAD_AFTER: Seconds = 30.0
_PROCESS = f"*:[0-9]*:{'[0-9a-f]' * 12}"
"""The key of a process: host, pid and a nonce."""
_FIELDS = ("beat", "busy", "quiet", "info")


@dataclass(frozen=True)
class Sidekiq:
    """Queues and processes of Sidekiq in one database."""

    offers: ClassVar[Offers] = Offers()
    needs: ClassVar[tuple[str, ...]] = ("smembers", "exists", "llen", "lindex", "zcard", "zcount", "get", "hmget")
    telling: ClassVar[str] = ""

    db: int | None = None
    """Where it is; without it, the target's own."""
    namespace: str = ""
    """Of redis-namespace, before 7.0."""

    def follower(self) -> _Sidekiq:
        """Knows no queue yet."""
        return _Sidekiq(f"{self.namespace}:" if self.namespace else "")


@dataclass
class _Sidekiq:
    prefix: str
    queues: tuple[str, ...] = field(default=(), init=False)
    listens: tuple[str, ...] = field(default=(), init=False)
    _processes: tuple[str, ...] = field(default=(), init=False)
    _fleet: Fleet = field(default_factory=lambda: Fleet("sidekiq", _DEAD_AFTER), init=False)
    _stamps: dict[str, float | None] = field(default_factory=dict, init=False)
    _peeking: Peeking = field(default_factory=Peeking, init=False)
    _dead: Rising = field(default_factory=Rising, init=False)

    @property
    def workers(self) -> int:
        return len(self._processes)

    @property
    def keys(self) -> tuple[str, ...]:
        own = ("queues", "processes", "stat:*", "queue:*", "retry", "schedule", "dead", "paused")
        return tuple(self.prefix + key for key in (*own, *([_PROCESS] if self._processes else [])))

    def discover(self, sight: Sight) -> Asking[None]:
        """Its registries; `queues` alone may be anybody's."""
        names = ("SMEMBERS", f"{self.prefix}queues"), ("SMEMBERS", f"{self.prefix}processes")
        queues, processes, counted = yield (*names, ("EXISTS", f"{self.prefix}stat:processed"))
        self._processes = tuple(texts(processes))
        self._fleet.keep(self._processes, sight.clock)
        ours = self._processes or number(counted) or self.queues
        self.queues = sight.room.take(texts(queues)) if ours else ()

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """Everything in one go; a queue's next job only if it may be looked at."""
        if not self.queues and not self._processes:
            return list(self._fleet.samples(sight.now, sight.clock))
        peeked = [queue for queue in self.queues if self._peeking.may(queue, sight.clock)]
        replies = yield (
            *(("GET", f"{self.prefix}stat:{name}") for name in ("processed", "failed")),
            *(("ZCARD", f"{self.prefix}{name}") for name in ("retry", "schedule", "dead")),
            *(("ZCOUNT", f"{self.prefix}{name}", "-inf", int(sight.clock)) for name in ("retry", "schedule")),
            ("SMEMBERS", f"{self.prefix}paused"),
            ("SMEMBERS", f"{self.prefix}processes"),
            *(("HMGET", self.prefix + process, *_FIELDS) for process in self._processes),
            *(("LLEN", f"{self.prefix}queue:{queue}") for queue in self.queues),
            *(("LINDEX", f"{self.prefix}queue:{queue}", -1) for queue in peeked),
        )
        shared, paused, rest = numbers(replies[:7]), set(texts(replies[7])), replies[9:]
        busy = self._meet(dict(zip(self._processes, rest, strict=False)), sight)
        rest = rest[len(self._processes) :]
        self._processes = self._fleet.stay(self._processes, replies[8], sight.clock)
        depths = {
            queue: checked(reply, f"{self.prefix}queue:{queue}")
            for queue, reply in zip(self.queues, rest, strict=False)
        }
        for queue, job in zip(peeked, rest[len(self.queues) :], strict=True):
            self._peeking.fetched(queue, job, sight.clock)
            self._stamps[queue] = stamp_of(job)
        samples = self._shared(shared, busy, sight)
        for queue, depth in depths.items():
            stamp = self._stamps.get(queue)
            age = 0.0 if not depth else None if stamp is None else max(0.0, sight.clock - stamp)
            state = QueueState(depth=depth, eligible=depth, oldest_age_seconds=age, paused=queue in paused)
            samples += state.samples(queue + sight.place, "sidekiq", sight.now)
        return [*samples, *self._fleet.samples(sight.now, sight.clock)]

    def _shared(self, figures: Sequence[float], busy: float, sight: Sight) -> list[Sample]:
        processed, failed, retry, schedule, dead, retry_due, schedule_due = figures
        state = QueueState(
            in_flight=busy,
            delayed=retry + schedule - retry_due - schedule_due,
            consumers=len(self._fleet),
            completed_total=processed,
            failed_total=failed,
            dead_total=self._dead.to(dead),
        )
        name = self.queues[0] if len(self.queues) == 1 else "*"
        return list(state.samples(name + sight.place, "sidekiq", sight.now))

    def _meet(self, replies: Mapping[str, Reply], sight: Sight) -> float:
        """What the processes said last; gives the number of jobs that they work on."""
        total = 0.0
        for process, about in replies.items():
            beat, busy, quiet, info = fields_of(about, len(_FIELDS))
            at = number(beat)
            if at is not None:
                total += number(busy) or 0.0
                group = f"sidekiq:{','.join(_queues(info))}{sight.place}"
                self._fleet.beat(process, group, at, sight.clock, number(busy), float(text(quiet) == "true"))
        return total


def _queues(info: Any) -> list[str]:
    """Queues of a process, from what it says of itself."""
    try:
        queues = orjson.loads(info)["queues"]
    except (ValueError, TypeError, KeyError):
        return []
    return sorted({str(queue) for queue in queues}) if isinstance(queues, list) else []


_STAMP = re.compile(rb'"enqueued_at":\s*([\d.]{1,20})')


def stamp_of(job: Reply) -> float | None:
    """When a job was enqueued: seconds up to 7.x, milliseconds from 8.0; of the job nothing else is looked at.

    >>> stamp_of(b'{"class":"A","args":[],"enqueued_at":1795485540.25}'), stamp_of(b'{"enqueued_at":1795485540250}')
    (1795485540.25, 1795485540.25)
    """
    found = _STAMP.findall(job) if isinstance(job, bytes) else []
    return epoch(found[-1]) if found else None
