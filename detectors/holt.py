"""Forecasts by exponential smoothing: a level with a trend, and with a season on top.

Knows the last level, slope and season. Knows nothing of what comes at irregular dates.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from detectors.base import LARGEST, Counts, Explanation, Numbers, Seconds
from detectors.ewma import Ewma

__all__ = ["Holt", "HoltWinters"]


@dataclass(slots=True)
class Holt:
    """Distance from what level and trend lead one to expect, in standard deviations of such errors.

    Suits values that climb or fall steadily, and levels that wander. Misleads where the trend is not to be believed:
    a ramp is ordinary once it is learnt (use Trend for what fills up). With a value x after dt seconds:

        expected = level + slope * dt                    error = x - expected
        level    = expected + a * error                  a = 1 - 0.5 ** (dt / half_life)
        slope    = slope + a * b * error / dt            b = 1 - 0.5 ** (dt / trend_half_life)

    Score: |error - mean error| / deviation of the errors, both moving; on Gaussian noise 3 is one value in 370.

    Args:
        half_life: Seconds in which the level forgets half, above 0.
        trend_half_life: Seconds in which the slope forgets half of what the level does, above 0.
        error_half_life: Seconds, of the errors' mean and deviation, above 0.
        warm_up: Values before the first score, at least 3.

    Source: Holt (1957), reprinted in International Journal of Forecasting 20 (2004); for irregular times Wright
    (1986), "Forecasting data published at irregular time intervals". Half-lives in place of constants are our own.

    >>> disk = Holt(half_life=60.0, trend_half_life=60.0, warm_up=4)
    >>> for minute in range(60):
    ...     disk.learn(60.0 * minute, 100.0 + 5.0 * minute)
    >>> round(disk.expected(3600.0), 3)
    400.0
    >>> disk.score(3600.0, 400.0) < 1.0 < 3.0 < disk.score(3600.0, 500.0)
    True
    """

    half_life: Seconds = 300.0
    trend_half_life: Seconds = 3600.0
    error_half_life: Seconds = 21600.0
    warm_up: int = 30
    level: float = field(default=0.0, init=False, repr=False)
    """As of the newest value, in its unit."""
    slope: float = field(default=0.0, init=False, repr=False)
    """Per second."""
    count: int = field(default=0, init=False, repr=False)
    """Values learnt."""
    _errors: Ewma = field(init=False, repr=False)
    _time: float = field(default=0.0, init=False, repr=False)
    _interval: float = field(default=0.0, init=False, repr=False)
    _weight: float = field(default=0.0, init=False, repr=False)
    _turn: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("half_life", "trend_half_life"):
            if not 0.0 < getattr(self, name) < LARGEST:
                raise ValueError(f"{name} must be above 0 seconds, got {getattr(self, name)}")
        if self.warm_up < 3:
            raise ValueError(f"warm_up must be at least 3 values, got {self.warm_up}")
        self._errors = Ewma(half_life=self.error_half_life, warm_up=2)

    def expected(self, t: float) -> float:
        """The value expected at time `t`; a gap is followed for as long as the slope's half-life."""
        ahead = t - self._time
        if not ahead > 0.0:
            ahead = self._interval
        longest = self.trend_half_life
        return self.level + self.slope * (ahead if ahead < longest else longest)

    def score(self, t: float, x: float) -> float | None:
        if self.count < self.warm_up or not (-LARGEST < x < LARGEST and -LARGEST < t < LARGEST):
            return None
        return self._errors.score(t, x - self.expected(t))

    def explain(self, t: float, x: float, threshold: float = 3.0) -> Explanation | None:
        """What was expected: the forecast, within `threshold` deviations of its errors."""
        if self.score(t, x) is None:
            return None
        expected, room = self.expected(t) + self._errors.mean, threshold * self._errors.deviation
        return Explanation(expected, expected - room, expected + room, x - expected, "trend")

    def learn(self, t: float, x: float) -> None:
        if not (-LARGEST < x < LARGEST and -LARGEST < t < LARGEST):
            return
        self.count = count = self.count + 1
        if count == 1:
            self.level, self._time = x, t
            return
        expected = self.expected(t)
        interval = t - self._time
        self._time = t
        if interval != self._interval and interval > 0.0:
            self._interval = interval
            self._weight = 1.0 - 0.5 ** (interval / self.half_life)
            self._turn = 1.0 - 0.5 ** (interval / self.trend_half_life)
        error, weight, turn, least = x - expected, self._weight, self._turn, 1.0 / count
        if weight < least:
            weight = least
        if turn < least:
            turn = least
        self.level = _bounded(expected + weight * error)
        if self._interval > 0.0:
            self.slope = _bounded(self.slope + weight * turn * error / self._interval)
        if count > 2:
            self._errors.learn(t, error)


def _bounded(number: float) -> float:
    """Within what may be learnt, so that a giant seen twice within a blink leaves no slope that overflows."""
    if -LARGEST < number < LARGEST:
        return number
    return max(-LARGEST, min(LARGEST, number))


@dataclass(slots=True)
class HoltWinters:
    """Holt's forecast with an additive season: what each part of a period adds to the level.

    Suits daily or weekly rhythms whose shape stays, from the second period on. Misleads where the swing grows with
    the level (give the logarithm of the value), and for one period after the shape has changed. Score: as Holt's, of
    the value less its season.

        y = x - season[slot],   error by Holt of y,   season[slot] += w * error

    where w weighs so that the values of one slot in one period together have weight `season_weight`.

    Args:
        period: Seconds after which the season repeats, above 0.
        slots: Parts of a period that differ, from 2 to 10,080.
        season_weight: Weight of the newest period in the season, above 0 and below 1.
        half_life: Seconds in which the level forgets half; longer than a slot, or the level takes the season's part.
        trend_half_life: As Holt's.
        warm_up: Values before the first score, at least 3.

    Source: Winters (1960), "Forecasting sales by exponentially weighted moving averages", the additive form. Slots in
    time in place of a count of values are our own, so that gaps do not shift the season.

    >>> clients = HoltWinters(period=4.0, slots=4, half_life=100.0, trend_half_life=1e6, warm_up=8)
    >>> for second in range(400):
    ...     clients.learn(float(second), (10.0, 10.0, 50.0, 10.0)[second % 4])
    >>> clients.score(402.0, 50.0) < 1.0, clients.score(402.0, 10.0) > 3.0
    (True, True)
    """

    period: Seconds = 86400.0
    slots: int = 96
    season_weight: float = 0.3
    half_life: Seconds = 21600.0
    trend_half_life: Seconds = 604800.0
    warm_up: int = 30
    _holt: Holt = field(init=False, repr=False)
    _season: Numbers = field(init=False, repr=False)
    _seen: Counts = field(init=False, repr=False)
    _time: float = field(default=0.0, init=False, repr=False)
    _part: float = field(default=1.0, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.period < LARGEST:
            raise ValueError(f"period must be above 0 seconds, got {self.period}")
        if not 2 <= self.slots <= 10080:
            raise ValueError(f"slots must be from 2 to 10080, got {self.slots}")
        if not 0.0 < self.season_weight < 1.0:
            raise ValueError(f"season_weight must be above 0 and below 1, got {self.season_weight}")
        self._holt = Holt(self.half_life, self.trend_half_life, warm_up=self.warm_up)
        self._season = array("d", bytes(8 * self.slots))
        self._seen = array("l", [0] * self.slots)

    def score(self, t: float, x: float) -> float | None:
        if not (-LARGEST < x < LARGEST and -LARGEST < t < LARGEST):
            return None
        return self._holt.score(t, x - self._season[self._slot(t)])

    def explain(self, t: float, x: float, threshold: float = 3.0) -> Explanation | None:
        """What was expected: the forecast with the season, within `threshold` deviations of its errors."""
        if self.score(t, x) is None:
            return None
        season = self._season[self._slot(t)]
        why = self._holt.explain(t, x - season, threshold)
        if why is None:
            return None
        return why._replace(expected=why.expected + season, low=why.low + season, high=why.high + season, part="season")

    def learn(self, t: float, x: float) -> None:
        if not (-LARGEST < x < LARGEST and -LARGEST < t < LARGEST):
            return
        slot = self._slot(t)
        y = x - self._season[slot]
        error = y - self._holt.expected(t) if self._holt.count else 0.0
        self._holt.learn(t, y)
        self._follow(t)
        share = 1.0 - (1.0 - self.season_weight) ** self._part
        # the first periods are averaged, or their noise would stay for long
        weight = max(share, min(1.0, self._part) / (1.0 + self._seen[slot] * min(1.0, self._part)))
        self._season[slot] = max(-LARGEST, min(LARGEST, self._season[slot] + weight * error))
        self._seen[slot] += 1

    def _follow(self, t: float) -> None:
        """How much of a slot a value stands for."""
        passed = t - self._time
        self._time = t
        if passed > 0.0:
            self._part = min(1.0, passed * self.slots / self.period)

    def _slot(self, t: float) -> int:
        return int(t % self.period * self.slots / self.period) % self.slots
