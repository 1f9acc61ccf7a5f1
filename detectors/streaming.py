"""Any anomaly or drift model of river, by its dotted name, made safe to run for months.

The only file that imports river, and only when a model is made: the import costs 91 MB and a second. Knows
how river's models fail. Knows nothing of what is watched.

Measured with river 0.26.1, and why each guard stands here:

* NaN or infinity poisons GaussianScorer, OneClassSVM, StandardAbsoluteDeviation, LODA and
  PredictiveAnomalyDetection for ever, and makes river's Rust statistics panic with a BaseException. Such
  values never reach a model.
* A constant series scores 1.0 in GaussianScorer and its filters; a spike after a constant scores 0.0 in
  HalfSpaceTrees.
* PredictiveAnomalyDetection changes its threshold in `score_one`, and raises before its forecaster has a
  season.
* HalfSpaceTrees needs values in [0, 1]; LODA's and OneClassSVM's scores fall below 0.
* HalfSpaceTrees, LODA and KSWIN differ from run to run unless they are given a seed.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from detectors.base import LARGEST, Seconds
from detectors.ewma import Ewma

__all__ = ["River", "RiverMissingError"]

_STAND_OUT = 2.0
"""Standard deviations from which a value counts as an error for drift models that take only errors."""
_FARTHEST = 1e6
"""Deviations that a model is given at most."""
_EVERY = 64
"""Values between two looks at whether a model still gives numbers."""


class RiverMissingError(ImportError):
    """The optional package river is not installed."""


@dataclass(slots=True)
class River:
    """A model of river as a Detector.

    Suits those who know a model and want it. Misleads as a first choice: none of river's models beat Ewma
    with a rest on labelled operations series, and most cost 10 to 500 times as much. Score of an anomaly
    model: its own, at least 0; most lie in [0, 1], LODA's is a negative log density, LocalOutlierFactor's
    about 1 for ordinary values. Score of a drift model: 1 for `hold` seconds after a value that was learnt
    signalled a drift, else 0.

    While all values were one and the same, that value scores 0 and any other 1, whatever the model says. A
    model that raises while it learns, or gives no number any more, is replaced by a fresh one.

    Args:
        model: Dotted name below `river`: `anomaly.HalfSpaceTrees`, `drift.ADWIN`, `drift.binary.DDM`.
        parameters: Arguments of the model. Where an argument is itself a model, give a mapping with `model`
            (any dotted name below `river`) and `parameters`.
        warm_up: Values before the first score, at least 2. Models with a window give 0 until it is full.
        lags: How many values, the newest first, a model without a target sees at once, from 1.
        scale: What the model is fed. `unit`: values squeezed into [0, 1] by tanh of a quarter of their
            deviations from a moving average; `deviations`: those deviations; `none`: values as they are;
            `auto`: what suits the
            model: unit for HalfSpaceTrees and ADWIN, deviations for LODA, OneClassSVM and PageHinkley, else
            none. Drift models in `drift.binary` are fed whether a value lies over 2 deviations off, unless
            `none`.
        half_life: Seconds, of the moving average used by `scale`.
        hold: Seconds for which a drift counts.
        seed: For models that take a `seed` and were given none.

    Source: river 0.26, https://riverml.xyz; papers are named in each model's docstring.

    >>> gaussian = River("anomaly.GaussianScorer", {"grace_period": 2}, warm_up=4)
    >>> for second, value in enumerate([9.0, 11.0, 9.0, 11.0]):
    ...     gaussian.learn(second, value)
    >>> gaussian.score(4.0, 10.0)  # the mean; the sample variance is 4/3
    0.0
    >>> round(gaussian.score(4.0, 12.0), 3)  # 2 / 1.1547 = 1.732 deviations
    0.917
    """

    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    warm_up: int = 30
    lags: int = 1
    scale: Literal["auto", "unit", "deviations", "none"] = "auto"
    half_life: Seconds = 86400.0
    hold: Seconds = 300.0
    seed: int = 0
    restarts: int = field(default=0, init=False, repr=False)
    """How often a broken model was replaced by a fresh one."""
    _model: Any = field(init=False, repr=False)
    _role: _Role = field(init=False, repr=False)
    _feed: _Feed = field(init=False, repr=False)
    _ewma: Ewma = field(init=False, repr=False)
    _past: deque[float] = field(init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)
    _first: float = field(default=0.0, init=False, repr=False)
    _constant: bool = field(default=True, init=False, repr=False)
    _drift: float = field(default=-math.inf, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.warm_up < 2 or self.lags < 1:
            raise ValueError(f"warm_up must be at least 2 and lags at least 1, got {self.warm_up}, {self.lags}")
        self._model = _build(self.model, self.parameters, self.seed)
        self._role = _role(self._model, self.model)
        if self.scale != "auto":
            self._feed = self.scale
        else:
            self._feed = "errors" if self.model.startswith("drift.binary.") else _FEEDS.get(self.model, "none")
        self._ewma = Ewma(half_life=self.half_life, warm_up=2)
        self._past = deque(maxlen=self.lags)

    def score(self, t: float, x: float) -> float | None:
        if self._count < self.warm_up or not -LARGEST < x < LARGEST:
            return None
        if self._role == "drift":
            return float(0.0 <= t - self._drift < self.hold)
        if self._constant:
            return float(x != self._first)
        outcome = _guarded(_pure(self._model).score_one, *self._arguments(self._as_fed(x)))
        return max(0.0, float(outcome)) if _is_number(outcome) else None

    def learn(self, t: float, x: float) -> None:
        if not -LARGEST < x < LARGEST:
            return
        if not self._count:
            self._first = x
        self._count += 1
        self._constant = self._constant and x == self._first
        value = self._as_fed(x)
        if not (self._learn_drift(t, value) if self._role == "drift" else self._learn_value(value)):
            self._start_over()
        self._past.appendleft(value)
        self._ewma.learn(t, x)

    def _learn_drift(self, t: float, value: float) -> bool:
        """Whether the model is still sound."""
        if _guarded(self._model.update, bool(value) if self._feed == "errors" else value) is _RAISED:
            return False
        if self._model.drift_detected and self._count > self.warm_up:
            self._drift = t
        return True

    def _learn_value(self, value: float) -> bool:
        """Whether the model is still sound."""
        arguments = self._arguments(value)
        # A model that adjusts itself while it scores needs that call; at the others we look now and then.
        if _adjusts(self._model) or self._count % _EVERY == 0:
            outcome = _guarded(self._model.score_one, *arguments)
            # Raising is no sign of ill health here: forecasters do it until they have seen a season.
            if outcome is not _RAISED and not _is_number(outcome):
                return False
        return _guarded(self._model.learn_one, *arguments) is not _RAISED

    def _start_over(self) -> None:
        self._model = _build(self.model, self.parameters, self.seed)
        self._count, self._constant, self._drift = 0, True, -math.inf
        self.restarts += 1

    def _as_fed(self, x: float) -> float:
        """The value as the model is given it."""
        if self._feed == "none":
            return float(x)
        distance = self._ewma.distance(x) or 0.0
        if self._feed == "unit":
            return 0.5 + 0.5 * math.tanh(0.25 * distance)
        if self._feed == "errors":
            return float(abs(distance) > _STAND_OUT)
        return max(-_FARTHEST, min(_FARTHEST, distance))

    def _arguments(self, value: float) -> tuple[Any, ...]:
        """What `score_one` and `learn_one` of this model take."""
        if self._role == "target":
            return (None, value)
        past = [*self._past] + [value] * (self.lags - len(self._past))
        if self._role == "regression":
            return (_features(past), value)
        return (_features([value, *past[:-1]]),)


_Role = Literal["drift", "value", "target", "regression"]
"""How a model wants to be called: with one more value, with features, with a target, or with both."""

_Feed = Literal["unit", "deviations", "errors", "none"]

_FEEDS: Mapping[str, _Feed] = {
    "anomaly.HalfSpaceTrees": "unit",
    "anomaly.LODA": "deviations",
    "anomaly.OneClassSVM": "deviations",
    "drift.ADWIN": "unit",
    "drift.PageHinkley": "deviations",
}
"""What a model is fed when the scale is `auto`; values as they are for all others."""

_RAISED = object()


def _guarded(call: Callable[..., Any], *arguments: Any) -> Any:
    """What the call returns, or `_RAISED`. River's Rust parts panic outside of Exception."""
    try:
        return call(*arguments)
    except Exception:  # noqa: BLE001 - a foreign model may raise anything; that must not end the daemon
        return _RAISED
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return _RAISED


def _is_number(outcome: Any) -> bool:
    return isinstance(outcome, (int, float)) and math.isfinite(outcome)


def _features(values: list[float]) -> dict[str, float]:
    return {str(i): one for i, one in enumerate(values)}


def _build(name: str, parameters: Mapping[str, Any], seed: int) -> Any:
    """A model by its dotted name below river, and the models among its arguments."""
    package, _, called = name.rpartition(".")
    if not package:
        raise ValueError(f"model must be a dotted name below river, got {name!r}")
    try:
        importlib.import_module("river")
    except ModuleNotFoundError as error:
        raise RiverMissingError("river is not installed: install incident-sentinel[river]") from error
    try:
        factory = getattr(importlib.import_module(f"river.{package}"), called)
    except ModuleNotFoundError as error:
        raise ValueError(f"river has no package {package!r}, asked for by {name!r}") from error
    except AttributeError as error:
        raise ValueError(f"river.{package} has no model {called!r}") from error
    arguments = {key: _argument(value, seed) for key, value in parameters.items()}
    if "seed" in inspect.signature(factory).parameters:
        arguments.setdefault("seed", seed)
    try:
        return factory(**arguments)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error


def _argument(value: Any, seed: int) -> Any:
    if isinstance(value, Mapping) and "model" in value:
        return _build(value["model"], value.get("parameters", {}), seed)
    return value


def _innermost(model: Any) -> Any:
    """The model inside of river's anomaly filters, which pass its score on unchanged."""
    while hasattr(model, "anomaly_detector"):
        model = model.anomaly_detector
    return model


def _role(model: Any, name: str) -> _Role:
    if hasattr(model, "drift_detected") and hasattr(model, "update"):
        return "drift"
    inner = _innermost(model)
    if not hasattr(inner, "score_one"):
        raise ValueError(f"model must be an anomaly or a drift model of river, got {name!r}")
    if "y" not in inspect.signature(inner.score_one).parameters:
        return "value"
    predictor = getattr(inner, "predictive_model", None)
    return "target" if predictor is None or hasattr(predictor, "forecast") else "regression"


def _adjusts(model: Any) -> bool:
    """Whether the model expects to be scored before it learns. A filter does so by itself."""
    return hasattr(model, "dynamic_mae")


def _pure(model: Any) -> Any:
    """A stand-in whose `score_one` changes nothing: it owns copies of what scoring would adjust."""
    model = _innermost(model)
    if not _adjusts(model):
        return model
    stand_in = copy.copy(model)
    for name in ("dynamic_mae", "dynamic_se_variance"):
        setattr(stand_in, name, copy.deepcopy(getattr(model, name)))
    return stand_in
