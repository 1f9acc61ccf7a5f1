"""Queues as an on-call engineer meets them: the real daemon, a real server, and consumers that do what they do."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml

from sentinel.drill.daemon import Daemon
from sentinel.drill.receiver import Receiver
from sentinel.embedded import EmbeddedServer, free_port
from tests.servers import client, server

pytestmark = pytest.mark.slow

INTERVAL = 5.0
"""The default: what is proven here holds for an installation that changes nothing."""


@pytest.fixture
def running() -> Iterator[EmbeddedServer]:
    with server() as found:
        yield found


@asynccontextmanager
async def daemon(running: EmbeddedServer, receiver: Receiver, folder: Path) -> AsyncIterator[Daemon]:
    """The daemon with two queues named in YAML and everything else left alone."""
    file = folder / "sentinel.yaml"
    queues = [{"kind": "list", "key": "jobs"}, {"kind": "zset", "key": "later", "scores": "time"}]
    settings = {
        "state_dir": str(folder / "state"),
        "targets": [{"url": f"redis://127.0.0.1:{running.port}", "queues": queues}],
        "receivers": {"test": [{"kind": "webhook", "url": receiver.url, "min_severity": "info"}]},
    }
    file.write_text(yaml.safe_dump(settings))
    listen = f"127.0.0.1:{free_port()}"
    async with Daemon(["-c", str(file)], listen=listen, log=folder / "log") as started:
        yield started


@contextmanager
def consumer(running: EmbeddedServer) -> Iterator[threading.Event]:
    """Takes jobs with BRPOP until the event is set, and stays connected after that."""
    idle, over = threading.Event(), threading.Event()

    def consume() -> None:
        with client(running, client_name="worker-1") as connected:
            while not idle.is_set():
                connected.brpop(["jobs"], timeout=1)
            connected.ping()
            over.wait()

    thread = threading.Thread(target=consume)
    thread.start()
    try:
        yield idle
    finally:
        idle.set()
        over.set()
        thread.join()


def produce(running: EmbeddedServer, seconds: float) -> None:
    """Two jobs, twice a poll: enough for Sentinel to see how this queue is worked on."""
    with client(running) as connected:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            connected.lpush("jobs", "a", "b")
            threading.Event().wait(INTERVAL / 2)


async def test_a_consumer_that_stays_and_takes_nothing_is_a_stall_within_a_minute(
    running: EmbeddedServer, tmp_path: Path
) -> None:
    async with Receiver() as receiver, daemon(running, receiver, tmp_path):
        with consumer(running) as idle:
            await asyncio.to_thread(produce, running, 60.0)
            idle.set()
            begun = asyncio.get_running_loop().time()
            with client(running) as connected:
                await asyncio.to_thread(wait_for_nobody, connected)
                connected.lpush("jobs", *range(5))
            async with asyncio.timeout(70):
                told = await receiver.first(lambda arrival: arrival.incident["cause"] == "stall")
            assert told.incident["subject"] == "jobs"
            assert told.at - begun <= 62
            assert [arrival.incident["cause"] for arrival in receiver.arrivals] == ["stall"]


def wait_for_nobody(connected: object) -> None:
    """Until no client is blocked on the queue any more."""
    while connected.info("clients")["blocked_clients"]:  # type: ignore[attr-defined]
        threading.Event().wait(0.05)


async def test_a_million_jobs_of_the_future_open_nothing(running: EmbeddedServer, tmp_path: Path) -> None:
    async with Receiver() as receiver, daemon(running, receiver, tmp_path) as started:
        with client(running) as connected:
            tomorrow = time.time() + 86400
            for start in range(0, 1_000_000, 10_000):
                connected.zadd("later", {f"job{n}": tomorrow + n for n in range(start, start + 10_000)})
        page = await metrics_when(started, "queue_delayed", 1_000_000.0)
        assert value(page, "queue_eligible") in (0.0, None)
        async with asyncio.timeout(75):
            for _ in range(12):
                await polled(started)
        assert receiver.arrivals == []


async def metrics_when(started: Daemon, metric: str, wanted: float) -> str:
    """The page once a metric has that value."""
    async with asyncio.timeout(30):
        while value(page := await fetch(started), metric) != wanted:
            await asyncio.sleep(0.2)
    return page


async def polled(started: Daemon) -> None:
    """Wait until one more poll was taken."""
    before = value(await fetch(started), "sentinel_polls_total")
    while value(await fetch(started), "sentinel_polls_total") == before:
        await asyncio.sleep(0.2)


async def fetch(started: Daemon) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{started.pages}/metrics") as answer:
        return await answer.text()


def value(page: str, metric: str) -> float | None:
    """Sum of a metric's series on a page; None if there is none."""
    found = [
        float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith((metric + "{", metric + " "))
    ]
    return sum(found) if found else None
