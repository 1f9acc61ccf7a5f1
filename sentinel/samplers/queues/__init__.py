"""Queues of a target and their workers: those that are named in YAML, and those that are found by looking.

Job systems are found by their registries, by the names of their workers' connections and by channels, in every
database that INFO lists, without KEYS. A scan of all keys is made only where it was asked for, a little at each poll.

Knows the kinds by their table, and that all are asked at once. Must not know any kind's commands.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from redis.exceptions import NoPermissionError

from sentinel.model import Sample, Seconds
from sentinel.samplers.base import Command, Reader, Reply, SamplerError, Vitals, refusal, sample
from sentinel.samplers.queues.arq import Arq
from sentinel.samplers.queues.asynq import Asynq
from sentinel.samplers.queues.base import Asking, Follower, Queue, Room, Sight
from sentinel.samplers.queues.bee import Bee
from sentinel.samplers.queues.bull import Bull, BullMq
from sentinel.samplers.queues.celery import Celery
from sentinel.samplers.queues.dramatiq import Dramatiq
from sentinel.samplers.queues.huey import Huey
from sentinel.samplers.queues.laravel import Laravel
from sentinel.samplers.queues.listener import Listener
from sentinel.samplers.queues.lists import ListQueue
from sentinel.samplers.queues.resque import Resque
from sentinel.samplers.queues.rq import Rq
from sentinel.samplers.queues.scanning import Scanner
from sentinel.samplers.queues.sidekiq import Sidekiq
from sentinel.samplers.queues.streams import StreamQueue, Taskiq
from sentinel.samplers.queues.zsets import ZsetQueue

__all__ = ["BY_NAME", "BullMq", "Discovery", "ListQueue", "Listener", "Queue", "Queues", "StreamQueue", "ZsetQueue"]

BY_NAME: Mapping[str, type[Queue]] = {
    "celery": Celery,
    "rq": Rq,
    "arq": Arq,
    "dramatiq": Dramatiq,
    "huey": Huey,
    "taskiq": Taskiq,
    "bullmq": BullMq,
    "bull": Bull,
    "bee": Bee,
    "sidekiq": Sidekiq,
    "resque": Resque,
    "laravel": Laravel,
    "asynq": Asynq,
    "list": ListQueue,
    "zset": ZsetQueue,
    "stream": StreamQueue,
}
"""Every kind under its name in YAML and, for job systems, in `queue_depth{system="…"}`."""

_NAMED_ONLY = frozenset({"list", "zset", "stream"})
"""Nothing tells that a key of theirs holds jobs."""
_DATABASES = 16
_REFUSED_FOR: Seconds = 600.0
_TOLD = 10
_OFF = "{enabled: false}"
_DATABASE = re.compile(rb"^db(\d{1,5}):", re.MULTILINE)

T = TypeVar("T")


@dataclass(frozen=True)
class Discovery:
    """Finding job systems without being told of them."""

    enabled: bool = True
    interval: Seconds = 30.0
    """From one look for new and vanished queues to the next."""
    systems: tuple[str, ...] = ()
    """Kinds to look for; none: all."""
    dbs: tuple[int, ...] = ()
    """Databases to look in; none: all that hold keys, the first sixteen."""
    queues: int = 1000
    """Most that are followed; the others are left out, and that is said."""
    scan: bool = False
    """Look at the names of all keys, too, with SCAN: up to 5,000 a poll, all of them once a day."""

    def __post_init__(self) -> None:
        known = [name for name in BY_NAME if name not in _NAMED_ONLY]
        for name in self.systems:
            if name not in known:
                raise ValueError(f"`systems` must be of {', '.join(known)}; got {name!r}")
        if self.queues < 1:
            raise ValueError(f"`queues` must be at least 1, got {self.queues}")


@dataclass(slots=True)
class _Followed:
    """One follower, and where it looks."""

    kind: str
    db: int
    queue: Queue
    named: bool
    """In YAML, not found."""
    refused: tuple[float, str] | None = None
    """When it was not permitted to look, or a key of that name is something else, and what was said."""
    told: bool = False
    """Whether there was anything at the last reading, such as a worker that is gone now."""
    met: bool = False
    """Whether it was there at some time, so that there is something to remember of it."""
    _follower: Follower | None = field(default=None, init=False)

    @property
    def follower(self) -> Follower:
        """What it knows."""
        if self._follower is None:
            self._follower = self.queue.follower()
        return self._follower

    def rest(self) -> None:
        """Know nothing until the next look: most systems are not there, on every one of many targets."""
        self._follower = None

    @property
    def lives(self) -> bool:
        """Whether there is anything to read."""
        known = self._follower
        return self.named or self.told or (known is not None and (bool(known.queues) or known.workers > 0))

    def may_look(self, now: float) -> bool:
        """Not while it was refused a short time ago: each refusal is an entry in the server's logs and counters."""
        return self.refused is None or not 0 <= now - self.refused[0] < _REFUSED_FOR

    def discovering(self, sight: Sight) -> Asking[None]:
        """Discover, and note what is not permitted."""
        asking, replies = self.follower.discover(sight), None
        self.refused = None
        while True:
            try:
                replies = yield asking.send(replies)  # type: ignore[arg-type]
            except StopIteration:
                return
            for reply in replies:
                if isinstance(reply, NoPermissionError) or "WRONGTYPE" in str(reply):
                    self.refused = sight.now, str(reply)


class Queues:
    """All queues of a target and their workers.

    Args:
        queues: Named in YAML.
        discovery: How others are looked for; None for not at all.
        vitals: Who is connected, as the census saw it.
        listener: Hears what workers publish; None for nobody.
        db: The target's own database.
    """

    name: ClassVar[str] = "queues"

    def __init__(
        self,
        queues: Sequence[Queue],
        discovery: Discovery | None = None,
        vitals: Vitals | None = None,
        listener: Listener | None = None,
        db: int = 0,
    ) -> None:
        self._discovery = discovery if discovery and discovery.enabled else None
        self._vitals, self._listener, self._own = vitals or Vitals(), listener, db
        self._all = [_Followed(_kind(each), db if each.db is None else each.db, each, named=True) for each in queues]
        self._found: dict[tuple[str, int], frozenset[str]] = {}
        self._offset: float | None = None
        """Of the server's clock from ours."""
        self._looked: float | None = None
        self._interval = discovery.interval if self._discovery and discovery else Discovery.interval
        self._shut: tuple[float, str] | None = None
        """When the server refused even to tell the time, and how it said so."""
        self._scanners: dict[int, Scanner] = {}
        self._left_out = 0
        self.trouble = ""
        """What the last sample had to leave out, and why; empty when all could be read."""
        self.news: list[str] = []
        """What was found or has vanished; whoever tells of it empties the list."""
        self._refused: list[str] = []
        self._look_in((db,))
        self._channels = self.channels

    @property
    def commands(self) -> tuple[str, ...]:
        """What these queues need, and no more."""
        needed = {need for each in self._all for need in each.queue.needs}
        needed |= {"info"} if self._discovery else set()
        needed |= {"scan"} if self._discovery and self._discovery.scan else set()
        return tuple(sorted(needed | {"time"}))

    @property
    def keys(self) -> list[str]:
        """Patterns of the keys that are read."""
        return sorted({key for each in self._all for key in each.follower.keys})

    @property
    def channels(self) -> list[str]:
        """Patterns of the channels that are listened to."""
        wanted = ((pattern, each.db) for each in self._all for pattern in each.follower.listens)
        return sorted({pattern.replace("{db}", str(db)) for pattern, db in wanted})

    async def sample(self, reader: Reader, now: float) -> list[Sample]:
        """Samples of every queue that can be read, and of all workers.

        Raises:
            SamplerError: nothing could be read.
        """
        if not await self._open(reader, now):
            return []
        errors = await self._scan(reader, now)
        errors += await self._discover(reader, now) if self._due(now) else []
        heard = await self._hear(errors)
        samples: list[Sample] = []
        living = [each for each in self._all if each.lives]
        for db, followed in self._by_database(living):
            sight = self._sight(db, now, heard)
            outcomes = await self._together(reader, db, now, [each.follower.read(sight) for each in followed])
            for each, outcome in zip(followed, outcomes, strict=True):
                if isinstance(outcome, SamplerError):
                    errors.append(outcome)
                else:
                    samples += outcome
                    each.told = bool(outcome)
        self.trouble = "; ".join([*dict.fromkeys(map(str, errors)), *self._refused, *self._too_many()])
        if errors and not samples:
            raise SamplerError(errors[0].reason, self.trouble)
        return [*samples, *_counts(living, now)]

    async def close(self) -> None:
        """Stop listening."""
        if self._listener:
            await self._listener.close()

    # Asking

    async def _open(self, reader: Reader, now: float) -> bool:
        """Whether there is anything to be had: a server that does not even tell its time is left alone for a while.

        Where queues are named that is a failure; else it may well be meant so, and is only said.
        """
        if self._offset is None and (self._shut is None or not 0 <= now - self._shut[0] < _REFUSED_FOR):
            (reply,) = await reader.ask(("TIME",))
            shut = isinstance(reply, NoPermissionError) and not any(each.named for each in self._all)
            self._shut = (now, str(reply)) if shut else None
            if not self._shut:
                self._set_clock(reply, now)
        if self._shut:
            self.trouble = f"job systems are not looked for ({self._shut[1]}); allow it, or say `discover: {_OFF}`"
        return self._shut is None

    async def _together(
        self, reader: Reader, db: int, now: float, askings: Sequence[Asking[T]]
    ) -> list[T | SamplerError]:
        """Run them side by side: what all of them ask at a time goes out as one pipeline, the first with TIME.

        That a database cannot be selected is the failure of all who look there.
        """
        outcomes: dict[int, T | SamplerError] = {}
        answers: dict[int, Sequence[Reply] | None] = dict.fromkeys(range(len(askings)))
        first: tuple[Command, ...] = (("TIME",),)
        while answers:
            asked: dict[int, Sequence[Command]] = {}
            for place, answer in answers.items():
                try:
                    asked[place] = askings[place].send(answer)  # type: ignore[arg-type]
                except StopIteration as end:
                    outcomes[place] = end.value
                except SamplerError as error:
                    outcomes[place] = error
            if not asked:
                break
            try:
                replies = await reader.ask(*first, *(each for commands in asked.values() for each in commands), db=db)
            except SamplerError as error:
                if db == self._own:
                    raise
                return [error for _ in askings]
            if first:
                self._set_clock(replies.pop(0), now)
            rest, first = iter(replies), ()
            answers = {place: [next(rest) for _ in commands] for place, commands in asked.items()}
        return [outcomes[place] for place in range(len(askings))]

    def _set_clock(self, reply: Reply, now: float) -> None:
        if not isinstance(reply, list):
            raise refusal(reply, "TIME")
        self._offset = int(reply[0]) + int(reply[1]) / 1e6 - now

    def _sight(self, db: int, now: float, heard: Iterable[tuple[str, bytes]] = (), room: Room | None = None) -> Sight:
        offset, listed = self._offset or 0.0, self._vitals.listed
        return Sight(
            now=now,
            clock=now + offset,
            place="" if db == self._own else f"@db{db}",
            clients=[client for client in self._vitals.clients if client.db == db],
            listed=None if listed is None else listed + offset,
            beside={each.kind for each in self._all if each.db == db and each.lives},
            heard=[message for message in heard if message[0].startswith(f"/{db}.")],
            scanned=self._scanners[db].names if db in self._scanners else (),
            room=room or Room(0),
        )

    async def _hear(self, errors: list[SamplerError]) -> list[tuple[str, bytes]]:
        if not self._listener:
            return []
        try:
            return await self._listener.hear(self._channels)
        except SamplerError as error:
            errors.append(error)
            return []

    # Finding

    async def _scan(self, reader: Reader, now: float) -> list[SamplerError]:
        """Go on with the names of all keys, where that was asked for."""
        errors: list[SamplerError] = []
        for scanner in self._scanners.values():
            try:
                if await scanner.go_on(reader, now):
                    self._looked = None
            except SamplerError as error:
                errors.append(error)
        return errors

    def _due(self, now: float) -> bool:
        return self._looked is None or not 0 <= now - self._looked < self._interval

    async def _discover(self, reader: Reader, now: float) -> list[SamplerError]:
        """Let everyone look again."""
        if self._discovery:
            self._look_in(self._discovery.dbs or _databases((await reader.ask(("INFO", "keyspace")))[0], self._own))
        room = Room(self._discovery.queues if self._discovery else Discovery.queues)
        errors: list[SamplerError] = []
        for db, followed in self._by_database(each for each in self._all if each.may_look(now)):
            sight = self._sight(db, now, room=room)
            outcomes = await self._together(reader, db, now, [each.discovering(sight) for each in followed])
            errors += [outcome for outcome in outcomes if isinstance(outcome, SamplerError)]
        self._looked, self._left_out = self._vitals.begun(self._looked, now, self._interval), room.left_out
        self._tell()
        self._refused, self._channels = self._refusals(), self.channels
        for each in self._all:
            each.met = each.met or each.lives
            if not each.met:
                each.rest()
        return errors

    def _look_in(self, dbs: Sequence[int]) -> None:
        """Have a follower of each kind that is looked for in each of these databases."""
        if not self._discovery:
            return
        self._all = [each for each in self._all if each.lives or each.db in dbs]
        if self._discovery.scan:
            telling = re.compile("|".join(pattern for kind in BY_NAME if (pattern := BY_NAME[kind].telling)))
            self._scanners = {db: self._scanners.get(db) or Scanner(db, telling) for db in dbs}
        there = {(each.kind, each.db) for each in self._all}
        kinds = self._discovery.systems or [kind for kind in BY_NAME if kind not in _NAMED_ONLY]
        missing = [(kind, db) for db in dbs for kind in kinds if (kind, db) not in there]
        self._all += [_Followed(kind, db, _default(kind), named=False) for kind, db in missing]

    def _by_database(self, followed: Iterable[_Followed]) -> list[tuple[int, list[_Followed]]]:
        """The target's own first; named ones before those that were found."""
        found: dict[int, list[_Followed]] = {}
        for each in followed:
            found.setdefault(each.db, []).append(each)
        return sorted(found.items(), key=lambda item: (item[0] != self._own, item[0]))

    def _tell(self) -> None:
        """What was found, and what of it has vanished."""
        found = {(each.kind, each.db): frozenset(each.follower.queues) for each in self._all if not each.named}
        for kind, db in sorted(found.keys() | self._found.keys()):
            before, after = self._found.get((kind, db), frozenset()), found.get((kind, db), frozenset())
            place = "" if db == self._own else f" in db {db}"
            self.news += [f"found {kind}{place}: {_listed(after - before)}"] if after - before else []
            self.news += [f"{kind}{place}: {_listed(before - after)} vanished"] if before - after else []
        self._found = found

    def _refusals(self) -> list[str]:
        refused = [each for each in self._all if each.refused and "WRONGTYPE" not in each.refused[1]]
        if not refused:
            return []
        kinds, why = _listed({each.kind for each in refused}), (refused[0].refused or (0, ""))[1]
        return [f"not permitted to look for {kinds} ({why}); allow it, or say in `discover` what to look for"]

    def _too_many(self) -> list[str]:
        return [f"{self._left_out} queues are left out: raise `queues` of `discover`"] if self._left_out else []


def _counts(living: Sequence[_Followed], now: float) -> Iterator[Sample]:
    found = [each for each in living if each.lives and not each.named]
    for kind in dict.fromkeys(each.kind for each in found):
        own = [each.follower for each in found if each.kind == kind]
        yield sample("discovered_queues", now, sum(len(each.queues) for each in own), system=kind)
        yield sample("discovered_workers", now, sum(each.workers for each in own), system=kind)


@functools.cache
def _default(kind: str) -> Queue:
    """A system's settings where none are given: the same for all targets."""
    queue: Queue = BY_NAME[kind]()
    return queue


def _kind(queue: Queue) -> str:
    return next(kind for kind, member in BY_NAME.items() if type(queue) is member)


def _databases(reply: Reply, own: int) -> list[int]:
    """Those that hold keys, and the target's own.

    >>> _databases(b"# Keyspace\\r\\ndb3:keys=1,expires=0\\r\\n", 0)
    [0, 3]
    """
    listed = [int(found) for found in _DATABASE.findall(reply if isinstance(reply, bytes) else b"")]
    return sorted({own, *sorted(listed)[:_DATABASES]})


def _listed(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - _TOLD} more" if len(ordered) > _TOLD else ""
    return ", ".join(ordered[:_TOLD]) + more
