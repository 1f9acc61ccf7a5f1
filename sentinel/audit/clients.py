"""Rows of CLIENT LIST to groups, and to the cohort of each: opened once, used once, never closed.

One look cannot see growth, but it can see when each of those that are left was opened. A pool that fills does so in
one burst; a leak goes on, so the births of its cohort are spread over its whole age.

Pure. Knows rows. Must not know limits or what is bad.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sentinel.fingerprints import Row
from sentinel.model import Seconds
from sentinel.samplers.client_groups import Grouping, Origin

__all__ = ["Cohort", "Group", "grouped", "rows"]

_OWN = "sentinel-"
_EXEMPT = frozenset("bPSMOx")
_SPREAD_MOST = 0.5
"""Part of a cohort that may have been born within a tenth of its age; more is a burst."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Connections of one group that were opened and never used again, and are older than a little."""

    rows: tuple[Row, ...]
    births: tuple[Seconds, ...]
    """How long ago each was opened, oldest first."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def spread(self) -> bool:
        """Whether they came one after another, not in a burst."""
        if len(self.births) < 5:
            return False
        width = max(1.0, (self.births[0] - self.births[-1]) / 10)
        youngest_first = self.births[::-1]
        within = (at + 1 - bisect_left(youngest_first, age - width) for at, age in enumerate(youngest_first))
        return max(within) <= _SPREAD_MOST * len(self.births)

    @property
    def pace(self) -> float:
        """Births a second: those of the younger half over the time in which they came, since what has stopped no
        longer counts."""
        half = self.births[len(self.births) // 2 :]
        return len(half) / half[0] if half and half[0] > 0 else 0.0


@dataclass(slots=True)
class Group:
    """Clients that belong together."""

    label: str
    named: bool
    clients: int = 0
    blocked: int = 0
    sources: set[tuple[str, str]] = field(default_factory=set)
    cohort: Cohort = field(default_factory=lambda: Cohort((), ()))


def rows(text: str, port: int = 0) -> list[Row]:
    """Rows of others than ourselves, with names as fingerprints and people say them."""
    found: list[Row] = []
    for line in text.splitlines():
        pairs = dict(word.partition("=")[::2] for word in line.split(" "))
        if not pairs.get("id") or pairs.get("name", "").startswith(_OWN):
            continue
        if not (pairs.get("age", "").isdecimal() and pairs.get("idle", "").isdecimal()):
            continue
        row = {name: pairs.get(name, "") for name in ("id", "name", "user", "cmd", "flags", "db", "age", "idle")}
        row |= {"lib": pairs.get("lib-name", ""), "addr": pairs.get("addr", "").rpartition(":")[0], "port": str(port)}
        found.append(row)
    return found


def grouped(all_rows: Sequence[Row], unused_after: Seconds) -> list[Group]:
    """Groups, the largest first.

    Args:
        all_rows: Every client.
        unused_after: Age from which on a connection that was only used when it was opened is of the cohort.
    """
    grouping = Grouping()
    labels = [grouping.label(_origin(row)) for row in all_rows]
    counts: dict[str, int] = {}
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
    if grouping.learn(counts):
        labels = [grouping.label(_origin(row)) for row in all_rows]
    members: dict[str, list[Row]] = {}
    for label, row in zip(labels, all_rows, strict=True):
        members.setdefault(label, []).append(row)
    groups = [_group(label, of_it, unused_after) for label, of_it in members.items()]
    return sorted(groups, key=lambda group: (-group.clients, group.label))


def _origin(row: Row) -> Origin:
    return Origin(row["name"], row["user"], row["lib"], row["addr"], row["cmd"], row["db"])


def _group(label: str, members: Sequence[Row], unused_after: Seconds) -> Group:
    unused = sorted((row for row in members if _is_unused(row, unused_after)), key=lambda row: -int(row["age"]))
    return Group(
        label=label,
        named=bool(members[0]["name"]),
        clients=len(members),
        blocked=sum("b" in row["flags"] for row in members),
        sources={(row["name"], row["addr"]) for row in members},
        cohort=Cohort(tuple(unused), tuple(float(row["age"]) for row in unused)),
    )


def _is_unused(row: Mapping[str, str], unused_after: Seconds) -> bool:
    age, idle = int(row["age"]), int(row["idle"])
    return age >= unused_after and idle >= age - 1 and _EXEMPT.isdisjoint(row["flags"])
