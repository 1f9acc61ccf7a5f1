"""Who is told instead, while a destination can not be reached.

An alert that waits behind a revoked key helps nobody. After a while what waits is told to the destination's fallback
as well, and so is all that follows of those incidents, up to their end. The rows themselves stay where they are: when
the destination comes back it is told too.

Knows rows and how long a destination has been down. Does not know why, nor how anything is sent, nor how what was told
elsewhere survives a restart: that is the store's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from sentinel.model import Notification, Reason, Seconds, ulid
from sentinel.outbox import Row

__all__ = ["Fallbacks"]

_WORTH_IT = frozenset({Reason.OPENED, Reason.ESCALATED, Reason.REPEATED, Reason.RESOLVED})
"""What is told elsewhere: news, and not each update of it."""
_NONE: Mapping[tuple[str, str], str] = MappingProxyType({})


class Fallbacks:
    """All of a daemon.

    Args:
        instead: By destination, the one that is told in its place.
        after: How long it must have been down.
        told: What was told elsewhere before: why, by destination and incident id.
    """

    def __init__(self, instead: Mapping[str, str], after: Seconds, told: Mapping[tuple[str, str], str] = _NONE) -> None:
        self._instead = instead
        self._after = after
        self._elsewhere = {key: why for key, why in told.items() if key[0] in instead}
        self._fresh: dict[tuple[str, str], str] = {}

    def look(self, rows: Iterable[Row], down: Mapping[str, tuple[float, str]], now: float) -> list[Notification]:
        """What waits too long and is told elsewhere from now on.

        Args:
            rows: On their way.
            down: Of each destination that is left alone, since when (Unix seconds) and why.
            now: Unix seconds.
        """
        found = []
        for row in rows:
            since, why = down.get(row.destination, (now, ""))
            if row.destination not in self._instead or now - since < self._after:
                continue
            key = (row.destination, row.notification.incident.id)
            if key not in self._elsewhere:
                self._elsewhere[key] = self._fresh[key] = why
            if row.reason in _WORTH_IT:
                found.append(self._copy(row.notification, why))
        return found

    def fresh(self) -> dict[tuple[str, str], str]:
        """What is told elsewhere since this was last asked, to be kept with the notifications that say so."""
        fresh, self._fresh = self._fresh, {}
        return fresh

    def follow(self, notifications: Iterable[Notification]) -> Iterator[Notification]:
        """What is told elsewhere of notifications that are new, because what came before was."""
        for notification in notifications:
            key = (notification.destination, notification.incident.id)
            why = self._elsewhere.get(key)
            if why is not None and notification.reason in _WORTH_IT:
                yield self._copy(notification, why)
            if notification.reason is Reason.RESOLVED:
                self._elsewhere.pop(key, None)

    def _copy(self, notification: Notification, why: str) -> Notification:
        """The same for the other destination, under an id that is the same each time."""
        destination = self._instead[notification.destination]
        receiver = destination.partition("/")[0]
        incident = notification.incident
        context = f"{notification.destination} cannot be reached, so you are told: {why}"
        return replace(
            notification,
            receiver=receiver,
            destination=destination,
            incident=replace(incident, context=(*incident.context, context)),
            event_id="msg_" + ulid(notification.time, f"{notification.event_id} {destination}"),
        )
