"""A moving average and deviation that forget at a steady pace in time.

Knows nothing of rhythm or shape. Other detectors use it as their scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from detectors.base import LARGEST, Explanation, Seconds

__all__ = ["Ewma"]


@dataclass(slots=True)
class Ewma:
    """Distance from a moving average, in moving standard deviations. Below 1 µs a point.

    Suits levels that drift slowly, with noise of a steady size. Misleads on strong daily cycles (use a
    seasonal detector there), on heavy tails (use Robust), and on ramps: it learns them, and the score of a
    straight ramp stays near a constant however steep it is (use Trend). Score: standard deviations; on
    Gaussian noise 3 is one value in 370.

    Values weigh by time, not by count, so that the sampling interval may change. An interval longer than the
    half-life counts as one half-life: a gap makes old values lighter and does not wipe them. Until the
    weights have settled every value counts alike, as in a plain average.

    Args:
        half_life: Seconds after which a value's weight has halved, above 0.
        warm_up: Values before the first score, at least 2; until then the score is None.
        resolution: Smallest standard deviation to divide by, in the value's unit. Set it where a change below
            some size never matters; it also tames series that are nearly constant.

    Source: Finch (2009), "Incremental calculation of weighted mean and variance", section 9.

    >>> latency = Ewma(half_life=60.0, warm_up=4)
    >>> for second, milliseconds in enumerate([10.0, 12.0, 10.0, 12.0]):
    ...     latency.learn(second, milliseconds)
    >>> latency.mean, round(latency.deviation, 6)
    (11.0, 1.0)
    >>> round(latency.score(5.0, 14.0), 6)
    3.0
    """

    half_life: Seconds = 3600.0
    warm_up: int = 30
    resolution: float = 0.0
    mean: float = field(default=0.0, init=False, repr=False)
    """The moving average, in the value's unit; 0 before the first value."""
    deviation: float = field(default=0.0, init=False, repr=False)
    """The moving standard deviation, in the value's unit, never 0 after the first value."""
    count: int = field(default=0, init=False, repr=False)
    """Values learnt."""
    _variance: float = field(default=0.0, init=False, repr=False)
    _time: float = field(default=math.nan, init=False, repr=False)
    _interval: float = field(default=math.nan, init=False, repr=False)
    _weight: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.half_life < math.inf:
            raise ValueError(f"half_life must be above 0 seconds, got {self.half_life}")
        if self.warm_up < 2:
            raise ValueError(f"warm_up must be at least 2 values, got {self.warm_up}")
        if not 0.0 <= self.resolution < LARGEST:
            raise ValueError(f"resolution must be at least 0, got {self.resolution}")

    def score(self, t: float, x: float) -> float | None:
        if self.count < self.warm_up or not -LARGEST < x < LARGEST:
            return None
        return abs(x - self.mean) / self.deviation

    def distance(self, x: float) -> float | None:
        """Like `score`, with its sign: below 0 for a value under the average."""
        if self.count < self.warm_up or not -LARGEST < x < LARGEST:
            return None
        return (x - self.mean) / self.deviation

    def explain(self, t: float, x: float, threshold: float = 3.0) -> Explanation | None:
        """What was expected: the average, within `threshold` deviations."""
        if self.score(t, x) is None:
            return None
        room = threshold * self.deviation
        return Explanation(self.mean, self.mean - room, self.mean + room, x - self.mean, "average")

    def learn(self, t: float, x: float) -> None:
        if not -LARGEST < x < LARGEST:
            return
        interval = t - self._time
        self._time = t
        # A time that stands still or runs backwards says nothing: the last interval is taken again.
        if interval != self._interval and interval > 0.0:
            self._interval = interval
            self._weight = 1.0 - 0.5 ** min(1.0, interval / self.half_life)
        self.count = count = self.count + 1
        weight = self._weight
        if weight * count < 1.0:
            weight = 1.0 / count
        difference = x - self.mean
        step = weight * difference
        self.mean = mean = self.mean + step
        self._variance = variance = (1.0 - weight) * (self._variance + difference * step)
        # Rounding leaves a constant with a variance of about 1e-32 of its square; that is no scale.
        least = self.resolution + 1e-9 * abs(mean) + 1e-12
        self.deviation = math.sqrt(variance) if variance > least * least else least
