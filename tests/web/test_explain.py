"""Why an incident was told: the API's page of one incident, and `sentinel explain` that prints it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from sentinel.cli import main
from sentinel.model import Culprit, Eta, Evidence, Finding, Incident, IncidentState, Severity, labels
from sentinel.web import make_app, serve
from tests.web.test_pages import NOW, Daemon

ID = "01KAV9FT00" + "0" * 10 + "0F3K2A"
LEAK = Finding(
    target="redis-a",
    source="leak",
    kind="cause",
    severity=Severity.CRITICAL,
    time=NOW,
    firing=True,
    summary="api holds 412 connections that were opened since 15:25 UTC and never used again, 3.1/min more.",
    score=96.0,
    threshold=34.0,
    evidence=(
        Evidence("connections never used again", 412.0, "", "no steady growth"),
        Evidence("growth", 3.1 / 60, "/s", "0"),
        Evidence("memory", 1.5 * 2**30, "B"),
    ),
    eta=Eta(NOW + 3600.0, NOW + 7200.0, "1,000 clients"),
    culprit=Culprit("api", 0.96, "last command INFO", (labels(addr="10.4.7.12:5000", cmd="info", idle="300"),)),
    first_action="Recycle the processes of api.",
    ruled_out=("not a deploy: 0 of 412 closed in 35 min",),
    affected=("queue encode",),
    since=NOW - 2100.0,
)


def incident(finding: Finding = LEAK) -> Incident:
    return Incident(
        id=ID,
        dedup_key="sentinel:prod-1:9c",
        target="redis-a",
        cause="leak",
        subject="",
        severity=finding.severity,
        state=IncidentState.OPEN,
        opened=NOW - 60.0,
        updated=NOW,
        finding=finding,
    )


@pytest.fixture
async def url() -> AsyncIterator[str]:
    daemon = Daemon(incidents=[incident()])
    async with serve(make_app(daemon), "127.0.0.1", 0) as (host, port):
        yield f"http://{host}:{port}"


async def explain(*arguments: str) -> int:
    return await asyncio.to_thread(main, ["explain", *arguments])


@pytest.mark.parametrize("name", [ID, "SNT-0F3K2A"])
async def test_one_incident_is_told_with_every_number_and_how_people_say_it(url: str, name: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/incidents/{name}") as answer:
        body = await answer.json()
    assert (body["score"], body["threshold"], body["since"]) == (96.0, 34.0, "2025-11-24T15:25:00.000Z")
    assert body["evidence"][1] == {
        "name": "growth",
        "value": 3.1 / 60,
        "unit": "/s",
        "expected": "0",
        "said": "3.1/min",
    }
    assert body["culprit"]["examples"] == [{"addr": "10.4.7.12:5000", "cmd": "info", "idle": "300"}]
    assert body["eta"]["said"] == "Full between 17:00 and 18:00 UTC (1,000 clients), in 1 h to 2 h."


async def test_an_incident_that_nobody_knows_is_a_404_with_advice(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/incidents/SNT-NOBODY") as answer:
        assert answer.status == 404
        assert "/api/v1/incidents lists" in (await answer.json())["error"]


async def test_explain_prints_what_was_compared(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await explain("SNT-0F3K2A", "--api", url) == 0
    assert capsys.readouterr().out == (Path(__file__).parent / "golden" / "explain.txt").read_text()


async def test_explain_prints_json_for_machines(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await explain(ID, "--json", "--api", url.removeprefix("http://")) == 0
    assert json.loads(capsys.readouterr().out)["ref"] == "SNT-0F3K2A"


async def test_the_daemon_is_found_by_what_it_wrote_into_its_state_directory(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sentinel" / "prod-1-abc"
    folder.mkdir(parents=True)
    (folder / "api").write_text(url)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert await explain(ID) == 0
    assert await explain(ID, "--state-dir", str(folder)) == 0
    assert "What was compared" in capsys.readouterr().out


async def test_a_daemon_that_refuses_or_does_not_answer_is_told_with_what_to_do(
    url: str, unused_tcp_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await explain("SNT-NOBODY", "--api", url) == 1
    assert "no incident is called 'SNT-NOBODY'" in capsys.readouterr().err
    assert await explain(ID, "--api", f"http://127.0.0.1:{unused_tcp_port}") == 1
    assert "is it running? Say where: --api URL" in capsys.readouterr().err
