"""How long is left, as an honest range, and how bad that is.

Arithmetic only: counts and seconds in, ranges out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from sentinel.model import Eta, Seconds, Severity
from sentinel.pipeline.diagnosis.habit import DAY, SLOTS, Habit

__all__ = ["Background", "Urgency", "dispersion", "drift", "eta_from_count", "fill_range"]

Z80 = 1.2816
"""Standard normal quantile that leaves 10 % on either side: ranges are nominal 80 %."""

DRIFT = 0.3
"""Log standard deviation between the mean rate of one span of a day and that of another: a rate that follows a daily
rhythm of ±30 % and a weekend of 26 % less. Measured on six simulated weeks: 0.05 from one quarter of an hour to the
next, rising in proportion to the longer of both spans, 0.31 from eight hours on, 0.19 between spans of whole days."""
DRIFT_AT_ONCE = 0.05
DRIFT_OF_DAYS = 0.2


def drift(seen: Seconds, ahead: Seconds, day: Seconds = DAY) -> float:
    """Log standard deviation by which the mean rate ahead differs from the one seen, of itself.

    A drill's day is shorter.

    >>> drift(600.0, 600.0), round(drift(3600.0, 4 * 3600.0), 3), drift(2 * DAY, 3 * DAY)
    (0.05, 0.15, 0.2)
    """
    if min(seen, ahead) >= day:
        return DRIFT_OF_DAYS
    return max(DRIFT_AT_ONCE, DRIFT * min(1.0, max(seen, ahead) / (day / 3)))


def dispersion(blocks: Sequence[tuple[float, float]]) -> float:
    """Variance of counts over their mean, from (gain, seconds) of some blocks; 1 for arrivals one by one at random.

    Pearson's statistic over its degrees of freedom. What comes in bursts has more, and is forecast with less trust.

    >>> dispersion([(30.0, 10.0), (0.0, 10.0), (30.0, 10.0), (0.0, 10.0)])  # 4 times 15² / 15, over 3
    20.0
    """
    gained, seconds = sum(gain for gain, _ in blocks), sum(length for _, length in blocks)
    if len(blocks) < 2 or gained <= 0 or seconds <= 0:
        return 1.0
    expected = [gained * length / seconds for _, length in blocks]
    pearson = sum((gain - mean) ** 2 / mean for (gain, _), mean in zip(blocks, expected, strict=True) if mean > 0)
    return max(1.0, pearson / (len(blocks) - 1))


def fill_range(
    gained: float, seconds: float, left: tuple[float, float], *, dispersion: float = 1.0, day: Seconds = DAY
) -> tuple[float, float] | None:
    """Seconds until as many more have come as are `left`, after `gained` came in `seconds`: nominal 80 % range.

    The log of the time has a variance of dispersion / gained for the rate seen, dispersion / left for the arrivals to
    come (both a count's, by the delta method), and `drift` squared for a rate that changes.

    Args:
        gained: How many came; at least 1, else there is no range.
        seconds: In which time.
        left: How many more until the wall: at least, and at most.
        dispersion: Variance of the counts over their mean.

    >>> tuple(round(s) for s in fill_range(30, 10, (300, 300)))
    (78, 129)
    >>> tuple(round(s) for s in fill_range(3000, 1000, (300, 300)))
    (90, 111)
    """
    if gained < 1 or seconds <= 0 or left[0] < 0:
        return None
    rate = gained / seconds
    middle = (left[0] + left[1]) / 2
    spread = math.sqrt(dispersion / gained + dispersion / max(1.0, middle) + drift(seconds, middle / rate, day) ** 2)
    return left[0] / rate * math.exp(-Z80 * spread), left[1] / rate * math.exp(Z80 * spread)


def eta_from_count(
    now: float, gained: float, seconds: float, left: float, wall: str, *, dispersion: float = 1.0
) -> Eta | None:
    """`fill_range` as times."""
    found = fill_range(gained, seconds, (left, left), dispersion=dispersion)
    return None if found is None else Eta(now + found[0], now + found[1], wall)


@dataclass(slots=True)
class Background:
    """What else takes room: the clients that belong to every day, and how many they will be.

    With a day of history the highest of former days at that time, and a fifth less; without, no more is known than
    that a day's peak may be twice its trough, reached in a third of a day.
    """

    _habit: Habit = field(default_factory=Habit)
    _ahead: tuple[int, list[float]] = (-1, [])
    """The quarter hour that it is, and what former days had in each from then on: a day of them."""

    def learn(self, now: float, clients: float) -> None:
        """Take the clients that belong to every day."""
        self._habit.learn(now, clients)

    def range(self, now: float, clients: float, ahead: Seconds) -> tuple[float, float]:
        """The fewest and the most of them within `ahead` seconds from now, given that there are `clients` now."""
        usual = self._usual(now)[: 1 + int(ahead * SLOTS / DAY)]
        if not min(usual):
            change = 0.5 * min(1.0, ahead / (DAY / 3))
            return clients * (1 - change), clients * (1 + 2 * change)
        return min(clients, min(usual) * 0.8), max(clients, *usual)

    def _usual(self, now: float) -> list[float]:
        quarter = int(now * SLOTS / DAY)
        if quarter != self._ahead[0]:
            self._ahead = quarter, [self._habit.usual(now + step * DAY / SLOTS) for step in range(SLOTS)]
        return self._ahead[1]


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
