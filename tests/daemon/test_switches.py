"""Dead man's switches: told that all works only when it does, by the protocol of each service."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web

from sentinel.cli import main
from sentinel.config import ConfigError, load
from sentinel.config.summary import summary
from sentinel.model import Secret
from sentinel.notifiers.base import DeliveryError, Outcome
from sentinel.notifiers.http import open_session
from sentinel.rounds import Stand, troubles
from sentinel.switches import BY_NAME, GatusSwitch, Healthchecks, Round, Switch, UptimeKumaSwitch
from sentinel.web.view import TargetState
from tests.daemon import test_app
from tests.daemon.test_app import NOON, House
from tests.notifiers.fakes import Fake, serving

CHECK = "0bbd4f6e-6d39-4e7b-9a3c-5b1f8a0c2d11"
TOKEN = "push-token-0123456789"
WELL = Round(UUID(int=7, version=4), NOON, took=0.25)
ILL = WELL._replace(trouble="redis-a: not sampled yet")


class FakeHealthchecks(Fake):
    """Pings of one check: by reference/delivery.md 6."""

    def __init__(self) -> None:
        super().__init__()
        self.pings: list[tuple[str, str, str]] = []
        """Signal, run and body."""

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        check, _, signal = request.path.removeprefix("/").partition("/")
        if request.method not in ("GET", "HEAD", "POST") or check != CHECK:
            return web.Response(status=404, text="not found")
        if (
            signal not in ("", "start", "fail", "log")
            or request.query.keys() - {"rid", "create"}
            or len(body) > 100_000
        ):
            return web.Response(status=400, text="invalid url format")
        self.pings.append((signal, str(UUID(request.query["rid"])), body.decode()))
        return web.Response(text="OK")


class FakeGatus(Fake):
    """One external endpoint, `core_sentinel`."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[dict[str, str]] = []

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401, text="invalid token")
        if request.method != "POST" or request.path != "/api/v1/endpoints/core_sentinel/external":
            return web.Response(status=404, text="not found")
        if request.query.get("success") not in ("true", "false") or request.query.keys() - {
            "success", "error", "duration"
        }:  # fmt: skip
            return web.Response(status=400, text="bad request")
        self.results.append(dict(request.query))
        return web.Response()


class FakeKuma(Fake):
    """One push monitor."""

    def __init__(self) -> None:
        super().__init__()
        self.beats: list[dict[str, str]] = []

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        if request.method != "GET" or request.path != f"/api/push/{TOKEN}":
            return web.json_response({"ok": False, "msg": "Monitor not found or not active."}, status=404)
        if request.query.get("status") not in ("up", "down") or request.query.keys() - {"status", "msg", "ping"}:
            return web.json_response({"ok": False, "msg": "bad"}, status=400)
        self.beats.append(dict(request.query))
        return web.json_response({"ok": True})


@asynccontextmanager
async def told(switch: Switch) -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(switch) as session:
        yield session


async def test_healthchecks_gets_start_success_and_failure_of_one_run() -> None:
    async with serving(FakeHealthchecks(), f"/{CHECK}") as fake:
        switch = Healthchecks(url=Secret(fake.url))
        async with told(switch) as session:
            await switch.begin(session, WELL)
            await switch.end(session, WELL)
            await switch.end(session, ILL)
        run = str(WELL.id)
        assert fake.pings == [("start", run, ""), ("", run, ""), ("fail", run, ILL.trouble)]  # type: ignore[attr-defined]


async def test_healthchecks_makes_a_check_by_its_slug_if_asked_to() -> None:
    class Slugs(Fake):
        def judge(self, request: web.Request, body: bytes) -> web.Response:
            assert request.path_qs == f"/key/sentinel/start?rid={WELL.id}&create=1"
            self.seen.set()
            return web.Response(status=201, text="Created")

    async with serving(Slugs(), "/key/sentinel") as fake:
        switch = Healthchecks(url=Secret(fake.url), create=True)
        async with told(switch) as session:
            await switch.begin(session, WELL)
        assert fake.seen.is_set()


async def test_gatus_is_told_success_and_failure_with_how_long_it_took() -> None:
    async with serving(FakeGatus(), "") as fake:
        switch = GatusSwitch(url=fake.url, token=Secret(TOKEN), endpoint="core/sentinel")
        async with told(switch) as session:
            await switch.end(session, WELL)
            await switch.end(session, ILL)
        assert fake.results == [  # type: ignore[attr-defined]
            {"success": "true", "duration": "250ms"},
            {"success": "false", "error": ILL.trouble, "duration": "250ms"},
        ]


async def test_uptime_kuma_is_pushed_up_and_down() -> None:
    async with serving(FakeKuma(), "") as fake:
        switch = UptimeKumaSwitch(url=fake.url, token=Secret(TOKEN))
        async with told(switch) as session:
            await switch.end(session, WELL)
            await switch.end(session, ILL)
        assert fake.beats == [  # type: ignore[attr-defined]
            {"status": "up", "msg": "OK", "ping": "250"},
            {"status": "down", "msg": ILL.trouble, "ping": "250"},
        ]


SWITCHES: list[tuple[type[Fake], Any]] = [
    (FakeHealthchecks, lambda url: Healthchecks(url=Secret(f"{url}/{CHECK}"))),
    (FakeGatus, lambda url: GatusSwitch(url=url, token=Secret(TOKEN), endpoint="core/sentinel")),
    (FakeKuma, lambda url: UptimeKumaSwitch(url=url, token=Secret(TOKEN))),
]


def test_every_switch_is_held_to_the_promises() -> None:
    assert {type(make("http://127.0.0.1")) for _, make in SWITCHES} == set(BY_NAME.values())


@pytest.mark.parametrize(("fake", "make"), SWITCHES, ids=sorted(BY_NAME))
@pytest.mark.parametrize("mode", [500, 404, 307, "reset", "huge", (200, {}, "OK (not found)"), (429, {}, "")])
async def test_a_failure_says_why_and_shows_no_secret(fake: type[Fake], make: Any, mode: Any) -> None:
    async with serving(fake(), "") as double:
        switch = make(double.url)
        if fake is FakeGatus and isinstance(mode, tuple) and mode[0] == 200:
            pytest.skip("Gatus says with its status alone")
        double.modes.extend([mode, mode])  # a GET that is reset is sent again by the client itself
        async with told(switch) as session:
            with pytest.raises(DeliveryError) as failed:
                await switch.end(session, ILL)
        assert CHECK not in str(failed.value)
        assert TOKEN not in unquote(str(failed.value))


async def test_an_address_where_clouds_keep_credentials_is_never_pinged() -> None:
    switch = UptimeKumaSwitch(url="http://127.0.0.1", token=Secret(TOKEN))
    switch = dataclasses.replace(switch, deny_private_networks=True)
    async with told(switch) as session:
        with pytest.raises(DeliveryError) as failed:
            await switch.end(session, WELL)
    assert failed.value.outcome is Outcome.REJECTED_CONFIG


# What a round is made of

AT = NOON
OLD = {"a": TargetState(AT - 16.0, 5.0)}


def stand(**changes: Any) -> Stand:
    well = Stand({"a": TargetState(AT - 4.0, 5.0)}, {"a": AT - 4.0}, frozenset(), AT + 60.0, "", {"ops/slack": 30.0})
    return dataclasses.replace(well, **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"targets": {"a": TargetState(None, 5.0)}}, ["a: not sampled yet"]),
        ({"targets": OLD}, ["a: last sampled 16 s ago, expected every 5 s"]),
        ({"read": {}}, ["a: cannot be read, and no incident says so"]),
        ({"read": {"a": AT - 16.0}}, ["a: cannot be read, and no incident says so"]),
        ({"read": {}, "down": frozenset({"a"})}, []),
        ({"read": {}, "down": frozenset({"b"})}, ["a: cannot be read, and no incident says so"]),
        ({"targets": OLD, "down": frozenset({"a"})}, ["a: last sampled 16 s ago, expected every 5 s"]),
        ({"deadline": None}, []),
        ({"deadline": AT - 29.0}, []),
        ({"deadline": AT - 31.0}, ["what was due 31 s ago is not done"]),
        ({"failing": "disk full"}, ["state cannot be saved"]),
        ({"waiting": {"ops/slack": 600.0}}, []),
        ({"waiting": {"ops/slack": 601.0}}, ["a notification for ops/slack has waited for 601 s"]),
    ],
)  # fmt: skip
def test_a_round_works_only_if_all_of_it_does(changes: dict[str, Any], said: list[str]) -> None:
    assert list(troubles(stand(**changes), AT, 600.0)) == said


# In the daemon

home = test_app.house


@dataclasses.dataclass(frozen=True, kw_only=True)
class Remembers(Switch):
    """A switch that keeps what it is told."""

    kind: ClassVar[str] = "remembers"
    least_interval: ClassVar[float] = 5.0
    told_of_starts: ClassVar[bool] = True
    heard: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    broken: list[bool] = dataclasses.field(default_factory=list)

    async def begin(self, session: aiohttp.ClientSession, round_: Round) -> None:
        self.heard.append(("start", ""))

    async def end(self, session: aiohttp.ClientSession, round_: Round) -> None:
        if self.broken:
            raise DeliveryError(Outcome.RETRY, "cannot connect")
        self.heard.append(("fail" if round_.trouble else "success", round_.trouble))

    def ends(self) -> list[str]:
        return [signal for signal, _ in self.heard if signal != "start"]


@pytest.mark.looptime
async def test_a_daemon_at_work_tells_start_and_success_each_round(home: House) -> None:
    switch = Remembers()
    home.settings = dataclasses.replace(home.settings, switches={"mine": switch})
    async with home.daemon():
        await asyncio.sleep(150)
        assert await home.counted("sentinel_switch_pings_total", switch="mine", signal="success", outcome="ok") == 3
        assert await home.counted("sentinel_switch_told_timestamp_seconds", switch="mine") >= NOON + 120
    assert switch.heard == [("start", ""), ("success", "")] * 3


@pytest.mark.looptime
async def test_polls_that_hang_make_the_round_fail_with_the_reason(home: House) -> None:
    switch = Remembers()
    home.settings = dataclasses.replace(home.settings, switches={"mine": switch})
    async with home.daemon():
        await asyncio.sleep(50)
        home.server.takes.append(1000.0)
        await asyncio.sleep(110)
        assert switch.ends() == ["success", "success", "fail"]
        assert [why for signal, why in switch.heard if signal == "fail"] == [
            "127.0.0.1:1001: last sampled 99 s ago, expected every 5 s"
        ]
        assert len(home.said("A dead man's switch is not told that all works")) == 1


@pytest.mark.looptime
async def test_what_is_down_and_said_to_be_is_no_failure(home: House) -> None:
    switch = Remembers()
    home.settings = dataclasses.replace(home.settings, switches={"mine": switch})
    async with home.daemon():
        home.server.times_out = True
        await asyncio.sleep(200)
    assert switch.ends() == ["success"] * 4


@pytest.mark.looptime
async def test_a_disk_that_takes_nothing_makes_the_round_fail(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = Remembers()
    home.settings = dataclasses.replace(home.settings, switches={"mine": switch})
    async with home.daemon():
        await asyncio.sleep(30)
        monkeypatch.setattr("sentinel.statefile.StateFile.transaction", _full)
        await asyncio.sleep(70)
        monkeypatch.undo()
        await asyncio.sleep(50)
    assert switch.ends() == ["success", "fail", "success"]


@pytest.mark.looptime
async def test_a_store_that_hangs_makes_the_round_fail(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = Remembers()
    home.settings = dataclasses.replace(home.settings, switches={"mine": switch})
    async with home.daemon():
        await asyncio.sleep(30)
        monkeypatch.setattr("sentinel.store.Store.prove", lambda self: asyncio.sleep(1000.0))
        await asyncio.sleep(70)
        monkeypatch.undo()
    assert switch.ends() == ["success", "fail"]


def _full(*_: object) -> Any:
    raise OSError(28, "No space left on device")


@pytest.mark.looptime
async def test_a_ping_that_fails_is_never_told_later(home: House) -> None:
    switch = Remembers(broken=[True])
    home.settings = dataclasses.replace(home.settings, switches={"mine": switch})
    async with home.daemon():
        await asyncio.sleep(150)
        assert await home.counted("sentinel_switch_pings_total", signal="success", outcome="retry") >= 2
        switch.broken.clear()
        await asyncio.sleep(60)
    assert switch.ends() == ["success"]


@pytest.mark.looptime
async def test_a_bug_in_a_ping_or_a_certificate_that_is_not_there_does_not_end_the_watching(home: House) -> None:
    class Broken(Remembers):
        async def end(self, session: aiohttp.ClientSession, round_: Round) -> None:
            raise KeyError("oops")

    blind = Remembers(ca_file=Path("/nowhere/ca.pem"))
    home.settings = dataclasses.replace(home.settings, switches={"broken": Broken(), "blind": blind})
    async with home.daemon() as running:
        await asyncio.sleep(100)
        assert not running.done()
        assert await home.counted("sentinel_switch_pings_total", switch="broken", outcome="bug") == 2
        assert [line["switch"] for line in home.said(
            "A dead man's switch cannot be told: its certificates cannot be loaded"
        )] == ["blind"]  # fmt: skip
    assert blind.heard == []


# In YAML


def test_switches_are_configured_and_summed_up_without_their_secrets(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "targets: [{url: redis://a}]\n"
        "dead_mans_switches:\n"
        f"  hosted: {{kind: healthchecks, url: 'https://hc.example/{CHECK}', interval: 2m}}\n"
    )
    settings = load(path, environment={"HOME": "/h"})
    assert settings.switches == {"hosted": Healthchecks(url=Secret(f"https://hc.example/{CHECK}"), interval=120.0)}
    said = summary(settings)
    assert "dead man's switch hosted: healthchecks, every 2m while all works" in said
    assert CHECK not in said + repr(settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{kind: healthchecks, url: 'https://hc.example/x', interval: 10s}", "must be at least 30 seconds, got 10"),
        ("{kind: healthchecks, url: 'http://hc.example/x'}", "allow_http"),
        ("{kind: gatus, url: 'https://g.example', token: x}", "endpoint"),
        ("{kind: cronitor}", "is not known here"),
    ],
)
def test_a_switch_that_cannot_work_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"targets: [{{url: redis://a}}]\ndead_mans_switches: {{one: {text}}}\n")
    with pytest.raises(ConfigError, match=said):
        load(path, environment={"HOME": "/h"})


async def test_notify_test_sends_a_switch_a_round_and_says_what_came_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(FakeHealthchecks(), f"/{CHECK}") as fake:
        path = tmp_path / "s.yaml"
        path.write_text(
            "targets: [{url: redis://a}]\n"
            f"dead_mans_switches: {{outside: {{kind: healthchecks, url: '{fake.url}'}}}}\n"
        )
        assert await asyncio.to_thread(main, ["notify-test", "outside", "-c", str(path)]) == 0
        fake.modes.append((404, {}, "not found"))
        assert await asyncio.to_thread(main, ["notify-test", "outside", "-c", str(path)]) == 1
        said = capsys.readouterr().out.splitlines()
        assert [signal for signal, _, _ in fake.pings] == ["start", ""]  # type: ignore[attr-defined]
    assert said[0] == "outside ok: it took a round that worked"
    assert said[1].startswith("outside FAILED: 127.0.0.1 answered 404: not found.")
    assert CHECK not in "".join(said)
