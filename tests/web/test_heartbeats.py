"""Heartbeats over HTTP: who may tell of what, and what is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web

from sentinel.drill.daemon import Daemon
from sentinel.drill.receiver import Receiver
from sentinel.embedded import free_port
from sentinel.samplers.pushed import PushedHeartbeat, PushedHeartbeats
from sentinel.web import serve
from sentinel.web.heartbeats import add_heartbeats
from tests.servers import server

NOW = 1764000000.0


@dataclass
class Listening:
    """As much of a daemon as listens to heartbeats."""

    pushed: PushedHeartbeats = field(default_factory=lambda: PushedHeartbeats([PushedHeartbeat("report")]))

    async def beat(self, name: str, kind: str) -> None:
        self.pushed.take(name, kind, NOW)

    def sample(self, metric: str) -> float | None:
        samples = self.pushed.poll(NOW + 60.0).samples
        return next((each.value for each in samples if each.series.metric == metric), None)


@pytest.fixture
def listening() -> Listening:
    return Listening()


@pytest.fixture
async def base(listening: Listening) -> AsyncIterator[str]:
    app = web.Application()
    add_heartbeats(app, listening)  # type: ignore[arg-type]
    async with serve(app, "127.0.0.1", 0) as (host, port):
        yield f"http://{host}:{port}/api/v1/heartbeats"


async def post(url: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.post(url, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_a_bare_post_is_a_success(listening: Listening, base: str) -> None:
    assert (await post(f"{base}/report"))[0] == 200
    assert listening.sample("pushed_heartbeat_age_seconds") == 60.0


async def test_a_job_tells_when_it_begins_and_when_it_fails(listening: Listening, base: str) -> None:
    await post(f"{base}/report/start")
    assert listening.sample("pushed_heartbeat_running_seconds") == 60.0
    await post(f"{base}/report/fail")
    assert listening.sample("pushed_heartbeat_running_seconds") is None
    assert listening.sample("pushed_heartbeat_failed") == 1.0


async def test_a_name_that_is_not_configured_is_told_what_to_do(base: str) -> None:
    status, text = await post(f"{base}/reprot")
    assert status == 404
    assert "add it to pushed_heartbeats" in text


async def test_another_word_than_the_three_is_refused_with_them(base: str) -> None:
    status, text = await post(f"{base}/report/done")
    assert status == 400
    assert "success, start, fail" in text


async def test_a_page_in_a_browser_is_refused(listening: Listening, base: str) -> None:
    status, _ = await post(f"{base}/report", Origin="https://evil.example")
    assert status == 403
    assert listening.sample("pushed_heartbeat_age_seconds") == 0.0


@pytest.mark.slow
async def test_the_daemon_misses_a_job_that_stops(tmp_path: Path) -> None:
    with server() as running:
        async with Receiver() as receiver:
            file, listen = tmp_path / "sentinel.yaml", f"127.0.0.1:{free_port()}"
            settings = {
                "state_dir": str(tmp_path / "state"),
                "targets": [{"url": f"redis://127.0.0.1:{running.port}"}],
                "pushed_heartbeats": [{"name": "report", "period": "10s", "grace": "5s"}],
                "receivers": {"test": [{"kind": "webhook", "url": receiver.url, "min_severity": "info"}]},
            }
            file.write_text(yaml.safe_dump(settings))
            async with Daemon(["-c", str(file)], listen=listen, log=tmp_path / "log") as started:
                assert (await post(f"{started.pages}/api/v1/heartbeats/report"))[0] == 200
                arrival = await receiver.first(lambda each: each.incident["cause"] == "missed_heartbeats")
                assert arrival.incident["subject"] == "report"
            assert "report" in (tmp_path / "state" / "heartbeats.json").read_text()
