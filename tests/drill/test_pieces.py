"""What drills are made of: a victim that is not hurt more than allowed, a proxy that breaks, a watcher, an exercise."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import redis
from aiohttp import web

from sentinel.cli import main
from sentinel.drill.exercise import StageReport, exercise, meanwhile
from sentinel.drill.proxy import Proxy
from sentinel.drill.receiver import Receiver
from sentinel.drill.scenarios import BY_NAME, QUEUE, Scenario, Stage, World
from sentinel.drill.victim import LOST, Victim
from sentinel.drill.watching import PagesWatcher, WebhookWatcher
from sentinel.embedded import EmbeddedServer
from sentinel.samplers.dial import parse_url
from tests.servers import server


@pytest.fixture
def running() -> Iterator[EmbeddedServer]:
    with server("--maxclients", "100") as found:
        yield found


def victim_of(running: EmbeddedServer, at_most: int = 50) -> Victim:
    return Victim(parse_url(running.url), at_most)


def names(running: EmbeddedServer) -> list[str]:
    with redis.Redis(port=running.port) as client:
        return [each["name"] for each in client.client_list()]


# The victim


async def test_a_victim_is_not_opened_more_often_than_allowed_and_is_left_alone_afterwards(
    running: EmbeddedServer,
) -> None:
    async with victim_of(running, at_most=3) as victim:
        for _ in range(3):
            await victim.open("drill-x")
        with pytest.raises(OverflowError):
            await victim.open("drill-x")
        assert names(running).count("drill-x") == 3
    while "drill-x" in names(running):
        await asyncio.sleep(0.01)


async def test_a_quiet_local_server_does_not_look_like_production(running: EmbeddedServer) -> None:
    async with victim_of(running) as victim:
        assert await victim.looks_like_production() == []


async def test_clients_and_keys_of_others_look_like_production(running: EmbeddedServer) -> None:
    async with victim_of(running) as others, victim_of(running) as victim:
        link = await others.open()
        for _ in range(25):
            await others.open()
        await others.exchange(link, *[("SET", f"k{number}", "v") for number in range(200)])
        reasons = await victim.looks_like_production()
    assert [reason.split()[0] for reason in reasons] == ["27", "it"]
    assert "200 keys" in reasons[1]


def test_a_server_that_others_use_is_refused_unless_it_is_said(
    running: EmbeddedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with redis.Redis(port=running.port) as client, client.pipeline() as pipe:
        for number in range(200):
            pipe.set(f"k{number}", "v")
        pipe.execute()
        assert main(["drill", "leak", running.url]) == 1
        error = capsys.readouterr().err
        assert "it holds 200 keys" in error
        assert "--yes-hurt-this-server" in error
        assert client.info("stats")["rejected_connections"] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense", "--embedded"], "name a scenario: leak, "),
        (["leak"], "or --embedded"),
        (["leak", "redis://127.0.0.1:1"], "nobody listens there"),
        (["leak", "mysql://x"], "redis://"),
    ],
)
def test_what_cannot_be_meant_is_told(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", *arguments]) == 1
    assert says in capsys.readouterr().err


def test_every_scenario_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(BY_NAME)


@pytest.mark.parametrize("scenario", ["leak", pytest.param("batch", marks=pytest.mark.slow)])
def test_a_drill_that_is_killed_leaves_nothing_behind(running: EmbeddedServer, scenario: str) -> None:
    command = [sys.executable, "-m", "sentinel", "drill", scenario, running.url, "--pages", "http://127.0.0.1:1"]
    process = subprocess.Popen([*command, "--time-scale", "1000"], stderr=subprocess.DEVNULL)
    with redis.Redis(port=running.port) as client:
        while not (names(running).count("drill-leak") >= 3 or client.exists(QUEUE)):
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        while any(name.startswith("drill") for name in names(running)):
            pass
        for key in client.keys("*"):
            assert 0 < client.ttl(key) <= 60


# The proxy


@asynccontextmanager
async def through(running: EmbeddedServer, delay: float = 0.2) -> AsyncIterator[tuple[Proxy, Victim]]:
    async with Proxy("127.0.0.1", running.port, delay=delay) as proxy:
        async with Victim(parse_url(f"redis://127.0.0.1:{proxy.port}"), 10) as victim:
            yield proxy, victim


async def test_a_proxy_passes_what_it_is_given(running: EmbeddedServer) -> None:
    async with through(running) as (_, victim):
        link = await victim.open()
        assert await victim.ask(link, "ECHO", "x" * 200_000) == b"x" * 200_000


async def test_a_cut_ends_connections_and_lets_none_in_until_it_is_mended(running: EmbeddedServer) -> None:
    async with through(running) as (proxy, victim):
        link = await victim.open()
        proxy.set_fault("cut")
        with pytest.raises(LOST):
            await victim.ask(link, "PING")
        with pytest.raises(LOST):
            await victim.open()
        proxy.set_fault("none")
        assert await victim.ask(await victim.open(), "PING") == b"PONG"


async def test_dropped_bytes_leave_connections_open_and_silent(running: EmbeddedServer) -> None:
    async with through(running) as (proxy, victim):
        link = await victim.open()
        proxy.set_fault("drop")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await victim.ask(link, "PING")
        proxy.set_fault("none")
        assert await victim.ask(await victim.open(), "PING") == b"PONG"


async def test_a_delay_is_there_in_both_directions(running: EmbeddedServer) -> None:
    async with through(running, delay=0.1) as (proxy, victim):
        link, loop = await victim.open(), asyncio.get_running_loop()
        proxy.set_fault("delay")
        begun = loop.time()
        assert await victim.ask(link, "PING") == b"PONG"
        assert loop.time() - begun >= 0.2


# The exercise


def incident(number: int = 1, **changes: Any) -> dict[str, Any]:
    plain = {"id": str(number), "target": "t", "cause": "leak", "severity": "critical", "summary": "says so"}
    return plain | {"culprit": {"name": "drill-leak"}} | changes


class FakeSentinel:
    """A Sentinel's API with what it is told to say."""

    def __init__(self) -> None:
        self.incidents: list[dict[str, Any]] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async def answer(_: web.Request) -> web.Response:
            return web.json_response({"incidents": self.incidents})

        app = web.Application()
        app.router.add_get("/api/v1/incidents", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


LEAK = Stage(lambda world: asyncio.sleep(0), frozenset({"leak"}), "drill-leak", lasts=0.0, fills=10.0)
NOTHING = Stage(lambda world: asyncio.sleep(0), lasts=0.0)


async def outcome(
    running: EmbeddedServer, stage: Stage, monkeypatch: pytest.MonkeyPatch, *told: dict[str, Any], before: int = 0
) -> StageReport:
    for name in ("_AT_LEAST", "_QUIET", "_NAMED_WITHIN"):
        monkeypatch.setattr(f"sentinel.drill.exercise.{name}", 0.6)
    sentinel = FakeSentinel()
    sentinel.incidents = list(told[:before])

    async def make(world: World) -> None:
        await world.victim.open("drill-leak")
        sentinel.incidents = list(told)

    staged = Stage(make, stage.causes, stage.culprit, stage.lasts, usual=0.5, fills=stage.fills)
    async with sentinel.serving() as pages, victim_of(running) as victim:
        report = await exercise("x", Scenario("says", (staged,)), World(victim, room=51), PagesWatcher(pages))
    (found,) = report.stages
    return found


async def test_a_trouble_that_is_told_rightly_passes_with_its_lead(
    running: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = await outcome(running, LEAK, monkeypatch, incident())
    assert report.passed
    assert report.lead == (51 - 1) / 10
    assert report.delay is not None
    assert 0 <= report.delay < 0.6


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ([], "nothing of leak was told in 1 s"),
        ([incident(cause="churn")], "told was churn"),
        ([incident(severity="info")], "nothing of leak"),
        ([incident(culprit={"name": "web"})], "the culprit was web"),
        ([incident(culprit=None)], "the culprit was not named"),
    ],
    ids=["nothing", "another cause", "only information", "another culprit", "nobody"],
)
async def test_a_trouble_that_is_not_told_rightly_fails_and_says_why(
    running: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, told: list[dict[str, Any]], says: str
) -> None:
    report = await outcome(running, LEAK, monkeypatch, *told)
    assert not report.passed
    assert says in report.says


async def test_what_was_open_before_does_not_count(running: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not (await outcome(running, LEAK, monkeypatch, incident(), before=1)).passed


async def test_a_look_alike_passes_in_silence_and_fails_when_something_is_told(
    running: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await outcome(running, NOTHING, monkeypatch)).passed
    assert (await outcome(running, NOTHING, monkeypatch, incident(severity="info"))).passed
    assert not (await outcome(running, NOTHING, monkeypatch, incident(severity="warning"))).passed


async def test_a_sentinel_that_does_not_answer_is_not_taken_for_silence(
    running: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_AT_LEAST", "_QUIET"):
        monkeypatch.setattr(f"sentinel.drill.exercise.{name}", 0.5)
    async with victim_of(running) as victim:
        report = await exercise("x", Scenario("", (NOTHING,)), World(victim, 50), PagesWatcher("http://127.0.0.1:1"))
    assert not report.passed
    assert "does not answer" in report.stages[0].says


# The webhook


async def test_a_webhook_tells_of_what_opens_from_now_on_and_of_nothing_older() -> None:
    async with Receiver() as receiver, aiohttp.ClientSession() as session:

        async def post(number: int, kind: str, **changes: Any) -> None:
            event = {"type": f"incident.{kind}", "data": {"incident": incident(number, **changes)}}
            headers = {"webhook-id": f"{number}{kind}"}
            async with session.post(receiver.url, json=event, headers=headers) as answer:
                assert answer.status == 204

        watcher = WebhookWatcher(receiver, "t")
        async with meanwhile(watcher.run()):
            await post(1, "reminder")
            await post(2, "opened", target="another")
            await post(3, "opened", culprit=None)
            await post(3, "updated")
            heard = await watcher.first(lambda heard: heard.culprit == "drill-leak")
        assert [each.incident["id"] for each in watcher.heard] == ["3"]
        assert (heard.cause, heard.severity) == ("leak", "critical")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["deploy", "--embedded", "--webhook", "0"], "cannot tell silence"),
        (["leak", "--embedded", "--webhook", "here"], "--webhook must be a port or HOST:PORT, got here"),
    ],
)
def test_a_webhook_that_cannot_judge_is_refused(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drill", *arguments]) == 1
    assert says in capsys.readouterr().err
