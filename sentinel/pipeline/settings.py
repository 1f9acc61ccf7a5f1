"""What the pipeline can be told to do differently: rules, causes, incidents, routes.

Plain frozen values. Knows nothing of YAML, files or secrets; `sentinel.config` makes them from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from detectors.base import Detector
from detectors.ewma import Ewma
from sentinel.model import Reason, Seconds, Severity

__all__ = ["Destination", "IncidentSettings", "PipelineSettings", "Route", "Rule", "default_rules"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One detector on every series of a metric, and when its score counts."""

    name: str
    metric: str
    """A metric of `sentinel.samplers`; a counter (`…_total`) is watched as its rate per second."""
    detector: Callable[[], Detector]
    """Makes a fresh detector for each series; in YAML `detector: {kind: ewma, half_life: 10m}`."""
    threshold: float = 1.0
    """On the score. What a score means is said by the detector."""
    match: Mapping[str, str] = field(default_factory=dict)
    """Label values that a series must have."""
    for_: Seconds = 60.0
    """How long the score must stay at or above the threshold; in YAML `for`."""
    keep_firing_for: Seconds = 300.0
    """How long it must stay below before the finding is resolved."""
    severity: Severity = Severity.INFO
    """Info by default: an anomaly that no cause explains is never a page."""
    learn: Literal["always", "ordinary"] = "ordinary"
    """`ordinary`: values that score at or above the threshold are not learnt, until `adopt_after`."""
    adopt_after: Seconds = 86400.0
    """A level that has stayed anomalous for this long is learnt as the new normal."""


@dataclass(frozen=True, slots=True)
class IncidentSettings:
    """How findings become incidents."""

    keep_firing_for: Seconds = 300.0
    """How long a cause must stay quiet, in fresh data, before its incident is resolved."""
    update_interval: Seconds = 600.0
    """At most one update a destination in this time, while nothing escalates."""
    history: Seconds = 3600.0
    """A relapse within this time after resolution counts as another occurrence."""


@dataclass(frozen=True, slots=True)
class Destination:
    """What routing needs to know of a notifier."""

    receiver: str
    name: str
    """`receiver/kind`, unique."""
    min_severity: Severity
    reasons: frozenset[Reason]


@dataclass(frozen=True, slots=True)
class Route:
    """Which incidents a receiver hears of. Empty tuples match all."""

    receiver: str
    targets: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    min_severity: Severity = Severity.INFO
    """On top of what each destination asks for."""
    repeat_interval: Seconds = 14400.0
    """A reminder while the incident is open; 0 for none."""


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """Everything that shapes what comes out for what goes in."""

    instance_id: str = "sentinel"
    """Part of every dedup key; configured, so that a container that moves keeps its keys."""
    rules: tuple[Rule, ...] = ()
    causes: Mapping[str, Any] = field(default_factory=dict)
    """Cause name to an instance that holds its settings; a cause that is left out is off."""
    incidents: IncidentSettings = IncidentSettings()
    routes: tuple[Route, ...] = ()
    destinations: tuple[Destination, ...] = ()


def default_rules() -> tuple[Rule, ...]:
    """Rules that run unless others are given: information beside the causes, on what drifts and has no daily wall."""
    watched = {
        "unusual-latency": "redis_ping_seconds",
        "unusual-churn": "redis_connections_received_total",
        "unusual-errors": "redis_errors_total",
    }
    return tuple(
        Rule(name, metric, partial(Ewma, half_life=3600.0), threshold=8.0, for_=120.0)
        for name, metric in watched.items()
    )
