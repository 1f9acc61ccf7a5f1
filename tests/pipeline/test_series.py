"""Series: counters become rates, late samples are dropped."""

from __future__ import annotations

from sentinel.pipeline.series import SeriesStore
from tests.pipeline.builders import poll_of


def fed(*values: float) -> SeriesStore:
    store = SeriesStore(windowed=["calls_total"])
    for number, value in enumerate(values):
        store.feed(poll_of(number * 10.0, calls_total=value))
    return store


def test_a_counter_has_no_rate_after_its_first_sample() -> None:
    track = fed(100).one("calls_total")
    assert track is not None
    assert track.value is None


def test_a_counter_that_fell_began_again_at_zero() -> None:
    track = fed(100, 150, 20).one("calls_total")
    assert track is not None
    assert track.last(2) == [5.0, 2.0]
