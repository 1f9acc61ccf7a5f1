"""What former days brought at this time of day: the nightly bulk, the queue that is paused until morning.

Knows quarter hours of UTC days. Today does not count, so what goes on now can not become its own excuse. Suits what
comes by the clock; misleads where trouble itself does: the first night is news, the second is a habit.

`detectors.seasonal.DayPeaks` is its relative for scores; there a slot counts as soon as it is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["DAY", "Habit"]

DAY = 86400.0
SLOTS = 96
"""Quarter hours; a value covers the neighbouring ones too, as cron jobs start late."""
FADE = 0.95
"""By a day without such a value; a weekly one still counts for 70 % a week later."""


@dataclass(slots=True)
class Habit:
    """The highest value of each quarter hour. Zeros cost nothing.

    >>> habit = Habit()
    >>> habit.learn(7200.0, 400.0)
    >>> habit.usual(7200.0)
    0.0
    >>> habit.usual(7200.0 + DAY)
    400.0
    >>> round(habit.usual(7200.0 + 2 * DAY))  # not seen on the day between
    380
    """

    _slots: dict[int, tuple[int, float, float]] = field(default_factory=dict)
    """By quarter hour: the newest day that had a value, its highest, and that of the days before as of then."""
    _ahead: tuple[int, list[float]] = field(default=(-1, []), repr=False)

    def learn(self, now: float, value: float) -> None:
        """Take a value, 0 or more, at Unix time `now`."""
        if value <= 0.0:
            return
        day, slot = int(now // DAY), int(now % DAY * SLOTS / DAY)
        newest, high, before = self._slots.get(slot, (day, 0.0, 0.0))
        if newest != day:
            before, high = max(high, before) * float(FADE ** (day - newest - 1)), 0.0
        self._slots[slot] = (day, max(high, value), before)

    def usual(self, now: float) -> float:
        """The highest value of former days at this time of day, 0 if there was none."""
        day, slot = int(now // DAY), int(now % DAY * SLOTS / DAY)
        around = (divmod(slot + aside, SLOTS) for aside in (-1, 0, 1))
        return max(self._former(day + over, near) for over, near in around)

    def ahead(self, now: float) -> tuple[float, list[float]]:
        """When the present quarter hour began, and the usual values of a day from it on; not to be changed."""
        quarter = int(now * SLOTS / DAY)
        if quarter != self._ahead[0]:
            self._ahead = quarter, [self.usual(now + step * DAY / SLOTS) for step in range(SLOTS)]
        return quarter * DAY / SLOTS, self._ahead[1]

    def _former(self, day: int, slot: int) -> float:
        newest, high, before = self._slots.get(slot, (day, 0.0, 0.0))
        return before if newest >= day else max(high, before) * float(FADE ** (day - newest - 1))
