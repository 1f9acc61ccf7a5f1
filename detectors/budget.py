"""How often an alarm may come, and what makes the next one dearer: more of them than were asked for.

Knows when alarms were. Knows nothing of scores or values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from detectors.base import Seconds

__all__ = ["Budget"]

_OFTEN: Final = 1.5
"""So many times what was asked for is taken to be chance or true alarms."""
_FREE: Final = 2.0
"""Alarms beyond that which cost nothing."""
_DEARER: Final = 0.1
"""By how much each further one raises the next alarm's price, in logs."""


@dataclass(slots=True)
class Budget:
    """A price on alarms that rises while they come more often than they may, and falls with time.

    Suits tails that are heavier than their model, which would otherwise be a false alarm for ever. Misleads where
    alarms that are true come that often for long: the later ones must be larger. The count of alarms in excess

        excess = max(0, excess - 1.5 * passed / between) + 1 for an alarm        share = exp(-0.1 * max(0, excess - 2))

    is what a one-sided Cusum would keep, so that it takes several alarms close together to count at all.

    Source: our own, after adaptive conformal inference: Gibbs and Candès (2021), "Adaptive conformal inference under
    distribution shift"; their threshold moves both ways and from the first alarm, which cost nine points on NAB.

    >>> budget = Budget(between=86400.0)
    >>> for hour in range(4):
    ...     budget.spend(3600.0 * hour)
    >>> round(budget.share(3600.0 * 3), 3), budget.share(86400.0 * 3)
    (0.834, 1.0)
    """

    between: Seconds = math.inf
    """Seconds between two alarms, as asked for."""
    _excess: float = field(default=0.0, init=False, repr=False)
    _time: float = field(default=0.0, init=False, repr=False)

    def share(self, t: float) -> float:
        """What is left of a surprise at time `t`, above 0 and at most 1."""
        over = self._left(t) - _FREE
        return math.exp(-_DEARER * over) if over > 0.0 else 1.0

    def spend(self, t: float) -> None:
        """There was an alarm at time `t`."""
        self._excess, self._time = self._left(t) + 1.0, t

    def _left(self, t: float) -> float:
        left = self._excess - _OFTEN * max(0.0, t - self._time) / self.between
        return left if left > 0.0 else 0.0
