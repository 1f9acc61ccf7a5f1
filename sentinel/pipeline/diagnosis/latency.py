"""Latency: the server answers, but late.

Judged on our own round trip (PING on a warm connection). A long command, a busy script, a fork, a swapping host.

What imitates it, and what separates them: one slow answer is a blip, so half the readings of `for_` must be slow;
slowness on our side shows on all targets at once; no answer at all is `frozen`.

Source: reference/incidents.md 1.3 G1-G5.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from detectors.ewma import Ewma
from sentinel.model import Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import clock_time

__all__ = ["Latency"]


@dataclass
class Latency:
    """The median round trip stays above `warning_above` and far above the usual one."""

    name: ClassVar[str] = "latency"
    needs: ClassVar[tuple[str, ...]] = ("redis_ping_seconds",)
    windows: ClassVar[tuple[str, ...]] = ("redis_ping_seconds",)

    warning_above: float = 0.1
    """Seconds: a command that should take microseconds."""
    critical_above: float = 1.0
    times: float = 5.0
    """And at least this multiple of the usual round trip, for servers that are far away."""
    for_: Seconds = 60.0
    half_life: Seconds = 3600.0

    _usual: Ewma = field(init=False, repr=False)
    _since: float | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._usual = Ewma(half_life=self.half_life, warm_up=10)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires while half of the round trips of the last `for_` were slow."""
        now_seconds = view.value("redis_ping_seconds")
        if now_seconds is None:
            return
        line = max(self.warning_above, self.times * self._usual.mean)
        if now_seconds < line:
            self._usual.learn(view.now, now_seconds)
        _, values = view.window("redis_ping_seconds", self.for_)
        if len(values) < 3 or view.now - view.steady_since < self.for_:
            return
        slow = float(sorted(values)[(len(values) - 1) // 2])
        if slow < line:
            self._since = None
            return
        self._since = view.now - self.for_ if self._since is None else self._since
        yield Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.CRITICAL if slow >= self.critical_above else Severity.WARNING,
            time=view.now,
            firing=True,
            summary=(
                f"{view.target} answers a PING in {slow * 1000:.0f} ms (median of {self.for_:.0f} s, since "
                f"{clock_time(self._since)}), usually {self._usual.mean * 1000:.2g} ms."
            ),
            value=slow,
            threshold=line,
            evidence=(
                Evidence("median round trip", slow, "s", f"below {line:.3g}"),
                Evidence("commands per second", view.value("redis_commands_total") or 0.0, "1/s"),
                Evidence("clients", view.value("redis_connected_clients") or 0.0),
            ),
            first_action="Look at SLOWLOG GET 10 and the host's CPU; a long script, KEYS or a fork is the usual cause.",
            ruled_out=("not a blip: half of the answers are slow", "not down: it answers"),
            affected=view.affected,
            since=self._since,
        )
