"""What the time of day brings: a profile of the level, and the peaks that come at the same time each day.

Days are those of UTC. Knows nothing of weeks, time zones or holidays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

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
    _means: list[float] = field(init=False, repr=False)
    _days: list[int] = field(init=False, repr=False)
    _slot: int = field(default=-1, init=False, repr=False)
    _sum: float = field(default=0.0, init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 2 <= self.slots <= 1440:
            raise ValueError(f"slots must be from 2 to 1440, got {self.slots}")
        if not 0.0 < self.weight <= 1.0:
            raise ValueError(f"weight must be above 0 and at most 1, got {self.weight}")
        self._means = [0.0] * self.slots
        self._days = [0] * self.slots

    def offset(self, t: float) -> float | None:
        """Offset to expect at Unix time `t`, in the value's unit; None until that time of day has been seen."""
        place = t % DAY * self.slots / DAY
        slot = int(place) % self.slots
        aside = place - int(place) - 0.5
        near = (slot + (1 if aside >= 0.0 else -1)) % self.slots
        if not (self._days[slot] and self._days[near]):
            return None
        share = abs(aside)
        return (1.0 - share) * self._means[slot] + share * self._means[near]

    def learn(self, t: float, offset: float) -> None:
        """Take in how far a value lay from the level at Unix time `t`."""
        slot = int(t % DAY * self.slots / DAY) % self.slots
        if slot != self._slot:
            self._close()
            self._slot, self._sum, self._count = slot, 0.0, 0
        self._sum += offset
        self._count += 1

    def _close(self) -> None:
        if not self._count:
            return
        mean, slot = self._sum / self._count, self._slot
        self._days[slot] += 1
        self._means[slot] += max(self.weight, 1.0 / self._days[slot]) * (mean - self._means[slot])


@dataclass(slots=True)
class DayPeaks:
    """The highest value in each slot of the day, of former days: what the nightly backup does every night.

    Suits jobs that run by the clock. Misleads where trouble itself comes by the clock: the first night is news,
    the second is a habit.

    Args:
        slots: Slots in a day, from 3 to 1440; a peak covers its neighbours too.
        fade: By how much the memory of a slot falls in a day without a new peak.

    >>> peaks = DayPeaks(slots=24, fade=0.2)
    >>> peaks.learn(3600.0 * 3, 5.0)
    >>> peaks.learn(3600.0 * 4, 1.0)
    >>> peaks.habit(3600.0 * 27)  # the same hour on the next day
    5.0
    """

    slots: int = 96
    fade: float = 0.2
    lowest: float = -9.0
    _former: list[float] = field(init=False, repr=False)
    _slot: int = field(default=-1, init=False, repr=False)
    _peak: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 3 <= self.slots <= 1440:
            raise ValueError(f"slots must be from 3 to 1440, got {self.slots}")
        self._former = [self.lowest] * self.slots

    def habit(self, t: float) -> float:
        """Highest value of former days at this time of day, a slot earlier or later."""
        former, slot = self._former, int(t % DAY * self.slots / DAY) % self.slots
        return max(former[slot], former[slot - 1], former[slot + 1 - self.slots])

    def learn(self, t: float, value: float) -> None:
        """Take in a value at Unix time `t`; it counts from the next slot on."""
        slot = int(t % DAY * self.slots / DAY) % self.slots
        if slot != self._slot:
            if self._slot >= 0:
                self._former[self._slot] = max(self._peak, self._former[self._slot] - self.fade)
            self._slot, self._peak = slot, self.lowest
        if value > self._peak:
            self._peak = value
