"""Exhaustion: connections run out, whoever holds them.

The level against what the server enforces: `maxclients` less replicas, cluster links and reserved slots; also
when the ceiling itself is lowered. Keeps quiet while `leak` or `flood` is firing: they explain it and name who.

Imitated by a peak of the day that comes close and goes: so a high level must stay for a while, and a trend counts
only above `trend_above` and only if it is significant (Mann-Kendall).

Source: the ratios are the community's (lab/README.md, rules B: 90 % for 2 min, 80 % for 5 min).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from detectors.trend import mann_kendall, theil_sen
from sentinel.model import Eta, Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import clock_time, count, span

__all__ = ["Exhaustion"]


@dataclass
class Exhaustion:
    """Above `warning_above` of the ceiling for `for_`, above `critical_above`, or soon there."""

    name: ClassVar[str] = "exhaustion"
    needs: ClassVar[tuple[str, ...]] = ("redis_connected_clients", "redis_max_clients")
    windows: ClassVar[tuple[str, ...]] = ("redis_connected_clients",)

    warning_above: float = 0.8
    """Part of the ceiling, 0-1."""
    critical_above: float = 0.9
    for_: Seconds = 120.0
    """How long it must stay above `warning_above`; above `critical_above` a quarter of it."""
    critical_within: Seconds = 7200.0
    """A significant trend that reaches the ceiling within this time is critical, above `trend_above`."""
    trend_above: float = 0.6
    trend_window: Seconds = 600.0

    _above_since: float | None = field(default=None, init=False, repr=False)
    _high_since: float | None = field(default=None, init=False, repr=False)
    _ceiling: float | None = field(default=None, init=False, repr=False)
    _lowered: str = field(default="", init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires by level, held; or by trend."""
        clients, ceiling = view.value("redis_connected_clients"), view.ceiling
        if clients is None or not ceiling:
            return
        self._note_ceiling(view.now, ceiling)
        used = clients / ceiling
        self._above_since = self._held(self._above_since, used >= self.warning_above, view.now)
        self._high_since = self._held(self._high_since, used >= self.critical_above, view.now)
        if "leak" in view.found or "flood" in view.found:
            return
        severity, eta = self._severity(view, used, clients, ceiling)
        if severity is not None:
            yield self._finding(view, severity, eta, clients, ceiling)

    @staticmethod
    def _held(since: float | None, holds: bool, now: float) -> float | None:
        return (now if since is None else since) if holds else None

    def _note_ceiling(self, now: float, ceiling: float) -> None:
        if self._ceiling is not None and ceiling < self._ceiling:
            self._lowered = f"the ceiling fell from {count(self._ceiling)} to {count(ceiling)} at {clock_time(now)}"
        elif self._ceiling is not None and ceiling > self._ceiling:
            self._lowered = ""
        self._ceiling = ceiling

    def _severity(self, view: View, used: float, clients: float, ceiling: float) -> tuple[Severity | None, Eta | None]:
        if self._high_since is not None and view.now - self._high_since >= self.for_ / 4:
            return Severity.CRITICAL, self._eta(view, clients, ceiling)
        eta = self._eta(view, clients, ceiling) if used >= self.trend_above else None
        if eta is not None and eta.latest is not None and eta.latest - view.now <= self.critical_within:
            return Severity.CRITICAL, eta
        if self._above_since is not None and view.now - self._above_since >= self.for_:
            return Severity.WARNING, eta
        return None, None

    def _eta(self, view: View, clients: float, ceiling: float) -> Eta | None:
        times, values = view.window("redis_connected_clients", self.trend_window)
        if (
            len(values) < 12
            or view.now - times[0] < self.trend_window / 2
            or mann_kendall(values, memory=True).p > 1e-4
        ):
            return None
        slope = theil_sen(times, values, confidence=0.8, memory=True)
        if slope.low <= 0:
            return None
        left = max(0.0, ceiling - clients)
        return Eta(view.now + left / slope.high, view.now + left / slope.low, f"{count(ceiling)} clients")

    def _finding(self, view: View, severity: Severity, eta: Eta | None, clients: float, ceiling: float) -> Finding:
        since = self._above_since if self._above_since is not None else view.now
        held = f", above {self.warning_above:.0%} since {clock_time(since)}" if self._above_since else ""
        why = f"; {self._lowered}" if self._lowered else ""
        biggest = max(view.known("redis_group_clients", 600.0), key=lambda track: track.raw, default=None)
        most = f" Most are held by {biggest.label('group')} ({count(biggest.raw)})." if biggest else ""
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=severity,
            time=view.now,
            firing=True,
            summary=(
                f"{count(clients)} of {count(ceiling)} connections in use ({clients / ceiling:.0%}){held}{why}.{most}"
            ),
            value=clients / ceiling,
            threshold=self.warning_above,
            evidence=(
                Evidence("clients", clients, "", f"below {count(self.warning_above * ceiling)}"),
                Evidence("ceiling", ceiling),
                Evidence("above the line for", view.now - since, "s", f"below {span(self.for_)}"),
            ),
            eta=eta,
            first_action="Raise maxclients (CONFIG SET maxclients works on an open connection), then find who grew.",
            ruled_out=("no leak or flood is visible: no client group explains it by itself",),
            affected=view.affected,
            since=since,
        )
