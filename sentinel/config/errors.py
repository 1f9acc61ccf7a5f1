"""What is wrong with a configuration, all of it at once, each with its place.

Knows how a problem is told; not how it is found.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["ConfigError", "KeyPath", "Place", "Problem", "close", "dotted", "nearest"]

KeyPath = tuple[str | int, ...]
"""Keys and list positions that lead from the top of the file to a value."""


class Place(NamedTuple):
    """Where something was written: a file and its line, or a flag of the command line."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, and what to do."""

    place: Place
    path: KeyPath
    message: str

    def __str__(self) -> str:
        path = dotted(self.path) if self.place.line is not None else ""
        return ": ".join(filter(None, (str(self.place), path, self.message)))


class ConfigError(Exception):
    """A configuration that cannot be used. Its text has one line a problem, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.place.line or 0))
        super().__init__("\n".join(dict.fromkeys(map(str, self.problems))))


def dotted(path: KeyPath) -> str:
    """A path as it is written in messages.

    >>> dotted(("targets", 0, "interval"))
    'targets[0].interval'
    """
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def close(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    names = list(known)
    longer = [name for name in names if word and name.startswith(word)]
    return next(iter(difflib.get_close_matches(word, names, n=1) or longer), None)


def nearest(word: str, known: Iterable[str]) -> str:
    """Advice for a word that is not one of the known ones.

    >>> nearest("intervall", ["interval", "timeout"])
    'did you mean `interval`?'
    >>> nearest("x", ["interval", "timeout"])
    'known here: interval, timeout'
    """
    names = list(known)
    meant = close(word, names)
    return f"did you mean `{meant}`?" if meant else f"known here: {', '.join(names)}"
