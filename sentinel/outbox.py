"""The outbox: what each destination still has to be told, in lanes, and what gives way to what.

A lane is a destination and a condition (the incident's dedup key): within it order is strict, between lanes
there is none. Knows rows and lanes; must not know disks (`store` keeps a journal of it), networks or waiting
(`delivery` sends from it). Times are Unix seconds and come in as arguments.

Why in memory: what waits is little (nothing, most of the time), so it can be looked at without a query, and a
disk that fails takes the memory of a restart away, not the alert.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sentinel.model import Notification, Reason, Severity

__all__ = ["Letter", "Outbox", "Row", "RowState"]

_DAY = 86400.0
_REPLACEABLE = frozenset({Reason.UPDATED, Reason.REPEATED})
"""What a newer notification of the same lane makes needless: it says the whole state."""


class RowState(enum.StrEnum):
    """Where a row is in its life."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    SUPERSEDED = "superseded"
    """A newer one of its lane made it needless."""
    DEAD = "dead"
    """Refused for good, or shed from a full outbox."""
    EXPIRED = "expired"
    """Too old to be of use."""


@dataclass(slots=True, eq=False)
class Row:
    """One notification on its way to one destination. Changed by delivery, journalled by the store."""

    notification: Notification
    created: float
    not_before: float
    size: int = 0
    """Bytes of its journal entry."""
    state: RowState = RowState.PENDING
    attempts: int = 0
    ambiguous: bool = False
    """An attempt may have been processed although no answer was seen."""
    minimal: bool = False
    """The full text was refused; the plain one is tried."""
    error: str = ""
    status: int | None = None
    settled: float | None = None
    durable: bool = False
    """Whether the journal holds it."""
    ref: str | None = None
    """The destination's own reference for what it made, if it said one."""

    @property
    def event_id(self) -> str:
        return self.notification.event_id

    @property
    def destination(self) -> str:
        return self.notification.destination

    @property
    def lane(self) -> str:
        return self.notification.incident.dedup_key

    @property
    def reason(self) -> Reason:
        return self.notification.reason

    @property
    def attempted(self) -> bool:
        """Whether the destination may have heard of it."""
        return self.attempts > 0 or self.ambiguous or self.state is RowState.SENDING

    @property
    def live(self) -> bool:
        return self.state in (RowState.PENDING, RowState.SENDING)


@dataclass(frozen=True, slots=True)
class Letter:
    """A notification that waits or was given up, as people look after it."""

    notification: Notification
    state: RowState
    created: float
    not_before: float
    attempts: int
    error: str

    @classmethod
    def of(cls, row: Row) -> Letter:
        """A row as it stands now."""
        return cls(row.notification, row.state, row.created, row.not_before, row.attempts, row.error)


class Outbox:
    """Rows on their way, by destination and lane.

    At a bound, what matters least gives way first: reminders, updates, opens below critical. A critical open
    or a resolve never does; if nothing else is left, the new row is refused. What gives way ends as dead and
    is counted in `settled`.

    Args:
        max_rows: Rows on their way, over all destinations.
        max_bytes: Their journal entries together.
    """

    def __init__(self, max_rows: int = 10_000, max_bytes: int = 64 << 20) -> None:
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._lanes: dict[str, dict[str, list[Row]]] = {}
        self._rows: dict[str, Row] = {}
        self.bytes = 0
        self.settled: Counter[tuple[str, RowState]] = Counter()
        """How many rows ended how since the start, by destination and state."""

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, event_id: object) -> bool:
        return event_id in self._rows

    def rows(self, destination: str | None = None) -> Iterator[Row]:
        """Rows on their way, oldest first within a lane; of one destination or of all."""
        names = self._lanes if destination is None else (destination,)
        return (row for name in names for lane in self._lanes.get(name, {}).values() for row in lane)

    def row(self, event_id: str) -> Row | None:
        """The row with that id, if it is on its way."""
        return self._rows.get(event_id)

    def destinations(self) -> tuple[str, ...]:
        """Names for which rows are on their way."""
        return tuple(self._lanes)

    def add(self, row: Row, now: float) -> list[Row]:
        """Put a new row at the end of its lane. Gives the rows that ended by it, itself included if refused.

        A pending update or reminder of the lane that was never attempted is superseded: the new one says
        more. A row that is already there changes nothing.
        """
        if row.event_id in self._rows:
            return []
        lane = self._lanes.get(row.destination, {}).get(row.lane, [])
        stale = [old for old in lane if old.reason in _REPLACEABLE and not old.attempted]
        for old in stale:
            self.settle(old, RowState.SUPERSEDED, now)
        self._append(row)
        return stale + self._keep_bounds(now)

    def restore(self, rows: Iterable[Row]) -> None:
        """Put rows of an earlier run, oldest first, before all that came since."""
        earlier: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            if row.event_id not in self._rows:
                earlier.setdefault((row.destination, row.lane), []).append(row)
        for (destination, lane), older in earlier.items():
            newer = self._lanes.setdefault(destination, {}).get(lane, [])
            self._lanes[destination][lane] = older + newer
            self._rows.update((row.event_id, row) for row in older)
            self.bytes += sum(row.size for row in older)

    def heads(self, destination: str, now: float) -> list[Row]:
        """First rows of the destination's lanes that may be sent now, longest due first.

        A lane whose first row is being sent has none. A time more than a day ahead comes from a clock that
        was wrong, and counts as now.
        """
        heads = (lane[0] for lane in self._lanes.get(destination, {}).values())
        due = (row for row in heads if row.state is RowState.PENDING and _due_in(row, now) <= 0)
        return sorted(due, key=lambda row: (row.not_before, row.created))

    def next_due(self, destination: str, now: float) -> float | None:
        """Seconds until a head may be sent, 0 or more; None if all lanes are empty or being sent."""
        heads = (lane[0] for lane in self._lanes.get(destination, {}).values())
        waits = [_due_in(row, now) for row in heads if row.state is RowState.PENDING]
        return max(0.0, min(waits)) if waits else None

    def lane(self, row: Row) -> Sequence[Row]:
        """All rows of a row's lane, oldest first, itself among them."""
        return tuple(self._lanes.get(row.destination, {}).get(row.lane, ()))

    def settle(self, row: Row, state: RowState, now: float, error: str = "") -> None:
        """End a row's life: out of its lane, so that the next may go."""
        row.state, row.settled = state, now
        row.error = error or row.error
        if self._rows.pop(row.event_id, None) is None:
            return
        self.settled[row.destination, state] += 1
        self.bytes -= row.size
        lanes = self._lanes[row.destination]
        lanes[row.lane].remove(row)
        if not lanes[row.lane]:
            del lanes[row.lane]
        if not lanes:
            del self._lanes[row.destination]

    def shed(self, rows: Iterable[Row], now: float, error: str) -> Row | None:
        """End the row that matters least among some, oldest first among equals. None if all must stay."""
        candidates = [row for row in rows if row.live and row.state is not RowState.SENDING]
        victim = min(candidates, key=lambda row: (_weight(row), row.created), default=None)
        if victim is None or _weight(victim) >= _NEVER:
            return None
        self.settle(victim, RowState.DEAD, now, error)
        return victim

    def counts(self) -> Counter[tuple[str, RowState]]:
        """Rows on their way, by destination and state."""
        return Counter((row.destination, row.state) for row in self._rows.values())

    def oldest(self, destination: str, now: float) -> float:
        """Age of the destination's oldest row in seconds; 0 if there is none."""
        return max((now - row.created for row in self.rows(destination)), default=0.0)

    def _append(self, row: Row) -> None:
        self._lanes.setdefault(row.destination, {}).setdefault(row.lane, []).append(row)
        self._rows[row.event_id] = row
        self.bytes += row.size

    def _keep_bounds(self, now: float) -> list[Row]:
        ended: list[Row] = []
        while len(self._rows) > self._max_rows or self.bytes > self._max_bytes:
            newest = next(reversed(self._rows.values()))
            victim = self.shed(self._rows.values(), now, "shed: the outbox is full")
            if victim is None:
                victim = newest
                self.settle(newest, RowState.DEAD, now, "refused: the outbox is full of rows that must stay")
            ended.append(victim)
        return ended


_NEVER = 3


def _weight(row: Row) -> int:
    """How long a row holds its place in a full outbox; `_NEVER` for those that never give way."""
    if row.reason in _REPLACEABLE:
        return 0 if row.reason is Reason.REPEATED else 1
    critical = row.notification.incident.severity >= Severity.CRITICAL
    return _NEVER if row.reason is Reason.RESOLVED or critical else 2


def _due_in(row: Row, now: float) -> float:
    wait = row.not_before - now
    return wait if wait <= _DAY else 0.0
