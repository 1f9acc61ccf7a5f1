"""A generic webhook: the whole incident as JSON, signed as Standard Webhooks says.

Knows the event's shape and the signature; nothing of who reads it. Receivers drop copies by `webhook-id` and older
events by `data.sequence`. Source: standardwebhooks.com (1.0.0, 2023) and reference/delivery.md 3.4; different from
the latter: `reason` may also be `changed`, for an update whose severity stayed, and there is no `unit` or `baseline`
of an alert, since `evidence` says both for each number.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import aiohttp
import orjson

from sentinel import __version__
from sentinel.model import (
    Culprit,
    Eta,
    Finding,
    Incident,
    IncidentState,
    Notification,
    Reason,
    Secret,
    Severity,
    fingerprint,
)
from sentinel.notifiers.alerts import group as alert_group
from sentinel.notifiers.base import Attempt, Message
from sentinel.notifiers.http import HttpSettings, check, check_url, exchange
from sentinel.notifiers.wording import Story, clean, rfc3339, shorten, title

__all__ = ["Webhook", "sign"]

LIMIT = 20_000
_ITEMS = 20
_TYPES = {Reason.REPEATED: "incident.reminder", Reason.DIGEST: "digest", Reason.DEPLOYED: "deploy"}
_SHED = ("examples", "evidence", "ruled_out", "affected", "related", "context")
_OURS = frozenset({"content-type", "content-length", "host", "webhook-id", "webhook-timestamp", "webhook-signature"})


@dataclass(frozen=True)
class Webhook(HttpSettings):
    """Posts each notification as JSON to a URL; any 2xx answer is a success.

    Args:
        url: Where to post to. It may hold a token, so it is treated as a secret.
        min_severity: Incidents that never reached it are not told here.
        dialect: `sentinel`, the whole incident; or `alertmanager`, what Alertmanager's webhook would send, for the many
            receivers that read that.
        secret: Signs each message: `whsec_` and base64 of 24 to 64 random bytes.
        previous_secret: The one before; while it is set both sign, so that receivers can change over in their time.
        authorization: Value of the Authorization header, such as `Bearer …`, for receivers that check no signature.
        headers: Further headers.
    """

    kind: ClassVar[str] = "webhook"
    reasons: ClassVar[frozenset[Reason]] = frozenset(Reason)
    pages: ClassVar[bool] = False
    rate: ClassVar[float] = 50.0

    url: Secret
    min_severity: Severity = Severity.INFO
    dialect: Literal["sentinel", "alertmanager"] = "sentinel"
    secret: Secret | None = None
    previous_secret: Secret | None = None
    authorization: Secret | None = None
    headers: Mapping[str, Secret] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_url("url", self.url, allow_http=self.allow_http)
        for name, secret in (("secret", self.secret), ("previous_secret", self.previous_secret)):
            if secret is not None and not 24 <= len(_key(secret)) <= 64:
                raise ValueError(f"{name} must be whsec_ followed by base64 of 24 to 64 random bytes")
        for header, value in self.headers.items():
            if header.lower() in _OURS or not header.isascii() or not value.reveal().isprintable():
                raise ValueError(f"headers must not hold {header!r}: it is set by Sentinel, or cannot be sent")

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """The event as compact JSON under 20 kB; `minimal` leaves out all lists and the alert."""
        story = self.tell(notification)
        if self.dialect == "alertmanager":
            group = alert_group(notification, story, minimal=minimal)
            cut = ("description",) if group["commonAnnotations"].get("description", "").endswith("…") else ()
            return Message(orjson.dumps(group), cut, story.failed_templates)
        incident = _incident(notification, story)
        alerts = [] if minimal else [_alert(notification.incident)]
        truncated = []
        for name in _SHED if minimal else ():
            _empty(incident, name)
        body = _event(notification, incident, alerts)
        for name in _SHED:
            if len(body) <= LIMIT:
                break
            _empty(incident, name)
            truncated.append(name)
            body = _event(notification, incident, alerts)
        return Message(body, tuple(truncated), story.failed_templates)

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Post it, signed with the time of this attempt."""
        headers = {name: value.reveal() for name, value in self.headers.items()}
        event_id, timestamp = attempt.event_id, int(attempt.now)
        headers |= {"content-type": "application/json", "webhook-id": event_id, "idempotency-key": event_id}
        headers["webhook-timestamp"] = str(timestamp)
        if self.authorization is not None:
            headers["authorization"] = self.authorization.reveal()
        if keys := [key for key in (self.secret, self.previous_secret) if key is not None]:
            headers["webhook-signature"] = sign(keys, event_id, timestamp, message.body)
        check(await exchange(session, self, self.url.reveal(), body=message.body, headers=headers), self, attempt.now)
        return None


def sign(secrets: Iterable[Secret], event_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header: one HMAC-SHA256 a secret, newest first, over id, time and the very bytes sent.

    >>> secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    >>> sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    signed = f"{event_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(_key(secret), signed, hashlib.sha256) for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def _key(secret: Secret) -> bytes:
    try:
        return base64.b64decode(secret.reveal().strip().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _event(notification: Notification, incident: dict[str, Any], alerts: list[dict[str, Any]]) -> bytes:
    known = notification.incident
    document = {
        "type": _type(notification),
        "timestamp": rfc3339(notification.time),
        "schema": 1,
        "data": {
            "incident": incident,
            "alerts": alerts,
            "truncated_alerts": 1 - len(alerts),
            "reason": _reason(notification),
            "sequence": known.sequence,
            "source": {"instance": _instance(known.dedup_key), "version": __version__},
        },
    }
    return orjson.dumps(document)


def _incident(notification: Notification, story: Story) -> dict[str, Any]:
    incident, finding = notification.incident, notification.incident.finding
    links = {link.name: link.url for link in story.links}
    before = notification.previous_severity
    return {
        "id": incident.id,
        "ref": incident.ref,
        "dedup_key": incident.dedup_key,
        "state": incident.state.value,
        "cause": _short(incident.cause),
        "target": _short(incident.target),
        "subject": _short(incident.subject),
        "severity": incident.severity.name.lower(),
        "previous_severity": before.name.lower() if before else None,
        "title": shorten(story.title, 600),
        "summary": shorten(story.summary, 2000),
        "first_action": shorten(story.first_action, 2000),
        "eta": _eta(finding.eta, notification.time) if finding.eta and incident.state is IncidentState.OPEN else None,
        "culprit": _culprit(finding.culprit) if finding.culprit else None,
        "evidence": [
            {"name": _short(e.name), "value": e.value, "unit": _short(e.unit), "expected": _short(e.expected)}
            for e in finding.evidence[:_ITEMS]
        ],
        "ruled_out": [_short(reason) for reason in finding.ruled_out[:_ITEMS]],
        "affected": [_short(name) for name in finding.affected[:_ITEMS]],
        "since": rfc3339(finding.since),
        "opened_at": rfc3339(incident.opened),
        "updated_at": rfc3339(incident.updated),
        "acknowledged_at": rfc3339(incident.acknowledged),
        "acknowledged_by": _short(incident.acknowledged_by) or None,
        "resolved_at": rfc3339(incident.resolved),
        "resolved_by": _short(incident.resolved_by) or None,
        "duration_seconds": round((incident.resolved or notification.time) - incident.opened, 3),
        "rule": _short(finding.source),
        "group": {"target": _short(incident.target)},
        "flapping": incident.flapping,
        "context": [_short(text) for text in incident.context[-_ITEMS:]],
        "related": [_related(other) for other in notification.related[:_ITEMS]],
        "occurrences": incident.occurrences,
        "url": links.get("Incident"),
        "runbook_url": links.get("Runbook"),
    }


def _related(other: Incident) -> dict[str, str]:
    name = shorten(title(other), 600)
    return {"id": other.id, "ref": other.ref, "title": name, "severity": other.severity.name.lower()}


def _alert(incident: Incident) -> dict[str, Any]:
    finding = incident.finding
    return {
        "fingerprint": fingerprint(incident.cause, incident.target, incident.subject),
        "status": "firing" if incident.state is IncidentState.OPEN else "resolved",
        "labels": _labels(finding),
        "value": finding.value,
        "threshold": finding.threshold,
        "score": finding.score,
        "detector": _short(finding.source),
        "starts_at": rfc3339(finding.since if finding.since is not None else incident.opened),
        "ends_at": rfc3339(incident.resolved),
    }


def _labels(finding: Finding) -> dict[str, str]:
    labels = {finding.kind: _short(finding.source), "target": _short(finding.target)}
    return labels | ({"subject": _short(finding.subject)} if finding.subject else {})


def _eta(eta: Eta, now: float) -> dict[str, Any]:
    """The range as times, and as seconds left for those who do not want to subtract."""
    return {
        "earliest": rfc3339(eta.earliest),
        "latest": rfc3339(eta.latest),
        "earliest_seconds": round(max(0.0, eta.earliest - now), 3),
        "latest_seconds": None if eta.latest is None else round(max(0.0, eta.latest - now), 3),
        "wall": _short(eta.wall),
    }


def _culprit(culprit: Culprit) -> dict[str, Any]:
    return {
        "name": shorten(clean(culprit.name), 500),
        "share": culprit.share,
        "detail": shorten(clean(culprit.detail), 1000),
        "examples": [{_short(k): _short(v) for k, v in row[:_ITEMS]} for row in culprit.examples[:_ITEMS]],
    }


def _reason(notification: Notification) -> str:
    before = notification.previous_severity
    match notification.reason:
        case Reason.OPENED:
            return "first_notification"
        case Reason.RESOLVED:
            return "all_resolved"
        case Reason.REPEATED:
            return "reminder"
        case Reason.ACKNOWLEDGED:
            return "manual"
        case Reason.DIGEST | Reason.DEPLOYED:
            return notification.reason.value
        case Reason.UPDATED if before in (None, notification.incident.severity):
            return "changed"
        case _:
            return "severity_changed"


def _type(notification: Notification) -> str:
    if notification.incident.cause == "sentinel_test":
        return "test.ping"
    return _TYPES.get(notification.reason, f"incident.{notification.reason.value}")


def _instance(dedup_key: str) -> str:
    """The instance that a key names: `sentinel:<instance>:<fingerprint>`."""
    return dedup_key.removeprefix("sentinel:").rpartition(":")[0]


def _empty(incident: dict[str, Any], name: str) -> None:
    holder = incident["culprit"] if name == "examples" else incident
    if holder is not None:
        holder[name] = []


def _short(text: str) -> str:
    return shorten(clean(text, 300), 300)
