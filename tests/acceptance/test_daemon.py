"""The main job, end to end: the real daemon as a process of its own, against Debian's redis-server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from sentinel.drill.leak import Leak
from sentinel.drill.receiver import Arrival, Receiver
from sentinel.embedded import EmbeddedServer, free_port
from tests.acceptance.daemons import holds, sentinel
from tests.notifiers.fakes import Fake, serving
from tests.servers import REDIS, server

pytestmark = pytest.mark.skipif(REDIS is None, reason="there is no redis-server: apt-get install redis-server")

QUICK = ("--interval", "0.2", "--time-scale", "60")
"""A look every 0.2 s, and what is waited for in minutes passes in seconds."""


@pytest.fixture
def redis() -> Iterator[EmbeddedServer]:
    with server("--maxclients", "60", binary=REDIS) as running:
        yield running


# The main job


@pytest.mark.slow
async def test_a_leak_is_told_once_before_the_first_refusal_and_when_it_is_over(tmp_path: Path) -> None:
    """Three connections a second towards 400, the default interval; only the wait after the end is shortened."""
    config = tmp_path / "sentinel.yaml"
    config.write_text("incidents: {keep_firing_for: 10s}\n")
    with server("--maxclients", "400", binary=REDIS) as full_at_400:
        async with Receiver() as receiver, Leak(full_at_400.port, name="", rate=3.0) as leak:
            arguments = (full_at_400.url, "-c", str(config), "--webhook", receiver.url)
            async with sentinel(tmp_path, *arguments) as daemon:
                leaking = asyncio.create_task(leak.run())
                await asyncio.wait_for(leak.refused.wait(), 300)
                refused = time.time()
                await leaking
                alert = told_in_time(receiver, refused)
                await leak.close()
                await holds(lambda: ended(receiver, alert), 240, "the leak's end is not told")
                assert await daemon.daemon.stopped() == 0


def told_in_time(receiver: Receiver, refused: float) -> Arrival:
    """Of one thing, with what will happen and when, before it did."""
    (alert,) = [arrival for arrival in receiver.arrivals if arrival.kind == "opened"]
    assert alert.incident["cause"] in ("leak", "exhaustion")
    assert at(alert.event["timestamp"]) < refused
    eta = alert.incident["eta"]
    assert at(eta["earliest"]) <= refused <= at(eta["latest"]), (eta, refused)
    return alert


def ended(receiver: Receiver, alert: Arrival) -> bool:
    """Whether its end was told, of the same incident."""
    told = (arrival for arrival in receiver.arrivals if arrival.incident["id"] == alert.incident["id"])
    return any(arrival.kind == "resolved" for arrival in told)


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def test_both_seats_report_while_the_server_refuses_everyone_else(redis: EmbeddedServer, tmp_path: Path) -> None:
    async with sentinel(tmp_path, redis.url, "--interval", "0.2") as daemon:
        await daemon.shows(lambda seats: seats == 2, "redis_seats")
        async with Leak(redis.port, name="greedy", rate=1000.0) as leak:
            await asyncio.wait_for(leak.run(), 10)
            assert leak.refused.is_set()
            await daemon.shows(lambda clients: clients == 60, "redis_connected_clients")
            before = await daemon.metric("sentinel_polls_total", outcome="ok") or 0
            await daemon.shows(lambda polls: polls >= before + 5, "sentinel_polls_total", outcome="ok")
            assert await daemon.metric("redis_seats") == 2
            assert await daemon.metric("sentinel_sampler_up", sampler="info") == 1


# No alert is lost


async def test_an_alert_survives_a_kill_while_it_is_being_sent_and_keeps_its_id(tmp_path: Path) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}"
    async with serving(Fake()) as receiver:
        receiver.modes.append("hang")
        async with sentinel(tmp_path, nobody, "--webhook", receiver.url, *QUICK) as daemon:
            await holds(lambda: receiver.headers, 30, "nothing was sent")
            await daemon.kill()
        assert receiver.accepted == []
        async with sentinel(tmp_path, nobody, "--webhook", receiver.url, *QUICK):
            await holds(lambda: receiver.accepted, 30, "nothing was sent again")
    assert receiver.accepted[0]["type"] == "incident.opened"
    first, second = [ids(headers) for headers in receiver.headers[:2]]
    assert first == second


async def test_an_alert_survives_a_kill_before_it_could_be_sent(tmp_path: Path) -> None:
    nobody, port = f"redis://127.0.0.1:{free_port()}", free_port()
    async with sentinel(tmp_path, nobody, "--webhook", f"http://127.0.0.1:{port}/alerts", *QUICK) as daemon:
        line = await daemon.says("A notification did not get through", "opened")
        await daemon.kill()
    async with Receiver(port=port) as receiver:
        async with sentinel(tmp_path, nobody, "--webhook", receiver.url, *QUICK):
            arrival = await asyncio.wait_for(receiver.nth(0), 60)
    assert (arrival.kind, f"event={arrival.id}" in line) == ("opened", True)


def ids(headers: object) -> str:
    return next(value for name, value in dict(headers).items() if name.lower() == "webhook-id")  # type: ignore[call-overload,no-any-return]
