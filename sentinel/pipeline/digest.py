"""The daily word on shadow mode: what would have been told, to whom, in the time since the last one.

Knows what was kept back and when the digest is due. Does not know who hears of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from sentinel.model import Evidence, Finding, Incident, IncidentState, Reason, Severity, fingerprint, ulid
from sentinel.pipeline.schedule import following
from sentinel.pipeline.settings import DigestSettings

__all__ = ["Digest", "Kept"]

_LINES = 20
_MOST = 5000
"""Entries kept between two digests; beyond it they are only counted."""


class Kept(NamedTuple):
    """One notification that shadow mode kept back."""

    time: float
    destination: str
    reason: Reason
    severity: Severity
    text: str


@dataclass(slots=True)
class Digest:
    """What was kept back since the last digest.

    Args:
        instance_id: Of this daemon.
        settings: When it is told.
    """

    instance_id: str
    settings: DigestSettings
    kept: list[Kept] = field(default_factory=list)
    left_out: int = 0
    due: float | None = None
    """When the next one is to be told; None while there is nothing to tell."""

    def add(self, kept: Kept) -> None:
        """Something was kept back."""
        if self.due is None:
            self.due = following(self.settings.at, self.settings.timezone, kept.time)
        if len(self.kept) < _MOST:
            self.kept.append(kept)
        else:
            self.left_out += 1

    def take(self, now: float) -> Incident | None:
        """The digest, once it is due."""
        if self.due is None or now < self.due:
            return None
        incident = self._incident(now)
        self.kept, self.left_out, self.due = [], 0, None
        return incident

    def _incident(self, now: float) -> Incident:
        key = f"sentinel:{self.instance_id}:{fingerprint('digest', self.instance_id, '')}"
        return Incident(
            id=ulid(now, key),
            dedup_key=key,
            target=self.instance_id,
            cause="digest",
            subject="",
            severity=Severity.INFO,
            state=IncidentState.RESOLVED,
            opened=self.kept[0].time,
            updated=now,
            finding=self._finding(now),
            resolved=now,
            sequence=1,
        )

    def _finding(self, now: float) -> Finding:
        opened = [kept for kept in self.kept if kept.reason in (Reason.OPENED, Reason.ESCALATED)]
        counts = Counter(kept.severity for kept in opened)
        said = ", ".join(f"{counts[severity]} {severity.name.lower()}" for severity in sorted(counts, reverse=True))
        lines = Counter(f"{kept.destination}: {kept.reason} {kept.text}" for kept in self.kept)
        evidence = tuple(Evidence(line, float(count), "times") for line, count in lines.most_common(_LINES))
        more = len(lines) - len(evidence)
        left_out = f" {more} more sorts of message are left out." if more else ""
        return Finding(
            target=self.instance_id,
            source="digest",
            kind="rule",
            severity=Severity.INFO,
            time=now,
            firing=True,
            summary=f"Shadow mode: nothing was told. Otherwise there would have been {said or 'no alert'}.{left_out}",
            evidence=evidence,
            first_action="Take `shadow` out of the configuration when these are the alerts that you want.",
        )
