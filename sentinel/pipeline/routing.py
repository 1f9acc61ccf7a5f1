"""Who hears of an incident, and how often.

Knows routes, destinations and what each destination has been told. Does not know how a message looks or whether it
arrives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from sentinel.model import Incident, IncidentState, Notification, Reason, Severity, Told, ulid
from sentinel.pipeline.incidents import Change
from sentinel.pipeline.settings import Destination, Route

__all__ = ["Routing"]


@dataclass(slots=True)
class _Memory:
    incident: Incident
    reason: Reason
    severity: Severity
    time: float
    repeats: int = 0


class Routing:
    """Decides on notifications, and remembers them so that a resolve goes to those who heard of the opening."""

    def __init__(self, routes: Iterable[Route], destinations: Iterable[Destination]) -> None:
        self._routes = tuple(routes)
        self._destinations = tuple(destinations)
        self._told: dict[tuple[str, str], _Memory] = {}

    def restore(self, told: Mapping[tuple[str, str], Told], incidents: Iterable[Incident]) -> None:
        """Take up what was told before a restart, by incident id and destination."""
        live = {incident.id: incident for incident in incidents if incident.state is IncidentState.OPEN}
        for (incident_id, destination), item in told.items():
            if incident_id in live:
                memory = _Memory(live[incident_id], item.reason, item.severity, item.time, item.repeats)
                self._told[incident_id, destination] = memory

    def told(self) -> dict[tuple[str, str], Told]:
        """What `restore` takes."""
        return {key: Told(m.reason, m.severity, m.time, m.repeats) for key, m in self._told.items()}

    def take(self, change: Change, now: float) -> list[Notification]:
        """Who is told of a change."""
        notifications = []
        for destination, _ in self._hearers(change.incident):
            reason = self._reason(change, destination)
            if reason is not None:
                notifications.append(self._notify(destination, reason, change.incident, now, change.previous_severity))
        if change.reason is Reason.RESOLVED:
            for key in [key for key in self._told if key[0] == change.incident.id]:
                del self._told[key]
        return notifications

    def reminders(self, now: float) -> list[Notification]:
        """Reminders that are due: after `repeat_interval`, then twice that, four times that."""
        return [
            self._remind(self._told[incident_id, destination.name], destination, now)
            for incident_id, destination, due in list(self._dues())
            if due <= now
        ]

    def next_reminder(self) -> float | None:
        """When the next reminder is due."""
        return min((due for _, _, due in self._dues()), default=None)

    def _hearers(self, incident: Incident) -> Iterator[tuple[Destination, Route]]:
        """Each destination once, with the first of its receiver's routes that matches."""
        for destination in self._destinations:
            for route in self._routes:
                if route.receiver == destination.receiver and _matches(route, incident):
                    yield destination, route
                    break

    def _reason(self, change: Change, destination: Destination) -> Reason | None:
        """Why this destination is told: one that hears of an incident late hears it as opened."""
        told = (change.incident.id, destination.name) in self._told
        if change.reason is Reason.RESOLVED:
            return Reason.RESOLVED if told and Reason.RESOLVED in destination.reasons else None
        if change.incident.severity < destination.min_severity and not told:
            return None
        reason = change.reason if told else Reason.OPENED
        return reason if reason in destination.reasons else None

    def _notify(
        self, destination: Destination, reason: Reason, incident: Incident, now: float, previous: Severity | None
    ) -> Notification:
        key = (incident.id, destination.name)
        repeats = self._told[key].repeats if key in self._told else 0
        self._told[key] = _Memory(incident, reason, incident.severity, now, repeats)
        seed = f"{incident.id} {incident.sequence} {destination.name} {reason} {repeats}"
        return Notification(
            receiver=destination.receiver,
            destination=destination.name,
            reason=reason,
            incident=incident,
            time=now,
            event_id="msg_" + ulid(now, seed),
            previous_severity=previous,
        )

    def _remind(self, memory: _Memory, destination: Destination, now: float) -> Notification:
        memory.repeats += 1
        incident = replace(memory.incident, sequence=memory.incident.sequence + memory.repeats)
        return self._notify(destination, Reason.REPEATED, incident, now, None)

    def _dues(self) -> Iterator[tuple[str, Destination, float]]:
        for (incident_id, name), memory in self._told.items():
            for destination, route in self._hearers(memory.incident):
                if destination.name == name and Reason.REPEATED in destination.reasons and route.repeat_interval > 0:
                    yield incident_id, destination, memory.time + route.repeat_interval * 2**memory.repeats


def _matches(route: Route, incident: Incident) -> bool:
    return (
        (not route.targets or incident.target in route.targets)
        and (not route.causes or incident.cause in route.causes)
        and incident.severity >= route.min_severity
    )
