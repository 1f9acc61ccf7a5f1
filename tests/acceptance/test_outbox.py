"""Notifications that do not get through, looked after from the command line while the real daemon runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from sentinel.cli import main
from sentinel.drill.daemon import Daemon
from sentinel.embedded import EmbeddedServer, free_port
from tests.servers import server

pytestmark = pytest.mark.slow


@pytest.fixture
def running() -> Iterator[EmbeddedServer]:
    with server() as found:
        yield found


@pytest.fixture
def receiver_port() -> int:
    """Where nobody listens until a test does."""
    return free_port()


@pytest.fixture
async def started(running: EmbeddedServer, receiver_port: int, tmp_path: Path) -> AsyncIterator[Daemon]:
    """A daemon with one incident from its first poll on, and a receiver that refuses connections."""
    file = tmp_path / "sentinel.yaml"
    detector = {"kind": "above", "limit": 1}
    rule = {"name": "busy", "metric": "redis_connected_clients", "detector": detector, "threshold": 1}
    settings = {
        "state_dir": str(tmp_path / "state"),
        "targets": [{"url": f"redis://127.0.0.1:{running.port}", "interval": 1}],
        "rules": [rule | {"for": "0s", "severity": "critical"}],
        "receivers": {"ops": [{"kind": "webhook", "url": f"http://127.0.0.1:{receiver_port}/x"}]},
        "incidents": {"startup_grace": 0},
        "routes": [{"receiver": "ops", "group_wait": 0}],
        "delivery": {"backoff_base": "1h", "backoff_cap": "1h"},
    }
    file.write_text(yaml.safe_dump(settings))
    async with Daemon(["-c", str(file)], listen=f"127.0.0.1:{free_port()}", log=tmp_path / "log") as daemon:
        yield daemon


class Desk:
    """`sentinel outbox …` against a daemon."""

    def __init__(self, daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
        self._daemon, self._capsys = daemon, capsys

    async def run(self, *words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, ["outbox", *words, "--api", self._daemon.pages])
        said = self._capsys.readouterr()
        return code, said.out + said.err

    async def listed(self) -> list[dict[str, Any]]:
        _, text = await self.run("list", "--json")
        return list(json.loads(text)["notifications"])

    async def until(self, state: str, tries: int) -> dict[str, Any]:
        """The only notification, once it is in that state after that many tries."""
        async with asyncio.timeout(20):
            while True:
                found = [one for one in await self.listed() if (one["state"], one["attempts"]) == (state, tries)]
                if found:
                    return found[0]
                await asyncio.sleep(0.1)


async def test_what_does_not_get_through_is_seen_tried_dropped_and_taken_up_again(
    started: Daemon, receiver_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(started, capsys)
    waiting = await desk.until("pending", 1)
    event = waiting["event"]
    assert (waiting["destination"], waiting["reason"]) == ("ops/webhook", "opened")
    assert "refused" in waiting["error"]

    _, shown = await desk.run("show", event)
    assert '"incident.opened"' in shown

    await desk.run("retry", event, "--by", "ada")
    await desk.until("pending", 2)

    assert await desk.run("drop", event, "--by", "ada") == (0, f"{event} is given up\n")
    assert (await desk.until("dead", 2))["error"] == "dropped by ada"
    code, text = await desk.run("drop", event)
    assert (code, "given up already" in text) == (1, True)

    arrived: asyncio.Queue[str] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        arrived.put_nowait(request.headers["webhook-id"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/x", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", receiver_port).start()
    try:
        assert (await desk.run("retry", event))[0] == 0
        async with asyncio.timeout(20):
            assert await arrived.get() == event
    finally:
        await runner.cleanup()


async def test_an_unknown_event_is_told_with_what_to_do(started: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = await Desk(started, capsys).run("retry", "msg_none")
    assert code == 1
    assert "no notification is called 'msg_none'; `sentinel outbox list` shows them" in text
