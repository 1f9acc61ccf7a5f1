"""A verdict for people and for programs: text that fits a terminal or a file, and plain values for JSON.

Pure. Knows a verdict; must not know how it came about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sentinel.model import Seconds, Severity
from sentinel.pipeline.diagnosis.words import count, span
from sentinel.replay.judge import Label, Told, Verdict

__all__ = ["as_text", "as_values", "facts", "moment_text", "sentence"]


def moment_text(time: float) -> str:
    """A Unix time, to the minute.

    >>> moment_text(1764000000.0)
    '2025-11-24 16:00 UTC'
    """
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC")


def as_text(verdicts: Mapping[str, Verdict], warnings_too: bool = True) -> str:
    """The whole report; several verdicts, by the name of their settings, side by side."""
    first = next(iter(verdicts.values()))
    lines = [*_scope(first), ""]
    lines += _table(verdicts)
    for name, verdict in verdicts.items():
        shown = [told for told in verdict.told if told.severity >= Severity.WARNING or told.label is not None]
        lines += ["", f"What {name} would have told" if len(verdicts) > 1 else "What would have been told"]
        if warnings_too or shown:
            lines += [line for told in shown for line in _told(told, verdict)] or ["  nothing"]
        lines += [f"  MISSED  {_labelled(label)}" for label in verdict.missed]
    return "\n".join(lines)


def _scope(verdict: Verdict) -> list[str]:
    history = verdict.history
    if not history.targets:
        return ["The tape holds no poll."]
    gaps = [gap for seen in history.targets.values() for gap in seen.gaps]
    text = (
        f"{moment_text(history.first)} to {moment_text(history.last)} ({span(history.last - history.first)}): "
        f"{_many(len(history.targets), 'target')}, {count(history.samples)} samples"
    )
    lines = [text]
    if gaps:
        lines.append(
            f"{_many(len(gaps), 'gap')} of {span(sum(b - a for a, b in gaps))} in all; nothing was made up for them"
        )
    lines += [f"{_GAPS.get(gap.why, gap.why)} at {moment_text(gap.time)}" for gap in history.gaps]
    if history.starts and history.starts[0].start != "cold":
        lines.append(
            "The tape begins in the middle: what was learnt before it is not on it, so the first hours may differ"
        )
    return lines


_GAPS = {
    "reload": "The live daemon got other settings",
    "lost": "The disk did not keep up: some polls are missing",
}


def facts(verdict: Verdict) -> list[tuple[str, str]]:
    """The numbers that matter, each with its name."""
    found = [
        ("pages", f"{len(verdict.pages)}"),
        ("pages a week", f"{verdict.pages_per_week:.2g}" if verdict.weeks >= 1 / 7 else "too short to say"),
        ("warnings besides", f"{len(verdict.warnings)}"),
        ("walls forecast", f"{len(verdict.leads)}"),
        ("median lead, from the opening", _span(verdict.median_lead)),
        ("median lead, from the page", _span(verdict.median_page_lead)),
        ("notifications", f"{verdict.notifications}"),
    ]
    if verdict.labels is not None:
        found.append(("false pages", f"{len(verdict.false)}"))
        found.append(("labels missed", f"{len(verdict.missed)} of {len(verdict.labels)}"))
    return found


def _table(verdicts: Mapping[str, Verdict]) -> list[str]:
    rows = [facts(verdict) for verdict in verdicts.values()]
    columns = [[name for name, _ in rows[0]], *([value for _, value in row] for row in rows)]
    if len(verdicts) > 1:
        columns = [["", *columns[0]], *([name, *column] for name, column in zip(verdicts, columns[1:], strict=True))]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]


def _told(told: Told, verdict: Verdict) -> list[str]:
    mark = "FALSE " if told in verdict.false else ""
    head = f"  {moment_text(told.opened)}  {mark}{told.severity.name.lower()} {told.cause} on {told.target}"
    return [head + (f" ({told.subject})" if told.subject else ""), f"      {told.summary}", f"      {sentence(told)}"]


def sentence(told: Told) -> str:
    """When somebody would have been woken, how much time was left then or was forecast, and when it was over."""
    parts = []
    if told.lead is not None:
        parts.append(f"opened {_before(told.lead)}")
    if told.paged is None:
        parts.append("no page")
    else:
        later = told.paged - told.opened
        when = f"{span(later)} later" if later >= 1 else "at once"
        parts.append(f"a page {when}" + (f", {_before(told.page_lead)}" if told.page_lead is not None else ""))
    if told.wall is None and told.eta is not None:
        parts.append(f"forecast was {moment_text(told.eta[0])} at the earliest")
    if told.delay is not None:
        parts.append(f"{span(abs(told.delay))} {'after' if told.delay >= 0 else 'before'} the labelled start")
    parts.append(
        "still open at the end" if told.resolved is None else f"over after {span(told.resolved - told.opened)}"
    )
    return "; ".join(parts)


def _before(lead: Seconds) -> str:
    if lead > 0:
        return f"{span(lead)} before the wall"
    return "at the wall" if lead > -60 else f"{span(-lead)} after the wall"


def _span(seconds: Seconds | None) -> str:
    return "none" if seconds is None else f"-{span(-seconds)}" if seconds < 0 else span(seconds)


def _labelled(label: Label) -> str:
    causes = "/".join(sorted(label.causes)) or "trouble"
    note = f": {label.note}" if label.note else ""
    return f"{causes} on {label.target}, {moment_text(label.start)}{note}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def as_values(verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    """The same for JSON; times in Unix seconds, spans in seconds."""
    first = next(iter(verdicts.values())).history
    return {
        "from": first.first,
        "to": first.last,
        "samples": first.samples,
        "targets": sorted(first.targets),
        "gaps": [[name, *gap] for name, seen in sorted(first.targets.items()) for gap in seen.gaps],
        "verdicts": {name: _values(verdict) for name, verdict in verdicts.items()},
    }


def _values(verdict: Verdict) -> dict[str, Any]:
    values: dict[str, Any] = {
        "pages": len(verdict.pages),
        "pages_per_week": verdict.pages_per_week,
        "warnings": len(verdict.warnings),
        "median_lead_seconds": verdict.median_lead,
        "median_page_lead_seconds": verdict.median_page_lead,
        "notifications": verdict.notifications,
        "told": [_told_values(told) for told in verdict.told],
    }
    if verdict.labels is not None:
        values |= {"false_pages": len(verdict.false), "missed": [_labelled(label) for label in verdict.missed]}
    return values


def _told_values(told: Told) -> dict[str, Any]:
    plain: Sequence[str] = (
        "id",
        "target",
        "cause",
        "subject",
        "culprit",
        "summary",
        "opened",
        "paged",
        "resolved",
        "wall",
    )
    derived = {
        "severity": told.severity.name.lower(),
        "lead_seconds": told.lead,
        "page_lead_seconds": told.page_lead,
        "delay_seconds": told.delay,
        "forecast": told.eta,
    }
    return {name: getattr(told, name) for name in plain} | derived
