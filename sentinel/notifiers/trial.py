"""Trying a destination: a marked message through the very code that real ones take, and what came back.

Knows how a message that nobody can mistake for an incident looks. Nothing of it is kept or tried again: the answer to
the first try is what one wants to see.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from sentinel.model import Finding, Incident, IncidentState, Notification, Reason, Seconds, Severity, fingerprint, ulid
from sentinel.notifiers.base import Attempt, DeliveryError, Notifier
from sentinel.notifiers.http import open_session

__all__ = ["CAUSE", "Result", "try_out"]

CAUSE = "sentinel_test"
_SUMMARY = "This is a test: nothing is wrong. `sentinel notify-test` sent it to see whether messages arrive here."
_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Result:
    """What came back for one message."""

    reason: Reason
    ok: bool
    said: str
    """What the destination answered, or the reference that it gave; nothing secret."""
    took: Seconds


async def try_out(
    notifier: Notifier, name: str, *, instance: str, now: float, leave_open: bool = False
) -> AsyncIterator[Result]:
    """Open a test at a destination and resolve it again, and say how each went. Ends at the first that fails.

    Args:
        notifier: The destination.
        name: What it is called: `receiver/kind`.
        instance: The name of this Sentinel, told as the target.
        now: Unix seconds.
        leave_open: Do not resolve it.
    """
    opened = _incident(instance, name, notifier.min_severity, now)
    ref: str | None = None
    async with open_session(notifier) as session:
        for reason in (Reason.OPENED,) if leave_open else (Reason.OPENED, Reason.RESOLVED):
            if reason not in notifier.reasons:
                continue
            story = _notification(opened, reason, name, now)
            started = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(_WITHIN):
                    ref = (
                        await notifier.notify(session, notifier.message(story), Attempt(story.event_id, now, ref))
                        or ref
                    )
            except DeliveryError as error:
                yield Result(reason, False, f"{error.outcome}: {error}", asyncio.get_running_loop().time() - started)
                return
            except TimeoutError:
                yield Result(reason, False, f"no answer in {_WITHIN:.0f} s", _WITHIN)
                return
            said = f"reference {ref}" if ref and len(ref) <= 80 else ""
            yield Result(reason, True, said, asyncio.get_running_loop().time() - started)


def _incident(instance: str, name: str, severity: Severity, now: float) -> Incident:
    key = f"sentinel:{instance}:{fingerprint(CAUSE, instance, name)}"
    finding = Finding(instance, CAUSE, "cause", severity, now, True, _SUMMARY, subject=name, first_action="Nothing.")
    return Incident(
        id=ulid(now, key),
        dedup_key=key,
        target=instance,
        cause=CAUSE,
        subject=name,
        severity=severity,
        state=IncidentState.OPEN,
        opened=now,
        updated=now,
        finding=finding,
        sequence=1,
    )


def _notification(opened: Incident, reason: Reason, name: str, now: float) -> Notification:
    incident = opened
    if reason is Reason.RESOLVED:
        incident = replace(opened, state=IncidentState.RESOLVED, resolved=now, sequence=2)
    receiver = name.partition("/")[0]
    return Notification(receiver, name, reason, incident, now, "msg_" + ulid(now, f"{opened.id} {reason}"))
