"""Quantiles of a stream without keeping it, and how far outside of them a value lies.

Knows five markers a quantile. Knows nothing of time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.base import LARGEST, Explanation

__all__ = ["P2", "Quantiles"]


@dataclass(slots=True)
class P2:
    """One quantile of all values so far, from five markers that are moved along a parabola.

    Suits smooth distributions; its error is then a few percent of the deviation. Misleads on few different values and
    on levels that change: it forgets nothing.

    Args:
        share: Part of the values below the quantile, between 0 and 1.

    Source: Jain and Chlamtac (1985), "The P2 algorithm for dynamic calculation of quantiles and histograms without
    storing observations", whose table 1 is the doctest.

    >>> median = P2(0.5)
    >>> for x in (0.02, 0.15, 0.74, 3.39, 0.83, 22.37, 10.15, 15.43, 38.62, 15.92,
    ...           34.60, 10.28, 1.47, 0.40, 0.05, 11.39, 0.27, 0.42, 0.09, 11.37):
    ...     median.learn(x)
    >>> round(median.value, 2)
    4.44
    """

    share: float
    count: int = field(default=0, init=False, repr=False)
    """Values learnt."""
    _heights: list[float] = field(default_factory=list, init=False, repr=False)
    _places: list[int] = field(default_factory=lambda: [1, 2, 3, 4, 5], init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise ValueError(f"share must be between 0 and 1, got {self.share}")

    @property
    def value(self) -> float:
        """The quantile; 0 before the first value."""
        heights = self._heights
        if self.count >= 5:
            return heights[2]
        return heights[int(self.share * len(heights))] if heights else 0.0

    def learn(self, x: float) -> None:
        """Take in a finite value."""
        self.count = count = self.count + 1
        if count <= 5:
            self._heights = sorted([*self._heights, x])
            return
        q, n = self._heights, self._places
        # markers above the value move up by one; the outer ones move out to hold it
        n[4] = count
        if x < q[1]:
            if x < q[0]:
                q[0] = x
            n[1] += 1
            n[2] += 1
            n[3] += 1
        elif x < q[2]:
            n[2] += 1
            n[3] += 1
        elif x < q[3]:
            n[3] += 1
        elif x >= q[4]:
            q[4] = x
        steps, share = count - 1, self.share
        off = 1.0 + steps * (0.5 * share) - n[1]
        if off >= 1.0 or off <= -1.0:
            self._move(1, off)
        off = 1.0 + steps * share - n[2]
        if off >= 1.0 or off <= -1.0:
            self._move(2, off)
        off = 1.0 + steps * (0.5 + 0.5 * share) - n[3]
        if off >= 1.0 or off <= -1.0:
            self._move(3, off)

    def _move(self, i: int, off: float) -> None:
        """One place towards where the marker belongs, if there is room: along the parabola through three markers, or
        the line where that would cross a neighbour."""
        q, n = self._heights, self._places
        here, before, after, height = n[i], n[i - 1], n[i + 1], q[i]
        side = 1 if off > 0.0 else -1
        if (after - here if side > 0 else here - before) <= 1:
            return
        low, high = q[i - 1], q[i + 1]
        up, down = (high - height) / (after - here), (height - low) / (here - before)
        moved = height + side / (after - before) * ((here - before + side) * up + (after - here - side) * down)
        if not low < moved < high:
            moved = height + side * (q[i + side] - height) / (n[i + side] - here)
        q[i] = moved
        n[i] = here + side


@dataclass(slots=True)
class Quantiles:
    """How far a value stands from the median, against the quantile on its side.

    Suits lopsided distributions, such as latencies, where deviations above and below differ. Misleads on rhythms and
    for as long as `window` after a change of level. Score: (x - median) / (high - median) above the median,
    (median - x) / (median - low) below; 1 is the quantile itself, so that a threshold stands well above: 3 or more.

    Two sets of markers overlap, so that what is older than two windows is forgotten.

    Args:
        share: Part of the values beyond either quantile, above 0 and below 0.5.
        window: Values after which a fresh set of markers begins, at least 10 / share.
        warm_up: Values before the first score, at least 5.

    Source: the markers are P2. The score and the overlapping sets are our own.

    >>> latency = Quantiles(share=0.1, window=1000, warm_up=50)
    >>> for i in range(1000):
    ...     latency.learn(float(i), float(i * 37 % 100))  # 0 to 99, each as often
    >>> round(latency.score(1000.0, 129.5), 1), round(latency.score(1000.0, 9.5), 1)  # 80 / 40 and 40 / 40
    (2.0, 1.0)
    """

    share: float = 0.01
    window: int = 5000
    warm_up: int = 200
    _old: tuple[P2, P2, P2] = field(init=False, repr=False)
    _young: tuple[P2, P2, P2] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 0.5:
            raise ValueError(f"share must be above 0 and below 0.5, got {self.share}")
        if self.window < 10.0 / self.share:
            raise ValueError(f"window must be at least 10 / share ({10.0 / self.share:g}) values, got {self.window}")
        if self.warm_up < 5:
            raise ValueError(f"warm_up must be at least 5 values, got {self.warm_up}")
        self._old, self._young = self._fresh(), self._fresh()

    def score(self, t: float, x: float) -> float | None:
        low, middle, high = self._old
        if low.count < self.warm_up or not -LARGEST < x < LARGEST:
            return None
        median = middle.value
        side = high.value - median if x >= median else median - low.value
        least = 1e-9 * abs(median) + 1e-12
        return abs(x - median) / (side if side > least else least)

    def explain(self, t: float, x: float, threshold: float = 3.0) -> Explanation | None:
        """What was expected: the median, within `threshold` times the quantiles' distances."""
        if self.score(t, x) is None:
            return None
        low, middle, high = (marker.value for marker in self._old)
        least, most = middle - threshold * (middle - low), middle + threshold * (high - middle)
        return Explanation(middle, least, most, x - middle, "quantile")

    def learn(self, t: float, x: float) -> None:
        if not -LARGEST < x < LARGEST:
            return
        if self._old[0].count >= 2 * self.window:
            self._old, self._young = self._young, self._fresh()
        low, middle, high = self._old
        low.learn(x)
        middle.learn(x)
        high.learn(x)
        if low.count > self.window:
            low, middle, high = self._young
            low.learn(x)
            middle.learn(x)
            high.learn(x)

    def _fresh(self) -> tuple[P2, P2, P2]:
        return P2(self.share), P2(0.5), P2(1.0 - self.share)
