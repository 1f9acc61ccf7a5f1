"""Values that have been news before: what came three times of late is no news.

Knows single values and when they came. Knows nothing of why they were news.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.base import Seconds

__all__ = ["Familiar"]


@dataclass(slots=True)
class Familiar:
    """The last few values that were news, and how often each one was.

    Suits series of few different values, such as counts of errors that are nearly always 0: a 1 is news three
    times in a while, a 2 still is then. What comes less often stays news. Values of a continuous scale hardly ever
    come twice. Misleads where the same value means trouble each time (0 workers): give such a series a limit.

    Args:
        times: News of a value within the memory after which it is known, at least 1.
        places: Values remembered, at least 1; the one that was news longest ago makes room.

    Source: our own; measured on Bernoulli series, where records alone raised up to nine times the false alarms
    asked for.

    >>> errors = Familiar(times=2)
    >>> for hour in (1, 2):
    ...     errors.learn(3600.0 * hour, 1.0, grain=0.1, apart=600.0)
    >>> errors.knows(3600.0 * 3, 1.0, grain=0.1, memory=86400.0)
    True
    >>> errors.knows(3600.0 * 3, 2.0, grain=0.1, memory=86400.0)
    False
    """

    times: int = 3
    places: int = 8
    _seen: list[tuple[float, tuple[float, ...]]] = field(default_factory=list, init=False, repr=False)
    """Values, and when each was news: the newest last."""

    def knows(self, t: float, x: float, grain: float, memory: Seconds) -> bool:
        """Whether `x`, within `grain`, was news often enough in the `memory` before time `t`."""
        _, when = self._find(x, grain)
        return len(when) >= self.times and t - when[0] < memory

    def learn(self, t: float, x: float, grain: float, apart: Seconds) -> None:
        """Value `x` is news at time `t`; within `apart` it counts once."""
        found = value, when = self._find(x, grain)
        if when:
            if t - when[-1] <= apart:
                return
            self._seen.remove(found)
        self._seen.append((value, (*when, t)[-self.times :]))
        del self._seen[: -self.places]

    def _find(self, x: float, grain: float) -> tuple[float, tuple[float, ...]]:
        for place in self._seen:
            if abs(x - place[0]) <= grain:
                return place
        return (x, ())
