"""Series: counters become rates, late samples are dropped."""

from __future__ import annotations

from sentinel.model import Poll, Sample, Series
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


def one(store: SeriesStore, metric: str) -> float | None:
    track = store.one(metric)
    return None if track is None else track.value


def test_a_gauge_is_taken_as_it_is() -> None:
    store = SeriesStore(windowed=[])
    store.feed(poll_of(0.0, clients=5.0))
    store.feed(poll_of(10.0, clients=3.0))
    assert one(store, "clients") == 3.0


def test_a_late_sample_and_one_that_is_no_number_are_dropped_and_counted() -> None:
    store = SeriesStore(windowed=[])
    store.feed(poll_of(10.0, clients=5.0))
    store.feed(poll_of(10.0, clients=6.0))
    store.feed(poll_of(20.0, clients=float("nan")))
    assert (one(store, "clients"), store.late) == (5.0, 2)


def test_a_window_holds_what_is_newer_than_asked_for() -> None:
    track = fed(100, 150, 250, 260).one("calls_total")
    assert track is not None
    times, values = track.window(20.0)
    assert (times.tolist(), values.tolist()) == ([20.0, 30.0], [10.0, 1.0])


def test_only_metrics_that_are_asked_for_have_a_window() -> None:
    store = SeriesStore(windowed=["calls_total"])
    store.feed(poll_of(0.0, clients=5.0))
    track = store.one("clients")
    assert track is not None
    assert track.last(5) == []


def test_a_window_keeps_the_newest_of_many() -> None:
    store = SeriesStore(windowed=["clients"])
    for second in range(1000):
        store.feed(poll_of(float(second), clients=float(second)))
    track = store.one("clients")
    assert track is not None
    kept = track.last(1000)
    assert 240 <= len(kept) <= 300
    assert kept[-1] == 999.0


def test_a_series_that_is_not_in_the_newest_reading_of_its_metric_has_ended() -> None:
    store = SeriesStore(windowed=[])
    both = {"a": 1.0, "b": 2.0}
    store.feed(labelled(0.0, both))
    store.feed(labelled(10.0, {"a": 3.0}))
    assert [track.label("group") for track in store.each("clients")] == ["a"]


def test_a_series_that_ended_long_ago_is_forgotten() -> None:
    store = SeriesStore(windowed=[], forget_after=100.0)
    store.feed(labelled(0.0, {"a": 1.0, "b": 2.0}))
    for time in (90.0, 180.0):
        store.feed(labelled(time, {"a": 3.0}))
    assert store.one("clients", (("group", "b"),)) is None
    assert store.one("clients", (("group", "a"),)) is not None


def labelled(time: float, groups: dict[str, float]) -> Poll:
    samples = (Sample(Series("clients", (("group", name),)), time, value) for name, value in groups.items())
    return Poll("main", time, tuple(samples))
