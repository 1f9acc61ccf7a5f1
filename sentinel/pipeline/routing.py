"""Who hears of an incident, why, and how often.

Knows routes, destinations, what each destination has been told, and what holds a message back. Does not know how a
message looks or whether it arrives.

Nothing is queued here. Whenever something changed or fell due on a target, its incidents are compared with what each
destination was told of them, and the difference is said, unless something holds it back. So a silence that ends, a
maintenance window, a restart, a changed route are all one case: what still differs then is told then, and what came
and went meanwhile is not. What was told as opened is told as resolved, whatever else holds. Source: Alertmanager's
deduplication stage, reference/delivery.md 7.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sentinel.model import Event, Incident, Reason, Seconds, Severity, Told
from sentinel.pipeline.deploys import Deploys
from sentinel.pipeline.grouping import Candidate, assign, is_alone, wait_ends
from sentinel.pipeline.maintenance import Maintenance
from sentinel.pipeline.settings import Destination, PipelineSettings, Route
from sentinel.pipeline.silences import Silences

__all__ = ["Call", "Review", "Routing"]

_ALOUD = frozenset({Reason.OPENED, Reason.ESCALATED, Reason.REPEATED})
_REMINDERS_AT_MOST = 4
"""Reminders come after the interval, twice, and then always this many times as long."""
_NEVER = float("inf")


class Call(NamedTuple):
    """A destination is to be told."""

    destination: Destination
    reason: Reason
    incident: Incident
    previous: Severity | None
    related: tuple[Incident, ...]
    shadow: bool


@dataclass(slots=True)
class Review:
    """What one look at a target's incidents led to."""

    calls: list[Call] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class _Hearing(NamedTuple):
    """By which route a destination hears, and from when."""

    route: Route
    due: float = float("-inf")


class Routing:
    """Decides on notifications, and remembers them."""

    def __init__(
        self, settings: PipelineSettings, silences: Silences, maintenance: Maintenance, deploys: Deploys
    ) -> None:
        self._settings = settings
        self._silences = silences
        self._maintenance = maintenance
        self._deploys = deploys
        self._told: dict[tuple[str, str], Told] = {}
        self._held: dict[tuple[str, str], str] = {}
        self._due: dict[str, float] = {}
        self._stale: set[str] = set()
        """Targets of whose incidents there is nothing newer to tell than what was told."""

    def restore(self, told: Iterable[Told], incidents: Iterable[Incident]) -> None:
        """Take up what was told before a restart of incidents that are open."""
        targets = {incident.id: incident.target for incident in incidents}
        for item in told:
            if item.incident in targets:
                self._told[item.incident, item.destination] = item
        self._due |= dict.fromkeys(targets.values(), float("-inf"))

    def told(self) -> list[Told]:
        """What `restore` takes."""
        return list(self._told.values())

    def held_back(self) -> dict[tuple[str, str], str]:
        """Why what is not told is not, as it was said in events; worth a snapshot."""
        return self._held

    def hold_back(self, held: Mapping[tuple[str, str], str]) -> None:
        """Take up what `held_back` gave."""
        self._held = dict(held)

    def disturb(self) -> None:
        """Something that may concern any incident has changed: look at all again."""
        self._due = dict.fromkeys(self._due, float("-inf"))

    def is_due(self, target: str, now: float, fresh: bool = False) -> bool:
        """Whether a target has to be looked at, though nothing changed on it; `fresh` if it has new findings."""
        return self._due.get(target, _NEVER) <= now or (fresh and target in self._stale)

    def next_deadline(self) -> float | None:
        """When some target has to be looked at next."""
        due = min(self._due.values(), default=_NEVER)
        return None if due == _NEVER else due

    def review(
        self, target: str, open_now: Sequence[Incident], ended: Sequence[Incident], now: float, warm_at: float
    ) -> Review:
        """Compare what is open on a target, and what just ended, with what was told; gives what to say.

        Args:
            target: Its name.
            open_now: Its open incidents.
            ended: Those that were resolved since the last review.
            now: Unix seconds.
            warm_at: From when on more than what is critical is told of it.
        """
        review = Review()
        due = _NEVER
        self._stale.discard(target)
        for destination in self._settings.destinations:
            look = _Look(self, destination, open_now, now, warm_at, review)
            for incident in ended:
                look.end(incident)
            due = min(due, look.at_open())
            if look.stale:
                self._stale.add(target)
        for incident in ended:
            self._forget(incident)
        self._due.pop(target, None)
        if open_now:
            self._due[target] = due
        return review

    def _forget(self, incident: Incident) -> None:
        for memory in (self._told, self._held):
            for key in [key for key in memory if key[0] == incident.id]:
                del memory[key]

    # Who hears

    def hearing(self, destination: Destination, incident: Incident) -> _Hearing | None:
        """By which route an untold destination hears of an incident; None if by none."""
        route = self.route(destination.receiver, incident)
        if route is not None and self._is_for(destination, route, incident):
            return _Hearing(route)
        steps = list(self._steps(destination, incident))
        return min(steps, key=lambda hearing: hearing.due) if steps else None

    def route(self, receiver: str, incident: Incident) -> Route | None:
        """The first of a receiver's routes that matches."""
        return next((r for r in self._settings.routes if r.receiver == receiver and self._matches(r, incident)), None)

    def route_of_told(self, receiver: str, incident: Incident) -> Route | None:
        """The same, for one that was told already: however mild it has become."""
        worst = replace(incident, severity=Severity.CRITICAL)
        return self.route(receiver, incident) or self.route(receiver, worst)

    def _matches(self, route: Route, incident: Incident) -> bool:
        labels = self._settings.targets.get(incident.target, {})
        return (
            (not route.targets or incident.target in route.targets)
            and (not route.causes or incident.cause in route.causes)
            and all(labels.get(name) == value for name, value in route.labels.items())
            and incident.severity >= route.min_severity
        )

    def _is_for(self, destination: Destination, route: Route, incident: Incident) -> bool:
        wakes_nobody = incident.cause in self._settings.never_page and incident.cause not in route.causes
        return incident.severity >= destination.min_severity and not (destination.pages and wakes_nobody)

    def _steps(self, destination: Destination, incident: Incident) -> Iterator[_Hearing]:
        for receiver in dict.fromkeys(route.receiver for route in self._settings.routes):
            route = self.route(receiver, incident)
            for step in () if route is None else route.escalate:
                if route is not None and step.to == destination.receiver:
                    yield _Hearing(route, self._first_told(receiver, incident) + step.after)

    def _first_told(self, receiver: str, incident: Incident) -> float:
        told = (
            self._told.get((incident.id, destination.name))
            for destination in self._settings.destinations
            if destination.receiver == receiver
        )
        return min((item.first for item in told if item is not None), default=_NEVER)

    def is_shadow(self, route: Route) -> bool:
        """Whether nothing is to be told by a route in earnest."""
        return self._settings.shadow or route.shadow

    # What holds back

    def muted(self, incident: Incident, open_now: Sequence[Incident], now: float) -> tuple[float, str] | None:
        """Until when nothing but its end is told of an incident, and why."""
        found = (
            self._silences.hold(incident),
            self._maintenance.hold(incident.target, now),
            self._inhibited(incident, open_now),
        )
        return max((hold for hold in found if hold is not None), default=None)

    def held(
        self, hearing: _Hearing, incident: Incident, open_now: Sequence[Incident], now: float, warm_at: float
    ) -> tuple[float, str] | None:
        """Until when an incident is not told to one who has not heard of it, and why."""
        holds = [self.muted(incident, open_now, now), self._deploys.hold(incident), (hearing.due, "")]
        if incident.severity < Severity.CRITICAL:
            holds.append((warm_at, "not warm yet"))
        if incident.acknowledged is not None:
            holds.append((_NEVER, f"acknowledged by {incident.acknowledged_by}"))
        return max((hold for hold in holds if hold is not None and hold[0] > now), default=None)

    def _inhibited(self, incident: Incident, open_now: Iterable[Incident]) -> tuple[float, str] | None:
        for inhibition in self._settings.inhibitions:
            if incident.cause in inhibition.by or (inhibition.causes and incident.cause not in inhibition.causes):
                continue
            for other in open_now:
                if other.cause in inhibition.by:
                    return _NEVER, f"follows from {other.cause}"
        return None

    def update_interval(self) -> Seconds:
        """The least time between two updates."""
        return self._settings.incidents.update_interval


@dataclass(slots=True)
class _Look:
    """One destination's view of one target at one time."""

    routing: Routing
    destination: Destination
    open_now: Sequence[Incident]
    now: float
    warm_at: float
    review: Review
    stale: bool = False
    """Whether an update waits for something new to tell."""

    # What it knows

    def memory(self, incident: Incident) -> Told | None:
        return self.routing._told.get((incident.id, self.destination.name))

    def _remember(self, told: Told) -> None:
        self.routing._told[told.incident, told.destination] = told
        self.review.told.append(told)

    def _riders(self, leader: Incident) -> tuple[Incident, ...]:
        return tuple(i for i in self.open_now if (told := self.memory(i)) is not None and told.via == leader.id)

    # What is over

    def end(self, incident: Incident) -> None:
        """Tell of the end whoever was told of the beginning, and leave alone those that rode with it."""
        told = self.memory(incident)
        if told is None or told.via:
            return
        riders = self._riders(incident)
        if Reason.RESOLVED in self.destination.reasons:
            self._say(Reason.RESOLVED, incident, told, told.shadow, riders)
        for rider in riders:
            ridden = self.memory(rider)
            if ridden is not None:
                self._remember(replace(ridden, time=self.now))

    # What is open

    def at_open(self) -> float:
        """Say what is to be said now; gives when to look again."""
        due = _NEVER
        candidates = []
        for incident in self.open_now:
            told = self.memory(incident)
            if told is None or self._is_void(told, incident):
                candidate, later = self._candidate(incident, told)
                due = min(due, later)
                if candidate is not None:
                    candidates.append(candidate)
        due = min(due, self._open(candidates))
        for incident in self.open_now:
            told = self.memory(incident)
            if told is not None and not told.via:
                due = min(due, self._follow(incident, told))
        return due

    def _is_void(self, told: Told, incident: Incident) -> bool:
        """Whether what was told does not count: it was told by another that is gone, or in shadow mode that is off."""
        if told.via and is_alone(told, incident, self.open_now, self.memory):
            return True
        route = self.routing.route_of_told(self.destination.receiver, incident)
        return told.shadow and route is not None and not self.routing.is_shadow(route)

    def _candidate(self, incident: Incident, told: Told | None) -> tuple[Candidate | None, float]:
        """The incident, if it can be told by now; else when to look again."""
        hearing = self.routing.hearing(self.destination, incident)
        if hearing is None or Reason.OPENED not in self.destination.reasons:
            return None, _NEVER
        held = self.routing.held(hearing, incident, self.open_now, self.now, self.warm_at)
        if held is not None:
            self._note_held(incident, held[1])
            return None, held[0]
        left_alone = told.time if told is not None and told.via else None
        return Candidate(incident, hearing.route, self.routing.is_shadow(hearing.route), left_alone), _NEVER

    def _note_held(self, incident: Incident, why: str) -> None:
        key = (incident.id, self.destination.name)
        if why and self.routing._held.get(key) != why:
            self.routing._held[key] = why
            self.review.events.append(Event(self.now, "held", incident.id, "", f"{self.destination.name}: {why}"))

    def _open(self, candidates: Sequence[Candidate]) -> float:
        """Tell those that nobody spoke of; gives when the first of them need not wait for others any longer."""
        if not candidates:
            return _NEVER
        soonest = min(map(wait_ends, candidates))
        if self.destination.groups and soonest > self.now:
            return soonest
        assigned = assign(self.destination, candidates, self.open_now, self.memory)
        for candidate, leader in assigned:
            if leader is not None:
                self._remember(self._rider(candidate, leader))
        for candidate, leader in assigned:
            if leader is None:
                incident = candidate.incident
                self._say(Reason.OPENED, incident, None, candidate.shadow, self._riders(incident))
        return _NEVER

    def _rider(self, candidate: Candidate, leader: Incident) -> Told:
        incident, now = candidate.incident, self.now
        return Told(
            incident.id, self.destination.name, Reason.OPENED, incident.severity, now, now, now,
            via=leader.id, shadow=candidate.shadow,
        )  # fmt: skip

    def _follow(self, incident: Incident, told: Told) -> float:
        """Say what became of an incident that was told; gives when to look again."""
        route = self.routing.route_of_told(self.destination.receiver, incident) or Route(self.destination.receiver)
        muted = self.routing.muted(incident, self.open_now, self.now)
        if muted is not None:
            return muted[0]
        changed = self._change(incident, told)
        if changed in self.destination.reasons:
            told = self._say(changed, incident, told, told.shadow, self._riders(incident))
        elif changed is not None:
            told = replace(told, severity=incident.severity, acknowledged=incident.acknowledged is not None)
            self._remember(told)
        dues = self._dues(incident, told, route)
        due, reason = min(dues, default=(_NEVER, Reason.UPDATED))
        if due > self.now:
            return due
        told = self._say(reason, incident, told, told.shadow, self._riders(incident))
        return min((due for due, _ in self._dues(incident, told, route)), default=_NEVER)

    @staticmethod
    def _change(incident: Incident, told: Told) -> Reason | None:
        """Why it has to be told again at once."""
        if incident.severity > told.severity:
            return Reason.ESCALATED
        if incident.acknowledged is not None and not told.acknowledged:
            return Reason.ACKNOWLEDGED
        return Reason.UPDATED if incident.severity < told.severity else None

    def _dues(self, incident: Incident, told: Told, route: Route) -> list[tuple[float, Reason]]:
        """When it has to be told again, by time alone."""
        reasons, dues = self.destination.reasons, []
        if Reason.REPEATED in reasons and route.repeat_interval > 0 and incident.acknowledged is None:
            times = min(2**told.repeats, _REMINDERS_AT_MOST)
            dues.append((told.aloud + route.repeat_interval * times, Reason.REPEATED))
        if Reason.UPDATED in reasons:
            if incident.updated > told.time:
                dues.append((told.time + self.routing.update_interval(), Reason.UPDATED))
            else:
                self.stale = True
            joined = [rider for rider in self._riders(incident) if self._joined(rider) > told.time]
            if joined:
                urgent = any(rider.severity >= Severity.CRITICAL for rider in joined)
                dues.append((self.now if urgent else told.time + route.group_interval, Reason.UPDATED))
        return dues

    def _joined(self, rider: Incident) -> float:
        told = self.memory(rider)
        return float("-inf") if told is None else told.first

    def _say(
        self, reason: Reason, incident: Incident, told: Told | None, shadow: bool, related: tuple[Incident, ...]
    ) -> Told:
        now = self.now
        previous = told.severity if told is not None and reason in (Reason.ESCALATED, Reason.UPDATED) else None
        self.review.calls.append(Call(self.destination, reason, incident, previous, related, shadow))
        said = Told(
            incident=incident.id,
            destination=self.destination.name,
            reason=reason,
            severity=incident.severity,
            time=now,
            first=now if told is None else told.first,
            aloud=now if told is None or reason in _ALOUD else told.aloud,
            repeats=0 if told is None or reason is Reason.ESCALATED else told.repeats + (reason is Reason.REPEATED),
            acknowledged=incident.acknowledged is not None,
            shadow=shadow,
        )
        self._remember(said)
        return said
