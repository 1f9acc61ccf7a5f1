"""Several metrics of one target at once: combinations that are rare though each value alone is ordinary.

Knows vectors by the names of their values. Knows nothing of what they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from detectors.base import LARGEST, Explanation, Seconds
from detectors.ewma import Ewma

__all__ = ["RsHash"]

_PLACES: Final = tuple((2 * i + 1) / 80.0 for i in range(40))
"""Where values are tried for an explanation."""
_MASK: Final = (1 << 64) - 1


class _Grid(NamedTuple):
    """A few of the names, and the cells into which their values are sorted."""

    names: tuple[str, ...]
    width: float
    shifts: tuple[float, ...]


@dataclass(slots=True)
class RsHash:
    """How rare the cell is that a vector falls into, on average over random grids over a few of its values, in bits.

    Suits a target's metrics sampled together: traffic without connections, latency without load. Misleads where one
    value says it all (a detector on that value is surer), and beyond some twenty names. Values are taken in deviations
    from their own moving averages, squeezed into [0, 1] by tanh of a quarter. A grid takes one to three names and
    cells of one width w with random shifts; of n vectors in memory, c fell into the same cell:

        score = mean over the grids of log2((n + 1) / (c + 1))

    0 is what always comes, each bit halves how often. Give the score to Calibrated's tail, or take about twice the
    usual score as a threshold. `score` and `learn` take a mapping from names to values; a name that is missing or not
    a number counts as ordinary, another set of names starts over.

    Args:
        grids: Random grids, at least 1; 10 µs for each 20 or so.
        window: Vectors after which the memory of cells begins anew, the one before being kept beside it; at least 50.
        half_life: Seconds, of the moving averages.
        warm_up: Vectors before the first score, at least 30.
        seed: Of the grids.

    Source: Sathe and Aggarwal (2016), "Subspace outlier detection in linear time with randomized hashing"; exact counts
    in place of sketches, two windows in place of decay, and widths from 0.1 to 0.4 are our own.

    >>> together = RsHash(warm_up=200)
    >>> for i in range(1000):
    ...     load = math.sin(i / 7.0)
    ...     together.learn(60.0 * i, {"commands": 100.0 + 50.0 * load, "clients": 40.0 + 20.0 * load})
    >>> usual = together.score(60000.0, {"commands": 145.0, "clients": 58.0})
    >>> together.score(60000.0, {"commands": 145.0, "clients": 22.0}) > usual + 2.0
    True
    """

    grids: int = 30
    window: int = 1000
    half_life: Seconds = 86400.0
    warm_up: int = 100
    seed: int = 0
    _scales: dict[str, Ewma] = field(default_factory=dict, init=False, repr=False)
    _grids: list[_Grid] = field(default_factory=list, init=False, repr=False)
    _old: list[dict[tuple[int, ...], int]] = field(default_factory=list, init=False, repr=False)
    _young: list[dict[tuple[int, ...], int]] = field(default_factory=list, init=False, repr=False)
    _held: list[int] = field(default_factory=lambda: [0, 0], init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, least in (("grids", 1), ("window", 50), ("warm_up", 30)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")

    def score(self, t: float, values: Mapping[str, float]) -> float | None:
        """Score a vector seen at Unix time `t`, without learning it."""
        if self._count < self.warm_up or values.keys() != self._scales.keys() or not _said(values):
            return None
        return self._rarity(self._unit(values))

    def explain(self, t: float, values: Mapping[str, float], threshold: float) -> Explanation | None:
        """What was expected of the value that is strangest beside the others, without learning. Costs about 5 ms.

        The part is its name; the range holds what would have scored below `threshold` had the others been as they are,
        or half a bit more than the best where nothing would. None also where any value would do.

        >>> together = RsHash(warm_up=200)
        >>> for i in range(1000):
        ...     load = math.sin(i / 7.0)
        ...     together.learn(60.0 * i, {"commands": 100.0 + 50.0 * load, "clients": 40.0 + 20.0 * load})
        >>> why = together.explain(60000.0, {"commands": 145.0, "clients": 22.0}, 3.0)
        >>> why.part in ("clients", "commands"), why.low < why.expected < why.high
        (True, True)
        """
        if self.score(t, values) is None:
            return None
        unit = self._unit(values)
        tried = {
            name: [self._rarity({**unit, name: place}) for place in _PLACES]
            for name, value in values.items()
            if -LARGEST < value < LARGEST
        }
        name = min(tried, key=lambda one: min(tried[one]))
        scores = tried[name]
        best = scores.index(min(scores))
        line = max(threshold, scores[best] + 0.5)
        first = last = best
        while first and scores[first - 1] < line:
            first -= 1
        while last < len(scores) - 1 and scores[last + 1] < line:
            last += 1
        if not first and last == len(scores) - 1:
            return None
        low = self._value(name, _PLACES[first]) if first else -math.inf
        high = self._value(name, _PLACES[last]) if last < len(scores) - 1 else math.inf
        expected = self._value(name, _PLACES[best])
        return Explanation(expected, low, high, values[name] - expected, name)

    def _value(self, name: str, place: float) -> float:
        """The value that lies at a place in [0, 1]."""
        scale = self._scales[name]
        return scale.mean + 4.0 * scale.deviation * math.atanh(2.0 * place - 1.0)

    def _rarity(self, unit: Mapping[str, float]) -> float:
        """Mean over the grids, in bits."""
        n = sum(self._held)
        bits = 0.0
        for grid, old, young in zip(self._grids, self._old, self._young, strict=True):
            cell = _cell(grid, unit)
            bits += math.log2((n + 1.0) / (old.get(cell, 0) + young.get(cell, 0) + 1.0))
        return bits / self.grids

    def learn(self, t: float, values: Mapping[str, float]) -> None:
        """Take a vector seen at Unix time `t` into what is ordinary."""
        if not _said(values):
            return
        if values.keys() != self._scales.keys():
            self._start(sorted(values))
        if self._count >= 30:
            self._note(self._unit(values))
        self._count += 1
        for name, value in values.items():
            self._scales[name].learn(t, value)

    def _note(self, unit: Mapping[str, float]) -> None:
        if self._held[1] >= self.window:
            self._held = [self._held[1], 0]
            self._old, self._young = self._young, [{} for _ in self._grids]
        self._held[1] += 1
        for grid, young in zip(self._grids, self._young, strict=True):
            cell = _cell(grid, unit)
            young[cell] = young.get(cell, 0) + 1

    def _unit(self, values: Mapping[str, float]) -> dict[str, float]:
        """Every value in [0, 1]; the middle is ordinary."""
        return {
            name: 0.5 + 0.5 * math.tanh(0.25 * (scale.distance(values[name]) or 0.0))
            for name, scale in self._scales.items()
        }

    def _start(self, names: list[str]) -> None:
        draws = _draws(self.seed)
        self._scales = {name: Ewma(half_life=self.half_life, warm_up=30) for name in names}
        self._grids = []
        for _ in range(self.grids):
            left, taken = list(names), []
            for _ in range(min(len(names), 1 + int(3.0 * next(draws)))):
                taken.append(left.pop(int(next(draws) * len(left))))
            width = 0.1 + 0.3 * next(draws)
            self._grids.append(_Grid(tuple(taken), width, tuple(next(draws) * width for _ in taken)))
        self._old, self._young = [{} for _ in self._grids], [{} for _ in self._grids]
        self._held, self._count = [0, 0], 0


def _said(values: Mapping[str, float]) -> bool:
    """Whether any value is a number."""
    return any(-LARGEST < value < LARGEST for value in values.values())


def _cell(grid: _Grid, unit: Mapping[str, float]) -> tuple[int, ...]:
    return tuple(int((unit[name] + shift) / grid.width) for name, shift in zip(grid.names, grid.shifts, strict=True))


def _draws(seed: int) -> Iterator[float]:
    """Numbers from 0 to 1 that a seed always gives. Source: SplitMix64, Steele et al. (2014)."""
    state = seed & _MASK
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        yield (z ^ (z >> 31)) / 2.0**64
