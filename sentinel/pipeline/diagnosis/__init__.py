"""What is going wrong with a target: one file a cause, judged together, once a poll.

Knows the causes, their order, and whether a target is readable and steady. The order matters: a cause sees in
`view.found` what was found before it, so that the one that explains most and names who comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sentinel.model import Finding, Poll
from sentinel.pipeline.diagnosis.backlog import Backlog
from sentinel.pipeline.diagnosis.base import Cause, View
from sentinel.pipeline.diagnosis.change import Change
from sentinel.pipeline.diagnosis.churn import Churn
from sentinel.pipeline.diagnosis.client_buffers import ClientBuffers
from sentinel.pipeline.diagnosis.clock_skew import ClockSkew
from sentinel.pipeline.diagnosis.exhaustion import Exhaustion
from sentinel.pipeline.diagnosis.failing_jobs import FailingJobs
from sentinel.pipeline.diagnosis.failover import Failover
from sentinel.pipeline.diagnosis.flood import Flood
from sentinel.pipeline.diagnosis.frozen import Frozen
from sentinel.pipeline.diagnosis.idle_spin import IdleSpin
from sentinel.pipeline.diagnosis.latency import Latency
from sentinel.pipeline.diagnosis.leak import Leak
from sentinel.pipeline.diagnosis.lost_workers import LostWorkers
from sentinel.pipeline.diagnosis.masked_leak import MaskedLeak
from sentinel.pipeline.diagnosis.memory import Memory
from sentinel.pipeline.diagnosis.missed_heartbeats import MissedHeartbeats
from sentinel.pipeline.diagnosis.public_update import PublicUpdate
from sentinel.pipeline.diagnosis.refused import Refused
from sentinel.pipeline.diagnosis.stall import Stall
from sentinel.pipeline.diagnosis.undelivered import Undelivered
from sentinel.pipeline.diagnosis.unreachable import Unreachable
from sentinel.pipeline.diagnosis.unsaved import Unsaved
from sentinel.pipeline.series import SeriesStore

__all__ = ["BY_NAME", "Cause", "Diagnosis", "View", "windows"]

BY_NAME: dict[str, type[Any]] = {
    cause.name: cause
    for cause in (
        Unreachable,
        Frozen,
        MaskedLeak,
        Leak,
        Flood,
        Exhaustion,
        Refused,
        Failover,
        Memory,
        ClientBuffers,
        Churn,
        Latency,
        IdleSpin,
        Stall,
        Backlog,
        FailingJobs,
        LostWorkers,
        ClockSkew,
        MissedHeartbeats,
        Undelivered,
        Unsaved,
        PublicUpdate,
        Change,
    )
}
"""The causes, in the order in which they are judged."""


def windows(causes: Mapping[str, Cause]) -> frozenset[str]:
    """Metrics of which the given causes want more than the newest value."""
    return frozenset(metric for cause in causes.values() for metric in cause.windows)


def _fresh(cause: Any) -> Any:
    """A cause of the same settings that remembers nothing."""
    return replace(cause)


class Diagnosis:
    """The causes of one target, each with its memory.

    Args:
        target: Its name.
        causes: Settings by cause name; each is made anew, so that targets share settings and no memory.
    """

    def __init__(self, target: str, causes: Mapping[str, Cause]) -> None:
        self._target = target
        self._causes = [_fresh(causes[name]) for name in BY_NAME if name in causes]
        self._blind_since: float | None = None
        self._blind_reason = ""
        self._steady_since: float | None = None

    def judge(self, poll: Poll, store: SeriesStore) -> tuple[list[Finding], set[str]]:
        """Findings that fire now, and the causes that could be judged at all with what this poll brought."""
        self._look(poll, store)
        view = View(
            self._target, poll.time, store, self._steady_since or poll.time, self._blind_since, self._blind_reason
        )
        findings: list[Finding] = []
        judged = set()
        for cause in self._causes:
            for metric in cause.needs:
                if store.newest(metric) != poll.time:
                    break
            else:
                judged.add(cause.name)
                found = list(cause.judge(view))
                if found:
                    view.found[cause.name] = found
                    findings += found
        return findings, judged

    def _look(self, poll: Poll, store: SeriesStore) -> None:
        """Whether the target could be read in this poll, and since when it has been readable without a restart."""
        up = store.one("sampler_up", (("sampler", "info"),))
        if up is not None and up.time == poll.time and up.raw == 0:
            self._blind_since = poll.time if self._blind_since is None else self._blind_since
            failed = (track for track in store.each("sampler_failed") if track.label("sampler") == "info")
            self._blind_reason = next((t.label("reason") for t in failed if t.time == poll.time), self._blind_reason)
            self._steady_since = None
            return
        restarts = store.one("redis_restarts_total")
        restarted = restarts is not None and restarts.time == poll.time and bool(restarts.value)
        if self._steady_since is None or self._blind_since is not None or restarted:
            self._steady_since = poll.time
        self._blind_since, self._blind_reason = None, ""
