"""Several metrics, and several detectors, at once."""

from __future__ import annotations

import math
import pickle
import random
from dataclasses import dataclass, field

import pytest

from detectors import Ensemble, Ewma, Robust, RsHash, SlopeGlr, checks

START = 1_764_000_000.0


@dataclass
class Alone:
    """A vector detector on one value, so that the promises can be tried."""

    inner: RsHash = field(default_factory=lambda: RsHash(grids=8, window=200))

    def score(self, t: float, x: float) -> float | None:
        return self.inner.score(t, {"x": x})

    def learn(self, t: float, x: float) -> None:
        self.inner.learn(t, {"x": x})


def test_a_vector_detector_keeps_every_promise() -> None:
    checks.run(Alone)


def vector(i: int, noise: random.Random) -> dict[str, float]:
    """Traffic, and what follows it."""
    load = math.sin(i / 40.0)
    return {
        "commands": 100.0 + 50.0 * load + noise.gauss(0.0, 2.0),
        "clients": 40.0 + 20.0 * load + noise.gauss(0.0, 1.0),
        "latency": 1.0 + noise.gauss(0.0, 0.1),
    }


def test_a_combination_is_rare_though_each_value_is_ordinary() -> None:
    noise, together = random.Random(1), RsHash()
    for i in range(3000):
        together.learn(START + 60.0 * i, vector(i, noise))
    t = START + 180000.0
    usual = [together.score(t, vector(i, noise)) or 0.0 for i in range(250)]
    split = together.score(t, {"commands": 145.0, "clients": 22.0, "latency": 1.0})
    assert split is not None
    assert split > max(usual)


def test_an_explanation_names_the_value_and_what_it_ought_to_be_beside_the_others() -> None:
    noise, together = random.Random(1), RsHash()
    for i in range(3000):
        together.learn(START + 60.0 * i, vector(i, noise))
    t, split = START + 180000.0, {"commands": 145.0, "clients": 22.0, "latency": 1.0}
    score = together.score(t, split)
    assert score is not None
    why = together.explain(t, split, score - 0.5)
    assert why is not None
    assert why.part in ("commands", "clients")
    assert not why.low <= split[why.part] <= why.high
    mended = together.score(t, {**split, why.part: why.expected})
    assert mended is not None
    assert mended < score - 0.5
    assert together.score(t, split) == score


def test_another_set_of_names_starts_over_and_a_missing_number_does_not() -> None:
    noise, together = random.Random(2), RsHash(warm_up=100)
    for i in range(300):
        together.learn(START + 60.0 * i, vector(i, noise))
    t = START + 18000.0
    assert together.score(t, {**vector(0, noise), "latency": math.nan}) is not None
    assert together.score(t, {"commands": 100.0}) is None
    together.learn(t, {"commands": 100.0})
    assert together.score(t, vector(0, noise)) is None


def test_the_memory_of_cells_is_bounded() -> None:
    noise, together, sizes = random.Random(3), RsHash(grids=5, window=200), []
    for i in range(2000):
        together.learn(START + 60.0 * i, vector(i, noise))
        if i in (999, 1999):
            sizes.append(len(pickle.dumps(together)))
    assert sizes[1] < 1.3 * sizes[0]


def test_an_ensemble_keeps_every_promise() -> None:
    checks.run(lambda: Ensemble((Ewma(), Robust(window=60)), agree=2))


def test_one_member_that_is_always_loud_does_not_make_the_ensemble_loud() -> None:
    noise = random.Random(4)
    ensemble = Ensemble((Ewma(half_life=60.0, warm_up=2), Robust(), SlopeGlr()), false_alarms=86400.0, agree=2)
    alarms = 0
    for i in range(3000):
        t, x = START + 60.0 * i, noise.gauss(20.0, 2.0)
        alarms += (ensemble.score(t, x) or 0.0) >= 0.5
        ensemble.learn(t, x)
    assert alarms <= 6  # two days at one a day
    assert (ensemble.score(START + 180000.0, 60.0) or 0.0) >= 0.5


def test_more_votes_than_members_are_refused() -> None:
    with pytest.raises(ValueError, match="agree"):
        Ensemble((Ewma(),), agree=2)
