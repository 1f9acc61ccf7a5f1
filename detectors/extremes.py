"""How surprising a size is, from the tail of all sizes so far and from the largest of late.

Knows sizes as logarithms and their times. Knows nothing of what they are sizes of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from detectors.base import Seconds

__all__ = ["Extremes"]

_SHARE: Final = 0.03
"""Share of sizes that lie beyond the tracked quantile, where the tail begins."""
_START: Final = -math.log(_SHARE)
"""Surprise at that quantile, in nats."""
_TAIL: Final = 0.2307
"""Mean log excess over the quantile of a Weibull tail of shape 1: exp(s) * E1(s) at s = -ln 0.03."""
_STEEPEST: Final = 4.0
"""Largest shape believed; a Gaussian's is about 1.5, an exponential's 1, heavy tails have less."""
_START_UP: Final = 12
"""Sizes whose largest is the quantile to begin with."""
_NEVER: Final = -1e9


@dataclass(slots=True)
class Extremes:
    """Surprise of a size in nats: minus the log of the probability that a size is larger still.

    Two opinions, and their geometric mean. The *tail*: sizes beyond their 97 % quantile `u` are taken to follow
    a Weibull tail, of which only the mean log excess has to be learnt:

        surprise(m) = 3.51 * (m / u) ** k,    k = 0.231 / mean(ln(m / u))

    The *record*: against the second largest episode of the last weeks, a size is as surprising as it is larger:
    threshold * (m / second). An episode is what exceeds the quantile with breaks of at most `apart`. Sizes that
    came in three episodes are no news at all. Records fade by one mean log excess in `memory`, slowly for heavy
    tails (a giant is remembered long) and quickly for light ones.

    Suits residuals of any scale and tail. Misleads where sizes are nearly all equal, and for the first hundred
    values or so: treat surprises as small then. Memory is a dozen numbers.

    Args:
        memory: Seconds in which records fade by one mean log excess, above 0.
        pace: Step of the tracked quantile, in logs; the quantile follows changes within about 1 / pace
            exceedances, and wanders by about `pace`.
        tail_pace: Weight of a new exceedance in the mean log excess.

    Source: Weibull tails: Gardes and Girard (2008), "Estimation of the Weibull tail-coefficient with linear
    combination of upper order statistics". Quantile: Robbins and Monro (1951), in logs. That a new record is what
    repeats least: e.g. Chandler (1952). The mean of both and the rule of three are our own; measured on 76
    labelled series and simulated noise, see the README of detectors.

    >>> from random import Random
    >>> noise, sizes = Random(1), Extremes()
    >>> for i in range(20000):
    ...     sizes.learn(math.log(noise.expovariate(1.0)), 60.0 * i, 6000.0)
    >>> 8.0 < sizes.tail(math.log(9.0)) < 10.0  # exp(-9) is the probability of more than 9
    True
    """

    memory: Seconds = 15 * 86400.0
    pace: float = 0.02
    tail_pace: float = 0.01
    quantile: float = field(default=0.0, init=False, repr=False)
    """Log of the size that a share of 3 % exceed."""
    _count: int = field(default=0, init=False, repr=False)
    _excess: float = field(default=0.25, init=False, repr=False)
    _records: list[float] = field(default_factory=lambda: [_NEVER] * 3, init=False, repr=False)
    _episode: float = field(default=_NEVER, init=False, repr=False)
    _began: float = field(default=0.0, init=False, repr=False)
    _exceeded: float = field(default=0.0, init=False, repr=False)
    _time: float = field(default=math.nan, init=False, repr=False)

    def tail(self, size: float) -> float:
        """Surprise by the tail alone, in nats, of a size given by its logarithm; at most 10,500."""
        shape = min(_STEEPEST, _TAIL / max(self._excess, 0.05))
        return _START * math.exp(min(8.0, shape * (size - self.quantile)))

    def surprise(self, size: float, threshold: float) -> float:
        """Surprise of a size given by its logarithm, in nats.

        Args:
            size: Natural logarithm of the size.
            threshold: Surprise in nats that would be an alarm: what a new record is worth.
        """
        if self._count < _START_UP:
            return 0.0
        shape = min(_STEEPEST, _TAIL / max(self._excess, 0.05))
        by_tail = _START * math.exp(min(8.0, shape * (size - self.quantile)))
        records = self._records
        over = size - max(records[1], self.quantile)
        by_record = threshold * math.exp(max(-8.0, min(8.0, over)))
        both = by_tail if by_tail < by_record else math.sqrt(by_tail * by_record)
        if size < records[2] + 0.05:
            return min(both, 0.9 * threshold)
        return both

    def learn(self, size: float, t: float, apart: float) -> None:
        """Take in a size given by its logarithm, seen at `t`; `apart` is the break between episodes in seconds."""
        count = self._count
        self._count = count + 1
        if count < _START_UP:
            self.quantile = max(self.quantile, size) if count else size
            self._time = t
            return
        step = max(self.pace, 1.0 / (1.0 + count))
        excess = size - self.quantile
        if excess > 0.0:
            self.quantile += step * (1.0 - _SHARE)
            weight = max(self.tail_pace, 1.0 / (5.0 + count * _SHARE))
            self._excess += weight * (min(excess, 1.0) - self._excess)
        else:
            self.quantile -= step * _SHARE
        self._remember(size, t, apart)

    def _remember(self, size: float, t: float, apart: float) -> None:
        passed = t - self._time
        self._time = t
        if passed > 0.0:
            fade = self._excess * min(1.0, passed / self.memory)
            first, second, third = self._records
            self._records = [first - fade, second - fade, third - fade]
        if self._episode > _NEVER and (t - self._exceeded > apart or t - self._began > 3.0 * apart):
            self._records = sorted([*self._records, self._episode], reverse=True)[:3]
            self._episode = _NEVER
        if size > self.quantile:
            if self._episode == _NEVER:
                self._began = t
            self._exceeded = t
            self._episode = max(self._episode, size)
