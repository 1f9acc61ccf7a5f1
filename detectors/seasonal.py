"""What the time of day brings: a profile of the level, and the peaks that come at the same time each day.

Days are those of UTC. Knows nothing of weeks, time zones or holidays.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import Final

from detectors.base import Counts, Numbers

__all__ = ["DAY", "DayPeaks", "DayProfile"]

DAY: Final = 86400.0


@dataclass(slots=True)
class DayProfile:
    """Mean offset from the level in each slot of the day, read with linear interpolation between slots.

    Suits rhythms that repeat daily. Misleads where weekends differ: the profile follows them with a lag of one
    or two days. Costs one number a slot.

    Args:
        slots: Slots in a day, from 2 to 1440.
        weight: Weight of the newest day in a slot's mean, above 0 and at most 1.

    >>> profile = DayProfile(slots=4, weight=0.5)
    >>> for hour in range(48):
    ...     profile.learn(3600.0 * hour, 8.0 if hour % 24 < 6 else 0.0)
    >>> profile.offset(3600.0 * 51)  # 3 o'clock, the middle of the first slot
    8.0
    >>> profile.offset(3600.0 * 54)  # 6 o'clock, halfway to the second
    4.0
    """

    slots: int = 96
    weight: float = 0.3
    _means: Numbers = field(init=False, repr=False)
    _days: Counts = field(init=False, repr=False)
    _slot: int = field(default=-1, init=False, repr=False)
    _sum: float = field(default=0.0, init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 2 <= self.slots <= 1440:
            raise ValueError(f"slots must be from 2 to 1440, got {self.slots}")
        if not 0.0 < self.weight <= 1.0:
            raise ValueError(f"weight must be above 0 and at most 1, got {self.weight}")
        self._means = array("d", bytes(8 * self.slots))
        self._days = array("l", [0] * self.slots)

    def offset(self, t: float) -> float | None:
        """Offset to expect at Unix time `t`, in the value's unit; None until that time of day has been seen."""
        slots, days = self.slots, self._days
        place = t % DAY * (slots / DAY)
        whole = int(place)
        aside = place - whole - 0.5
        slot = whole % slots
        near = (slot + 1) % slots if aside >= 0.0 else slot - 1
        if not (days[slot] and days[near]):
            return None
        share = abs(aside)
        return (1.0 - share) * self._means[slot] + share * self._means[near]

    def learn(self, t: float, offset: float) -> None:
        """Take in how far a value lay from the level at Unix time `t`."""
        slot = int(t % DAY * (self.slots / DAY)) % self.slots
        if slot == self._slot:
            self._sum += offset
            self._count += 1
            return
        if self._count:
            self._close()
        self._slot, self._sum, self._count = slot, offset, 1

    def _close(self) -> None:
        mean, slot = self._sum / self._count, self._slot
        self._days[slot] += 1
        self._means[slot] += max(self.weight, 1.0 / self._days[slot]) * (mean - self._means[slot])


@dataclass(slots=True)
class DayPeaks:
    """The highest value in each slot of the day, of former days: what the nightly backup does every night.

    Suits jobs that run by the clock. Misleads where trouble itself comes by the clock: the first night is news,
    the second is a habit. Values that do not matter need not be learnt: a slot without a value is only not renewed.

    Args:
        slots: Slots in a day, from 3 to 1440; a peak covers its neighbours too.
        fade: Part of a slot's peak that is gone a day after the next visit without a new one, from 0 to 1.

    >>> peaks = DayPeaks(slots=24, fade=0.2)
    >>> peaks.learn(3600.0 * 3, 5.0)
    >>> peaks.learn(3600.0 * 4, 1.0)
    >>> [round(peaks.habit(3600.0 * hour), 6) for hour in (27, 51)]  # the same hour one and two days later
    [5.0, 4.0]
    """

    slots: int = 96
    fade: float = 0.2
    _former: Numbers = field(init=False, repr=False)
    _seen: Numbers = field(init=False, repr=False)
    _slot: int = field(default=-1, init=False, repr=False)
    _peak: float = field(default=0.0, init=False, repr=False)
    _time: float = field(default=-math.inf, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 3 <= self.slots <= 1440:
            raise ValueError(f"slots must be from 3 to 1440, got {self.slots}")
        if not 0.0 <= self.fade <= 1.0:
            raise ValueError(f"fade must be from 0 to 1, got {self.fade}")
        self._former = array("d", bytes(8 * self.slots))
        self._seen = array("d", bytes(8 * self.slots))

    def habit(self, t: float) -> float:
        """Highest value at this time of day before, a slot earlier or later; 0 where there was none."""
        slot, best = self._slot_of(t), 0.0
        for near in (slot - 1, slot, slot + 1):
            best = max(best, self._left(near % self.slots, t))
        later = t - self._time
        if (slot - self._slot + 1) % self.slots <= 2 and (slot != self._slot or later > 0.5 * DAY):
            best = max(best, self._faded(self._peak, later))
        return best

    def learn(self, t: float, value: float) -> None:
        """Take in a value at Unix time `t`, at least 0; it counts from the next slot on."""
        slot = self._slot_of(t)
        if slot != self._slot or t - self._time > 0.5 * DAY:
            if self._slot >= 0:
                self._former[self._slot] = max(self._peak, self._left(self._slot, self._time))
                self._seen[self._slot] = self._time
            self._slot, self._peak, self._time = slot, 0.0, t
        if value > self._peak:
            self._peak = value

    def _left(self, slot: int, t: float) -> float:
        """What is remembered of a slot's peak at time `t`."""
        return self._faded(self._former[slot], t - self._seen[slot])

    def _faded(self, peak: float, later: float) -> float:
        return peak * (1.0 - self.fade) ** max(0.0, later / DAY - 1.0) if peak else 0.0

    def _slot_of(self, t: float) -> int:
        return int(t % DAY * self.slots / DAY) % self.slots
