"""A pipeline told one poll after another, and what it said, in words that a test can compare.

Knows the pipeline's doors. What is wrong with a target is scripted: the metric `leak_trouble` at 2 makes the cause
`leak` a warning, so that a story is about incidents and not about diagnosis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sentinel.model import Finding, Labels, Notification, Poll, Reason, Sample, Series, Severity
from sentinel.pipeline import Destination, IncidentSettings, Pipeline, PipelineSettings, Route, Step
from sentinel.pipeline.actions import Action
from sentinel.pipeline.diagnosis import View

__all__ = ["EVERY", "START", "Scripted", "Story", "chat", "settings"]

START = 1764000000.0
"""2025-11-24T16:00:00Z, a Monday."""
EVERY = 10.0
"""Seconds from one poll to the next."""
_PATIENCE = 10_000
"""Steps that time may take within one wait."""


@dataclass
class Scripted:
    """Concludes what the metric `NAME_trouble` says: 1 information, 2 a warning, 3 critical; at 0 all is well."""

    name: str
    windows: tuple[str, ...] = field(init=False)
    needs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.needs = self.windows = (f"{self.name}_trouble",)

    def judge(self, view: View) -> Iterable[Finding]:
        for track in view.each(self.needs[0]):
            if track.raw:
                yield Finding(
                    target=view.target,
                    source=self.name,
                    kind="cause",
                    severity=Severity(int(track.raw)),
                    time=view.now,
                    firing=True,
                    summary=f"{self.name} at {track.raw:g}",
                    subject=track.label("queue"),
                )


def chat(name: str = "ops/chat", severity: Severity = Severity.INFO, *without: Reason) -> Destination:
    """A destination that hears of everything from a severity on, but for some reasons."""
    return Destination(name.partition("/")[0], name, severity, frozenset(Reason) - set(without))


def settings(
    *destinations: Destination,
    causes: Iterable[str] = ("leak", "refused", "backlog", "unreachable", "flood"),
    routes: Iterable[Route] | None = None,
    incidents: IncidentSettings | None = None,
    **more: Any,
) -> PipelineSettings:
    """Scripted causes, told to the given destinations, warm from the start; one that hears of all if none is given."""
    told = destinations or (chat(),)
    receivers = dict.fromkeys(destination.receiver for destination in told)
    return PipelineSettings(
        causes={name: Scripted(name) for name in causes},
        destinations=told,
        routes=tuple(Route(name) for name in receivers) if routes is None else tuple(routes),
        incidents=incidents or IncidentSettings(startup_grace=0.0),
        **more,
    )


class Story:
    """Tells a pipeline polls and lets time pass, as the daemon does; remembers what was said."""

    def __init__(self, settings: PipelineSettings | None = None) -> None:
        self._settings = settings or _DEFAULT
        self.pipeline = Pipeline(self._settings)
        self.now = self._passed = START
        self.steps: list[Step] = []

    def polls(
        self, count: int = 1, target: str = "main", every: float = EVERY, **troubles: float | Mapping[str, float]
    ) -> list[str]:
        """Polls, all alike; gives what was said, as `destination reason cause`."""
        said = []
        for _ in range(count):
            self.now += every
            said += self._pass(self.now)
            said += self._take(self.pipeline.feed(Poll(target, self.now, tuple(_samples(self.now, troubles)))))
        return said

    def wait(self, seconds: float) -> list[str]:
        """Let time pass without a poll."""
        self.now += seconds
        return self._pass(self.now)

    def act(self, action: Action) -> list[str]:
        """Somebody does something."""
        return self._take(self.pipeline.act(action))

    def restart(self, settings: PipelineSettings | None = None, *, clean: bool = True) -> None:
        """Stop, and start again from what a store would hold; not `clean`: without a snapshot."""
        old, settings = self.pipeline, settings or self._settings
        self.pipeline, self._settings = Pipeline(settings), settings
        self.pipeline.restore(
            snapshot=old.snapshot() if clean else None,
            incidents=[*old.incidents(), *old.recent()],
            told=old.told(),
            kept=old.kept(),
        )

    def said(self) -> list[str]:
        """All that was said so far."""
        return [words(notification) for step in self.steps for notification in step.notifications]

    def events(self) -> list[str]:
        """The history so far, as `kind text`."""
        return [f"{event.kind} {event.text}".strip() for step in self.steps for event in step.events]

    @property
    def notifications(self) -> list[Notification]:
        return [notification for step in self.steps for notification in step.notifications]

    def _pass(self, now: float) -> list[str]:
        said = []
        for _ in range(_PATIENCE):
            due = self.pipeline.next_deadline()
            if due is None or due > now:
                self._passed = now
                return said
            self._passed = max(self._passed, due)
            said += self._take(self.pipeline.advance(self._passed))
        raise AssertionError(f"something is due at {self._passed} again and again")

    def _take(self, step: Step) -> list[str]:
        self.steps.append(step)
        return [words(notification) for notification in step.notifications]


def words(notification: Notification) -> str:
    """`ops/chat opened leak`; with its subject behind a colon."""
    incident = notification.incident
    subject = f":{incident.subject}" if incident.subject else ""
    return f"{notification.destination} {notification.reason} {incident.cause}{subject}"


def _samples(now: float, troubles: Mapping[str, float | Mapping[str, float]]) -> Iterable[Sample]:
    for name, value in troubles.items():
        values: Mapping[str, float] = value if isinstance(value, Mapping) else {"": value}
        for queue, trouble in values.items():
            labels: Labels = (("queue", queue),) if queue else ()
            yield Sample(Series(f"{name}_trouble", labels), now, trouble)


_DEFAULT = settings()
