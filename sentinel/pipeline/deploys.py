"""Deploys that were marked: what they explain is held back while they last.

A rolling deploy has old and new processes side by side, closes and opens everything, and lets workers go: it looks like
a leak, a flood, churn, and lost workers, for minutes. Source: reference/incidents.md 1.4. What is as bad as it looks is
still there when the deploy is over; a wall that is nearer than that, and refusals, are told at once.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from sentinel.model import Finding, Incident, IncidentState, Seconds, Severity, fingerprint, ulid
from sentinel.pipeline.actions import Deploy
from sentinel.pipeline.settings import DeploySettings

__all__ = ["Deploys", "deployed"]

_BEFORE: Seconds = 120.0
"""A marker may come this late: what opened so long before it may still be its doing."""
_RECENT: Seconds = 3600.0
"""How long a deploy stays worth mentioning."""


def deployed(deploy: Deploy, instance_id: str) -> Incident:
    """A deploy as it is told to those who keep changes: a sort of incident that is over at once."""
    where = " ".join(deploy.targets) or "all targets"
    key = f"sentinel:{instance_id}:{fingerprint('deploy', where, deploy.version)}"
    summary = f"{deploy.by} deployed {deploy.version} to {where}. {deploy.text}".strip()
    finding = Finding(instance_id, "deploy", "rule", Severity.INFO, deploy.time, True, summary, deploy.version)
    return Incident(
        id=ulid(deploy.time, key),
        dedup_key=key,
        target=where,
        cause="deploy",
        subject=deploy.version,
        severity=Severity.INFO,
        state=IncidentState.RESOLVED,
        opened=deploy.time,
        updated=deploy.time,
        finding=finding,
        resolved=deploy.time,
        sequence=1,
    )


class Deploys:
    """Those that are going on or were a short while ago, by id."""

    def __init__(self, settings: DeploySettings) -> None:
        self._settings = settings
        self._deploys: dict[str, Deploy] = {}

    def items(self) -> list[tuple[str, Deploy]]:
        """In the order in which they began."""
        return sorted(self._deploys.items())

    def add(self, deploy: Deploy) -> str:
        """Begin one; gives its id."""
        name = ulid(deploy.time, f"deploy {deploy.by} {deploy.version} {' '.join(deploy.targets)}")
        self._deploys[name] = deploy
        return name

    def restore(self, name: str, deploy: Deploy) -> None:
        """Take up one from before a restart."""
        self._deploys[name] = deploy

    def expire(self, now: float) -> list[str]:
        """Forget those that explain nothing any more; gives their ids."""
        ended = [name for name, deploy in self.items() if now >= self._end(deploy) + _RECENT]
        for name in ended:
            del self._deploys[name]
        return ended

    def hold(self, incident: Incident) -> tuple[float, str] | None:
        """Until when an incident is explained, and by what; None if by nothing."""
        if incident.cause not in self._settings.explains:
            return None
        found = [
            (self._end(deploy), f"explained by the deploy of {deploy.version}")
            for deploy in self._deploys.values()
            if _touches(deploy, incident.target)
            and deploy.time - _BEFORE <= incident.opened < self._end(deploy)
            and not self._too_near(incident, deploy)
        ]
        return max(found, default=None)

    def before(self, incident: Incident) -> list[str]:
        """A sentence on each deploy that began within the hour before an incident opened."""
        return [
            f"Deploy of {deploy.version} by {deploy.by}, marked {max(0.0, incident.opened - deploy.time) / 60:.0f} min "
            "before."
            for _, deploy in self.items()
            if _touches(deploy, incident.target) and -_BEFORE <= incident.opened - deploy.time <= _RECENT
        ]

    def _end(self, deploy: Deploy) -> float:
        return deploy.time + (self._settings.lasts if deploy.lasts is None else deploy.lasts)

    def _too_near(self, incident: Incident, deploy: Deploy) -> bool:
        eta = incident.finding.eta
        return eta is not None and eta.earliest <= self._end(deploy)


def _touches(deploy: Deploy, target: str) -> bool:
    return not deploy.targets or any(fnmatchcase(target, pattern) for pattern in deploy.targets)
