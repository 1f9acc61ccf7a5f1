"""PagerDuty by the Events API v2: one alert an incident, kept by its dedup key.

Knows events and their answers. Every send is idempotent: a trigger with the key of an open alert updates it, and an
acknowledge or resolve without an open alert is dropped. So is one by another routing key than the alert was opened
with: the reference that delivery keeps is a hash of that key. Source: reference/delivery.md 3.1.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp
import orjson

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, DeliveryError, Message, Outcome
from sentinel.notifiers.http import Answer, HttpSettings, check, check_url, exchange, refused, retry_after
from sentinel.notifiers.wording import Story, clean, cut, rfc3339

__all__ = ["PagerDuty"]

_SEVERITIES = {Severity.CRITICAL: "critical", Severity.WARNING: "warning", Severity.INFO: "info"}
_ACTIONS = {Reason.RESOLVED: "resolve", Reason.ACKNOWLEDGED: "acknowledge"}
_EVENTS, _CHANGES = "/v2/enqueue", "/v2/change/enqueue"
_ITEMS = 50
_ORPHANED = (
    "the alert was opened with a routing key that is no longer configured, and only that one can close it. Close it by "
    "hand, or set previous_routing_key"
)
_PATIENCE = 30.0
"""Seconds to wait after a 429 that names none; the vendor advises minutes between a few tries."""


@dataclass(frozen=True)
class PagerDuty(HttpSettings):
    """Triggers and resolves PagerDuty alerts.

    Args:
        routing_key: Integration key of a service, or of an event orchestration.
        previous_routing_key: The one before: alerts that it opened are still updated and resolved by it.
        min_severity: Incidents that never reached it are not told here. Critical by default: it wakes people.
        url: Where events go; accounts in Europe use https://events.eu.pagerduty.com/v2/enqueue.
        change_events: Tell each deploy that is marked, too: they are shown beside the alerts of the service.
    """

    kind: ClassVar[str] = "pagerduty"
    reasons: ClassVar[frozenset[Reason]] = frozenset(Reason) - {Reason.DIGEST}
    pages: ClassVar[bool] = True
    groups: ClassVar[bool] = True
    rate: ClassVar[float] = 2.0

    routing_key: Secret
    previous_routing_key: Secret | None = None
    min_severity: Severity = Severity.CRITICAL
    url: str = "https://events.pagerduty.com/v2/enqueue"
    change_events: bool = False

    def __post_init__(self) -> None:
        check_url("url", Secret(self.url), allow_http=self.allow_http)
        for name, key in (("routing_key", self.routing_key), ("previous_routing_key", self.previous_routing_key)):
            if key is not None and not key.reveal().isalnum():
                raise ValueError(f"{name} must be the integration key: letters and digits only")
        if self.change_events and self.routing_key.reveal().startswith("R"):
            raise ValueError(
                "change_events must be left out with the key of a ruleset (R…): only a service keeps changes"
            )
        if self.change_events and not self.url.endswith(_EVENTS):
            raise ValueError(f"change_events must be left out unless url ends with {_EVENTS}")

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """A trigger, acknowledge or resolve, without the routing key; `minimal` leaves out details and links."""
        incident = notification.incident
        if not incident.dedup_key:
            raise ValueError("an alert without a dedup key would be merged with others")
        if notification.reason is Reason.DEPLOYED:
            return self._change(notification)
        action = _ACTIONS.get(notification.reason, "trigger")
        document: dict[str, Any] = {"event_action": action, "dedup_key": cut(clean(incident.dedup_key), 255)}
        if action != "trigger":
            return Message(orjson.dumps(document))
        story = self.tell(notification)
        text = " ".join([f"{story.title}: {story.summary}", story.eta]).strip().replace("\n", " ")
        payload: dict[str, Any] = {
            "summary": cut(text, 1024),
            "source": cut(clean(incident.target), 255),
            "severity": _SEVERITIES[incident.severity],
            "timestamp": rfc3339(notification.time),
            "component": cut(clean(incident.subject) or "redis", 255),
            "class": cut(clean(incident.cause), 255),
        }
        document |= {"payload": payload, "client": "Sentinel"}
        if not minimal:
            payload["custom_details"] = _details(story)
            document |= _linked(story)
        return Message(orjson.dumps(document), ("summary",) if len(text) > 1024 else (), story.failed_templates)

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Post it with the routing key; 202 means that it was taken in."""
        event = orjson.loads(message.body)
        if "event_action" not in event:
            await self._post(session, self.url.removesuffix(_EVENTS) + _CHANGES, self.routing_key, event, attempt)
            return None
        key = self._key(attempt.ref)
        if key is None and event["event_action"] != "trigger":
            raise DeliveryError(Outcome.REJECTED_PAYLOAD, _ORPHANED)
        key = key or self.routing_key
        await self._post(session, self.url, key, event, attempt)
        return _hash(key)

    def _change(self, notification: Notification) -> Message:
        """A change event: no alert, kept for 90 days beside those of the service."""
        incident, story = notification.incident, self.tell(notification)
        summary = clean(incident.finding.summary)
        payload = {
            "summary": cut(summary, 1024),
            "source": cut(clean(incident.target), 255),
            "timestamp": rfc3339(notification.time),
            "custom_details": {"version": cut(clean(incident.subject), 255), "ref": incident.ref},
        }
        links = [{"href": link.url, "text": link.name} for link in story.links]
        document = {"payload": payload} | ({"links": links} if links else {})
        return Message(orjson.dumps(document), ("summary",) if len(summary) > 1024 else ())

    async def _post(
        self, session: aiohttp.ClientSession, url: str, key: Secret, event: dict[str, Any], attempt: Attempt
    ) -> None:
        body = orjson.dumps({"routing_key": key.reveal()} | event)
        answer = await exchange(session, self, url, body=body, headers={"content-type": "application/json"})
        if answer.status == 429:
            after = retry_after(answer.headers.get("Retry-After"), attempt.now)
            raise refused(Outcome.THROTTLED, answer, self, answer.text, after=_PATIENCE if after is None else after)
        if answer.status == 400 and _about_the_key(answer):
            raise refused(Outcome.REJECTED_CONFIG, answer, self, answer.text)
        check(answer, self, attempt.now)

    def _key(self, ref: str | None) -> Secret | None:
        """The key that opened the alert; None if it is no longer known."""
        if ref is None:
            return self.routing_key
        known = [key for key in (self.routing_key, self.previous_routing_key) if key is not None]
        return next((key for key in known if _hash(key) == ref), None)


def _hash(key: Secret) -> str:
    return hashlib.sha256(key.reveal().encode()).hexdigest()[:16]


def _linked(story: Story) -> dict[str, Any]:
    """Links to read on; the first one is also what the client's name leads to."""
    links = [{"href": link.url, "text": link.name} for link in story.links]
    return {"links": links, "client_url": links[0]["href"]} if links else {}


def _details(story: Story) -> dict[str, Any]:
    """What is shown under the alert; empty parts are left out."""
    details = {
        "summary": cut(story.summary, 3000),
        "first_action": cut(story.first_action, 3000),
        "time_left": story.eta,
        "who": cut(story.culprit, 2000),
        "since": story.since,
        "trend": story.trend,
        "status": story.status,
        "affected": cut(story.affected, 3000),
        "notes": cut(story.notes, 3000),
        "also": cut(story.also, 3000),
        "evidence": [cut(line, 500) for line in story.evidence[:_ITEMS]],
        "it_is_not": [cut(line, 500) for line in story.ruled_out[:_ITEMS]],
        "examples": [cut(line, 500) for line in story.examples[:_ITEMS]],
        "ref": story.ref,
    }
    return {name: value for name, value in details.items() if value}


def _about_the_key(answer: Answer) -> bool:
    said = answer.text.lower()
    return "routing_key" in said or "routing key" in said
