"""Small lasting shifts of a level, found by adding up what single values do not show.

Knows the scale by an Ewma of what was learnt. Knows nothing of rhythm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from detectors.base import LARGEST, Seconds
from detectors.ewma import Ewma

__all__ = ["Cusum", "PageHinkley"]

_CLIP = 4.0
"""A value further out counts as this many deviations: one spike alone must not look like a shift."""


@dataclass(slots=True)
class Cusum:
    """Two-sided cumulative sum of what exceeds a slack, in standard deviations of a slow moving average.

    Suits level shifts of half to two deviations that last. Misleads on values with memory (their sums wander)
    and on daily cycles. Score: sum / limit; 1 is the alarm. On independent Gaussian values whose mean and
    deviation are known exactly, slack 0.5 and limit 5 raise one false alarm in 465 values and see a shift of
    one deviation after 10.4; with limit 8 one in about 9,600 and 16 values. Learnt scales are less exact.

    Learning a value that alarms accepts the shift: the sums start over.

    Args:
        slack: Deviations that a value may lie off without being counted; half the shift to find. Above 0.
        limit: Sum that scores 1, in deviations, above 0.
        half_life: Seconds, of the average and deviation that values are compared with. Far longer than the
            shift may take to be seen.
        warm_up: Values before the first score, at least 2.

    Source: Page (1954), "Continuous inspection schemes"; run lengths: Montgomery (2009), "Introduction to
    statistical quality control", table 9.3; for limit 8 Siegmund's approximation, equation 9.6. Values are
    clipped at 4 deviations (Lucas and Crosier 1982 ignore a lone outlier; clipping is simpler and also
    survives two).

    >>> errors = Cusum(slack=0.5, limit=5.0, warm_up=4)
    >>> for second, rate in enumerate([9.0, 11.0, 9.0, 11.0]):  # mean 10, deviation 1; the sum ends at 0
    ...     errors.learn(second, rate)
    >>> round(errors.score(4.0, 12.0), 6)  # (2 - 0.5) / 5
    0.3
    """

    slack: float = 0.5
    limit: float = 8.0
    half_life: Seconds = 21600.0
    warm_up: int = 60
    _scale: Ewma = field(init=False, repr=False)
    _above: float = field(default=0.0, init=False, repr=False)
    _below: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        _require_positive(slack=self.slack, limit=self.limit)
        self._scale = Ewma(half_life=self.half_life, warm_up=self.warm_up)

    def score(self, t: float, x: float) -> float | None:
        distance = self._scale.distance(x)
        if distance is None:
            return None
        above, below = _sums(self._above, self._below, distance, self.slack)
        return (above if above > below else below) / self.limit

    def learn(self, t: float, x: float) -> None:
        distance = self._scale.distance(x)
        if distance is not None:
            self._above, self._below = above, below = _sums(self._above, self._below, distance, self.slack)
            if above >= self.limit or below >= self.limit:
                self._above = self._below = 0.0
                self._scale = Ewma(half_life=self.half_life, warm_up=self.warm_up)
        self._scale.learn(t, x)


@dataclass(slots=True)
class PageHinkley:
    """Two-sided Page-Hinkley test: the distance of a drifting sum from its lowest and highest point.

    Suits abrupt changes of a mean that is otherwise steady since the last change. Misleads on slow ramps
    (the mean follows), memory and cycles. Score: distance / limit; 1 is the alarm. Unlike Cusum it compares
    with the plain mean of all values since the last accepted change, so it grows surer with time and
    forgets nothing. The sum is in standard deviations, so that one setting fits every unit; the textbook's
    is in the value's unit.

    Learning a value that alarms accepts the change: mean, deviation and sums start over.

    Args:
        slack: Deviations of drift that are tolerated, at least 0 (delta in the papers).
        limit: Distance that scores 1, in deviations, above 0 (lambda in the papers).
        warm_up: Values after a start before the first score, at least 2.

    Source: Page (1954); Hinkley (1971), "Inference about the change-point from cumulative sum tests";
    in this form Mouss et al. (2004), "Test of Page-Hinkley, an approach for fault detection".

    >>> depth = PageHinkley(slack=0.5, limit=10.0, warm_up=4)
    >>> for second, jobs in enumerate([9.0, 11.0, 9.0, 11.0]):  # mean 10, deviation 1
    ...     depth.learn(second, jobs)
    >>> round(depth.score(4.0, 13.0), 6)  # (3 - 0.5) / 10
    0.25
    """

    slack: float = 0.2
    limit: float = 25.0
    warm_up: int = 60
    _count: int = field(default=0, init=False, repr=False)
    _mean: float = field(default=0.0, init=False, repr=False)
    _squares: float = field(default=0.0, init=False, repr=False)
    _rise: float = field(default=0.0, init=False, repr=False)
    _fall: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        _require_positive(limit=self.limit)
        if not 0.0 <= self.slack < LARGEST:
            raise ValueError(f"slack must be at least 0, got {self.slack}")
        if self.warm_up < 2:
            raise ValueError(f"warm_up must be at least 2 values, got {self.warm_up}")

    def score(self, t: float, x: float) -> float | None:
        if self._count < self.warm_up or not -LARGEST < x < LARGEST:
            return None
        rise, fall = _sums(self._rise, self._fall, self._distance(x), self.slack)
        return (rise if rise > fall else fall) / self.limit

    def learn(self, t: float, x: float) -> None:
        if not -LARGEST < x < LARGEST:
            return
        if self._count >= self.warm_up:
            self._rise, self._fall = rise, fall = _sums(self._rise, self._fall, self._distance(x), self.slack)
            if rise >= self.limit or fall >= self.limit:
                self._count, self._mean, self._squares, self._rise, self._fall = 0, 0.0, 0.0, 0.0, 0.0
        self._count = count = self._count + 1
        difference = x - self._mean
        self._mean = mean = self._mean + difference / count
        self._squares += difference * (x - mean)

    def _distance(self, x: float) -> float:
        """How far a value stands above the mean, in deviations."""
        mean, deviation = self._mean, math.sqrt(self._squares / self._count)
        least = 1e-9 * abs(mean) + 1e-12
        return (x - mean) / (deviation if deviation > least else least)


def _sums(above: float, below: float, distance: float, slack: float) -> tuple[float, float]:
    """Both sums after one more value. One that restarts at 0 is its distance from its lowest point."""
    step = _CLIP if distance > _CLIP else -_CLIP if distance < -_CLIP else distance
    above = above + step - slack
    below = below - step - slack
    return (above if above > 0.0 else 0.0, below if below > 0.0 else 0.0)


def _require_positive(**settings: float) -> None:
    for name, value in settings.items():
        if not 0.0 < value < LARGEST:
            raise ValueError(f"{name} must be above 0, got {value}")
