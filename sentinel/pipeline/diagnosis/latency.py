"""Latency: the server answers, but late; and what holds it up.

Judged on our own round trip (PING on a warm connection), which waits behind whatever the one thread that runs commands
is doing. Two shapes: *slow*, half of the readings of `for_`; and *stalls*, single long waits that come again, with a
command that explains them (KEYS every few minutes, a huge DEL), or so often that no command need explain them (a
process that is stopped again and again, a host that swaps or is starved).

Who holds it up, asked in this order: CLIENT PAUSE; a command that takes most of the server's time or long for each call
(commandstats, between two looks); a snapshot or rewrite (the fork stops the server, then copies memory under it); a
thread at its limit of CPU. If it is none of these, the server is not the cause: the way to it is.

What imitates it, and what separates them: one slow answer is a blip; slowness on our side shows on all targets at once,
and the server's own figures are quiet then; no answer at all, or BUSY, is `frozen`.

Source: reference/incidents.md 1.3 G1-G5 (the slow command was found by hand in each).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from detectors.ewma import Ewma
from sentinel.model import Culprit, Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.levels import LEAVE, Ladder
from sentinel.pipeline.diagnosis.words import clock_time, pace, span

__all__ = ["Latency"]

_MOST_OF_TIME = 0.5
"""Part of the server's time from which a command is the one that everybody waits for: more than all others together."""
_AT_ITS_LIMIT = 0.9
"""Part of a CPU: one thread runs all commands, and by queueing theory (M/M/1) waits are ten times the work here."""
_OFTEN = 0.2
"""Part of the answers: readings come at times that are no stall's, so that it is about the part of the time as well."""
_FORK = 0.1
"""Seconds that a fork may stop the server before it is to be named: 10 ms a GiB is usual on plain machines."""


class _Command(NamedTuple):
    """What a command did between two looks."""

    name: str
    calls: float
    """A second."""
    seconds: float
    """Of the server's time, a second."""

    @property
    def each(self) -> float:
        return self.seconds / self.calls if self.calls else 0.0

    def __str__(self) -> str:
        return f"{self.name.upper()} takes {self.seconds:.0%} of its time: {pace(self.calls)} of {span(self.each)} each"


@dataclass
class Latency:
    """The median round trip, or single waits again and again, above `warning_above` and far above the usual one."""

    name: ClassVar[str] = "latency"
    needs: ClassVar[tuple[str, ...]] = ("redis_ping_seconds",)
    windows: ClassVar[tuple[str, ...]] = ("redis_ping_seconds",)

    warning_above: float = 0.1
    """Seconds: a command that should take microseconds."""
    critical_above: float = 1.0
    times: float = 5.0
    """And at least this multiple of the usual round trip, for servers that are far away."""
    for_: Seconds = 60.0
    stalls: int = 3
    """Single waits within `stalls_within` that are told, if a command explains them, or if they are above
    `critical_above` and one answer in five since the first."""
    stalls_within: Seconds = 900.0
    half_life: Seconds = 3600.0

    _usual: Ewma = field(init=False, repr=False)
    _since: float | None = field(default=None, init=False, repr=False)
    _ladder: Ladder = field(default_factory=Ladder, init=False, repr=False)
    _waits: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=64), init=False, repr=False)
    """Times and seconds of single long waits, each after an answer that came at once."""
    _waited: float = field(default=float("-inf"), init=False, repr=False)
    """When an answer was last late, or nearly so."""
    _waiting: bool = field(default=False, init=False, repr=False)
    _slowest: _Command | None = field(default=None, init=False, repr=False)
    """The command that took longest for a call at the newest wait."""

    def __post_init__(self) -> None:
        self._usual = Ewma(half_life=self.half_life, warm_up=10)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires while half of the round trips of the last `for_` were slow, or while stalls come again."""
        ping = view.value("redis_ping_seconds")
        if ping is None:
            return
        line = max(self.warning_above, self.times * self._usual.mean)
        if ping < line:
            self._usual.learn(view.now, ping)
        self._note_wait(view, ping, line)
        slow = self._slow(view) if view.now - self._waited <= self.for_ else None
        if slow is not None and self._ladder.take(slow, line, max(line, self.critical_above)) > Severity.INFO:
            self._since = view.now - self.for_ if self._since is None else self._since
            yield self._finding(view, slow, line, self._since)
            return
        self._since = None
        yield from self._stalls(view, line)

    def _slow(self, view: View) -> float | None:
        """The median of `for_`; None while there is too little of it."""
        _, values = view.window("redis_ping_seconds", self.for_)
        if len(values) < 3 or view.now - view.steady_since < self.for_:
            return None
        return float(sorted(values)[(len(values) - 1) // 2])

    def _note_wait(self, view: View, ping: float, line: float) -> None:
        while self._waits and view.now - self._waits[0][0] > self.stalls_within:
            self._waits.popleft()
        if ping >= line:
            if not self._waiting:
                self._waits.append((view.now, ping))
            self._slowest = max(_commands(view, 0.0), key=lambda command: command.each, default=None) or self._slowest
        self._waiting = ping >= line
        if ping >= LEAVE * line:
            self._waited = view.now

    def _stalls(self, view: View, line: float) -> Iterator[Finding]:
        command = self._slowest
        explained = command is not None and command.each >= self.warning_above
        waits = list(self._waits) if explained else self._often(view)
        if len(waits) < self.stalls:
            return
        longest = max(seconds for _, seconds in waits)
        since = waits[0][0]
        culprit: Culprit | None
        if command is not None and explained:
            name = command.name.upper()
            why = f"A call of {name} takes {span(command.each)}, and everybody waits for it"
            action = _SLOW_COMMAND.format(command=name)
            culprit = Culprit(name, None, "the command that takes longest for a call")
            figures = [Evidence(f"{name}, each call", command.each, "s", "below 0.01 s")]
        else:
            because, action, culprit = self._because(view)
            why, figures = f"In between it is fast: {because}", list(self._server_figures(view))
        yield Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.WARNING,
            time=view.now,
            firing=True,
            summary=(
                f"{view.target} stops again and again: {len(waits)} waits of up to {span(longest)} since "
                f"{clock_time(since)}. {why}."
            ),
            value=longest,
            threshold=line,
            evidence=(
                Evidence("waits", float(len(waits)), "", f"below {self.stalls} in {span(self.stalls_within)}"),
                Evidence("longest round trip", longest, "s", f"below {span(line)}"),
                *figures,
            ),
            culprit=culprit,
            first_action=action,
            ruled_out=("not a blip: it came again", "not overload: most answers are fast"),
            affected=view.affected,
            since=since,
        )

    def _often(self, view: View) -> list[tuple[float, float]]:
        """Waits above `critical_above` since one of them, from which on every fifth answer came so late."""
        waits = [wait for wait in self._waits if wait[1] >= self.critical_above]
        for first in range(len(waits) - self.stalls + 1):
            since = waits[first][0]
            _, values = view.window("redis_ping_seconds", view.now - since)
            late = sum(value >= self.critical_above for value in values)
            if view.now - since >= 2 * self.for_ and late >= _OFTEN * len(values):
                return waits[first:]
        return []

    def _finding(self, view: View, slow: float, line: float, since: float) -> Finding:
        why, action, culprit = self._because(view)
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=self._ladder.severity,
            time=view.now,
            firing=True,
            summary=(
                f"{view.target} answers a PING in {slow * 1000:.0f} ms (median of {span(self.for_)}, since "
                f"{clock_time(since)}), usually {self._usual.mean * 1000:.2g} ms: {why}."
            ),
            value=slow,
            threshold=line,
            evidence=(
                Evidence("median round trip", slow, "s", f"below {span(line)}"),
                *self._server_figures(view),
            ),
            culprit=culprit,
            first_action=action,
            ruled_out=("not a blip: half of the answers are slow", "not down or frozen: it answers"),
            affected=view.affected,
            since=since,
        )

    def _because(self, view: View) -> tuple[str, str, Culprit | None]:
        """Why, what to do, and which command."""
        command = max(_commands(view, self.for_), key=lambda one: one.seconds, default=None)
        cpu = view.value("redis_cpu_seconds_total")
        if any(view.each("redis_paused")):
            return "CLIENT PAUSE is in force", "CLIENT UNPAUSE ends it; ask who paused it and why.", None
        if command is not None and (command.seconds >= _MOST_OF_TIME or command.each >= self.warning_above):
            culprit = Culprit(command.name.upper(), None, f"{command.seconds:.0%} of the server's time")
            return str(command), _SLOW_COMMAND.format(command=command.name.upper()), culprit
        if view.value("redis_saving"):
            fork = view.value("redis_last_fork_seconds") or 0.0
            stopped = f"; its fork stopped everything for {span(fork)}" if fork >= _FORK else ""
            return f"a snapshot or rewrite is being written{stopped}", _FORKED, None
        if cpu is not None and cpu >= _AT_ITS_LIMIT:
            commands = pace(view.value("redis_commands_total") or 0.0)
            return f"its thread is at {cpu:.0%} of a CPU with {commands} commands", _OVERLOADED, None
        return "the server's own figures do not say why", _ELSEWHERE, None

    @staticmethod
    def _server_figures(view: View) -> Iterator[Evidence]:
        for name, metric, unit, expected in (
            ("commands", "redis_commands_total", "/s", ""),
            ("CPU of its thread", "redis_cpu_seconds_total", "ratio", f"below {_AT_ITS_LIMIT:.0%}"),
            ("snapshot or rewrite under way", "redis_saving", "", "0"),
            ("last fork", "redis_last_fork_seconds", "s", f"below {span(_FORK)}"),
            ("clients", "redis_connected_clients", "", ""),
        ):
            value = view.value(metric)
            if value is not None:
                yield Evidence(name, value, unit, expected)


def _commands(view: View, within: Seconds) -> list[_Command]:
    """What commands did between the last two looks, if the last is not older than `within`."""
    calls = {track.labels: track.value for track in view.known("redis_command_calls_total", within)}
    return [
        _Command(track.label("command"), calls.get(track.labels) or 0.0, track.value)
        for track in view.known("redis_command_seconds_total", within)
        if track.value
    ]


_SLOW_COMMAND = (
    "Find who sends {command} (CLIENT LIST shows cmd=; SLOWLOG GET 10 the calls) and stop it: SCAN instead of KEYS, "
    "UNLINK instead of DEL, smaller ranges and scripts."
)
_FORKED = (
    "Wait for it if it is rare. If not: save on a replica, switch off transparent huge pages, and check that the host "
    "has memory for the copy."
)
_OVERLOADED = "Look at which commands came with it (INFO commandstats) and who sends them; one thread runs them all."
_ELSEWHERE = "Look at the way there: the host's CPU and swap, the network, and whether other targets are slow as well."
