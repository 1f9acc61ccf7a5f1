"""How surprising a size is, from the tail of all sizes so far and from the largest of late.

Knows sizes and their times. Knows nothing of what they are sizes of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from detectors.base import Seconds

__all__ = ["SHARE", "START", "SURE", "Extremes"]


def _exponential_excess(s: float) -> float:
    """exp(s) * E1(s) by its continued fraction: the mean of ln(v / s) for v beyond s under exp(-v).

    >>> round(_exponential_excess(1.0), 4), round(_exponential_excess(3.0), 4)  # e * 0.21938, e^3 * 0.01305
    (0.5963, 0.2621)
    """
    below = 0.0
    for n in range(200, 0, -1):
        below = n * n / (s + 2 * n + 1 - below)
    return 1.0 / (s + 1.0 - below)


SHARE: Final = 0.04
"""Share of sizes that lie beyond the tracked quantile, where the tail begins."""
START: Final = -math.log(SHARE)
"""Surprise at that quantile, in nats."""
SURE: Final = 1.645
"""Standard errors on either side of an interval of 90 %."""
_TAIL: Final = _exponential_excess(START)
"""Mean log excess over the quantile of a Weibull tail of shape 1."""
_PACE: Final = 0.02
"""Step of the tracked quantile, in logs: it follows changes within 1 / _PACE exceedances and wanders by _PACE."""
_TAIL_PACE: Final = 0.01
"""Weight of a new exceedance in the mean log excess."""
_START_UP: Final = 12
"""Sizes whose largest is the quantile to begin with."""
_LOST: Final = 50.0
"""Exceedances in a row, nearly, after which the sizes are others than they were and the tail starts over."""
_KNOWN: Final = 0.9
"""What came before in three episodes is worth at most this part of the threshold."""
_NEAR: Final = 0.05
"""Sizes within this much, in logs, are the same size."""
_NEVER: Final = -1e9
_UP: Final = math.exp(_PACE * (1.0 - SHARE))
_DOWN: Final = math.exp(-_PACE * SHARE)
_SETTLED: Final = int(1.0 / _PACE)


@dataclass(slots=True)
class Extremes:
    """Surprise of a size in nats: minus the log of the probability that a size is larger still.

    Two opinions, and their geometric mean. The *tail*: sizes beyond their 96 % quantile `u` are taken to follow
    a Weibull tail, of which only the mean log excess has to be learnt:

        surprise(m) = 3.22 * (m / u) ** k,    k = 0.247 / mean(ln(m / u))

    The *record*: against the second largest episode of the last weeks, a size is as surprising as it is larger:
    threshold * (m / second). An episode is what exceeds the quantile with breaks of at most `apart`. Sizes that
    came in three episodes are no news at all. Records fade by one mean log excess in `memory`, slowly for heavy
    tails (a giant is remembered long) and quickly for light ones. Below the quantile the surprise is simply
    3.22 * m / u, which costs a comparison and a division.

    Suits residuals of any scale and tail. Misleads where sizes are nearly all equal, and for the first hundred
    values or so: treat surprises as small then. Memory is a dozen numbers.

    Args:
        memory: Seconds in which records fade by one mean log excess, above 0. With a threshold of
            ln(T / interval), three times T gives about one alarm in T.

    Source: Weibull tails: Gardes and Girard (2008), "Estimation of the Weibull tail-coefficient with linear
    combination of upper order statistics". Quantile: Robbins and Monro (1951), in logs. That a new record is what
    repeats least: e.g. Chandler (1952). The mean of both and the rule of three are our own; measured on 76
    labelled series and simulated noise, see the README of detectors.

    >>> from random import Random
    >>> noise, sizes = Random(1), Extremes()
    >>> for i in range(20000):
    ...     sizes.learn(noise.expovariate(1.0), 60.0 * i, 6000.0)
    >>> 8.0 < sizes.tail(9.0) < 10.0  # exp(-9) is the probability of more than 9
    True
    """

    memory: Seconds = 12 * 86400.0
    quantile: float = field(default=0.0, init=False, repr=False)
    """The size that a share of 4 % exceed."""
    _count: int = field(default=0, init=False, repr=False)
    _excess: float = field(default=0.25, init=False, repr=False)
    _run: float = field(default=0.0, init=False, repr=False)
    _last: int = field(default=0, init=False, repr=False)
    _time: float = field(default=0.0, init=False, repr=False)
    _records: tuple[float, float, float] = field(default=(_NEVER, _NEVER, _NEVER), init=False, repr=False)
    _episode: float = field(default=_NEVER, init=False, repr=False)
    _began: float = field(default=0.0, init=False, repr=False)
    _closes: float = field(default=-math.inf, init=False, repr=False)

    def tail(self, size: float) -> float:
        """Surprise by the tail alone, in nats, at most 9,600."""
        return _tail(math.log(size / self.quantile), self._excess)

    def surprise(self, size: float, t: float, threshold: float) -> float:
        """Surprise of a size, in nats; 0 for the first dozen.

        Args:
            size: Above 0.
            t: Unix time at which it is seen.
            threshold: Surprise in nats that would be an alarm: what a new record is worth.
        """
        if self._count < _START_UP:
            return 0.0
        if size <= self.quantile:
            return START * size / self.quantile
        return self._beyond(size, t, threshold, self._excess)

    def size_of(self, surprise: float, t: float, threshold: float, sure: float = 0.0) -> float:
        """The smallest size that is so surprising at time `t`, by halving in logs.

        Args:
            sure: Standard errors of the mean log excess that are added to it: -1.64 and 1.64 give an interval of 90 %.
        """
        known = max(1.0, min(2.0 / _TAIL_PACE, self._count * SHARE))
        excess = self._excess * math.exp(sure / math.sqrt(known))
        low, high = -300.0, 345.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            size = math.exp(middle)
            found = START * size / self.quantile if size <= self.quantile else self._beyond(size, t, threshold, excess)
            if found < surprise:
                low = middle
            else:
                high = middle
        return math.exp(high)

    def _beyond(self, size: float, t: float, threshold: float, excess: float) -> float:
        """Surprise of a size beyond the quantile."""
        over = math.log(size / self.quantile)
        by_tail = _tail(over, excess)
        _, second, third = self._remembered(t)
        height = math.log(size)
        by_record = threshold * math.exp(max(-8.0, min(8.0, min(height - second, over))))
        both = by_tail if by_tail < by_record else math.sqrt(by_tail * by_record)
        return min(both, _KNOWN * threshold) if height < third + _NEAR else both

    def learn(self, size: float, t: float, apart: float) -> None:
        """Take in a size above 0, seen at `t`; `apart` is the break between episodes in seconds."""
        count = self._count
        self._count = count + 1
        if count < _START_UP:
            if size > self.quantile:
                self.quantile = size
        elif size > self.quantile:
            self._exceed(size, t, apart)
        elif count < _SETTLED:
            self.quantile *= math.exp(-SHARE / (1.0 + count))
        else:
            self.quantile *= _DOWN

    def _exceed(self, size: float, t: float, apart: float) -> None:
        self._remember(math.log(size), t, apart)
        count = self._count
        self._run = 1.0 + self._run * 0.5 ** (count - self._last - 1)
        self._last = count
        if self._run > _LOST:
            self.quantile, self._excess, self._run = size, 0.25, 0.0
            return
        over = math.log(size / self.quantile)
        self.quantile *= _UP if count > _SETTLED else math.exp((1.0 - SHARE) / count)
        weight = max(_TAIL_PACE, 1.0 / (5.0 + count * SHARE))
        self._excess += weight * (min(over, 1.0) - self._excess)

    def _remembered(self, t: float) -> tuple[float, ...]:
        """Logs of the three largest episodes as they are remembered at `t`, the largest first."""
        fade = self._excess * min(1.0, max(0.0, t - self._time) / self.memory)
        if self._episode == _NEVER or t <= self._closes:
            first, second, third = self._records
            return (first - fade, second - fade, third - fade)
        return tuple([one - fade for one in sorted((*self._records, self._episode), reverse=True)][:3])

    def _remember(self, height: float, t: float, apart: float) -> None:
        first, second, third = self._remembered(t)
        self._records = (first, second, third)
        self._time = t
        if self._episode == _NEVER or t > self._closes:
            self._began, self._episode = t, height
        elif height > self._episode:
            self._episode = height
        self._closes = min(t, self._began + 2.0 * apart) + apart


def _tail(over: float, excess: float) -> float:
    """Surprise of a size so far beyond the quantile, in logs, under a tail of that mean log excess."""
    return START * math.exp(min(8.0, over * _TAIL / max(excess, 0.05)))
