"""Extreme value theory as published: SPOT, and DSPOT for values that drift.

Knows the peaks over a threshold. Knows nothing of rhythm.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from detectors.base import LARGEST, Explanation, Numbers

__all__ = ["Spot"]

_CLIP = 2.0
"""What lies further out is learnt as a peak of so many alarms."""


class _Tail(NamedTuple):
    """Peaks over a level on one side, and the distance that is exceeded with the risk."""

    level: float
    alarm: float


@dataclass(slots=True)
class Spot:
    """How far a value lies in the tail, against the quantile that one value in 1 / `risk` exceeds.

    Suits independent values of one distribution, whatever it is; with `depth` (DSPOT) their distance from the mean of
    the last `depth` values. Misleads for hundreds of values after a level shift, on rhythms, and where the risk
    is far below 1 / values seen. Peaks x - u over a level u follow a generalised Pareto distribution with shape g and
    scale s; with n values and p peaks

        alarm = u + s / g * ((risk * n / p) ** -g - 1)        score = (x - u) / (alarm - u), at least 0; 1 is the alarm

    and the same below. A value beyond the alarm is learnt as one at most twice as far out: as published it is not
    learnt at all, and the tail then loses what it is about, and never accepts a shift.

    Args:
        risk: Probability that an ordinary value is an alarm on one side, above 0 and below 0.01.
        share: Part of the first values that lie beyond the level, above `risk`, at most 0.1.
        depth: Values in the moving mean that values are taken from; 0 for none.
        warm_up: Values from which the level is taken, at least 20 / share.
        peaks: Peaks kept on each side, the newest, at least 20.

    Source: Siffer, Fouque, Termier and Largouët (2017), "Anomaly detection in streams with extreme value theory",
    algorithms 1 to 3. Shape and scale by the method of moments (Hosking and Wallis 1987) in place of Grimshaw's search,
    with the shape kept from -0.5 to 0.45; peaks beyond the newest are forgotten, which bounds memory.

    >>> from random import Random
    >>> noise, errors = Random(1), Spot(risk=1e-4, share=0.05, warm_up=1000)
    >>> for i in range(20000):
    ...     errors.learn(float(i), noise.expovariate(1.0))
    >>> 7.5 < errors.explain(20000.0, 1.0).high < 11.0  # exp(-9.2) is 1e-4
    True
    """

    risk: float = 1e-4
    share: float = 0.02
    depth: int = 0
    warm_up: int = 1000
    peaks: int = 500
    _first: list[float] = field(default_factory=list, init=False, repr=False)
    _recent: deque[float] = field(init=False, repr=False)
    _sum: float = field(default=0.0, init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)
    _levels: tuple[float, float] = field(default=(0.0, 0.0), init=False, repr=False)
    _peaks: tuple[Numbers, Numbers] = field(init=False, repr=False)
    _totals: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)] * 2, init=False, repr=False)
    """Sum and sum of squares of the peaks on either side."""
    _seen: list[int] = field(default_factory=lambda: [0, 0], init=False, repr=False)
    _alarms: list[float] = field(default_factory=lambda: [0.0, 0.0], init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.risk < 0.01:
            raise ValueError(f"risk must be above 0 and below 0.01, got {self.risk}")
        if not self.risk < self.share <= 0.1:
            raise ValueError(f"share must be above risk and at most 0.1, got {self.share}")
        if self.depth < 0:
            raise ValueError(f"depth must be at least 0 values, got {self.depth}")
        if self.warm_up < 20.0 / self.share:
            raise ValueError(f"warm_up must be at least 20 / share ({20.0 / self.share:g}) values, got {self.warm_up}")
        if self.peaks < 20:
            raise ValueError(f"peaks must be at least 20, got {self.peaks}")
        self._recent = deque(maxlen=self.depth)
        self._peaks = (array("d", bytes(8 * self.peaks)), array("d", bytes(8 * self.peaks)))

    def score(self, t: float, x: float) -> float | None:
        if self._count < self.warm_up or not -LARGEST < x < LARGEST:
            return None
        above, below = self._excesses(x)
        if above > 0.0:
            return above / self._alarms[0]
        return below / self._alarms[1] if below > 0.0 else 0.0

    def explain(self, t: float, x: float, threshold: float = 1.0) -> Explanation | None:
        """What was expected: between the alarms on either side, when `threshold` is 1."""
        if self.score(t, x) is None:
            return None
        base, (up, down) = self._base(), self._levels
        high, low = base + up + threshold * self._alarms[0], base - down - threshold * self._alarms[1]
        middle = base + 0.5 * (up - down)
        return Explanation(middle, low, high, x - middle, "tail")

    def learn(self, t: float, x: float) -> None:
        if not -LARGEST < x < LARGEST:
            return
        if self._count < self.warm_up:
            self._first.append(x - self._base())
            self._count += 1
            self._remember(x)
            if self._count == self.warm_up:
                self._begin()
            return
        above, below = self._excesses(x)
        self._count += 1
        if self.depth:
            self._remember(x)
        if above > 0.0 or below > 0.0:
            side, excess = (0, above) if above > 0.0 else (1, below)
            self._keep(side, min(excess, _CLIP * self._alarms[side]))
            self._alarms[side] = self._alarm(side)

    def _excesses(self, x: float) -> tuple[float, float]:
        """Beyond the level above and below; never both above 0, since the levels are in order."""
        if self.depth:
            x -= self._base()
        up, down = self._levels
        return x - up, -x - down

    def _base(self) -> float:
        return self._sum / len(self._recent) if self._recent else 0.0

    def _remember(self, x: float) -> None:
        if self.depth:
            self._recent.append(x)
            self._sum = math.fsum(self._recent)

    def _begin(self) -> None:
        """Take the levels and first peaks from the first values."""
        ordered = sorted(self._first)
        tail = max(1, int(self.share * len(ordered)))
        self._levels = (ordered[-tail - 1], -ordered[tail])
        for side, sign in enumerate((1.0, -1.0)):
            found = [sign * one - self._levels[side] for one in self._first]
            for excess in found:
                if excess > 0.0:
                    self._keep(side, excess)
            self._alarms[side] = self._alarm(side)
        self._first = []

    def _keep(self, side: int, excess: float) -> None:
        peaks, (total, squares) = self._peaks[side], self._totals[side]
        place = self._seen[side] % self.peaks
        gone = peaks[place]
        peaks[place] = excess
        self._seen[side] += 1
        if not place or 2.0 * gone * gone > squares:  # what is left would be rounding
            self._totals[side] = (math.fsum(peaks), math.fsum(one * one for one in peaks))
        else:
            self._totals[side] = (total + excess - gone, squares + excess * excess - gone * gone)

    def _alarm(self, side: int) -> float:
        """Distance from the level that is exceeded with the risk, by the method of moments."""
        (total, squares), least = self._totals[side], 1e-9 * abs(self._levels[side]) + 1e-12
        n = min(self._seen[side], self.peaks)
        if n < 2:
            return least
        mean = total / n
        power = mean * mean
        spread = squares / (n * power) - 1.0 if power > 1e-280 else 0.0
        shape = max(-0.5, min(0.45, 0.5 * (1.0 - 1.0 / spread))) if spread > 0.0 else -0.5
        scale = mean * (1.0 - shape)
        ratio = self.risk * self._count / max(1, self._seen[side])
        if abs(shape) < 1e-6:
            return max(least, -scale * math.log(ratio))
        return max(least, scale / shape * (math.pow(ratio, -shape) - 1.0))
