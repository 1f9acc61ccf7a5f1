"""What a kind of queue is, and the names of everything that is said of queues and their workers.

Queues. Every metric of one queue has the same labels: `queue` (its name; `NAME@dbN` where it is not in the target's
own database) and `system`, the kind in `BY_NAME`, such as celery, rq, bullmq or list. Two systems may have queues
of the same name: `queue` and `system` together say which one. What a system does not offer has no series: it is
unknown, not 0.

    queue_depth                  jobs that wait to be taken, as far as the system tells them from others
    queue_eligible               of these, the jobs that could be taken now: without delayed and future ones; those of
                                 a paused queue are among them
    queue_oldest_age_seconds     how long the oldest eligible job has waited; 0 if there is none. Exemplar estimate="1"
                                 where the system stamps nothing: then it is a lower bound
    queue_in_flight              taken and not yet done
    queue_abandoned              of these, the jobs whose lease has run out: their worker died or hangs
    queue_delayed                due later, on purpose: scheduled, or waiting for another try
    queue_paused                 1 or 0
    queue_consumers              workers that are there to take from it, busy or not
    queue_enqueued_total         ever enqueued
    queue_completed_total        ever done, well or not: progress
    queue_failed_total           ever failed, each attempt once if the system counts attempts
    queue_dead_total             ever given up on

A `…_total` only rises. Where the system keeps no counter but a set of what failed or was given up, it is made from the
set's growth since Sentinel first saw it; a set that is trimmed or cleared then stands still and does not fall.
Counters that a system keeps for all its queues together have the queue `*`; that has no queue_depth.

Workers. Labels: `group` (workers that do the same, `SYSTEM:` and the names of their queues where they are known),
`worker` (its own name, or what tells it apart), `system`.

    heartbeat_age_seconds        since its last sign of life; grows while none comes. The series ends when the worker
                                 deregisters itself or has been lost for an hour
    heartbeat_dead_after_seconds (without `worker`) age from which the system itself, or its documented rhythm, takes a
                                 worker for dead; not given where heartbeats are named in YAML
    worker_busy                  jobs that it works on
    worker_draining              1 or 0: it takes no more jobs on purpose
    worker_gone                  1, for a minute after it deregistered itself: drained, not lost
    worker_clock_skew_seconds    how far its clock is ahead of the server's (below 0: behind), where over a second

Discovery. Labels: `system`.

    discovered_queues · discovered_workers    found by looking, not named in YAML

How it is asked. Every kind is a generator: it yields commands and is sent their replies, and so needs no connection,
no clock and no double to be tested. The first commands of all kinds go out as one pipeline with TIME; few kinds ask
a second time, for the stamp of a job that they have not met at the head of its queue before.

Knows how a queue asks and reads. Must not know other queues, nor when a depth is too deep.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from redis.exceptions import RedisError

from sentinel.model import Sample, labels
from sentinel.samplers.base import Client, Command, Reply, refusal, sample

__all__ = [
    "COLUMNS",
    "Asking",
    "Cell",
    "Follower",
    "Offers",
    "Queue",
    "QueueState",
    "Rising",
    "Room",
    "Sight",
    "Stamps",
    "Totals",
    "checked",
    "epoch",
    "fields_of",
    "mapped",
    "number",
    "numbers",
    "parts",
    "text",
    "texts",
]

T = TypeVar("T")
Asking = Generator[Sequence[Command], Sequence[Reply], T]
"""Yields commands, is sent their replies in order, and returns what it makes of them."""

Cell = Literal["yes", "estimate", "no"]
COLUMNS = ("depth", "eligible", "age", "in flight", "failures", "progress", "heartbeat")


@dataclass(frozen=True)
class Offers:
    """What a system lets us know: the README's table, row by row."""

    depth: Cell = "yes"
    eligible: Cell = "yes"
    age: Cell = "yes"
    in_flight: Cell = "yes"
    failures: Cell = "yes"
    progress: Cell = "yes"
    heartbeat: Cell = "yes"

    @property
    def cells(self) -> tuple[Cell, ...]:
        """In the order of `COLUMNS`."""
        return tuple(getattr(self, column.replace(" ", "_")) for column in COLUMNS)


@dataclass(slots=True)
class Room:
    """How many queues may still be followed; what is beyond is left out and counted."""

    left: int
    left_out: int = 0

    def take(self, names: Iterable[str]) -> tuple[str, ...]:
        """As many as there is room for, in order."""
        wanted = sorted(set(names) - {""})
        taken = wanted[: self.left]
        self.left -= len(taken)
        self.left_out += len(wanted) - len(taken)
        return tuple(taken)


@dataclass(slots=True)
class Sight:
    """What there is to look at besides one's own replies."""

    now: float
    """Of the samples, Unix seconds."""
    clock: float
    """The server's own time, Unix seconds."""
    place: str = ""
    """To be put behind names: empty in the target's own database, else `@dbN`."""
    clients: Sequence[Client] = ()
    """Connections to this database, as the last census saw them; workers among them."""
    listed: float | None = None
    """When that was, by the server's clock; None if there was none."""
    beside: Collection[str] = ()
    """Kinds of queues that there are in this database."""
    heard: Sequence[tuple[str, bytes]] = ()
    """Messages since the last poll on the channels that were asked for, oldest first."""
    scanned: Collection[str] = ()
    """Names of keys, where a scan was asked for."""
    room: Room = field(default_factory=lambda: Room(1000))


class Queue(Protocol):
    """One kind of queue as it is configured: a frozen dataclass in a file of its own, one line in `BY_NAME`."""

    offers: ClassVar[Offers]
    needs: ClassVar[tuple[str, ...]]
    """ACL names of the commands that it uses."""
    telling: ClassVar[str]
    """What the whole name of a key looks like that tells of a queue, for a scan; empty if none does."""

    @property
    def db(self) -> int | None:
        """The database it is in; None for the target's own."""

    def follower(self) -> Follower:
        """Follows it from poll to poll."""


class Follower(Protocol):
    """Reads the queues of one kind in one database, and remembers what it must from poll to poll."""

    @property
    def listens(self) -> Collection[str]:
        """Patterns of pub/sub channels that it would hear; `{db}` stands for the database."""

    @property
    def queues(self) -> Collection[str]:
        """Names of the queues that are followed now."""

    @property
    def workers(self) -> int:
        """How many workers are known now."""

    @property
    def keys(self) -> Collection[str]:
        """Patterns of the keys that it reads."""

    def discover(self, sight: Sight) -> Asking[None]:
        """Look which queues there are."""

    def read(self, sight: Sight) -> Asking[list[Sample]]:
        """Samples of all its queues and workers.

        Raises:
            SamplerError: the server refused or a key is of another type; the text names the key.
        """


@dataclass(slots=True)
class QueueState:
    """What is known of one queue at one time; the fields are the contract's metrics, None where unknown."""

    depth: float | None = None
    eligible: float | None = None
    oldest_age_seconds: float | None = None
    in_flight: float | None = None
    abandoned: float | None = None
    delayed: float | None = None
    paused: float | None = None
    consumers: float | None = None
    enqueued_total: float | None = None
    completed_total: float | None = None
    failed_total: float | None = None
    dead_total: float | None = None
    estimate: bool = False
    """Whether the age is one."""

    def samples(self, queue: str, system: str, now: float) -> Iterator[Sample]:
        """One sample for everything that is known. A level below 0 is told as 0: two replies are not one moment."""
        for metric in _METRICS:
            value = getattr(self, metric)
            if value is not None:
                about = labels(estimate="1") if self.estimate and metric == "oldest_age_seconds" else None
                yield sample(f"queue_{metric}", now, max(0.0, float(value)), about, queue=queue, system=system)


_METRICS = tuple(each.name for each in fields(QueueState) if each.name != "estimate")


@dataclass(slots=True)
class Rising:
    """A total that only rises, from a figure that may also fall: what it rose by since it was first seen.

    >>> total = Rising()
    >>> [total.to(size) for size in (5, 7, 2, 3)]
    [0.0, 2.0, 2.0, 3.0]
    """

    total: float = 0.0
    last: float | None = None

    def to(self, figure: float) -> float:
        """The total once the figure stands there."""
        self.total += max(0.0, figure - self.last) if self.last is not None else 0.0
        self.last = figure
        return self.total


@dataclass(slots=True)
class Totals:
    """A total that only rises, from the counters of members that come, go and begin again at 0.

    >>> total = Totals()
    >>> [total.to("w1", 5), total.to("w1", 7), total.to("w2", 100), total.to("w1", 0), total.to("w1", 1)]
    [0.0, 2.0, 2.0, 2.0, 3.0]
    """

    total: float = 0.0
    last: dict[str, float] = field(default_factory=dict)

    def to(self, member: str, figure: float, *, new: bool = False) -> float:
        """The total once the member's counter stands there; all of it counts if it is `new` since the last look."""
        self.total += max(0.0, figure - self.last.get(member, 0.0 if new else figure))
        self.last[member] = figure
        return self.total

    def keep(self, members: Collection[str]) -> None:
        """Forget all others; what they counted stays."""
        self.last = {member: figure for member, figure in self.last.items() if member in members}


@dataclass(slots=True)
class Stamps:
    """When the job at the head of each queue came, so that it is looked up once for each that gets there."""

    known: dict[str, tuple[str, float | None]] = field(default_factory=dict)

    def missing(self, heads: Mapping[str, str]) -> list[tuple[str, str]]:
        """Queue and job of the heads that are new."""
        self.known = {queue: job for queue, job in self.known.items() if queue in heads}
        return [(queue, job) for queue, job in heads.items() if self.known.get(queue, ("",))[0] != job]

    def learn(self, queue: str, job: str, stamp: float | None) -> None:
        """A job without a stamp is kept, too: it is not looked up again."""
        self.known[queue] = job, stamp

    def age(self, queue: str, clock: float) -> float | None:
        """Seconds since the head came; None if its stamp is not known."""
        stamp = self.known.get(queue, ("", None))[1]
        return None if stamp is None else max(0.0, clock - stamp)


def checked(reply: Reply, key: str) -> float:
    """A number of a reply; an absent one is 0.

    Raises:
        SamplerError: it is an error.
    """
    if isinstance(reply, RedisError):
        raise refusal(reply, key)
    return number(reply) or 0.0


def number(value: Any) -> float | None:
    """A finite number of whatever a reply holds, or None.

    >>> number(b"12"), number(b"nan"), number(None), number([])
    (12.0, None, None, None)
    """
    if not isinstance(value, bytes | str | int | float):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if abs(found) < float("inf") else None


def numbers(replies: Iterable[Reply]) -> list[float]:
    """Numbers of replies, 0 for what is absent, odd or of another type: it holds no jobs."""
    return [number(reply) or 0.0 for reply in replies]


def text(value: Any) -> str:
    """The text of a reply; empty where there is none."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def texts(reply: Reply) -> list[str]:
    """Members of a set or list, sorted; none of an error or of another type."""
    return sorted(text(member) for member in reply) if isinstance(reply, list | set) else []


def parts(replies: Sequence[Reply], size: int) -> list[Sequence[Reply]]:
    """Replies in parts of that size."""
    return [replies[start : start + size] for start in range(0, len(replies), size)]


def fields_of(reply: Reply, count: int) -> list[Reply]:
    """The values of HMGET; None for all of them where the reply is not that."""
    return reply if isinstance(reply, list) and len(reply) == count else [None] * count


def mapped(reply: Reply) -> dict[str, bytes]:
    """A flat reply of keys and values: of a hash, a sorted set with scores, or XINFO."""
    flat = reply if isinstance(reply, list) else []
    return {text(key): value for key, value in zip(flat[::2], flat[1::2], strict=False)}


def epoch(value: bytes | str | None) -> float | None:
    """Unix seconds of a stamp as job systems write it: ISO 8601 (UTC if it says nothing), or a number in s, ms, us, ns.

    >>> epoch(b"1970-01-02T00:00:00.5Z"), epoch("1970-01-01 01:00:00 +0100"), epoch(b"1764000000000"), epoch("x")
    (86400.5, 0.0, 1764000000.0, None)
    """
    raw = text(value) if isinstance(value, bytes) else value or ""
    found = number(raw)
    if found is not None:
        while found > 1e11:
            found /= 1000
        return found if found > 0 else None
    try:
        date = datetime.fromisoformat(raw.replace(" UTC", "Z").replace(" +", "+").replace(" -", "-"))
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
