"""Frozen: the server is silent on connections that are open, or answers only BUSY.

A stopped process, a long command (KEYS, a huge DEL), a paused server (CLIENT PAUSE), a disk that hangs, a network that
loses everything: no answer at all. A Lua script that runs for more than five seconds (`busy-reply-threshold`): everyone
is told BUSY, and only SCRIPT KILL is let through. Both are told as one trouble, as a script is first the one and then
the other.

Imitated by a short blip: only time separates them. A server that refuses is `unreachable`; one that answers late is
`latency`.

Source: reference/incidents.md 1.3 G1-G3; in a freeze a redis_exporter hangs with the server and `redis_up == 0`
never fires (lab/README.md, pitfalls), so the time-out itself is the signal. BUSY and SCRIPT KILL: the Redis manual on
EVAL, "Script timeout"; a script that has written can only be ended by SHUTDOWN NOSAVE.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from sentinel.model import Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import clock_time, span

__all__ = ["Frozen"]


@dataclass
class Frozen:
    """No answer on open connections for longer than `for_`."""

    name: ClassVar[str] = "frozen"
    needs: ClassVar[tuple[str, ...]] = ("sampler_up",)
    windows: ClassVar[tuple[str, ...]] = ()

    for_: Seconds = 30.0
    """Longer than a blip: a fork, a host that is moved, a switch. A restart is not silent: it refuses."""

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires while the target times out or is busy. A poll tells of the time that it waited, too."""
        since = view.blind_since
        if since is None or view.blind_reason not in ("timeout", "busy"):
            return
        lasted = view.now - since + (view.value("poll_seconds") or 0.0)
        if lasted >= self.for_:
            yield self._finding(view, since, lasted)

    def _finding(self, view: View, since: float, lasted: float) -> Finding:
        busy = view.blind_reason == "busy"
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.CRITICAL,
            time=view.now,
            firing=True,
            summary=_SUMMARY[busy].format(target=view.target, since=clock_time(since), lasted=span(lasted)),
            value=lasted,
            threshold=self.for_,
            evidence=(
                Evidence("nobody answered for", lasted, "s", f"below {span(self.for_)}"),
                Evidence("own polls answered BUSY", float(busy), "", "0"),
            ),
            first_action=_ACTION[busy],
            ruled_out=_RULED_OUT[busy],
            affected=view.affected,
            since=since,
        )


_SUMMARY = {
    False: "{target} has not answered since {since} ({lasted}): whatever is sent to it waits or is lost.",
    True: "{target} tells everyone BUSY: a script has been running since {since} ({lasted}) and nobody else is served.",
}
_ACTION = {
    False: (
        "Look at the host: is the process stopped or at 100 % CPU (a long script or KEYS), the disk hanging, or CLIENT "
        "PAUSE in force (CLIENT UNPAUSE ends it)? If the host is well, look at the network to it."
    ),
    True: (
        "SCRIPT KILL ends it (FUNCTION KILL for a function). If it has written already, that is refused: wait, or "
        "SHUTDOWN NOSAVE, which loses what was not saved. Then find who sent it: SLOWLOG GET 10."
    ),
}
_RULED_OUT = {
    False: ("not stopped: that would be refused, this is silence", "not a blip: those are over sooner"),
    True: ("not down and not hanging: it answers, with BUSY", "not a short script: BUSY begins after 5 s"),
}
