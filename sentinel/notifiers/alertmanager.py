"""Alertmanager by its API v2: Sentinel as one more source of alerts, beside Prometheus.

Knows the API's alerts and the duty of a source: what fires is sent again and again with an end a little ahead, since
Alertmanager forgets with a restart and takes silence for recovery. So the reference that delivery keeps is what was
sent last, and `resend` sends that again; nothing of it is queued. Severity is a label, because routes in Alertmanager
ask for it: when it changes the alert of before is ended in the same breath. Source: reference/delivery.md 3.2.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import aiohttp
import orjson

from sentinel.model import Notification, Reason, Seconds, Secret, Severity
from sentinel.notifiers.alerts import alert
from sentinel.notifiers.base import Attempt, DeliveryError, Kept, Message, Outcome
from sentinel.notifiers.http import HttpSettings, check, check_url, exchange
from sentinel.notifiers.wording import rfc3339

__all__ = ["Alertmanager"]

_REPEAT_ENDS = 300.0
"""Seconds for which the end of an alert is said again: what Alertmanager expects of its sources."""
_HELPLESS = (Outcome.REJECTED_CONFIG, Outcome.REJECTED_PAYLOAD, Outcome.GONE)


@dataclass(frozen=True)
class Alertmanager(HttpSettings):
    """Keeps alerts firing in Alertmanager, in all replicas of it.

    Args:
        urls: Every replica, such as http://alertmanager-0:9093; never a balancer in front of them.
        min_severity: Incidents that never reached it are not told here. Low, since Alertmanager routes by itself.
        authorization: Value of the Authorization header, such as `Bearer …`.
        labels: Further labels of every alert, for its routes.
        resend_interval: From one sending of what fires to the next. Alerts end by themselves after four of them, but
            not before five minutes.
        watchdog: Keep an alert SentinelWatchdog firing, whose end says that Sentinel is gone.
    """

    kind: ClassVar[str] = "alertmanager"
    reasons: ClassVar[frozenset[Reason]] = frozenset(Reason) - {Reason.ACKNOWLEDGED, Reason.DIGEST, Reason.DEPLOYED}
    pages: ClassVar[bool] = True
    rate: ClassVar[float] = 10.0

    urls: tuple[str, ...]
    min_severity: Severity = Severity.INFO
    authorization: Secret | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    resend_interval: Seconds = 60.0
    watchdog: bool = False

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError("urls must name at least one Alertmanager")
        for url in self.urls:
            check_url("urls", Secret(url), allow_http=self.allow_http)
        for name in self.labels:
            if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name):
                raise ValueError(f"labels must have names of letters, digits and _, got {name!r}")
        if self.resend_interval < 1:
            raise ValueError(f"resend_interval must be at least 1s, got {self.resend_interval}")

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """The alert; what it still fires for is said when it is sent. `minimal` leaves out the description."""
        story = self.tell(notification)
        made = alert(notification, story, minimal=minimal)
        del made["fingerprint"]
        made["labels"] |= self.labels
        cut = ("description",) if made["annotations"].get("description", "").endswith("…") else ()
        return Message(orjson.dumps(made), cut, story.failed_templates)

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Send it to every replica; one that takes it is enough, since the others get it with the next sending."""
        now, alerts = attempt.now, [orjson.loads(message.body)]
        alerts += [_ended(old, now) for old in _kept(attempt.ref) if old["labels"] != alerts[0]["labels"]]
        failures = await self._send(session, alerts, now)
        if len(failures) == len(self.urls):
            raise min(failures, key=lambda error: error.outcome in _HELPLESS)
        return orjson.dumps([each for each in alerts if not _forgotten(each, now)]).decode()

    async def resend(self, session: aiohttp.ClientSession, kept: Sequence[Kept], now: float) -> None:
        """Send again what fires and what ended lately.

        Raises:
            DeliveryError: of one replica that did not take it.
        """
        told = [(each, still_open) for ref, still_open in kept for each in _kept(ref)]
        alerts = [each for each, still_open in told if (still_open or each["endsAt"]) and not _forgotten(each, now)]
        if self.watchdog:
            alerts.append(self._watchdog(now))
        for failure in await self._send(session, alerts, now) if alerts else ():
            raise failure

    async def _send(self, session: aiohttp.ClientSession, alerts: Sequence[Any], now: float) -> list[DeliveryError]:
        """Post to all replicas at once; gives the failures."""
        end = rfc3339(now + max(4 * self.resend_interval, _REPEAT_ENDS))
        body = orjson.dumps([each | {"endsAt": each["endsAt"] or end} for each in alerts])
        results = await asyncio.gather(*(self._post(session, url, body, now) for url in self.urls))
        return [error for error in results if error is not None]

    async def _post(self, session: aiohttp.ClientSession, url: str, body: bytes, now: float) -> DeliveryError | None:
        headers = {"content-type": "application/json"}
        if self.authorization is not None:
            headers["authorization"] = self.authorization.reveal()
        try:
            check(
                await exchange(session, self, f"{url.rstrip('/')}/api/v2/alerts", body=body, headers=headers), self, now
            )
        except DeliveryError as error:
            return error
        return None

    def _watchdog(self, now: float) -> dict[str, Any]:
        said = {"summary": "Sentinel is alive. When this alert ends, it is not."}
        named = {"alertname": "SentinelWatchdog", "severity": "none", **self.labels}
        return {"labels": named, "annotations": said, "startsAt": rfc3339(now), "endsAt": None, "generatorURL": ""}


def _kept(ref: str | None) -> Iterable[dict[str, Any]]:
    return orjson.loads(ref) if ref else []


def _ended(old: dict[str, Any], now: float) -> dict[str, Any]:
    return old | {"endsAt": old["endsAt"] or rfc3339(now)}


def _forgotten(one: dict[str, Any], now: float) -> bool:
    """Whether its end has been said for long enough."""
    return one["endsAt"] is not None and datetime.fromisoformat(one["endsAt"]).timestamp() < now - _REPEAT_ENDS
