"""The only file that reads the time.

Gives Unix time that never runs backwards: a wall clock that is set back stands still until it has caught up,
one that is set forward is believed. Waiting is asyncio's business, not this file's.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock"]


class Clock:
    """Unix time in seconds that never runs backwards.

    Args:
        wall: Where the time is read; tests pass their own.

    >>> readings = iter([100.0, 99.0, 101.5])
    >>> clock = Clock(lambda: next(readings))
    >>> [clock.now(), clock.now(), clock.now()]
    [100.0, 100.0, 101.5]
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._latest = 0.0
        self.held_back = 0.0
        """Seconds by which the wall clock stands behind what was given out last; 0 when it runs well."""

    def now(self) -> float:
        """Unix seconds, never less than given before."""
        wall = self._wall()
        self.held_back = max(0.0, self._latest - wall)
        self._latest = max(self._latest, wall)
        return self._latest
