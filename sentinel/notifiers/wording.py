"""The words that every destination uses for an incident, so that all tell the same story.

Knows what a reader woken at three o'clock needs, in which order; knows nothing of markup or limits. All strings
that come out are clean: one line, no control characters, valid Unicode; escaping is the destination's business.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import fmean
from typing import NamedTuple

from sentinel.model import Course, Culprit, Eta, Evidence, Incident, Notification, Reason, Severity
from sentinel.pipeline.diagnosis.words import count, pace, size
from sentinel.pipeline.diagnosis.words import span as brief

__all__ = [
    "Link",
    "Story",
    "clean",
    "clock_time",
    "cut",
    "duration",
    "eta_in_words",
    "fitting",
    "headline",
    "measured",
    "plain",
    "rfc3339",
    "shorten",
    "sparkline",
    "tell",
    "title",
]

TITLES = {
    "leak": "Connection leak",
    "exhaustion": "Connections running out",
    "flood": "Connection flood",
    "churn": "Connection churn",
    "refused": "Connections refused (server full)",
    "unreachable": "Unreachable",
    "frozen": "Server frozen",
    "latency": "Slow server",
    "memory": "Memory running out",
    "client_buffers": "Client buffers piling up",
    "failover": "Failover not followed",
    "idle_spin": "Workers spinning idle",
    "change": "Change",
    "backlog": "Queue backlog",
    "stall": "Stall",
    "lost_workers": "Workers lost",
    "failing_jobs": "Failing jobs",
    "missed_heartbeats": "Missed heartbeat",
    "clock_skew": "Wrong clock",
    "undelivered": "Alerts not delivered",
    "unsaved": "State not saved",
    "public_update": "Public update",
    "digest": "What would have been told",
    "sentinel_test": "Test message",
}
"""What each cause is called; a name that is not here is spelled out."""

_MOST = 50
"""Items of a list that are looked at."""

_BARS = "▁▂▃▄▅▆▇█"
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class Link(NamedTuple):
    """Where a reader finds more."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Story:
    """An incident in words, each part empty where there is nothing to say."""

    title: str
    """Cause and target: "Connection leak on redis-a"."""
    status: str
    """How bad and why now: "critical, was warning", "resolved after 2 h 6 min"."""
    summary: str
    first_action: str
    eta: str
    culprit: str
    since: str
    trend: str
    """A row of bars: what the metric behind it did up to now."""
    affected: str
    evidence: tuple[str, ...]
    ruled_out: tuple[str, ...]
    examples: tuple[str, ...]
    ref: str
    sign: str = ""
    """One character for how bad it is, for chats."""
    notes: str = ""
    """What else a reader should know: a deploy, a silence that ended."""
    also: str = ""
    """Other incidents of the target that are told by this message and by none of their own."""
    links: tuple[Link, ...] = ()
    failed_templates: tuple[str, ...] = ()
    """Templates in whose place the built-in words stand."""

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What there is to say in a line each, with its label, what matters first."""
        parts = (
            ("First action", self.first_action),
            ("Time left", self.eta),
            ("Who", self.culprit),
            ("Since", self.since),
            ("Trend", self.trend),
            ("Affected", self.affected),
            ("Note", self.notes),
            ("Also", self.also),
        )
        return tuple((label, text) for label, text in parts if text)


def tell(notification: Notification) -> Story:
    """The story of a notification. What is over asks for no action and has no time left to tell."""
    incident, now = notification.incident, notification.time
    finding, over = incident.finding, notification.reason is Reason.RESOLVED
    return Story(
        title=title(incident),
        status=_status(notification),
        summary=_over(incident, now) if over else clean(finding.summary),
        first_action="" if over else clean(finding.first_action),
        eta="" if over or finding.eta is None else eta_in_words(finding.eta, now),
        culprit=_culprit(finding.culprit) if finding.culprit else "",
        since=_since(finding.since, now) if finding.since is not None and not over else "",
        trend=_trend(notification.course, now) if notification.course is not None else "",
        affected=", ".join(clean(name, 300) for name in finding.affected[:_MOST]),
        evidence=tuple(map(_evidence, finding.evidence[:_MOST])),
        ruled_out=tuple(clean(cut(why, 500)) for why in finding.ruled_out[:_MOST]),
        examples=_examples(finding.culprit) if finding.culprit else (),
        ref=incident.ref,
        sign=_sign(notification),
        notes=" ".join(clean(cut(text, 500)) for text in incident.context[-_MOST:]),
        also=", ".join(f"{title(other)} ({other.severity.name.lower()})" for other in notification.related[:_MOST]),
    )


def plain(story: Story) -> str:
    """The whole story as text, what matters first: a cut from below loses what matters least."""
    head = [f"{story.title} · {story.status} · {story.ref}", story.summary]
    head += [f"{label}: {text}" if text is not story.eta else text for label, text in story.facts]
    head += [f"{link.name}: {link.url}" for link in story.links]
    lists = (("Evidence:", story.evidence), ("Not:", story.ruled_out), ("Examples:", story.examples))
    tail = [line for name, items in lists if items for line in (name, *(f"  {item}" for item in items))]
    return "\n".join(line for line in head + tail if line)


def fitting(lines: Iterable[str], limit: int, size: Callable[[str], int] = len) -> tuple[str, bool]:
    """As many whole lines as fit into a limit, and whether some were left out.

    >>> fitting(["one", "two", "three"], 8)
    ('one\\ntwo', True)
    """
    taken: list[str] = []
    left = limit + 1
    for line in lines:
        left -= size(line) + 1
        if left < 0:
            return "\n".join(taken), True
        taken.append(line)
    return "\n".join(taken), False


def headline(story: Story) -> str:
    """All that a phone shows: what, how bad, what to do or how long is left."""
    return " ".join(part for part in (f"{story.title}: {story.status}.", story.eta or story.summary) if part)


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """The course of a value as a row of bars, from its least to its greatest; empty if there is no course.

    Longer courses are drawn by the mean of equal parts.

    >>> sparkline([0, 1, 2, 3, 4, 5, 6, 7]), sparkline([5, 5, 9, 9], width=2), sparkline([3, 3])
    ('▁▂▃▄▅▆▇█', '▁█', '')
    """
    finite = [value for value in values if math.isfinite(value)]
    parts = min(width, len(finite))
    means = [fmean(finite[len(finite) * n // parts : len(finite) * (n + 1) // parts]) for n in range(parts)]
    least, span = min(means, default=0.0), max(means, default=0.0) - min(means, default=0.0)
    return "".join(_BARS[round((value - least) / span * (len(_BARS) - 1))] for value in means) if span > 0 else ""


def title(incident: Incident) -> str:
    """Cause and target first.

    >>> title(Incident("1", "k", "redis-a", "backlog", "encode", Severity.INFO, "open", 0, 0, None))
    'Queue backlog of encode on redis-a'
    """
    known = TITLES.get(incident.cause)
    name = known or clean(incident.cause).replace("_", " ").replace("-", " ").strip().capitalize()
    joint = "to" if incident.cause == "undelivered" else "of"
    of = f" {joint} {clean(incident.subject)}" if incident.subject else ""
    return f"{name}{of} on {clean(incident.target)}"


def clean(text: str, most: int = 3000) -> str:
    """One line of valid Unicode without control characters; runs of space become one. Looks at `most` characters.

    >>> clean("a\\tb\\x1b[31m\\n c")
    'a b [31m c'
    """
    valid = text[:most].encode("utf-8", "replace").decode()
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in valid).split())


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, ending with … if something is missing.

    >>> cut("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shorten(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, ending with … if something is missing.

    >>> shorten("äöü", 5)
    'ä…'
    """
    whole = text.encode()
    return text if len(whole) <= limit else whole[: limit - 3].decode(errors="ignore") + "…"


def duration(seconds: float) -> str:
    """A span in its two largest units.

    >>> [duration(s) for s in (0.4, 45, 720, 7560, 273600)]
    ['0 s', '45 s', '12 min', '2 h 6 min', '3 d 4 h']
    """
    if not math.isfinite(seconds):
        return "an unknown time"
    left = max(0, round(seconds if seconds < 60 else round(seconds / 60) * 60))
    parts: list[tuple[int, str]] = []
    for seconds_each, unit in _UNITS:
        whole, left = divmod(left, seconds_each)
        if whole or parts:
            parts.append((whole, unit))
    return " ".join(f"{whole} {unit}" for whole, unit in parts[:2] if whole) or "0 s"


def clock_time(time: float, now: float) -> str:
    """Time of day in UTC, with the day if it is not today's. "UTC" is left to the caller.

    >>> clock_time(1764000600.0, 1764000000.0), clock_time(1764086400.0, 1764000000.0)
    ('16:10', '25 Nov 16:00')
    """
    when, today = _utc(time), _utc(now)
    if when is None:
        return "an unknown time"
    same = today is not None and when.date() == today.date()
    return when.strftime("%H:%M" if same else "%-d %b %H:%M")


def rfc3339(time: float | None) -> str | None:
    """A time as machines read it; None for none, or for one that no calendar has.

    >>> rfc3339(1764000000.1239)
    '2025-11-24T16:00:00.123Z'
    """
    when = None if time is None else _utc(time)
    return None if when is None else when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def _utc(time: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(time, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _status(notification: Notification) -> str:
    incident, before = notification.incident, notification.previous_severity
    severity, age = incident.severity.name.lower(), duration(notification.time - incident.opened)
    flapping = ", flapping" if incident.flapping else ""
    in_hand = f", acknowledged{_by(incident.acknowledged_by)}" if incident.acknowledged is not None else ""
    match notification.reason:
        case Reason.DEPLOYED:
            return "deployed"
        case Reason.DIGEST:
            return f"shadow mode, the last {age}"
        case Reason.RESOLVED:
            lasted = duration((incident.resolved or notification.time) - incident.opened)
            return f"resolved{_by(incident.resolved_by)} after {lasted}"
        case Reason.ACKNOWLEDGED:
            return f"acknowledged{_by(incident.acknowledged_by)}, {severity}{flapping} for {age}"
        case Reason.REPEATED:
            return f"still {severity}{flapping} after {age}{in_hand}"
        case Reason.UPDATED:
            return f"{severity}{_was(before, incident.severity)}{flapping}, for {age}{in_hand}"
        case _:
            return f"{severity}{_was(before, incident.severity)}{flapping}"


def _by(person: str) -> str:
    return f" by {clean(person, 100)}" if person else ""


_SIGNS = {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠", Severity.INFO: "🔵"}


def _sign(notification: Notification) -> str:
    special = {Reason.RESOLVED: "✅", Reason.DIGEST: "📋", Reason.DEPLOYED: "🚚", Reason.ACKNOWLEDGED: "👀"}
    return special.get(notification.reason) or _SIGNS[notification.incident.severity]


def _was(before: Severity | None, now: Severity) -> str:
    return "" if before is None or before is now else f", was {before.name.lower()}"


def _over(incident: Incident, now: float) -> str:
    end = incident.resolved or now
    again = f", {incident.occurrences} times" if incident.occurrences > 1 else ""
    span = f"From {clock_time(incident.opened, end)} to {clock_time(end, end)} UTC{again}."
    return f"{span} Last seen: {clean(incident.finding.summary)}"


def _since(since: float, now: float) -> str:
    return f"{clock_time(since, now)} UTC ({duration(now - since)})"


def eta_in_words(eta: Eta, now: float) -> str:
    """When the wall is reached, as a range, in words."""
    wall = f" ({clean(eta.wall)})" if eta.wall else ""
    earliest, latest = eta.earliest, eta.latest
    first, soonest = clock_time(earliest, now), duration(earliest - now)
    if latest is None:
        return f"Full at {first} UTC at the earliest{wall}, in {soonest}, if the trend holds."
    last, longest = clock_time(latest, now), duration(latest - now)
    if latest <= now:
        return f"Full now{wall}."
    if earliest <= now:
        return f"Full any moment, at {last} UTC at the latest{wall}, in {longest}."
    left = soonest if soonest == longest else f"{soonest} to {longest}"
    if first == last:
        return f"Full at about {first} UTC{wall}, in {left}."
    return f"Full between {first} and {last} UTC{wall}, in {left}."


def _trend(course: Course, now: float) -> str:
    bars = sparkline(course.values)
    if not bars:
        return ""
    span = f"{_number(course.values[0])} to {_number(course.values[-1])} since {clock_time(course.since, now)} UTC"
    return f"{bars} {clean(course.metric, 200)}, {span}"


def _culprit(culprit: Culprit) -> str:
    share = "" if culprit.share is None else f" ({_percent(culprit.share)} of the growth)"
    detail = f": {clean(culprit.detail)}" if culprit.detail else ""
    return f"{clean(culprit.name)}{share}{detail}"


def _examples(culprit: Culprit) -> tuple[str, ...]:
    rows = (" ".join(f"{k[:100]}={v[:100]}" for k, v in row[:_MOST]) for row in culprit.examples[:_MOST])
    return tuple(clean(cut(row, 500)) for row in rows)


def _evidence(evidence: Evidence) -> str:
    expected = f", expected {clean(evidence.expected, 300)}" if evidence.expected else ""
    return f"{clean(evidence.name, 300)}: {measured(evidence)}{expected}"


def measured(evidence: Evidence) -> str:
    """The number as people say it.

    >>> measured(Evidence("opened", 0.05, "/s")), measured(Evidence("limit", 2**30, "B"))
    ('3/min', '1 GiB')
    """
    return _measure(evidence.value, clean(evidence.unit, 50))


def _measure(value: float, unit: str) -> str:
    """A number as people say it, by its unit."""
    if not math.isfinite(value):
        return f"{value} {unit}".rstrip()
    if unit == "ratio":
        return _percent(value)
    if unit in ("1/s", "/s"):
        return pace(value)
    if unit in ("s", "seconds"):
        return brief(value)
    if unit in ("B", "bytes"):
        return size(value)
    return f"{_number(value)}{'' if unit.startswith('/') else ' '}{unit}".rstrip()


def _percent(share: float) -> str:
    return f"{share:.0%}" if math.isfinite(share) else "an unknown share"


def _number(value: float) -> str:
    if abs(value) >= 1000 or value == int(value):
        return count(value) if abs(value) < 1e15 else f"{value:.3g}"
    return f"{value:.3g}"
