"""What one poll says of each queue, gathered from its series.

Knows the metrics that the queue samplers give (listed in `sentinel.samplers.queues.base`), most of which a job system
may not offer; what it does not offer is None, never 0. Judges nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from sentinel.model import Labels
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import BY_KEY, queue_called
from sentinel.pipeline.series import Track

__all__ = ["METRICS", "QueueReading", "queue_name", "queue_readings"]

METRICS = (
    "queue_eligible",
    "queue_oldest_age_seconds",
    "queue_in_flight",
    "queue_completed_total",
    "queue_failed_total",
    "queue_consumers",
    "queue_paused",
)
"""What is looked up beside `queue_depth`, without which there is no queue."""


class QueueReading(NamedTuple):
    """One queue at one time. Depths are jobs, rates are per second, the age is in seconds."""

    labels: Labels
    name: str
    """As people are told: `encode`, `celery:default`."""
    depth: float
    eligible: float | None
    oldest: float | None
    in_flight: float | None
    completed: float | None
    """Rate since the reading before, of what was done well or not."""
    failed: float | None
    """Rate since the reading before."""
    consumers: float | None
    paused: float | None

    @property
    def worker_system(self) -> str:
        """The label `system` of its workers' heartbeats; empty for both where they are named in YAML."""
        system = dict(self.labels).get("system", "")
        return "" if system in BY_KEY else system

    @property
    def waiting(self) -> float:
        """Jobs that could be taken now; all of them, where the system does not tell future ones apart."""
        return self.depth if self.eligible is None else self.eligible

    @property
    def series(self) -> str:
        """The metric in which `waiting` is found."""
        return "queue_depth" if self.eligible is None else "queue_eligible"


def queue_name(track: Track) -> str:
    """Name of a series' queue, as people are told."""
    return queue_called(track.label("queue"), track.label("system"))


def queue_readings(view: View) -> tuple[QueueReading, ...]:
    """Every queue of this poll; ask for it by `view.once`."""
    return tuple(_reading(view, track) for track in view.each("queue_depth"))


def _reading(view: View, track: Track) -> QueueReading:
    found = (view.value(metric, track.labels) for metric in METRICS)
    return QueueReading(track.labels, queue_name(track), track.raw, *found)
