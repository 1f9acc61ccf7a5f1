"""Sample in, notifications out.

The pipeline is told three things only: a poll (`feed`), that time has passed (`advance`), and what people do (`act`).
What it gives depends on nothing else, so that telling it the same again gives the same again. Time is an argument;
there is no asyncio, no I/O and no logging here.

    poll ─▶ series ─▶ watch ────▶ Finding ─┐
               └────▶ diagnosis ─▶ Finding ─┴▶ incidents ─▶ routing ─▶ Notification
"""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sentinel.model import (
    Event,
    Finding,
    Incident,
    IncidentState,
    Notification,
    Poll,
    Reason,
    Recording,
    Sample,
    Severity,
    Told,
    ulid,
)
from sentinel.pipeline.actions import (
    Acknowledge,
    Action,
    ActionError,
    Approve,
    Deploy,
    Mark,
    Note,
    Resolve,
    Silence,
    Unsilence,
    Withdraw,
)
from sentinel.pipeline.deploys import Deploys
from sentinel.pipeline.diagnosis import BY_NAME as CAUSES
from sentinel.pipeline.diagnosis import Diagnosis, windows
from sentinel.pipeline.digest import Digest, Kept
from sentinel.pipeline.incidents import NO_DATA, Change, Incidents
from sentinel.pipeline.known_leaks import with_known_leak
from sentinel.pipeline.maintenance import Maintenance
from sentinel.pipeline.publishing import Published, Publishing, PublishingError
from sentinel.pipeline.routing import Call, Routing
from sentinel.pipeline.series import SeriesStore, Track
from sentinel.pipeline.settings import (
    Destination,
    IncidentSettings,
    PipelineSettings,
    Route,
    Rule,
    default_rules,
)
from sentinel.pipeline.silences import Silences
from sentinel.pipeline.timeline import Recorder
from sentinel.pipeline.watch import Watch

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

SNAPSHOT_VERSION = "4"
"""Changes with the shape of what `snapshot` holds; another version is not read."""

TRUSTED_FOR = 60.0
"""Seconds since a target's last poll within which what is open on it may count for a status page."""

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
    told: tuple[Told, ...] = ()
    """What destinations know from now on."""
    events: tuple[Event, ...] = ()
    """Lines for the history of incidents and for the audit trail."""
    recordings: tuple[Recording, ...] = ()
    """What the metrics of incidents did, where that should survive a restart."""
    kept: tuple[tuple[str, Action | None], ...] = ()
    """Silences and deploys that hold from now on, by id; None for those that hold no longer."""

    @property
    def lasting(self) -> bool:
        """Whether there is anything to commit."""
        return any((self.incidents, self.notifications, self.told, self.events, self.recordings, self.kept))


@dataclass(slots=True)
class _Target:
    store: SeriesStore
    diagnosis: Diagnosis
    watches: dict[str, list[tuple[Rule, dict[object, Watch]]]]
    time: float = float("-inf")
    began: float = float("inf")
    """Time of the first poll."""
    swept: float = float("-inf")
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
        self._silences = Silences(settings.targets)
        self._deploys = Deploys(settings.deploys)
        maintenance = Maintenance(settings.maintenance, settings.targets)
        self._routing = Routing(settings, self._silences, maintenance, self._deploys)
        self._recorder = Recorder(_looked_at(settings))
        self._digest = Digest(settings.instance_id, settings.digest)
        self._publishing = Publishing(settings.instance_id, settings.pages)
        self._retired = False

    # What it is told

    def feed(self, poll: Poll) -> Step:
        """Take a poll. One that is older than the target's newest is dropped."""
        target = self._targets.get(poll.target)
        why = "" if target is None else _outdated(target, poll)
        if target is None or why:
            target = self._targets[poll.target] = self._make(poll.target)
        if poll.time <= target.time:
            return Step()
        target.began, target.time = min(target.began, poll.time), poll.time
        target.store.feed(poll)
        transitions, firing, judged = self._watch(target, poll)
        concluded, causes = target.diagnosis.judge(poll, target.store)
        known, port = self._settings.fingerprints, self._settings.ports.get(poll.target, "")
        findings = [with_known_leak(finding, known, port) for finding in concluded]
        findings += [finding for finding in firing if finding.severity > Severity.INFO]
        changes = self._retire(poll.time)
        changes += self._incidents.take(poll.target, poll.time, findings, causes | judged)
        recordings = self._recorder.feed(poll.target, poll.time, target.store)
        step = self._follow(changes, poll.time, (poll.target,), recordings)
        notes = (why,) if why else ()
        public = self._publishing.take(self._incidents.open(), poll.time, partial(self._is_trusted, poll.time))
        return self._published(replace(step, findings=tuple(transitions), notes=notes), public)

    def advance(self, now: float) -> Step:
        """Do what falls due by time alone: reminders, escalation steps, ends of silences, the digest."""
        changes = self._retire(now) + self._incidents.overdue(now)
        step = self._follow(changes, now, self._incidents.targets())
        digest = self._digest.take(now)
        if digest is None:
            return step
        return replace(step, notifications=step.notifications + tuple(self._spread(digest, now)))

    def act(self, action: Action) -> Step:
        """Take what somebody does.

        Raises:
            ActionError: it cannot be done; nothing was changed, and there is nothing to remember.
        """
        events: list[Event] = []
        public: list[Notification] = []
        kept: list[tuple[str, Action | None]] = []
        changes: list[Change] = []
        match action:
            case Acknowledge() | Resolve():
                changes = self._handle(action)
            case Note() | Mark():
                changes, events = self._remark(action)
            case Silence():
                name = self._silences.add(action, self._incidents.open())
                kept.append((name, action))
                events.append(_audit(action, "silenced", f"{name} {' '.join(action.matchers)} {action.text}".rstrip()))
            case Unsilence():
                silence = self._silences.remove(action.silence)
                kept.append((action.silence, None))
                events.append(_audit(action, "unsilenced", f"{action.silence} {' '.join(silence.matchers)}"))
            case Deploy():
                kept.append((self._deploys.add(action), action))
                events.append(_audit(action, "deploy", f"{action.version} {' '.join(action.targets)}".rstrip()))
                self._mention(action.time)
            case Approve() | Withdraw():
                public, events = self._answer(action)
        self._routing.disturb()
        step = self._follow(changes, action.time, self._incidents.targets())
        step = replace(step, events=tuple(events) + step.events, kept=tuple(kept) + step.kept)
        return self._published(step, public)

    def next_deadline(self) -> float | None:
        """When `advance` has something to do next."""
        dues = (
            self._routing.next_deadline(),
            self._silences.next_end(),
            self._incidents.next_overdue(),
            self._digest.due,
        )
        return min((due for due in dues if due is not None), default=None)

    # What it knows

    def incidents(self) -> list[Incident]:
        """Open incidents, oldest first."""
        return self._incidents.open()

    def recent(self) -> list[Incident]:
        """Incidents that were resolved a short while ago, so that a relapse would be another occurrence."""
        return self._incidents.recent()

    def told(self) -> list[Told]:
        """What each destination was told last of open incidents."""
        return self._routing.told()

    def kept(self) -> dict[str, Action]:
        """Silences and deploys that hold, by id."""
        return dict([*self._silences.items(), *self._deploys.items()])

    def recording(self, incident: str) -> Recording | None:
        """What was recorded so far of an incident, by id, that is open or was a short while ago."""
        return self._recorder.recording(incident)

    def published(self) -> list[tuple[Published, str, str]]:
        """Drafts and open incidents of status pages, oldest first, each with its title and text."""
        return [(each, *self._publishing.text(each)) for each in self._publishing.published()]

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
    ) -> None:
        """Take up where an earlier process left off. Only before the first feed.

        Args:
            snapshot: What `snapshot` gave; what it holds may be older than all the rest.
            incidents: Open ones, and those of `recent`.
            told: What `told` gave.
            kept: What `kept` gave.

        Raises:
            SnapshotError: the snapshot is of another shape or of other settings; everything else is restored.
        """
        known = list(incidents)
        self._incidents.restore(known)
        self._routing.restore(told, (incident for incident in known if incident.state is IncidentState.OPEN))
        for name, action in (kept or {}).items():
            if isinstance(action, Silence):
                self._silences.restore(name, action)
            elif isinstance(action, Deploy):
                self._deploys.restore(name, action)
        if snapshot is not None:
            self._take_up(snapshot, [incident.id for incident in known])

    def snapshot(self) -> bytes:
        """What the detectors and causes have learnt, and how far open incidents are on their way to a change.

        What has changed is not part of it: the store has that.
        """
        held = self._routing.held_back()
        engine = self._incidents.progress(), self._recorder.reels(), self._digest, held, self._publishing.progress()
        whole = (SNAPSHOT_VERSION, self._shape(), self._targets, engine)
        return pickle.dumps(whole, protocol=pickle.HIGHEST_PROTOCOL)

    def forget(self, targets: Iterable[str]) -> None:
        """Drop what is known of targets that are no longer watched."""
        for name in targets:
            self._targets.pop(name, None)

    def _take_up(self, snapshot: bytes, incidents: Collection[str]) -> None:
        try:
            version, shape, targets, engine = pickle.loads(snapshot)
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
        if version != SNAPSHOT_VERSION:
            raise SnapshotError("the snapshot is of another version; starting cold")
        progress, reels, digest, held, published = engine
        self._publishing.go_on(published)
        self._incidents.go_on(progress)
        self._recorder.restore(reels, incidents)
        self._digest = replace(digest, settings=self._settings.digest)
        self._routing.hold_back(held)
        if shape != self._shape():
            raise SnapshotError("the snapshot is of other settings; starting cold")
        found: dict[str, _Target] = targets
        for target in found.values():
            target.left = target.time, _started(target.store)
        self._targets = found

    def _shape(self) -> str:
        """What a snapshot must agree with: the rules and causes as configured."""
        return repr((self._settings.rules, sorted(self._settings.causes.items(), key=lambda item: item[0])))

    def _make(self, name: str) -> _Target:
        watches: dict[str, list[tuple[Rule, dict[object, Watch]]]] = {}
        for rule in self._settings.rules:
            watches.setdefault(rule.metric, []).append((rule, {}))
        return _Target(SeriesStore(self._windows), Diagnosis(name, self._settings.causes), watches)

    def _watch(self, target: _Target, poll: Poll) -> tuple[list[Finding], list[Finding], set[str]]:
        """Feed the rules. Gives what began or ended, what fires, and the rules that had readings at all."""
        transitions: list[Finding] = []
        firing: list[Finding] = []
        judged: set[str] = set()
        for (metric, labels), _, _, _ in poll.samples if target.watches else ():
            for rule, watches in target.watches.get(metric, ()):
                track = target.store.one(metric, labels)
                if track is None or track.time != poll.time or track.value is None or not _matches(rule, track):
                    continue
                judged.add(rule.name)
                watch = watches.get(labels)
                if watch is None:
                    watch = watches[labels] = Watch(rule, poll.target, labels)
                finding = watch.feed(poll.time, track.value)
                if finding is not None:
                    transitions.append(finding)
                if watch.finding is not None:
                    firing.append(watch.finding)
        if poll.time - target.swept > FORGET_AFTER:
            _sweep(target, poll.time)
        return transitions, firing, judged

    # From changes to a step

    def _follow(
        self, changes: list[Change], now: float, targets: Iterable[str], recordings: Sequence[Recording] = ()
    ) -> Step:
        """What follows from changes: who is told, and what has to be remembered."""
        recorded = [*recordings, *self._record(changes, now)]
        events = [Event(now, change.kind, change.incident.id, change.by, change.text) for change in changes]
        kept = self._expire(now, events)
        ended: dict[str, list[Incident]] = {}
        for change in changes:
            if change.kind == "resolved":
                ended.setdefault(change.incident.target, []).append(change.incident)
        changed = dict.fromkeys(change.incident.target for change in changes)
        calls: list[Call] = []
        told: list[Told] = []
        for name in dict.fromkeys((*changed, *targets)):
            open_now = self._incidents.open(name)
            fresh = any(incident.updated == now for incident in open_now)
            if name in changed or self._routing.is_due(name, now, fresh):
                review = self._routing.review(name, open_now, ended.get(name, ()), now, self._warm_at(name))
                calls += review.calls
                told += review.told
                events += review.events
        incidents, notifications = self._number(changes, calls, now, events)
        return Step(
            incidents=incidents,
            notifications=notifications,
            told=tuple(told),
            events=tuple(events),
            recordings=tuple(recorded),
            kept=tuple(kept),
        )

    def _record(self, changes: Iterable[Change], now: float) -> Iterator[Recording]:
        for change in changes:
            target = self._targets.get(change.incident.target)
            if change.kind in ("opened", "flapping"):
                for context in self._deploys.before(change.incident):
                    self._incidents.say(change.incident, context)
                if target is not None:
                    yield self._recorder.begin(change.incident, target.store)
            elif change.kind == "resolved" and (recording := self._recorder.end(change.incident, now)) is not None:
                yield recording

    def _expire(self, now: float, events: list[Event]) -> list[tuple[str, Action | None]]:
        """End silences and forget deploys that are over."""
        over = self._silences.expire(now, self._incidents.open) + [(name, None) for name in self._deploys.expire(now)]
        for name, silence in over:
            if silence is not None:
                self._routing.disturb()
                events.append(Event(now, "silence ended", "", "", f"{name} {' '.join(silence.matchers)}"))
        return [(name, None) for name, _ in over]

    def _number(
        self, changes: Iterable[Change], calls: Iterable[Call], now: float, events: list[Event]
    ) -> tuple[tuple[Incident, ...], tuple[Notification, ...]]:
        """Number what changed or is told, and make notifications of the calls; those of shadow mode are kept back."""
        numbered: dict[str, Incident] = {}
        notifications = []
        for change in changes:
            if change.incident.id not in numbered:
                numbered[change.incident.id] = self._incidents.number(change.incident)
        for call in calls:
            name, said = call.incident.id, f"{call.destination.name}: {call.reason}"
            if call.shadow:
                text = f"{call.incident.cause} on {call.incident.target}"
                self._digest.add(Kept(now, call.destination.name, call.reason, call.incident.severity, text))
                events.append(Event(now, "not told", name, "", f"{said} (shadow mode)"))
                continue
            if name not in numbered:
                numbered[name] = self._incidents.number(call.incident)
            notifications.append(_notification(call, numbered[name], now))
            events.append(Event(now, "told", name, "", said))
        return tuple(numbered.values()), tuple(notifications)

    def _published(self, step: Step, public: Sequence[Notification]) -> Step:
        """With what status pages are told, and what operators should know of it."""
        notes, self._publishing.notes = tuple(self._publishing.notes), []
        return replace(step, notifications=step.notifications + tuple(public), notes=step.notes + notes)

    def _is_trusted(self, now: float, incident: Incident) -> bool:
        """Whether an incident may count for the public: not held back, and seen through eyes that are well."""
        target = self._targets.get(incident.target)
        fresh = target is not None and now - target.time <= TRUSTED_FOR and now >= self._warm_at(incident.target)
        return fresh and not incident.flapping and self._routing.muted(incident, (), now) is None

    def _warm_at(self, name: str) -> float:
        target = self._targets.get(name)
        return float("-inf") if target is None else target.began + self._settings.incidents.startup_grace

    def _retire(self, now: float) -> list[Change]:
        """Once after a start: end what is open on targets, or by causes, that are not watched any more."""
        if self._retired:
            return []
        self._retired = True
        causes = {*self._settings.causes, *(rule.name for rule in self._settings.rules), NO_DATA}
        return self._incidents.retire(self._settings.targets.keys(), causes, now)

    def _spread(self, digest: Incident, now: float) -> Iterator[Notification]:
        """The digest to everybody who reads it and is not woken by it."""
        receivers = self._settings.digest.to
        for destination in self._settings.destinations:
            wanted = not receivers or destination.receiver in receivers
            if wanted and not destination.pages and Reason.DIGEST in destination.reasons:
                yield _notification(Call(destination, Reason.DIGEST, digest, None, (), False), digest, now)

    # People

    def _answer(self, action: Approve | Withdraw) -> tuple[list[Notification], list[Event]]:
        try:
            if isinstance(action, Withdraw):
                self._publishing.withdraw(action.ref, action.time)
                return [], [_audit(action, "withdrawn", action.ref)]
            return self._publishing.approve(action.ref, action.time), [_audit(action, "approved", action.ref)]
        except PublishingError as error:
            raise ActionError(str(error)) from error

    def _handle(self, action: Acknowledge | Resolve) -> list[Change]:
        incident = self._incidents.find(action.incident)
        if incident is None or incident.state is not IncidentState.OPEN:
            state = "is not known" if incident is None else "is over already"
            raise ActionError(f"the incident {action.incident} {state}; `sentinel incidents list` shows those open")
        do = self._incidents.acknowledge if isinstance(action, Acknowledge) else self._incidents.resolve
        change = do(incident, action.time, action.by, action.text)
        return [] if change is None else [change]

    def _remark(self, action: Note | Mark) -> tuple[list[Change], list[Event]]:
        """Also about incidents of long ago, by their whole id: it is for the caller to know that there was one."""
        incident = self._incidents.find(action.incident)
        if incident is None and action.incident.startswith("SNT-"):
            raise ActionError(f"the incident {action.incident} is not known any more by this name; give its whole id")
        name = action.incident if incident is None else incident.id
        if isinstance(action, Note):
            return [], [Event(action.time, "note", name, action.by, action.text)]
        events = [Event(action.time, f"marked as {action.verdict}", name, action.by, action.text)]
        if incident is None or action.verdict != "noise":
            return [], events
        change = self._incidents.acknowledge(incident, action.time, action.by, "noise")
        return [] if change is None else [change], events

    def _mention(self, now: float) -> None:
        """A deploy was marked: say so on what opened just before, which it may explain."""
        for incident in self._incidents.open():
            for context in self._deploys.before(incident):
                self._incidents.say(incident, context)


FORGET_AFTER = 3600.0
"""Seconds after which a rule forgets a series that has ended."""


def _sweep(target: _Target, now: float) -> None:
    target.swept = now
    for rules in target.watches.values():
        for _, watches in rules:
            for labels in [labels for labels, watch in watches.items() if now - watch.time > FORGET_AFTER]:
                del watches[labels]


def _looked_at(settings: PipelineSettings) -> dict[str, tuple[str, ...]]:
    """The metrics behind each cause and rule."""
    causes = {name: tuple(dict.fromkeys((*cause.windows, *cause.needs))) for name, cause in settings.causes.items()}
    return {rule.name: (rule.metric,) for rule in settings.rules} | causes


def _notification(call: Call, incident: Incident, now: float) -> Notification:
    seed = f"{incident.id} {incident.sequence} {call.destination.name} {call.reason}"
    return Notification(
        receiver=call.destination.receiver,
        destination=call.destination.name,
        reason=call.reason,
        incident=incident,
        time=now,
        event_id="msg_" + ulid(now, seed),
        previous_severity=call.previous,
        related=call.related[:_RELATED],
    )


_RELATED = 20


def _audit(action: Any, kind: str, text: str) -> Event:
    return Event(action.time, kind, "", action.by, text)


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
