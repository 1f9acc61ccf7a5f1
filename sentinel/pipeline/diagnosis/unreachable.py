"""Unreachable: the server cannot be read at all, or not with our credentials.

Imitated by a restart (a few seconds) and by a short blip; what separates them is time alone, so nothing is said
before `for_`. A server that takes the connection and never answers is `frozen`; one that is full still answers
on the reserved seats and is `refused`.

Source: reference/incidents.md 1.2; lab look-alikes `short_blip` and `redis_restart`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from sentinel.model import Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import clock_time, span

__all__ = ["Unreachable"]

_ACTIONS = {
    "refused": "Check that the server process runs and listens on that port.",
    "dns": "Check the host name in the target's URL and the resolver.",
    "auth": "Check the user and password of this target; the server itself answers.",
    "noperm": "Grant the missing command; the log names it and prints the ACL line.",
    "not_redis": "Check the port: something answers there, but not Redis.",
    "tls": "Check the certificate and whether the port speaks TLS.",
    "full": "The server is full and no reserved seat is left: raise maxclients or recycle the greediest clients.",
}
_OURS = frozenset({"auth", "noperm", "not_redis", "tls", "protocol"})
"""Reasons that leave the server's own health unknown: we are blind, which is a warning, not an outage."""


@dataclass
class Unreachable:
    """The server refuses, resets, has no address, or does not take our credentials, for longer than `for_`."""

    name: ClassVar[str] = "unreachable"
    needs: ClassVar[tuple[str, ...]] = ("sampler_up",)
    windows: ClassVar[tuple[str, ...]] = ()

    for_: Seconds = 45.0
    """Longer than a restart or a blip takes."""

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires while the target cannot be read for another reason than a time-out."""
        since = view.blind_since
        if since is None or view.blind_reason == "timeout" or view.now - since < self.for_:
            return
        reason = view.blind_reason or "unknown"
        yield Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.WARNING if reason in _OURS else Severity.CRITICAL,
            time=view.now,
            firing=True,
            summary=f"{view.target} cannot be read since {clock_time(since)} ({span(view.now - since)}): {reason}.",
            value=view.now - since,
            threshold=self.for_,
            evidence=(Evidence("unreadable for", view.now - since, "s", f"below {self.for_:g} s"),),
            first_action=_ACTIONS.get(reason, "Check the network path and the server process."),
            ruled_out=("not a blip or restart: those are over sooner",),
            affected=view.affected,
            since=since,
        )
