"""How long is left, as an honest range, and how bad that is.

Arithmetic only: counts and seconds in, ranges out.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from sentinel.model import Eta, Seconds, Severity
from sentinel.pipeline.diagnosis.habit import DAY, SLOTS, Habit

__all__ = ["Background", "Block", "Rhythm", "Urgency", "drift", "eta_from_count", "fill_range"]

Block = tuple[float, float]
"""What was gained, and in how many seconds."""

Z80 = 1.2816
"""Standard normal quantile that leaves 10 % on either side: ranges are nominal 80 %."""

PARTS = 10
"""Parts of what was seen whose counts are compared. Few and long, as bursts show only between parts that are longer
than a burst; ten are enough to know a variance (Schmeiser, 1982, "Batch size effects": 10 to 30)."""
UNLIKELY = 1 / 9
"""A supposition that is nine times less likely than the other has 10 % of both: as much as a range leaves out."""

DRIFT_AT_ONCE = 0.05
DRIFT = 0.3
DRIFT_OF_DAYS = 0.2
DRIFT_KNOWN = 0.15


def drift(seen: Seconds, ahead: Seconds, day: Seconds = DAY, *, known: bool = False) -> float:
    """Log standard deviation by which the mean rate ahead differs from the one seen, of itself.

    Measured on six simulated weeks of a rate with a daily rhythm of ±30 % and a weekend of 26 % less: 0.05 from one
    quarter of an hour to the next, rising in proportion to the longer of both spans, 0.31 from eight hours on, 0.19
    between spans of whole days. With the rhythm of former days taken out: 0.05 up to eight hours, 0.09 for a day, 0.12
    to 0.15 from two days on.

    Args:
        seen: How long the rate was seen.
        ahead: How long it is to last.
        day: A drill's is shorter.
        known: Whether `Rhythm` accounts for the time of day.

    >>> drift(600.0, 600.0), round(drift(3600.0, 4 * 3600.0), 3), drift(2 * DAY, 3 * DAY)
    (0.05, 0.15, 0.2)
    >>> drift(3600.0, 4 * 3600.0, known=True), round(drift(3600.0, DAY, known=True), 3)
    (0.05, 0.1)
    """
    if known:
        return max(DRIFT_AT_ONCE, DRIFT_KNOWN * min(1.0, max(seen, ahead) / (1.5 * day)))
    if min(seen, ahead) >= day:
        return DRIFT_OF_DAYS
    return max(DRIFT_AT_ONCE, DRIFT * min(1.0, max(seen, ahead) / (day / 3)))


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How traffic is spread over a day: a clock that runs fast in busy hours and makes as many seconds a day.

    What follows the traffic is steady by this clock.

    Args:
        start: Unix time at which the first quarter hour begins.
        passed: Seconds of this clock at the beginning of each quarter hour from then on, and at the end of the last.

    >>> clock = Rhythm.of(0.0, [3.0] * 48 + [1.0] * 48)
    >>> clock.at(3600.0), clock.at(DAY), clock.at(-3600.0)
    (5400.0, 86400.0, -1800.0)
    >>> clock.when(5400.0), clock.when(DAY + 5400.0), clock.when(-1800.0)
    (3600.0, 90000.0, -3600.0)
    """

    start: float
    passed: tuple[float, ...]

    @classmethod
    def of(cls, start: float, usual: Sequence[float]) -> Rhythm | None:
        """From the usual traffic of each quarter hour of a day; None while one of them is not known."""
        if min(usual) <= 0:
            return None
        scale = DAY / sum(usual)
        return cls(start, tuple(accumulate((value * scale for value in usual), initial=0.0)))

    def at(self, time: float) -> float:
        """Seconds of this clock at a Unix time."""
        days, rest = divmod((time - self.start) / DAY, 1.0)
        quarter = min(SLOTS - 1, int(rest * SLOTS))
        first, last = self.passed[quarter : quarter + 2]
        return days * DAY + first + (last - first) * (rest * SLOTS - quarter)

    def when(self, seconds: float) -> float:
        """Unix time at which this clock shows so many seconds."""
        days, rest = divmod(seconds, DAY)
        quarter = min(SLOTS, bisect_right(self.passed, rest)) - 1
        first, last = self.passed[quarter : quarter + 2]
        return self.start + days * DAY + (quarter + (rest - first) / (last - first)) * DAY / SLOTS

    def blocks(self, blocks: Sequence[Block], now: float) -> list[Block]:
        """The same blocks, which end at `now`, with their seconds by this clock."""
        times = list(accumulate((-seconds for _, seconds in reversed(blocks)), initial=now))[::-1]
        return [
            (gain, self.at(end) - self.at(begin))
            for (gain, _), (begin, end) in zip(blocks, pairwise(times), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Course:
    """What was seen, taken as even by some clock: how far off it was, and what follows by that clock."""

    misfit: float
    """Pearson's statistic."""
    dispersion: float
    earliest: Seconds
    latest: Seconds


def fill_range(
    blocks: Sequence[Block],
    left: tuple[float, float],
    *,
    now: float = 0.0,
    rhythm: Rhythm | None = None,
    day: Seconds = DAY,
) -> tuple[Seconds, Seconds] | None:
    """Seconds until as many more have come as are `left`: nominal 80 % range.

    What comes is taken for clusters that come at random (a compound Poisson process). Its dispersion D, the variance of
    a long count over its mean, is the size of such a cluster: 1 for arrivals one by one, hundreds for bursts. So
    `gained` tells as much as gained / D clusters do, and what is `left` is left / D of them. The log of the time then
    has a variance of D / gained for the rate seen, D / left for the arrivals to come (both a count's, by the delta
    method), and `drift` squared for a rate that changes. Two looks at D are taken, and the larger holds: how much the
    counts of ten parts differ, which fails while a burst is longer than a part, and how far the course strays from its
    chord (`_straying`), which needs no parts. Few clusters do not tell their own size well, so that the range is
    Student's with one freedom more than clusters seen. The rate is that of the last blocks, of as many as make this
    variance least.

    Misleads before the second burst: what was seen until then is as even as can be. Measured on six kinds of bursts, 40
    leaks each, forecasts every ten minutes: ranges hold 0 to 10 % while D is below 2.5, 89 to 94 % with fewer than four
    clusters seen, 67 to 100 % with up to ten, 56 to 100 % with up to thirty, and 15 to 92 % with more: D is then often
    that of small bursts, and larger ones are to come.

    Whether what comes follows the traffic of the day is not known beforehand: the range is that of both suppositions,
    until what was seen says clearly which is true.

    Args:
        blocks: What came, oldest first, up to `now`; at least 1 in all, else there is no range.
        left: How many more until the wall: at least, and at most.
        now: Unix time.
        rhythm: That of the traffic, where it is known.
        day: A drill's is shorter.

    >>> tuple(round(s) for s in fill_range([(30, 10)], (300, 300)))
    (77, 130)
    >>> tuple(round(s) for s in fill_range([(3000, 1000)], (300, 300)))
    (90, 111)
    """
    even = _course(blocks, left, day, known=rhythm is not None)
    with_traffic = None if rhythm is None else _course(rhythm.blocks(blocks, now), left, day, known=True)
    if even is None:
        return None
    if rhythm is None or with_traffic is None:
        return even.earliest, even.latest
    shown = rhythm.at(now)
    early, late = (rhythm.when(shown + seconds) - now for seconds in (with_traffic.earliest, with_traffic.latest))
    noise = min(even.dispersion, with_traffic.dispersion)
    for_even = math.exp(min(300.0, max(-300.0, (with_traffic.misfit - even.misfit) / (2 * noise))))
    if for_even < UNLIKELY:
        return early, late
    if for_even > 1 / UNLIKELY:
        return even.earliest, even.latest
    return min(early, even.earliest), max(late, even.latest)


def _course(blocks: Sequence[Block], left: tuple[float, float], day: Seconds, *, known: bool) -> _Course | None:
    gained, seconds = sum(gain for gain, _ in blocks), sum(length for _, length in blocks)
    if gained < 1 or seconds <= 0 or left[0] < 0:
        return None
    mean, ahead = gained / seconds, max(1.0, (left[0] + left[1]) / 2)
    parts = _parts(blocks, seconds / PARTS)
    misfit = _pearson(parts, mean)
    scatter = max(1.0, misfit / max(1, len(parts) - 1), _straying(blocks, mean))
    variance, rate = math.inf, mean
    came = lasted = 0.0
    for gain, length in reversed(blocks):
        came, lasted = came + gain, lasted + length
        if came >= 1 and lasted > 0:
            found = scatter / min(came, mean * lasted) + drift(lasted, ahead / mean, day, known=known) ** 2
            if found < variance:
                variance, rate = found, came / lasted
    spread = math.exp(_quantile(1 + gained / scatter) * math.sqrt(variance + scatter / ahead))
    return _Course(misfit, scatter, left[0] / rate / spread, left[1] / rate * spread)


def _quantile(freedom: float) -> float:
    """That of Student's t which leaves 10 % on either side (Abramowitz and Stegun, 1964, 26.7.5, first term).

    >>> round(_quantile(9), 2), round(_quantile(3), 1)  # tables have 1.38 and 1.64
    (1.38, 1.6)
    """
    return Z80 + (Z80**3 + Z80) / (4 * freedom)


def _parts(blocks: Sequence[Block], least: Seconds) -> list[Block]:
    """Neighbouring blocks joined until each lasts so long; what remains belongs to the last."""
    parts: list[Block] = []
    gain = length = 0.0
    for more, seconds in blocks:
        gain, length = gain + more, length + seconds
        if length >= least:
            parts.append((gain, length))
            gain = length = 0.0
    if length and parts:
        parts[-1] = parts[-1][0] + gain, parts[-1][1] + length
    return parts


def _pearson(parts: Sequence[Block], rate: float) -> float:
    """How far counts are from those of a steady rate: squared distance over what was expected.

    >>> _pearson([(60.0, 60.0), (0.0, 60.0), (0.0, 60.0)], 1 / 3)  # 20 expected of each
    120.0
    """
    return sum((gain - rate * length) ** 2 / (rate * length) for gain, length in parts if length > 0)


def _straying(blocks: Sequence[Block], rate: float) -> float:
    """Dispersion by how far the course of a count strays from its chord.

    Between its ends a course of independent gains is a Brownian bridge, whose mean square is a sixth of the variance
    of the whole. Source: the Cramer-von Mises estimator of Goldsman, Kang and Seila (1999), "Cramer-von Mises variance
    estimators for simulations", Operations Research 47, unweighted.

    >>> _straying([(12.0, 60.0), (0.0, 60.0)], 0.1)  # a triangle 6 high: 6 * (6 * 6 / 3) / 12
    6.0
    """
    total = square = aside = 0.0
    for gain, length in blocks:
        before, aside = aside, aside + gain - rate * length
        total += length
        square += length * (before * before + before * aside + aside * aside) / 3
    return 6 * square / total / (rate * total)


def eta_from_count(now: float, gained: float, seconds: float, left: float, wall: str) -> Eta | None:
    """`fill_range` of a single count, as times."""
    found = fill_range([(gained, seconds)], (left, left))
    return None if found is None else Eta(now + found[0], now + found[1], wall)


@dataclass(slots=True)
class Background:
    """What else takes room: the clients that belong to every day, and how many they will be.

    With a day of history the highest of former days at that time, and a fifth less; without, no more is known than
    that a day's peak may be twice its trough, reached in a third of a day.
    """

    _habit: Habit = field(default_factory=Habit)

    def learn(self, now: float, clients: float) -> None:
        """Take the clients that belong to every day."""
        self._habit.learn(now, clients)

    def range(self, now: float, clients: float, ahead: Seconds) -> tuple[float, float]:
        """The fewest and the most of them within `ahead` seconds from now, given that there are `clients` now."""
        usual = self._habit.ahead(now)[1][: 1 + int(ahead * SLOTS / DAY)]
        if not min(usual):
            change = 0.5 * min(1.0, ahead / (DAY / 3))
            return clients * (1 - change), clients * (1 + 2 * change)
        return min(clients, min(usual) * 0.8), max(clients, *usual)


@dataclass(frozen=True, slots=True)
class Urgency:
    """Severity from the time that is left, by the early end of the range; never from sigma."""

    critical_within: Seconds
    warning_within: Seconds

    def severity(self, now: float, eta: Eta | None) -> Severity:
        """Info where nothing is known of the time left."""
        if eta is None:
            return Severity.INFO
        left = eta.earliest - now
        if left <= self.critical_within:
            return Severity.CRITICAL
        return Severity.WARNING if left <= self.warning_within else Severity.INFO
