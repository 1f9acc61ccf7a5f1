"""One detector for every metric of operations, with nothing to set.

Composed of an adaptive level, a day's profile, three views of what is left over, and the extremes of each. Knows
nothing of units or of what a metric means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from detectors.base import LARGEST, Seconds
from detectors.extremes import Extremes
from detectors.seasonal import DAY, DayPeaks, DayProfile

__all__ = ["Default", "Explanation"]

_VIEWS: Final = ("jump", "level", "sum")
_WARM_UP: Final = 30
"""Values before the first score."""
_SETTLE: Final = 6
_FAST: Final = 3.0
"""Half-life of the recent level, in sampling intervals."""
_SLOW: Final = DAY
"""Half-life of the level, in seconds; at least 20 sampling intervals."""
_SUM: Final = 20.0
"""Half-life of the sum of what is left over, in sampling intervals."""
_CLIP: Final = 2.5
"""What lies further out moves the level by no more than this many tail quantiles."""
_ADOPT: Final = 100
"""Values on one side, beyond the tail quantile, after which their level is the new level."""
_APART: Final = 100.0
"""Break between two episodes, in sampling intervals."""
_HABIT: Final = 0.1
"""A score must beat that of the same time on former days by this much, in logs."""
_REST: Final = 120.0
"""Rest after an alarm, in sampling intervals, from an hour to a day."""
_REARM: Final = 1.5
"""A surprise so many times that of the last alarm ends the rest."""
_LEAST: Final = 6.5
"""Nats that an alarm takes at least: so hourly values alarm no more often than their short history can justify."""
_NORM: Final = 8.0
"""Exponent by which surprises of the views add up: nearly the largest."""


class Explanation(NamedTuple):
    """What was expected, what saw otherwise, and since when."""

    expected: float
    """Middle of what is ordinary, in the value's unit."""
    low: float
    """Lower end of what would have raised no alarm."""
    high: float
    """Upper end of what would have raised no alarm."""
    surprise: float
    """In nats; the alarm is at `threshold`."""
    threshold: float
    view: str
    """`jump`: against the last values. `level`: against the last day. `sum`: many small differences one way."""
    since: float | None
    """Time of the first value of this unbroken excess; None where there is none."""


class _Look(NamedTuple):
    """All that follows from a value before anything is learnt."""

    score: float
    surprise: float
    habitual: float
    sizes: tuple[float, float, float]
    rest: float
    step: float
    summed: float
    offset: float | None
    alarm: bool
    weights: tuple[float, float, float]


@dataclass(slots=True)
class Default:
    """How unusual a value is for this series, in [0, 1]; 0.5 is the alarm, about one false one in `false_alarms`.

    Suits latencies, rates, levels and counts at any sampling interval, with or without a daily rhythm, from
    the first value on. Misleads on slow ramps (they are adopted: use Trend), on rhythms of a week, and on
    values that are nearly always 0. `update` scores and learns by its own rule: an alarm is one value, then
    the detector rests for 120 sampling intervals (an hour to a day) unless things grow worse by half; a
    level that stays is adopted after 100 values and reported once.

    Three views of x less the day's profile: its distance from the last values (half-life 3 intervals), from the
    level (a day), and the sum of the latter (20 intervals). The surprise of each is judged by its own Extremes;
    S is their 8-norm. The alarm is at T = ln(false_alarms / interval) nats, at least 6.5. Score: S / (S + T).
    A surprise that came at the same time of day before is none.

    Args:
        false_alarms: Seconds between two false alarms on a quiet series, above 0. Measured on ten kinds of
            simulated quiet series: 0.6 to 2.2 times as many as asked for at intervals of 1 and 5 minutes, 0.2
            to 2.2 times at an hour.

    Source: our own composition, measured on labelled series; see the README of detectors for tables. A rest after an
    alarm, tails that go on learning and a memory for the time of day are what paid.

    >>> from random import Random
    >>> noise, latency = Random(1), Default()
    >>> quiet = [latency.update(60.0 * i, noise.gauss(20.0, 2.0)) for i in range(500)]
    >>> max(quiet) < 0.5 < latency.update(30000.0, 60.0)
    True
    """

    false_alarms: Seconds = 4 * 86400.0
    _views: tuple[Extremes, Extremes, Extremes] = field(init=False, repr=False)
    _profile: DayProfile = field(init=False, repr=False)
    _peaks: DayPeaks = field(init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)
    _time: float = field(default=0.0, init=False, repr=False)
    _interval: float = field(default=0.0, init=False, repr=False)
    _threshold: float = field(default=_LEAST, init=False, repr=False)
    _steady: tuple[float, float, float] = field(default=(0.0, 0.0, 0.0), init=False, repr=False)
    _recent: float = field(default=0.0, init=False, repr=False)
    _level: float = field(default=0.0, init=False, repr=False)
    _plain: float = field(default=0.0, init=False, repr=False)
    _sum: float = field(default=0.0, init=False, repr=False)
    _scale: float = field(default=0.0, init=False, repr=False)
    _error_plain: float = field(default=0.0, init=False, repr=False)
    _error_daily: float = field(default=0.0, init=False, repr=False)
    _run: float = field(default=0.0, init=False, repr=False)
    _rest_until: float = field(default=-math.inf, init=False, repr=False)
    _alarm: float = field(default=0.0, init=False, repr=False)
    _since: float | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.false_alarms < math.inf:
            raise ValueError(f"false_alarms must be above 0 seconds, got {self.false_alarms}")
        self._views = (Extremes(), Extremes(), Extremes())
        self._profile = DayProfile()
        self._peaks = DayPeaks()

    def update(self, t: float, x: float) -> float:
        """Score, then learn. 0 where nothing can be said."""
        if not (-LARGEST < x < LARGEST and -LARGEST < t < LARGEST):
            return 0.0
        look = self._look(t, x)
        self._take(t, x, look)
        return look.score if self._count > _WARM_UP else 0.0

    def score(self, t: float, x: float) -> float | None:
        if self._count < _WARM_UP or not (-LARGEST < x < LARGEST and -LARGEST < t < LARGEST):
            return None
        return self._look(t, x).score

    def learn(self, t: float, x: float) -> None:
        if -LARGEST < x < LARGEST and -LARGEST < t < LARGEST:
            self._take(t, x, self._look(t, x))

    def explain(self, t: float, x: float) -> Explanation:
        """Why value `x` at time `t` scores as it does, without learning it. Costs about 0.2 ms.

        >>> from random import Random
        >>> noise, latency = Random(1), Default()
        >>> for i in range(500):
        ...     latency.learn(60.0 * i, noise.gauss(20.0, 2.0))
        >>> why = latency.explain(30000.0, 60.0)
        >>> why.view, round(why.expected), why.low < 14.0, 26.0 < why.high < 60.0
        ('level', 20, True, True)
        """
        look = self._look(t, x)
        parts = [view.surprise(size, self._threshold) for view, size in zip(self._views, look.sizes, strict=True)]
        middle = self._level + x - self._deseasoned(x, look.offset)
        room = self._room(t, x, look)
        firing = look.surprise >= self._threshold
        since = self._since if self._since is not None else t
        return Explanation(
            expected=middle,
            low=middle - room,
            high=middle + room,
            surprise=look.surprise,
            threshold=self._threshold,
            view=_VIEWS[parts.index(max(parts))],
            since=since if firing else None,
        )

    def _room(self, t: float, x: float, look: _Look) -> float:
        """Distance from the level at which the view of the level alone would alarm, by halving in logs."""
        low, high = -690.0, 690.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            if self._views[1].surprise(middle, self._threshold) < self._threshold:
                low = middle
            else:
                high = middle
        return math.exp(low)

    def _look(self, t: float, x: float) -> _Look:
        weights = self._weights(t)
        offset = self._profile.offset(t)
        y = self._deseasoned(x, offset)
        floor = 1e-3 * self._scale + 1e-9 * abs(self._level) + 1e-12
        step, rest = y - self._recent, y - self._level
        summed = self._sum + weights[2] * (rest - self._sum)
        jumped, lay, added = self._views
        sizes = (
            math.log(abs(step) + floor),
            math.log(abs(rest) + floor),
            math.log(abs(summed) + 0.3 * floor),
        )
        if self._count < _SETTLE:
            return _Look(0.0, 0.0, -9.0, sizes, rest, step, summed, offset, False, weights)
        least = self._threshold
        surprise = (
            jumped.surprise(sizes[0], least) ** _NORM
            + lay.surprise(sizes[1], least) ** _NORM
            + added.surprise(sizes[2], least) ** _NORM
        ) ** (1.0 / _NORM)
        relative = math.log(surprise / least + 1e-9)
        habit = self._peaks.habit(t)
        if habit > -1.0 and relative < habit + _HABIT:
            surprise = min(surprise, 0.9 * least)
        score = surprise / (surprise + least)
        alarm = score >= 0.5 and self._count >= _WARM_UP
        if alarm and t < self._rest_until and surprise < _REARM * self._alarm:
            score, alarm = 0.25, False
        return _Look(score, surprise, relative, sizes, rest, step, summed, offset, alarm, weights)

    def _take(self, t: float, x: float, look: _Look) -> None:
        self._pace(t)
        if not self._count:
            self._recent = self._level = self._plain = x
        self._watch(t, look)
        floor = 1e-3 * self._scale + 1e-9 * abs(self._level) + 1e-12
        most = _CLIP * math.exp(min(345.0, self._views[1].quantile)) + floor
        fast, slow, adding = look.weights
        y = self._deseasoned(x, look.offset)
        rest = look.rest if self._count else 0.0
        pull = rest if self._count < _SETTLE else max(-most, min(most, rest))
        if self._adopts(rest):
            self._plain += self._recent - self._level
            self._level, self._sum, pull = self._recent, 0.0, 0.0
        self._recent += fast * (y - self._recent)
        self._level += slow * pull
        self._sum += adding * (pull - self._sum)
        self._scale += slow * (abs(pull) - self._scale)
        self._learn_rhythm(t, x, look.offset, slow, most)
        self._count += 1

    def _watch(self, t: float, look: _Look) -> None:
        """Keep the extremes, the habits and the rest."""
        if self._count >= _SETTLE:
            apart = _APART * self._interval
            for view, size in zip(self._views, look.sizes, strict=True):
                view.learn(size, t, apart)
            self._peaks.learn(t, look.habitual)
        if look.surprise < self._threshold:
            self._since = None
        elif self._since is None:
            self._since = t
        if look.alarm:
            self._alarm = look.surprise
            hours = max(3600.0, _REST * self._interval)
            self._rest_until = t + min(hours, max(DAY, 3.0 * self._interval))

    def _learn_rhythm(self, t: float, x: float, offset: float | None, slow: float, most: float) -> None:
        """The day's profile, against a level that knows of no profile, and whether the profile helps."""
        off = x - self._plain
        self._plain += slow * (off if self._count < _SETTLE else max(-most, min(most, off)))
        if offset is not None:
            weight = max(0.5 * slow, 1.0 / (1.0 + self._count))
            plain, daily = min(abs(off), 2.0 * most), min(abs(off - offset), 2.0 * most)
            if self._error_plain <= 0.0:
                self._error_plain, self._error_daily = plain, daily
            else:
                self._error_plain += weight * (plain - self._error_plain)
                self._error_daily += weight * (daily - self._error_daily)
        self._profile.learn(t, off)

    def _deseasoned(self, x: float, offset: float | None) -> float:
        """The value less the day's profile, by as much as the profile has been of help."""
        if offset is None or self._error_plain <= 0.0:
            return x
        left = self._error_daily / self._error_plain
        if left >= 1.0:
            return x
        return x - offset * min(1.0, (1.0 - left) / 0.3)

    def _adopts(self, rest: float) -> bool:
        """Whether values have lain on one side for so long that they are the new level."""
        if abs(rest) <= math.exp(min(345.0, self._views[1].quantile)):
            self._run *= 0.5
            return False
        side = math.copysign(1.0, rest)
        self._run = self._run + side if self._run * side >= 0.0 else 0.0
        if abs(self._run) <= _ADOPT:
            return False
        self._run = 0.0
        return True

    def _weights(self, t: float) -> tuple[float, float, float]:
        """Weights of a value in the recent level, the level and the sum; a gap counts as up to 50 intervals."""
        fast, slow, adding = self._steady
        if self._interval > 0.0:
            steps = (t - self._time) / self._interval
            if not 0.9 < steps < 1.1:
                fast, slow, adding = _halving(min(50.0, max(1.0, steps)), self._interval)
        least = 1.0 / (1.0 + self._count)
        return (max(fast, least), max(slow, least), adding)

    def _pace(self, t: float) -> None:
        """Follow the sampling interval: a median in logs that snaps to what it is near."""
        passed = t - self._time
        self._time = t
        if not self._count or passed <= 0.0:
            return
        before = self._interval
        if not before or 0.9 * before < passed < 1.1 * before:
            self._interval = passed
        else:
            change = 1.05 if self._count < 50 else 1.01
            self._interval = before * change if passed > before else before / change
        if self._interval != before:
            self._threshold = max(_LEAST, math.log(max(3.0, self.false_alarms / self._interval)))
            self._steady = _halving(1.0, self._interval)


def _halving(steps: float, interval: float) -> tuple[float, float, float]:
    return (
        1.0 - 0.5 ** (steps / _FAST),
        1.0 - 0.5 ** (steps / max(_SLOW / interval, 20.0)),
        1.0 - 0.5 ** (steps / _SUM),
    )
