"""A proposal as YAML that can be laid over a configuration, with a reason a line, and in words.

Pure. Knows how settings are spelled in YAML. Must not know how a proposal comes about.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sentinel.model import Seconds
from sentinel.pipeline.diagnosis.words import span
from sentinel.pipeline.settings import MaintenanceWindow
from sentinel.replay.tune import Change, Outcome, Proposal

__all__ = ["as_patch", "as_summary"]

_SPANS = frozenset({"for", "for_unknown", "for_paused", "critical_after", "hold", "slo"})


def as_patch(proposal: Proposal) -> str:
    """YAML: the keys to change and nothing else."""
    if not proposal.changes:
        return "# Nothing to change.\n"
    lines = ["# Proposed by sentinel tune. Nothing was changed; copy what you agree with."]
    open_: tuple[str, ...] = ()
    for change in sorted(proposal.changes, key=lambda each: each.path):
        parents = change.path[:-1]
        for depth, name in enumerate(parents):
            if open_[: depth + 1] != parents[: depth + 1]:
                lines.append(f"{'  ' * depth}{_key(name)}:")
        open_ = parents
        lines.append(f"{'  ' * len(parents)}{_line(change)}")
    return "\n".join(lines) + "\n"


def _line(change: Change) -> str:
    spelled = f"{_key(change.path[-1])}: {_value(change.path, change.after)}"
    was = "" if change.before is None else f"was {_value(change.path, change.before)}: "
    return f"{spelled:<28} # {was}{change.why}"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else json.dumps(name)


def _value(path: tuple[str, ...], value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], MaintenanceWindow):
        return f"[{', '.join(map(_window, value))}]"
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    if path[-1] in _SPANS or (len(path) > 1 and path[-2] in _SPANS):
        return _span(float(value))
    return f"{float(value):.4g}"


def _window(window: MaintenanceWindow) -> str:
    known: dict[str, Any] = {"name": window.name, "start": window.start, "lasts": _span(window.lasts)}
    known |= {"targets": list(window.targets), "labels": dict(window.labels), "timezone": window.timezone}
    return json.dumps({name: value for name, value in known.items() if value})


def _span(seconds: Seconds) -> str:
    """As the configuration spells durations.

    >>> _span(90.0), _span(7200.0), _span(0.25)
    ('90s', '2h', '250ms')
    """
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


def as_summary(proposal: Proposal) -> str:
    """What to expect, before and after."""
    return "\n".join(_summary(proposal))


def _summary(proposal: Proposal) -> Iterator[str]:
    yield f"Budget: {proposal.budget:g} pages a week."
    if proposal.unseen_after.weeks:
        weeks = f"{proposal.unseen_after.weeks:.1f} weeks that no fit had seen"
        yield from _pair(weeks, proposal.unseen_before, proposal.unseen_after)
    else:
        yield "The history is too short to keep a week back: what follows was fitted to what it is judged on."
    yield from _pair("the whole history", proposal.whole_before, proposal.whole_after)
    yield "The budget is met." if proposal.met else "The budget is not met without losing what was real."
    for trouble in proposal.lost:
        yield f"LOST: {trouble}"


def _pair(what: str, before: Outcome, after: Outcome) -> Iterator[str]:
    yield f"On {what}:"
    yield f"  pages a week      {before.pages_per_week:.2g} now, {after.pages_per_week:.2g} then"
    yield f"  in vain           {before.vain} now, {after.vain} then"
    yield f"  real ones told    {before.real} now, {after.real} then"
    yield f"  median lead       {_lead(before.lead)} now, {_lead(after.lead)} then"


def _lead(seconds: Seconds | None) -> str:
    return "none" if seconds is None else span(seconds) if seconds >= 0 else f"-{span(-seconds)}"
