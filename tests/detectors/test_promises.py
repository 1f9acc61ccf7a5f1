"""Every detector keeps every promise: all of BY_NAME, and all anomaly and drift models that river ships."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from detectors import BY_NAME, Detector, River, checks

SETTINGS: dict[str, dict[str, object]] = {
    "above": {"limit": 120.0},
    "below": {"limit": 80.0},
    "band": {"low": 80.0, "high": 120.0},
    "trend": {"level": 200.0},
    "river": {"model": "anomaly.GaussianScorer"},
    "ensemble": {"members": (BY_NAME["ewma"](), BY_NAME["robust"](), BY_NAME["slope"]())},
}

GAUSSIAN = {"model": "anomaly.GaussianScorer"}
HOLT_WINTERS = {
    "model": "time_series.HoltWinters",
    "parameters": {"alpha": 0.3, "beta": 0.1, "gamma": 0.2, "seasonality": 24},
}
SNARIMAX = {"model": "time_series.SNARIMAX", "parameters": {"p": 4, "d": 1, "q": 4}}
RIVER: dict[str, Callable[[], River]] = {
    "GaussianScorer": lambda: River("anomaly.GaussianScorer"),
    "GaussianScorer windowed": lambda: River("anomaly.GaussianScorer", {"window_size": 50}),
    "HalfSpaceTrees": lambda: River("anomaly.HalfSpaceTrees", {"n_trees": 3, "height": 5, "window_size": 100}),
    "HalfSpaceTrees lags": lambda: River("anomaly.HalfSpaceTrees", {"n_trees": 3, "height": 5}, lags=4),
    "LODA": lambda: River("anomaly.LODA", {"n_random_cuts": 5}),
    "OneClassSVM": lambda: River("anomaly.OneClassSVM"),
    "StandardAbsoluteDeviation": lambda: River("anomaly.StandardAbsoluteDeviation"),
    "LocalOutlierFactor": lambda: River(
        "anomaly.LocalOutlierFactor",
        {"n_neighbors": 3, "engine": {"model": "neighbors.LazySearch", "parameters": {"window_size": 20}}},
    ),
    "QuantileFilter": lambda: River("anomaly.QuantileFilter", {"anomaly_detector": GAUSSIAN, "q": 0.99}),
    "ThresholdFilter": lambda: River("anomaly.ThresholdFilter", {"anomaly_detector": GAUSSIAN, "threshold": 0.99}),
    "PredictiveAnomalyDetection": lambda: River("anomaly.PredictiveAnomalyDetection", lags=3),
    "PredictiveAnomalyDetection season": lambda: River(
        "anomaly.PredictiveAnomalyDetection", {"predictive_model": HOLT_WINTERS}
    ),
    "PredictiveAnomalyDetection SNARIMAX": lambda: River(
        "anomaly.PredictiveAnomalyDetection", {"predictive_model": SNARIMAX}
    ),
    "ADWIN": lambda: River("drift.ADWIN"),
    "KSWIN": lambda: River("drift.KSWIN", {"alpha": 0.0001}),
    "PageHinkley": lambda: River("drift.PageHinkley"),
    "DummyDriftDetector": lambda: River("drift.DummyDriftDetector"),
    "NoDrift": lambda: River("drift.NoDrift"),
    "DDM": lambda: River("drift.binary.DDM"),
    "EDDM": lambda: River("drift.binary.EDDM"),
    "FHDDM": lambda: River("drift.binary.FHDDM"),
    "HDDMA": lambda: River("drift.binary.HDDMA"),
    "HDDMW": lambda: River("drift.binary.HDDMW"),
}


def named(name: str) -> Callable[[], Detector]:
    return lambda: BY_NAME[name](**SETTINGS.get(name, {}))


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", BY_NAME)
def test_every_detector_keeps_every_promise(name: str, check: checks.Check) -> None:
    check(named(name))


@pytest.mark.parametrize("name", RIVER)
def test_every_model_of_river_keeps_every_promise(name: str) -> None:
    checks.run(RIVER[name])


def test_no_model_of_river_is_forgotten() -> None:
    from river import anomaly, drift

    tried = {made().model.rpartition(".")[2] for made in RIVER.values()}
    shipped = {
        name
        for package in (anomaly, drift, drift.binary)
        for name in package.__all__
        if isinstance(getattr(package, name, None), type)
    }
    assert shipped - {"DriftRetrainingClassifier"} == tried


@dataclass
class Breaker:
    """A detector that breaks one promise."""

    how: str
    seen: list[float] = field(default_factory=list)

    def score(self, t: float, x: float) -> float | None:
        if self.how == "learns in score":
            self.seen.append(x)
        if self.how == "random":
            return random.random()
        if self.how == "negative":
            return x
        if self.how == "nan":
            return abs(sum(self.seen))
        return float(len(self.seen)) if x == x else None

    def learn(self, t: float, x: float) -> None:
        if self.how == "grows" and x == x and abs(x) < 1e150:
            self.seen.append(x)
        if self.how == "nan":
            self.seen = [sum(self.seen) + x]


@pytest.mark.parametrize(
    ("how", "check"),
    [
        ("learns in score", checks.scoring_changes_nothing),
        ("random", checks.is_deterministic),
        ("negative", checks.scores_are_finite),
        ("nan", checks.survives_odd_values),
        ("nan", checks.an_odd_value_is_not_learnt),
        ("grows", checks.memory_is_bounded),
    ],
)
def test_a_broken_promise_is_noticed(how: str, check: checks.Check) -> None:
    with pytest.raises(checks.BrokenPromiseError):
        check(lambda: Breaker(how))
