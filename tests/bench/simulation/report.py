"""Scores as Markdown tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from .score import EtaScore, EventScore, QuietScore, RunScore, coverage, middle

__all__ = ["eta_table", "event_table", "quiet_table"]


def quiet_table(quiet: Sequence[RunScore], troubled: Sequence[RunScore]) -> str:
    """Pages and info lines where nothing was wrong: in quiet runs, and outside the events of troubled ones."""
    rows = [_quiet_row(score.name, [score]) for score in quiet]
    if troubled:
        rows.append(_quiet_row("around the troubles", troubled))
    return _table(("quiet time", "weeks", "pages", "of which", "info lines a week", "of which"), rows)


def event_table(scores: Sequence[RunScore]) -> str:
    """How each kind of trouble was told, in the order in which they were played."""
    events: dict[str, list[EventScore]] = {}
    for score in scores:
        for event in score.events:
            events.setdefault(event.event.kind, []).append(event)
    heads = (
        "trouble", "found", "paged", "seen after", "paged after", "lead to the wall", "time left at the page",
        "first page", "strange pages", "named", "misnamed", "ETA holds",
    )  # fmt: skip
    return _table(heads, [_event_row(kind, group) for kind, group in events.items()])


def eta_table(scores: Sequence[RunScore]) -> str:
    """How often forecasts held the truth, by the part of the way to the wall, and how wide they were."""
    events = [event.etas for score in scores for event in score.events if event.etas]
    rows = []
    for first, last in ((0.0, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)):
        part = [[eta for eta in etas if first <= eta.way < last] for etas in events]
        rows.append(_eta_row(f"{first:.0%} to {last:.0%}", part))
    rows.append(_eta_row("all", events))
    rows.append(_eta_row("the first of each event", [etas[:1] for etas in events]))
    heads = ("way to the wall", "forecasts", "held", "each event alike", "too early", "too late", "earliest", "latest")
    return _table(heads, rows)


def _quiet_row(name: str, scores: Sequence[RunScore]) -> list[str]:
    quiet = QuietScore.of(scores)
    infos = sum(quiet.infos.values()) / quiet.weeks
    pages = str(sum(quiet.pages.values()))
    return [name, f"{quiet.weeks:.1f}", pages, _counted(quiet.pages), f"{infos:.1f}", _counted(quiet.infos)]


def _event_row(kind: str, events: Sequence[EventScore]) -> list[str]:
    walls = any(event.event.wall is not None for event in events)
    names = any(event.event.culprit for event in events)
    etas = [eta for event in events for eta in event.etas]
    return [
        kind,
        _ratio(event.seen is not None for event in events),
        _ratio(event.paged is not None for event in events),
        _span(middle(event.seen for event in events)),
        _span(middle(event.paged for event in events)),
        _span(middle(event.lead for event in events)) if walls else "no wall",
        _percent(middle(event.left for event in events)),
        _counted(Counter(event.first_page for event in events if event.first_page)),
        _counted(Counter(cause for event in events for cause in event.strange)),
        _ratio(event.named for event in events) if names else "nobody",
        _ratio(event.misnamed for event in events) if names else "",
        f"{_percent(coverage(etas))} of {len(etas)}" if etas else "",
    ]


def _eta_row(name: str, events: Sequence[Sequence[EtaScore]]) -> list[str]:
    """`events`: the forecasts of each. Too early and too late are said of the whole range."""
    etas = [eta for event in events for eta in event]
    shares = [share for event in events if (share := coverage(event)) is not None]
    early = sum(eta.latest is not None and eta.latest < 1.0 for eta in etas)
    late = sum(eta.earliest > 1.0 for eta in etas)
    return [
        name,
        str(len(etas)),
        _percent(coverage(etas)),
        _percent(sum(shares) / len(shares)) if shares else "",
        _percent(early / len(etas)) if etas else "",
        _percent(late / len(etas)) if etas else "",
        _times(middle(eta.earliest for eta in etas)),
        _times(middle(eta.latest for eta in etas)),
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _counted(causes: Counter[str]) -> str:
    return ", ".join(f"{cause} {number}" for cause, number in causes.most_common())


def _ratio(flags: Iterable[bool]) -> str:
    known = list(flags)
    return f"{sum(known)}/{len(known)}"


def _percent(part: float | None) -> str:
    return "" if part is None else f"{part:.0%}"


def _times(factor: float | None) -> str:
    return "" if factor is None else f"{factor:.2f}"


def _span(seconds: float | None) -> str:
    """A duration as people say it."""
    if seconds is None:
        return "never"
    for size, unit in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if abs(seconds) >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
