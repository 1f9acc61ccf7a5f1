"""What Prometheus is given: names, labels, bounds, and a registry for each daemon."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from sentinel.metrics import Metrics
from sentinel.model import Sample, Series, labels


async def read(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What a Prometheus would store of a scrape."""
    text = (await metrics.exposition()).decode()
    lines = [line for family in text_string_to_metric_families(text) for line in family.samples]
    stored = {(line.name, frozenset(line.labels.items())): line.value for line in lines}
    assert len(stored) == len(lines), "a series is given twice"
    return stored


def key(name: str, **pairs: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(pairs.items())


def sampled(metric: str, value: float, **pairs: str) -> Sample:
    return Sample(Series(metric, labels(**pairs)), 1764000000.0, value)


async def test_two_daemons_in_one_process_count_apart() -> None:
    one, two = Metrics("1"), Metrics("2")
    one.store_failures.inc()
    assert (await read(one))[key("sentinel_store_failures_total")] == 1
    assert (await read(two))[key("sentinel_store_failures_total")] == 0
    assert (await read(two))[key("sentinel_build_info", version="2")] == 1


async def test_every_metric_of_the_daemon_has_its_name_and_labels() -> None:
    metrics = Metrics("1")
    metrics.polls.labels(target="a", outcome="timeout").inc()
    metrics.polls_skipped.labels(target="a").inc()
    metrics.poll_seconds.observe(0.2)
    metrics.samples.labels(target="a").inc(40)
    metrics.incidents.labels(state="open", severity="critical").set(2)
    metrics.incidents_opened.labels(cause="leak", severity="warning").inc()
    metrics.notifications.labels(destination="ops/slack", kind="slack", outcome="retry").inc()
    metrics.delivery_lag_seconds.labels(destination="ops/slack").observe(4)
    metrics.outbox_rows.labels(destination="ops/slack", state="pending").set(3)
    metrics.outbox_oldest_seconds.labels(destination="ops/slack").set(7.5)
    metrics.breaker_state.labels(destination="ops/slack").set(2)
    metrics.dead_letters.labels(destination="ops/slack", reason="gone").inc()
    metrics.config_reloads.labels(outcome="ok").inc()
    metrics.snapshot_age_seconds.set(12)
    metrics.clock_held_back_seconds.set(0.5)
    expected = {
        key("sentinel_polls_total", target="a", outcome="timeout"): 1,
        key("sentinel_polls_skipped_total", target="a"): 1,
        key("sentinel_poll_seconds_bucket", le="0.1"): 0,
        key("sentinel_poll_seconds_bucket", le="0.5"): 1,
        key("sentinel_samples_total", target="a"): 40,
        key("sentinel_incidents", state="open", severity="critical"): 2,
        key("sentinel_incidents_opened_total", cause="leak", severity="warning"): 1,
        key("sentinel_notifications_total", destination="ops/slack", kind="slack", outcome="retry"): 1,
        key("sentinel_delivery_lag_seconds_sum", destination="ops/slack"): 4,
        key("sentinel_outbox_rows", destination="ops/slack", state="pending"): 3,
        key("sentinel_outbox_oldest_seconds", destination="ops/slack"): 7.5,
        key("sentinel_breaker_state", destination="ops/slack"): 2,
        key("sentinel_dead_letters_total", destination="ops/slack", reason="gone"): 1,
        key("sentinel_config_reloads_total", outcome="ok"): 1,
        key("sentinel_snapshot_age_seconds"): 12,
        key("sentinel_clock_held_back_seconds"): 0.5,
    }
    assert expected.items() <= (await read(metrics)).items()


async def test_the_newest_samples_are_given_with_their_target() -> None:
    newest = [
        ("a", sampled("redis_connected_clients", 312)),
        ("b", sampled("redis_connected_clients", 9)),
        ("a", sampled("queue_depth", 4, queue='odd "name"\\\n')),
        ("a", sampled("redis_commands_total", 70_000)),
        ("a", sampled("sampler_up", 0, sampler="redis_info")),
    ]
    stored = await read(Metrics("1", lambda: newest))
    assert stored[key("redis_connected_clients", target="a")] == 312
    assert stored[key("redis_connected_clients", target="b")] == 9
    assert stored[key("queue_depth", target="a", queue='odd "name"\\\n')] == 4
    assert stored[key("redis_commands_total", target="a")] == 70_000
    assert stored[key("sentinel_sampler_up", target="a", sampler="redis_info")] == 0


async def test_what_only_rises_is_a_counter_and_the_rest_are_gauges() -> None:
    newest = [("a", sampled("redis_commands_total", 7)), ("a", sampled("redis_seats", 2))]
    lines = (await Metrics("1", lambda: newest).exposition()).decode().splitlines()
    assert "# TYPE redis_commands_total counter" in lines
    assert "# TYPE redis_seats gauge" in lines


async def test_a_target_with_too_many_series_is_cut_to_the_same_ones_at_every_scrape() -> None:
    groups = [("a", sampled("redis_group_clients", n, group=f"g{n}")) for n in range(5)]
    others = [("b", sampled("redis_group_clients", 1, group="g"))]
    forwards = await read(Metrics("1", lambda: groups + others, series_per_target=3))
    backwards = await read(Metrics("1", lambda: others + groups[::-1], series_per_target=3))
    kept = {pairs for name, pairs in forwards if name == "redis_group_clients"}
    assert kept == {pairs for name, pairs in backwards if name == "redis_group_clients"}
    assert len(kept) == 3 + 1
    assert forwards[key("sentinel_series_left_out", target="a")] == 2
    assert key("sentinel_series_left_out", target="b") not in forwards


async def test_a_target_that_left_is_forgotten() -> None:
    metrics = Metrics("1")
    for target in ("stays", "leaves"):
        metrics.polls.labels(target=target, outcome="ok").inc()
        metrics.poll_seconds.observe(0.1)
    metrics.forget_target("leaves")
    targets = {dict(pairs).get("target") for _, pairs in await read(metrics)}
    assert targets == {None, "stays"}


async def test_a_destination_that_left_keeps_what_was_counted_and_loses_its_levels() -> None:
    metrics = Metrics("1")
    metrics.breaker_state.labels(destination="ops/slack").set(2)
    metrics.dead_letters.labels(destination="ops/slack", reason="gone").inc()
    metrics.forget_destination("ops/slack")
    stored = await read(metrics)
    assert key("sentinel_breaker_state", destination="ops/slack") not in stored
    assert stored[key("sentinel_dead_letters_total", destination="ops/slack", reason="gone")] == 1


async def test_no_lines_are_spent_on_when_a_counter_was_made() -> None:
    metrics = Metrics("1")
    metrics.polls.labels(target="a", outcome="ok").inc()
    assert not [name for name, _ in await read(metrics) if name.endswith("_created")]
