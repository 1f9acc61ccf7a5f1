"""An incident as Prometheus's world knows alerts: labels that say which, annotations that say what.

Knows names of labels and times as Go writes them. Source: reference/delivery.md 3.2 and 3.5.
"""

from __future__ import annotations

from typing import Any

from sentinel.model import Incident, IncidentState, Notification, Reason, fingerprint
from sentinel.notifiers.wording import Story, clean, cut, plain, rfc3339

__all__ = ["alert", "group", "labels", "texts"]

_NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time: what has not ended."""
_REASONS = {
    Reason.OPENED: "first notification",
    Reason.ESCALATED: "new alerts added",
    Reason.REPEATED: "repeat interval elapsed",
    Reason.RESOLVED: "all alerts resolved",
}


def labels(incident: Incident) -> dict[str, str]:
    """What names the alert; all of it but the severity is its identity.

    >>> from sentinel.model import Severity
    >>> incident = Incident("1", "sentinel:prod:9c", "redis-a", "lost_workers", "mail", Severity.WARNING,
    ...                     IncidentState.OPEN, 0, 0, None)
    >>> labels(incident)["alertname"], labels(incident)["sentinel_instance"]
    ('SentinelLostWorkers', 'prod')
    """
    name = "".join(part.capitalize() for part in clean(incident.cause).replace("-", "_").split("_"))
    found = {
        "alertname": f"Sentinel{cut(name, 200)}",
        "cause": cut(clean(incident.cause), 300),
        "sentinel_instance": incident.dedup_key.removeprefix("sentinel:").rpartition(":")[0],
        "severity": incident.severity.name.lower(),
        "subject": cut(clean(incident.subject), 300),
        "target": cut(clean(incident.target), 300),
    }
    return {key: value for key, value in found.items() if value}


def texts(story: Story, *, minimal: bool = False) -> dict[str, str]:
    """What is said of it: a line, the whole story, what to do first, where to read on."""
    found = {
        "summary": cut(f"{story.title}: {story.status}. {story.summary}", 1000),
        "first_action": cut(story.first_action, 1000),
        "description": "" if minimal else cut(plain(story), 6000),
    }
    found |= {"runbook_url" if link.name == "Runbook" else "dashboard_url": link.url for link in story.links}
    return {key: value for key, value in found.items() if value}


def alert(notification: Notification, story: Story, *, minimal: bool = False) -> dict[str, Any]:
    """The alert. `endsAt` is None while it fires."""
    incident = notification.incident
    urls = {link.name: link.url for link in story.links}
    return {
        "labels": labels(incident),
        "annotations": texts(story, minimal=minimal),
        "startsAt": rfc3339(incident.opened) or rfc3339(notification.time),
        "endsAt": rfc3339(incident.resolved) if incident.state is IncidentState.RESOLVED else None,
        "generatorURL": urls.get("Incident", ""),
        "fingerprint": fingerprint(incident.cause, incident.target, incident.subject)[:16],
    }


def group(notification: Notification, story: Story, *, minimal: bool = False) -> dict[str, Any]:
    """The incident as Alertmanager's webhook tells a group of one alert, payload version 4."""
    one = alert(notification, story, minimal=minimal)
    status = "firing" if one["endsAt"] is None else "resolved"
    names = {key: value for key, value in one["labels"].items() if key in ("alertname", "subject", "target")}
    return {
        "version": "4",
        "groupKey": f"{{}}:{{{', '.join(f'{key}={_quoted(value)}' for key, value in names.items())}}}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": cut(clean(notification.receiver), 300),
        "groupLabels": names,
        "commonLabels": one["labels"],
        "commonAnnotations": one["annotations"],
        "externalURL": one["generatorURL"],
        "notification_reason": _REASONS.get(notification.reason, "unknown"),
        "routeLabels": {},
        "alerts": [{"status": status, **one, "endsAt": one["endsAt"] or _NEVER}],
    }


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
