"""How fast the pipeline is: samples a second through series, three watches and all causes, on one core.

    python tests/bench/pipeline_bench.py [POLLS]

Goal: 100,000 samples a second. The polls are those of a real server with a few client groups, repeated with noise;
numbers are printed, nothing is asserted.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from random import Random
from time import process_time

from sentinel.config import Overrides, load
from sentinel.drill.clients import connection
from sentinel.embedded import EmbeddedServer
from sentinel.model import Poll, Sample
from sentinel.pipeline import Pipeline
from sentinel.samplers.target import Target

GROUPS, CLIENTS = 8, 4
INTERVAL = 5.0
MOVING = frozenset({"redis_connected_clients", "redis_ping_seconds", "redis_memory_used_bytes", "redis_group_clients"})


async def template(url: str, port: int) -> Poll:
    """One full poll of a server with several client groups."""
    settings = load(None, Overrides(urls=(url,))).targets[0]
    async with AsyncExitStack() as stack:
        for group in range(GROUPS):
            for _ in range(CLIENTS):
                await stack.enter_async_context(connection(port, f"group-{group}"))
        target = Target(settings)
        stack.push_async_callback(target.close)
        await target.poll(1764000000.0)
        return await target.poll(1764000000.0 + 600.0)


def polls(first: Poll, count: int) -> Iterator[Poll]:
    """The same again and again: counters rise, what moves on a server trembles, limits stay."""
    random = Random(7)
    for number in range(count):
        time, noise = first.time + number * INTERVAL, random.random()
        samples = tuple(
            Sample(series, time, value + _moved(series.metric, number, noise), exemplar)
            for series, _, value, exemplar in first.samples
        )
        yield Poll(first.target, time, samples)


def _moved(metric: str, number: int, noise: float) -> float:
    if metric.endswith("_total"):
        return 10.0 * number
    return noise if metric in MOVING else 0.0


def main(count: int) -> None:
    """Make the polls, then feed them."""
    with EmbeddedServer() as server:
        first = asyncio.run(template(server.url, server.port))
    settings = load(None, Overrides(urls=("redis://127.0.0.1",))).pipeline
    pipeline, made = Pipeline(settings), list(polls(first, count))
    for poll in made[: count // 10]:
        pipeline.feed(poll)
    began = process_time()
    for poll in made[count // 10 :]:
        pipeline.feed(poll)
    spent, fed = process_time() - began, count - count // 10
    samples = len(first.samples)
    print(f"{len(settings.rules)} rules, {len(settings.causes)} causes, {samples} samples a poll, {fed} polls")
    print(f"{fed * samples / spent:,.0f} samples/s (goal 100,000), {spent / fed * 1e6:.0f} µs a poll")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
