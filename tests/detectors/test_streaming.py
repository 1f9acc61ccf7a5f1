"""River behind a wall: what its models do wrong does not come through."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest

from detectors import River
from detectors.streaming import RiverMissingError

FOREST = {"n_trees": 5, "height": 6, "window_size": 50}


def fed(river: River, values: list[float]) -> River:
    for minute, x in enumerate(values):
        river.learn(60.0 * minute, x)
    return river


def test_a_constant_scores_nothing_and_a_spike_after_it_one() -> None:
    for model in ("anomaly.GaussianScorer", "anomaly.HalfSpaceTrees"):
        river = fed(River(model), [3.0] * 300)
        assert river.score(18000.0, 3.0) == 0.0
        assert river.score(18000.0, 9.0) == 1.0


def test_trees_see_a_value_far_outside_of_what_they_learnt() -> None:
    river = fed(River("anomaly.HalfSpaceTrees", FOREST), [1e6 + 1e4 * (i % 7) for i in range(400)])
    ordinary, strange = river.score(24000.0, 1.03e6), river.score(24000.0, 2e6)
    assert ordinary is not None
    assert strange is not None
    assert strange > 0.9
    assert strange > ordinary + 0.1


def test_lags_let_a_model_see_the_shape() -> None:
    saw = [float(i % 4) for i in range(600)]
    seen, blind = (fed(River("anomaly.LocalOutlierFactor", {"n_neighbors": 5}, lags=n), saw) for n in (3, 1))
    in_step, out_of_step = seen.score(36000.0, 0.0), seen.score(36000.0, 2.0)
    assert in_step is not None
    assert out_of_step is not None
    assert out_of_step > 1e3 > in_step
    assert blind.score(36000.0, 2.0) == pytest.approx(blind.score(36000.0, 0.0), rel=0.1)


def test_nan_does_not_reach_the_model() -> None:
    river = fed(River("anomaly.StandardAbsoluteDeviation"), [9.0, 11.0, math.nan, math.inf] * 50)
    assert river.score(0.0, math.nan) is None
    # mean 10; the sample variance of fifty times 9 and 11 is 100 / 99
    assert river.score(12000.0, 12.0) == pytest.approx(2.0 / math.sqrt(100 / 99))


def test_a_forecaster_that_has_no_season_yet_gives_no_score() -> None:
    season = {"alpha": 0.3, "beta": 0.1, "gamma": 0.2, "seasonality": 50}
    forecaster = {"model": "time_series.HoltWinters", "parameters": season}
    river = River("anomaly.PredictiveAnomalyDetection", {"predictive_model": forecaster})
    fed(river, [float(i % 50) for i in range(40)])
    assert river.score(2400.0, 40.0) is None
    fed(river, [float(i % 50) for i in range(40, 200)])
    assert river.score(12000.0, 0.0) is not None
    assert river.restarts == 0


def test_a_drift_counts_for_as_long_as_it_is_held() -> None:
    river = River("drift.ADWIN", hold=300.0)
    scores = []
    for minute in range(600):
        scores.append(river.score(60.0 * minute, 0.0))
        river.learn(60.0 * minute, float(minute % 2) + (50.0 if minute >= 400 else 0.0))
    first = next(i for i, score in enumerate(scores) if score)
    assert 400 < first < 470
    # held for 300 s from the value that showed it; that value is one minute old at the first score
    assert scores[first : first + 4] == [1.0] * 4
    assert not any(scores[100:401])


def test_a_binary_drift_model_is_fed_whether_a_value_stands_out() -> None:
    river = River("drift.binary.DDM", hold=1e9)
    fed(river, [float(i % 2) + (40.0 if i % 20 == 0 else 0.0) for i in range(400)])
    assert river.score(24000.0, 0.0) == 0.0
    for i in range(60):
        river.learn(24000.0 + 60.0 * i, (-1.0) ** i * 1e3 * 3**i)  # ever wilder: every value stands out
    assert river.score(24000.0 + 3600.0, 0.0) == 1.0


class Failing:
    """A model that fails in one way after some values."""

    def __init__(self, how: BaseException | float, after: int) -> None:
        self.how, self.after, self.count = how, after, 0

    def score_one(self, x: dict[str, Any]) -> float:
        return self.how if isinstance(self.how, float) and self.count > self.after else 0.25

    def learn_one(self, x: dict[str, Any]) -> None:
        self.count += 1
        if isinstance(self.how, BaseException) and self.count > self.after:
            raise self.how


class PanicException(BaseException):
    """As raised by Rust code that panics."""


@pytest.mark.parametrize("how", [PanicException("panicked"), ZeroDivisionError(), math.nan])
def test_a_model_that_breaks_is_replaced_by_a_fresh_one(how: BaseException | float) -> None:
    river = River("anomaly.HalfSpaceTrees", FOREST)
    river._model = Failing(how, after=40)
    fed(river, [float(i % 5) for i in range(70)])
    assert river.restarts == 1
    assert not isinstance(river._model, Failing)


def test_a_stop_from_outside_is_not_swallowed() -> None:
    river = River("anomaly.HalfSpaceTrees", FOREST)
    river._model = Failing(KeyboardInterrupt(), after=0)
    with pytest.raises(KeyboardInterrupt):
        river.learn(0.0, 1.0)


@pytest.mark.parametrize(
    ("model", "parameters", "message"),
    [
        ("anomaly.NoSuch", {}, "river.anomaly has no model 'NoSuch'"),
        ("nowhere.Model", {}, "river has no package 'nowhere'"),
        ("stats.Mean", {}, "must be an anomaly or a drift model of river, got 'stats.Mean'"),
        ("HalfSpaceTrees", {}, "must be a dotted name below river"),
        ("anomaly.HalfSpaceTrees", {"trees": 5}, "anomaly.HalfSpaceTrees: .*'trees'"),
    ],
)
def test_what_is_no_model_is_refused_with_its_name(model: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        River(model, parameters)


def test_without_river_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "river"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "river", None)
    with pytest.raises(RiverMissingError, match="install incident-sentinel"):
        River("anomaly.GaussianScorer")


def test_importing_detectors_does_not_import_river() -> None:
    code = "import sys, detectors; sys.exit(any(name.startswith('river') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
