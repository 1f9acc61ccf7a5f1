"""What a judge of the polls got right: events seen, when, named by whom, how honest the forecasts were.

A judge is anything that takes polls and gives notifications; how it works is none of our business. Notifications
of warning or above are pages. A page outside every event is a false one; one during an event, of a cause that the
event does not bring about, is a strange one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from sentinel.model import Notification, Poll, Reason, Severity

from .polls import polls
from .scenarios import FULL, Event, Run
from .traffic import WEEK

__all__ = ["EtaScore", "EventScore", "Judge", "QuietScore", "RunScore", "coverage", "play", "score"]

GRACE = 1800.0
"""Seconds after an event's end in which its aftermath may still be told."""
AFTERMATH = FULL | {"backlog", "stall", "lost_workers"}
"""What a real trouble may bring about; told as well, it is no false page."""


class Judge(Protocol):
    """Whoever is to be scored."""

    def feed(self, poll: Poll) -> Iterable[Notification]:
        """What is told of this poll."""


@dataclass(frozen=True, slots=True)
class EtaScore:
    """One forecast of an event with a wall: where it stood and whether the truth lay within."""

    way: float
    """Part of the time from onset to wall that had passed, 0-1."""
    earliest: float
    """As parts of the time that was truly left: 1 is the truth."""
    latest: float | None

    @property
    def holds(self) -> bool:
        """Whether the wall was within the range; an open end holds all that is later."""
        return self.earliest <= 1.0 and (self.latest is None or self.latest >= 1.0)


@dataclass(frozen=True, slots=True)
class EventScore:
    """How one event was told. Seconds since its onset; None where it was not."""

    event: Event
    seen: float | None
    """First notification of a right cause."""
    paged: float | None
    """First page of a right cause."""
    first_page: str
    """Cause of the first page of all."""
    named: bool
    """Whether the last notification of a right cause named the culprit; true where there is none to name."""
    strange: tuple[str, ...]
    """Causes of pages that neither the event nor its aftermath explains."""
    misnamed: bool
    """Whether any notification of a right cause named somebody else."""
    etas: tuple[EtaScore, ...]

    @property
    def left(self) -> float | None:
        """Part of the time to the wall that was left at the page; None where the wall was there at once."""
        if self.paged is None or self.event.wall is None or self.event.wall <= self.event.start:
            return None
        return 1.0 - self.paged / (self.event.wall - self.event.start)

    @property
    def lead(self) -> float | None:
        """Seconds from the page to the wall."""
        if self.paged is None or self.event.wall is None:
            return None
        return self.event.wall - self.event.start - self.paged


@dataclass(frozen=True, slots=True)
class RunScore:
    """How one run was told."""

    name: str
    seconds: float
    """How long it played."""
    events: tuple[EventScore, ...]
    false_pages: tuple[Notification, ...]
    false_infos: tuple[Notification, ...]
    told: tuple[Notification, ...]

    @property
    def weeks(self) -> float:
        """Simulated weeks that it played."""
        return self.seconds / WEEK


@dataclass(frozen=True, slots=True)
class QuietScore:
    """All that was told in quiet time."""

    weeks: float
    pages: Counter[str]
    infos: Counter[str]

    @classmethod
    def of(cls, scores: Iterable[RunScore]) -> QuietScore:
        """The runs together."""
        scores = list(scores)
        pages = Counter(n.incident.cause for s in scores for n in s.false_pages)
        infos = Counter(n.incident.cause for s in scores for n in s.false_infos)
        return cls(sum(s.weeks for s in scores), pages, infos)


def play(run: Run, judge: Judge, *, work: bool = True) -> RunScore:
    """Tells a judge the whole run, with queues and heartbeats if `work`, and scores what it said."""
    told = [notification for poll in polls(run.world, run.until, work=work) for notification in judge.feed(poll)]
    return score(run, told)


def score(run: Run, told: Sequence[Notification]) -> RunScore:
    """Scores what was told of a run."""
    begun = [n for n in told if n.reason in (Reason.OPENED, Reason.ESCALATED)]
    false = [n for n in begun if not any(_within(n, event) for event in run.events)]
    return RunScore(
        run.name,
        run.seconds,
        tuple(_score_event(event, told) for event in run.events),
        tuple(n for n in false if _is_page(n)),
        tuple(n for n in false if not _is_page(n)),
        tuple(told),
    )


def coverage(etas: Iterable[EtaScore]) -> float | None:
    """Part of the forecasts that held the truth."""
    held = [eta.holds for eta in etas]
    return sum(held) / len(held) if held else None


def middle(values: Iterable[float | None]) -> float | None:
    """Median of those that are there."""
    present = [value for value in values if value is not None]
    return median(present) if present else None


def _is_page(notification: Notification) -> bool:
    return notification.incident.severity >= Severity.WARNING


def _within(notification: Notification, event: Event) -> bool:
    return event.start <= notification.time <= event.end + GRACE


def _is_strange(notification: Notification, event: Event) -> bool:
    begins = notification.reason in (Reason.OPENED, Reason.ESCALATED)
    return begins and notification.incident.cause not in event.causes | AFTERMATH


def _score_event(event: Event, told: Sequence[Notification]) -> EventScore:
    during = [n for n in told if _within(n, event) and n.reason is not Reason.RESOLVED]
    right = [n for n in during if n.incident.cause in event.causes]
    fresh = [n for n in right if n.incident.opened >= event.start]
    pages = [n for n in during if _is_page(n) and n.incident.opened >= event.start]
    names = [n.incident.finding.culprit.name for n in right if n.incident.finding.culprit and n.time <= event.end]
    return EventScore(
        event,
        seen=fresh[0].time - event.start if fresh else None,
        paged=next((n.time - event.start for n in fresh if _is_page(n)), None),
        first_page=pages[0].incident.cause if pages else "",
        named=not event.culprit or (bool(names) and names[-1] == event.culprit),
        strange=tuple(n.incident.cause for n in pages if _is_strange(n, event)),
        misnamed=bool(event.culprit) and any(name != event.culprit for name in names),
        etas=tuple(_score_etas(event, right)),
    )


def _score_etas(event: Event, right: Iterable[Notification]) -> Iterable[EtaScore]:
    for notification in right:
        eta, time = notification.incident.finding.eta, notification.time
        if eta is None or event.wall is None or time >= event.wall:
            continue
        left = event.wall - time
        latest = None if eta.latest is None else (eta.latest - time) / left
        yield EtaScore((time - event.start) / (event.wall - event.start), (eta.earliest - time) / left, latest)
