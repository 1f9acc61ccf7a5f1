"""The only file that reads the time.

Gives Unix time that never runs backwards and never stands still: a wall clock that is set forward is believed, one
that is set back is caught up with slowly. Waiting is asyncio's business, not this file's.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock"]

SLEW = 0.9
"""Speed at which our time runs while the wall clock stands behind it: rates are off by a tenth, nothing is lost."""


class Clock:
    """Unix time in seconds that never runs backwards.

    Args:
        wall: Where the time is read; tests pass their own.
        steady: A clock that nobody sets, in seconds.

    A wall clock set back by 50 seconds, read every ten seconds:

    >>> wall, steady = iter([100.0, 60.0, 70.0, 130.0]), iter([0.0, 10.0, 20.0, 30.0])
    >>> clock = Clock(lambda: next(wall), lambda: next(steady))
    >>> [clock.now(), clock.now(), clock.now(), clock.now()]
    [100.0, 109.0, 118.0, 130.0]
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._steady = steady
        self._given = float("-inf")
        self._at = 0.0
        self.held_back = 0.0
        """Seconds by which the wall clock stands behind what was given out last; 0 when it runs well."""

    def now(self) -> float:
        """Unix seconds, never less than given before."""
        wall, steady = self._wall(), self._steady()
        slewed = self._given + SLEW * (steady - self._at)
        self._given, self._at = max(wall, slewed), steady
        self.held_back = self._given - wall
        return self._given
