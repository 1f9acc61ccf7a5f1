"""Trying a destination out: a message that nobody can mistake for an incident, and the answer as it came."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sentinel.cli import main
from sentinel.model import Reason, Secret
from sentinel.notifiers import BY_NAME, Notifier
from sentinel.notifiers.trial import Result, try_out
from tests.notifiers.fakes import ROUTING_KEY, Fake, FakePagerDuty, FakeSlack, serving
from tests.notifiers.fakes.slack_app import TOKEN, FakeSlackApp
from tests.notifiers.stories import NOON


async def tried(notifier: Notifier, **options: Any) -> list[Result]:
    return [result async for result in try_out(notifier, "ops/x", instance="prod-1", now=NOON, **options)]


async def test_a_pager_is_woken_and_put_to_rest() -> None:
    async with serving(FakePagerDuty(), "/v2/enqueue") as fake:
        assert isinstance(fake, FakePagerDuty)
        results = await tried(BY_NAME["pagerduty"](routing_key=Secret(ROUTING_KEY), url=fake.url))
        assert [(result.reason, result.ok) for result in results] == [(Reason.OPENED, True), (Reason.RESOLVED, True)]
        assert "This is a test: nothing is wrong" in fake.accepted[0]["payload"]["summary"]
        assert fake.open == {}
        await tried(BY_NAME["pagerduty"](routing_key=Secret(ROUTING_KEY), url=fake.url), leave_open=True)
        assert len(fake.open) == 1


async def test_a_chat_is_edited_as_with_an_incident() -> None:
    async with serving(FakeSlackApp(), "/api") as fake:
        assert isinstance(fake, FakeSlackApp)
        results = await tried(BY_NAME["slack_app"](token=Secret(TOKEN), channel=fake.channel, url=fake.url))
        assert len(fake.parents) == 1
        assert fake.parents[0]["blocks"][0]["text"]["text"] == "✅ Test message of ops/x on prod-1"
        assert results[0].said == f"reference {fake.channel}:{fake.parents[0]['ts']}"


async def test_a_program_can_tell_a_test_by_its_type() -> None:
    async with serving(Fake()) as fake:
        await tried(BY_NAME["webhook"](url=Secret(fake.url)))
    assert [event["type"] for event in fake.accepted] == ["test.ping", "test.ping"]


async def test_the_first_failure_ends_it_and_is_told_without_secrets() -> None:
    async with serving(FakeSlack()) as fake:
        fake.modes.append((403, {}, "invalid_token"))
        (result,) = await tried(BY_NAME["slack"](url=Secret(fake.url)))
    assert not result.ok
    assert result.said.startswith("rejected_config: 127.0.0.1 answered 403: invalid_token. Check this destination's")
    assert "TOKEN-in" not in result.said


def configured(tmp_path: Path, good: str, bad: str) -> Path:
    file = tmp_path / "sentinel.yaml"
    file.write_text(f"""
targets: [{{url: "redis://127.0.0.1:1"}}]
receivers:
  team:
    - {{kind: webhook, url: "{good}"}}
    - {{kind: slack, url: "{bad}"}}
""")
    return file


async def test_the_command_says_what_each_destination_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(Fake()) as good, serving(FakeSlack()) as bad:
        bad.modes.append((404, {}, "no_service"))
        file = str(configured(tmp_path, good.url, bad.url))
        assert await asyncio.to_thread(main, ["notify-test", "team", "-c", file]) == 1
        said = capsys.readouterr().out.splitlines()
        assert await asyncio.to_thread(main, ["notify-test", "team/slack", "-c", file]) == 0
    assert [line.partition(" in ")[0] for line in said] == [
        "team/webhook opened ok",
        "team/webhook resolved ok",
        "team/slack opened FAILED",
    ]
    assert "answered 404: no_service" in said[2]


def test_a_receiver_that_is_not_there_is_told_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(configured(tmp_path, "https://hooks.example/x", "https://hooks.example/y"))
    assert main(["notify-test", "teem", "-c", file]) == 1
    assert capsys.readouterr().err == (
        "sentinel: there is no receiver teem; known here: team, team/slack, team/webhook\n"
    )
