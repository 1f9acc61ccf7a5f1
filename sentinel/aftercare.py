"""Looking after notifications that wait or were given up: what may be tried again, and what may be dropped.

Knows the outbox, the dead letters on the disk, and which incidents are open. Does not know how anything is sent, nor
who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from sentinel.model import Event, Incident, Notification, Reason
from sentinel.notifiers.base import Notifier
from sentinel.outbox import Letter, Row, RowState
from sentinel.store import Store

__all__ = ["Aftercare", "Verb"]

Verb = Literal["retry", "drop"]


class Aftercare:
    """What people do about single notifications.

    Args:
        store: Keeps them.
        notifiers: By destination.
        incidents: Gives those that are open.
        now: Gives Unix seconds.
    """

    def __init__(
        self,
        store: Store,
        notifiers: Mapping[str, Notifier],
        incidents: Callable[[], Sequence[Incident]],
        now: Callable[[], float],
    ) -> None:
        self._store, self._notifiers, self._incidents, self._now = store, notifiers, incidents, now

    async def letters(self, limit: int) -> list[Letter]:
        """What is on its way, and what was given up, the newest first; so many of each."""
        waiting = [Letter.of(row) for row in self._store.outbox.rows()]
        return [*waiting[:limit], *await self._store.dead_letters(limit)]

    async def letter(self, event_id: str) -> Letter | None:
        """One of them."""
        row = self._store.outbox.row(event_id)
        return Letter.of(row) if row is not None else await self._store.dead_letter(event_id)

    def wording(self, notification: Notification) -> str:
        """What a notification would send; empty if its destination is no longer configured."""
        notifier = self._notifiers.get(notification.destination)
        return "" if notifier is None else notifier.message(notification).body.decode("utf-8", "replace")

    async def look_after(self, event_id: str, verb: Verb, by: str) -> Event:
        """Try a notification again now, or give it up. Gives the line for the history.

        Raises:
            LookupError: there is none of that id.
            ValueError: it can not be done; the text says why.
        """
        row, letter = self._store.outbox.row(event_id), await self.letter(event_id)
        if letter is None:
            raise LookupError(f"no notification is called {event_id[:60]!r}; `sentinel outbox list` shows them")
        if row is not None and row.state is RowState.SENDING:
            raise ValueError("it is being sent right now; look again in a moment")
        now, notification = self._now(), letter.notification
        if verb == "drop":
            await self._drop(row, by, now)
        else:
            await self._retry(row, letter, now)
        kind, text = ("dropped" if verb == "drop" else "retried"), f"{notification.destination}: {notification.reason}"
        return Event(now, kind, notification.incident.id, by, text)

    async def _drop(self, row: Row | None, by: str, now: float) -> None:
        if row is None:
            raise ValueError("it was given up already")
        self._store.outbox.settle(row, RowState.DEAD, now, f"dropped by {by}")
        await self._store.record([row])

    async def _retry(self, row: Row | None, letter: Letter, now: float) -> None:
        if row is None:
            self._check_revivable(letter.notification)
            await self._store.revive(letter, now)
        else:
            row.not_before = now
            await self._store.record([row])

    def _check_revivable(self, notification: Notification) -> None:
        if notification.destination not in self._notifiers:
            raise ValueError(f"{notification.destination} is not configured any more; configure it again first")
        over = notification.incident.id not in {incident.id for incident in self._incidents()}
        if over and notification.reason is not Reason.RESOLVED:
            raise ValueError(f"{notification.incident.ref} is over; there is nothing to tell any more")
