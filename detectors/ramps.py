"""Slopes that begin: how likely is it that values have risen or fallen steadily since some moment?

Knows the scale by an Ewma of what was learnt. Knows nothing of rhythm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from detectors.base import LARGEST, Seconds
from detectors.ewma import Ewma

__all__ = ["SlopeGlr"]

_CLIP: Final = 4.0
"""A value further out counts as this many deviations: one spike alone must not look like a ramp."""
_KEEP: Final = 2
"""Two moments whose neighbours' ages differ by less than this factor are one too many."""


@dataclass(slots=True)
class SlopeGlr:
    """Generalised likelihood ratio of a ramp that began at any of the last values, against no change.

    Suits slow leaks and drifts under noise, which no single value shows: it sees a slope of a twentieth of a
    deviation a value after some 25 values. Misleads on values with memory and on daily cycles, whose flanks are
    ramps. With z the distance from a slow moving average in deviations, and k the moment at which the ramp begins,

        R(k) = |sum of (i - k) * z(i)| / sqrt(sum of (i - k) ** 2)        score = max over k of R(k) / limit

    and 1 is the alarm.

    Of all moments some twenty are kept, ever further apart, so that a value costs the same however long ago a ramp
    may have begun. Learning a value that alarms accepts the ramp: all starts over.

    Args:
        limit: In deviations of R, above 0. On Gaussian noise 5 is passed once in some 100,000 values.
        longest: Values that a ramp may be old, at least 10.
        half_life: Seconds, of the average and deviation that values are compared with; far longer than a ramp takes.
        warm_up: Values before the first score, at least 2.

    Source: Willsky and Jones (1976), "A generalized likelihood ratio approach to the detection and estimation of jumps
    in linear systems"; for the slope Basseville and Nikiforov (1993), "Detection of abrupt changes", section 7.2.
    Moments ever further apart are our own.

    >>> clients = SlopeGlr(limit=5.0, half_life=1e9, warm_up=100)
    >>> for second in range(100):
    ...     clients.learn(float(second), 10.0 + (-1.0) ** second)  # mean 10, deviation 1
    >>> for second in range(100, 110):
    ...     clients.learn(float(second), 10.0 + 0.2 * (second - 99))
    >>> clients.score(110.0, 14.2) > 1.0 > clients.score(110.0, 6.0)
    True
    """

    limit: float = 5.0
    longest: int = 1000
    half_life: Seconds = 86400.0
    warm_up: int = 60
    _scale: Ewma = field(init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)
    """Values since all started over."""
    _moments: list[int] = field(default_factory=list, init=False, repr=False)
    """The moments k that are kept, the oldest first, by the count of values before them."""
    _sums: list[float] = field(default_factory=list, init=False, repr=False)
    """For each of them the sum of (i - k) * z(i)."""
    _most: float = field(default=0.0, init=False, repr=False)
    """What no ratio exceeds: one value adds at most |z| to any, so that they need not be computed each time."""

    def __post_init__(self) -> None:
        if not 0.0 < self.limit < LARGEST:
            raise ValueError(f"limit must be above 0, got {self.limit}")
        if self.longest < 10:
            raise ValueError(f"longest must be at least 10 values, got {self.longest}")
        self._scale = Ewma(half_life=self.half_life, warm_up=self.warm_up)

    def score(self, t: float, x: float) -> float | None:
        distance = self._scale.distance(x)
        if distance is None:
            return None
        z = _CLIP if distance > _CLIP else -_CLIP if distance < -_CLIP else distance
        return _largest(self._count + 1, self._moments, self._sums, z) / self.limit

    def learn(self, t: float, x: float) -> None:
        distance = self._scale.distance(x)
        if distance is not None:
            self._add(_CLIP if distance > _CLIP else -_CLIP if distance < -_CLIP else distance)
            if self._most >= self.limit and self._alarms():
                self._count, self._moments, self._sums, self._most = 0, [], [], 0.0
                self._scale = Ewma(half_life=self.half_life, warm_up=self.warm_up)
        self._scale.learn(t, x)

    def _alarms(self) -> bool:
        """Whether what has been learnt is a ramp."""
        self._most = _largest(self._count, self._moments, self._sums, 0.0, least=1)
        return self._most >= self.limit and _largest(self._count, self._moments, self._sums, 0.0) >= self.limit

    def _add(self, z: float) -> None:
        """Take one more value into the sums, and one moment too many out of them."""
        moments, sums = self._moments, self._sums
        if moments and self._count - moments[0] >= self.longest:
            del moments[0], sums[0]
        moments.append(self._count)
        sums.append(0.0)
        self._count = count = self._count + 1
        self._sums = sums = [total + (count - k) * z for k, total in zip(moments, sums, strict=True)]
        self._most += abs(z)
        for i in range(len(sums) - 8, 0, -1):
            if count + moments[i - 1] > _KEEP * moments[i + 1]:
                del moments[i], sums[i]
                break


def _largest(count: int, moments: list[int], sums: list[float], z: float, least: int = 4) -> float:
    """The largest ratio of a moment with at least so many values since, were `z` added for the newest."""
    best = 0.0
    for k, total in zip(moments, sums, strict=True):
        n = count - k
        if n < least:
            break
        total += n * z
        ratio = total * total / (n * (n + 1) * (2 * n + 1))
        if ratio > best:
            best = ratio
    return math.sqrt(6.0 * best)
