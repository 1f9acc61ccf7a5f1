"""How busy the shop is: poll times, and load by day, week, campaign and chance.

Knows nothing of clients or Redis. Load is a ratio: 1 is the mean of a working day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAY", "HOUR", "MONDAY", "WEEK", "Counts", "Grid", "Values", "Wave", "load", "wander"]

HOUR = 3600.0
DAY = 24 * HOUR
WEEK = 7 * DAY
MONDAY = 1767571200.0
"""Monday 5 January 2026, 00:00 UTC: every simulation begins on it."""

Values: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Grid:
    """The times of the polls: `size` of them, `step` seconds apart, from `start` on."""

    start: float
    step: float
    size: int

    @property
    def end(self) -> float:
        """Time at which one further poll would stand."""
        return self.start + self.size * self.step

    @property
    def times(self) -> Values:
        """Unix times, shape (size,)."""
        return np.asarray(self.start + self.step * np.arange(self.size))

    def at(self, time: float) -> int:
        """Index of the first poll at or after `time`, within 0 and `size`.

        >>> Grid(100.0, 15.0, 10).at(131.0)
        3
        """
        return int(min(max(-((self.start - time) // self.step), 0), self.size))

    def steps(self, seconds: float) -> int:
        """How many polls a duration spans, at least 1."""
        return max(1, round(seconds / self.step))


@dataclass(frozen=True, slots=True)
class Wave:
    """Traffic that is multiplied by `factor` for a while: a campaign, a spike, a move of users that stays."""

    start: float
    rise: float
    hold: float
    fall: float
    factor: float

    def over(self, times: Values) -> Values:
        """Multiplier at each time."""
        corners = np.cumsum([self.start, self.rise, self.hold, self.fall])
        return 1.0 + (self.factor - 1.0) * np.interp(times, corners, [0.0, 1.0, 1.0, 0.0])


def wander(rng: np.random.Generator, size: int, persistence: float) -> Values:
    """AR(1) noise of standard deviation 1; `persistence` is the correlation of neighbours, 0 to below 1."""
    shocks = rng.standard_normal(size) * np.sqrt(1.0 - persistence**2)
    shocks[0] = rng.standard_normal()
    return np.fromiter(accumulate(shocks.tolist(), lambda level, shock: persistence * level + shock), float, size)


def load(
    rng: np.random.Generator,
    grid: Grid,
    *,
    growth: float = 0.0,
    noise: float = 0.04,
    waves: Sequence[Wave] = (),
) -> Values:
    """Load at each poll: a day with its two humps, a quiet weekend, growth per week, AR(1) noise, waves."""
    hour = (grid.times - MONDAY) % DAY / HOUR
    day = 1.0 + 0.30 * np.sin(2 * np.pi * (hour - 9.0) / 24.0) + 0.07 * np.sin(4 * np.pi * (hour - 7.5) / 24.0)
    weekday = np.interp(
        (grid.times - MONDAY) % WEEK / DAY, [0.0, 0.3, 4.8, 5.3, 6.8, 7.0], [0.80, 1.0, 1.0, 0.74, 0.74, 0.80]
    )
    drift = (1.0 + growth) ** ((grid.times - grid.start) / WEEK)
    busy = day * weekday * drift * np.exp(noise * wander(rng, grid.size, np.exp(-grid.step / 600.0)))
    for wave in waves:
        busy = busy * wave.over(grid.times)
    return np.asarray(busy)
