"""Columns are the default detector, many at once: the same scores to rounding."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import Default
from detectors.columns import Columns, scores

START = 1_764_000_000.0


def singles(t: np.ndarray, x: np.ndarray) -> np.ndarray:
    found = np.zeros(x.shape)
    for i in range(x.shape[1]):
        single = Default()
        found[:, i] = [single.update(float(when), float(value)) for when, value in zip(t, x[:, i], strict=True)]
    return found


def columns(t: np.ndarray, x: np.ndarray) -> np.ndarray:
    many = Columns(x.shape[1])
    return np.array([many.update(float(when), row) for when, row in zip(t, x, strict=True)])


def world(seed: int, n: int, interval: float) -> tuple[np.ndarray, np.ndarray]:
    """Eight kinds of series with gaps, spikes, steps and missing values."""
    noise = np.random.default_rng(seed)
    t = START + np.cumsum(np.where(noise.random(n) < 0.01, 20.0, 1.0) * interval)
    day = np.sin(2 * np.pi * t / 86400.0)
    x = np.stack(
        [
            noise.normal(size=n),
            np.exp(noise.normal(size=n)),
            100.0 + 30.0 * day + noise.normal(size=n),
            noise.poisson(0.05, n).astype(float),
            np.round(5.0 + noise.normal(size=n)),
            np.cumsum(noise.normal(size=n)),
            np.full(n, 7.0),
            np.where(np.arange(n) > n // 2, 50.0, 0.0) + noise.normal(size=n),
        ],
        axis=1,
    )
    x[noise.random(x.shape) < 0.002] *= 30.0
    x[noise.random(x.shape) < 0.02] = math.nan
    return t, x


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), interval=st.sampled_from([5.0, 60.0, 300.0, 3600.0]))
def test_columns_score_as_single_detectors_do(seed: int, interval: float) -> None:
    t, x = world(seed, 700, interval)
    np.testing.assert_allclose(columns(t, x), singles(t, x), rtol=1e-9, atol=1e-9)


def test_they_agree_over_days_with_habits_and_familiar_values() -> None:
    t, x = world(3, 3000, 300.0)
    x[np.arange(3000) % 288 == 30, 0] = 60.0
    found = singles(t, x)
    assert (found >= 0.5).sum() > 10
    np.testing.assert_allclose(columns(t, x), found, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("series", [3, 60])
def test_whole_series_are_scored_alike_however_many(series: int) -> None:
    noise = np.random.default_rng(5)
    t = START + 60.0 * np.arange(300)
    x = noise.normal(size=(300, series))
    x[299, 2] = 50.0
    found = scores(t, x)
    np.testing.assert_allclose(found[:, :3], singles(t, x[:, :3]), rtol=1e-9, atol=1e-9)
    assert found[299, 2] >= 0.5


def test_a_pickle_of_columns_goes_on_as_they_do() -> None:
    t, x = world(6, 400, 60.0)
    many = Columns(8)
    for when, row in zip(t[:300], x[:300], strict=True):
        many.update(float(when), row)
    copy = pickle.loads(pickle.dumps(many))
    for when, row in zip(t[300:], x[300:], strict=True):
        np.testing.assert_array_equal(many.update(float(when), row), copy.update(float(when), row))


def test_no_value_and_no_time_is_no_trouble() -> None:
    many = Columns(2)
    assert many.update(START, np.array([math.nan, math.inf])).tolist() == [0.0, 0.0]
    assert many.update(math.nan, np.array([1.0, 2.0])).tolist() == [0.0, 0.0]


def test_no_series_is_refused() -> None:
    with pytest.raises(ValueError, match="series"):
        Columns(0)
