"""Lost workers: some of a fleet stopped beating without saying goodbye.

A worker is late when its last beat is `periods` of the fleet's own learned period ago. A worker that signs off ends
its series and is not counted; one that runs out stays and grows.

What imitates it, and what separates them:

* rolling restarts and scale-ins: they sign off;
* an outage or restart of the server: nobody could beat, so nothing is said until everyone has had time to;
* a slow fleet: the period is learnt from its beats, not set.

Source: reference/incidents.md 1.3 E7-E10; Hayashibara et al. (2004) for judging by the fleet's own rhythm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Culprit, Evidence, Finding, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import clock_time, count, span

__all__ = ["LostWorkers"]


@dataclass(slots=True)
class _Fleet:
    period: float | None = None
    """Seconds between beats: 90 % quantile, tracked."""
    ages: dict[str, float] = field(default_factory=dict)
    read: float = 0.0


@dataclass
class LostWorkers:
    """A part of a worker group's heartbeats is late."""

    name: ClassVar[str] = "lost_workers"
    needs: ClassVar[tuple[str, ...]] = ("heartbeat_age_seconds",)
    windows: ClassVar[tuple[str, ...]] = ()

    periods: float = 3.0
    """Beats that must be missing."""
    warning_part: float = 0.1
    """Part of the fleet, 0-1; a fleet of up to ten is warned of for its first lost worker."""
    critical_part: float = 0.5

    _fleets: dict[str, _Fleet] = field(default_factory=dict, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires once a worker group while enough of its workers are late."""
        ages: dict[str, dict[str, float]] = {}
        for track in view.each("heartbeat_age_seconds"):
            ages.setdefault(track.label("group"), {})[track.label("worker")] = track.raw
        for group, now_ages in ages.items():
            fleet = self._fleets.setdefault(group, _Fleet())
            self._learn(fleet, now_ages, view.now)
            limit = self.periods * fleet.period if fleet.period else None
            if limit is None or view.now - view.steady_since < limit:
                continue
            late = sorted(worker for worker, age in now_ages.items() if age > limit)
            if late and len(late) >= self.warning_part * len(now_ages):
                yield self._finding(view, group, fleet, now_ages, late, limit)

    @staticmethod
    def _learn(fleet: _Fleet, ages: dict[str, float], now: float) -> None:
        """A beat came where the age fell: it came after the old age plus the time since, less the new age.

        The tracked quantile moves up by 0.09 and down by 0.01 of itself, which balances where one in ten is longer.
        """
        elapsed = now - fleet.read
        for worker, age in ages.items():
            old = fleet.ages.get(worker)
            if old is None or age >= old + elapsed / 2:
                continue
            between = old + elapsed - age
            if fleet.period is None:
                fleet.period = between
            elif between <= 4 * fleet.period:
                fleet.period *= 1.09 if between > fleet.period else 0.99
        fleet.ages, fleet.read = ages, now

    def _finding(
        self, view: View, group: str, fleet: _Fleet, ages: dict[str, float], late: list[str], limit: float
    ) -> Finding:
        part = len(late) / len(ages)
        longest = max(ages[worker] for worker in late)
        shown = ", ".join(late[:5]) + (f" and {len(late) - 5} more" if len(late) > 5 else "")
        since = view.now - longest
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.CRITICAL if part >= self.critical_part else Severity.WARNING,
            time=view.now,
            firing=True,
            summary=(
                f"{len(late)} of {len(ages)} workers of {group} have not beaten for over {span(limit)}: {shown}. The "
                f"first stopped at {clock_time(since)}."
            ),
            subject=group,
            value=part,
            threshold=self.warning_part,
            evidence=(
                Evidence(
                    "workers late", float(len(late)), "", f"below {count(max(1.0, self.warning_part * len(ages)))}"
                ),
                Evidence("longest silence", longest, "s", f"below {limit:.3g}"),
                Evidence("usual time between beats", fleet.period or 0.0, "s"),
            ),
            culprit=Culprit(shown, part, f"workers of {group}"),
            first_action=f"Look at the hosts of {shown}: killed, out of memory, or hanging? Restart them.",
            ruled_out=("not a restart or scale-in: these sign off", "not an outage of Redis: the others beat"),
            affected=(f"workers {group}",),
            since=since,
        )
