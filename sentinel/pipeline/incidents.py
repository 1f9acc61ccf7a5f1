"""What belongs together: findings become incidents, one a target, cause and subject.

Knows when an incident opens, grows worse, eases, flaps and is over, by readings or by hand. Does not know who is told
(`routing`) or why something fires (`diagnosis`, `watch`).

An incident opens with the first firing finding: each cause holds its own confirmation, because how long to wait is a
question of what is being watched. It is resolved after `keep_firing_for` of fresh readings in which its cause was
judged and kept quiet; a poll that could not judge the cause leaves it as it is, and a gap in the readings begins that
time anew, so nothing resolves because we were blind or have just started.

Against flapping: severity rises at once and falls only when it has stayed lower for `keep_firing_for`, twice as long
after each relapse; and an incident that came back `flapping_after` times, each within `history`, stays open until it
has been quiet for `history`. Source: reference/delivery.md 7; different from the weighted share of changes over the
last 21 evaluations there, because evaluations here come at unequal times and `keep_firing_for` has taken out the short
ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from sentinel.model import Evidence, Finding, Incident, IncidentState, Seconds, Severity, fingerprint, ulid
from sentinel.pipeline.settings import IncidentSettings

__all__ = ["NO_DATA", "Change", "Incidents", "Progress"]

NO_DATA = "no_data"
"""The cause of an incident about readings that are missing."""

Key = tuple[str, str, str]
"""Target, cause and subject."""


class Change(NamedTuple):
    """Something that happened to an incident."""

    kind: str
    incident: Incident
    by: str = ""
    text: str = ""


class Progress(NamedTuple):
    """How far an open incident is on its way to another state; worth a snapshot, not a transaction."""

    judged: float | None = None
    """When its cause was judged last."""
    quiet_since: float | None = None
    lower_since: float | None = None
    falls: int = 0
    """How often its severity has fallen."""
    spacing: float = 0.0
    """Time between the last two judgements."""


@dataclass(slots=True)
class _Live:
    incident: Incident
    judged: float | None = None
    quiet_since: float | None = None
    lower_since: float | None = None
    falls: int = 0
    spacing: float = 0.0

    def judge(self, now: float, patience: Seconds) -> bool:
        """Its cause was judged. Whether that had been missing for long: longer than `patience`, and than usual."""
        gap = None if self.judged is None else now - self.judged
        missing = gap is None or gap > max(patience, _USUAL * self.spacing)
        self.judged, self.spacing = now, gap or 0.0
        return missing


_USUAL = 3.0
"""Times the time between two judgements within which the next one is no gap: some readings are rare by themselves."""


class Incidents:
    """All incidents that are open, and those that were resolved a short while ago."""

    def __init__(self, instance_id: str, settings: IncidentSettings) -> None:
        self._instance_id = instance_id
        self._settings = settings
        self._live: dict[str, dict[Key, _Live]] = {}
        self._over: dict[Key, Incident] = {}
        self._dismissed: set[Key] = set()
        """Resolved by hand while the cause still fired; it may go on firing for a while."""

    # What is known

    def open(self, target: str | None = None) -> list[Incident]:
        """Open incidents of a target, or of all, oldest first."""
        chosen = self._live.values() if target is None else (self._live.get(target, {}),)
        found = (live.incident for by_key in chosen for live in by_key.values())
        return sorted(found, key=lambda incident: (incident.opened, incident.id))

    def recent(self) -> list[Incident]:
        """Those that were resolved within `history`, in the order in which they were."""
        return sorted(self._over.values(), key=lambda incident: (incident.resolved or 0.0, incident.id))

    def targets(self) -> list[str]:
        """Targets on which something is open."""
        return sorted(target for target, by_key in self._live.items() if by_key)

    def _items(self) -> list[tuple[Key, _Live]]:
        """In an order that a restart does not change."""
        return sorted((item for by_key in self._live.values() for item in by_key.items()), key=_key)

    def find(self, name: str) -> Incident | None:
        """The open or recent incident of that id or short reference."""
        for incident in (*self.open(), *self.recent()):
            if name in (incident.id, incident.ref):
                return incident
        return None

    def restore(self, incidents: Iterable[Incident]) -> None:
        """Take up what was known before a restart. Open ones wait for fresh readings to be resolved."""
        for incident in incidents:
            key = (incident.target, incident.cause, incident.subject)
            if incident.state is IncidentState.OPEN:
                self._live.setdefault(incident.target, {})[key] = _Live(incident)
            else:
                self._over[key] = incident
                if incident.resolved_by:
                    self._dismissed.add(key)

    def progress(self) -> tuple[dict[str, Progress], frozenset[Key]]:
        """How far open incidents are, by id; and what was resolved by hand and has fired ever since."""
        live = {
            live.incident.id: Progress(live.judged, live.quiet_since, live.lower_since, live.falls, live.spacing)
            for by_key in self._live.values()
            for live in by_key.values()
        }
        return live, frozenset(self._dismissed)

    def go_on(self, progress: tuple[dict[str, Progress], frozenset[Key]]) -> None:
        """Take up what `progress` gave, after `restore`."""
        by_id, dismissed = progress
        self._dismissed = set(dismissed)
        for by_key in self._live.values():
            for live in by_key.values():
                found = by_id.get(live.incident.id, Progress(live.judged))
                live.judged, live.quiet_since, live.lower_since, live.falls, live.spacing = found

    # Readings

    def take(self, target: str, now: float, findings: Iterable[Finding], judged: Collection[str]) -> list[Change]:
        """Take what fires on a target at `now`, and which causes were judged at all. Gives what changed."""
        changes: list[Change] = []
        firing = set()
        by_key = self._live.setdefault(target, {})
        for finding in findings:
            key = (target, finding.source, finding.subject)
            firing.add(key)
            live = by_key.get(key)
            if live is not None:
                changes += self._go_on(live, finding, now)
            elif not self._is_dismissed(key, finding, now):
                changes.append(self._open(key, finding, now))
        self._dismissed = {key for key in self._dismissed if key[0] != target or key in firing or key[1] not in judged}
        for key, live in sorted(by_key.items(), key=_key):
            if key not in firing and (key[1] in judged or self._data_is_back(key, judged)):
                changes += self._quiet(key, live, now)
        return changes

    def _open(self, key: Key, finding: Finding, now: float) -> Change:
        target, cause, subject = key
        dedup_key = f"sentinel:{self._instance_id}:{fingerprint(cause, target, subject)}"
        before = self._over.pop(key, None)
        again = before is not None and now - (before.resolved or 0.0) <= self._settings.history
        occurrences = before.occurrences + 1 if before is not None and again else 1
        incident = Incident(
            id=ulid(now, dedup_key),
            dedup_key=dedup_key,
            target=target,
            cause=cause,
            subject=subject,
            severity=finding.severity,
            state=IncidentState.OPEN,
            opened=now,
            updated=now,
            finding=finding,
            occurrences=occurrences,
            flapping=self._is_flapping(before, occurrences, now),
        )
        self._live.setdefault(target, {})[key] = _Live(incident, judged=now)
        return Change("flapping" if incident.flapping else "opened", incident, text=finding.summary)

    def _is_flapping(self, before: Incident | None, occurrences: int, now: float) -> bool:
        """Whether it came back often, and each time soon: what lasted for long before is no flapping."""
        if before is None or not 0 < self._settings.flapping_after < occurrences:
            return False
        return before.flapping or now - before.opened <= 2 * self._settings.history

    def _go_on(self, live: _Live, finding: Finding, now: float) -> list[Change]:
        """The newest finding. Worse counts at once, and voids what was acknowledged before; better when it lasts."""
        before = live.incident.severity
        live.judge(now, self._settings.keep_firing_for)
        live.quiet_since = None
        severity = max(before, finding.severity)
        if finding.severity >= before:
            live.lower_since = None
        elif live.lower_since is None:
            live.lower_since = now
        elif now - live.lower_since >= self._patience(live):
            severity, live.lower_since = finding.severity, None
            live.falls += 1
        live.incident = replace(live.incident, finding=finding, severity=severity, updated=now)
        if severity == before:
            return []
        kind = "eased"
        if severity > before:
            kind = "escalated"
            live.incident = replace(live.incident, acknowledged=None, acknowledged_by="")
        return [Change(kind, live.incident, text=f"{before.name.lower()} to {severity.name.lower()}")]

    def _patience(self, live: _Live) -> float:
        """How long a lower severity must last: longer after each fall, so that a limit it hovers at is told rarely."""
        wait: float = self._settings.keep_firing_for * 2**live.falls
        return min(wait, max(self._settings.history, self._settings.keep_firing_for))

    def _quiet(self, key: Key, live: _Live, now: float) -> list[Change]:
        missing = live.judge(now, self._settings.keep_firing_for)
        if live.quiet_since is None or missing:
            live.quiet_since = now
        wait = self._settings.history if live.incident.flapping else self._settings.keep_firing_for
        return [] if now - live.quiet_since < wait else [self._end(key, now, text="quiet in fresh readings")]

    def _end(self, key: Key, now: float, by: str = "", text: str = "") -> Change:
        incident = self._live[key[0]].pop(key).incident
        self._over[key] = incident = replace(
            incident, state=IncidentState.RESOLVED, resolved=now, updated=now, resolved_by=by
        )
        self._forget(now)
        return Change("resolved", incident, by, text)

    def _forget(self, now: float) -> None:
        for key in [k for k, i in self._over.items() if now - (i.resolved or 0.0) > self._settings.history]:
            del self._over[key]
            self._dismissed.discard(key)

    # What is missing

    def overdue(self, now: float) -> list[Change]:
        """What follows from readings that are missing for too long."""
        policy = self._settings.no_data
        changes = []
        for key, live in self._items():
            if live.judged is None:
                live.judged = now
            missing = now - live.judged
            if policy == "keep" or missing < self._settings.no_data_for or key[1] == NO_DATA:
                continue
            if policy == "ok":
                changes.append(self._end(key, now, text=f"no readings for {missing:.0f} s"))
            elif (key[0], NO_DATA, key[1]) not in self._live[key[0]]:
                finding = _no_data(key, now, live)
                changes.append(self._open((key[0], NO_DATA, key[1]), finding, now))
        return changes

    def next_overdue(self) -> float | None:
        """When `overdue` may have something to give; minus infinity for at once."""
        if self._settings.no_data == "keep":
            return None
        waits = [
            float("-inf") if live.judged is None else live.judged + self._settings.no_data_for
            for by_key in self._live.values()
            for key, live in by_key.items()
            if key[1] != NO_DATA and (key[0], NO_DATA, key[1]) not in by_key
        ]
        return min(waits, default=None)

    def _data_is_back(self, key: Key, judged: Collection[str]) -> bool:
        """Whether an incident about missing readings has its readings again, or none to wait for."""
        if key[1] != NO_DATA:
            return False
        return key[2] in judged or not any(other[1] == key[2] for other in self._live[key[0]])

    def retire(self, targets: Collection[str], causes: Collection[str], now: float) -> list[Change]:
        """End what is open on targets, or by causes, that are not watched any more."""
        changes = []
        for key, _ in self._items():
            if targets and key[0] not in targets:
                changes.append(self._end(key, now, text="the target is not watched any more"))
            elif key[1] not in causes:
                changes.append(self._end(key, now, text="the cause is switched off"))
        return changes

    # People

    def acknowledge(self, incident: Incident, now: float, by: str, text: str) -> Change | None:
        """Somebody has it in hand. None if somebody had already."""
        live = self._of(incident)
        if live is None or live.incident.acknowledged is not None:
            return None
        live.incident = replace(live.incident, acknowledged=now, acknowledged_by=by)
        return Change("acknowledged", live.incident, by, text)

    def resolve(self, incident: Incident, now: float, by: str, text: str) -> Change | None:
        """Somebody says that it is over. None if it was."""
        key = (incident.target, incident.cause, incident.subject)
        if self._of(incident) is None:
            return None
        self._dismissed.add(key)
        return self._end(key, now, by, text)

    def _is_dismissed(self, key: Key, finding: Finding, now: float) -> bool:
        """Whether it was resolved by hand a short while ago, was firing ever since, and is not worse than then."""
        over = self._over.get(key)
        if key not in self._dismissed or over is None or over.resolved is None:
            return False
        return finding.severity <= over.severity and now - over.resolved <= self._settings.history

    def say(self, incident: Incident, context: str) -> Incident:
        """Add a sentence to what a reader should know."""
        live = self._of(incident)
        if live is None or context in incident.context:
            return incident
        live.incident = replace(live.incident, context=(*live.incident.context, context))
        return live.incident

    def number(self, incident: Incident) -> Incident:
        """The incident as it is now, with the next number of its sequence."""
        live = self._of(incident)
        if live is not None:
            live.incident = replace(live.incident, sequence=live.incident.sequence + 1)
            return live.incident
        key = (incident.target, incident.cause, incident.subject)
        incident = replace(incident, sequence=incident.sequence + 1)
        if key in self._over and self._over[key].id == incident.id:
            self._over[key] = incident
        return incident

    def _of(self, incident: Incident) -> _Live | None:
        live = self._live.get(incident.target, {}).get((incident.target, incident.cause, incident.subject))
        return live if live is not None and live.incident.id == incident.id else None


def _key(item: tuple[Key, _Live]) -> Key:
    return item[0]


def _no_data(key: Key, now: float, live: _Live) -> Finding:
    target, cause, _ = key
    missing = now - (live.judged or now)
    return Finding(
        target=target,
        source=NO_DATA,
        kind="cause",
        severity=Severity.WARNING,
        time=now,
        firing=True,
        summary=f"No readings by which to judge {cause} on {target} for {missing:.0f} s; it was open when they ended.",
        subject=cause,
        value=missing,
        evidence=(Evidence("without readings for", missing, "s"),),
        first_action="Look at sampler_up of this target on /metrics, and at Sentinel's log: it says which read fails.",
    )
