"""Silences: what people do not want to hear of, for a while.

Knows matchers and when a silence ends. Does not know who would have been told.

A matcher is `NAME=PATTERN` or `NAME!=PATTERN`. Names are `target`, `cause`, `subject`, `severity`, `id`, and the
target's labels; a pattern is text in which `*`, `?` and `[…]` stand for more. All matchers of a silence must hold. `id`
takes an incident's id or short reference; `severity` the word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from sentinel.model import Incident, ulid
from sentinel.pipeline.actions import ActionError, Silence

__all__ = ["NAMES", "Silences"]

NAMES = ("target", "cause", "subject", "severity", "id")


class _Matcher(NamedTuple):
    name: str
    pattern: str
    negated: bool

    def holds(self, values: Mapping[str, tuple[str, ...]]) -> bool:
        found = any(fnmatchcase(value, self.pattern) for value in values.get(self.name, ("",)))
        return found is not self.negated


class Silences:
    """Those in force, by id.

    Args:
        labels: Of each target.
    """

    def __init__(self, labels: Mapping[str, Mapping[str, str]]) -> None:
        self._labels = labels
        self._known = {*NAMES, *(name for of_target in labels.values() for name in of_target)}
        self._silences: dict[str, tuple[Silence, tuple[_Matcher, ...]]] = {}

    def items(self) -> list[tuple[str, Silence]]:
        """In the order in which they were made."""
        return sorted((name, silence) for name, (silence, _) in self._silences.items())

    def add(self, silence: Silence, incidents: Iterable[Incident]) -> str:
        """Begin one; gives its id.

        Raises:
            ActionError: it would match everything or nothing, never end, or have ended already.
        """
        matchers = tuple(self._read(text) for text in silence.matchers)
        if not matchers:
            raise ActionError("a silence needs a matcher, such as `target=redis-a`; `target=*` for everything")
        if silence.until is None and not silence.until_resolved:
            raise ActionError("a silence needs an end: give `until`, or `until_resolved`")
        if silence.until is not None and silence.until <= silence.time:
            raise ActionError("`until` is in the past; give a later time")
        if silence.until_resolved and not any(self._matches(matchers, incident) for incident in incidents):
            raise ActionError("nothing that is open matches, so there is nothing to be resolved; give `until` instead")
        name = ulid(silence.time, f"silence {silence.by} {' '.join(silence.matchers)} {silence.until}")
        self._silences[name] = silence, matchers
        return name

    def restore(self, name: str, silence: Silence) -> None:
        """Take up one from before a restart, whatever may since have become of its target's labels."""
        self._silences[name] = silence, tuple(_parsed(text) for text in silence.matchers)

    def remove(self, name: str) -> Silence:
        """End one now.

        Raises:
            ActionError: there is none of that id.
        """
        if name not in self._silences:
            raise ActionError(f"no silence {name} is in force; `sentinel silences list` shows those that are")
        return self._silences.pop(name)[0]

    def expire(self, now: float, incidents: Callable[[], Iterable[Incident]]) -> list[tuple[str, Silence | None]]:
        """End those that are over; gives them."""
        if not self._silences:
            return []
        open_now = list(incidents())
        ended: list[tuple[str, Silence | None]] = [
            (name, silence)
            for name, (silence, matchers) in sorted(self._silences.items(), key=lambda item: item[0])
            if (silence.until is not None and silence.until <= now)
            or (silence.until_resolved and not any(self._matches(matchers, incident) for incident in open_now))
        ]
        for name, _ in ended:
            del self._silences[name]
        return ended

    def next_end(self) -> float | None:
        """When the next one ends by time."""
        return min((s.until for s, _ in self._silences.values() if s.until is not None), default=None)

    def hold(self, incident: Incident) -> tuple[float, str] | None:
        """Until when an incident is silenced (infinity: until it is resolved), and by what; None if it is not."""
        found = [
            (float("inf") if silence.until is None else silence.until, f"silenced by {silence.by} ({name[-6:]})")
            for name, (silence, matchers) in self._silences.items()
            if self._matches(matchers, incident)
        ]
        return max(found, default=None)

    def _read(self, text: str) -> _Matcher:
        matcher = _parsed(text)
        if matcher.name not in self._known:
            known = ", ".join(sorted(self._known))
            raise ActionError(f"a silence cannot match by `{matcher.name}`; give one of {known}")
        return matcher

    def _matches(self, matchers: Iterable[_Matcher], incident: Incident) -> bool:
        labels = self._labels.get(incident.target, {})
        values = {name: (value,) for name, value in labels.items()} | {
            "target": (incident.target,),
            "cause": (incident.cause,),
            "subject": (incident.subject,),
            "severity": (incident.severity.name.lower(),),
            "id": (incident.id, incident.ref),
        }
        return all(matcher.holds(values) for matcher in matchers)


def _parsed(text: str) -> _Matcher:
    name, equals, pattern = text.partition("=")
    if not equals or not name.rstrip("!"):
        raise ActionError(f"a matcher is NAME=PATTERN or NAME!=PATTERN, got {text!r:.80}")
    return _Matcher(name.rstrip("!").strip(), pattern.strip(), name.endswith("!"))
