"""RQ: lists of job ids, sorted sets for all else, and workers that subscribe to a channel of their own.

The channel tells within a second that a worker was killed, while its hash lives on for up to eight minutes. So being
subscribed is a sign of life, until the worker's own beat (every 30 s while busy, every 405 s while idle) is overdue:
then it hangs, and its age counts from there.

Verified on RQ 3.0.0. Source: reference/queues.md section 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Sample, Seconds
from sentinel.samplers.base import Command, Reply
from sentinel.samplers.queues.base import (
    Asking,
    Offers,
    QueueState,
    Rising,
    Sight,
    Stamps,
    Totals,
    checked,
    epoch,
    fields_of,
    number,
    numbers,
    parts,
    text,
    texts,
)
from sentinel.samplers.queues.fleet import Fleet

__all__ = ["Rq"]

_DEAD_AFTER: Seconds = 15.0
_BUSY_BEAT: Seconds = 90.0
_IDLE_BEAT: Seconds = 480.0
_NEW: Seconds = 120.0
"""Age of a worker up to which all that it has done is new: one that came with a rollout may have emptied its queue when
it is first looked at."""
_FIELDS = (
    "last_heartbeat",
    "state",
    "queues",
    "death",
    "successful_job_count",
    "failed_job_count",
    "shutdown_requested_date",
    "birth",
)


@dataclass(frozen=True)
class Rq:
    """Queues and workers of RQ in one database."""

    offers: ClassVar[Offers] = Offers()
    telling: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = (
        "smembers",
        "exists",
        "pubsub|numsub",
        "hmget",
        "llen",
        "lindex",
        "zcard",
        "zcount",
        "hget",
    )

    db: int | None = None
    """Where it is; without it, the target's own."""
    prefix: str = "rq"
    """`RQ_KEY_PREFIX`."""

    def follower(self) -> _Rq:
        """Knows no queue yet."""
        return _Rq(self.prefix)


@dataclass
class _Rq:
    prefix: str
    queues: tuple[str, ...] = field(default=(), init=False)
    listens: tuple[str, ...] = field(default=(), init=False)
    _names: tuple[str, ...] = field(default=(), init=False)
    """Of workers in the registry."""
    _fleet: Fleet = field(default_factory=lambda: Fleet("rq", _DEAD_AFTER), init=False)
    _stamps: Stamps = field(default_factory=Stamps, init=False)
    _failed: dict[str, Rising] = field(default_factory=dict, init=False)
    _done: Totals = field(default_factory=Totals, init=False)
    _consumers: dict[str, int] = field(default_factory=dict, init=False)
    _suspended: bool = field(default=False, init=False)

    @property
    def workers(self) -> int:
        return len(self._names)

    @property
    def keys(self) -> tuple[str, ...]:
        return (f"{self.prefix}:*",)

    def discover(self, sight: Sight) -> Asking[None]:
        """Its two registries."""
        queues, workers = yield (("SMEMBERS", f"{self.prefix}:queues"), ("SMEMBERS", f"{self.prefix}:workers"))
        self.queues = sight.room.take(name.removeprefix(f"{self.prefix}:queue:") for name in texts(queues))
        self._take_names(workers, sight.clock)
        self._failed = {queue: self._failed.get(queue) or Rising() for queue in self.queues}

    def _take_names(self, workers: Reply, clock: float) -> None:
        """Who is registered. An error says of nobody that it has left."""
        if not isinstance(workers, list):
            return
        self._names = tuple(name.removeprefix(f"{self.prefix}:worker:") for name in texts(workers))
        self._fleet.keep(self._names, clock)

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """Sizes first, then the stamps of jobs that are new at the heads.

        Whoever has come or gone since the last poll is known from the next on, and not half a minute later: a rollout
        is over sooner than that.
        """
        about = [command for worker in self._names for command in self._about(worker)]
        sized = [command for queue in self.queues for command in self._sizes(queue, sight.clock)]
        if not about and not sized:
            return list(self._fleet.samples(sight.now, sight.clock))
        common = (("EXISTS", f"{self.prefix}:suspended"), ("SMEMBERS", f"{self.prefix}:workers"))
        suspended, workers, *replies = yield (*common, *about, *sized)
        self._suspended = bool(number(suspended))
        self._meet(dict(zip(self._names, parts(replies[: len(about)], 2), strict=True)), sight)
        sizes = dict(zip(self.queues, parts(replies[len(about) :], 7), strict=True))
        heads = {queue: head for queue, found in sizes.items() if (head := text(found[1]))}
        missing = self._stamps.missing(heads)
        stamps = (yield [("HGET", f"{self.prefix}:job:{job}", "enqueued_at") for _, job in missing]) if missing else []
        for (queue, job), stamp in zip(missing, stamps, strict=True):
            self._stamps.learn(queue, job, epoch(stamp))
        self._take_names(workers, sight.clock)
        return [*self._told(sizes, heads, sight), *self._fleet.samples(sight.now, sight.clock)]

    def _about(self, worker: str) -> tuple[Command, Command]:
        key = f"{self.prefix}:worker:{worker}"
        return ("PUBSUB", "NUMSUB", f"{self.prefix}:pubsub:{worker}"), ("HMGET", key, *_FIELDS)

    def _sizes(self, queue: str, clock: float) -> tuple[Command, ...]:
        jobs, wip = f"{self.prefix}:queue:{queue}", f"{self.prefix}:wip:{queue}"
        return (
            ("LLEN", jobs),
            ("LINDEX", jobs, 0),
            ("ZCARD", wip),
            ("ZCOUNT", wip, "-inf", int(clock)),
            *(("ZCARD", f"{self.prefix}:{name}:{queue}") for name in ("failed", "scheduled", "deferred")),
        )

    def _told(self, sizes: Mapping[str, Sequence[Reply]], heads: Mapping[str, str], sight: Sight) -> list[Sample]:
        samples: list[Sample] = []
        done = self._done.total
        if len(sizes) > 1:
            samples += QueueState(completed_total=done).samples("*" + sight.place, "rq", sight.now)
        for queue, replies in sizes.items():
            depth = checked(replies[0], f"{self.prefix}:queue:{queue}")
            wip, overdue, failed, scheduled, deferred = numbers(replies[2:])
            state = QueueState(
                depth=depth,
                eligible=depth,
                oldest_age_seconds=self._stamps.age(queue, sight.clock) if queue in heads else 0.0,
                in_flight=wip,
                abandoned=overdue,
                delayed=scheduled + deferred,
                failed_total=self._failed[queue].to(failed),
                completed_total=done if len(sizes) == 1 else None,
                paused=self._suspended,
                consumers=self._consumers.get(queue, 0),
            )
            samples += state.samples(queue + sight.place, "rq", sight.now)
        return samples

    def _meet(self, replies: Mapping[str, Sequence[Reply]], sight: Sight) -> None:
        """What hashes and channels tell of workers; one without a hash is gone, or was lost long ago."""
        self._consumers = {}
        for worker, (subscribed, about) in replies.items():
            beat, state, queues, death, done, failed, stopping, birth = fields_of(about, len(_FIELDS))
            last = epoch(beat)
            if done is not None or failed is not None:
                age = sight.clock - (epoch(birth) or 0.0)
                self._done.to(worker, (number(done) or 0.0) + (number(failed) or 0.0), new=age < _NEW)
            if last is None or death is not None:
                self._fleet.leave(worker, sight.clock, said=death is not None)
                continue
            alive = isinstance(subscribed, list) and len(subscribed) == 2 and bool(number(subscribed[1]))
            busy = text(state) == "busy"
            overdue = max(0.0, sight.clock - last - (_BUSY_BEAT if busy else _IDLE_BEAT))
            seen = sight.clock - overdue if alive else self._fleet.beaten(worker) or last
            group = f"rq:{text(queues)}{sight.place}"
            self._fleet.beat(worker, group, seen, sight.clock, float(busy), float(stopping is not None))
            for queue in text(queues).split(",") if alive else ():
                self._consumers[queue] = self._consumers.get(queue, 0) + 1
        self._done.keep(replies)
