"""What survives a restart: incidents, their history, what each destination has been told, the outbox's journal,
snapshots.

One SQLite file and one thread that owns it; the event loop hands that thread whole transactions, so that no
await can sit inside one. What `commit` has returned for is on the disk. Knows what is still to be written when a disk
fails; must not know destinations' protocols, retries, or what an incident means.

When the disk fails, the daemon goes on: `failing` says what and why, new rows are sent from memory alone (at
most 1,000), and everything is written with the first transaction that works again.

Source: reference/delivery.md 9.1-9.3. Different here: no table of breakers and pauses (a restart costs one
probe, and each row keeps its own earliest time), and order in a lane is the order of insertion.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sentinel import statefile
from sentinel.model import Event, Incident, Notification, Recording, Seconds, Sent, Told
from sentinel.outbox import Letter, Outbox, Row, RowState
from sentinel.pipeline.actions import Action, ActionError, decode
from sentinel.store import tables
from sentinel.store.errors import StoreError, StoreUnusableError
from sentinel.store.snapshots import SnapshotFile

__all__ = ["Store"]

_MAX_UNSAVED = 1000
_MAX_FACTS = 10_000
_RETRY_DISK_AFTER = 5.0
_DAY = 86400.0
_NONE: Mapping[tuple[str, str], str] = MappingProxyType({})

T = TypeVar("T")


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
            schema=tables.SCHEMA,
            application_id=tables.APPLICATION_ID,
            version=tables.VERSION,
            upgrades=tables.UPGRADES,
            max_bytes=max_file_bytes,
        )
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sentinel-store")
        self.snapshot = SnapshotFile(path.with_suffix(".snapshot"), self._run)
        """What was learnt."""
        self._taken_up = False
        self._retry_at = 0.0
        self._unsaved: dict[str, Row] = {}
        self._unsaved_incidents: dict[str, Incident] = {}
        self._unsaved_facts: list[tables.Fact] = []

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
            connection.execute(f"PRAGMA user_version = {tables.VERSION}")

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
        rows = [Row(notification, now, now, size=len(tables.to_json(notification))) for notification in notifications]
        entries = [tables.entry_of(row) for row in rows]
        changed = [tables.incident_of(incident) for incident in incidents]
        facts = list(tables.facts_of(told, events, recordings, kept, elsewhere))

        def work(connection: sqlite3.Connection) -> set[str]:
            tables.keep_incidents(connection, changed)
            tables.keep_facts(connection, facts)
            return tables.insert_new(connection, entries)

        await _whole(self._commit(work, rows, incidents, facts, now))

    async def _commit(
        self,
        work: tables.Work[set[str]],
        rows: list[Row],
        incidents: Sequence[Incident],
        facts: list[tables.Fact],
        now: float,
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
        return self._all(tables.INCIDENTS, await self._read(query, resolved_since))

    async def past_incidents(self, limit: int) -> list[Incident]:
        """The newest incidents, whatever their state, newest first. Empty if the disk fails."""
        query = "SELECT body FROM incidents ORDER BY opened DESC, id DESC LIMIT ?"
        return self._all(tables.INCIDENTS, await self._read(query, limit))

    async def incident(self, name: str) -> Incident | None:
        """The incident of that id or short reference; the newest if two share one. None if the disk fails."""
        query = "SELECT body FROM incidents WHERE id = ? OR substr(id, -6) = ? ORDER BY opened DESC LIMIT 1"
        found = self._all(tables.INCIDENTS, await self._read(query, name, name.removeprefix("SNT-")))
        return next(iter(found), None)

    async def told(self) -> list[Told]:
        """What each destination was told last of each incident. Empty if the disk fails."""
        return self._all(tables.TOLDS, await self._read("SELECT body FROM told ORDER BY incident, destination"))

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
        return self._all(tables.NOTIFICATIONS, await self._read(query))

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
        found = self._all(
            tables.RECORDINGS, await self._read("SELECT body FROM recordings WHERE incident = ?", incident)
        )
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
        query = f"{tables.LETTER} ORDER BY settled DESC, number DESC LIMIT ?"
        return self._letters(await self._read(query, limit))

    async def dead_letter(self, event_id: str) -> Letter | None:
        """One of them."""
        return next(iter(self._letters(await self._read(f"{tables.LETTER} AND event_id = ?", event_id))), None)

    async def revive(self, letter: Letter, now: float) -> None:
        """Put one that was given up at the end of its lane, under its own id. A copy may have arrived before."""
        row = Row(letter.notification, now, now, size=len(tables.to_json(letter.notification)), durable=True)
        row.ambiguous = letter.attempts > 0
        await self.record([*self.outbox.add(row, now), row])

    def _letters(self, found: Iterable[tables.Values]) -> list[Letter]:
        letters = ((self._decoded(tables.NOTIFICATIONS, payload), rest) for payload, *rest in found)
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

        def work(connection: sqlite3.Connection) -> list[tables.Values]:
            old = "DELETE FROM outbox WHERE settled < ? AND state IN "
            connection.execute(old + "('delivered', 'superseded')", (now - delivered_for,))
            connection.execute(old + "('dead', 'expired')", (now - dead_for,))
            connection.execute("DELETE FROM incidents WHERE resolved < ?", (now - dead_for,))
            for table in ("told", "recordings", "elsewhere"):
                connection.execute(f"DELETE FROM {table} WHERE {tables.OF_NOTHING}")
            connection.execute("DELETE FROM events WHERE time < ?", (now - dead_for,))

            return connection.execute(
                f"DELETE FROM refs WHERE {tables.OF_NOTHING} RETURNING destination, incident"
            ).fetchall()

        with contextlib.suppress(StoreError):
            for destination, incident in await self._write(work, patient=True):
                self.refs.pop((destination, incident), None)

    # Inside

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _read(self, query: str, *values: object) -> list[tables.Values]:
        try:
            return await self._write(lambda c: c.execute(query, values).fetchall(), patient=True)
        except StoreError:
            return []

    async def _write(self, work: tables.Work[T], *, patient: bool = False) -> T:
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
        earlier = tables.late(list(rows.values()), list(incidents.values()), facts)
        take_up = not self._taken_up

        def whole(connection: sqlite3.Connection) -> tuple[tables.Left | None, T]:
            left = tables.recover(connection) if take_up else None
            earlier(connection)
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

    def _take_up(self, left: tables.Left | None) -> None:
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

    def _revived(self, values: tables.Values) -> Row | None:
        payload, created, not_before, attempts, ambiguous, minimal, error, status = values
        notification = self._decoded(tables.NOTIFICATIONS, payload)
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

    def _all(self, adapter: TypeAdapter[T], found: Iterable[tables.Values]) -> list[T]:
        return [value for (body,) in found if (value := self._decoded(adapter, body)) is not None]

    def _keep_in_memory(
        self, incidents: Sequence[Incident], rows: list[Row], facts: Sequence[tables.Fact], now: float
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
