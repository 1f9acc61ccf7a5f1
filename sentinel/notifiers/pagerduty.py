"""PagerDuty by the Events API v2: one alert an incident, kept by its dedup key.

Knows events and their answers. Every send is idempotent: a trigger with the key of an open alert updates it, and a
resolve without an open alert is dropped. Source: reference/delivery.md 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp
import orjson

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, Message, Outcome
from sentinel.notifiers.http import Answer, HttpSettings, check, check_url, exchange, refused, retry_after
from sentinel.notifiers.wording import Story, clean, cut, rfc3339, tell

__all__ = ["PagerDuty"]

_SEVERITIES = {Severity.CRITICAL: "critical", Severity.WARNING: "warning", Severity.INFO: "info"}
_ITEMS = 50
_PATIENCE = 30.0
"""Seconds to wait after a 429 that names none; the vendor advises minutes between a few tries."""


@dataclass(frozen=True)
class PagerDuty(HttpSettings):
    """Triggers and resolves PagerDuty alerts.

    Args:
        routing_key: Integration key of a service, or of an event orchestration.
        min_severity: Incidents that never reached it are not told here. Critical by default: it wakes people.
        url: Where events go; accounts in Europe use https://events.eu.pagerduty.com/v2/enqueue.
    """

    kind: ClassVar[str] = "pagerduty"
    reasons: ClassVar[frozenset[Reason]] = frozenset(Reason)
    pages: ClassVar[bool] = True
    rate: ClassVar[float] = 2.0

    routing_key: Secret
    min_severity: Severity = Severity.CRITICAL
    url: str = "https://events.pagerduty.com/v2/enqueue"

    def __post_init__(self) -> None:
        check_url("url", Secret(self.url), allow_http=self.allow_http)
        if not self.routing_key.reveal().isalnum():
            raise ValueError("routing_key must be the integration key: letters and digits only")

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """A trigger or a resolve, without the routing key; `minimal` leaves out the details."""
        incident = notification.incident
        if not incident.dedup_key:
            raise ValueError("an alert without a dedup key would be merged with others")
        document: dict[str, Any] = {"event_action": "trigger", "dedup_key": cut(clean(incident.dedup_key), 255)}
        if notification.reason is Reason.RESOLVED:
            return Message(orjson.dumps(document | {"event_action": "resolve"}))
        story = tell(notification)
        text = f"{story.title}: {story.summary}" + (f" {story.eta}" if story.eta else "")
        payload: dict[str, Any] = {
            "summary": cut(text, 1024),
            "source": cut(clean(incident.target), 255),
            "severity": _SEVERITIES[incident.severity],
            "timestamp": rfc3339(notification.time),
            "component": cut(clean(incident.subject) or "redis", 255),
            "class": cut(clean(incident.cause), 255),
        }
        if not minimal:
            payload["custom_details"] = _details(story)
        body = orjson.dumps(document | {"payload": payload, "client": "Sentinel"})
        return Message(body, ("summary",) if len(text) > 1024 else ())

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Post it with the routing key; 202 means that it was taken in."""
        body = orjson.dumps({"routing_key": self.routing_key.reveal()} | orjson.loads(message.body))
        answer = await exchange(session, self, self.url, body=body, headers={"content-type": "application/json"})
        if answer.status == 429:
            after = retry_after(answer.headers.get("Retry-After"), attempt.now)
            raise refused(Outcome.THROTTLED, answer, self, answer.text, after=_PATIENCE if after is None else after)
        if answer.status == 400 and _about_the_key(answer):
            raise refused(Outcome.REJECTED_CONFIG, answer, self, answer.text)
        check(answer, self, attempt.now)
        return None


def _details(story: Story) -> dict[str, Any]:
    """What is shown under the alert; empty parts are left out."""
    details = {
        "first_action": cut(story.first_action, 3000),
        "time_left": story.eta,
        "who": cut(story.culprit, 2000),
        "since": story.since,
        "status": story.status,
        "affected": cut(story.affected, 3000),
        "evidence": [cut(line, 500) for line in story.evidence[:_ITEMS]],
        "it_is_not": [cut(line, 500) for line in story.ruled_out[:_ITEMS]],
        "examples": [cut(line, 500) for line in story.examples[:_ITEMS]],
        "ref": story.ref,
    }
    return {name: value for name, value in details.items() if value}


def _about_the_key(answer: Answer) -> bool:
    said = answer.text.lower()
    return "routing_key" in said or "routing key" in said
