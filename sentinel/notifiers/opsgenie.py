"""Opsgenie, and its follower in Jira Service Management: one alert an incident, kept by its alias.

Knows alerts and the calls that change them. Every call is idempotent: there is one open alert an alias, and to close
one that is not open does nothing. A second creation only counts up, so text and priority are set by calls of their
own. Answers are promises (202): what is wrong with the content of an update is not said. Source: reference/delivery.md
3.3; the path of the priority from the vendor's Alert API.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

import aiohttp
import orjson

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, Message, Outcome
from sentinel.notifiers.http import HttpSettings, check, check_url, exchange, longest, refused
from sentinel.notifiers.wording import Story, clean, cut, plain

__all__ = ["Opsgenie"]

_PRIORITIES = {Severity.CRITICAL: "P1", Severity.WARNING: "P3", Severity.INFO: "P5"}
_ACTIONS = {Reason.RESOLVED: "close", Reason.ACKNOWLEDGED: "acknowledge"}
_SOURCE = "Sentinel"


@dataclass(frozen=True)
class Opsgenie(HttpSettings):
    """Opens, updates, acknowledges and closes Opsgenie alerts.

    Opsgenie itself ends on 5 April 2027; Jira Service Management answers at another `url`.

    Args:
        api_key: Key of an API integration.
        teams: Names of the teams that are called, unless the integration says who.
        tags: Of every alert, for its policies.
        min_severity: Incidents that never reached it are not told here. Critical by default: it wakes people.
        url: Europe: https://api.eu.opsgenie.com; Jira Service Management:
            https://api.atlassian.com/jsm/ops/integration.
    """

    kind: ClassVar[str] = "opsgenie"
    reasons: ClassVar[frozenset[Reason]] = frozenset(Reason) - {Reason.DIGEST, Reason.DEPLOYED}
    pages: ClassVar[bool] = True
    groups: ClassVar[bool] = True
    rate: ClassVar[float] = 1.0

    api_key: Secret
    teams: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    min_severity: Severity = Severity.CRITICAL
    url: str = "https://api.opsgenie.com"

    def __post_init__(self) -> None:
        check_url("url", Secret(self.url), allow_http=self.allow_http)
        if not self.api_key.reveal().isprintable() or " " in self.api_key.reveal():
            raise ValueError("api_key must be the key alone, without `GenieKey` before it")
        if len(self.teams) > 50:
            raise ValueError(f"teams must be at most 50, got {len(self.teams)}")
        if len(self.tags) > 20 or any(len(tag) > 50 for tag in self.tags):
            raise ValueError("tags must be at most 20, of at most 50 characters each")

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """What is to be done with which alias; `minimal` leaves out all but message and priority."""
        incident = notification.incident
        action = _ACTIONS.get(notification.reason, "open")
        document: dict[str, Any] = {"action": action, "alias": cut(clean(incident.dedup_key), 512)}
        if action != "open":
            return Message(orjson.dumps(document | {"note": cut(self.tell(notification).status, 500)}))
        story = self.tell(notification)
        text = f"{story.title}: {story.summary}".replace("\n", " ")
        alert = {"message": cut(text, 130), "priority": _PRIORITIES[incident.severity]}
        if not minimal:
            alert |= self._rest(notification, story)
        document |= {"alert": alert, "new": notification.reason is Reason.OPENED}
        truncated = ("description",) if len(plain(story)) > 15_000 else ()
        return Message(orjson.dumps(document), truncated, story.failed_templates)

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Make the calls that it takes, one after another; all may be repeated."""
        for method, path, body in _calls(orjson.loads(message.body)):
            await self._call(session, method, path, body, attempt.now)
        return None

    def _rest(self, notification: Notification, story: Story) -> dict[str, Any]:
        incident = notification.incident
        details = {
            "target": cut(clean(incident.target), 500),
            "cause": cut(clean(incident.cause), 500),
            "ref": incident.ref,
            "first action": cut(story.first_action, 2000),
            "who": cut(story.culprit, 2000),
        } | {link.name.lower(): cut(link.url, 1000) for link in story.links}
        return {
            "description": cut(plain(story), 15_000),
            "details": {name: value for name, value in details.items() if value},
            "entity": cut(clean(incident.target), 512),
            "source": _SOURCE,
            "tags": [*self.tags],
            "responders": [{"type": "team", "name": team} for team in self.teams],
        }

    async def _call(
        self, session: aiohttp.ClientSession, method: str, path: str, body: dict[str, Any], now: float
    ) -> None:
        headers = {"content-type": "application/json", "authorization": f"GenieKey {self.api_key.reveal()}"}
        url = f"{self.url.rstrip('/')}/v2/alerts{path}"
        answer = await exchange(session, self, url, body=orjson.dumps(body), headers=headers, method=method)
        if answer.status == 429:
            period = answer.headers.get("X-RateLimit-Period-In-Sec")
            after = longest(answer.headers.get("Retry-After"), period, now)
            raise refused(Outcome.THROTTLED, answer, self, answer.text, after=after)
        check(answer, self, now)


def _calls(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path below the alerts, and body. An update opens the alert first, in case that it is not."""
    alias, action = document["alias"], document["action"]
    named = f"/{quote(alias, safe='')}"
    if action != "open":
        yield "POST", f"{named}/{action}?identifierType=alias", {"source": _SOURCE, "note": document["note"]}
        return
    alert = document["alert"]
    yield "POST", "", {"alias": alias, **alert}
    for field in () if document["new"] else ("message", "description", "priority"):
        if field in alert:
            yield "PUT", f"{named}/{field}?identifierType=alias", {field: alert[field]}
