"""Celery on Redis: lists for each priority, unacknowledged tasks, and the event channel on which workers beat.

Workers are heard by subscribing, never by `inspect`, which costs four connections and some fifty commands. A beat
comes every 2 s, without `-E` as well, and tells how many tasks run and were ever run; the worker's clock is set right
by the shortest delay at which its beats came in. `--without-heartbeat` silences it.

What runs is taken from the beats, as early acknowledged tasks leave `unacked` when they begin; without beats, HLEN of
`unacked`, in which tasks with an ETA wait, too. Both are counted for all queues of a database together. Protocol 2
stamps nothing: ages are estimates. Only queues of the default exchange are found by themselves; others are named in
YAML, or found by a scan.

Verified on Celery 5.7.0 and kombu 5.7.0. Source: reference/queues.md section 1.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson

from sentinel.model import Sample, Seconds
from sentinel.samplers.queues.ageing import Ageing, Peeking
from sentinel.samplers.queues.base import Asking, Offers, QueueState, Sight, Totals, checked, number, numbers, texts
from sentinel.samplers.queues.fleet import Fleet

__all__ = ["Celery", "beat_of", "queue_of"]

_SEPARATOR = "\x06\x16"
_DEAD_AFTER: Seconds = 15.0
_DELAYS = 15
"""Beats of which the shortest delay sets a worker's clock right: half a minute."""


@dataclass(frozen=True)
class Celery:
    """Queues and workers of Celery in one database."""

    offers: ClassVar[Offers] = Offers(eligible="estimate", age="estimate", failures="no")
    needs: ClassVar[tuple[str, ...]] = ("scard", "smembers", "hlen", "zcount", "llen", "lindex", "psubscribe")
    telling: ClassVar[str] = r".*_kombu\.binding\..+"

    db: int | None = None
    """Where it is; without it, the target's own."""
    queues: tuple[str, ...] = ()
    """Beside those bound to the default exchange."""
    exchange: str = "celery"
    """`task_default_exchange`."""
    prefix: str = ""
    """`global_keyprefix` of the transport options."""
    priority_steps: tuple[int, ...] = (0, 3, 6, 9)
    """Of the transport options."""
    visibility_timeout: Seconds = 3600.0
    """Of the transport options; what is unacknowledged for longer is abandoned."""

    def follower(self) -> _Celery:
        """Knows no queue yet."""
        return _Celery(self)


@dataclass
class _Celery:
    settings: Celery
    queues: tuple[str, ...] = field(default=(), init=False)
    _fleet: Fleet = field(default_factory=lambda: Fleet("celery", _DEAD_AFTER), init=False)
    _delays: dict[str, deque[float]] = field(default_factory=dict, init=False)
    _processed: Totals = field(default_factory=Totals, init=False)
    _active: dict[str, float] = field(default_factory=dict, init=False)
    _ages: dict[str, Ageing] = field(default_factory=dict, init=False)
    _peeking: Peeking = field(default_factory=Peeking, init=False)
    _known: bool = field(default=False, init=False)
    """Whether workers of it have been here."""

    @property
    def workers(self) -> int:
        return len(self._fleet)

    @property
    def listens(self) -> tuple[str, ...]:
        return ("/{db}.celeryev/worker.*",) if self._known else ()

    @property
    def keys(self) -> tuple[str, ...]:
        names = [self.settings.exchange, *self.settings.queues, *self.queues]
        own = ("_kombu.binding.*", "unacked", "unacked_index", *names, *(f"{name}{_SEPARATOR}*" for name in names))
        return tuple(dict.fromkeys(self.settings.prefix + key for key in own))

    def discover(self, sight: Sight) -> Asking[None]:
        """The default exchange's bindings; those of other exchanges where a scan met them."""
        prefix = f"{self.settings.prefix}_kombu.binding."
        exchanges = {name.removeprefix(prefix) for name in sight.scanned if name.startswith(prefix)}
        exchanges = {name for name in exchanges if not name.endswith(("pidbox", "celeryev"))} | {self.settings.exchange}
        named = sorted(exchanges)
        pidbox, *bound = yield (("SCARD", f"{prefix}celery.pidbox"), *(("SMEMBERS", prefix + name) for name in named))
        self._known = bool(number(pidbox)) or self._known
        found = {queue_of(member) for reply in bound for member in texts(reply)}
        self.queues = sight.room.take(found | set(self.settings.queues))
        self._ages = {queue: self._ages.get(queue) or Ageing() for queue in self.queues}
        self._peeking.keep({key for queue in self.queues for key in self._lists(queue)})

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """Depths, what is unacknowledged, and what workers said since the last poll."""
        self._hear(sight)
        prefix, overdue = self.settings.prefix, sight.clock - self.settings.visibility_timeout
        shared = (("HLEN", f"{prefix}unacked"), ("ZCOUNT", f"{prefix}unacked_index", "-inf", int(overdue)))
        lists = {queue: self._lists(queue) for queue in self.queues}
        if not lists and not self._known:
            return list(self._fleet.samples(sight.now, sight.clock))
        lengths = [("LLEN", key) for keys in lists.values() for key in keys]
        unacked, abandoned, *replies = yield (*shared, *lengths)
        rest = iter(replies)
        depths = {queue: [checked(next(rest), key) for key in keys] for queue, keys in lists.items()}
        heads = yield from self._heads(lists, depths, sight.clock)
        samples = list(self._shared(numbers((unacked, abandoned)), sight))
        done = self._done()
        for queue, lengths_of in depths.items():
            depth = sum(lengths_of)
            age = self._ages[queue].age(depth, heads.get(queue), sight.clock, done)
            state = QueueState(depth=depth, eligible=depth, oldest_age_seconds=age, estimate=True)
            samples += state.samples(queue + sight.place, "celery", sight.now)
        return [*samples, *self._fleet.samples(sight.now, sight.clock)]

    def _lists(self, queue: str) -> list[str]:
        return [
            f"{self.settings.prefix}{queue}{f'{_SEPARATOR}{step}' if step else ''}"
            for step in self.settings.priority_steps
        ]

    def _heads(
        self, lists: Mapping[str, list[str]], depths: Mapping[str, list[float]], clock: float
    ) -> Asking[dict[str, int]]:
        """What is next, by the first list that holds something: it is served first."""
        first = {
            queue: next(key for key, depth in zip(keys, depths[queue], strict=True) if depth)
            for queue, keys in lists.items()
            if any(depths[queue])
        }
        first = {queue: key for queue, key in first.items() if self._peeking.may(key, clock)}
        replies = (yield [("LINDEX", key, -1) for key in first.values()]) if first else []
        found = {
            queue: self._peeking.fetched(key, reply, clock)
            for (queue, key), reply in zip(first.items(), replies, strict=True)
        }
        return {queue: head for queue, head in found.items() if head is not None}

    def _shared(self, unacked: list[float], sight: Sight) -> Iterator[Sample]:
        """What is known of all queues together; of the only one where there is but one."""
        beating = [worker for worker in self._fleet if worker in self._active]
        state = QueueState(
            in_flight=sum(self._active[worker] for worker in beating) if beating else unacked[0],
            abandoned=unacked[1],
            consumers=len(beating) if beating else None,
            completed_total=self._done(),
        )
        yield from state.samples(("*" if len(self.queues) != 1 else self.queues[0]) + sight.place, "celery", sight.now)

    def _done(self) -> float | None:
        return self._processed.total if self._processed.last else None

    def _hear(self, sight: Sight) -> None:
        for _, message in sight.heard:
            beat = beat_of(message)
            if beat is None:
                continue
            worker, kind = str(beat["hostname"]), beat.get("type")
            if kind == "worker-offline":
                self._fleet.leave(worker, sight.clock, said=True)
                self._active.pop(worker, None)
                continue
            at = number(beat.get("timestamp")) or sight.clock
            delays = self._delays.setdefault(worker, deque(maxlen=_DELAYS))
            delays.append(sight.clock - at)
            self._active[worker] = number(beat.get("active")) or 0.0
            self._processed.to(worker, number(beat.get("processed")) or 0.0)
            skew = -min(delays)
            group = f"celery{sight.place}"
            self._fleet.beat(worker, group, at - skew, sight.clock, busy=self._active[worker], skew=skew)
        self._active = {worker: count for worker, count in self._active.items() if worker in self._fleet}
        self._delays = {worker: delays for worker, delays in self._delays.items() if worker in self._fleet}


def queue_of(member: str) -> str:
    """The queue that a binding names: routing key, pattern and queue, with a separator between.

    >>> queue_of("celery\\x06\\x16\\x06\\x16mails")
    'mails'
    """
    return member.rpartition(_SEPARATOR)[2]


def beat_of(message: bytes) -> dict[str, Any] | None:
    """The body of a worker's event; None if it is none.

    >>> beat_of(b'{"body": "eyJob3N0bmFtZSI6ICJ3MUBoIn0=", "properties": {"body_encoding": "base64"}}')
    {'hostname': 'w1@h'}
    """
    try:
        body = orjson.loads(base64.b64decode(orjson.loads(message)["body"], validate=True))
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
    return body if isinstance(body, dict) and "hostname" in body else None
