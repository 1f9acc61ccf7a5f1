"""How far the floor of a count stands above that of former days at this time, and whether it goes on rising.

The floor is the lowest value of each quarter hour: bursts come and go above it, a leak lifts it. Former days are
`habit`'s. The excess over them is kept in a `ledger`, whose evidence is divided by the usual step of that excess, as
neighbouring quarters move together.

Knows nothing for the first day. Arithmetic only.

Source: reference/incidents.md 1.6: the floor against the same time yesterday raised no false alarm in eight weeks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sentinel.model import Seconds
from sentinel.pipeline.diagnosis.habit import DAY, SLOTS, Habit
from sentinel.pipeline.diagnosis.ledger import Growth, Ledger

__all__ = ["Floors"]


@dataclass(slots=True)
class Floors:
    """One count's floors.

    Args:
        memory: Seconds of excess that are remembered.
    """

    memory: Seconds = 8 * DAY
    excess: Ledger = field(init=False)
    """Over the highest floor of former days at this time, one value a quarter hour."""
    growth: Growth | None = None
    """How it has grown, while the reading that ended a quarter hour is the newest."""
    _habit: Habit = field(default_factory=Habit)
    _began: float | None = None
    _slot: int = -1
    _low: float = 0.0

    def __post_init__(self) -> None:
        self.excess = Ledger(self.memory)

    def add(self, now: float, level: float, times: float = 1.0, learn: bool = True) -> None:
        """Take the count at `now`.

        Args:
            now: Unix seconds.
            level: The count.
            times: How much busier than on former days it is: so much more is expected.
            learn: Whether this is a day like any other.
        """
        slot = int(now * SLOTS / DAY)
        self.growth = None
        if slot == self._slot:
            self._low = min(self._low, level)
            return
        if self._slot >= 0:
            self._end(now, times, learn)
        self._slot, self._low = slot, level

    def known(self, now: float) -> bool:
        """Whether there is a former day to compare with."""
        return self._began is not None and now - self._began > DAY

    def forget(self) -> None:
        """Take the present level as given; former days are kept."""
        self.excess = Ledger(self.memory)

    def _end(self, now: float, times: float, learn: bool) -> None:
        began = self._slot * DAY / SLOTS
        self._began = began if self._began is None else self._began
        if self.known(began):
            self.excess.add(now, self._low - self._habit.usual(began) * max(1.0, times))
            self.growth = self.excess.growth()
        if learn:
            self._habit.learn(began, self._low)
