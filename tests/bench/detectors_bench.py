"""How good the detectors are: labelled series, quiet noise, moved constants, cost. One command prints the tables.

    python tests/bench/detectors_bench.py [--labelled FOLDER] [TABLE ...]

TABLE is one or more of labelled, sensitivity (they need FOLDER, which holds `score.py` and the labelled sets that it
reads), quiet, cost, long; without any, all that can be run. Numbers are printed, nothing is asserted. All of them take
some ten minutes on one core.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import pickle
import re
import shutil
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import detectors
from detectors import Calibrated, Default, Detector

Floats = NDArray[np.float64]
DAY = 86400.0
RATES = {"1/day": 1.0, "1/4 days": 4.0, "1/week": 7.0, "1/month": 30.0}
INTERVALS = (60, 300, 3600)
EXPECTED, LEAST_DAYS, SEEDS = 6, 60.0, 8
"""Alarms asked for in each series, the days it has at least, and series of each kind: at least 48 alarms are asked for,
so that a multiple is known to about 15 %."""
WARM = 2.0
"""Days whose alarms do not count."""

CONSTANTS = {
    "default": (
        *("_WARM_UP", "_SETTLE", "_FAST", "_SUM", "_CLIP", "_ADOPT", "_GRAIN", "_PACE", "_MEMORY", "_APART"),
        *("_HABIT", "_SAME", "_ONCE", "_LEAST", "_TRUST", "_USUAL"),
    ),
    "extremes": ("SHARE", "_PACE", "_TAIL_PACE", "_START_UP", "_LOST", "_NEAR"),
    "rest": ("_LENGTH", "_PART", "_ONSET", "_GROWTH"),
    "budget": ("_OFTEN", "_FREE", "_DEARER"),
    "seasonal": ("slots", "weight", "fade"),
    "familiar": ("times",),
    "pace": ("_NEAR",),
}
"""Every constant that was chosen by measuring, by file. Each is moved alone by 30 % either way."""


def quiet(t: Floats, seed: int) -> Iterator[tuple[str, Floats]]:
    """Series in which nothing happens. `t`: Unix seconds, float64, shape (n,)."""
    noise = np.random.default_rng(seed)
    n, day = len(t), np.sin(2 * np.pi * t / DAY)
    gaussian = noise.normal(size=n)
    yield "Gaussian", 100 + 10 * gaussian
    yield "Student, 3 degrees", 100 + 10 * noise.standard_t(3, size=n)
    yield "lognormal", np.exp(noise.normal(size=n))
    yield "AR(1), 0.95", 100 + remembering(noise.normal(size=n), 0.95)
    yield "daily rhythm", 100 + 30 * day + 5 * gaussian
    yield "daily rhythm and noise", (100 + 60 * day) * (1 + 0.1 * gaussian)
    yield "weekends", (100 + 30 * day) * np.where(t / DAY % 7 < 2, 0.6, 1.0) + 5 * gaussian
    yield "Poisson, mean 3", noise.poisson(3.0, n).astype(float)
    yield "Poisson, mean 0.05", noise.poisson(0.05, n).astype(float)
    yield "Poisson, daily rhythm", noise.poisson(20 + 15 * day).astype(float)
    yield "quantised", np.round(5 + gaussian)


def remembering(steps: Floats, part: float) -> Floats:
    """An autoregression of order 1."""
    found, value = [], 0.0
    for step in steps.tolist():
        value = part * value + step
        found.append(value)
    return np.array(found)


def multiples(interval: int, between: float, make: Callable[[], Detector] | None) -> dict[str, float]:
    """Alarms after the warm days as a multiple of one in `between` seconds, by kind of series.

    Args:
        make: The detector; without one the default detector, by columns.
    """
    t = 1.7e9 + interval * np.arange((max(LEAST_DAYS * DAY, EXPECTED * between) + WARM * DAY) / interval)
    named = [one for seed in range(SEEDS) for one in quiet(t, seed=1000 * seed + interval)]
    if make is None:
        columns = detectors.Columns(len(named), between)
        x = np.column_stack([values for _, values in named])
        alarms = np.zeros(len(named))
        for when, row in zip(t.tolist(), x, strict=True):
            alarms += (columns.update(when, row) >= 0.5) & (when > t[0] + WARM * DAY)
        counts = alarms.tolist()
    else:
        counts = [alarms_of(make(), t, values) for _, values in named]
    asked = SEEDS * (float(t[-1] - t[0]) - WARM * DAY) / between
    found: dict[str, float] = {}
    for (name, _), count in zip(named, counts, strict=True):
        found[name] = found.get(name, 0.0) + count / asked
    return found


def alarms_of(detector: Detector, t: Floats, x: Floats) -> int:
    """Alarms after the warm days."""
    count = 0
    for when, value in zip(t.tolist(), x.tolist(), strict=True):
        score = detector.score(when, value)
        detector.learn(when, value)
        count += score is not None and score >= 0.5 and when > t[0] + WARM * DAY
    return count


def print_quiet() -> None:
    """False alarms of the default detector and of a calibrated average, as multiples of what was asked for."""
    makes: dict[str, tuple[Callable[[float], Callable[[], Detector] | None], tuple[int, ...]]] = {
        "default": (lambda between: None, INTERVALS),
        "Calibrated(Ewma)": (lambda between: lambda: Calibrated(detectors.Ewma(), between), (300,)),
    }
    for name, (make, intervals) in makes.items():
        print(f"\nfalse alarms of {name} as a multiple of what was asked for")
        heads = [f"{interval} s: {rate}" for interval in intervals for rate in RATES]
        print("| series | " + " | ".join(heads) + " |\n" + "|---" * (len(heads) + 1) + "|")
        rows: dict[str, list[str]] = {}
        for interval in intervals:
            for days in RATES.values():
                for series, found in multiples(interval, days * DAY, make(days * DAY)).items():
                    rows.setdefault(series, []).append(f"{found:.2f}")
        for series, cells in rows.items():
            print(f"| {series} | " + " | ".join(cells) + " |", flush=True)


def scorer(folder: Path) -> Any:
    """The module `score.py` of the folder with the labelled sets."""
    spec = importlib.util.spec_from_file_location("score", folder / "score.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"{folder} holds no score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def print_labelled(folder: Path) -> None:
    """The default detector on the open files of all sets."""
    score = scorer(folder)
    print(score.HEAD)
    result = score.run("detectors:Default", score.CORE, side="open")
    print(f"{result['us_per_point']:.1f} µs a point, {result['kib']:.1f} KiB a series")


def print_sensitivity(folder: Path) -> None:
    """What moving each constant by 30 % costs, on the open files of NAB."""
    score = scorer(folder)
    names = score.split_names(None, "nab")["open"]
    series = [one for one in score.load("nab") if one.name in names]
    base = with_text(score, series, None, "")
    print(f"\nNAB at 0.5 as shipped: {base:.1f}\n\n| constant | shipped | × 0.7 | change | × 1.3 | change |")
    print("|---|---|---|---|---|---|", flush=True)
    changes = []
    for file, constants in CONSTANTS.items():
        for name in constants:
            cells = []
            for factor in (0.7, 1.3):
                text, value, now = moved(file, name, factor)
                change = with_text(score, series, file, text) - base if now != value else 0.0
                changes.append(change)
                cells.append(f"{now:.4g} | {change:+.1f}")
            print(f"| {file}.{name} | {value:.4g} | {cells[0]} | {cells[1]} |", flush=True)
    print(f"\nworst {min(changes):+.1f}, mean {np.mean(changes):+.2f}")


def moved(file: str, name: str, factor: float) -> tuple[str, float, float]:
    """The text of a file with one constant moved, its value, and what it is moved to."""
    path = Path(detectors.__file__).parent / f"{file}.py"
    pattern = rf"(?m)^( *{name}: [A-Za-z]+ = )([0-9.* ]+)$"
    text = path.read_text()
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"{path.name} has no constant {name}")
    whole, value = "." not in found[2], float(eval(found[2]))
    now = round(value * factor) if whole else value * factor
    return re.sub(pattern, rf"\g<1>{now}", text), value, float(now)


def with_text(score: Any, series: list[Any], file: str | None, text: str) -> float:
    """NAB's standard score at 0.5 of a copy of the library in which `file` reads `text`."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "detectors"
        shutil.copytree(Path(detectors.__file__).parent, copy)
        if file is not None:
            (copy / f"{file}.py").write_text(text)
        kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "detectors"}
        sys.path.insert(0, place)
        try:
            made = importlib.import_module("detectors.default").Default
            found = [score.feed(made, one.t, one.X[:, 0])[0] for one in series]
        finally:
            sys.path.remove(place)
            for name in [name for name in sys.modules if name.partition(".")[0] == "detectors"]:
                del sys.modules[name]
            sys.modules.update(kept)
    return float(score.nab_report(series, found, 0.5)["standard"]["default"])


def examples() -> dict[str, Callable[[], Detector]]:
    """One of each detector that needs no river, by kind."""
    settings: dict[str, dict[str, Any]] = {
        "above": {"limit": 120.0},
        "below": {"limit": 80.0},
        "band": {"low": 80.0, "high": 120.0},
        "trend": {"level": 200.0},
    }
    found: dict[str, Callable[[], Detector]] = {}
    for name, kind in detectors.BY_NAME.items():
        if name not in ("river", "ensemble"):
            found[name] = partial(kind, **settings.get(name, {}))
    found["Calibrated(Ewma)"] = lambda: Calibrated(detectors.Ewma())
    found["Ensemble(Ewma, Robust, Spot)"] = lambda: detectors.Ensemble(
        (detectors.Ewma(), detectors.Robust(), detectors.Spot()), agree=2
    )
    return found


def print_cost() -> None:
    """Microseconds a value (CPU time, score and learn) and bytes a series, of every detector that needs no river."""
    noise = np.random.default_rng(0)
    x = (100 + 10 * noise.normal(size=20000)).tolist()
    print("\n| detector | µs a value | KiB a series |\n|---|---|---|")
    for name, make in examples().items():
        detector = make()
        begin = time.process_time()
        for i, value in enumerate(x):
            detector.score(1.7e9 + 60.0 * i, value)
            detector.learn(1.7e9 + 60.0 * i, value)
        each = 1e6 * (time.process_time() - begin) / len(x)
        print(f"| {name} | {each:.1f} | {kib(make, x[:5000]):.1f} |", flush=True)
    for series in (100, 1000, 10000):
        print(f"| Columns, {series} series | {columns_cost(series):.2f} | |", flush=True)
    single = Default()
    begin = time.process_time()
    for i, value in enumerate(x):
        single.update(1.7e9 + 60.0 * i, value)
    print(f"| default, `update` | {1e6 * (time.process_time() - begin) / len(x):.1f} | |", flush=True)


def columns_cost(series: int) -> float:
    """Microseconds a value, after a hundred values of each series."""
    noise, columns = np.random.default_rng(0), detectors.Columns(series)
    spent = 0.0
    for i in range(300):
        x = noise.normal(size=series)
        begin = time.process_time()
        columns.update(1.7e9 + 60.0 * i, x)
        spent += (time.process_time() - begin) * (i >= 100)
    return 1e6 * spent / (200 * series)


def kib(make: Callable[[], Detector], x: list[float]) -> float:
    """Memory that a detector holds after it has seen `x`."""
    warm = make()
    for i in range(300):
        warm.learn(1.7e9 + 60.0 * i, float(i))
    tracemalloc.start()
    detector = make()
    for i, value in enumerate(x):
        detector.learn(1.7e9 + 60.0 * i, value)
    held = tracemalloc.get_traced_memory()[0] / 1024
    tracemalloc.stop()
    return held


def print_long() -> None:
    """Ten million values: does the time a value, the memory or the rate of alarms change?"""
    noise, detector = np.random.default_rng(0), Default()
    print("\n| million values | µs a value | pickled bytes | alarms a day |\n|---|---|---|---|")
    for million in range(10):
        x = (100 + 10 * noise.normal(size=1_000_000)).tolist()
        begin, alarms = time.process_time(), 0
        for i, value in enumerate(x, 1_000_000 * million):
            alarms += detector.update(1.7e9 + 60.0 * i, value) >= 0.5
        each = time.process_time() - begin
        print(
            f"| {million + 1} | {each:.2f} | {len(pickle.dumps(detector))} | {alarms / (1e6 * 60 / DAY):.3f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--labelled", type=Path)
    parser.add_argument("tables", nargs="*")
    given = parser.parse_args()
    plain = {"quiet": print_quiet, "cost": print_cost, "long": print_long}
    for name in given.tables or ["labelled", "sensitivity", *plain]:
        if name in plain:
            plain[name]()
        elif given.labelled is not None:
            {"labelled": print_labelled, "sensitivity": print_sensitivity}[name](given.labelled)


if __name__ == "__main__":
    main()
