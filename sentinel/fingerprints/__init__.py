"""Known leaks by how their connections look: what CLIENT LIST shows of them, what they are, and how they are mended.

A fingerprint is told by the rows of a cohort (connections that were opened and never used again, or whatever group
grows), never by a single number. Data is `known.yaml` beside this file; users can add their own (`read`).

Pure: knows rows and patterns. Must not know how rows are read nor when a group grows. Reading files is `read`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Fingerprint", "Row", "recognise"]

Row = Mapping[str, str]
"""One connection: `name`, `user`, `lib`, `cmd`, `flags`, `db`, `addr`, `age` and `idle` as CLIENT LIST says them, and
`port`, the server's own. What is missing is empty."""

MOST = 0.8
"""Part of a cohort's rows that a fingerprint must match: others share most groups with the one that leaks."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """One known leak.

    >>> orphan = Fingerprint("x", "clients made for each call", {"name": "", "cmd": "info"})
    >>> orphan.matches({"name": "", "cmd": "info", "lib": "ioredis"}), orphan.matches({"name": "api", "cmd": "info"})
    (True, False)
    """

    id: str
    title: str
    """What it is, in a few words."""
    match: Mapping[str, str]
    """Regular expressions by field, each for the whole value; an empty one wants an empty value."""
    fix: str = ""
    """What to do about it."""
    fixed_in: str = ""
    """The first version without it, where there is one."""
    links: tuple[str, ...] = ()
    """Where it is told of."""

    def matches(self, row: Row) -> bool:
        """Whether a connection looks like it."""
        return all(_pattern(wanted).fullmatch(row.get(name, "")) for name, wanted in self.match.items())


def recognise(rows: Sequence[Row], known: Iterable[Fingerprint]) -> Fingerprint | None:
    """The known leak that most rows of a cohort look like; the one that asks most of them wins. None: unknown.

    >>> fingerprints = [Fingerprint("any", "", {"cmd": "info"}), Fingerprint("own", "", {"cmd": "info", "name": ""})]
    >>> found = recognise([{"cmd": "info"}] * 9 + [{"cmd": "get"}], fingerprints)
    >>> found.id if found else None
    'own'
    >>> recognise([{"cmd": "get"}], fingerprints), recognise([], fingerprints)
    (None, None)
    """
    fitting = [each for each in known if rows and sum(map(each.matches, rows)) >= MOST * len(rows)]
    return max(fitting, key=lambda each: len(each.match), default=None)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)
