"""`sentinel incidents`, `silences` and `deploy`, against the pages of a pipeline and a store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from sentinel.cli import main
from sentinel.model import Secret
from sentinel.store import Store
from sentinel.web import Guard
from tests.web.test_acts import Desk, asked

Command = Callable[..., Coroutine[Any, Any, tuple[int, str, str]]]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = Store(tmp_path / "sentinel.db")
    await store.open()
    yield Desk(store)
    await store.close()


@pytest.fixture
async def sentinel(desk: Desk, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Command]:
    async with asked(desk) as client:

        async def run(*words: str) -> tuple[int, str, str]:
            code = await asyncio.to_thread(main, [*words, "--api", client.base])
            return code, *capsys.readouterr()

        yield run


async def leaking(desk: Desk) -> str:
    await desk.polls(leak=2)
    return desk.open_incidents()[0].ref


async def test_what_is_open_is_listed(desk: Desk, sentinel: Command) -> None:
    assert await sentinel("incidents", "list") == (0, "nothing is open\n", "")
    ref = await leaking(desk)
    _, said, _ = await sentinel("incidents", "list")
    assert said.splitlines()[1].split() == [
        ref, "warning", "open", "main", "leak", "2025-11-24", "16:00", "leak", "at", "2",
    ]  # fmt: skip


async def test_what_is_over_is_listed_on_request(desk: Desk, sentinel: Command) -> None:
    ref = await leaking(desk)
    await desk.polls(31, leak=0)
    assert (await sentinel("incidents", "list"))[1] == "nothing is open\n"
    assert ref in (await sentinel("incidents", "list", "--all"))[1]
    _, said, _ = await sentinel("incidents", "list", "--all", "--json")
    assert json.loads(said)["incidents"][0]["state"] == "resolved"


async def test_the_timeline_is_printed_to_be_pasted(desk: Desk, sentinel: Command) -> None:
    ref = await leaking(desk)
    assert (await sentinel("incidents", "show", ref))[1].startswith(f"# Connection leak on main ({ref})\n")
    assert json.loads((await sentinel("incidents", "show", ref, "--json"))[1])["incident"]["ref"] == ref


async def test_an_incident_is_acknowledged_noted_marked_and_resolved(desk: Desk, sentinel: Command) -> None:
    ref = await leaking(desk)
    assert (await sentinel("incidents", "ack", ref, "on", "it", "--by", "ada"))[:2] == (0, "ack: done, as ada\n")
    await sentinel("incidents", "note", ref, "the import did it", "--by", "ada")
    await sentinel("incidents", "mark", ref, "real", "--by", "ada")
    await sentinel("incidents", "resolve", ref, "--by", "ada")
    people = [(event.kind, event.text) for step in desk.story.steps for event in step.events if event.by == "ada"]
    assert people == [
        ("acknowledged", "on it"),
        ("note", "the import did it"),
        ("marked as real", ""),
        ("resolved", ""),
    ]


async def test_a_silence_is_made_listed_and_removed(desk: Desk, sentinel: Command) -> None:
    assert (await sentinel("silences", "list"))[1] == "nothing is silenced\n"
    code, said, _ = await sentinel("silences", "add", "cause=leak", "known", "leak", "--for", "1h30m", "--by", "ada")
    (name,) = desk.kept()
    assert (code, said) == (0, f"silenced; end it with: sentinel silences remove {name}\n")
    _, said, _ = await sentinel("silences", "list")
    row = [name, "cause=leak", "2025-11-24", "17:30", "ada", "known", "leak"]
    assert said.splitlines()[1].split() == row
    assert (await sentinel("silences", "remove", name))[0] == 0
    assert desk.kept() == {}


async def test_a_deploy_is_marked(desk: Desk, sentinel: Command) -> None:
    assert (await sentinel("deploy", "v42", "--target", "main", "--for", "15m"))[:2] == (
        0,
        "the deploy of v42 is marked\n",
    )
    (deploy,) = desk.kept().values()
    assert (deploy.version, deploy.targets, deploy.lasts) == ("v42", ("main",), 900.0)


async def test_a_refusal_says_what_to_do(desk: Desk, sentinel: Command) -> None:
    code, _, said = await sentinel("incidents", "ack", "SNT-NOBODY")
    assert (code, "no incident is called" in said) == (1, True)
    code, _, said = await sentinel("silences", "add", "cause=leak", "--for", "soon")
    assert (code, said.startswith("sentinel: --for must be a duration such as 250ms")) == (1, True)


async def test_the_token_comes_from_the_environment(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked(desk, Guard(token=Secret("s3cret"))) as client:
        command = ["deploy", "v42", "--api", client.base]
        assert await asyncio.to_thread(main, command) == 1
        assert "Authorization: Bearer" in capsys.readouterr().err
        monkeypatch.setenv("SENTINEL_API_TOKEN", "s3cret")
        assert await asyncio.to_thread(main, command) == 0
