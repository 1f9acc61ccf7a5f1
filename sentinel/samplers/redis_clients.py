"""The census: who holds the connections, from CLIENT LIST.

CLIENT LIST blocks the server (measured: 0.9 ms at 1,000 clients, 14 to 36 ms at 10,000), so the time to the next
list is at least its own measured cost over the budget. Within that, a list is taken at each poll while the
number of clients moves or a cohort grows, and at the quiet interval otherwise.

Parsing 10,000 rows would hold the event loop for 150 ms and more with redis-py's parser; here rows are cut in
slices, and only the fields that are needed are looked at.

Knows rows and how to count them by group. Must not know what growth means.
"""

from __future__ import annotations

import asyncio
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar

from redis.exceptions import RedisError

from sentinel.model import Labels, Sample, Seconds, labels
from sentinel.samplers.base import Client, Reader, Reply, SamplerError, Vitals, refusal, sample
from sentinel.samplers.client_groups import OTHER, Grouping, NamedGroup, Origin

__all__ = ["Census", "CensusSettings"]

_SLICE = 250
"""Rows between two breaths of the event loop: some 2 ms."""
_FIELDS = (b"id", b"addr", b"name", b"age", b"idle", b"flags", b"db", b"cmd", b"user", b"lib-name")
_CUTS = tuple(len(name) + 1 for name in _FIELDS)
_OURS = b" name=sentinel-"
_EXEMPT = frozenset(b"bPSMOx")
"""Blocked, subscribed, replica, master, monitor, in a transaction: idle for a reason."""
_STATS = re.compile(rb"cmdstat_client\|list:calls=(\d{1,18}),usec=(\d{1,18})")
_DIGITS = re.compile(rb"\d{1,18}")
_RETRY_OFF = 600.0
_FORGET = 600.0
_COMMON = 0.9
_NAMES = 10_000
_WORKERS = 5_000
_TAKING = frozenset(
    b"brpop blpop brpoplpush blmove bzpopmin xreadgroup zrangebyscore evalsha eval lpop publish".split()
)
"""Last commands of connections that may take jobs: these are kept before others."""
_MOVED = 2
"""Clients more or fewer since the last list that call for another; our own dial probe is one."""


@dataclass(frozen=True)
class CensusSettings:
    """How clients are counted, and how much that may cost."""

    enabled: bool = True
    interval: Seconds = 60.0
    """From one list to the next while nothing moves."""
    budget: float = 0.001
    """Part of the server's time that CLIENT LIST may take."""
    unused_after: Seconds = 60.0
    """Age from which on a connection that was used only when it was opened counts as unused."""
    recent: Seconds = 900.0
    """Age up to which a client is part of recent growth, from which the example is taken."""
    groups: int = 50
    """Most groups told apart; the smallest that do not grow are summed up as `other`."""
    named: tuple[NamedGroup, ...] = ()
    """Groups of your own, before all that is learned; the first that fits a client wins."""

    def __post_init__(self) -> None:
        if not 0 < self.budget <= 1:
            raise ValueError(f"census `budget` is a part of the server's time, above 0 up to 1; got {self.budget}")
        if self.groups < 1:
            raise ValueError(f"census `groups` must be at least 1, got {self.groups}")


@dataclass(slots=True)
class _Tally:
    clients: int = 0
    blocked: int = 0
    unused: int = 0
    untouched: int = 0
    sources: set[tuple[str, str]] = field(default_factory=set)
    all: dict[Origin, float] = field(default_factory=dict)
    """Weight of each origin in recent growth: old clients count next to nothing."""
    cohort: dict[Origin, float] = field(default_factory=dict)
    rows: dict[Origin, tuple[int, int, int, bytes]] = field(default_factory=dict)
    """The newest row of each origin: id, age, idle, flags. Rows of the cohort win."""

    def add(self, other: _Tally) -> None:
        """Take another group's clients in."""
        for name in ("clients", "blocked", "unused", "untouched"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.sources |= other.sources
        for mine, theirs in ((self.all, other.all), (self.cohort, other.cohort)):
            for origin, weight in theirs.items():
                mine[origin] = mine.get(origin, 0.0) + weight
        self.rows |= other.rows


class Census:
    """Clients by group: how many, born and died, blocked, unused, and one example each.

    Args:
        settings: How often and at what cost.
        vitals: What INFO said at this poll; the census leaves the client names that it saw there.
        desk: Room for the lists of all targets together: a list is large, and a thousand at once are a gigabyte. A
            census that finds no room is due again at the next poll.
    """

    name: ClassVar[str] = "census"
    commands: ClassVar[tuple[str, ...]] = ("client|list", "info")

    def __init__(self, settings: CensusSettings, vitals: Vitals, desk: asyncio.Semaphore | None = None) -> None:
        self._settings, self._vitals = settings, vitals
        self._desk = desk or asyncio.Semaphore()
        self._grouping = Grouping(settings.named)
        self._board = _Board(settings.groups)
        self._known: dict[int, str] | None = None
        self._run_id: str | None = None
        self._listed: float | None = None
        self._begun = 0.0
        self._connected: float | None = None
        self._cohort = 0
        self._grows = False
        self._cost = 0.0
        self._stats = (0, 0)
        self._off: tuple[float, SamplerError] | None = None

    def due(self, now: float) -> bool:
        """Whether the next sample lists the clients."""
        if self._listed is None or now < self._listed:
            return True
        since = now - self._listed
        if since < self._cost / self._settings.budget:
            return False
        return now - self._begun >= 0.95 * self._settings.interval or self._grows or self._moved()

    async def sample(self, reader: Reader, now: float) -> list[Sample]:
        """Samples of every group, or none while no list is due.

        Raises:
            SamplerError: the server does not allow CLIENT LIST, or did not answer.
        """
        if self._off and 0 <= now - self._off[0] < _RETRY_OFF:
            raise self._off[1]
        if not self.due(now) or self._desk.locked():
            return []
        async with self._desk:
            return await self._census(reader, now)

    async def _census(self, reader: Reader, now: float) -> list[Sample]:
        text = await self._list(reader, now)
        self._begun = self._vitals.begun(self._listed, now, self._settings.interval)
        self._listed, self._connected = now, self._vitals.connected
        tallies, living, names = await self._counted(text)
        if self._grouping.learn({label: tally.clients for label, tally in tallies.items()}):
            tallies, living, names = await self._counted(text)
            self._board = _Board(self._settings.groups)
        self._vitals.client_names = frozenset(islice(names, _NAMES))
        self._vitals.listed, self._vitals.list_bytes = now, len(text)
        await asyncio.sleep(0)
        births, deaths = self._ledger(living)
        cohort = sum(tally.untouched for tally in tallies.values())
        self._grows, self._cohort = cohort > self._cohort, cohort
        await asyncio.sleep(0)
        shown = self._board.arranged(tallies, births, deaths, now)
        samples = [sample("redis_census_seconds", now, self._cost)]
        for label, (tally, born, died) in shown.items():
            samples += _samples(label, tally, born, died, now)
        return samples

    def _moved(self) -> bool:
        was, is_ = self._connected, self._vitals.connected
        return was is None or is_ is None or abs(is_ - was) >= _MOVED

    async def _list(self, reader: Reader, now: float) -> bytes:
        started = asyncio.get_running_loop().time()
        reply, stats = await reader.ask(("CLIENT", "LIST"), ("INFO", "commandstats"))
        elapsed = asyncio.get_running_loop().time() - started
        if isinstance(reply, RedisError):
            self._off = now, _forbidden(reply)
            raise self._off[1]
        if not isinstance(reply, bytes):
            raise SamplerError("protocol", f"CLIENT LIST gave {type(reply).__name__} instead of text")
        self._off = None
        self._cost = self._server_time(stats, elapsed)
        return reply

    def _server_time(self, stats: Reply, elapsed: float) -> float:
        """What the server itself says that it took; the round trip where it does not (before 7.0)."""
        found = _STATS.search(stats) if isinstance(stats, bytes) else None
        if not found:
            return elapsed
        calls, usec = int(found[1]), int(found[2])
        before_calls, before_usec = self._stats if self._stats[0] < calls else (0, 0)
        self._stats = calls, usec
        return max(0, usec - before_usec) / max(1, calls - before_calls) / 1e6

    async def _counted(self, text: bytes) -> tuple[dict[str, _Tally], dict[int, str], set[str]]:
        tallies: dict[str, _Tally] = {}
        living: dict[int, str] = {}
        names: set[str] = set()
        origins: dict[tuple[bytes, ...], tuple[Origin, str]] = {}
        rows = _rows(text)
        workers: list[Client] = []
        while part := list(islice(rows, _SLICE)):
            for row in part:
                self._count(row, tallies, living, names, origins)
            workers += _workers(part) if len(workers) < 2 * _WORKERS else []
            await asyncio.sleep(0)
        workers.sort(key=lambda client: not client.name and client.cmd.encode() not in _TAKING)
        self._vitals.clients = tuple(workers[:_WORKERS])
        return tallies, living, names

    def _count(
        self,
        row: tuple[bytes, ...],
        tallies: dict[str, _Tally],
        living: dict[int, str],
        names: set[str],
        origins: dict[tuple[bytes, ...], tuple[Origin, str]],
    ) -> None:
        raw_id, addr, name, raw_age, raw_idle, flags, db, cmd, user, lib = row
        try:
            number, age, idle = int(raw_id), int(raw_age), int(raw_idle)
        except ValueError:
            return
        if number in self._vitals.own_ids:
            return
        key = (name, user, lib, addr.rpartition(b":")[0], cmd, db)
        found = origins.get(key)
        if found is None:
            origin = Origin(*(word.decode("utf-8", "replace") for word in key))
            found = origins[key] = origin, self._grouping.label(origin)
            if name:
                names.add(origin.name)
        origin, label = found
        tally = tallies.get(label)
        if tally is None:
            tally = tallies[label] = _Tally()
        living[number] = label
        tally.clients += 1
        tally.blocked += b"b" in flags
        tally.sources.add((origin.name, origin.ip))
        weight = 1.0 if age <= self._settings.recent else 1e-6
        tally.all[origin] = tally.all.get(origin, 0.0) + weight
        untouched = age >= 2 and idle >= age - 1 and _EXEMPT.isdisjoint(flags)
        if untouched:
            tally.untouched += 1
            tally.unused += age >= self._settings.unused_after
            tally.cohort[origin] = tally.cohort.get(origin, 0.0) + weight
        if untouched or origin not in tally.cohort:
            tally.rows[origin] = number, age, idle, flags

    def _ledger(self, living: dict[int, str]) -> tuple[dict[str, int], dict[str, int]]:
        """Births and deaths by group, by id; none at the first list of a run of the server."""
        births: dict[str, int] = {}
        deaths: dict[str, int] = {}
        if self._known is not None and self._run_id == self._vitals.run_id:
            for number in living.keys() - self._known.keys():
                births[living[number]] = births.get(living[number], 0) + 1
            for number in self._known.keys() - living.keys():
                deaths[self._known[number]] = deaths.get(self._known[number], 0) + 1
        self._known, self._run_id = living, self._vitals.run_id
        return births, deaths


@dataclass(slots=True)
class _Entry:
    floor: float
    seen: float
    shown: bool = False
    births: int = 0
    deaths: int = 0


class _Board:
    """Which groups are told by name, and their counters. What does not fit is summed up, never what grows."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: dict[str, _Entry] = {}
        self._rest = _Entry(0.0, 0.0)

    def arranged(
        self, tallies: Mapping[str, _Tally], births: Mapping[str, int], deaths: Mapping[str, int], now: float
    ) -> dict[str, tuple[_Tally, int, int]]:
        """Tally, births and deaths of every group that is told; one that has gone stands at 0 for a while."""
        for label, tally in tallies.items():
            entry = self._entries.setdefault(label, _Entry(tally.clients, now))
            entry.seen = now
            lag = 0.05 * (tally.clients - entry.floor)
            entry.floor = min(tally.clients, entry.floor + max(0.0, lag))
        for label, entry in list(self._entries.items()):
            if label not in tallies and (not entry.shown or not 0 <= now - entry.seen <= _FORGET):
                del self._entries[label]
        self._choose(tallies)
        rest, crowd = _Tally(), False
        for label, entry in self._entries.items():
            counter = entry if entry.shown else self._rest
            counter.births += births.get(label, 0)
            counter.deaths += deaths.get(label, 0)
            if not entry.shown and label in tallies:
                rest.add(tallies[label])
                crowd = True
        told = {
            label: (tallies.get(label) or _Tally(), entry.births, entry.deaths)
            for label, entry in self._entries.items()
            if entry.shown
        }
        return told | ({OTHER: (rest, self._rest.births, self._rest.deaths)} if crowd else {})

    def _choose(self, tallies: Mapping[str, _Tally]) -> None:
        def rank(label: str) -> tuple[float, bool, int]:
            entry, clients = self._entries[label], tallies[label].clients if label in tallies else 0
            growth = clients - entry.floor
            return (growth if growth >= 2 else 0.0, entry.shown, clients)

        chosen = set(sorted(self._entries, key=rank, reverse=True)[: self._most])
        for label, entry in self._entries.items():
            entry.shown = label in chosen


def _rows(text: bytes) -> Iterator[tuple[bytes, ...]]:
    """The needed fields of each row that is no Sentinel's. Their places are those of the first, else looked up."""
    pick: Callable[[list[bytes]], Any] | None = None
    width = 0
    for line in _lines(text):
        if _OURS in line:
            continue
        words = line.split(b" ")
        if pick is None or len(words) != width:
            named = {word.partition(b"=")[0]: place for place, word in enumerate(words)}
            if b"id" not in named or b"age" not in named or b"idle" not in named:
                continue
            pick, width = operator.itemgetter(*(named.get(name, len(words)) for name in _FIELDS)), len(words)
        words.append(b"")
        picked = pick(words)
        if picked[2][:5] == b"name=" and picked[4][:5] == b"idle=":
            yield tuple(word[cut:] for word, cut in zip(picked, _CUTS, strict=True))
        else:
            yield _by_name(line)


def _workers(rows: list[tuple[bytes, ...]]) -> Iterator[Client]:
    for number, addr, name, age, idle, flags, db, cmd, _, _ in rows:
        if all(map(_DIGITS.fullmatch, (number, age, idle, db))):
            words = (addr.decode("utf-8", "replace"), name.decode("utf-8", "replace"))
            seconds = int(age), int(idle)
            yield Client(int(number), *words, *seconds, b"b" in flags, int(db), cmd.decode("ascii", "replace"))


def _lines(text: bytes) -> Iterator[bytes]:
    """Cut as they are needed: to split 3 MB at once takes milliseconds."""
    start = 0
    while (end := text.find(b"\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def _by_name(line: bytes) -> tuple[bytes, ...]:
    pairs = dict(word.partition(b"=")[::2] for word in line.split(b" "))
    return tuple(pairs.get(name, b"") for name in _FIELDS)


def _samples(label: str, tally: _Tally, born: int, died: int, now: float) -> list[Sample]:
    held = _example(tally, tally.all)
    unused = _example(tally, tally.cohort)
    return [
        sample("redis_group_clients", now, tally.clients, held, group=label),
        sample("redis_group_unused_clients", now, tally.unused, unused, group=label),
        sample("redis_group_untouched_clients", now, tally.untouched, unused, group=label),
        sample("redis_group_blocked_clients", now, tally.blocked, group=label),
        sample("redis_group_sources", now, len(tally.sources), group=label),
        sample("redis_group_births_total", now, born, group=label),
        sample("redis_group_deaths_total", now, died, group=label),
    ]


def _example(tally: _Tally, weights: Mapping[Origin, float]) -> Labels | None:
    """The heaviest exact origin of recent growth with its newest row, its share, and what most have in common."""
    if not weights:
        return None
    origin = max(weights, key=lambda one: weights[one])
    number, age, idle, flags = tally.rows[origin]
    share = weights[origin] / sum(weights.values())
    some = dict(islice(weights.items(), 500))
    total = sum(some.values())
    common = [
        name
        for name, value in zip(("name", "user", "lib", "addr", "cmd", "db"), origin, strict=True)
        if value and sum(w for one, w in some.items() if value in one) >= _COMMON * total
    ]
    words = {
        "name": origin.name,
        "user": origin.user,
        "lib": origin.lib,
        "addr": origin.ip,
        "cmd": origin.cmd,
        "db": origin.db,
        "id": str(number),
        "age": str(age),
        "idle": str(idle),
        "flags": flags.decode("ascii", "replace").strip("N"),
        "share": f"{share:.2f}",
        "common": ",".join(common),
    }
    return labels(**{key: value for key, value in words.items() if value})


def _forbidden(reply: RedisError) -> SamplerError:
    error = refusal(reply, "CLIENT LIST")
    if error.reason in ("noperm", "protocol"):
        return SamplerError("noperm", f"{error}: no client groups, only totals")
    return error
