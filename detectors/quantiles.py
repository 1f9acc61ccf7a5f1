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
        self.count += 1
        if self.count <= 5:
            self._heights = sorted([*self._heights, x])
            return
        places = self._places
        for marker in range(self._cell(x) + 1, 5):
            places[marker] += 1
        for marker, share in ((1, 0.5 * self.share), (2, self.share), (3, 0.5 + 0.5 * self.share)):
            off = 1.0 + (self.count - 1) * share - places[marker]
            if off >= 1.0 and places[marker + 1] - places[marker] > 1:
                self._move(marker, 1)
            elif off <= -1.0 and places[marker - 1] - places[marker] < -1:
                self._move(marker, -1)

    def _cell(self, x: float) -> int:
        """Which of the four cells the value falls in; the outer markers move to hold it."""
        heights = self._heights
        if x < heights[0]:
            heights[0] = x
            return 0
        if x >= heights[4]:
            heights[4] = x
            return 3
        return 0 if x < heights[1] else 1 if x < heights[2] else 2 if x < heights[3] else 3

    def _move(self, i: int, side: int) -> None:
        """One place towards `side`: along the parabola through three markers, or the line where that would cross."""
        q, n = self._heights, self._places
        up, down = (q[i + 1] - q[i]) / (n[i + 1] - n[i]), (q[i] - q[i - 1]) / (n[i] - n[i - 1])
        wide = n[i + 1] - n[i - 1]
        height = q[i] + side / wide * ((n[i] - n[i - 1] + side) * up + (n[i + 1] - n[i] - side) * down)
        if not q[i - 1] < height < q[i + 1]:
            height = q[i] + side * (q[i + side] - q[i]) / (n[i + side] - n[i])
        q[i] = height
        n[i] += side


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
        side = high.value - middle.value if x >= middle.value else middle.value - low.value
        return abs(x - middle.value) / max(side, 1e-9 * abs(middle.value) + 1e-12)

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
        for marker in self._old:
            marker.learn(x)
        if self._old[0].count > self.window:
            for marker in self._young:
                marker.learn(x)

    def _fresh(self) -> tuple[P2, P2, P2]:
        return P2(self.share), P2(0.5), P2(1.0 - self.share)
