"""The timeline of one incident, for the post-mortem: as JSON, and as Markdown to be pasted.

    /api/v1/incidents/ID/timeline                    JSON
    /api/v1/incidents/ID/timeline?format=markdown    Markdown

What happened and who did what, what was sent to whom and when it arrived, the first finding with its evidence as it was
then, and what the metrics did before, during and after.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from sentinel.model import Event, Finding, Incident, Recording, Sent
from sentinel.notifiers.wording import clean, duration, measured, rfc3339, sparkline, title
from sentinel.web.acts import event
from sentinel.web.guard import answer, refusal
from sentinel.web.view import View

__all__ = ["add_timeline"]


def add_timeline(app: web.Application, view: View) -> None:
    """Put the path into an application."""

    async def timeline(request: web.Request) -> web.Response:
        name, form = request.match_info["name"], request.query.get("format", "json")
        if form not in ("json", "markdown"):
            return refusal(400, f"`format` must be json or markdown, got {form[:40]!r}")
        incident = await view.incident(name)
        if incident is None:
            return refusal(404, f"no incident is called {name[:40]!r}; /api/v1/incidents lists those open")
        events = await view.events(incident.id, 1000)
        sent = await view.sent(incident.id)
        recording = await view.recording(incident.id)
        if form == "markdown":
            lines = _markdown(incident, events, sent, recording)
            return web.Response(text="\n".join(lines) + "\n", content_type="text/markdown")
        return answer(_values(incident, events, sent, recording))

    app.router.add_get("/api/v1/incidents/{name}/timeline", timeline)


def _values(
    incident: Incident, events: Sequence[Event], sent: Sequence[Sent], recording: Recording | None
) -> dict[str, Any]:
    first = incident.finding if recording is None else recording.first
    return {
        "incident": {
            "id": incident.id,
            "ref": incident.ref,
            "title": title(incident),
            "target": incident.target,
            "cause": incident.cause,
            "subject": incident.subject,
            "severity": incident.severity.name.lower(),
            "state": incident.state,
            "opened_at": rfc3339(incident.opened),
            "resolved_at": rfc3339(incident.resolved),
            "acknowledged_at": rfc3339(incident.acknowledged),
            "acknowledged_by": incident.acknowledged_by,
            "resolved_by": incident.resolved_by,
            "occurrences": incident.occurrences,
            "flapping": incident.flapping,
            "context": incident.context,
        },
        "first_finding": _finding(first),
        "last_finding": _finding(incident.finding),
        "events": [event(found) for found in events],
        "sent": [
            {
                "destination": each.destination,
                "reason": each.reason,
                "at": rfc3339(each.created),
                "state": each.state,
                "settled_at": rfc3339(each.settled),
                "attempts": each.attempts,
                "error": each.error,
            }
            for each in sent
        ],
        "samples": [
            {"metric": series.metric, "labels": dict(series.labels), "points": [[t, v] for t, v in points]}
            for series, points in (() if recording is None else recording.series)
        ],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    culprit = finding.culprit
    return {
        "at": rfc3339(finding.time),
        "since": rfc3339(finding.since),
        "severity": finding.severity.name.lower(),
        "summary": finding.summary,
        "evidence": [
            {"name": e.name, "value": e.value, "unit": e.unit, "expected": e.expected} for e in finding.evidence
        ],
        "culprit": culprit
        and {"name": culprit.name, "detail": culprit.detail, "examples": [dict(row) for row in culprit.examples]},
        "ruled_out": finding.ruled_out,
        "first_action": finding.first_action,
    }


def _markdown(
    incident: Incident, events: Sequence[Event], sent: Sequence[Sent], recording: Recording | None
) -> Iterator[str]:
    first = incident.finding if recording is None else recording.first
    yield f"# {_safe(title(incident))} ({incident.ref})"
    yield ""
    yield from _facts(incident)
    yield from _section("What was seen first", [_safe(first.summary), "", *_evidence(first)])
    if incident.finding.summary != first.summary:
        yield from _section("What was seen last", [_safe(incident.finding.summary), "", *_evidence(incident.finding)])
    yield from _section("Timeline", _table(("Time (UTC)", "What", "Who", ""), map(_event_row, events)))
    yield from _section("Told", _table(("Time (UTC)", "Destination", "Why", "Became"), map(_sent_row, sent)))
    if recording is not None and recording.series:
        yield from _section("Metrics", _metrics(recording))


def _facts(incident: Incident) -> Iterator[str]:
    yield f"- Severity: {incident.severity.name.lower()}"
    yield f"- Opened: {_time(incident.opened)}"
    if incident.resolved is not None:
        by = f" by {_safe(incident.resolved_by)}" if incident.resolved_by else ""
        yield f"- Resolved: {_time(incident.resolved)}{by}, after {duration(incident.resolved - incident.opened)}"
    if incident.acknowledged is not None:
        yield f"- Acknowledged: {_time(incident.acknowledged)} by {_safe(incident.acknowledged_by)}"
    if incident.occurrences > 1:
        yield f"- Occurrence: {incident.occurrences}{', flapping' if incident.flapping else ''}"
    for context in incident.context:
        yield f"- {_safe(context)}"


def _section(name: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"## {name}", "", *lines)


def _evidence(finding: Finding) -> list[str]:
    lines = [f"- {_safe(e.name)}: {measured(e)}, expected {_safe(e.expected) or 'nothing'}" for e in finding.evidence]
    if finding.culprit is not None:
        lines.append(f"- Who: {_safe(finding.culprit.name)} {_safe(finding.culprit.detail)}".rstrip())
        lines += [f"  - `{_row(row)}`" for row in finding.culprit.examples]
    return lines + [f"- It is {_safe(why)}" for why in finding.ruled_out]


def _row(row: tuple[tuple[str, str], ...]) -> str:
    return clean(" ".join(f"{name}={value}" for name, value in row), 500).replace("`", "'")


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> list[str]:
    found = [f"| {' | '.join(row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *found] if found else []


def _event_row(found: Event) -> tuple[str, ...]:
    return _time(found.time), _safe(found.kind), _safe(found.by) or "Sentinel", _safe(found.text)


def _sent_row(each: Sent) -> tuple[str, ...]:
    became = each.state if each.settled is None else f"{each.state} at {_time(each.settled)}"
    return _time(each.created), _safe(each.destination), each.reason, f"{became} {_safe(each.error)}".rstrip()


def _metrics(recording: Recording) -> list[str]:
    rows = []
    for series, points in recording.series:
        values = [value for _, value in points]
        if values:
            labels = "".join(f" {name}={value}" for name, value in series.labels)
            span = f"{_time(points[0][0])} to {_time(points[-1][0])}"
            ends = (f"{value:.4g}" for value in (values[0], max(values), values[-1]))
            rows.append((_safe(series.metric + labels), sparkline(values), *ends, span))
    return _table(("Metric", "", "First", "Highest", "Last", "From, to (UTC)"), iter(rows))


def _time(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _safe(text: str) -> str:
    """One line that Markdown takes as text, within a table too."""
    escaped = clean(text)
    for sign in "\\|<>*_`[]":
        escaped = escaped.replace(sign, "\\" + sign)
    return escaped
