"""Sample in, notifications out.

The pipeline is told three things only: a poll (`feed`), that time has passed (`advance`), and what people do (`act`).
What it gives depends on nothing else, so that telling it the same again gives the same again. Time is an argument;
there is no asyncio, no I/O and no logging here.

    poll ─▶ series ─▶ watch ────▶ Finding ─┐
               └────▶ diagnosis ─▶ Finding ─┴▶ incidents ─▶ routing ─▶ Notification
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from sentinel.model import Incident, Notification, Poll, Recording, Sample, Severity, Told
from sentinel.pipeline.actions import Action, ActionError
from sentinel.pipeline.diagnosis import BY_NAME as CAUSES
from sentinel.pipeline.engine import Engine
from sentinel.pipeline.known_leaks import with_known_leak
from sentinel.pipeline.publishing import Published
from sentinel.pipeline.settings import (
    Destination,
    IncidentSettings,
    PipelineSettings,
    Route,
    Rule,
    default_rules,
)
from sentinel.pipeline.step import Step
from sentinel.pipeline.target import Target

__all__ = [
    "CAUSES",
    "Action",
    "ActionError",
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

SNAPSHOT_VERSION = "10"
"""Changes with the shape of what `snapshot` holds; another version is not read."""
TOGETHER = 8
"""Targets in one part of a snapshot: ten milliseconds of work, and names that they share are there once."""


class SnapshotError(Exception):
    """A snapshot does not fit; start cold."""


class Pipeline:
    """All targets of one daemon.

    >>> pipeline = Pipeline(PipelineSettings())
    >>> pipeline.feed(Poll("redis-a", 1764000000.0, ())).notifications
    ()
    """

    def __init__(self, settings: PipelineSettings) -> None:
        self._settings = settings
        self._targets: dict[str, Target] = {}
        self._engine = Engine(settings, self._targets)

    # What it is told

    def feed(self, poll: Poll) -> Step:
        """Take a poll. One that is older than the target's newest is dropped."""
        target = self._targets.get(poll.target)
        why = "" if target is None else target.outdated(poll)
        if target is None or why:
            target = self._targets[poll.target] = Target(poll.target, self._settings)
        if poll.time <= target.time:
            return Step()
        judged = target.feed(poll)
        known, port = self._settings.fingerprints, self._settings.ports.get(poll.target, "")
        findings = [with_known_leak(finding, known, port) for finding in judged.concluded]
        findings += [finding for finding in judged.firing if finding.severity > Severity.INFO]
        step = self._engine.take(poll.target, poll.time, findings, judged.sources)
        notes = ((why,) if why else ()) + step.notes
        return replace(step, findings=tuple(judged.transitions), notes=notes)

    def advance(self, now: float) -> Step:
        """Do what falls due by time alone: reminders, escalation steps, ends of silences, the digest."""
        return self._engine.advance(now)

    def act(self, action: Action) -> Step:
        """Take what somebody does.

        Raises:
            ActionError: it cannot be done; nothing was changed, and there is nothing to remember.
        """
        return self._engine.act(action)

    def next_deadline(self) -> float | None:
        """When `advance` has something to do next."""
        return self._engine.next_deadline()

    # What it knows

    def incidents(self) -> list[Incident]:
        """Open incidents, oldest first."""
        return self._engine.incidents()

    def recent(self) -> list[Incident]:
        """Incidents that were resolved a short while ago, so that a relapse would be another occurrence."""
        return self._engine.recent()

    def told(self) -> list[Told]:
        """What each destination was told last of open incidents."""
        return self._engine.told()

    def kept(self) -> dict[str, Action]:
        """Silences and deploys that hold, by id."""
        return self._engine.kept()

    def recording(self, incident: str) -> Recording | None:
        """What was recorded so far of an incident, by id, that is open or was a short while ago."""
        return self._engine.recording(incident)

    def published(self) -> list[tuple[Published, str, str]]:
        """Drafts and open incidents of status pages, oldest first, each with its title and text."""
        return self._engine.published()

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
        told: Iterable[Told] = (),
        kept: Mapping[str, Action] | None = None,
        public: Iterable[Notification] = (),
    ) -> None:
        """Take up where an earlier process left off. Only before the first feed.

        Args:
            snapshot: What `snapshot` gave; what it holds may be older than all the rest.
            incidents: Open ones, and those of `recent`.
            told: What `told` gave.
            kept: What `kept` gave.
            public: What each status page was told last of each of its components.

        Raises:
            SnapshotError: the snapshot is of another shape or of other settings; everything else is restored.
        """
        self._engine.restore(list(incidents), told, kept or {})
        try:
            if snapshot is not None:
                self._take_up(snapshot)
        finally:
            self._engine.catch_up(public)

    def snapshot(self) -> bytes:
        """What the detectors and causes have learnt, and how far open incidents are on their way to a change.

        What has changed is not part of it: the store has that.
        """
        return b"".join(self.snapshot_parts())

    def snapshot_parts(self) -> Iterator[bytes]:
        """The same, some targets at a time, so that polls can be fed between the parts."""
        yield _part((SNAPSHOT_VERSION, self._shape(), self._engine.progress()))
        names = iter(list(self._targets))
        while some := list(islice(names, TOGETHER)):
            yield _part({name: self._targets[name] for name in some if name in self._targets})

    def forget(self, targets: Iterable[str]) -> None:
        """Drop what is known of targets that are no longer watched."""
        for name in targets:
            self._targets.pop(name, None)

    def _take_up(self, snapshot: bytes) -> None:
        parts, targets = _parts(snapshot), dict[str, Target]()
        try:
            version, shape, progress = next(parts)
            for part in parts if version == SNAPSHOT_VERSION else ():
                targets.update(part)
        except (
            pickle.UnpicklingError,
            AttributeError,
            EOFError,
            ImportError,
            IndexError,
            StopIteration,
            TypeError,
            ValueError,
        ) as error:
            raise SnapshotError(f"the snapshot cannot be read ({type(error).__name__}); starting cold") from error
        if version != SNAPSHOT_VERSION:
            raise SnapshotError("the snapshot is of another version; starting cold")
        self._engine.go_on(progress)
        if shape != self._shape():
            raise SnapshotError("the snapshot is of other settings; starting cold")
        for target in targets.values():
            target.taken_up()
        self._targets.update(targets)

    def _shape(self) -> str:
        """What a snapshot must agree with: the rules and causes as configured."""
        return repr((self._settings.rules, sorted(self._settings.causes.items(), key=lambda item: item[0])))


def _part(content: object) -> bytes:
    pickled = pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)
    return len(pickled).to_bytes(8, "big") + pickled


def _parts(snapshot: bytes) -> Iterator[Any]:
    start = 0
    while start < len(snapshot):
        end = start + 8 + int.from_bytes(snapshot[start : start + 8], "big")
        yield pickle.loads(snapshot[start + 8 : end])
        start = end
