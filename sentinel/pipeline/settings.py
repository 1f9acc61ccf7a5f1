"""What the pipeline can be told to do differently: rules, causes, incidents, routes.

Plain frozen values. Knows nothing of YAML, files or secrets; `sentinel.config` makes them from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from detectors.base import Detector
from detectors.default import Default
from detectors.vectors import RsHash
from sentinel.fingerprints import Fingerprint
from sentinel.model import Reason, Seconds, Severity
from sentinel.pipeline.public_rules import PublicPage
from sentinel.pipeline.schedule import check_schedule

__all__ = [
    "DeploySettings",
    "Destination",
    "DigestSettings",
    "EscalationStep",
    "IncidentSettings",
    "Inhibition",
    "Level",
    "MaintenanceWindow",
    "PipelineSettings",
    "Route",
    "Rule",
    "default_rules",
]


_THRESHOLD = 1.0
_FOR = 60.0
_ALARM = 0.5
"""Calibrated score of an alarm."""
_WEEK = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Level:
    """A severity of a rule beyond its first."""

    severity: Severity
    threshold: float
    """On the score."""
    exit: float | None = None
    """The score must fall below this before the level is left; None for the threshold itself."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One detector on every series of a metric, and when its score counts."""

    name: str
    metric: str
    """A metric of `sentinel.samplers`; a counter (`…_total`) is watched as its rate per second."""
    detector: Callable[[], Detector]
    """Makes a fresh detector for each series; in YAML `detector: {kind: ewma, half_life: 10m}`."""
    threshold: float = _THRESHOLD
    """On the score. What a score means is said by the detector."""
    false_alarms: Seconds | None = None
    """In place of a threshold: the time between two alarms on a quiet series; in YAML also `1/week`. The detector's
    scores are calibrated, 0.5 is the alarm, and each alarm is one value: `for` is 0, and all values are learnt."""
    exit: float | None = None
    """Once it fires, the score must fall below this to count as ordinary again; None for the threshold itself."""
    levels: tuple[Level, ...] = ()
    """Further severities, each with a threshold of its own."""
    beside: tuple[str, ...] = ()
    """Further metrics of the target, with the same labels or with none; `rs_hash` looks at all of them at once."""
    match: Mapping[str, str] = field(default_factory=dict)
    """Label values that a series must have."""
    for_: Seconds = _FOR
    """How long the score must stay at or above the threshold; in YAML `for`."""
    keep_firing_for: Seconds = 300.0
    """How long it must stay below before the finding is resolved."""
    severity: Severity = Severity.INFO
    """Info by default: an anomaly that no cause explains is never a page."""
    learn: Literal["always", "ordinary"] = "ordinary"
    """`ordinary`: values that score at or above the threshold are not learnt, until `adopt_after`."""
    adopt_after: Seconds = 86400.0
    """A level that has stayed anomalous for this long is learnt as the new normal."""

    def __post_init__(self) -> None:
        if self.false_alarms is not None:
            self._keep_budget()
        for threshold, end in ((self.threshold, self.exit), *((level.threshold, level.exit) for level in self.levels)):
            if end is not None and end > threshold:
                raise ValueError(f"exit must not be above its threshold {threshold:g}, got {end:g}")

        several = getattr(self.detector, "func", self.detector) is RsHash
        if several and not self.beside:
            raise ValueError("beside must name further metrics: rs_hash looks at several at once")
        if self.beside and not several:
            raise ValueError("beside must be left out: of all detectors only rs_hash looks at several metrics at once")
        if len({self.metric, *self.beside}) <= len(self.beside):
            raise ValueError(f"beside must name other metrics than {self.metric}, each once")

    def _keep_budget(self) -> None:
        if self.threshold not in (_THRESHOLD, _ALARM):
            raise ValueError(f"threshold must be left out where false_alarms is given, got {self.threshold:g}")
        if self.for_ not in (_FOR, 0.0):
            raise ValueError(f"for must be left out where false_alarms is given, got {self.for_:g} s")
        for name, value in (("threshold", _ALARM), ("for_", 0.0), ("learn", "always")):
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class IncidentSettings:
    """How findings become incidents."""

    keep_firing_for: Seconds = 300.0
    """How long a cause must stay quiet, in fresh data, before its incident is resolved, and how long a lower severity
    must last before it counts."""
    update_interval: Seconds = 600.0
    """At most one update a destination in this time, while nothing escalates."""
    history: Seconds = 3600.0
    """A relapse within this time after resolution counts as another occurrence."""
    flapping_after: int = 3
    """Relapses after which it is flapping: told so once, and kept open until quiet for `history`; 0 for never."""
    startup_grace: Seconds = 60.0
    """For this long after a target is first seen, with nothing learnt of it, only what is critical is told."""
    no_data: Literal["keep", "alert", "ok"] = "keep"
    """What becomes of an open incident whose readings are missing: it stays, it stays and that is told, it is over."""
    no_data_for: Seconds = 900.0
    """How long they must be missing for that."""

    def __post_init__(self) -> None:
        if self.flapping_after < 0:
            raise ValueError(f"flapping_after must be 0 or more, got {self.flapping_after}")


@dataclass(frozen=True, slots=True)
class Destination:
    """What routing needs to know of a notifier."""

    receiver: str
    name: str
    """`receiver/kind`, unique."""
    min_severity: Severity
    reasons: frozenset[Reason]
    pages: bool = False
    """Whether it wakes people."""
    groups: bool = False
    """Whether it is read by people, who want one message for what belongs together."""
    changes: bool = False
    """Whether it is told of each deploy that is marked."""


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """Who else is told if nobody acknowledges."""

    after: Seconds
    """Since the route's own receiver was told."""
    to: str
    """A receiver; its destinations' `min_severity` does not count here."""


@dataclass(frozen=True, slots=True)
class Route:
    """Which incidents a receiver hears of. What is empty matches all; a receiver hears by the first that matches."""

    receiver: str
    targets: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    """Of causes or rules. A cause that is named here may page even if it is one of `never_page`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that the target must have."""
    min_severity: Severity = Severity.INFO
    """On top of what each destination asks for."""
    repeat_interval: Seconds = 14400.0
    """A reminder while the incident is open, not acknowledged, and told to no end: after this time, then twice, then
    always four times as long; 0 for none."""
    group_wait: Seconds = 10.0
    """How long people's destinations wait for more of the same target before they are told; never what is critical."""
    group_interval: Seconds = 300.0
    """Between two messages about what joined later."""
    group_within: Seconds = 1800.0
    """What opens later than this after the incident that was told first is told by itself."""
    escalate: tuple[EscalationStep, ...] = ()
    """Who is told later, unless somebody acknowledges."""
    shadow: bool = False
    """Tell nobody; a daily digest says what would have been told."""


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While one of some causes is open on a target, others on it are not told: they follow from it."""

    by: tuple[str, ...]
    causes: tuple[str, ...] = ()
    """Which others; none for all."""


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """Times at which work is expected: what opens then is told only if it is still open at the end.

    Raises:
        ValueError: the schedule or the time zone cannot be meant.
    """

    name: str
    start: str
    """When it begins, as in crontab: minute, hour, day of month, month, day of week."""
    lasts: Seconds
    targets: tuple[str, ...] = ()
    """Names or patterns (`redis-*`); none for all."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that the target must have."""
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        check_schedule("start", self.start, self.timezone)
        if not self.lasts > 0:
            raise ValueError(f"lasts must be above 0 seconds, got {self.lasts:g}")


@dataclass(frozen=True, slots=True)
class DeploySettings:
    """What a marked deploy explains, and for how long."""

    lasts: Seconds = 600.0
    """Unless the marker says otherwise."""
    explains: tuple[str, ...] = ("churn", "flood", "leak", "lost_workers", "latency")
    """Causes that are held back while it lasts, unless their wall is nearer than its end. Refusals never are."""


@dataclass(frozen=True, slots=True)
class DigestSettings:
    """The daily word on what shadow mode kept back."""

    at: str = "0 9 * * *"
    """When, as in crontab."""
    timezone: str = "UTC"
    to: tuple[str, ...] = ()
    """Receivers; none for all. Destinations that wake people are left out."""

    def __post_init__(self) -> None:
        check_schedule("at", self.at, self.timezone)


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
    targets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Labels of every target that is watched; empty if that is not known. What is open on another is over."""
    inhibitions: tuple[Inhibition, ...] = (Inhibition(("unreachable", "frozen")),)
    never_page: tuple[str, ...] = ("churn", "latency")
    """Causes that wake nobody, however bad, unless a route names them."""
    maintenance: tuple[MaintenanceWindow, ...] = ()
    deploys: DeploySettings = DeploySettings()
    shadow: bool = False
    """Tell nobody of anything; a daily digest says what would have been told."""
    fingerprints: tuple[Fingerprint, ...] = ()
    """Leaks that others met, with which a leak's culprit is compared."""
    ports: Mapping[str, str] = field(default_factory=dict)
    """Of every target, as some leaks are known by it."""
    digest: DigestSettings = DigestSettings()
    pages: tuple[PublicPage, ...] = ()
    """Status pages, and what customers may read on them."""


def default_rules() -> tuple[Rule, ...]:
    """Rules that run unless others are given: information beside the causes, about one a week and series."""
    watched = {
        "unusual-latency": "redis_ping_seconds",
        "unusual-churn": "redis_connections_received_total",
        "unusual-arrivals": "queue_enqueued_total",
        "unusual-errors": "redis_errors_total",
        "unusual-failures": "queue_failed_total",
    }
    return tuple(Rule(name, metric, partial(Default), false_alarms=_WEEK) for name, metric in watched.items())
