"""One detector for every metric of operations, with nothing to set.

Composed of an adaptive level, a day's profile, three views of what is left over, and the extremes of each. Knows
nothing of units or of what a metric means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from detectors.base import LARGEST, Explanation, Seconds
from detectors.budget import Budget
from detectors.extremes import SHARE, START, SURE, Extremes
from detectors.familiar import Familiar
from detectors.pace import Pace
from detectors.rest import Rest
from detectors.seasonal import DAY, DayPeaks, DayProfile

__all__ = ["Default"]

_VIEWS: Final = ("jump", "level", "sum")
_WARM_UP: Final = 30
"""Values before the first score."""
_SETTLE: Final = 6
_FAST: Final = 2.5
"""Half-life of the recent level, in sampling intervals."""
_SLOW: Final = DAY
"""Half-life of the level, in seconds; at least one sampling interval."""
_SUM: Final = 20.0
"""Half-life of the sum of what is left over, in sampling intervals."""
_CLIP: Final = 2.5
"""What lies further out moves the level by no more than this many tail quantiles."""
_ADOPT: Final = 50.0
"""Values on one side, beyond the tail quantile, after which their level is the new level."""
_GRAIN: Final = 0.1
"""Differences below this part of a usual step between two values are none."""
_PACE: Final = 0.02
"""Step of the usual step, in logs."""
_MEMORY: Final = 3.0
"""Memory of the records, in times between two false alarms."""
_APART: Final = 100.0
"""Break between two episodes, in sampling intervals."""
_HABIT: Final = 0.1
"""A surprise must exceed that of the same time on former days by this part of it."""
_SAME: Final = 0.01
"""Values closer than this part of a usual step are one and the same."""
_KNOWN: Final = 0.9
"""A habit or a familiar value is worth at most this part of the threshold."""
_ONCE: Final = 60.0
"""Sampling intervals within which news of a familiar value counts once."""
_USUAL: Final = 4 * 86400.0
"""Seconds between two false alarms where no rate is asked for,"""
_LEAST: Final = 700.0
"""and values between them at least."""
_FEWEST: Final = 1.0 / SHARE
"""Values between two false alarms at least, whatever is asked for: below that there is no tail."""
_TRUST: Final = 0.3
"""By how much of its error the day's profile must lessen the rest to be believed in full."""


class _Look(NamedTuple):
    """All that follows from a value before anything is learnt."""

    score: float
    surprise: float
    """Before habits, in nats."""
    offset: float | None
    y: float
    floor: float
    sizes: tuple[float, float, float]
    weights: tuple[float, float, float]


@dataclass(slots=True)
class Default:
    """How unusual a value is for this series, in [0, 1]; 0.5 is the alarm, about one false one in `false_alarms`.

    Suits latencies, rates, levels and counts at any sampling interval, with or without a daily rhythm, from
    the first value on. Misleads on slow ramps (they are adopted: use Trend) and on rhythms of a week. `update`
    scores and learns by its own rule: an alarm is one value, then the detector rests for 120 sampling intervals
    (an hour to a day) unless things grow worse by half; a level that stays is adopted after some 50 values and
    reported once.

    Three views of x less the day's profile: its distance from the last values (half-life 2.5 intervals), from
    the level (a day), and the sum of the latter (20 intervals). The surprise S of the value is the largest of the
    three by their own Extremes. The alarm is at T = ln(false_alarms / interval) nats. Score: S / (S + T). A surprise
    that came at the same time of day before is none, what has been reached within a rest scores half, and alarms
    more often than asked for make the next one dearer (Budget).

    Args:
        false_alarms: Seconds between two false alarms on a quiet series, above 0; None takes 4 days, and at least 700
            values. On eleven kinds of simulated quiet series it holds within a factor of two from a day to a month, at
            intervals from a minute to an hour, with the exceptions that the README of detectors shows; never more
            often than once in 25 values.

    Source: our own composition, measured on labelled series; see the README of detectors for tables. A rest after an
    alarm, tails that go on learning and a memory for the time of day are what paid.

    >>> from random import Random
    >>> noise, latency = Random(1), Default()
    >>> quiet = [latency.update(60.0 * i, noise.gauss(20.0, 2.0)) for i in range(500)]
    >>> max(quiet) < 0.5 < latency.update(30000.0, 60.0)
    True
    """

    false_alarms: Seconds | None = None
    _views: tuple[Extremes, Extremes, Extremes] = field(init=False, repr=False)
    _profile: DayProfile = field(init=False, repr=False)
    _peaks: DayPeaks = field(init=False, repr=False)
    _familiar: Familiar = field(init=False, repr=False)
    _rest: Rest = field(init=False, repr=False)
    _pace: Pace = field(init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)
    _value: float = field(default=0.0, init=False, repr=False)
    _paced: float = field(default=0.0, init=False, repr=False)
    _budget: Budget = field(init=False, repr=False)
    _threshold: float = field(default=math.log(_LEAST), init=False, repr=False)
    _steady: tuple[float, float, float] = field(default=(0.0, 0.0, 0.0), init=False, repr=False)
    _recent: float = field(default=0.0, init=False, repr=False)
    _level: float = field(default=0.0, init=False, repr=False)
    _plain: float = field(default=0.0, init=False, repr=False)
    _sum: float = field(default=0.0, init=False, repr=False)
    _step: float = field(default=0.0, init=False, repr=False)
    _steps: int = field(default=0, init=False, repr=False)
    _error_plain: float = field(default=0.0, init=False, repr=False)
    _error_daily: float = field(default=0.0, init=False, repr=False)
    _trust: float = field(default=0.0, init=False, repr=False)
    _run: float = field(default=0.0, init=False, repr=False)
    _since: float | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.false_alarms is not None and not 0.0 < self.false_alarms < math.inf:
            raise ValueError(f"false_alarms must be above 0 seconds, got {self.false_alarms}")
        self._views = (Extremes(), Extremes(), Extremes())
        self._profile = DayProfile()
        self._peaks = DayPeaks()
        self._familiar = Familiar()
        self._rest = Rest()
        self._pace = Pace()
        self._budget = Budget()

    def update(self, t: float, x: float) -> float:
        """Score, then learn. 0 where nothing can be said."""
        if not (-LARGEST < x < LARGEST and -LARGEST < t < LARGEST):
            return 0.0
        look = self._look(t, x)
        self._take(t, x, look)
        return look[0] if self._count > _WARM_UP else 0.0

    def score(self, t: float, x: float) -> float | None:
        if self._count < _WARM_UP or not (-LARGEST < x < LARGEST and -LARGEST < t < LARGEST):
            return None
        return self._look(t, x).score

    def learn(self, t: float, x: float) -> None:
        if -LARGEST < x < LARGEST and -LARGEST < t < LARGEST:
            self._take(t, x, self._look(t, x))

    def explain(self, t: float, x: float, threshold: float = 0.5) -> Explanation | None:
        """Why value `x` at time `t` scores as it does, without learning it. Costs about 0.5 ms.

        Parts: `jump`, against the last values; `level`, against the last day; `sum`, many small differences one way.
        The range is that of the level.

        >>> from random import Random
        >>> noise, latency = Random(1), Default()
        >>> for i in range(500):
        ...     latency.learn(60.0 * i, noise.gauss(20.0, 2.0))
        >>> why = latency.explain(30000.0, 60.0)
        >>> why.part, round(why.expected), why.low < 14.0, 26.0 < why.high < 60.0
        ('level', 20, True, True)
        """
        if self.score(t, x) is None:
            return None
        look = self._look(t, x)
        parts = [view.surprise(size, t, self._threshold) for view, size in zip(self._views, look.sizes, strict=True)]
        middle = self._level + x - look.y
        _, room, _ = self.margin(t, threshold)
        since = self._since if self._since is not None else t
        return Explanation(
            expected=middle,
            low=middle - room,
            high=middle + room,
            off=x - middle,
            part=_VIEWS[parts.index(max(parts))],
            since=since if look.surprise >= self._threshold else None,
        )

    def margin(self, t: float, threshold: float = 0.5) -> tuple[float, float, float]:
        """The distance from the level that reaches `threshold` at time `t`, between the ends of a 90 % interval."""
        wanted = self._threshold * threshold / (1.0 - threshold) if threshold < 1.0 else math.inf
        wanted /= self._budget.share(t)
        tail = self._views[1]
        low, room, high = sorted(tail.size_of(wanted, t, self._threshold, sure) for sure in (-SURE, 0.0, SURE))
        return low, room, high

    def _look(self, t: float, x: float) -> _Look:
        weights = self._weights(t)
        offset = self._profile.offset(t)
        y = x if offset is None else x - self._trust * offset
        level, threshold = self._level, self._threshold
        floor = _GRAIN * self._step + 1e-9 * abs(level) + 1e-12
        rest = y - level
        size0 = abs(y - self._recent) + floor
        size1 = abs(rest) + floor
        size2 = abs(self._sum + weights[2] * (rest - self._sum)) + 0.3 * floor
        sizes = (size0, size1, size2)
        if self._count < _SETTLE:
            return _Look(0.0, 0.0, offset, y, floor, sizes, weights)
        jumped, lay, added = self._views
        surprise = max(
            jumped.surprise(size0, t, threshold),
            lay.surprise(size1, t, threshold),
            added.surprise(size2, t, threshold),
        )
        if surprise <= START:
            return _Look(surprise / (surprise + threshold), surprise, offset, y, floor, sizes, weights)
        return _Look(self._judge(t, x, surprise), surprise, offset, y, floor, sizes, weights)

    def _judge(self, t: float, x: float, surprise: float) -> float:
        """Score of what lies beyond a tail quantile: habits and rests count."""
        threshold = self._threshold
        news = self._news(t, x, surprise) * self._budget.share(t)
        score = news / (news + threshold)
        if self._rest.quiets(t, news, threshold):
            return 0.5 * score
        return score

    def _news(self, t: float, x: float, surprise: float) -> float:
        """The surprise less what the time of day brings anyway, and what has been seen before."""
        threshold = self._threshold
        known = _KNOWN * threshold
        if surprise <= known:
            return surprise
        if surprise < (1.0 + _HABIT) * threshold * self._peaks.habit(t):
            return known
        if surprise >= threshold and self._familiar.knows(t, x, _SAME * self._step, self._views[1].memory):
            return known
        return surprise

    def _take(self, t: float, x: float, look: _Look) -> None:
        pace = self._pace
        if pace.follow(t) and not 0.99 * self._paced < pace.interval < 1.01 * self._paced:
            self._keep_pace(pace.interval)
        count = self._count
        self._count = count + 1
        if not count:
            self._recent = self._level = self._plain = self._value = x
            self._profile.learn(t, 0.0)
            return
        if count >= _SETTLE:
            self._watch(t, x, look)
        fast, slow, adding = look.weights
        quantile = self._views[1].quantile
        most = _CLIP * quantile + look.floor if count >= _SETTLE else LARGEST
        rest = look.y - self._level
        pull = most if rest > most else -most if rest < -most else rest
        if (self._run or rest > quantile or rest < -quantile) and self._adopts(rest, quantile):
            self._plain += self._recent - self._level
            self._level, self._sum, pull = self._recent, 0.0, 0.0
        self._recent += fast * (look.y - self._recent)
        self._level += slow * pull
        self._sum += adding * (pull - self._sum)
        self._learn_rhythm(t, x, look.offset, slow, most)
        if x != self._value:
            self._learn_step(abs(x - self._value))
            self._value = x

    def _watch(self, t: float, x: float, look: _Look) -> None:
        """Keep the extremes, the habits and the rest."""
        apart = _APART * self._pace.interval
        jumped, lay, added = self._views
        size0, size1, size2 = look.sizes
        jumped.learn(size0, t, apart)
        lay.learn(size1, t, apart)
        added.learn(size2, t, apart)
        if look.surprise > START:
            self._note(t, x, look.surprise)
        elif self._since is not None:
            self._since = None

    def _note(self, t: float, x: float, surprise: float) -> None:
        """Keep the habits, the rest, and since when it has been an alarm's size."""
        threshold = self._threshold
        news = self._news(t, x, surprise) * self._budget.share(t)
        if news >= threshold and self._count > _WARM_UP and not self._rest.quiets(t, news, threshold):
            self._budget.spend(t)
        self._peaks.learn(t, surprise / threshold)
        if surprise < threshold:
            self._since = None
        else:
            self._since = t if self._since is None else self._since
            self._familiar.learn(t, x, _SAME * self._step, _ONCE * self._pace.interval)
        self._rest.note(t, news, threshold, self._pace.interval, self._budget.between)

    def _learn_rhythm(self, t: float, x: float, offset: float | None, slow: float, most: float) -> None:
        """The day's profile, against a level that knows of no profile, and whether the profile helps."""
        off = x - self._plain
        self._plain += slow * (most if off > most else -most if off < -most else off)
        if offset is not None:
            weight = max(0.5 * slow, 1.0 / (1.0 + self._count))
            plain, daily = min(abs(off), 2.0 * most), min(abs(off - offset), 2.0 * most)
            if self._error_plain <= 0.0:
                self._error_plain, self._error_daily = plain, daily
            else:
                self._error_plain += weight * (plain - self._error_plain)
                self._error_daily += weight * (daily - self._error_daily)
                self._trust = max(0.0, min(1.0, (1.0 - self._error_daily / self._error_plain) / _TRUST))
        self._profile.learn(t, off)

    def _learn_step(self, step: float) -> None:
        """Follow the median of the steps between values that differ."""
        self._steps += 1
        if self._steps == 1:
            self._step = step
            return
        change = math.exp(max(_PACE, 1.0 / self._steps))
        self._step = self._step * change if step > self._step else self._step / change

    def _adopts(self, rest: float, quantile: float) -> bool:
        """Whether values have lain on one side for so long that they are the new level."""
        if abs(rest) <= quantile:
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
        steps = self._pace.steps(t)
        if steps != 1.0:
            fast, slow, adding = _halving(min(50.0, max(1.0, steps)), self._pace.interval)
        least = 1.0 / (1.0 + self._count)
        if least < slow:
            return (fast, slow, adding)
        return (max(fast, least), least, adding)

    def _keep_pace(self, interval: float) -> None:
        """Set all that depends on the sampling interval."""
        self._paced = interval
        self._steady = _halving(1.0, interval)
        between = time_between(self.false_alarms, interval)
        self._threshold = math.log(between / interval)
        self._budget.between = between
        for view in self._views:
            view.memory = _MEMORY * between


def time_between(false_alarms: Seconds | None, interval: Seconds) -> Seconds:
    """Seconds between two false alarms of a series with that sampling interval."""
    if false_alarms is None:
        return max(_USUAL, _LEAST * interval)
    return max(false_alarms, _FEWEST * interval)


def _halving(steps: float, interval: float) -> tuple[float, float, float]:
    return (
        1.0 - 0.5 ** (steps / _FAST),
        1.0 - 0.5 ** (steps / max(_SLOW / interval, 1.0)),
        1.0 - 0.5 ** (steps / _SUM),
    )
