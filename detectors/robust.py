"""Median and median absolute deviation of the last values, kept in order.

Knows nothing of time: its window is a number of values.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field

from detectors.base import LARGEST, Explanation

__all__ = ["Robust"]

_HALF = 0.6745
_COVERS = ((0.5, _HALF), (0.9, 1.6449), (0.99, 2.5758))
"""Share of a Gaussian, and how many standard deviations around its median hold that share."""


@dataclass(slots=True)
class Robust:
    """Distance from the median of the last values, in standard deviations read from the median deviation.

    Suits noise with spikes: up to half of the window may be wild without moving the score. Misleads on two
    levels that alternate (the median sits on one of them) and on daily cycles longer than the window. Score:
    |value - median| / (MAD / 0.6745), so that on Gaussian noise 3 is one value in 370; heavy tails pass 3
    often.

    Where more than half of the window is one and the same value (counts, quantised values) the median
    deviation is 0; the radius that holds 90 %, then 99 % of the window is taken in its place, read as the
    same quantile of a Gaussian. O(log n) comparisons a value; memory is the window.

    Args:
        window: Values kept, at least 4.
        warm_up: Values before the first score, at least 2; until then the score is None.
        resolution: Smallest standard deviation to divide by, in the value's unit.

    Source: Hampel (1974), "The influence curve and its role in robust estimation"; Iglewicz and Hoaglin
    (1993), "How to detect and handle outliers", section 3. The wider radii are our own.

    >>> depth = Robust(window=9, warm_up=5)
    >>> for second, jobs in enumerate([10.0, 12.0, 11.0, 900.0, 14.0]):
    ...     depth.learn(second, jobs)
    >>> depth.median
    12.0
    >>> round(depth.score(6.0, 15.0), 3)  # deviations 0 1 2 2 888, so MAD is 2
    1.012
    """

    window: int = 240
    warm_up: int = 30
    resolution: float = 0.0
    _recent: deque[float] = field(init=False, repr=False)
    _ordered: list[float] = field(default_factory=list, init=False, repr=False)
    _spread: float | None = field(default=None, init=False, repr=False)
    _median: float = field(default=0.0, init=False, repr=False)
    _first: int = field(default=0, init=False, repr=False)
    """Where the nearest half of the window begins; a value moves it little."""

    def __post_init__(self) -> None:
        if self.window < 4:
            raise ValueError(f"window must be at least 4 values, got {self.window}")
        if not 2 <= self.warm_up <= self.window:
            raise ValueError(f"warm_up must be from 2 to window ({self.window}) values, got {self.warm_up}")
        self._recent = deque(maxlen=self.window)

    @property
    def median(self) -> float:
        """Median of the window, in the value's unit; 0 before the first value."""
        ordered, n = self._ordered, len(self._ordered)
        if not n:
            return 0.0
        return ordered[n // 2] if n % 2 else 0.5 * (ordered[n // 2 - 1] + ordered[n // 2])

    @property
    def deviation(self) -> float:
        """Standard deviation as the window's radius says it, in the value's unit; above 0."""
        least = self.resolution + 1e-9 * abs(self.median) + 1e-12
        for share, deviations in _COVERS:
            spread = _radius(self._ordered, self.median, share) / deviations
            if spread > least:
                return spread
        return least

    def score(self, t: float, x: float) -> float | None:
        if len(self._ordered) < self.warm_up or not -LARGEST < x < LARGEST:
            return None
        spread = self.deviation if self._spread is None else self._spread
        return abs(x - self._median) / spread

    def explain(self, t: float, x: float, threshold: float = 3.0) -> Explanation | None:
        """What was expected: the median, within `threshold` deviations."""
        if self.score(t, x) is None:
            return None
        room = threshold * self.deviation
        return Explanation(self.median, self.median - room, self.median + room, x - self.median, "median")

    def learn(self, t: float, x: float) -> None:
        if not -LARGEST < x < LARGEST:
            return
        ordered, recent = self._ordered, self._recent
        if len(recent) == self.window:
            del ordered[bisect_left(ordered, recent[0])]
        recent.append(x)
        insort(ordered, x)
        n = len(ordered)
        self._median = centre = ordered[n // 2] if n % 2 else 0.5 * (ordered[n // 2 - 1] + ordered[n // 2])
        if n < self.warm_up:
            return
        k = n // 2 + 1
        last, first = n - k, self._first
        if first > last:
            first = last
        while first < last and centre - ordered[first] > ordered[first + k - 1] - centre:
            first += 1
        while first and centre - ordered[first - 1] <= ordered[first + k - 2] - centre:
            first -= 1
        self._first = first
        spread = _reach(ordered, centre, first, k) / _HALF
        self._spread = spread if spread > self.resolution + 1e-9 * abs(centre) + 1e-12 else self.deviation


def _radius(ordered: list[float], centre: float, share: float) -> float:
    """Smallest distance from `centre` within which at least `share` of the sorted values lie. O(log n).

    The nearest k values are neighbours in order, so it is a search for the run of k values whose far end is
    nearest; the distance at the left end only falls along the runs, the one at the right end only grows.
    """
    k = int(share * len(ordered)) + 1
    if k > len(ordered):
        k = len(ordered)
    if not k:
        return 0.0
    low, high = 0, len(ordered) - k
    while low < high:
        middle = (low + high) // 2
        if centre - ordered[middle] > ordered[middle + k - 1] - centre:
            low = middle + 1
        else:
            high = middle
    return _reach(ordered, centre, low, k)


def _reach(ordered: list[float], centre: float, first: int, k: int) -> float:
    """The smaller of the far ends of the run of k values that begins at `first` and of the one before it."""
    left, right = centre - ordered[first], ordered[first + k - 1] - centre
    here = left if left > right else right
    if not first:
        return here
    left, right = centre - ordered[first - 1], ordered[first + k - 2] - centre
    before = left if left > right else right
    return here if here < before else before
