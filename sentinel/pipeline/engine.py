"""What follows from findings, time and people: incidents, who is told, and what has to be remembered.

Puts together what each file beside this one decides, in one order: incidents change, silences and deploys end, each
target that changed or fell due is compared with what was told of it, and what is said is numbered. Does not know where
findings come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sentinel.model import (
    Event,
    Finding,
    Incident,
    IncidentState,
    Notification,
    Reason,
    Recording,
    Severity,
    Told,
    ulid,
)
from sentinel.pipeline.actions import (
    Acknowledge,
    Action,
    ActionError,
    Adopt,
    Approve,
    Deploy,
    Mark,
    Note,
    Resolve,
    Silence,
    Unsilence,
    Withdraw,
)
from sentinel.pipeline.deploys import Deploys, deployed
from sentinel.pipeline.digest import Digest, Kept
from sentinel.pipeline.incidents import NO_DATA, Change, Incidents
from sentinel.pipeline.maintenance import Maintenance
from sentinel.pipeline.publishing import Published, Publishing, PublishingError
from sentinel.pipeline.routing import Call, Routing
from sentinel.pipeline.settings import PipelineSettings
from sentinel.pipeline.silences import Silences
from sentinel.pipeline.step import Step
from sentinel.pipeline.target import Target
from sentinel.pipeline.timeline import Recorder

__all__ = ["Engine"]

_OWN = frozenset({"undelivered", "unsaved"})
TRUSTED_FOR = 60.0
"""Seconds since a target's last poll within which what is open on it may count for a status page."""


class Engine:
    """All incidents of one daemon.

    Args:
        settings: As of the pipeline.
        targets: What is known of each target; read only, and as it is at each call.
    """

    def __init__(self, settings: PipelineSettings, targets: Mapping[str, Target]) -> None:
        self._settings = settings
        self._targets = targets
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

    def take(self, target: str, now: float, findings: Sequence[Finding], judged: set[str]) -> Step:
        """Take what fires on a target, and which causes and rules were judged at all."""
        changes = self._retire(now)
        changes += self._incidents.take(target, now, findings, judged)
        recordings = self._recorder.feed(target, now, self._targets[target].store)
        step = self._follow(changes, now, (target,), recordings)
        if not self._settings.pages:
            return step
        public = self._publishing.take(self._incidents.open(), now, partial(self._is_trusted, now))
        return self._published(step, public, now)

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
                public = list(self._tell_of(action))
            case Adopt():
                events.append(self._adopt(action))
            case Approve() | Withdraw():
                public, events = self._answer(action)
        self._routing.disturb()
        step = self._follow(changes, action.time, self._incidents.targets())
        step = replace(step, events=tuple(events) + step.events, kept=tuple(kept) + step.kept)
        return self._published(step, public, action.time)

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

    # Over a restart

    def restore(self, incidents: Sequence[Incident], told: Iterable[Told], kept: Mapping[str, Action]) -> None:
        """Take up what the store has."""
        self._incidents.restore(incidents)
        self._routing.restore(told, (incident for incident in incidents if incident.state is IncidentState.OPEN))
        for name, action in kept.items():
            if isinstance(action, Silence):
                self._silences.restore(name, action)
            elif isinstance(action, Deploy):
                self._deploys.restore(name, action)

    def progress(self) -> Any:
        """How far everything is on its way to a change: worth a snapshot, not a transaction."""
        held = self._routing.held_back()
        return self._incidents.progress(), self._recorder.reels(), self._digest, held, self._publishing.progress()

    def go_on(self, progress: Any) -> None:
        """Take up what `progress` gave, after `restore`."""
        incidents, reels, digest, held, published = progress
        self._incidents.go_on(incidents)
        self._recorder.restore(reels, [incident.id for incident in (*self.incidents(), *self.recent())])
        self._digest = replace(digest, settings=self._settings.digest)
        self._routing.hold_back(held)
        self._publishing.go_on(published)

    def catch_up(self, public: Iterable[Notification]) -> None:
        """Take up what status pages were told last, after all the rest."""
        self._publishing.catch_up(public)

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
            notification = _notification(call, numbered[name], now)
            notifications.append(replace(notification, course=self._recorder.course(name)))
            events.append(Event(now, "told", name, "", said))
        return tuple(numbered.values()), tuple(notifications)

    def _published(self, step: Step, public: Sequence[Notification], now: float) -> Step:
        """With what status pages are told, and what operators should know of it."""
        notes, self._publishing.notes = self._publishing.notes, []
        events = tuple(Event(now, "status page", text=note) for note in notes)
        return replace(step, notifications=step.notifications + tuple(public), events=step.events + events)

    def _is_trusted(self, now: float, incident: Incident) -> bool:
        """Whether an incident may count for the public: not held back, and seen through eyes that are well."""
        target = self._targets.get(incident.target)
        fresh = target is not None and now - target.time <= TRUSTED_FOR and now >= self._warm_at(incident.target)
        return fresh and not incident.flapping and self._is_well() and self._routing.muted(incident, (), now) is None

    def _is_well(self) -> bool:
        """Whether Sentinel has no trouble of its own: who cannot save or tell does not speak to customers by itself."""
        own = (one for one in self._incidents.open() if one.cause in _OWN and one.severity > Severity.INFO)
        return next(own, None) is None

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

    def _tell_of(self, deploy: Deploy) -> Iterator[Notification]:
        """A deploy, to those who keep changes beside alerts; in shadow mode to nobody."""
        told = [each for each in self._settings.destinations if each.changes and not self._settings.shadow]
        incident = deployed(deploy, self._settings.instance_id)
        for destination in told:
            yield _notification(Call(destination, Reason.DEPLOYED, incident, None, (), False), incident, deploy.time)

    # People

    def _answer(self, action: Approve | Withdraw) -> tuple[list[Notification], list[Event]]:
        try:
            if isinstance(action, Withdraw):
                self._publishing.withdraw(action.ref, action.time)
                return [], [_audit(action, "withdrawn", action.ref)]
            return self._publishing.approve(action.ref, action.time), [_audit(action, "approved", action.ref)]
        except PublishingError as error:
            raise ActionError(str(error)) from error

    def _adopt(self, action: Adopt) -> Event:
        """Only once all eyes on it are open: else it would end because nobody has looked yet."""
        for name in self._publishing.targets_of(action.page, action.component, self._settings.targets):
            target = self._targets.get(name)
            seen = target is not None and action.time - target.time <= TRUSTED_FOR
            if not seen or action.time < self._warm_at(name):
                raise ActionError(f"{name} is not seen well enough to say whether the trouble is over")
        try:
            self._publishing.adopt(action.page, action.component, action.text, action.time)
        except PublishingError as error:
            raise ActionError(str(error)) from error
        return _audit(action, "adopted", f"{action.page}: {action.component}")

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


def _looked_at(settings: PipelineSettings) -> dict[str, tuple[str, ...]]:
    """The metrics behind each cause and rule."""
    causes = {name: tuple(dict.fromkeys((*cause.windows, *cause.needs))) for name, cause in settings.causes.items()}
    return {rule.name: (rule.metric, *rule.beside) for rule in settings.rules} | causes


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
