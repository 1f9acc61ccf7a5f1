"""What a replay is worth: incidents as they would have been told, leads, pages a week, false ones.

Pure. Knows incidents and labels. Must not know how they came about, nor how they are shown.

Words: a *page* is an incident that reached the severity that wakes someone, counted once; the *wall* of a trouble is
where its server began to refuse, or where its label says; the *lead* is the time from the opening, or from the page, to
the wall; the *delay* is the time from a labelled start to the opening.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from sentinel.model import Incident, IncidentState, Seconds, Severity
from sentinel.replay.loop import History, Replayed

__all__ = ["Label", "Told", "Verdict", "judge"]

WEEK: Seconds = 604800.0
GRACE: Seconds = 1800.0
"""Seconds by which an incident may lie beside its label: aftermath at the end, and nobody labels to the second."""
AHEAD: Seconds = 7 * 86400.0
"""How long before a wall an incident may have been opened and still be about it."""
_TOWARDS_A_WALL = frozenset({"leak", "flood", "exhaustion", "refused", "masked_leak"})


@dataclass(frozen=True, slots=True)
class Label:
    """Something that truly was: times in Unix seconds, causes that name it rightly (none: any)."""

    target: str
    start: float
    end: float
    causes: frozenset[str] = frozenset()
    wall: float | None = None
    note: str = ""

    def explains(self, told: Told) -> bool:
        """Whether an incident was about this."""
        return (
            told.target == self.target
            and told.opened <= self.end + GRACE
            and (told.resolved is None or told.resolved >= self.start - GRACE)
            and (not self.causes or told.cause in self.causes)
        )


@dataclass(slots=True)
class Told:
    """One incident, from opening to end, as a receiver of everything would have followed it."""

    id: str
    target: str
    cause: str
    subject: str
    opened: float
    severity: Severity
    """The worst it reached."""
    summary: str
    """At its worst, first."""
    culprit: str = ""
    paged: float | None = None
    """When it first was bad enough to wake someone."""
    resolved: float | None = None
    wall: float | None = None
    eta: tuple[float, float | None] | None = None
    """What was forecast at the page, or else at the opening."""
    label: Label | None = None

    @property
    def lead(self) -> Seconds | None:
        """From the opening to the wall; None where there is no wall ahead."""
        return None if self.wall is None else self.wall - self.opened

    @property
    def page_lead(self) -> Seconds | None:
        """From the page to the wall."""
        return None if self.wall is None or self.paged is None else self.wall - self.paged

    @property
    def delay(self) -> Seconds | None:
        """From the labelled start to the opening."""
        return None if self.label is None else self.opened - self.label.start


@dataclass(slots=True)
class Verdict:
    """All of a replay."""

    told: list[Told]
    history: History
    notifications: int
    page_from: Severity
    labels: Sequence[Label] | None = None
    missed: list[Label] = field(default_factory=list)

    @property
    def weeks(self) -> float:
        """How long the tape is."""
        return (self.history.last - self.history.first) / WEEK

    @property
    def pages(self) -> list[Told]:
        """Incidents that would have woken someone."""
        return [told for told in self.told if told.paged is not None]

    @property
    def pages_per_week(self) -> float:
        """Of a tape that is shorter than a day nothing can be said a week: its pages are counted as they are."""
        return len(self.pages) / max(self.weeks, 1 / 7) if self.weeks >= 1 / 7 else float(len(self.pages))

    @property
    def warnings(self) -> list[Told]:
        """Incidents of at least a warning that would have woken nobody."""
        return [told for told in self.told if told.paged is None and told.severity >= Severity.WARNING]

    @property
    def false(self) -> list[Told]:
        """Pages that no label explains; none where there are no labels."""
        return [] if self.labels is None else [told for told in self.pages if told.label is None]

    @property
    def leads(self) -> list[Seconds]:
        """Of incidents that came before their wall."""
        return [lead for told in self.told if (lead := told.lead) is not None and lead > 0]

    @property
    def median_lead(self) -> Seconds | None:
        """In the middle, from the opening on."""
        return median(self.leads) if self.leads else None

    @property
    def median_page_lead(self) -> Seconds | None:
        """In the middle, from the page on; a page at or after the wall counts as it is."""
        leads = [lead for told in self.told if (lead := told.page_lead) is not None]
        return median(leads) if leads else None


def judge(
    replayed: Replayed,
    labels: Sequence[Label] | None = None,
    page_from: Severity = Severity.CRITICAL,
    never_page: Collection[str] = (),
) -> Verdict:
    """What a replay says of settings.

    Args:
        replayed: One replay.
        labels: What truly was; None where nobody knows, an empty list where nothing was.
        page_from: The severity that wakes someone.
        never_page: Causes that wake nobody, however bad.
    """
    told = _followed(replayed.incidents, page_from, never_page)
    for each in told:
        each.label = next((label for label in labels or () if label.explains(each)), None)
        each.wall = _wall(each, replayed.history)
    explained = {id(each.label) for each in told if each.label is not None}
    missed = [label for label in labels or () if id(label) not in explained]
    return Verdict(told, replayed.history, len(replayed.notifications), page_from, labels, missed)


def _followed(changes: Iterable[Incident], page_from: Severity, never_page: Collection[str]) -> list[Told]:
    told: dict[str, Told] = {}
    for incident in changes:
        known = told.get(incident.id)
        if known is None:
            known = told[incident.id] = _opened(incident)
        _go_on(known, incident, incident.severity >= page_from and incident.cause not in never_page)
    return list(told.values())


def _opened(incident: Incident) -> Told:
    finding = incident.finding
    return Told(
        id=incident.id,
        target=incident.target,
        cause=incident.cause,
        subject=incident.subject,
        opened=incident.opened,
        severity=incident.severity,
        summary=finding.summary,
        eta=(finding.eta.earliest, finding.eta.latest) if finding.eta else None,
    )


def _go_on(told: Told, incident: Incident, wakes: bool) -> None:
    finding = incident.finding
    if incident.state is IncidentState.RESOLVED:
        told.resolved = incident.resolved
        return
    if finding.culprit is not None:
        told.culprit = finding.culprit.name
    if incident.severity > told.severity:
        told.severity, told.summary = incident.severity, finding.summary
    if told.paged is None and wakes:
        told.paged = incident.updated
        told.eta = (finding.eta.earliest, finding.eta.latest) if finding.eta else told.eta


def _wall(told: Told, history: History) -> float | None:
    """The label's; else the first refusal after the opening and before the end, for what leads to a wall."""
    if told.label is not None and told.label.wall is not None:
        return told.label.wall
    if told.cause not in _TOWARDS_A_WALL or told.target not in history.targets:
        return None
    until = told.opened + AHEAD if told.resolved is None else told.resolved
    walls = history.targets[told.target].walls
    return next((wall for wall in walls if told.opened <= wall <= until), None)
