"""Detectors: numbers in, scores out. A library of its own, usable without the daemon.

Each detector is a dataclass whose fields are its settings. `score(t, x)` says how unusual a value is,
`learn(t, x)` takes it in; see `detectors.base`. Promises that all keep are in `detectors.checks`. Knows
nothing of labels, Redis, asyncio, clocks or files.

>>> latency = Ewma(half_life=600.0)
>>> for second in range(0, 3000, 30):
...     latency.learn(second, 10.0 + second % 60 / 30.0)  # 10, 11, 10, 11 ...
>>> latency.score(3000.0, 14.0) > 6.0
True
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from detectors.arrivals import PhiAccrual
from detectors.base import LARGEST, Detector, Explains, Explanation, Seconds
from detectors.calibrated import Bound, Calibrated, within_budget
from detectors.changepoint import Cusum, PageHinkley
from detectors.columns import Columns, scores
from detectors.default import Default
from detectors.ensemble import Ensemble
from detectors.ewma import Ewma
from detectors.holt import Holt, HoltWinters
from detectors.limits import AboveLimit, BelowLimit, OutsideBand
from detectors.quantiles import Quantiles
from detectors.ramps import SlopeGlr
from detectors.robust import Robust
from detectors.spot import Spot
from detectors.streaming import River, RiverMissingError
from detectors.trend import Trend
from detectors.vectors import RsHash

__all__ = [
    "BY_NAME",
    "LARGEST",
    "AboveLimit",
    "BelowLimit",
    "Bound",
    "Calibrated",
    "Columns",
    "Cusum",
    "Default",
    "Detector",
    "Ensemble",
    "Ewma",
    "Explains",
    "Explanation",
    "Holt",
    "HoltWinters",
    "OutsideBand",
    "PageHinkley",
    "PhiAccrual",
    "Quantiles",
    "River",
    "RiverMissingError",
    "Robust",
    "RsHash",
    "Seconds",
    "SlopeGlr",
    "Spot",
    "Trend",
    "default",
    "scores",
    "within_budget",
]

BY_NAME: Final[Mapping[str, type[Detector]]] = MappingProxyType(
    {
        "above": AboveLimit,
        "below": BelowLimit,
        "band": OutsideBand,
        "ewma": Ewma,
        "robust": Robust,
        "quantiles": Quantiles,
        "holt": Holt,
        "holt_winters": HoltWinters,
        "spot": Spot,
        "trend": Trend,
        "cusum": Cusum,
        "page_hinkley": PageHinkley,
        "slope": SlopeGlr,
        "arrivals": PhiAccrual,
        "river": River,
        "default": Default,
        "ensemble": Ensemble,
    }
)
"""Every detector by the `kind` that picks it in YAML. A new detector is one file and one line here."""


def default() -> Default:
    """The detector to take where nothing is known of a metric: one configuration, alarm at 0.5."""
    return Default()
