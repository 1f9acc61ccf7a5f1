"""Clock skew: a worker's clock differs from the server's, so its heartbeats look older or younger than they are.

Information only: the worker lives, but every age and due time that it stamps is wrong by as much. The sampler measures
the difference; a worker that is lost is no business of this cause.

What imitates it, and what separates them: a beat that took long to arrive is late once, a clock is wrong at each beat
(`for_`).

Source: our own; `lost_workers` would call such a worker dead if it went by the age alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Culprit, Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import row, span

__all__ = ["ClockSkew"]


@dataclass
class ClockSkew:
    """The clocks of some workers are wrong."""

    name: ClassVar[str] = "clock_skew"
    needs: ClassVar[tuple[str, ...]] = ("heartbeat_age_seconds",)
    windows: ClassVar[tuple[str, ...]] = ()

    at_least: Seconds = 15.0
    """A smaller difference is not worth a word."""
    for_: Seconds = 300.0
    """How long it must have been there."""

    _since: dict[Labels, float] = field(default_factory=dict, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires once a worker group while the clock of one of its workers is wrong."""
        since: dict[Labels, float] = {}
        wrong: dict[str, dict[str, float]] = {}
        for track in view.each("worker_clock_skew_seconds"):
            if abs(track.raw) < self.at_least:
                continue
            began = since[track.labels] = self._since.get(track.labels, view.now)
            if view.now - began >= self.for_:
                wrong.setdefault(track.label("group"), {})[track.label("worker")] = track.raw
        self._since = since
        return [self._finding(view, group, workers) for group, workers in wrong.items()]

    def _finding(self, view: View, group: str, workers: dict[str, float]) -> Finding:
        names = sorted(workers, key=lambda name: -abs(workers[name]))
        shown = row(names)
        worst = workers[names[0]]
        way = "ahead of" if worst > 0 else "behind"
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.INFO,
            time=view.now,
            firing=True,
            summary=f"The clock of {shown} ({group}) is about {span(abs(worst))} {way} the server's; it beats.",
            subject=group,
            value=abs(worst),
            threshold=self.at_least,
            evidence=(Evidence("difference of the clocks", worst, "s", f"within {span(self.at_least)}"),),
            culprit=Culprit(shown, None, f"workers of {group}"),
            first_action=f"Check time synchronisation (chrony, ntpd) on the hosts of {shown}.",
            ruled_out=("not lost: its beats arrive",),
            affected=(f"workers {group}",),
        )
