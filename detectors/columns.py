"""The default detector over many series at once: the same maths on arrays, one element a series.

For backtests and large fleets whose series are sampled together. Knows the constants of the parts that it follows, line
by line; a test holds the two forms to the same scores. Imports numpy when the first columns are made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from detectors import budget, extremes, pace, rest, seasonal
from detectors.base import LARGEST, Seconds
from detectors.default import (
    _ADOPT,
    _APART,
    _CLIP,
    _GRAIN,
    _HABIT,
    _KNOWN,
    _LEAST,
    _MEMORY,
    _ONCE,
    _PACE,
    _SAME,
    _SETTLE,
    _TRUST,
    _WARM_UP,
    Default,
    _halving,
    time_between,
)
from detectors.familiar import Familiar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    At = slice | NDArray[np.intp]

__all__ = ["Columns", "scores"]

_PAY: Final = 48
"""Series from which on columns are faster than as many single detectors."""


def scores(t: Floats, x: Floats, false_alarms: Seconds | None = None) -> Floats:
    """Scores of whole series by the default detector, each from its beginning; by columns where they pay.

    Args:
        t: Unix seconds, rising, float64, shape (n,).
        x: Values, float64, shape (n, series); NaN where a series has none.

    Returns:
        Scores, float64, shape (n, series); 0 where nothing can be said.

    >>> import numpy as np
    >>> noise = np.random.default_rng(1).normal(size=(400, 2))
    >>> noise[399, 1] = 99.0
    >>> (scores(60.0 * np.arange(400), noise)[399] >= 0.5).tolist()
    [False, True]
    """
    import numpy as np

    if x.shape[1] >= _PAY:
        columns = Columns(x.shape[1], false_alarms)
        return np.array([columns.update(float(when), row) for when, row in zip(t, x, strict=True)])
    found = np.zeros(x.shape)
    for i in range(x.shape[1]):
        single = Default(false_alarms)
        update = single.update
        found[:, i] = [update(when, value) for when, value in zip(t.tolist(), x[:, i].tolist(), strict=True)]
    return found


@dataclass
class Columns:
    """As many default detectors as there are series, all given one value at the same time.

    Suits hundreds of series and more, sampled together: 0.3 µs a value at 10,000 series. Misleads below some fifty,
    where single detectors are faster, and where series have times of their own. NaN is a missing value.

    Args:
        series: How many, at least 1.
        false_alarms: As the default detector's.

    >>> import numpy as np
    >>> columns, noise = Columns(100), np.random.default_rng(1)
    >>> for minute in range(400):
    ...     ordinary = columns.update(60.0 * minute, noise.normal(size=100))
    >>> strange = noise.normal(size=100)
    >>> strange[7] = 99.0
    >>> np.flatnonzero(columns.update(24000.0, strange) >= 0.5).tolist()
    [7]
    """

    series: int
    false_alarms: Seconds | None = None
    _np: ModuleType = field(init=False, repr=False)
    _state: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    _familiar: dict[int, Familiar] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        import numpy

        if self.series < 1:
            raise ValueError(f"series must be at least 1, got {self.series}")
        Default(self.false_alarms)  # refuses what cannot be
        self._np, n, slots = numpy, self.series, seasonal.DayProfile().slots
        zeros = (
            "count time interval seen paced fast slow adding recent level plain sum step steps value error_plain "
            "error_daily trust run held profile_sum profile_count peak_now excess excess_time"
        )
        self._state = {name: numpy.zeros(n) for name in zeros.split()}
        self._state |= {name: numpy.full(n, -math.inf) for name in ("until", "onset", "peak_time")}
        self._state["between"] = numpy.full(n, math.inf)
        self._state |= {name: numpy.full(n, -1) for name in ("profile_slot", "peak_slot")}
        self._state |= {name: numpy.zeros((slots, n)) for name in ("means", "days", "former", "former_time")}
        self._state["threshold"] = numpy.full(n, math.log(_LEAST))
        self._state["memory"] = numpy.full(n, extremes.Extremes().memory)
        self._views = [_ExtremesColumns(numpy, n) for _ in range(3)]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_np"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        import numpy

        self.__dict__.update(state, _np=numpy)
        for view in self._views:
            view.np = numpy

    def update(self, t: float, x: Floats) -> Floats:
        """Score one value of each series, then learn them. `x`: float64, shape (series,)."""
        np = self._np
        told = (x > -LARGEST) & (x < LARGEST) & (-LARGEST < t < LARGEST)
        found: Floats = np.zeros(self.series)
        if told.all():
            found[:] = self._update(t, x, slice(None))
        elif told.any():
            at = np.flatnonzero(told)
            found[at] = self._update(t, x[at], at)
        return found

    def _update(self, t: float, x: Floats, at: At) -> Floats:
        np, state = self._np, self._state
        count, level = state["count"][at], state["level"][at]
        fast, slow, adding = self._weights(t, at)
        offset, known = self._offset(t, at)
        y = x - np.where(known, state["trust"][at] * offset, 0.0)
        floor = _GRAIN * state["step"][at] + 1e-9 * np.abs(level) + 1e-12
        off, summed = y - level, state["sum"][at]
        sizes = (
            np.abs(y - state["recent"][at]) + floor,
            np.abs(off) + floor,
            np.abs(summed + adding * (off - summed)) + 0.3 * floor,
        )
        old = count >= _SETTLE
        threshold = state["threshold"][at]
        surprise = np.zeros(len(x))
        for view, size in zip(self._views, sizes, strict=True):
            np.maximum(surprise, view.surprise(size, t, threshold, state["memory"][at], at), out=surprise)
        surprise[~old] = 0.0
        score = surprise / (surprise + threshold)
        beyond = np.flatnonzero(surprise > extremes.START)
        if len(beyond):
            news = self._news(t, x[beyond], surprise[beyond], self._where(at, beyond))
            score[beyond] = news / (news + threshold[beyond])
            score[beyond[self._quiets(t, news, self._where(at, beyond))]] *= 0.5
        self._follow(t, at)
        self._watch(t, x, sizes, surprise, beyond, old, at)
        self._learn(t, x, y, floor, (fast, slow, adding), (offset, known), old, at)
        found: Floats = np.where(state["count"][at] > _WARM_UP, score, 0.0)
        return found

    def _where(self, at: At, inside: Any) -> Any:
        """Indices among all series of some of those that have a value."""
        return inside if isinstance(at, slice) else at[inside]

    def _weights(self, t: float, at: At) -> tuple[Floats, Floats, Floats]:
        np, state = self._np, self._state
        fast, slow, adding = (state[name][at].copy() for name in ("fast", "slow", "adding"))
        interval = state["interval"][at]
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = (t - state["time"][at]) / interval
        odd = np.flatnonzero((interval > 0.0) & ~((steps > 1.0 - pace._NEAR) & (steps < 1.0 + pace._NEAR)))
        for i in odd.tolist():
            fast[i], slow[i], adding[i] = _halving(min(50.0, max(1.0, steps[i])), float(interval[i]))
        least = 1.0 / (1.0 + state["count"][at])
        young = least >= slow
        return np.where(young, np.maximum(fast, least), fast), np.where(young, least, slow), adding

    def _offset(self, t: float, at: At) -> tuple[Floats, Any]:
        means, days = self._state["means"], self._state["days"]
        slots = len(means)
        place = t % seasonal.DAY * (slots / seasonal.DAY)
        aside = place - int(place) - 0.5
        slot = int(place) % slots
        near = (slot + 1) % slots if aside >= 0.0 else slot - 1
        share = abs(aside)
        return (1.0 - share) * means[slot][at] + share * means[near][at], (days[slot][at] > 0) & (days[near][at] > 0)

    def _news(self, t: float, x: Floats, surprise: Floats, at: Any) -> Floats:
        state, threshold = self._state, self._state["threshold"][at]
        news, known = surprise.copy(), _KNOWN * threshold
        above = self._np.flatnonzero(surprise > known)
        habit = self._habit(t, at[above]) if len(above) else above
        for i, usual in zip(above.tolist(), habit.tolist(), strict=True):
            one = int(at[i])
            if surprise[i] < (1.0 + _HABIT) * threshold[i] * usual:
                news[i] = known[i]
            elif surprise[i] >= threshold[i] and one in self._familiar:
                grain, memory = _SAME * float(state["step"][one]), float(state["memory"][one])
                if self._familiar[one].knows(t, float(x[i]), grain, memory):
                    news[i] = known[i]
        return news * self._share(t, at)

    def _excess(self, t: float, at: Any) -> Floats:
        """As Budget's."""
        np, state = self._np, self._state
        passed = np.maximum(0.0, t - state["excess_time"][at])
        found: Floats = np.maximum(0.0, state["excess"][at] - budget._OFTEN * passed / state["between"][at])
        return found

    def _share(self, t: float, at: Any) -> Floats:
        found: Floats = self._np.exp(-budget._DEARER * self._np.maximum(0.0, self._excess(t, at) - budget._FREE))
        return found

    def _habit(self, t: float, at: Any) -> Floats:
        np, state = self._np, self._state
        slots = len(state["former"])
        slot = int(t % seasonal.DAY * slots / seasonal.DAY) % slots
        best = np.zeros(len(at))
        for near in (slot - 1, slot, (slot + 1) % slots):
            best = np.maximum(best, _faded(np, state["former"][near][at], t - state["former_time"][near][at]))
        later, own = t - state["peak_time"][at], state["peak_slot"][at]
        near_now = ((slot - own + 1) % slots <= 2) & ((slot != own) | (later > 0.5 * seasonal.DAY))
        habit: Floats = np.where(near_now, np.maximum(best, _faded(np, state["peak_now"][at], later)), best)
        return habit

    def _quiets(self, t: float, surprise: Floats, at: Any) -> Any:
        state = self._state
        growth = self._np.where(state["held"][at] >= state["threshold"][at], rest._GROWTH, 1.0)
        return (t < state["until"][at]) & ((t < state["onset"][at]) | (surprise < growth * state["held"][at]))

    def _follow(self, t: float, at: At) -> None:
        """The sampling interval, as Pace and `_keep_pace`."""
        np, state = self._np, self._state
        before, seen = state["interval"][at], state["seen"][at] + 1
        passed = t - state["time"][at]
        state["time"][at], state["seen"][at] = t, seen
        moved = (passed != before) & (passed > 0.0) & (seen > 1)
        if not moved.any():
            return
        near = (before == 0.0) | ((1.0 - pace._NEAR) * before < passed) & (passed < (1.0 + pace._NEAR) * before)
        change = np.where(seen <= pace._YOUNG, 1.05, 1.01)
        other = np.where(passed > before, before * change, before / change)
        interval = np.where(moved, np.where(near, passed, other), before)
        state["interval"][at] = interval
        paced = state["paced"][at]
        for i in np.flatnonzero(moved & ~((0.99 * paced < interval) & (interval < 1.01 * paced))).tolist():
            self._keep_pace(int(self._where(at, i)), float(interval[i]))

    def _keep_pace(self, i: int, interval: float) -> None:
        state = self._state
        state["paced"][i] = interval
        state["fast"][i], state["slow"][i], state["adding"][i] = _halving(1.0, interval)
        between = time_between(self.false_alarms, interval)
        state["threshold"][i] = math.log(between / interval)
        state["memory"][i] = _MEMORY * between
        state["between"][i] = between

    def _watch(self, t: float, x: Floats, sizes: Any, surprise: Floats, beyond: Any, old: Any, at: At) -> None:
        state = self._state
        if not old.any():
            return
        rows = at if old.all() else self._where(at, self._np.flatnonzero(old))
        apart, memory = _APART * state["interval"][rows], state["memory"][rows]
        for view, size in zip(self._views, sizes, strict=True):
            view.learn(size if old.all() else size[old], t, apart, memory, rows)
        if len(beyond):
            self._note(t, x[beyond], surprise[beyond], self._where(at, beyond))

    def _note(self, t: float, x: Floats, surprise: Floats, at: Any) -> None:
        np, state = self._np, self._state
        threshold = state["threshold"][at]
        news = self._news(t, x, surprise, at)
        self._learn_peaks(t, surprise / threshold, at)
        for i in np.flatnonzero(surprise >= threshold).tolist():
            one = int(at[i])
            grain, apart = _SAME * float(state["step"][one]), _ONCE * float(state["interval"][one])
            self._familiar.setdefault(one, Familiar()).learn(t, float(x[i]), grain, apart)
        counts = ~self._quiets(t, news, at)
        spent = at[counts & (news >= threshold) & (state["count"][at] >= _WARM_UP)]
        state["excess"][spent], state["excess_time"][spent] = self._excess(t, spent) + 1.0, t
        at, news, threshold = at[counts], news[counts], threshold[counts]
        begins = (news >= threshold) & ((t >= state["until"][at]) | (state["held"][at] < threshold))
        interval = state["interval"][at]
        state["onset"][at] = np.where(begins, t + rest._ONSET * interval, state["onset"][at])
        state["held"][at] = news
        length = np.maximum(rest._SHORTEST, rest._LENGTH * interval)
        longest = np.minimum(np.maximum(rest._LONGEST, 3.0 * interval), rest._PART * state["between"][at])
        state["until"][at] = t + np.minimum(length, longest)

    def _learn_peaks(self, t: float, value: Floats, at: Any) -> None:
        np, state = self._np, self._state
        slots = len(state["former"])
        slot = int(t % seasonal.DAY * slots / seasonal.DAY) % slots
        turned = at[(state["peak_slot"][at] != slot) | (t - state["peak_time"][at] > 0.5 * seasonal.DAY)]
        closing = turned[state["peak_slot"][turned] >= 0]
        own, when = state["peak_slot"][closing], state["peak_time"][closing]
        left = _faded(np, state["former"][own, closing], when - state["former_time"][own, closing])
        state["former"][own, closing] = np.maximum(state["peak_now"][closing], left)
        state["former_time"][own, closing] = when
        state["peak_slot"][turned], state["peak_now"][turned], state["peak_time"][turned] = slot, 0.0, t
        state["peak_now"][at] = np.maximum(state["peak_now"][at], value)

    def _learn(
        self, t: float, x: Floats, y: Floats, floor: Floats, weights: Any, rhythm: Any, old: Any, at: At
    ) -> None:
        """Level, sum, profile and step, as `_take` of the single form after it has watched."""
        np, state = self._np, self._state
        fast, slow, adding = weights
        new = state["count"][at] == 0
        if new.any():
            rows = self._where(at, np.flatnonzero(new))
            for name in ("recent", "level", "plain", "value"):
                state[name][rows] = x[new]
            y, floor = np.where(new, x, y), np.where(new, 0.0, floor)
        state["count"][at] += 1
        level, recent = state["level"][at], state["recent"][at]
        quantile = self._views[1].quantile[at]
        most = np.where(old, _CLIP * quantile + floor, LARGEST)
        off = y - level
        pull = np.clip(off, -most, most)
        adopted = self._adopts(off, quantile, new, at)
        if adopted.any():
            state["plain"][at] += np.where(adopted, recent - level, 0.0)
            state["sum"][at] = np.where(adopted, 0.0, state["sum"][at])
            level, pull = np.where(adopted, recent, level), np.where(adopted, 0.0, pull)
        state["recent"][at] = recent + fast * (y - recent)
        state["level"][at] = level + slow * pull
        state["sum"][at] += adding * (pull - state["sum"][at])
        self._learn_rhythm(t, x, rhythm, slow, most, new, at)
        self._learn_step(x, at)

    def _adopts(self, off: Floats, quantile: Floats, new: Any, at: At) -> Any:
        np, run = self._np, self._state["run"][at]
        far = (np.abs(off) > quantile) & ~new
        side = np.where(off > 0.0, 1.0, -1.0)
        run = np.where(far, np.where(run * side >= 0.0, run + side, 0.0), 0.5 * run)
        adopted = far & (np.abs(run) > _ADOPT)
        self._state["run"][at] = np.where(adopted, 0.0, run)
        return adopted

    def _learn_rhythm(self, t: float, x: Floats, rhythm: Any, slow: Floats, most: Floats, new: Any, at: At) -> None:
        np, state = self._np, self._state
        offset, known = rhythm
        off = x - state["plain"][at]
        state["plain"][at] += slow * np.clip(off, -most, most)
        if known.any():
            weight = np.maximum(0.5 * slow, 1.0 / (1.0 + state["count"][at]))
            plain, daily = np.minimum(np.abs(off), 2.0 * most), np.minimum(np.abs(off - offset), 2.0 * most)
            before = state["error_plain"][at]
            begun = before > 0.0
            error_plain = np.where(begun, before + weight * (plain - before), plain)
            before = state["error_daily"][at]
            error_daily = np.where(begun, before + weight * (daily - before), daily)
            state["error_plain"][at] = np.where(known, error_plain, state["error_plain"][at])
            state["error_daily"][at] = np.where(known, error_daily, before)
            with np.errstate(divide="ignore", invalid="ignore"):
                trust = np.clip((1.0 - error_daily / error_plain) / _TRUST, 0.0, 1.0)
            state["trust"][at] = np.where(known & begun, trust, state["trust"][at])
        self._learn_profile(t, off, at)

    def _learn_profile(self, t: float, off: Floats, at: At) -> None:
        np, state = self._np, self._state
        slots = len(state["means"])
        slot = int(t % seasonal.DAY * (slots / seasonal.DAY)) % slots
        own = state["profile_slot"][at]
        same = own == slot
        if not same.all():
            turned = self._where(at, np.flatnonzero(~same & (state["profile_count"][at] > 0)))
            closing = state["profile_slot"][turned]
            days = state["days"][closing, turned] + 1
            state["days"][closing, turned] = days
            means = state["means"][closing, turned]
            mean = state["profile_sum"][turned] / state["profile_count"][turned]
            weight = np.maximum(seasonal.DayProfile().weight, 1.0 / days)
            state["means"][closing, turned] = means + weight * (mean - means)
        state["profile_sum"][at] = np.where(same, state["profile_sum"][at], 0.0) + off
        state["profile_count"][at] = np.where(same, state["profile_count"][at], 0.0) + 1.0
        state["profile_slot"][at] = slot

    def _learn_step(self, x: Floats, at: At) -> None:
        np, state = self._np, self._state
        size = np.abs(x - state["value"][at])
        state["value"][at] = x
        moved = np.flatnonzero(size > 0.0)
        if not len(moved):
            return
        rows = at
        if len(moved) < len(x):
            rows, size = self._where(at, moved), size[moved]
        state["steps"][rows] += 1
        steps, before = state["steps"][rows], state["step"][rows]
        change: Any = math.exp(_PACE)
        if steps.min() < 1.0 / _PACE:
            change = np.exp(np.maximum(_PACE, 1.0 / steps))
        state["step"][rows] = np.where(steps == 1, size, np.where(size > before, before * change, before / change))


class _ExtremesColumns:
    """Extremes of as many series."""

    def __init__(self, np: ModuleType, n: int) -> None:
        self.np: Any = np
        self.quantile = np.zeros(n)
        self.count = np.zeros(n)
        self.excess = np.full(n, 0.25)
        self.run, self.last, self.time, self.began = (np.zeros(n) for _ in range(4))
        self.records = np.full((n, 3), extremes._NEVER)
        self.episode = np.full(n, extremes._NEVER)
        self.closes = np.full(n, -math.inf)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "np"}

    def surprise(self, size: Floats, t: float, threshold: Floats, memory: Floats, at: At) -> Floats:
        np, quantile = self.np, self.quantile[at]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            found: Floats = extremes.START * size / quantile
        young = self.count[at] < extremes._START_UP
        found[young] = 0.0
        beyond = np.flatnonzero((size > quantile) & ~young)
        if len(beyond):
            rows = beyond if isinstance(at, slice) else at[beyond]
            found[beyond] = self._beyond(size[beyond], t, threshold[beyond], memory[beyond], rows)
        return found

    def _beyond(self, size: Floats, t: float, threshold: Floats, memory: Floats, rows: Any) -> Floats:
        np = self.np
        over, height = np.log(size / self.quantile[rows]), np.log(size)
        shape = extremes._TAIL / np.maximum(self.excess[rows], 0.05)
        by_tail = extremes.START * np.exp(np.minimum(8.0, over * shape))
        _, second, third = self._remembered(t, memory, rows).T
        by_record = threshold * np.exp(np.clip(np.minimum(height - second, over), -8.0, 8.0))
        both = np.where(by_tail < by_record, by_tail, np.sqrt(by_tail * by_record))
        known = np.minimum(both, extremes._KNOWN * threshold)
        found: Floats = np.where(height < third + extremes._NEAR, known, both)
        return found

    def _remembered(self, t: float, memory: Floats, rows: Any) -> Any:
        np = self.np
        fade = self.excess[rows] * np.minimum(1.0, np.maximum(0.0, t - self.time[rows]) / memory)
        records, episode = self.records[rows], self.episode[rows]
        closed = np.flatnonzero((episode != extremes._NEVER) & (t > self.closes[rows]))
        if len(closed):
            records[closed] = np.sort(np.column_stack((records[closed], episode[closed])), axis=1)[:, :0:-1]
        return records - fade[:, None]

    def learn(self, size: Floats, t: float, apart: Floats, memory: Floats, at: At) -> None:
        np, count, quantile = self.np, self.count[at].copy(), self.quantile[at].copy()
        self.count[at] += 1
        above = size > quantile
        if count.min() >= extremes._SETTLED:
            self.quantile[at] = quantile * extremes._DOWN
        else:
            young = count < extremes._START_UP
            down = np.where(count < extremes._SETTLED, np.exp(-extremes.SHARE / (1.0 + count)), extremes._DOWN)
            self.quantile[at] = np.where(young, np.maximum(quantile, size), quantile * down)
            above &= ~young
        beyond = np.flatnonzero(above)
        if len(beyond):
            rows = beyond if isinstance(at, slice) else at[beyond]
            self.quantile[rows] = quantile[beyond]
            self._exceed(size[beyond], t, apart[beyond], memory[beyond], rows)

    def _exceed(self, size: Floats, t: float, apart: Floats, memory: Floats, rows: Any) -> None:
        np = self.np
        self._remember(np.log(size), t, apart, memory, rows)
        count, quantile = self.count[rows], self.quantile[rows]
        run = 1.0 + self.run[rows] * 0.5 ** (count - self.last[rows] - 1.0)
        self.last[rows] = count
        lost = run > extremes._LOST
        self.run[rows] = np.where(lost, 0.0, run)
        up = np.where(count > extremes._SETTLED, extremes._UP, np.exp((1.0 - extremes.SHARE) / count))
        self.quantile[rows] = np.where(lost, size, quantile * up)
        weight = np.maximum(extremes._TAIL_PACE, 1.0 / (5.0 + count * extremes.SHARE))
        excess = self.excess[rows]
        excess = excess + weight * (np.minimum(np.log(size / quantile), 1.0) - excess)
        self.excess[rows] = np.where(lost, 0.25, excess)

    def _remember(self, height: Floats, t: float, apart: Floats, memory: Floats, rows: Any) -> None:
        np = self.np
        self.records[rows] = self._remembered(t, memory, rows)
        self.time[rows] = t
        episode = self.episode[rows]
        begins = (episode == extremes._NEVER) | (t > self.closes[rows])
        self.began[rows] = np.where(begins, t, self.began[rows])
        self.episode[rows] = np.where(begins, height, np.maximum(episode, height))
        self.closes[rows] = np.minimum(t, self.began[rows] + 2.0 * apart) + apart


def _faded(np: Any, peak: Floats, later: Floats) -> Floats:
    faded: Floats = peak * (1.0 - seasonal.DayPeaks().fade) ** np.maximum(0.0, later / seasonal.DAY - 1.0)
    return faded
