"""The promises that every detector keeps, as functions that anyone may run over a detector of their own.

    from detectors import checks
    checks.run(lambda: MyDetector(limit=3.0))

Each check takes a maker of fresh detectors and raises BrokenPromiseError with the value that broke it.
Knows the contract of `detectors.base` and nothing of any one detector.
"""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Callable, Iterator
from typing import Final

from detectors.base import Detector

__all__ = ["CHECKS", "BrokenPromiseError", "Check", "Make", "run"]

Make = Callable[[], Detector]
Check = Callable[[Make], None]
Points = list[tuple[float, float]]

START: Final = 1_764_000_000.0
INTERVAL: Final = 60.0
ODD: Final = (math.nan, math.inf, -math.inf, 1e308, -1e308, 1e200, 5e-324, -0.0)


class BrokenPromiseError(AssertionError):
    """A detector does not do what `detectors.base.Detector` says."""


def run(make: Make) -> None:
    """Run all checks, under a second for a cheap detector; the first that fails raises BrokenPromiseError."""
    for check in CHECKS:
        check(make)


def is_a_detector(make: Make) -> None:
    """It has `score` and `learn`, and each call of the maker gives a fresh object."""
    if not isinstance(make(), Detector):
        raise BrokenPromiseError(f"{make()!r} lacks score or learn")
    if make() is make():
        raise BrokenPromiseError("the maker gives the same object twice")


def says_nothing_when_it_learns(make: Make) -> None:
    """`learn` returns None."""
    detector = make()
    for t, x in _ordinary(100):
        if detector.learn(t, x) is not None:  # type: ignore[func-returns-value]
            raise BrokenPromiseError(f"learn({t}, {x}) returned something")


def scores_are_finite(make: Make) -> None:
    """Scores are None or finite floats of at least 0: on noise, spikes, constants, steps, ramps and counts."""
    for stream in _streams():
        detector = make()
        for t, x in stream:
            _require_score(detector.score(t, x), t, x)
            detector.learn(t, x)


def scoring_changes_nothing(make: Make) -> None:
    """Two twins learn alike; one also scores, much and wildly. They stay twins."""
    quiet, scored = make(), make()
    noise = random.Random(1)
    for t, x in _ordinary(300):
        for _ in range(3):
            scored.score(t + noise.uniform(-1e6, 1e6), noise.gauss(0.0, 1e6))
        scored.score(t, math.nan)
        _require_same(quiet, scored, t, x, "after one of two twins was scored")
        quiet.learn(t, x)
        scored.learn(t, x)


def is_deterministic(make: Make) -> None:
    """Two fresh detectors give the same scores for the same points."""
    one, other = make(), make()
    for t, x in _ordinary(300):
        _require_same(one, other, t, x, "from two fresh detectors")
        one.learn(t, x)
        other.learn(t, x)


def goes_on_after_a_pickle(make: Make) -> None:
    """Its pickle, taken at any time, goes on as it does itself."""
    for length in (0, 1, 40, 300):
        detector = make()
        for t, x in _ordinary(length):
            detector.learn(t, x)
        copy = pickle.loads(pickle.dumps(detector))
        for t, x in _ordinary(length + 100)[length:]:
            _require_same(detector, copy, t, x, f"from a pickle taken after {length} points")
            detector.learn(t, x)
            copy.learn(t, x)


def memory_is_bounded(make: Make) -> None:
    """The pickle does not grow any more once windows are full, and stays under 1 MB."""
    detector = make()
    sizes = []
    for i, (t, x) in enumerate(_ordinary(6000)):
        detector.learn(t, x)
        if i in (2999, 5999):
            sizes.append(len(pickle.dumps(detector)))
    if sizes[1] > 1.1 * sizes[0] + 256 or sizes[1] > 1_000_000:
        raise BrokenPromiseError(f"the pickle grew from {sizes[0]} bytes at 3,000 points to {sizes[1]} at 6,000")


def survives_odd_values(make: Make) -> None:
    """NaN, infinities and giants are survived, unscored where nothing can be said, and scores stay finite."""
    detector = make()
    for i, (t, x) in enumerate(_ordinary(600)):
        odd = ODD[i % len(ODD)]
        if i % 3 == 0 and i < 300:
            _require_score(detector.score(t, odd), t, odd)
            detector.learn(t, odd)
        _require_score(detector.score(t, x), t, x)
        detector.learn(t, x)
    if detector.score(START, math.nan) is not None:
        raise BrokenPromiseError("NaN was given a score")


def an_odd_value_is_not_learnt(make: Make) -> None:
    """NaN and infinity leave no trace: a twin that never saw them gives the same scores at the same times."""
    clean, dirty = make(), make()
    for i, (t, x) in enumerate(_ordinary(300)):
        if i % 7 == 0:
            dirty.learn(t, ODD[i % 3])
        _require_same(clean, dirty, t, x, "after one of two twins was given NaN or infinity")
        clean.learn(t, x)
        dirty.learn(t, x)


def survives_odd_times(make: Make) -> None:
    """Repeated, backward, distant and NaN times are survived, and scores stay finite afterwards."""
    detector = make()
    for i, (t, x) in enumerate(_ordinary(600)):
        odd = (t, t, t - 1e4, t + 1e9, t - 1e9, 0.0, math.nan, math.inf, t + 1e-9)[i % 9]
        when = odd if i < 300 else t
        _require_score(detector.score(when, x), when, x)
        detector.learn(when, x)


def survives_a_gap(make: Make) -> None:
    """After a month without values, scores are finite, and ordinary values come to score as before."""
    detector = make()
    points = _ordinary(1200)
    before = after = 0.0
    for i, (t, x) in enumerate(points):
        when = t if i < 600 else t + 30 * 86400.0
        score = detector.score(when, x)
        _require_score(score, when, x)
        before, after = (before + (score or 0.0), after) if i < 600 else (before, after + (score or 0.0))
        detector.learn(when, x)
    if after > 4.0 * before + 600.0:
        raise BrokenPromiseError(f"mean score rose from {before / 600} to {after / 600} after a gap in ordinary values")


CHECKS: Final[tuple[Check, ...]] = (
    is_a_detector,
    says_nothing_when_it_learns,
    scores_are_finite,
    scoring_changes_nothing,
    is_deterministic,
    goes_on_after_a_pickle,
    memory_is_bounded,
    survives_odd_values,
    an_odd_value_is_not_learnt,
    survives_odd_times,
    survives_a_gap,
)
"""All promises, in the order in which `run` tries them."""


def _ordinary(length: int) -> Points:
    """A daily rhythm under Gaussian noise, once a minute, the same on every call."""
    noise = random.Random(0)
    return [(START + INTERVAL * i, 100.0 + 10.0 * math.sin(i / 229.0) + noise.gauss(0.0, 2.0)) for i in range(length)]


def _streams() -> Iterator[Points]:
    noise = random.Random(2)
    shapes: tuple[Callable[[int], float], ...] = (
        lambda i: noise.gauss(0.0, 1.0),
        lambda i: 7.0,
        lambda i: 0.0,
        lambda i: 7.0 if i != 200 else 8.0,
        lambda i: 0.0 if i < 150 else 1e9,
        lambda i: 1e-300 * i,
        lambda i: 3.0 * i,
        lambda i: -(2.0**i) if i < 400 else 0.0,
        lambda i: float(noise.randrange(2)),
        lambda i: noise.paretovariate(0.5),
    )
    for shape in shapes:
        yield [(START + INTERVAL * i, shape(i)) for i in range(300)]


def _require_score(score: float | None, t: float, x: float) -> None:
    if score is None:
        return
    if not isinstance(score, float) or not math.isfinite(score) or score < 0.0:
        raise BrokenPromiseError(f"score({t}, {x}) gave {score!r}; it must be None or a finite float of at least 0")


def _require_same(one: Detector, other: Detector, t: float, x: float, when: str) -> None:
    first, second = one.score(t, x), other.score(t, x)
    if first != second:
        raise BrokenPromiseError(f"score({t}, {x}) gave {first!r} and {second!r} {when}")
