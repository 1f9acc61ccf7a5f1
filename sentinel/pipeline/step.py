"""What one call of the pipeline changed. Knows nothing of how it came about."""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.model import Event, Finding, Incident, Notification, Recording, Told
from sentinel.pipeline.actions import Action

__all__ = ["Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """What one call changed: to be committed together, in this order."""

    incidents: tuple[Incident, ...] = ()
    notifications: tuple[Notification, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Rules that began or ceased to fire: information for logs and pages, not for a pager."""
    notes: tuple[str, ...] = ()
    """What an operator may want to know of what was learnt, for the log."""
    told: tuple[Told, ...] = ()
    """What destinations know from now on."""
    events: tuple[Event, ...] = ()
    """Lines for the history of incidents and for the audit trail."""
    recordings: tuple[Recording, ...] = ()
    """What the metrics of incidents did, where that should survive a restart."""
    kept: tuple[tuple[str, Action | None], ...] = ()
    """Silences and deploys that hold from now on, by id; None for those that hold no longer."""

    @property
    def lasting(self) -> bool:
        """Whether there is anything to commit."""
        return any((self.incidents, self.notifications, self.told, self.events, self.recordings, self.kept))
