"""What survives a restart: incidents, their history, what each destination has been told, the outbox's journal,
snapshots.

One SQLite file and one thread that owns it; the event loop hands that thread whole transactions, so that no
await can sit inside one. What `commit` has returned for is on the disk. Knows how our values become rows;
must not know destinations' protocols, retries, or what an incident means.

When the disk fails, the daemon goes on: `failing` says what and why, new rows are sent from memory alone (at
most 1,000), and everything is written with the first transaction that works again.

Source: reference/delivery.md 9.1-9.3. Different here: no table of breakers and pauses (a restart costs one
probe, and each row keeps its own earliest time), and order in a lane is the order of insertion.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sentinel import statefile
from sentinel.model import Event, Incident, IncidentState, Notification, Recording, Seconds, Sent, Told
from sentinel.outbox import Letter, Outbox, Row, RowState
from sentinel.pipeline.actions import Action, ActionError, decode, encode

__all__ = ["Snapshot", "Store", "StoreError", "StoreUnusableError", "read_history"]

_MAX_UNSAVED = 1000
_MAX_FACTS = 10_000
_RETRY_DISK_AFTER = 5.0
_DAY = 86400.0
_APPLICATION_ID = 0x534E544C
_VERSION = 3
_SNAPSHOT = 2
_DIGEST = hashlib.sha256().digest_size

_SCHEMA = """
CREATE TABLE incidents(
  id TEXT PRIMARY KEY, dedup_key TEXT NOT NULL, state TEXT NOT NULL CHECK(state IN ('open', 'resolved')),
  target TEXT NOT NULL, cause TEXT NOT NULL, severity INT NOT NULL,
  opened REAL NOT NULL, updated REAL NOT NULL, resolved REAL, body TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX one_open ON incidents(dedup_key) WHERE state = 'open';
CREATE INDEX incidents_by_time ON incidents(opened);
CREATE TABLE outbox(
  number INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, destination TEXT NOT NULL, lane TEXT NOT NULL,
  incident TEXT NOT NULL, reason TEXT NOT NULL, payload TEXT NOT NULL, created REAL NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('pending', 'sending', 'delivered', 'superseded', 'dead', 'expired')),
  not_before REAL NOT NULL, attempts INT NOT NULL, ambiguous INT NOT NULL, minimal INT NOT NULL,
  error TEXT NOT NULL, status INT, settled REAL) STRICT;
CREATE INDEX outbox_live ON outbox(number) WHERE state IN ('pending', 'sending');
CREATE INDEX outbox_settled ON outbox(settled) WHERE settled IS NOT NULL;
CREATE TABLE refs(
  destination TEXT NOT NULL, incident TEXT NOT NULL, ref TEXT NOT NULL, PRIMARY KEY(destination, incident)
  ) STRICT, WITHOUT ROWID;
"""
_HISTORY = """
CREATE TABLE told(
  incident TEXT NOT NULL, destination TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY(incident, destination)
  ) STRICT, WITHOUT ROWID;
CREATE TABLE events(
  number INTEGER PRIMARY KEY, time REAL NOT NULL, kind TEXT NOT NULL, incident TEXT NOT NULL, actor TEXT NOT NULL,
  text TEXT NOT NULL) STRICT;
CREATE INDEX events_of ON events(incident, number);
CREATE INDEX outbox_of ON outbox(incident);
CREATE TABLE recordings(incident TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE kept(id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
_ELSEWHERE = """
CREATE TABLE elsewhere(
  destination TEXT NOT NULL, incident TEXT NOT NULL, why TEXT NOT NULL, PRIMARY KEY(destination, incident)
  ) STRICT, WITHOUT ROWID;
"""
_SCHEMA += _HISTORY + _ELSEWHERE
_UPGRADES = ("DROP TABLE told;" + _HISTORY, _ELSEWHERE)
"""What makes version 2 of version 1, and so on."""
_COLUMNS = (
    "event_id, destination, lane, incident, reason, payload, created, "
    "state, not_before, attempts, ambiguous, minimal, error, status, settled"
)
_JOURNAL = f"""
INSERT INTO outbox({_COLUMNS}) VALUES({", ".join("?" * 15)})
ON CONFLICT(event_id) DO UPDATE SET state = excluded.state, not_before = excluded.not_before,
  attempts = excluded.attempts, ambiguous = excluded.ambiguous, minimal = excluded.minimal,
  error = excluded.error, status = excluded.status, settled = excluded.settled
"""
_INCIDENT = """
INSERT INTO incidents(id, dedup_key, state, target, cause, severity, opened, updated, resolved, body)
VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT(id) DO UPDATE SET state = excluded.state, severity = excluded.severity,
  updated = excluded.updated, resolved = excluded.resolved, body = excluded.body
"""
_TOLD = "INSERT OR REPLACE INTO told(incident, destination, body) VALUES(?, ?, ?)"
_EVENT = "INSERT INTO events(time, kind, incident, actor, text) VALUES(?, ?, ?, ?, ?)"
_RECORDING = "INSERT OR REPLACE INTO recordings(incident, body) VALUES(?, ?)"
_TOLD_ELSEWHERE = "INSERT OR REPLACE INTO elsewhere(destination, incident, why) VALUES(?, ?, ?)"
_KEPT = "INSERT OR REPLACE INTO kept(id, body) VALUES(?, ?)"
_DROPPED = "DELETE FROM kept WHERE id = ?"
_OF_NOTHING = "incident NOT IN (SELECT id FROM incidents) AND incident NOT IN (SELECT incident FROM outbox)"
"""Public incidents have rows in the outbox alone."""
_LETTER = """
SELECT payload, state, created, not_before, attempts, error FROM outbox WHERE state IN ('dead', 'expired')
"""
_RECOVER = """
SELECT payload, created, not_before, attempts, ambiguous, minimal, error, status
FROM outbox WHERE state = 'pending' ORDER BY number
"""

_NONE: Mapping[tuple[str, str], str] = MappingProxyType({})

T = TypeVar("T")
_Work = Callable[[sqlite3.Connection], T]
_Values = tuple[Any, ...]
_Fact = tuple[str, _Values]
"""A statement that may be written later as well as now, and its values."""
_Left = tuple[list[_Values], list[_Values]]
"""What an earlier run left: references, and rows on their way."""


class StoreError(Exception):
    """The disk did not take something. The text says what, where and what to do; the daemon can go on."""


class StoreUnusableError(StoreError):
    """The state must not be used: another daemon has it, or it is not ours. Do not start."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was learnt, as it was saved, or why there is none. Whether it fits is the pipeline's to say."""

    data: bytes | None
    why: str = ""


class Store:
    """The state file, the snapshot beside it, and the thread that owns them.

    Args:
        path: The database file; its directory is made (0700) if missing. Not on a network file system.
        outbox: Where rows wait; the store keeps its journal.
        max_file_bytes: Bound on the database file; beyond it commits fail as on a full disk.
    """

    def __init__(self, path: Path, *, outbox: Outbox | None = None, max_file_bytes: int = 1 << 30) -> None:
        self.path = path
        self.outbox = Outbox() if outbox is None else outbox
        self.failing = ""
        """What is wrong with the disk, for a reader; empty while all is well."""
        self.failures = 0
        """Transactions that the disk did not take, since the start."""
        self.notes: list[str] = []
        """What was found and done on the way, for the log; take them and clear."""
        self.refs: dict[tuple[str, str], str] = {}
        """A destination's own reference for what it made of an incident, by destination and incident id."""
        self._file = statefile.StateFile(
            path,
            schema=_SCHEMA,
            application_id=_APPLICATION_ID,
            version=_VERSION,
            upgrades=_UPGRADES,
            max_bytes=max_file_bytes,
        )
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sentinel-store")
        self._taken_up = False
        self._retry_at = 0.0
        self._unsaved: dict[str, Row] = {}
        self._unsaved_incidents: dict[str, Incident] = {}
        self._unsaved_facts: list[_Fact] = []

    # Life

    async def open(self) -> None:
        """Open the file and take up the rows of an earlier run. A disk that fails is noted, not raised.

        A row that was being sent when the last run ended is pending again, and ambiguous. A damaged file is
        renamed aside and an empty one begun; `notes` says so.

        Raises:
            StoreUnusableError: another daemon has the file, or it is not ours, or of a newer version.
        """
        try:
            await self._write(_nothing, patient=True)
        except StoreUnusableError:
            raise
        except StoreError as error:
            self.notes.append(str(error))

    async def close(self) -> None:
        """Write what waits to be written, fold the log into the file, let go of it."""
        with contextlib.suppress(StoreError):
            await self._write(_nothing, patient=True)
        await self._run(self._file.close)
        self._thread.shutdown()

    async def prove(self) -> None:
        """Write something that must reach the disk; `failing` says whether it did."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(f"PRAGMA user_version = {_VERSION}")

        with contextlib.suppress(StoreError):
            await self._write(work)

    # Incidents and what was told of them

    async def commit(
        self,
        incidents: Sequence[Incident],
        notifications: Sequence[Notification],
        now: float,
        *,
        told: Iterable[Told] = (),
        events: Iterable[Event] = (),
        recordings: Iterable[Recording] = (),
        kept: Iterable[tuple[str, Action | None]] = (),
        elsewhere: Mapping[tuple[str, str], str] = _NONE,
    ) -> None:
        """Keep what a step changed and put its notifications into the outbox: all or nothing, on the disk on return.

        A notification whose event id is known changes nothing, whatever became of it. Who is cancelled meanwhile
        waits for the end, so that what is on the disk is in the outbox too.

        Raises:
            StoreError: the disk did not take it. The notifications are in the outbox all the same, and all is
                written as soon as the disk works again; until then a restart would lose it.
        """
        rows = [Row(notification, now, now, size=len(_json(notification))) for notification in notifications]
        entries = [_entry(row) for row in rows]
        changed = [_incident(incident) for incident in incidents]
        facts = list(_facts(told, events, recordings, kept))
        facts += [(_TOLD_ELSEWHERE, _clean((*key, why))) for key, why in elsewhere.items()]

        def work(connection: sqlite3.Connection) -> set[str]:
            _keep_incidents(connection, changed)
            _keep_facts(connection, facts)
            return _insert_new(connection, entries)

        await _whole(self._commit(work, rows, incidents, facts, now))

    async def _commit(
        self, work: _Work[set[str]], rows: list[Row], incidents: Sequence[Incident], facts: list[_Fact], now: float
    ) -> None:
        try:
            fresh = await self._write(work)
        except StoreError:
            self._keep_in_memory(incidents, rows, facts, now)
            raise
        new = [row for row in rows if row.event_id in fresh]
        for row in new:
            row.durable = True
        ended = [old for row in new for old in self.outbox.add(row, now)]
        if ended:
            await self.record(ended)

    async def live_incidents(self, *, resolved_since: float) -> list[Incident]:
        """Open incidents, and those resolved at or after a time; oldest first. Empty if the disk fails."""
        query = "SELECT body FROM incidents WHERE state = 'open' OR resolved >= ? ORDER BY opened, id"
        return self._all(_INCIDENTS, await self._read(query, resolved_since))

    async def past_incidents(self, limit: int) -> list[Incident]:
        """The newest incidents, whatever their state, newest first. Empty if the disk fails."""
        query = "SELECT body FROM incidents ORDER BY opened DESC, id DESC LIMIT ?"
        return self._all(_INCIDENTS, await self._read(query, limit))

    async def incident(self, name: str) -> Incident | None:
        """The incident of that id or short reference; the newest if two share one. None if the disk fails."""
        query = "SELECT body FROM incidents WHERE id = ? OR substr(id, -6) = ? ORDER BY opened DESC LIMIT 1"
        found = self._all(_INCIDENTS, await self._read(query, name, name.removeprefix("SNT-")))
        return next(iter(found), None)

    async def told(self) -> list[Told]:
        """What each destination was told last of each incident. Empty if the disk fails."""
        return self._all(_TOLDS, await self._read("SELECT body FROM told ORDER BY incident, destination"))

    async def elsewhere(self) -> dict[tuple[str, str], str]:
        """What was told to a fallback: why, by the destination that was not reached and the incident's id."""
        found = await self._read("SELECT destination, incident, why FROM elsewhere")
        return {(destination, incident): why for destination, incident, why in found}

    async def public(self) -> list[Notification]:
        """What each status page was told last of each of its components that is not over by that."""
        query = """SELECT payload FROM outbox WHERE number IN (
                     SELECT max(number) FROM outbox WHERE destination LIKE 'page/%' AND state <> 'superseded'
                     GROUP BY destination, lane)
                   ORDER BY number"""
        return self._all(_NOTIFICATIONS, await self._read(query))

    async def kept(self) -> dict[str, Action]:
        """Silences and deploys that hold, by id. Empty if the disk fails."""
        kept = {}
        for name, body in await self._read("SELECT id, body FROM kept ORDER BY id"):
            try:
                kept[name] = decode(json.loads(body))
            except ActionError as error:
                self.notes.append(f"{self.path}: left out a silence or deploy that cannot be read ({error})")
        return kept

    async def events(self, incident: str | None = None, limit: int = 1000) -> list[Event]:
        """The history of one incident, or of all, and of what people did; the newest, oldest first."""
        query = """SELECT time, kind, incident, actor, text FROM events WHERE incident = ? OR ?
                   ORDER BY number DESC LIMIT ?"""
        found = await self._read(query, incident or "", incident is None, limit)
        return [Event(*values) for values in reversed(found)]

    async def recording(self, incident: str) -> Recording | None:
        """What was recorded of an incident's metrics."""
        found = self._all(_RECORDINGS, await self._read("SELECT body FROM recordings WHERE incident = ?", incident))
        return next(iter(found), None)

    async def sent(self, incident: str) -> list[Sent]:
        """What became of every notification of an incident that is still remembered, oldest first."""
        query = """SELECT destination, reason, created, state, settled, attempts, error FROM outbox
                   WHERE incident = ? ORDER BY number"""
        return [Sent(*values) for values in await self._read(query, incident)]

    # The outbox's journal

    async def record(self, rows: Iterable[Row]) -> None:
        """Write how rows stand. Never raises: what the disk refuses is kept and written later."""
        for row in rows:
            self._unsaved[row.event_id] = row
            if row.ref is not None:
                self.refs[row.destination, row.notification.incident.id] = row.ref
        with contextlib.suppress(StoreError):
            await self._write(_nothing)

    async def dead_letters(self, limit: int = 1000) -> list[Letter]:
        """Notifications that were given up, newest first, each with the reason. Empty if the disk fails."""
        query = f"{_LETTER} ORDER BY settled DESC, number DESC LIMIT ?"
        return self._letters(await self._read(query, limit))

    async def dead_letter(self, event_id: str) -> Letter | None:
        """One of them."""
        return next(iter(self._letters(await self._read(f"{_LETTER} AND event_id = ?", event_id))), None)

    async def revive(self, letter: Letter, now: float) -> None:
        """Put one that was given up at the end of its lane, under its own id. A copy may have arrived before."""
        row = Row(letter.notification, now, now, size=len(_json(letter.notification)), durable=True)
        row.ambiguous = letter.attempts > 0
        await self.record([*self.outbox.add(row, now), row])

    def _letters(self, found: Iterable[_Values]) -> list[Letter]:
        letters = ((self._decoded(_NOTIFICATIONS, payload), rest) for payload, *rest in found)
        return [
            Letter(notification, RowState(state), created, not_before, attempts, error)
            for notification, (state, created, not_before, attempts, error) in letters
            if notification is not None
        ]

    async def tidy(self, now: float, *, delivered_for: Seconds = 7 * _DAY, dead_for: Seconds = 30 * _DAY) -> None:
        """Write what waits to be written, and forget what is old. Call it every minute or so.

        Args:
            now: Unix seconds.
            delivered_for: How long delivered and superseded rows are kept.
            dead_for: How long dead letters and resolved incidents are kept.
        """

        def work(connection: sqlite3.Connection) -> list[_Values]:
            old = "DELETE FROM outbox WHERE settled < ? AND state IN "
            connection.execute(old + "('delivered', 'superseded')", (now - delivered_for,))
            connection.execute(old + "('dead', 'expired')", (now - dead_for,))
            connection.execute("DELETE FROM incidents WHERE resolved < ?", (now - dead_for,))
            for table in ("told", "recordings", "elsewhere"):
                connection.execute(f"DELETE FROM {table} WHERE {_OF_NOTHING}")
            connection.execute("DELETE FROM events WHERE time < ?", (now - dead_for,))

            return connection.execute(
                f"DELETE FROM refs WHERE {_OF_NOTHING} RETURNING destination, incident"
            ).fetchall()

        with contextlib.suppress(StoreError):
            for destination, incident in await self._write(work, patient=True):
                self.refs.pop((destination, incident), None)

    # Snapshots: a file of their own, since they are large, replaced whole, and worth less than an incident

    async def save_snapshot(self, parts: Iterable[bytes], now: float) -> None:
        """Replace the snapshot; after a crash there is the old one or the new one, whole.

        Args:
            parts: What it holds. Each is asked for when the one before is written, so that it is never in memory as
                a whole, and the loop goes on in between.
            now: When.

        Raises:
            StoreError: the disk did not take it.
        """
        path, digest = self._snapshot_path(), hashlib.sha256()
        try:
            new = await self._run(lambda: statefile.Replacement(path))
            try:
                await self._run(partial(new.write, json.dumps({"format": _SNAPSHOT, "saved": now}).encode() + b"\n"))
                for part in parts:
                    digest.update(part)
                    await self._run(partial(new.write, part))
                await self._run(partial(new.write, digest.digest()))
                await self._run(new.finish)
            finally:
                await self._run(new.abandon)
        except OSError as error:
            raise StoreError(
                f"{path}: cannot save detector state: {error.strerror}; {statefile.remedy(error)}"
            ) from error

    async def load_snapshot(self) -> Snapshot:
        """The last snapshot, if it is whole and nobody else could have written it."""
        path = self._snapshot_path()
        try:
            whole = await self._run(lambda: statefile.read_ours(path))
        except FileNotFoundError:
            return Snapshot(None, "no detector state yet: detectors start cold")
        except OSError as error:
            return Snapshot(None, f"{path}: {error.strerror}: detectors start cold")
        return _opened(path, whole)

    # Inside

    def _snapshot_path(self) -> Path:
        return self.path.with_suffix(".snapshot")

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _read(self, query: str, *values: object) -> list[_Values]:
        try:
            return await self._write(lambda c: c.execute(query, values).fetchall(), patient=True)
        except StoreError:
            return []

    async def _write(self, work: _Work[T], *, patient: bool = False) -> T:
        """One transaction: first what earlier ones could not write, then this.

        A disk that fails is asked again every few seconds only, unless `patient`: a locked file costs 2 s a
        try.
        """
        loop = asyncio.get_running_loop()
        if self.failing and not patient and loop.time() < self._retry_at:
            raise StoreError(self.failing)
        rows, self._unsaved = self._unsaved, {}
        incidents, self._unsaved_incidents = self._unsaved_incidents, {}
        facts, self._unsaved_facts = self._unsaved_facts, []
        late = _late(list(rows.values()), list(incidents.values()), facts)
        take_up = not self._taken_up

        def whole(connection: sqlite3.Connection) -> tuple[_Left | None, T]:
            left = _recover(connection) if take_up else None
            late(connection)
            return left, work(connection)

        try:
            left, result = await self._run(lambda: self._file.transaction(whole))
        except BaseException as error:
            self._unsaved = rows | self._unsaved
            self._unsaved_incidents = incidents | self._unsaved_incidents
            self._unsaved_facts = facts + self._unsaved_facts
            if isinstance(error, statefile.UnusableError | sqlite3.Error | OSError):
                raise self._failed(error, loop.time()) from error
            raise
        for row in rows.values():
            row.durable = True
        self.failing = ""
        self._take_up(left)
        return result

    def _failed(self, error: Exception, at: float) -> StoreError:
        if isinstance(error, statefile.UnusableError):
            self.failing = str(error)
            return StoreUnusableError(self.failing)
        self.failures += 1
        self._retry_at = at + _RETRY_DISK_AFTER
        self.failing = (
            f"{self.path}: cannot write state: {error}; {statefile.remedy(error)}. "
            "Alerts go on from memory, and a restart would lose them"
        )
        if statefile.is_damage(error):
            self._unsaved = {row.event_id: row for row in self.outbox.rows()} | self._unsaved
            for row in self._unsaved.values():
                row.durable = False
        return StoreError(self.failing)

    def _take_up(self, left: _Left | None) -> None:
        """Put what an earlier run left into the outbox, and say if its file had to be put aside."""
        if left is not None:
            refs, rows = left
            self._taken_up = True
            self.refs = {(destination, incident): ref for destination, incident, ref in refs} | self.refs
            self.outbox.restore([row for values in rows if (row := self._revived(values)) is not None])
        for aside in self._file.set_aside:
            self.notes.append(
                f"{self.path} was damaged; it is now {aside.name} and an empty one was begun. Incidents "
                "that were open may be told again, under the same keys"
            )
        self._file.set_aside.clear()

    def _revived(self, values: _Values) -> Row | None:
        payload, created, not_before, attempts, ambiguous, minimal, error, status = values
        notification = self._decoded(_NOTIFICATIONS, payload)
        if notification is None:
            return None
        row = Row(notification, created, not_before, size=len(payload), attempts=attempts, durable=True)
        row.ambiguous, row.minimal, row.error, row.status = bool(ambiguous), bool(minimal), error, status
        return row

    def _decoded(self, adapter: TypeAdapter[T], text: str) -> T | None:
        try:
            return adapter.validate_json(text)
        except ValidationError as error:
            self.notes.append(f"{self.path}: left out an entry that this version cannot read ({error.title})")
            return None

    def _all(self, adapter: TypeAdapter[T], found: Iterable[_Values]) -> list[T]:
        return [value for (body,) in found if (value := self._decoded(adapter, body)) is not None]

    def _keep_in_memory(
        self, incidents: Sequence[Incident], rows: list[Row], facts: Sequence[_Fact], now: float
    ) -> None:
        self._unsaved_facts = [*self._unsaved_facts, *facts][-_MAX_FACTS:]
        self._unsaved_incidents.update((incident.id, incident) for incident in incidents)
        while len(self._unsaved_incidents) > _MAX_UNSAVED:
            del self._unsaved_incidents[next(iter(self._unsaved_incidents))]
        for row in rows:
            if row.event_id not in self._unsaved and row.event_id not in self.outbox:
                self._unsaved[row.event_id] = row
                self._unsaved.update((ended.event_id, ended) for ended in self.outbox.add(row, now))
        self._bound_unsaved(now)

    def _bound_unsaved(self, now: float) -> None:
        """At the bound forget first what has been sent, then what matters least, then the oldest."""
        memory_only = [row for row in self._unsaved.values() if not row.durable]
        while len(memory_only) > _MAX_UNSAVED:
            row = (
                next((row for row in memory_only if not row.live), None)
                or self.outbox.shed(memory_only, now, "shed: the disk fails and memory is bounded")
                or memory_only[0]
            )
            if row.live:
                self.outbox.settle(row, RowState.DEAD, now, "lost: the disk fails and memory is bounded")
            memory_only.remove(row)
            del self._unsaved[row.event_id]


_NOTIFICATIONS = TypeAdapter(Notification)
_INCIDENTS = TypeAdapter(Incident)
_TOLDS = TypeAdapter(Told)
_RECORDINGS = TypeAdapter(Recording)


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """Await work to its end; a cancellation that comes meanwhile is raised then."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        _ = task.cancelled() or task.exception()  # else the loop complains that nobody looked at it
        raise


def _nothing(connection: sqlite3.Connection) -> None:
    pass


def _json(value: Notification | Incident | Told | Recording) -> str:
    """Neutral JSON; what is not valid UTF-8 becomes a question mark, here rather than on the way back."""
    text = json.dumps(asdict(value), separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()


def _entry(row: Row) -> _Values:
    n = row.notification
    fixed = (row.event_id, row.destination, row.lane, n.incident.id, row.reason.value, _json(n), row.created)
    progress = (row.state.value, row.not_before, row.attempts, int(row.ambiguous), int(row.minimal))
    return *fixed, *progress, row.error, row.status, row.settled


def _facts(
    told: Iterable[Told],
    events: Iterable[Event],
    recordings: Iterable[Recording],
    kept: Iterable[tuple[str, Action | None]],
) -> Iterator[_Fact]:
    """What has to be written beside incidents and notifications."""
    yield from ((_TOLD, (item.incident, item.destination, _json(item))) for item in told)
    yield from ((_EVENT, _clean((e.time, e.kind, e.incident, e.by, e.text))) for e in events)
    yield from ((_RECORDING, (recording.incident, _json(recording))) for recording in recordings)
    for name, action in kept:
        yield (_DROPPED, (name,)) if action is None else (_KEPT, _clean((name, json.dumps(encode(action)))))


def _clean(values: _Values) -> _Values:
    """What is not valid UTF-8 becomes a question mark, as in `_json`."""
    return tuple(v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for v in values)


def _keep_facts(connection: sqlite3.Connection, facts: Iterable[_Fact]) -> None:
    for statement, values in facts:
        connection.execute(statement, values)


def _incident(i: Incident) -> _Values:
    times = (i.opened, i.updated, i.resolved)
    return i.id, i.dedup_key, i.state.value, i.target, i.cause, int(i.severity), *times, _json(i)


def _late(rows: list[Row], incidents: list[Incident], facts: Sequence[_Fact]) -> _Work[None]:
    """Write rows and incidents as they stand now, and facts, in a transaction that comes later."""
    kept = [_incident(incident) for incident in incidents]
    entries = [_entry(row) for row in rows]
    refs = [(row.destination, row.notification.incident.id, row.ref) for row in rows if row.ref is not None]

    def work(connection: sqlite3.Connection) -> None:
        _keep_incidents(connection, kept)
        connection.executemany(_JOURNAL, entries)
        _keep_facts(connection, facts)
        connection.executemany("INSERT OR REPLACE INTO refs VALUES(?, ?, ?)", refs)

    return work


def _keep_incidents(connection: sqlite3.Connection, incidents: list[_Values]) -> None:
    """Upsert; an older open incident of the same condition ends, since the newer one took its place."""
    for values in incidents:
        identity, dedup_key, state = values[:3]
        if state == IncidentState.OPEN:
            connection.execute(
                "UPDATE incidents SET state = 'resolved', resolved = updated "
                "WHERE dedup_key = ? AND id <> ? AND state = 'open'",
                (dedup_key, identity),
            )
        connection.execute(_INCIDENT, values)


def _insert_new(connection: sqlite3.Connection, entries: list[_Values]) -> set[str]:
    """Insert what is not known yet. Gives the event ids that were new."""
    fresh = set()
    for entry in entries:
        if connection.execute("SELECT 1 FROM outbox WHERE event_id = ?", entry[:1]).fetchone() is None:
            connection.execute(_JOURNAL, entry)
            fresh.add(entry[0])
    return fresh


def read_history(path: Path, since: float) -> tuple[list[Incident], list[Event]]:
    """Incidents that were open at or after a time, and what was noted since, oldest first; also while a daemon runs.

    Blocks. Opens the file for reading only and takes no lock of its own.

    Raises:
        StoreError: there is no state, or it cannot be read.
    """
    if not path.is_file():
        raise StoreError(f"{path}: there is no state here; name the daemon's --state-dir")
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)
        ) as connection:
            bodies = connection.execute(
                "SELECT body FROM incidents WHERE state = 'open' OR resolved >= ? ORDER BY opened", (since,)
            ).fetchall()
            query = "SELECT time, kind, incident, actor, text FROM events WHERE time >= ? ORDER BY number"
            events = [Event(*values) for values in connection.execute(query, (since,))]
        return [_INCIDENTS.validate_json(body) for (body,) in bodies], events
    except (sqlite3.Error, ValidationError) as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error


def _recover(connection: sqlite3.Connection) -> _Left:
    """What an earlier run left. What was being sent then is pending again, and ambiguous."""
    connection.execute("UPDATE outbox SET state = 'pending', ambiguous = 1 WHERE state = 'sending'")
    refs = connection.execute("SELECT destination, incident, ref FROM refs").fetchall()
    return refs, connection.execute(_RECOVER).fetchall()


def _opened(path: Path, whole: bytes) -> Snapshot:
    head, _, rest = whole.partition(b"\n")
    data, digest = rest[:-_DIGEST], rest[-_DIGEST:]
    try:
        found = json.loads(head)["format"]
    except (ValueError, KeyError, TypeError):
        return Snapshot(None, f"{path}: is not a snapshot: detectors start cold")
    if found != _SNAPSHOT:
        return Snapshot(None, f"{path}: is of format {found}, this is {_SNAPSHOT}: detectors start cold")
    if digest != hashlib.sha256(data).digest():
        return Snapshot(None, f"{path}: is damaged: detectors start cold")
    return Snapshot(data)
