"""Rising floors: slope with a confidence interval, a test for a trend, and the time until a level is reached.

Pure functions over arrays, and one detector made of them. Knows nothing of what the level is or who rises. Imports
numpy where arrays are made and not before: `import detectors` must cost a daemon's start nothing.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from detectors.base import LARGEST, Seconds

__all__ = ["Floor", "Slope", "Tendency", "TimeLeft", "Trend", "eta", "mann_kendall", "theil_sen"]

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SCORE_AT_LEVEL: Final = 1e6
"""Score of a floor that has reached the level, and the largest one that Trend gives."""


class Slope(NamedTuple):
    """A slope and the interval that holds it, in value units per second."""

    value: float
    low: float
    high: float


class Tendency(NamedTuple):
    """Outcome of the Mann-Kendall test. `z` is above 0 when values rise; `p` is two-sided."""

    z: float
    p: float


class TimeLeft(NamedTuple):
    """Seconds until a level is reached. `latest` is None where the trend may also end before."""

    earliest: float
    latest: float | None


UNKNOWN: Final = Slope(0.0, -math.inf, math.inf)
"""The slope of fewer than two different times: any slope is possible."""


def theil_sen(t: Floats, x: Floats, confidence: float = 0.9, memory: bool = False) -> Slope:
    """Median of the slopes between all pairs of points, with a confidence interval.

    Suits trends under spikes: up to 29 % of the points may be wild. Misleads on steps (the median of a step
    is a gentle slope) and on cycles longer than the window. Where points differ from the line for longer
    than one sampling interval, set `memory`: the plain interval is far too narrow there. O(n^2) time and
    memory: about 60 µs for up to 60 points, 0.7 ms for 200; thin out above 1,000.

    Args:
        t: Unix seconds, float64, shape (n,), in any order. Pairs of equal times are left out.
        x: Values, float64, shape (n,), finite.
        confidence: Share of such intervals that hold the true slope, between 0 and 1.
        memory: Widen the interval by the first autocorrelation of what the line leaves over.

    Returns:
        Slope in value units per second; `UNKNOWN` (0, from -inf to inf) without two different times.

    Source: Sen (1968), "Estimates of the regression coefficient based on Kendall's tau", section 4. Widening:
    Yue and Wang (2004), "The Mann-Kendall test modified by effective sample size", equation 12 with the
    autocorrelation of an AR(1) process.

    >>> import numpy as np
    >>> t = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    >>> theil_sen(t, np.array([0.0, 2.0, 4.0, 100.0, 8.0, 10.0]))  # one wild point; ranks 3 and 13 of 15
    Slope(value=2.0, low=2.0, high=33.333333333333336)
    """
    from statistics import NormalDist

    import numpy as np

    i, j = _pairs(len(t))
    run = t[j] - t[i]
    rise = x[j] - x[i]
    apart = run != 0.0
    if not apart.all():
        run, rise = run[apart], rise[apart]
    if not len(run):
        return UNKNOWN
    slopes = rise / run
    deviation = math.sqrt(_kendall_variance(x))
    value = float(np.median(slopes))
    if memory:
        deviation *= _inflation(x - value * (t - t[0]))
    return _interval(slopes, value, NormalDist().inv_cdf(0.5 + 0.5 * confidence) * deviation)


def mann_kendall(x: Floats, memory: bool = False) -> Tendency:
    """Does the series rise or fall, whatever the shape? Counts pairs in order against pairs out of order.

    Suits short series of unknown distribution. Misleads on values with memory, which look like trends: set
    `memory` there. O(n^2) time and memory; 60 points take about 30 µs.

    Args:
        x: Values, float64, shape (n,), oldest first, equally far apart or nearly so.
        memory: Reduce `z` by the first autocorrelation of what a Theil-Sen line leaves over.

    Source: Mann (1945); Kendall (1975), with his correction for ties and for continuity. Memory: as
        theil_sen.

    >>> import numpy as np
    >>> tendency = mann_kendall(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    >>> round(tendency.z, 3), round(tendency.p, 3)  # S = 10, variance 5 * 4 * 15 / 18
    (2.205, 0.027)
    """
    import numpy as np

    i, j = _pairs(len(x))
    rises = np.sign(x[j] - x[i])
    s = float(rises.sum())
    variance = _kendall_variance(x)
    if variance <= 0.0 or s == 0.0:
        return Tendency(0.0, 1.0)
    z = (s - math.copysign(1.0, s)) / math.sqrt(variance)
    if memory:
        slope = float(np.median((x[j] - x[i]) / (j - i)))
        z /= _inflation(x - slope * np.arange(len(x)))
    return Tendency(z, math.erfc(abs(z) / math.sqrt(2.0)))


def eta(level_now: float, ceiling: float, slope_low: float, slope_high: float) -> TimeLeft | None:
    """Time until a rising level reaches the ceiling, between the fastest and the slowest slope.

    Args:
        level_now: Value now, best the newest floor or the end of the fitted line, in its unit.
        ceiling: The wall, in the same unit.
        slope_low: Slowest believable slope, per second.
        slope_high: Fastest believable slope, per second.

    Returns:
        Seconds; None if even the fastest slope never gets there; (0, 0) if it is already there.

    >>> eta(level_now=400.0, ceiling=1000.0, slope_low=0.0, slope_high=2.0)
    TimeLeft(earliest=300.0, latest=None)
    >>> eta(level_now=400.0, ceiling=1000.0, slope_low=1.5, slope_high=2.0)
    TimeLeft(earliest=300.0, latest=400.0)
    """
    missing = ceiling - level_now
    if missing <= 0.0:
        return TimeLeft(0.0, 0.0)
    if not slope_high > 0.0:
        return None
    return TimeLeft(missing / slope_high, missing / slope_low if slope_low > 0.0 else None)


@dataclass(slots=True)
class Floor:
    """The lowest value of each of the last steps of time: what remains when the traffic has gone.

    A leak lifts the floor, a burst only the ceiling. Memory is `steps` numbers whatever the sampling
    interval.

    Args:
        step: Seconds that share one minimum, above 0; longer than what the traffic takes to ebb.
        steps: How many steps are kept, at least 2.

    >>> floor = Floor(step=60.0, steps=10)
    >>> for second, clients in [(0, 50.0), (20, 90.0), (60, 52.0), (90, 51.0), (125, 70.0)]:
    ...     _ = floor.add(second, clients)
    >>> floor.lows()  # the step that began at 120 is not over
    (array([ 0., 90.]), array([50., 51.]))
    """

    step: Seconds = 60.0
    steps: int = 60
    _times: deque[float] = field(init=False, repr=False)
    _lows: deque[float] = field(init=False, repr=False)
    _number: int | None = field(default=None, init=False, repr=False)
    _time: float = field(default=0.0, init=False, repr=False)
    _low: float = field(default=math.inf, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.step < math.inf:
            raise ValueError(f"step must be above 0 seconds, got {self.step}")
        if self.steps < 2:
            raise ValueError(f"steps must be at least 2, got {self.steps}")
        self._times = deque(maxlen=self.steps)
        self._lows = deque(maxlen=self.steps)

    def add(self, t: float, x: float) -> bool:
        """Take a value in; True if that ended a step. A time of an earlier step counts in the present one."""
        if not (-LARGEST < x < LARGEST and -LARGEST < t < LARGEST):
            return False
        number = int(t // self.step)
        ended = self._number is not None and number > self._number
        if ended:
            self._times.append(self._time)
            self._lows.append(self._low)
        if ended or self._number is None:
            self._number, self._low = number, math.inf
        if x < self._low:
            self._time, self._low = t, x
        return ended

    def __len__(self) -> int:
        return len(self._lows)

    def lows(self) -> tuple[Floats, Floats]:
        """Times and values of the lowest point of each step that is over: float64, shape (n,), oldest first."""
        import numpy as np

        return np.array(self._times, dtype=np.float64), np.array(self._lows, dtype=np.float64)


@dataclass(slots=True)
class Trend:
    """How soon the rising floor reaches a level, against a horizon.

    Suits what fills up and does not empty: connections, disks, memory, backlogs. Misleads on daily cycles
    longer than the window, whose mornings look like leaks: give a horizon well below a day there, or a
    window of more than one. Score: horizon / time left at the median slope; 1 says that the level is one
    horizon away, 2 half of one. It is 0 while the confidence interval of the slope holds 0, and at most a
    million (level reached).

    The fit is renewed once a step, so that a value costs little between; it costs about 0.1 ms then.

    Args:
        level: The wall, in the value's unit.
        horizon: Seconds; a wall further away than this scores below 1.
        window: Seconds of floors that the slope is read from.
        steps: Floors in the window, from 5 to 500.
        confidence: Of the slope's interval, between 0 and 1.

    Source: Theil-Sen slope of floors is our own; measured on simulated weeks with leaks of 70 to 3,600 an
    hour under a daily rhythm, floors with a time-left gate raised no false alarm where averages raised 23 a
    week.

    >>> disk = Trend(level=100.0, horizon=3600.0, window=600.0, steps=10)
    >>> for minute in range(11):
    ...     disk.learn(60.0 * minute, 40.0 + minute)  # 1 a minute; 50 missing at the end
    >>> disk.score(600.0, 50.0)
    1.2
    """

    level: float
    horizon: Seconds = 259200.0
    window: Seconds = 3600.0
    steps: int = 60
    confidence: float = 0.9
    slope: Slope = field(default=UNKNOWN, init=False, repr=False)
    """Of the floor, in value units per second, as of the last step that ended."""
    _floor: Floor = field(init=False, repr=False)
    _low: float = field(default=0.0, init=False, repr=False)
    _low_time: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("horizon", "window"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0 seconds, got {getattr(self, name)}")
        if not 5 <= self.steps <= 500:
            raise ValueError(f"steps must be from 5 to 500, got {self.steps}")
        if not 0.0 < self.confidence < 1.0:
            raise ValueError(f"confidence must be between 0 and 1, got {self.confidence}")
        if not -LARGEST < self.level < LARGEST:
            raise ValueError(f"level must be a finite number, got {self.level}")
        self._floor = Floor(step=self.window / self.steps, steps=self.steps)

    def score(self, t: float, x: float) -> float | None:
        if not (-LARGEST < x < LARGEST and -LARGEST < t < LARGEST):
            return None
        if x >= self.level:
            return SCORE_AT_LEVEL
        left = self.time_left(t)
        if left is None:
            return None if len(self._floor) < 5 else 0.0
        return min(SCORE_AT_LEVEL, self.horizon / left.earliest) if left.earliest else SCORE_AT_LEVEL

    def time_left(self, t: float) -> TimeLeft | None:
        """Seconds from time `t` to the level at the median slope and at the slowest believable one."""
        if not self.slope.low > 0.0:
            return None
        now = self._low + self.slope.value * max(0.0, t - self._low_time)
        return eta(now, self.level, self.slope.low, self.slope.value)

    def learn(self, t: float, x: float) -> None:
        if self._floor.add(t, x) and len(self._floor) >= 5:
            times, lows = self._floor.lows()
            self.slope = theil_sen(times, lows, self.confidence, memory=True)
            self._low, self._low_time = float(lows[-1]), float(times[-1])


@lru_cache(maxsize=8)
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    import numpy as np

    return np.triu_indices(n, k=1)


def _kendall_variance(x: Floats) -> float:
    """Variance of Kendall's S under no trend, less what ties take away."""
    import numpy as np

    n = len(x)
    _, ties = np.unique(x, return_counts=True)
    tied = float((ties * (ties - 1) * (2 * ties + 5)).sum())
    return (n * (n - 1) * (2 * n + 5) - tied) / 18.0


def _interval(slopes: Floats, value: float, half: float) -> Slope:
    """Slopes at the ranks (N - half) / 2 and (N + half) / 2 + 1, counted from 1; the extremes beyond."""
    import numpy as np

    n = len(slopes)
    low = max(0, math.floor((n - half) / 2.0) - 1)
    high = min(n - 1, math.ceil((n + half) / 2.0))
    ordered = np.partition(slopes, (low, high))
    return Slope(value, float(ordered[low]), float(ordered[high]))


def _inflation(rest: Floats) -> float:
    """How much wider an interval must be when neighbours resemble each other: sqrt((1 + r) / (1 - r))."""
    rest = rest - rest.mean()
    power = float(rest @ rest)
    if len(rest) < 4 or power <= 0.0:
        return 1.0
    r = min(0.95, max(0.0, float(rest[:-1] @ rest[1:]) / power))
    return math.sqrt((1.0 + r) / (1.0 - r))
