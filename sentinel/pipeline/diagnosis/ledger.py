"""Since when a count has been growing one after another, and how surely: the onset of a leak, found afresh each time.

The null is a fair coin: each connection that a healthy cohort gains or loses is as likely to be the one as the
other. For `moved` such changes with a net `gain`, P(gain²/moved ≥ x) ≤ exp(-x/2) (Hoeffding, 1963). What is judged
is the greatest gain²/moved over all beginnings that are still remembered: its argument is the onset that is most
likely (the generalised likelihood ratio of a change in drift; Siegmund, 1985, chapter II), so that quiet hours before
a leak do not thin it out. A healthy cohort also comes back to its mean, which makes the bound safe.

The past thins out with age: few beginnings from long ago, all of the last ones (an exponential histogram; Datar
et al., 2002). Memory and time are logarithmic in the number of changes.

Arithmetic only: knows neither samples nor groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise

from sentinel.model import Seconds

__all__ = ["Growth", "Ledger"]

_OF_A_SIZE = 6
"""Spans of one size that are kept before the two oldest become one: onsets are known to a sixth of their age."""
_SURE = 10.0
"""Log likelihood ratio of a change of pace: by chance once in 22,000 (e^-10)."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How a count has grown since the likeliest onset."""

    since: float
    until: float
    """When it rose last."""
    floor: float
    """Where it stood then."""
    gain: float
    moved: float
    """Sum of all changes, up and down."""
    rises: int
    """Readings in which it rose."""
    biggest: float
    """The largest rise between two readings."""
    former: float
    """The highest that was remembered from before."""
    step: float
    """Mean size of the changes before, at least 1."""
    beside: tuple[float, ...]
    """What else was noted at the onset."""
    before: tuple[float, int]
    """Changes and rises that the ledger had counted then."""

    @property
    def evidence(self) -> float:
        """gain² / moved: by chance `x` or more in one of exp(x/2) beginnings."""
        return self.gain * self.gain / self.moved if self.moved else 0.0

    @property
    def pace(self) -> float:
        """Gain a second up to the last rise."""
        return self.gain / max(1.0, self.until - self.since)

    @property
    def fallen(self) -> float:
        """How much of what rose fell again."""
        return (self.moved - self.gain) / 2


@dataclass(slots=True)
class _Span:
    """Some changes in a row, and how things stood at their lowest point."""

    time: float
    low: float
    moved: float
    rises: int
    changes: int
    high: float
    biggest: float
    beside: tuple[float, ...]
    size: int = 1

    def evidence(self, level: float, moved: float) -> float:
        """gain² / moved from its lowest point to a later one, below 0 for a loss."""
        gain = level - self.low
        return gain * abs(gain) / max(1.0, moved - self.moved)

    def join(self, later: _Span, level: float, moved: float) -> None:
        """Take the next span in; of both lowest points the one that is the likelier onset as of now stays."""
        if later.evidence(level, moved) >= self.evidence(level, moved):
            self.time, self.low, self.moved, self.beside = later.time, later.low, later.moved, later.beside
            self.rises, self.changes = later.rises, later.changes
        self.high = max(self.high, later.high)
        self.biggest = max(self.biggest, later.biggest)
        self.size += later.size


@dataclass(slots=True)
class Ledger:
    """One count over time.

    Args:
        memory: Seconds after which a beginning is forgotten.

    >>> ledger = Ledger(memory=86400.0)
    >>> for minute, unused in enumerate([4, 3, 4, 3, 3, 4, 5, 6, 7, 8]):
    ...     ledger.add(60.0 * minute, unused)
    >>> growth = ledger.growth()
    >>> growth.since, growth.gain, growth.evidence, growth.former
    (240.0, 5, 5.0, 4)
    """

    memory: Seconds
    level: float = 0.0
    rose: float = float("-inf")
    """When it rose last."""
    _moved: float = 0.0
    _rises: int = 0
    _changes: int = 0
    _spans: list[_Span] = field(default_factory=list)

    def add(self, now: float, level: float, beside: tuple[float, ...] = ()) -> None:
        """Take the count at `now`, and what else to remember of that time."""
        spans = self._spans
        if spans and level == self.level:
            if spans[-1].low == level:
                spans[-1].time, spans[-1].beside = now, beside
            return
        change = level - self.level if spans else 0.0
        self.level = level
        if change:
            self._changes += 1
            self._moved += abs(change)
        if change > 0:
            self._rises += 1
            self.rose = now
        rise = max(0.0, change)
        spans.append(_Span(now, level, self._moved, self._rises, self._changes, level, rise, beside))
        self._thin(now)

    def growth(self) -> Growth | None:
        """Growth since the likeliest onset. None while it stands at its lowest.

        The null has no clock, so that a few rises long ago may pass for the beginning of many now. Where a change of
        pace since then is beyond doubt, the onset is that change.
        """
        place = self._likeliest()
        return None if place is None else self._since(self._quickened(place))

    def onward(self, growth: Growth) -> Growth:
        """The same growth up to now, from an onset that stays as it was found."""
        return replace(
            growth,
            until=self.rose,
            gain=self.level - growth.floor,
            moved=self._moved - growth.before[0],
            rises=self._rises - growth.before[1],
            biggest=max((span.biggest for span in self._spans if span.time > growth.since), default=growth.biggest),
        )

    def _at(self, time: float) -> int:
        """The last remembered point at or before a time."""
        return next((n for n in reversed(range(len(self._spans))) if self._spans[n].time <= time), 0)

    def _likeliest(self) -> int | None:
        """The point with most evidence; of several alike the latest."""
        best, found = 0.0, None
        for place, span in enumerate(self._spans):
            evidence = span.evidence(self.level, self._moved)
            if evidence > 0.0 and evidence >= best:
                best, found = evidence, place
        return found

    def _quickened(self, first: int) -> int:
        """The later point from which it grew faster, by a likelihood ratio of exp(`_SURE`) for Poisson arrivals."""
        start, end, level = self._spans[first], self.rose, self.level
        best, found = _SURE, first
        whole = _likelihood(level - start.low, end - start.time)
        for place in range(first + 1, len(self._spans) - 1):
            span = self._spans[place]
            before, after = span.low - start.low, level - span.low
            slow, fast = span.time - start.time, end - span.time
            if min(slow, fast) > 0 < after and before * fast < after * slow:
                ratio = _likelihood(before, slow) + _likelihood(after, fast) - whole
                if ratio > best:
                    best, found = ratio, place
        return found

    def gained(self, since: float) -> float:
        """By how much it stands higher than at `since`."""
        return self.level - self._spans[self._at(since)].low if self._spans else 0.0

    def pace(self, now: float, seconds: Seconds) -> tuple[float, float]:
        """What was gained in about the last `seconds`, and in how many."""
        first = next((span for span in reversed(self._spans) if now - span.time >= seconds), self._spans[0])
        return self.level - first.low, now - first.time

    def blocks(self, since: float, floor: float) -> list[tuple[float, float]]:
        """Gain and seconds between the remembered points from an onset on, where it stood at `floor`."""
        points = [(since, floor)] + [(span.time, span.low) for span in self._spans if span.time > since]
        return [(later - low, end - start) for (start, low), (end, later) in pairwise(points)]

    def _since(self, place: int) -> Growth:
        span, later = self._spans[place], self._spans[place + 1 :]
        former = max(past.high for past in self._spans[: place + 1])
        start = self._spans[0]
        return Growth(
            since=span.time,
            until=self.rose,
            floor=span.low,
            gain=self.level - span.low,
            moved=self._moved - span.moved,
            rises=self._rises - span.rises,
            biggest=max((one.biggest for one in later), default=0.0),
            former=former,
            step=max(1.0, (span.moved - start.moved) / max(1, span.changes - start.changes)),
            beside=span.beside,
            before=(span.moved, span.rises),
        )

    def _thin(self, now: float) -> None:
        """Join the two oldest spans of each size of which there are too many; drop what is too old."""
        spans, end = self._spans, len(self._spans)
        while end > 0:
            size, first = spans[end - 1].size, end - 1
            while first > 0 and spans[first - 1].size <= size:
                first -= 1
            if end - first <= _OF_A_SIZE:
                break
            spans[first].join(spans.pop(first + 1), self.level, self._moved)
            end = first + 1
        while len(spans) > 2 and now - spans[0].time > self.memory:
            del spans[0]


def _likelihood(arrivals: float, seconds: float) -> float:
    """Log likelihood of so many Poisson arrivals at their own mean rate, but for what all divisions have in common."""
    return arrivals * math.log(arrivals / seconds) if arrivals > 0 else 0.0
