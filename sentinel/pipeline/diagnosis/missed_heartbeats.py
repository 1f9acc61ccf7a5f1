"""Missed heartbeats: a job that tells of itself over HTTP is late, failed, or has been running for too long.

What imitates it, and what separates them:

* a job that starts late, or takes a little longer: its grace;
* a job without an agreed period that beats irregularly: its own gaps are learnt, and so is their spread;
* a restart of Sentinel: what was heard before is kept; a job never heard of counts from when it was first known.

Source: healthchecks.io for period, grace and the three pings; Hayashibara et al. (2004) where no period is agreed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from detectors.arrivals import PhiAccrual
from sentinel.model import Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import clock_time, span
from sentinel.pipeline.series import Track

__all__ = ["MissedHeartbeats"]


@dataclass
class MissedHeartbeats:
    """A heartbeat that is pushed did not come as agreed, or told of a failure."""

    name: ClassVar[str] = "missed_heartbeats"
    needs: ClassVar[tuple[str, ...]] = ("pushed_heartbeat_age_seconds",)
    windows: ClassVar[tuple[str, ...]] = ()

    phi: float = 8.0
    """Suspicion at which one without an agreed period is late: a chance of 1 in 100,000,000 by its own gaps."""

    _gaps: dict[Labels, PhiAccrual] = field(default_factory=dict, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires once a heartbeat until it succeeds again."""
        for track in view.each("pushed_heartbeat_age_seconds"):
            grace = view.value("pushed_heartbeat_grace_seconds", track.labels) or 0.0
            due = self._due(view, track)
            longest = view.value("pushed_heartbeat_longest_seconds", track.labels)
            running = view.value("pushed_heartbeat_running_seconds", track.labels)
            if view.value("pushed_heartbeat_failed", track.labels):
                yield self._failed(view, track)
            elif due is not None and track.raw > due + grace:
                yield self._late(view, track, due, grace)
            elif running is not None and longest and running > longest:
                yield self._slow(view, track, running, longest)

    def _due(self, view: View, track: Track) -> Seconds | None:
        """Seconds after the last success at which the next is due; None while that is not known."""
        agreed = view.value("pushed_heartbeat_period_seconds", track.labels)
        if agreed:
            return agreed
        gaps = self._gaps.setdefault(track.labels, PhiAccrual(least_deviation=10.0))
        gaps.learn(view.now, track.raw)
        suspicion = gaps.score(view.now, track.raw)
        return 0.0 if suspicion is not None and suspicion >= self.phi else None

    def _failed(self, view: View, track: Track) -> Finding:
        name = track.label("heartbeat")
        return self._finding(
            view,
            name,
            Severity.WARNING,
            f"{name} tells that it failed; its last success was {span(track.raw)} ago.",
            (Evidence("since the last success", track.raw, "s"),),
            f"Read the log of {name}'s last run.",
            ("not missing: it told of the failure itself",),
            view.now - track.raw,
        )

    def _late(self, view: View, track: Track, due: Seconds, grace: Seconds) -> Finding:
        name, late = track.label("heartbeat"), track.raw - due
        expected = f"every {span(due)}" if due else "by its own rhythm"
        again = late >= max(due, grace)
        return self._finding(
            view,
            name,
            Severity.CRITICAL if due and again else Severity.WARNING,
            f"{name} has not been heard of for {span(track.raw)}; it should come {expected}.",
            (
                Evidence(
                    "since the last success", track.raw, "s", f"up to {span(due + grace)}" if due else "its own gaps"
                ),
            ),
            f"Look whether {name} was started at all, and on which host; then at its log.",
            (f"not just slow: its grace of {span(grace)} is over",),
            view.now - late if due else view.now - track.raw,
        )

    def _slow(self, view: View, track: Track, running: Seconds, longest: Seconds) -> Finding:
        name = track.label("heartbeat")
        return self._finding(
            view,
            name,
            Severity.WARNING,
            f"{name} has been running for {span(running)}; it may take {span(longest)}.",
            (Evidence("running for", running, "s", f"up to {span(longest)}"),),
            f"Look what {name} waits for; it began at {clock_time(view.now - running)}.",
            ("not missing: it told of its start",),
            view.now - running,
        )

    def _finding(
        self,
        view: View,
        name: str,
        severity: Severity,
        summary: str,
        evidence: tuple[Evidence, ...],
        first_action: str,
        ruled_out: tuple[str, ...],
        since: float,
    ) -> Finding:
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=severity,
            time=view.now,
            firing=True,
            summary=summary,
            subject=name,
            value=evidence[0].value,
            evidence=evidence,
            first_action=first_action,
            ruled_out=ruled_out,
            since=since,
        )
