"""An audit for people and for programs: plain text, Markdown, values for JSON.

Pure. Knows remarks; must not know how they came about.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sentinel.audit.checks import Ceiling, Level, Remark
from sentinel.audit.clients import Group
from sentinel.audit.look import Look
from sentinel.pipeline.diagnosis.words import count

__all__ = ["Audit", "as_markdown", "as_text", "as_values"]

_WIDTH = 100
_GROUPS = 10
_COLOURS = {Level.OK: "32", Level.ATTENTION: "33", Level.DANGER: "31"}


@dataclass(frozen=True)
class Audit:
    """All that is told of one server."""

    look: Look
    top: Ceiling | None
    groups: Sequence[Group]
    remarks: Sequence[Remark]

    @property
    def level(self) -> Level:
        """The worst of all."""
        return max((remark.level for remark in self.remarks), default=Level.OK)

    @property
    def server(self) -> str:
        """What answers there."""
        name = "Valkey" if self.look.valkey else "Redis"
        role = self.look.info.get("role", "")
        return f"{name} {'.'.join(map(str, self.look.version))}" + (f", {role}" if role else "")


def as_text(audit: Audit, colour: bool = False) -> str:
    """For a terminal or a file."""
    lines = [f"{audit.look.address}: {audit.server}", ""]
    for remark in audit.remarks:
        lines += _remark(remark, colour)
    lines += ["", *_groups(audit), *_queues(audit)]
    lines += [f"Not looked at: {note}" for note in audit.look.notes]
    lines += ["", "The least that Sentinel needs here (run it as an administrator, with a password of yours):", ""]
    lines += [f"  {audit.look.acl}", "", f"Verdict: {_level(audit.level, colour)}"]
    return "\n".join(lines)


def _remark(remark: Remark, colour: bool) -> list[str]:
    mark = _level(remark.level, colour) + " " * (10 - len(remark.level.name))
    first, *more = textwrap.wrap(f"{remark.about}: {remark.says}", _WIDTH - 10, break_on_hyphens=False)
    lines = [mark + first, *(" " * 10 + line for line in more)]
    if remark.do:
        lines += [" " * 10 + line for line in textwrap.wrap(f"→ {remark.do}", _WIDTH - 10, subsequent_indent="  ")]
    return lines + [f"{' ' * 12}{link}" for link in remark.links]


def _level(level: Level, colour: bool) -> str:
    name = level.name.lower()
    return f"\x1b[{_COLOURS[level]}m{name}\x1b[0m" if colour else name


def _groups(audit: Audit) -> list[str]:
    if not audit.groups:
        return []
    rows = [("clients", "never used again", "sources", "group")]
    for group in audit.groups[:_GROUPS]:
        rows.append((count(group.clients), count(len(group.cohort)), count(len(group.sources)), group.label))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([*(cell.rjust(w) for cell, w in zip(row, widths, strict=False)), row[3]]) for row in rows]
    rest = audit.groups[_GROUPS:]
    if rest:
        lines.append(f"and {len(rest)} smaller groups with {count(sum(group.clients for group in rest))} clients")
    return ["Who holds the connections:", "", *(f"  {line}" for line in lines), ""]


def _queues(audit: Audit) -> list[str]:
    depths = [(labels, value) for labels, value in audit.look.each("queue_depth")]
    workers = sum(value for _, value in audit.look.each("discovered_workers"))
    if not depths:
        return ["No job system was found by its registries; others can be named in YAML.", ""]
    shown = sorted(depths, key=lambda item: -item[1])[:_GROUPS]
    lines = [
        f"  {count(value):>8} waiting  {labels.get('system', '')} {labels.get('queue', '')}" for labels, value in shown
    ]
    more = [f"  and {len(depths) - _GROUPS} more"] if len(depths) > _GROUPS else []
    return [f"Queues found, with {count(workers)} workers:", "", *lines, *more, ""]


def as_markdown(audit: Audit) -> str:
    """For a ticket or a pull request."""
    lines = [f"# Audit of {audit.look.address}", "", f"{audit.server}. Verdict: **{audit.level.name.lower()}**.", ""]
    lines += ["| | about | what | do |", "|---|---|---|---|"]
    for remark in audit.remarks:
        links = "".join(f" [{number}]({link})" for number, link in enumerate(remark.links, 1))
        cells = (remark.level.name.lower(), remark.about, remark.says, remark.do + links)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    lines += ["", "| clients | never used again | sources | group |", "|---:|---:|---:|---|"]
    for group in audit.groups[:_GROUPS]:
        label = group.label.replace("|", "\\|").replace("`", "'")
        lines.append(f"| {group.clients} | {len(group.cohort)} | {len(group.sources)} | `{label}` |")
    return "\n".join([*lines, "", "The least that Sentinel needs here:", "", "```", audit.look.acl, "```"])


def as_values(audit: Audit) -> dict[str, Any]:
    """For JSON."""
    top = audit.top
    return {
        "address": audit.look.address,
        "server": audit.server,
        "level": audit.level.name.lower(),
        "ceiling": None
        if top is None
        else {"limit": top.limit, "effective": top.effective, "used": top.used, "taken": dict(top.taken)},
        "remarks": [
            {"level": r.level.name.lower(), "about": r.about, "says": r.says, "do": r.do, "links": list(r.links)}
            for r in audit.remarks
        ],
        "groups": [
            {
                "group": g.label,
                "clients": g.clients,
                "unused": len(g.cohort),
                "sources": len(g.sources),
                "named": g.named,
            }
            for g in audit.groups
        ],
        "queues": [{**labels, "depth": value} for labels, value in audit.look.each("queue_depth")],
        "forbidden": list(audit.look.forbidden),
        "notes": list(audit.look.notes),
        "acl": audit.look.acl,
    }
