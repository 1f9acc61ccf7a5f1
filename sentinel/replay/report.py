"""The one-pager: what Sentinel was worth in a week or a month, for those who decide about it.

Walls that were forecast and how early, how soon somebody was named, how often somebody was woken and how often in vain
(as people marked it), the worst group, head-room, and what leaks cost: a *leaked connection-hour* is a connection that
was held for an hour after it was last needed, estimated from each leak's size and length as if it had grown evenly.

Pure. Takes incidents, what people said of them, and what a tape saw; must not know where they are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from statistics import median

from sentinel.model import Event, Incident, IncidentState, Seconds, Severity
from sentinel.pipeline.diagnosis.words import count, span
from sentinel.replay.loop import History
from sentinel.replay.words import moment_text

__all__ = ["Page", "as_html", "as_markdown", "compose"]

WEEK: Seconds = 7 * 86400.0
MONTH: Seconds = 28 * 86400.0
_LEAKS = frozenset({"leak", "masked_leak"})
_ROWS = 12


@dataclass(frozen=True, slots=True)
class Wall:
    """One wall that was forecast."""

    incident: Incident
    lead: Seconds
    """From the opening to the wall that came, or to the earliest that was forecast where it was averted."""
    came: bool


@dataclass
class Page:
    """Everything that the one-pager says."""

    since: float
    until: float
    incidents: Sequence[Incident]
    """Of at least a warning, oldest first."""
    pages: int
    """Incidents that were critical."""
    noise: Sequence[Incident]
    real: int
    walls: Sequence[Wall]
    named_after: Sequence[Seconds]
    """From the beginning of each trouble to its opening with a culprit."""
    worst: tuple[str, int] | None
    """The group that was most often to blame, and how often."""
    leaked: Mapping[str, float]
    """Connection-hours by group."""
    budget: float
    """Leaked connection-hours that 28 days may have."""
    rooms: Sequence[tuple[str, float, float, float]] = field(default_factory=tuple)
    """Target, ceiling, clients at the end, and most clients at any time (deploys included)."""

    @property
    def weeks(self) -> float:
        """How long it looks back."""
        return (self.until - self.since) / WEEK

    @property
    def burnt(self) -> float:
        """Part of the leak budget of this time that is gone."""
        allowed = self.budget * (self.until - self.since) / MONTH
        return sum(self.leaked.values()) / allowed if allowed else 0.0


def compose(
    since: float,
    until: float,
    incidents: Iterable[Incident],
    events: Iterable[Event] = (),
    history: History | None = None,
    leak_budget: float = 1000.0,
) -> Page:
    """The one-pager of a time.

    Args:
        since: Unix seconds.
        until: Unix seconds.
        incidents: As last known, in any order; those that were open within the time count.
        events: What people did; marks are looked for.
        history: What a tape saw of the time, for head-room.
        leak_budget: Leaked connection-hours that 28 days may have.
    """
    within = [each for each in incidents if each.opened < until and (each.resolved or until) >= since]
    told = sorted((each for each in within if each.severity >= Severity.WARNING), key=lambda each: each.opened)
    marks = {each.incident: each.kind for each in events if each.kind.startswith("marked as ")}
    verdict = {each.id: marks.get(each.id, "") for each in told}
    blamed = [each.finding.culprit.name for each in told if each.finding.culprit is not None]
    return Page(
        since=since,
        until=until,
        incidents=told,
        pages=sum(each.severity >= Severity.CRITICAL for each in told),
        noise=[each for each in told if verdict[each.id] == "marked as noise"],
        real=sum(kind == "marked as real" for kind in verdict.values()),
        walls=list(_walls(told)),
        named_after=list(_named_after(told)),
        worst=max(((name, blamed.count(name)) for name in sorted(set(blamed))), key=lambda item: item[1], default=None),
        leaked=_leaked(told, since, until),
        budget=leak_budget,
        rooms=list(_rooms(history)),
    )


def _walls(told: Sequence[Incident]) -> Iterator[Wall]:
    """A refusal on the same target while it was open, else the forecast."""
    refusals = [(each.target, each.opened) for each in told if each.cause == "refused"]
    for each in told:
        if each.cause == "refused":
            continue
        end = each.resolved if each.resolved is not None else float("inf")
        came = [at for target, at in refusals if target == each.target and each.opened <= at <= end]
        if came:
            yield Wall(each, min(came) - each.opened, True)
        elif each.finding.eta is not None and each.finding.eta.earliest > each.opened:
            yield Wall(each, each.finding.eta.earliest - each.opened, False)


def _named_after(told: Sequence[Incident]) -> Iterator[Seconds]:
    for each in told:
        if each.finding.culprit is not None and each.finding.since is not None:
            yield max(0.0, each.opened - each.finding.since)


def _leaked(told: Sequence[Incident], since: float, until: float) -> dict[str, float]:
    """As if each had grown evenly to its size from the trouble's beginning: half of it, over its length."""
    hours: dict[str, float] = {}
    for each in told:
        if each.cause not in _LEAKS or not each.finding.value:
            continue
        begun = max(since, each.finding.since if each.finding.since is not None else each.opened)
        ended = min(until, each.resolved if each.resolved is not None else until)
        group = each.finding.culprit.name if each.finding.culprit is not None else each.subject or each.target
        hours[group] = hours.get(group, 0.0) + each.finding.value * max(0.0, ended - begun) / 2 / 3600
    return dict(sorted(hours.items(), key=lambda item: -item[1]))


def _rooms(history: History | None) -> Iterator[tuple[str, float, float, float]]:
    for name, seen in sorted((history.targets if history else {}).items()):
        if seen.ceiling and seen.clients.times:
            yield name, seen.ceiling, seen.clients.highs[-1], max(seen.clients.highs)


def as_markdown(page: Page) -> str:
    """The page as Markdown."""
    lines = [f"# Sentinel, {moment_text(page.since)} to {moment_text(page.until)}", ""]
    lines += [f"- **{name}:** {text}" for name, text in _facts(page)]
    if page.incidents:
        lines += ["", "| opened | what | who | how early | marked |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(map(_cell, row))} |" for row in _rows(page)]
    if page.rooms:
        lines += [
            "",
            "| server | ceiling | clients now | most, deploys included | least head-room |",
            "|---|---:|---:|---:|---:|",
        ]
        lines += [f"| {' | '.join(map(_cell, row))} |" for row in _room_rows(page)]
    if page.leaked:
        lines += ["", "| group | leaked connection-hours |", "|---|---:|"]
        lines += [f"| {_cell(group)} | {count(hours)} |" for group, hours in list(page.leaked.items())[:_ROWS]]
    return "\n".join(lines) + "\n"


def as_html(page: Page) -> str:
    """The page as one HTML file that opens offline."""
    title = f"Sentinel, {moment_text(page.since)} to {moment_text(page.until)}"
    body = [f"<h1>{escape(title)}</h1><ul>"]
    body += [f"<li><b>{escape(name)}:</b> {escape(text)}</li>" for name, text in _facts(page)]
    body.append("</ul>")
    body.append(_table(("opened", "what", "who", "how early", "marked"), _rows(page)))
    rooms = ("server", "ceiling", "clients now", "most, deploys included", "least head-room")
    body.append(_table(rooms, _room_rows(page)))
    leaked = [(group, count(hours)) for group, hours in list(page.leaked.items())[:_ROWS]]
    body.append(_table(("group", "leaked connection-hours"), leaked))
    style = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    style += "table{border-collapse:collapse;margin:1rem 0}th,td{text-align:left;padding:.2rem 1rem .2rem 0}"
    head = f"<meta charset=utf-8><title>{escape(title)}</title><style>{style}</style>"
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(body)}</body></html>\n"


def _facts(page: Page) -> Iterator[tuple[str, str]]:
    leads = [wall.lead for wall in page.walls]
    averted = sum(not wall.came for wall in page.walls)
    text = f"{len(page.walls)} forecast, {averted} of them averted"
    yield "Walls", text + (f"; median lead {span(median(leads))}" if leads else "")
    named = (
        f"in {span(median(page.named_after))} (median of {len(page.named_after)})"
        if page.named_after
        else "nobody had to be"
    )
    yield "Named", named
    a_week = page.pages / page.weeks if page.weeks >= 1 else float(page.pages)
    yield "Pages", f"{page.pages}, {a_week:.2g} a week"
    marked = f"{len(page.noise)} marked as noise, {page.real} as real, of {len(page.incidents)}"
    yield "In vain", marked + ("" if page.noise or page.real else "; mark them: sentinel incidents mark")
    if page.worst:
        yield "Most often to blame", f"{page.worst[0]} ({page.worst[1]} times)"
    if page.leaked:
        hours = sum(page.leaked.values())
        yield "Leaks", f"{count(hours)} connection-hours, {page.burnt:.0%} of what this time may have"
    for each in page.incidents:
        if each.cause == "masked_leak" and each.state is IncidentState.OPEN:
            yield "In a freeze", each.finding.summary


def _rows(page: Page) -> list[tuple[str, ...]]:
    leads = {wall.incident.id: wall for wall in page.walls}
    noise = {each.id for each in page.noise}
    shown = sorted(page.incidents, key=lambda each: (-each.severity, each.opened))[:_ROWS]
    return [
        (
            moment_text(each.opened),
            f"{each.severity.name.lower()} {each.cause} on {each.target}",
            each.finding.culprit.name if each.finding.culprit else "",
            _early(leads.get(each.id)),
            "noise" if each.id in noise else "",
        )
        for each in sorted(shown, key=lambda each: each.opened)
    ]


def _early(wall: Wall | None) -> str:
    if wall is None:
        return ""
    return f"{span(wall.lead)} before it was full" if wall.came else f"{span(wall.lead)} before it would have been full"


def _room_rows(page: Page) -> list[tuple[str, ...]]:
    return [
        (name, count(ceiling), count(now), count(most), f"{count(ceiling - most)} ({1 - most / ceiling:.0%})")
        for name, ceiling, now, most in page.rooms
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    first = "".join(f"<th>{escape(name)}</th>" for name in head)
    rest = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{first}</tr>{rest}</table>"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
