"""Sample in, notifications out.

The pipeline is told two things only, a poll (`feed`) and that time has passed (`advance`); what it gives depends on
nothing else, so that telling it the same again gives the same again. Time is an argument; there is no asyncio, no
I/O and no logging here.

    poll ─▶ series ─▶ watch ────▶ Finding ─┐
               └────▶ diagnosis ─▶ Finding ─┴▶ incidents ─▶ routing ─▶ Notification
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sentinel.model import Finding, Incident, Notification, Poll, Sample, Severity, Told
from sentinel.pipeline.diagnosis import BY_NAME as CAUSES
from sentinel.pipeline.diagnosis import Diagnosis, windows
from sentinel.pipeline.incidents import Change, Incidents
from sentinel.pipeline.routing import Routing
from sentinel.pipeline.series import SeriesStore, Track
from sentinel.pipeline.settings import (
    Destination,
    IncidentSettings,
    PipelineSettings,
    Route,
    Rule,
    default_rules,
)
from sentinel.pipeline.watch import Watch

__all__ = [
    "CAUSES",
    "Destination",
    "IncidentSettings",
    "Pipeline",
    "PipelineSettings",
    "Route",
    "Rule",
    "SnapshotError",
    "Step",
    "default_rules",
]

SNAPSHOT_VERSION = "2"
"""Changes with the shape of what `snapshot` holds; another version is not read."""

SAME_START = 30.0
"""Seconds by which two estimates of a server's start may differ: whole seconds of uptime, clocks that are adjusted."""


class SnapshotError(Exception):
    """A snapshot does not fit; start cold."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one call changed: to be committed together, in this order."""

    incidents: tuple[Incident, ...] = ()
    notifications: tuple[Notification, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Rules that began or ceased to fire: information for logs and pages, not for a pager."""
    notes: tuple[str, ...] = ()
    """What an operator may want to know of what was learnt, for the log."""


@dataclass(slots=True)
class _Target:
    store: SeriesStore
    diagnosis: Diagnosis
    watches: dict[str, list[tuple[Rule, dict[object, Watch]]]]
    rule_findings: dict[tuple[str, str], Finding] = field(default_factory=dict)
    time: float = float("-inf")
    left: tuple[float, float | None] | None = None
    """Time of the snapshot and start of the server then, until it is known whether the same one answers now."""


class Pipeline:
    """All targets of one daemon.

    >>> pipeline = Pipeline(PipelineSettings())
    >>> pipeline.feed(Poll("redis-a", 1764000000.0, ())).notifications
    ()
    """

    def __init__(self, settings: PipelineSettings) -> None:
        self._settings = settings
        self._windows = windows(settings.causes)
        self._targets: dict[str, _Target] = {}
        self._incidents = Incidents(settings.instance_id, settings.incidents)
        self._routing = Routing(settings.routes, settings.destinations)

    def feed(self, poll: Poll) -> Step:
        """Take a poll. One that is older than the target's newest is dropped."""
        target = self._targets.get(poll.target)
        why = "" if target is None else _outdated(target, poll)
        if target is None or why:
            target = self._targets[poll.target] = self._make(poll.target)
        if poll.time <= target.time:
            return Step()
        target.time = poll.time
        target.store.feed(poll)
        transitions = self._watch(target, poll)
        findings, judged = target.diagnosis.judge(poll, target.store)
        findings += [f for f in target.rule_findings.values() if f.severity > Severity.INFO]
        judged.update(rule.name for rule in self._settings.rules)
        changes = self._incidents.take(poll.target, poll.time, findings, judged)
        return self._step(changes, poll.time, transitions, why)

    def advance(self, now: float) -> Step:
        """Do what falls due by time alone: reminders."""
        return Step(notifications=tuple(self._routing.reminders(now)))

    def next_deadline(self) -> float | None:
        """When `advance` has something to do next."""
        return self._routing.next_reminder()

    def incidents(self) -> list[Incident]:
        """Open incidents, oldest first."""
        return self._incidents.open()

    def told(self) -> dict[tuple[str, str], Told]:
        """What each destination was told last, by incident id and destination."""
        return self._routing.told()

    def latest(self) -> Iterator[tuple[str, Sample]]:
        """The newest sample of every series that has not ended, by target."""
        for name, target in self._targets.items():
            for series, track in target.store.samples():
                yield name, Sample(series, track.time, track.raw)

    def late_samples(self) -> Iterator[tuple[str, int]]:
        """Samples dropped for coming late, by target."""
        return ((name, target.store.late) for name, target in self._targets.items())

    def restore(
        self,
        *,
        snapshot: bytes | None = None,
        incidents: Iterable[Incident] = (),
        told: Mapping[tuple[str, str], Told] | None = None,
    ) -> None:
        """Take up where an earlier process left off. Only before the first feed.

        Raises:
            SnapshotError: the snapshot is of another shape or of other settings; everything else is restored.
        """
        known = list(incidents)
        self._incidents.restore(known)
        self._routing.restore(told or {}, known)
        if snapshot is not None:
            self._targets = self._unpickle(snapshot)

    def snapshot(self) -> bytes:
        """What the detectors and causes have learnt. Incidents are not part of it: the store has them."""
        return pickle.dumps((SNAPSHOT_VERSION, self._shape(), self._targets), protocol=pickle.HIGHEST_PROTOCOL)

    def forget(self, targets: Iterable[str]) -> None:
        """Drop what is known of targets that are no longer watched."""
        for name in targets:
            self._targets.pop(name, None)

    def _unpickle(self, snapshot: bytes) -> dict[str, _Target]:
        try:
            version, shape, targets = pickle.loads(snapshot)
        except (
            pickle.UnpicklingError,
            AttributeError,
            EOFError,
            ImportError,
            IndexError,
            TypeError,
            ValueError,
        ) as error:
            raise SnapshotError(f"the snapshot cannot be read ({type(error).__name__}); starting cold") from error
        if version != SNAPSHOT_VERSION or shape != self._shape():
            raise SnapshotError("the snapshot is of other settings or of another version; starting cold")
        found: dict[str, _Target] = targets
        for target in found.values():
            target.left = target.time, _started(target.store)
        return found

    def _shape(self) -> str:
        """What a snapshot must agree with: the rules and causes as configured."""
        return repr((self._settings.rules, sorted(self._settings.causes.items(), key=lambda item: item[0])))

    def _make(self, name: str) -> _Target:
        watches: dict[str, list[tuple[Rule, dict[object, Watch]]]] = {}
        for rule in self._settings.rules:
            watches.setdefault(rule.metric, []).append((rule, {}))
        return _Target(SeriesStore(self._windows), Diagnosis(name, self._settings.causes), watches)

    def _watch(self, target: _Target, poll: Poll) -> list[Finding]:
        if not target.watches:
            return []
        transitions = []
        for (metric, labels), _, _, _ in poll.samples:
            for rule, watches in target.watches.get(metric, ()):
                track = target.store.one(metric, labels)
                if track is None or track.time != poll.time or track.value is None or not _matches(rule, track):
                    continue
                watch = watches.get(labels)
                if watch is None:
                    watch = watches[labels] = Watch(rule, poll.target, labels)
                finding = watch.feed(poll.time, track.value)
                if finding is not None:
                    transitions.append(finding)
                    self._note(target, finding)
        return transitions

    @staticmethod
    def _note(target: _Target, finding: Finding) -> None:
        key = (finding.source, finding.subject)
        if finding.firing:
            target.rule_findings[key] = finding
        else:
            target.rule_findings.pop(key, None)

    def _step(self, changes: list[Change], now: float, transitions: list[Finding], note: str) -> Step:
        notifications = tuple(n for change in changes for n in self._routing.take(change, now))
        incidents = tuple(change.incident for change in changes)
        return Step(incidents, notifications, tuple(transitions), (note,) if note else ())


def _started(store: SeriesStore) -> float | None:
    """When the server was started, by its last word on it."""
    uptime = store.one("redis_uptime_seconds")
    return None if uptime is None else uptime.time - uptime.raw


def _outdated(target: _Target, poll: Poll) -> str:
    """Why what a snapshot holds of a target does not fit the server that answers now; empty if it does."""
    if target.left is None:
        return ""
    saved, before = target.left
    if poll.time <= saved:
        return f"{poll.target}: the snapshot is of a time yet to come; the clock was set back"
    started = next((poll.time - s.value for s in poll.samples if s.series.metric == "redis_uptime_seconds"), None)
    if started is None:
        return ""
    target.left = None
    if before is None or abs(started - before) <= SAME_START:
        return ""
    return f"{poll.target}: its server was restarted or replaced since the snapshot"


def _matches(rule: Rule, track: Track) -> bool:
    return all(track.label(name) == value for name, value in rule.match.items())
