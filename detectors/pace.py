"""How far apart values come, learnt from their times. Knows nothing of the values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from detectors.base import Seconds

__all__ = ["Pace"]

_NEAR: Final = 0.1
_YOUNG: Final = 50


@dataclass(slots=True)
class Pace:
    """The usual interval between two values: a median in logs that snaps to what it is near.

    Suits any sampling interval, one that changes too, within some 50 values; gaps and doubled values hardly move
    it. Misleads where two intervals alternate: it stays near one of them.

    >>> pace = Pace()
    >>> for t in (0.0, 60.0, 120.0, 180.0, 900.0, 960.0):
    ...     _ = pace.follow(t)
    >>> pace.interval
    60.0
    """

    interval: Seconds = field(default=0.0, init=False)
    """Seconds; 0 before the second value."""
    _time: float = field(default=0.0, init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)

    def follow(self, t: float) -> bool:
        """Take in the time of a value; whether the interval changed."""
        passed, before = t - self._time, self.interval
        self._time = t
        self._count += 1
        if passed == before or passed <= 0.0 or self._count == 1:
            return False
        if not before or (1.0 - _NEAR) * before < passed < (1.0 + _NEAR) * before:
            self.interval = passed
        else:
            change = 1.05 if self._count <= _YOUNG else 1.01
            self.interval = before * change if passed > before else before / change
        return True

    def steps(self, t: float) -> float:
        """Intervals from the newest value to time `t`; 1 where it is near that or the interval is unknown.

        >>> pace = Pace()
        >>> pace.follow(0.0), pace.follow(10.0)
        (False, True)
        >>> pace.steps(19.5), pace.steps(50.0)
        (1.0, 4.0)
        """
        if not self.interval:
            return 1.0
        steps = (t - self._time) / self.interval
        return 1.0 if 1.0 - _NEAR < steps < 1.0 + _NEAR else steps
