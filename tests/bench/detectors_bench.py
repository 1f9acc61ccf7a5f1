"""How good the default detector is: one table on labelled series, one of false alarms on quiet noise.

    python tests/bench/detectors_bench.py [FOLDER]

FOLDER holds `score.py` and the labelled sets that it reads; without it only the quiet series are run. Numbers are
printed, nothing is asserted. Takes about a minute on one core.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors import Default

Floats = NDArray[np.float64]
DAYS = {60: 30, 300: 90, 3600: 400}
WARM = 2.0


def quiet(t: Floats, seed: int) -> Iterator[tuple[str, Floats]]:
    """Series in which nothing happens. `t`: Unix seconds, float64, shape (n,)."""
    noise = np.random.default_rng(seed)
    n, day = len(t), np.sin(2 * np.pi * t / 86400.0)
    gaussian, steps = noise.normal(size=n), noise.normal(size=n)
    memory = np.zeros(n)
    for i in range(1, n):
        memory[i] = 0.95 * memory[i - 1] + steps[i]
    yield "Gaussian", 100 + 10 * gaussian
    yield "Student, 3 degrees", 100 + 10 * noise.standard_t(3, size=n)
    yield "lognormal", np.exp(noise.normal(size=n))
    yield "AR(1), 0.95", 100 + memory
    yield "daily rhythm", 100 + 30 * day + 5 * gaussian
    yield "daily rhythm and noise", (100 + 60 * day) * (1 + 0.1 * gaussian)
    yield "Poisson, mean 3", noise.poisson(3.0, n).astype(float)
    yield "Poisson, mean 0.05", noise.poisson(0.05, n).astype(float)
    yield "Poisson, daily rhythm", noise.poisson(20 + 15 * day).astype(float)
    yield "quantised", np.round(5 + gaussian)


def alarms_a_day(t: Floats, x: Floats) -> float:
    """Alarms after the first two days."""
    detector = Default()
    count = 0
    for when, value in zip(t.tolist(), x.tolist(), strict=True):
        score = detector.update(when, value)
        count += score >= 0.5 and when - t[0] > WARM * 86400
    return count / (float(t[-1] - t[0]) / 86400.0 - WARM)


def print_quiet() -> None:
    """False alarms, as a multiple of what was asked for."""
    asked = 86400.0 / Default().false_alarms
    print(f"false alarms a day / {asked:.2f} asked for, by sampling interval {list(DAYS)} s")
    rows: dict[str, list[float]] = {}
    for interval, days in DAYS.items():
        t = 1.7e9 + interval * np.arange(days * 86400.0 / interval)
        for name, x in quiet(t, seed=interval):
            rows.setdefault(name, []).append(alarms_a_day(t, x) / asked)
    for name, ratios in rows.items():
        print(f"{name:24}", "  ".join(f"{ratio:5.2f}" for ratio in ratios))


def print_labelled(folder: Path) -> None:
    """The table of the scorer in `folder`, on its open files."""
    spec = importlib.util.spec_from_file_location("score", folder / "score.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"{folder} holds no score.py")
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    print(score.HEAD)
    result = score.run("detectors:Default", score.CORE, side="open")
    print(f"{result['us_per_point']:.1f} µs a point, {result['kib']:.1f} KiB a series")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print_labelled(Path(sys.argv[1]))
    print_quiet()
