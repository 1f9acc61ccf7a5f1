"""Idle spin: clients ask for work without waiting, very often, and there is none.

A worker loop whose blocking command returns at once (a timeout of 0 milliseconds, a wrong unit), or that polls without
a pause. It looks like load: one command in the tens of thousands a second, an empty queue, nobody blocked.

What imitates it, and what separates them: real work, in which about as much is put in as is asked for (a tenth is
enough); a server used as a cache, whose commands do not take work; a queue that is drained at the moment we look, by
time (`for_`).

Source: reference/incidents.md C4 (75,000 to 90,000 commands a second on an empty queue, taken for load for months).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Culprit, Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.levels import Held, Latch
from sentinel.pipeline.diagnosis.words import clock_time, pace, span

__all__ = ["IdleSpin"]

_TAKE = re.compile(r"b?[lr]pop|b?rpoplpush|b?lmove|b?[lz]mpop|b?zpop(min|max)|zrangebyscore|xread(group)?|xautoclaim")
_PUT = re.compile(r"[lr]pushx?|linsert|[zx]add")
_READ_WITHIN = 120.0
"""Seconds for which a look at the commands counts: on a busy server it is repeated every 30."""


@dataclass
class IdleSpin:
    """Commands that take work make up most of a server's traffic, and hardly any work is put in."""

    name: ClassVar[str] = "idle_spin"
    needs: ClassVar[tuple[str, ...]] = ("redis_commands_total",)
    windows: ClassVar[tuple[str, ...]] = ()

    at_least: float = 1000.0
    """Commands a second that ask for work; a thousand workers that poll once a second are not worth a word."""
    part: float = 0.5
    """Part of all commands that they make up, 0-1."""
    idle_part: float = 0.1
    """Work put in or done for each time that it is asked for; at most this much is idle."""
    for_: Seconds = 300.0
    cpu_above: float = 0.5
    """Part of a CPU from which it is a warning: half of what the server can do at all."""

    _held: Held = field(default_factory=Held, init=False, repr=False)
    _busy: Latch = field(default_factory=Latch, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires while it lasts. Without figures of commands (before the first look) it keeps what it thought."""
        calls = {t.label("command"): t.value or 0.0 for t in view.known("redis_command_calls_total", _READ_WITHIN)}
        asked = sum(rate for name, rate in calls.items() if _TAKE.fullmatch(name))
        put = sum(rate for name, rate in calls.items() if _PUT.fullmatch(name))
        done = sum(track.value or 0.0 for track in view.each("queue_completed_total"))
        empty = all(track.raw == 0 for track in view.each("queue_depth"))
        spins = (
            asked >= self.at_least
            and asked >= self.part * sum(calls.values())
            and max(put, done) <= self.idle_part * asked
            and empty
        )
        since = self._held.take(spins, view.now)
        if since is not None and self._held.lasted(self.for_):
            yield self._finding(view, since, calls, asked, max(put, done))

    def _finding(self, view: View, since: float, calls: dict[str, float], asked: float, worked: float) -> Finding:
        command = max((name for name in calls if _TAKE.fullmatch(name)), key=lambda name: calls[name])
        cpu = view.value("redis_cpu_seconds_total") or 0.0
        harmful = self._busy.take(cpu, self.cpu_above)
        culprit = self._culprit(view, command)
        who = f" {culprit.name} is the likely one." if culprit else ""
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.WARNING if harmful else Severity.INFO,
            time=view.now,
            firing=True,
            summary=(
                f"Work is asked for {pace(asked)} and there is none ({pace(worked)} are put in): {command.upper()} "
                f"without waiting since {clock_time(since)}, at {cpu:.0%} of a CPU.{who}"
            ),
            value=asked,
            threshold=self.at_least,
            evidence=(
                Evidence("asked for work", asked, "/s", f"below {pace(self.at_least)}"),
                Evidence("part of all commands", asked / sum(calls.values()), "ratio", f"below {self.part:.0%}"),
                Evidence("work put in or done", worked, "/s", f"above {pace(self.idle_part * asked)}"),
                Evidence("blocked clients", view.value("redis_blocked_clients") or 0.0, "", "the workers that wait"),
                Evidence("CPU of its thread", cpu, "ratio", f"below {self.cpu_above:.0%}"),
            ),
            culprit=culprit,
            first_action=(
                f"Let {command.upper()} wait: a blocking command with a timeout of seconds (mind the unit), or a pause "
                "between two polls. MONITOR for one second shows who sends it."
            ),
            ruled_out=(
                "not load: hardly any work is put in",
                f"not a queue that was just drained: it has lasted {span(view.now - since)}",
            ),
            affected=view.affected,
            since=since,
        )

    @staticmethod
    def _culprit(view: View, command: str) -> Culprit | None:
        """The largest group whose example sent that command last."""
        senders = [
            track
            for track in view.known("redis_group_clients", 600.0)
            if dict(track.exemplar or ()).get("cmd") == command and track.raw > 0
        ]
        if not senders:
            return None
        biggest = max(senders, key=lambda track: track.raw)
        return Culprit(biggest.label("group"), None, f"last command {command}", (biggest.exemplar or (),))
