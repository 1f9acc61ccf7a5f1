"""How long is left, as an honest range, and how bad that is.

Arithmetic only: counts and seconds in, ranges out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sentinel.model import Eta, Seconds, Severity

__all__ = ["Urgency", "eta_from_count", "fill_range"]

Z80 = 1.2816
"""Standard normal quantile that leaves 10 % on either side: ranges are nominal 80 %."""

DRIFT = 0.2
"""Log standard deviation by which a rate seen briefly differs from the rate to come (daily rhythm, load, errors
in bursts). The lab's load swings by 10-20 % and its noise has a standard deviation of 8-17 %."""


def fill_range(gained: float, seconds: float, left: float, *, dispersion: float = 1.0) -> tuple[float, float] | None:
    """Seconds until `left` more have come, after `gained` came in `seconds`: nominal 80 % range.

    The rate's log has a variance of dispersion / gained (a count's, by the delta method) plus DRIFT² times the
    part of the way that has not been seen: a long look at a short way is trusted, a short look at a long way is
    not.

    Args:
        gained: How many came; at least 1, else there is no range.
        seconds: In which time.
        left: How many more until the wall.
        dispersion: Variance of the counts over their mean; 1 for arrivals one by one at random.

    >>> tuple(round(s) for s in fill_range(30, 10, 300))
    (71, 140)
    >>> tuple(round(s) for s in fill_range(3000, 1000, 300))
    (92, 108)
    """
    if gained < 1 or seconds <= 0 or left < 0:
        return None
    point = left * seconds / gained
    spread = math.sqrt(dispersion / gained + DRIFT**2 * point / (point + seconds))
    return point * math.exp(-Z80 * spread), point * math.exp(Z80 * spread)


def eta_from_count(
    now: float, gained: float, seconds: float, left: float, wall: str, *, dispersion: float = 1.0
) -> Eta | None:
    """`fill_range` as times."""
    found = fill_range(gained, seconds, left, dispersion=dispersion)
    return None if found is None else Eta(now + found[0], now + found[1], wall)


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
