"""Levels that do not flap: what begins at one level ends at a lower one, and what has held keeps its beginning.

Arithmetic only. Knows neither samples nor causes.
"""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.model import Seconds, Severity

__all__ = ["LEAVE", "Held", "Ladder", "Latch"]

LEAVE = 0.8
"""Part of a level at which it is left again. Counts of clients and rates wander by 8 to 17 % around their mean (the
lab's noise), so that a fifth is more than noise alone takes back."""


@dataclass(slots=True)
class Latch:
    """A claim that begins at `enter` and ends below `enter * leave`.

    >>> latch = Latch()
    >>> [latch.take(value, enter=10.0) for value in (9.0, 10.0, 8.1, 7.9, 9.0)]
    [False, True, True, False, False]
    """

    on: bool = False

    def take(self, value: float, enter: float, leave: float = LEAVE) -> bool:
        """Whether the claim holds with this value; `leave` is a part of `enter`, 0-1."""
        self.on = value >= (enter * leave if self.on else enter)
        return self.on


@dataclass(slots=True)
class Ladder:
    """A severity that rises at once and falls only when its level is clearly left.

    >>> ladder = Ladder()
    >>> [ladder.take(value, 0.8, 0.9).name for value in (0.7, 0.85, 0.9, 0.8, 0.7, 0.6)]
    ['INFO', 'WARNING', 'CRITICAL', 'CRITICAL', 'WARNING', 'INFO']
    """

    severity: Severity = Severity.INFO

    def take(self, value: float, warning: float, critical: float, leave: float = LEAVE) -> Severity:
        """The severity of a value, higher being worse."""
        if value >= critical * (leave if self.severity is Severity.CRITICAL else 1.0):
            self.severity = Severity.CRITICAL
        elif value >= warning * (leave if self.severity >= Severity.WARNING else 1.0):
            self.severity = Severity.WARNING
        else:
            self.severity = Severity.INFO
        return self.severity


@dataclass(slots=True)
class Held:
    """Since when a claim has held without a break longer than a gap.

    >>> held = Held()
    >>> [held.take(claim, now, gap=5.0) for now, claim in ((0.0, True), (4.0, False), (8.0, True), (14.0, False))]
    [0.0, 0.0, 0.0, None]
    """

    since: float | None = None
    last: float = float("-inf")

    def take(self, claim: bool, now: float, gap: Seconds = 0.0) -> float | None:
        """Take the claim at `now`; gives since when it has held, None if it does not."""
        if claim:
            self.since = now if self.since is None else self.since
            self.last = now
        elif now - self.last > gap:
            self.since = None
        return self.since

    def lasted(self, seconds: Seconds) -> bool:
        """Whether it has held for that long, up to when it was last seen to hold."""
        return self.since is not None and self.last - self.since >= seconds
