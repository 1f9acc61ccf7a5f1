"""A webhook receiver on loopback: it keeps what arrives and when, and can put it into words.

Knows the wire format from the receiving side, as an outsider would: HTTP, Standard Webhooks' signature (checked with
that project's own library), the JSON of `sentinel.notifiers.webhook`. Must not know who sends, or why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Any

import orjson
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from sentinel.model import (
    Culprit,
    Eta,
    Evidence,
    Finding,
    Incident,
    IncidentState,
    Notification,
    Reason,
    Seconds,
    Secret,
    Severity,
)
from sentinel.notifiers.wording import Story, tell

__all__ = ["Arrival", "Receiver", "story"]

_REASONS = {"reminder": Reason.REPEATED, "deploy": Reason.DEPLOYED}


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event, at the event loop's time at which it came."""

    at: float
    id: str
    event: Mapping[str, Any]

    @property
    def incident(self) -> Mapping[str, Any]:
        """What it is about."""
        incident: Mapping[str, Any] = self.event["data"]["incident"]
        return incident

    @property
    def kind(self) -> str:
        """What happened to it: opened, escalated, updated, reminder, resolved."""
        kind: str = self.event["type"]
        return kind.removeprefix("incident.")

    @property
    def left(self) -> tuple[Seconds, Seconds | None] | None:
        """Seconds until the wall from `at` on, at the earliest and at the latest; None where none were told."""
        eta = self.incident["eta"]
        return (eta["earliest_seconds"], eta["latest_seconds"]) if eta else None


class Receiver:
    """Listens while it is entered, on loopback unless told otherwise.

    Args:
        secret: `whsec_…`; what is not signed with it is refused with 401. None takes everything.
        port: 0 for a free one.
        host: An address of this machine.

    An event that comes again with the same id is acknowledged and not kept twice.
    """

    def __init__(self, secret: Secret | None = None, port: int = 0, host: str = "127.0.0.1") -> None:
        self._check = Webhook(secret.reveal()) if secret else None
        self._host, self._port = host, port
        self._arrived = asyncio.Condition()
        self.arrivals: list[Arrival] = []
        self.refused = 0
        self.url = ""
        """Where to post to."""

    async def nth(self, number: int) -> Arrival:
        """The arrival with this number, from 0 on; waits for it."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.arrivals) > number)
        return self.arrivals[number]

    async def first(self, wanted: Callable[[Arrival], bool]) -> Arrival:
        """The first arrival that is wanted: one that is here already, or the next to come."""
        number = 0
        while not wanted(arrival := await self.nth(number)):
            number += 1
        return arrival

    async def __aenter__(self) -> Receiver:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/alerts", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/alerts"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        at, body = asyncio.get_running_loop().time(), await request.read()
        if not self._genuine(body, request.headers):
            self.refused += 1
            return web.Response(status=401, text="the signature is missing or wrong")
        try:
            arrival = Arrival(at, request.headers["webhook-id"], orjson.loads(body))
            _ = arrival.kind, arrival.incident["id"]
        except (KeyError, TypeError, ValueError):
            self.refused += 1
            return web.Response(status=400, text="an event needs a webhook-id, a type and an incident")
        if all(known.id != arrival.id for known in self.arrivals):
            async with self._arrived:
                self.arrivals.append(arrival)
                self._arrived.notify_all()
        return web.Response(status=204)

    def _genuine(self, body: bytes, headers: Mapping[str, str]) -> bool:
        if self._check is None:
            return True
        try:
            self._check.verify(body, {name.lower(): value for name, value in headers.items()})
        except WebhookVerificationError:
            return False
        return True


def story(arrival: Arrival) -> Story:
    """What was told, worded as every destination words it. Its summary comes in words, which are left as they are."""
    return replace(tell(_notification(arrival)), summary=arrival.incident["summary"])


def _notification(arrival: Arrival) -> Notification:
    before = arrival.incident["previous_severity"]
    return Notification(
        receiver="",
        destination="",
        reason=_REASONS.get(arrival.kind) or Reason(arrival.kind),
        incident=_incident(arrival.incident, arrival.event["data"]["sequence"]),
        time=_time(arrival.event["timestamp"]),
        event_id=arrival.id,
        previous_severity=Severity[before.upper()] if before else None,
    )


def _incident(told: Mapping[str, Any], sequence: int) -> Incident:
    finding = _finding(told)
    return Incident(
        id=told["id"],
        dedup_key=told["dedup_key"],
        target=told["target"],
        cause=told["cause"],
        subject=told["subject"],
        severity=finding.severity,
        state=IncidentState(told["state"]),
        opened=_time(told["opened_at"]),
        updated=finding.time,
        finding=finding,
        resolved=_time(told["resolved_at"]) if told["resolved_at"] else None,
        occurrences=told["occurrences"],
        sequence=sequence,
    )


def _finding(told: Mapping[str, Any]) -> Finding:
    culprit, eta = told["culprit"], told["eta"]
    return Finding(
        target=told["target"],
        source=told["rule"],
        kind="cause",
        severity=Severity[told["severity"].upper()],
        time=_time(told["updated_at"]),
        firing=told["state"] == IncidentState.OPEN,
        summary=told["summary"],
        subject=told["subject"],
        evidence=tuple(Evidence(**each) for each in told["evidence"]),
        eta=_eta(eta) if eta else None,
        culprit=_culprit(culprit) if culprit else None,
        first_action=told["first_action"],
        ruled_out=tuple(told["ruled_out"]),
        affected=tuple(told["affected"]),
        since=_time(told["since"]) if told["since"] else None,
    )


def _eta(told: Mapping[str, Any]) -> Eta:
    latest = told["latest"]
    return Eta(_time(told["earliest"]), _time(latest) if latest else None, told["wall"])


def _culprit(told: Mapping[str, Any]) -> Culprit:
    rows = tuple(tuple(row.items()) for row in told["examples"])
    return Culprit(told["name"], told["share"], told["detail"], rows)


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
