"""Thresholds from budgets: any detector's score turned into one whose 0.5 comes once in a stated time.

Knows scores and their times. Knows nothing of values, or of what the score means.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from detectors.base import LARGEST, Detector, Explains, Explanation, Seconds
from detectors.budget import Budget
from detectors.extremes import SHARE, START, SURE, Extremes
from detectors.pace import Pace
from detectors.rest import Rest

__all__ = ["Bound", "Calibrated", "within_budget"]

_FEWEST: Final = 1.0 / SHARE
"""Values between two alarms at least: below that there is no tail."""
_MEMORY: Final = 3.0
"""Memory of the records, in times between two alarms."""
_APART: Final = 100.0
"""Break between two episodes, in sampling intervals."""
_WARM_UP: Final = 100
"""Scores before the first one is passed on: until then the tail is not known at all."""
_FLOOR: Final = 0.01
"""Scores below this are ordinary by any detector's meaning."""


class Bound(NamedTuple):
    """The score of the inner detector that is an alarm now, and how well it is known."""

    score: float
    low: float
    """Lower end of a 90 % interval."""
    high: float
    alarms: int
    """Alarms so far."""
    seconds: Seconds
    """In this time."""


@dataclass(slots=True)
class Calibrated:
    """Another detector's score made comparable: in [0, 1], and 0.5 comes about once in `false_alarms`.

    Suits every detector whose threshold one would have to guess, and several detectors side by side. Misleads where
    trouble is there from the start, or more often than `false_alarms`: it is then what is usual. Scores and learns
    every value: an inner detector that must not learn an anomaly has to withhold it itself.

    The tail of the inner scores is learnt by Extremes; S is how surprising the score is, in nats, and
    T = ln(false_alarms / interval), at least ln 25, the alarm. Score: S / (S + T); what has been reached within a
    Rest scores half. The first 100 scores are None, and a first record is worth no more than T times its height, so
    that the start is quiet.

    Args:
        detector: The inner detector.
        false_alarms: Seconds between two alarms while nothing happens, above 0. Held within a factor of two on
            simulated quiet series, see the README of detectors; never more often than once in 25 values.

    Source: as Extremes. Peaks over a threshold for scores: Siffer et al. (2017), "Anomaly detection in streams with
    extreme value theory", of which the tail here differs: it goes on learning from alarms.

    >>> from random import Random
    >>> from detectors.ewma import Ewma
    >>> noise, latency = Random(1), Calibrated(Ewma(half_life=3600.0), false_alarms=86400.0)
    >>> for minute in range(3000):
    ...     latency.learn(60.0 * minute, noise.gauss(20.0, 2.0))
    >>> latency.score(180000.0, 21.0) < 0.3, latency.score(180000.0, 40.0) > 0.5
    (True, True)
    >>> bound = latency.bound(180000.0)
    >>> 3.0 < bound.low < bound.score < bound.high < 7.0  # deviations
    True
    """

    detector: Detector
    false_alarms: Seconds = 7 * 86400.0
    _sizes: Extremes = field(init=False, repr=False)
    _pace: Pace = field(init=False, repr=False)
    _rest: Rest = field(init=False, repr=False)
    _budget: Budget = field(init=False, repr=False)
    _threshold: float = field(default=math.log(_FEWEST), init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)
    _alarms: int = field(default=0, init=False, repr=False)
    _first: float = field(default=0.0, init=False, repr=False)
    _since: float | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.false_alarms < math.inf:
            raise ValueError(f"false_alarms must be above 0 seconds, got {self.false_alarms}")
        self._sizes, self._pace, self._rest, self._budget = Extremes(), Pace(), Rest(), Budget()

    def score(self, t: float, x: float) -> float | None:
        raw = self.detector.score(t, x) if -LARGEST < t < LARGEST else None
        if raw is None or self._count < _WARM_UP:
            return None
        return self._judge(t, raw)

    def learn(self, t: float, x: float) -> None:
        raw = self.detector.score(t, x) if -LARGEST < t < LARGEST else None
        self.detector.learn(t, x)
        if raw is not None:
            self._take(t, min(raw, LARGEST))

    def bound(self, t: float) -> Bound | None:
        """The inner score that would be an alarm at time `t`, leaving rests aside; None before the first score."""
        if self._count < _WARM_UP:
            return None
        threshold = self._threshold
        wanted = threshold / self._budget.share(t)
        low, score, high = sorted(self._sizes.size_of(wanted, t, threshold, sure) for sure in (-SURE, 0.0, SURE))
        return Bound(score - _FLOOR, low - _FLOOR, high - _FLOOR, self._alarms, max(0.0, t - self._first))

    def explain(self, t: float, x: float, threshold: float = 0.5) -> Explanation | None:
        """What the inner detector would have expected, with the range that is no alarm now."""
        bound = self.bound(t)
        if bound is None or not isinstance(self.detector, Explains):
            return None
        why = self.detector.explain(t, x, bound.score)
        if why is None:
            return None
        score = self.score(t, x)
        return why._replace(since=self._since if score is not None and self._since is not None else why.since)

    def _judge(self, t: float, raw: float) -> float:
        threshold = self._threshold
        surprise = self._surprise(t, min(raw, LARGEST))
        score = surprise / (surprise + threshold)
        if surprise > START and self._rest.quiets(t, surprise, threshold):
            return 0.5 * score
        return score

    def _surprise(self, t: float, raw: float) -> float:
        surprise = self._sizes.surprise(raw + _FLOOR, t, self._threshold)
        return surprise * self._budget.share(t) if surprise > START else surprise

    def _take(self, t: float, raw: float) -> None:
        if self._pace.follow(t):
            between = max(self.false_alarms, _FEWEST * self._pace.interval)
            self._threshold = math.log(between / self._pace.interval)
            self._budget.between = between
            self._sizes.memory = _MEMORY * between
        if not self._count:
            self._first = t
        surprise = self._surprise(t, raw)
        if surprise > START:
            self._note(t, surprise)
        else:
            self._since = None
        self._sizes.learn(raw + _FLOOR, t, _APART * self._pace.interval)
        self._count += 1

    def _note(self, t: float, surprise: float) -> None:
        threshold = self._threshold
        if surprise < threshold:
            self._since = None
        else:
            self._since = t if self._since is None else self._since
            if self._count >= _WARM_UP and not self._rest.quiets(t, surprise, threshold):
                self._alarms += 1
                self._budget.spend(t)
        self._rest.note(t, surprise, threshold, self._pace.interval, self._budget.between)


def within_budget(detector: Detector, false_alarms: Seconds) -> Detector:
    """The detector with its alarm at 0.5, about once in `false_alarms`: by its own setting where it has one.

    >>> from detectors.default import Default
    >>> within_budget(Default(), 86400.0)
    Default(false_alarms=86400.0)
    """
    if dataclasses.is_dataclass(detector) and hasattr(detector, "false_alarms"):
        return dataclasses.replace(detector, false_alarms=false_alarms)
    return Calibrated(detector, false_alarms)
