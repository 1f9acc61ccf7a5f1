"""What belongs together: findings become incidents, one a target, cause and subject.

Knows when an incident opens, grows worse and is over. Does not know who is told (`routing`) or why something fires
(`diagnosis`, `watch`).

An incident opens with the first firing finding: each cause holds its own confirmation, because how long to wait is a
question of what is being watched. It is resolved after `keep_firing_for` of fresh readings in which its cause was
judged and kept quiet; a poll that could not judge the cause leaves it as it is, so nothing resolves because we were
blind or have just started.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from sentinel.model import Finding, Incident, IncidentState, Reason, Severity, fingerprint, ulid
from sentinel.pipeline.settings import IncidentSettings

__all__ = ["Change", "Incidents"]


class Change(NamedTuple):
    """Something about an incident that a receiver may be told."""

    reason: Reason
    incident: Incident
    previous_severity: Severity | None = None


@dataclass(slots=True)
class _Live:
    incident: Incident
    quiet_since: float | None = None
    lower_since: float | None = None
    told: float = 0.0


class Incidents:
    """All incidents that are open, and those that were resolved a short while ago."""

    def __init__(self, instance_id: str, settings: IncidentSettings) -> None:
        self._instance_id = instance_id
        self._settings = settings
        self._live: dict[tuple[str, str, str], _Live] = {}
        self._over: dict[tuple[str, str, str], Incident] = {}

    def open(self) -> list[Incident]:
        """Open incidents, oldest first."""
        return sorted((live.incident for live in self._live.values()), key=lambda incident: incident.opened)

    def restore(self, incidents: Iterable[Incident]) -> None:
        """Take up what was known before a restart. Open ones wait for fresh readings to be resolved."""
        for incident in incidents:
            key = (incident.target, incident.cause, incident.subject)
            if incident.state is IncidentState.OPEN:
                self._live[key] = _Live(incident, told=incident.updated)
            else:
                self._over[key] = incident

    def take(self, target: str, now: float, findings: Iterable[Finding], judged: set[str]) -> list[Change]:
        """Take what fires on a target at `now`, and which causes were judged at all. Gives what changed."""
        changes = []
        firing = set()
        for finding in findings:
            key = (target, finding.source, finding.subject)
            firing.add(key)
            live = self._live.get(key)
            change = self._open(key, finding) if live is None else self._go_on(live, finding)
            if change is not None:
                changes.append(change)
        for key, live in list(self._live.items()):
            if key[0] == target and key not in firing and key[1] in judged:
                change = self._quiet(key, live, now)
                if change is not None:
                    changes.append(change)
        return changes

    def _open(self, key: tuple[str, str, str], finding: Finding) -> Change:
        target, cause, subject = key
        dedup_key = f"sentinel:{self._instance_id}:{fingerprint(cause, target, subject)}"
        before = self._over.pop(key, None)
        again = before is not None and finding.time - (before.resolved or 0.0) <= self._settings.history
        incident = Incident(
            id=ulid(finding.time, dedup_key),
            dedup_key=dedup_key,
            target=target,
            cause=cause,
            subject=subject,
            severity=finding.severity,
            state=IncidentState.OPEN,
            opened=finding.time,
            updated=finding.time,
            finding=finding,
            occurrences=before.occurrences + 1 if before is not None and again else 1,
            sequence=1,
        )
        self._live[key] = _Live(incident, told=finding.time)
        return Change(Reason.OPENED, incident)

    def _go_on(self, live: _Live, finding: Finding) -> Change | None:
        """The newest finding; worse is told at once, better only when it has stayed better."""
        before, now = live.incident.severity, finding.time
        live.quiet_since = None
        severity = max(before, finding.severity)
        if finding.severity >= before:
            live.lower_since = None
        elif live.lower_since is None:
            live.lower_since = now
        elif now - live.lower_since >= self._settings.keep_firing_for:
            severity, live.lower_since = finding.severity, None
        live.incident = replace(live.incident, finding=finding, severity=severity, updated=now)
        if severity > before:
            return self._tell(live, Reason.ESCALATED, now, before)
        if now - live.told >= self._settings.update_interval:
            return self._tell(live, Reason.UPDATED, now, before if severity != before else None)
        return None

    def _tell(self, live: _Live, reason: Reason, now: float, previous: Severity | None) -> Change:
        live.told = now
        live.incident = replace(live.incident, sequence=live.incident.sequence + 1)
        return Change(reason, live.incident, previous)

    def _quiet(self, key: tuple[str, str, str], live: _Live, now: float) -> Change | None:
        if live.quiet_since is None:
            live.quiet_since = now
        if now - live.quiet_since < self._settings.keep_firing_for:
            return None
        del self._live[key]
        incident = live.incident
        self._over[key] = replace(
            incident, state=IncidentState.RESOLVED, resolved=now, updated=now, sequence=incident.sequence + 1
        )
        self._forget(now)
        return Change(Reason.RESOLVED, self._over[key])

    def _forget(self, now: float) -> None:
        for key in [k for k, i in self._over.items() if now - (i.resolved or 0.0) > self._settings.history]:
            del self._over[key]
