"""Lost workers: some of a fleet stopped beating without saying goodbye.

A worker is late when it has not beaten for as long as its job system itself needs to call one dead, where the system
states that (`heartbeat_dead_after_seconds`), else for `periods` of the fleet's own learned period. A worker that
signs off ends its series and is not counted; one that runs out stays and grows.

A beat is seen to *arrive*: the age falls. Once one was seen, the time since then is what counts, and not the age that
the worker's own clock makes of it, so a host whose clock is wrong is not lost as long as it beats.

What imitates it, and what separates them:

* rolling restarts, scale-ins and a fleet scaled to nothing: they sign off;
* an outage or restart of the server: nobody could beat, so nothing is said until everyone has had time to;
* a slow fleet: the period is learnt from its beats, not set;
* a host with a wrong clock: its beats arrive. It is told as information.

Source: reference/incidents.md 1.3 E7-E10; Hayashibara et al. (2004) for judging by the fleet's own rhythm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Culprit, Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import clock_time, count, row, span

__all__ = ["LostWorkers"]

QUANTILE = 0.9
STEP = 0.1
"""The tracked quantile moves up by STEP x QUANTILE of itself and down by STEP x (1 - QUANTILE), which balances where
one interval in ten is longer."""
LONGEST = 4.0
"""Periods beyond which an interval is a pause and not a period."""


@dataclass(slots=True)
class _Worker:
    age: float
    beat: float | None = None
    """When a beat was last seen to arrive."""

    def silence(self, now: float) -> float:
        """Seconds without a sign of life."""
        return self.age if self.beat is None else now - self.beat


@dataclass(slots=True)
class _Fleet:
    period: float | None = None
    """Seconds between beats: 90 % quantile, tracked."""
    workers: dict[str, _Worker] = field(default_factory=dict)
    read: float = 0.0


@dataclass
class LostWorkers:
    """A part of a worker group's heartbeats is late."""

    name: ClassVar[str] = "lost_workers"
    needs: ClassVar[tuple[str, ...]] = ("heartbeat_age_seconds",)
    windows: ClassVar[tuple[str, ...]] = ()

    periods: float = 3.0
    """Beats that must be missing, where the job system does not say itself when a worker is dead."""
    warning_part: float = 0.1
    """Part of the fleet, 0-1; a fleet of up to ten is warned of for its first lost worker."""
    critical_part: float = 0.5

    _fleets: dict[str, _Fleet] = field(default_factory=dict, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires once a worker group while enough of its workers are late."""
        ages: dict[str, dict[str, float]] = {}
        for track in view.each("heartbeat_age_seconds"):
            ages.setdefault(track.label("group"), {})[track.label("worker")] = track.raw
        stated = {track.label("group"): track.raw for track in view.each("heartbeat_dead_after_seconds")}
        for group, now_ages in ages.items():
            fleet = self._fleets.setdefault(group, _Fleet())
            _read(fleet, now_ages, view.now)
            limit = stated.get(group) or (self.periods * fleet.period if fleet.period else None)
            if limit is None or view.now - view.steady_since < limit:
                continue
            silences = {name: worker.silence(view.now) for name, worker in fleet.workers.items()}
            late = sorted(name for name, silence in silences.items() if silence > limit)
            if late and len(late) >= self.warning_part * len(silences):
                yield self._finding(view, group, fleet, silences, late, limit)
        for group in self._fleets.keys() - ages.keys():
            self._fleets[group].workers.clear()

    def _finding(
        self, view: View, group: str, fleet: _Fleet, silences: dict[str, float], late: list[str], limit: Seconds
    ) -> Finding:
        part = len(late) / len(silences)
        longest = max(silences[worker] for worker in late)
        shown = row(late)
        since = view.now - longest
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.CRITICAL if part >= self.critical_part else Severity.WARNING,
            time=view.now,
            firing=True,
            summary=(
                f"{len(late)} of {len(silences)} workers of {group} have not beaten for over {span(limit)}: {shown}. "
                f"The first stopped at {clock_time(since)}."
            ),
            subject=group,
            value=part,
            threshold=self.warning_part,
            evidence=(
                Evidence(
                    "workers late",
                    float(len(late)),
                    "",
                    f"below {count(max(1.0, self.warning_part * len(silences)))} of {len(silences)}",
                ),
                Evidence("longest silence", longest, "s", f"below {span(limit)}"),
                Evidence("usual time between beats", fleet.period or 0.0, "s"),
            ),
            culprit=Culprit(shown, None, f"{len(late)} of {len(silences)} workers of {group}"),
            first_action=f"Look at the hosts of {shown}: killed, out of memory, or hanging? Restart them.",
            ruled_out=(
                "not a restart or scale-in: these sign off",
                "not an outage of Redis: the others beat" if part < 1 else "not an outage of Redis: it answers",
            ),
            affected=(f"workers {group}",),
            since=since,
        )


def _read(fleet: _Fleet, ages: dict[str, float], now: float) -> None:
    """Take a reading. A beat arrived where the age is less than the time since the last reading makes it."""
    elapsed = now - fleet.read
    for name, age in ages.items():
        worker = fleet.workers.get(name)
        if worker is None:
            fleet.workers[name] = _Worker(age)
            continue
        if age < worker.age + elapsed / 2:
            _learn(fleet, worker.age + elapsed - age)
            worker.beat = now - min(max(0.0, age), elapsed)
        worker.age = age
    for name in fleet.workers.keys() - ages.keys():
        del fleet.workers[name]
    fleet.read = now


def _learn(fleet: _Fleet, between: Seconds) -> None:
    if fleet.period is None:
        fleet.period = between
    elif between <= LONGEST * fleet.period:
        fleet.period *= 1 + STEP * QUANTILE if between > fleet.period else 1 - STEP * (1 - QUANTILE)
