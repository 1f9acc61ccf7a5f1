"""Incidents for tests of notifiers and delivery: one as an engineer would meet it, and one of enormous size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sentinel.model import (
    Culprit,
    Eta,
    Evidence,
    Finding,
    Incident,
    IncidentState,
    Notification,
    Reason,
    Severity,
    fingerprint,
    labels,
    ulid,
)

__all__ = ["NOON", "enormous", "leak", "notification", "resolved"]

NOON = 1_764_072_000.0
"""2025-11-25 12:00:00 UTC."""


def leak(**changes: Any) -> Incident:
    """A leak that was noticed at noon, with four hours left."""
    finding = Finding(
        target="redis-a", source="leak", kind="cause", severity=Severity.WARNING, time=NOON, firing=True,
        summary="Connections rise by 37/min while traffic is flat: 1,200 of 10,000 in use.",
        value=37.0, score=1.4, threshold=1.0,
        evidence=(
            Evidence("floor of connected clients", 37.0, "/min", "flat"),
            Evidence("never used and idle since they came", 412, "clients", "0 to 20"),
            Evidence("commands per second", 0.98, "ratio", "as usual"),
        ),
        eta=Eta(NOON + 7800, NOON + 16800, "10,000 clients"),
        culprit=Culprit(
            "api-assembly-status", 0.92, "unnamed clients of 10.4.7.0/24, last command INFO",
            (
                labels(addr="10.4.7.12:51312", age="5400", cmd="info", idle="5400"),
                labels(addr="10.4.7.13:40022", age="5160", cmd="info", idle="5160"),
            ),
        ),
        first_action="Recycle the api-assembly-status processes on 10.4.7.0/24.",
        ruled_out=("a deploy: nothing closed in 25 min", "more work: 410 commands/s, as yesterday"),
        affected=("encode", "notify"), since=NOON - 3300,
    )  # fmt: skip
    key = f"sentinel:prod-1:{fingerprint('leak', 'redis-a', '')}"
    made = Incident(
        ulid(NOON, key),
        key,
        "redis-a",
        "leak",
        "",
        Severity.WARNING,
        IncidentState.OPEN,
        NOON,
        NOON,
        finding,
        sequence=1,
    )
    return replace(made, **changes)


def resolved(**changes: Any) -> Incident:
    """The same, over after two hours and six minutes."""
    end = NOON + 7560
    return leak(**{"state": IncidentState.RESOLVED, "updated": end, "resolved": end, "sequence": 2} | changes)


def notification(
    reason: Reason = Reason.OPENED, incident: Incident | None = None, *, to: str = "ops/webhook", **changes: Any
) -> Notification:
    """What a destination is to be told of it."""
    of = incident or (resolved() if reason is Reason.RESOLVED else leak())
    made = Notification("ops", to, reason, of, of.updated, f"msg_{ulid(of.updated, f'{of.id} {reason} {to}')}")
    return replace(made, **changes)


def enormous(reason: Reason = Reason.OPENED) -> Notification:
    """As much as a hostile server could make of it: long texts full of markup, control characters, odd Unicode."""
    odd = '<!channel> & "quoted" \\ ``` *bold* \x00\x1b[31m\n\r\u2028\udc80 https://evil.example/x ü🔥 ' * 400
    incident = leak() if reason is not Reason.RESOLVED else resolved()
    finding = replace(
        incident.finding, summary=odd, first_action=odd, source=odd, target=odd, subject=odd,
        evidence=tuple(Evidence(odd, value, odd, odd) for value in (float("inf"), float("nan"), -1e300, 0.0) * 100),
        culprit=Culprit(odd, float("nan"), odd, (tuple((f"{n}{odd}", odd) for n in range(50)),) * 50),
        ruled_out=(odd,) * 200, affected=(odd,) * 200, eta=Eta(float("inf"), 1e300, odd), since=-1e300,
    )  # fmt: skip
    return notification(reason, replace(incident, finding=finding, target=odd, subject=odd, cause=odd))
