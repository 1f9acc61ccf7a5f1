"""How our values become rows: the tables, their upgrades, and the statements that write and read them.

Knows SQL and JSON. Does not know the thread, the disk, or when anything is written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import TypeAdapter

from sentinel.model import Event, Incident, IncidentState, Notification, Recording, Told
from sentinel.outbox import Row
from sentinel.pipeline.actions import Action, encode

APPLICATION_ID = 0x534E544C
VERSION = 3
SCHEMA = """
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
SCHEMA += _HISTORY + _ELSEWHERE
UPGRADES = ("DROP TABLE told;" + _HISTORY, _ELSEWHERE)
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
OF_NOTHING = "incident NOT IN (SELECT id FROM incidents) AND incident NOT IN (SELECT incident FROM outbox)"
"""Public incidents have rows in the outbox alone."""
LETTER = """
SELECT payload, state, created, not_before, attempts, error FROM outbox WHERE state IN ('dead', 'expired')
"""
_RECOVER = """
SELECT payload, created, not_before, attempts, ambiguous, minimal, error, status
FROM outbox WHERE state = 'pending' ORDER BY number
"""

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Values = tuple[Any, ...]
Fact = tuple[str, Values]
"""A statement that may be written later as well as now, and its values."""
Left = tuple[list[Values], list[Values]]
"""What an earlier run left: references, and rows on their way."""


NOTIFICATIONS = TypeAdapter(Notification)
INCIDENTS = TypeAdapter(Incident)
TOLDS = TypeAdapter(Told)
RECORDINGS = TypeAdapter(Recording)


def to_json(value: Notification | Incident | Told | Recording) -> str:
    """Neutral JSON; what is not valid UTF-8 becomes a question mark, here rather than on the way back."""
    text = json.dumps(asdict(value), separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()


def entry_of(row: Row) -> Values:
    n = row.notification
    fixed = (row.event_id, row.destination, row.lane, n.incident.id, row.reason.value, to_json(n), row.created)
    progress = (row.state.value, row.not_before, row.attempts, int(row.ambiguous), int(row.minimal))
    return *fixed, *progress, row.error, row.status, row.settled


def facts_of(
    told: Iterable[Told],
    events: Iterable[Event],
    recordings: Iterable[Recording],
    kept: Iterable[tuple[str, Action | None]],
    elsewhere: Mapping[tuple[str, str], str],
) -> Iterator[Fact]:
    """What has to be written beside incidents and notifications."""
    yield from ((_TOLD, (item.incident, item.destination, to_json(item))) for item in told)
    yield from ((_EVENT, _clean((e.time, e.kind, e.incident, e.by, e.text))) for e in events)
    yield from ((_RECORDING, (recording.incident, to_json(recording))) for recording in recordings)
    for name, action in kept:
        yield (_DROPPED, (name,)) if action is None else (_KEPT, _clean((name, json.dumps(encode(action)))))
    yield from ((_TOLD_ELSEWHERE, _clean((*key, why))) for key, why in elsewhere.items())


def _clean(values: Values) -> Values:
    """What is not valid UTF-8 becomes a question mark, as in `_json`."""
    return tuple(v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for v in values)


def keep_facts(connection: sqlite3.Connection, facts: Iterable[Fact]) -> None:
    for statement, values in facts:
        connection.execute(statement, values)


def incident_of(i: Incident) -> Values:
    times = (i.opened, i.updated, i.resolved)
    return i.id, i.dedup_key, i.state.value, i.target, i.cause, int(i.severity), *times, to_json(i)


def late(rows: list[Row], incidents: list[Incident], facts: Sequence[Fact]) -> Work[None]:
    """Write rows and incidents as they stand now, and facts, in a transaction that comes later."""
    kept = [incident_of(incident) for incident in incidents]
    entries = [entry_of(row) for row in rows]
    refs = [(row.destination, row.notification.incident.id, row.ref) for row in rows if row.ref is not None]

    def work(connection: sqlite3.Connection) -> None:
        keep_incidents(connection, kept)
        connection.executemany(_JOURNAL, entries)
        keep_facts(connection, facts)
        connection.executemany("INSERT OR REPLACE INTO refs VALUES(?, ?, ?)", refs)

    return work


def keep_incidents(connection: sqlite3.Connection, incidents: list[Values]) -> None:
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


def insert_new(connection: sqlite3.Connection, entries: list[Values]) -> set[str]:
    """Insert what is not known yet. Gives the event ids that were new."""
    fresh = set()
    for entry in entries:
        if connection.execute("SELECT 1 FROM outbox WHERE event_id = ?", entry[:1]).fetchone() is None:
            connection.execute(_JOURNAL, entry)
            fresh.add(entry[0])
    return fresh


def recover(connection: sqlite3.Connection) -> Left:
    """What an earlier run left. What was being sent then is pending again, and ambiguous."""
    connection.execute("UPDATE outbox SET state = 'pending', ambiguous = 1 WHERE state = 'sending'")
    refs = connection.execute("SELECT destination, incident, ref FROM refs").fetchall()
    return refs, connection.execute(_RECOVER).fetchall()
