"""Signs of life that ought to come: how unlikely is it that the next one is merely late?

Knows the gaps between past arrivals. Knows nothing of who sends them.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from detectors.base import LARGEST, Seconds

__all__ = ["PhiAccrual"]


@dataclass(slots=True)
class PhiAccrual:
    """Suspicion that a sender is gone, from the learnt gaps between its signs of life.

    The value is the age of the newest sign of life: seconds since the last beat. Give 0 with each beat and
    the age in between, or the age alone at any interval; a beat is seen by its time, `t - x`, moving on.

    Suits beats that come at a pace of their own, steady or not. Misleads where nothing is due (an idle
    queue) and where the sender stops on purpose. Score: phi = -log10 of the probability that a beat comes
    still later; 1 means that one beat in 10 is so late, 3 one in 1,000. Alerts usually stand between 5 and
    12.

    A gap counts as at most twice the mean gap once warm, so that an outage is not learnt as the pace, while
    a sender that has slowed down for good is accepted after some beats.

    Args:
        window: Gaps remembered, at least 2.
        warm_up: Gaps before the first score, from 1 to window.
        least_deviation: Smallest standard deviation of the gaps, in seconds, above 0: what scheduling and
            sampling may delay a beat by. Beats closer together than this count as one.
        pause: Seconds of silence that are always forgiven on top of the gap, such as a garbage collection.

    Source: Hayashibara et al. (2004), "The phi accrual failure detector", section 5, with the normal
    distribution; least_deviation and pause as in Akka's documentation of its failure detector. The bound on
    gaps is our own.

    >>> worker = PhiAccrual(warm_up=3, least_deviation=2.0)
    >>> for beat in (0.0, 10.0, 20.0, 30.0):
    ...     worker.learn(beat, 0.0)
    >>> round(worker.score(40.0, 10.0), 3)  # half of all beats come later than the mean
    0.301
    >>> round(worker.score(46.0, 16.0), 2)  # three deviations late: 0.00135
    2.87
    """

    window: int = 100
    warm_up: int = 10
    least_deviation: Seconds = 1.0
    pause: Seconds = 0.0
    _gaps: deque[float] = field(init=False, repr=False)
    _beat: float = field(default=math.nan, init=False, repr=False)
    _mean: float = field(default=0.0, init=False, repr=False)
    _deviation: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.window < 2:
            raise ValueError(f"window must be at least 2 gaps, got {self.window}")
        if not 1 <= self.warm_up <= self.window:
            raise ValueError(f"warm_up must be from 1 to window ({self.window}) gaps, got {self.warm_up}")
        if not 0.0 < self.least_deviation < LARGEST:
            raise ValueError(f"least_deviation must be above 0 seconds, got {self.least_deviation}")
        if not 0.0 <= self.pause < LARGEST:
            raise ValueError(f"pause must be at least 0 seconds, got {self.pause}")
        self._gaps = deque(maxlen=self.window)

    def score(self, t: float, x: float) -> float | None:
        if len(self._gaps) < self.warm_up or not -LARGEST < x < LARGEST:
            return None
        return _minus_log10_tail((x - self._mean - self.pause) / self._deviation)

    def learn(self, t: float, x: float) -> None:
        if not (-LARGEST < x < LARGEST and -LARGEST < t < LARGEST):
            return
        beat = t - x
        gap = beat - self._beat
        # Ages are rounded by their source: a beat that moved by less than the jitter is the same beat.
        if abs(gap) <= self.least_deviation:
            return
        self._beat = beat
        if gap > 0.0:
            self._take(gap)

    def _take(self, gap: float) -> None:
        if len(self._gaps) >= self.warm_up:
            gap = min(gap, 2.0 * self._mean)
        self._gaps.append(gap)
        n = len(self._gaps)
        self._mean = mean = sum(self._gaps) / n
        variance = sum((one - mean) ** 2 for one in self._gaps) / n
        self._deviation = max(self.least_deviation, math.sqrt(variance))


def _minus_log10_tail(z: float) -> float:
    """-log10 of the upper tail of a standard normal; by its asymptote where the tail itself underflows."""
    if z < 30.0:  # erfc underflows at 38
        return max(0.0, -math.log10(0.5 * math.erfc(z / math.sqrt(2.0))))
    z = min(z, LARGEST)
    return (0.5 * z * z + math.log(z * math.sqrt(2.0 * math.pi))) / math.log(10.0)
