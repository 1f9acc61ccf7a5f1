"""Fixed limits that a person sets: above, below, outside a band.

Knows nothing of what has been seen before; there is nothing to learn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from detectors.base import LARGEST, Explanation

__all__ = ["AboveLimit", "BelowLimit", "OutsideBand"]


@dataclass(slots=True)
class AboveLimit:
    """How far a value stands above a fixed limit.

    Suits a ceiling that is known and hard: a quota, a maximum, a promise. Misleads where the ordinary value
    grows with use: the alert then comes with success. Score: value / limit; 1 is the limit itself.

    Args:
        limit: In the value's unit, above 0. For a limit at or below 0 use OutsideBand.

    >>> AboveLimit(limit=400).score(0.0, 300.0)
    0.75
    """

    limit: float

    def __post_init__(self) -> None:
        _require_positive(self.limit)

    def score(self, t: float, x: float) -> float | None:
        if not -LARGEST < x < LARGEST:
            return None
        return max(0.0, x / self.limit)

    def explain(self, t: float, x: float, threshold: float = 1.0) -> Explanation | None:
        """What was expected: below the limit."""
        if self.score(t, x) is None:
            return None
        return Explanation(
            threshold * self.limit, -math.inf, threshold * self.limit, x - threshold * self.limit, "limit"
        )

    def learn(self, t: float, x: float) -> None:
        pass


@dataclass(slots=True)
class BelowLimit:
    """How far a value stands below a fixed limit: the mirror image of AboveLimit.

    Suits what must not run low: workers alive, memory free. Misleads where zero is ordinary at night.
    Score: 2 - value / limit, at least 0; 1 is the limit itself, 2 a value of 0, 0 twice the limit and more.

    Args:
        limit: In the value's unit, above 0. For a limit at or below 0 use OutsideBand.

    >>> workers = BelowLimit(limit=4)
    >>> [workers.score(0.0, alive) for alive in (8.0, 5.0, 4.0, 0.0)]
    [0.0, 0.75, 1.0, 2.0]
    """

    limit: float

    def __post_init__(self) -> None:
        _require_positive(self.limit)

    def score(self, t: float, x: float) -> float | None:
        if not -LARGEST < x < LARGEST:
            return None
        return max(0.0, 2.0 - x / self.limit)

    def explain(self, t: float, x: float, threshold: float = 1.0) -> Explanation | None:
        """What was expected: above the limit."""
        if self.score(t, x) is None:
            return None
        low = (2.0 - threshold) * self.limit
        return Explanation(low, low, math.inf, x - low, "limit")

    def learn(self, t: float, x: float) -> None:
        pass


@dataclass(slots=True)
class OutsideBand:
    """How far a value stands from the middle of a band, in half widths of it.

    Suits values with two bad sides, and limits of any sign. Misleads where the sides differ in weight: use
    two limits then. Score: |value - middle| / half width; 0 is the middle, 1 either edge.

    Args:
        low: Lower edge, in the value's unit.
        high: Upper edge, above `low`.

    >>> celsius = OutsideBand(low=-10, high=30)
    >>> [celsius.score(0.0, degrees) for degrees in (10.0, 20.0, 30.0, -30.0)]
    [0.0, 0.5, 1.0, 2.0]
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not -LARGEST < self.low < self.high < LARGEST:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")

    def score(self, t: float, x: float) -> float | None:
        if not -LARGEST < x < LARGEST:
            return None
        return abs(2.0 * x - self.low - self.high) / (self.high - self.low)

    def explain(self, t: float, x: float, threshold: float = 1.0) -> Explanation | None:
        """What was expected: within the band."""
        if self.score(t, x) is None:
            return None
        middle, room = 0.5 * (self.low + self.high), 0.5 * threshold * (self.high - self.low)
        return Explanation(middle, middle - room, middle + room, x - middle, "band")

    def learn(self, t: float, x: float) -> None:
        pass


def _require_positive(limit: float) -> None:
    if not 1 / LARGEST < limit < LARGEST:
        raise ValueError(f"limit must be above 0, got {limit}; for one at or below 0 use a band")
