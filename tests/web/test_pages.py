"""The pages of a running daemon, asked over HTTP on loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from sentinel.metrics import Metrics
from sentinel.model import Culprit, Eta, Finding, Incident, IncidentState, Severity
from sentinel.pipeline.publishing import Published
from sentinel.web import ListenError, TargetState, View, make_app, serve

NOW = 1764000000.0  # 2025-11-24T16:00:00Z


@dataclass
class Daemon:
    """A daemon as the pages see it."""

    sampled: dict[str, float | None] = field(default_factory=dict)
    ages: dict[str, float] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    counted: Metrics = field(default_factory=lambda: Metrics("0.1.0"))

    def now(self) -> float:
        return NOW

    async def exposition(self) -> bytes:
        return await self.counted.exposition()

    def targets(self) -> Mapping[str, TargetState]:
        return {target: TargetState(time, interval=5.0) for target, time in self.sampled.items()}

    def outbox_ages(self) -> Mapping[str, float]:
        return self.ages

    def degraded(self) -> Sequence[str]:
        return self.troubles

    def open_incidents(self) -> Sequence[Incident]:
        return self.incidents

    async def incident(self, name: str) -> Incident | None:
        return next((one for one in self.incidents if name in (one.id, one.ref)), None)

    def published(self) -> Sequence[tuple[Published, str, str]]:
        return []

    async def beat(self, name: str, kind: str) -> None:
        raise NotImplementedError


class Browser:
    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session, self.base = session, base

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.base + path) as answer:
            return answer.status, await answer.json()


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
async def browser(daemon: Daemon) -> AsyncIterator[Browser]:
    view: View = daemon
    async with serve(make_app(view), "127.0.0.1", 0) as (host, port), aiohttp.ClientSession() as session:
        yield Browser(session, f"http://{host}:{port}")


def incident(target: str, severity: Severity, opened: float, finding: Finding | None = None) -> Incident:
    return Incident(
        id="01KAV9FT00" + "0" * 16,
        dedup_key="sentinel:prod-1:9c",
        target=target,
        cause="leak",
        subject="",
        severity=severity,
        state=IncidentState.OPEN,
        opened=opened,
        updated=opened,
        finding=finding or Finding(target, "leak", "cause", severity, opened, True, "It leaks."),
    )


async def test_metrics_are_served_as_prometheus_wants_them(daemon: Daemon, browser: Browser) -> None:
    daemon.counted.store_failures.inc()
    async with browser.session.get(browser.base + "/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "sentinel_store_failures_total 1.0" in (await answer.text()).splitlines()


async def test_a_daemon_that_answers_is_alive(browser: Browser) -> None:
    assert await browser.get("/healthz") == (200, {"status": "ok", "degraded": []})


async def test_a_degraded_daemon_is_alive_and_says_what_is_wrong(daemon: Daemon, browser: Browser) -> None:
    daemon.troubles = ["The disk is full."]
    assert await browser.get("/healthz") == (200, {"status": "degraded", "degraded": ["The disk is full."]})


async def test_a_daemon_is_ready_when_all_is_recent(daemon: Daemon, browser: Browser) -> None:
    daemon.sampled = {"redis-a": NOW - 15.0, "redis-b": NOW}
    daemon.ages = {"ops/slack": 120.0}
    assert await browser.get("/readyz") == (200, {"ready": True, "reasons": []})


async def test_a_daemon_is_not_ready_before_the_first_poll(daemon: Daemon, browser: Browser) -> None:
    daemon.sampled = {"redis-a": None, "redis-b": NOW}
    reasons = [{"target": "redis-a", "reason": "not sampled yet"}]
    assert await browser.get("/readyz") == (503, {"ready": False, "reasons": reasons})


async def test_a_late_target_and_a_stuck_destination_are_named(daemon: Daemon, browser: Browser) -> None:
    daemon.sampled = {"redis-b": NOW - 16.0, "redis-a": NOW}
    daemon.ages = {"ops/slack": 0.0, "ops/webhook": 121.0}
    status, body = await browser.get("/readyz")
    assert status == 503
    assert body["reasons"] == [
        {"target": "redis-b", "reason": "last sampled 16 s ago, expected every 5 s"},
        {"destination": "ops/webhook", "reason": "a notification has been due for 121 s"},
    ]


async def test_open_incidents_come_worst_first_then_oldest(daemon: Daemon, browser: Browser) -> None:
    daemon.incidents = [
        incident("newer", Severity.WARNING, NOW - 10),
        incident("worst", Severity.CRITICAL, NOW),
        incident("older", Severity.WARNING, NOW - 20),
    ]
    _, body = await browser.get("/api/v1/incidents")
    assert [one["target"] for one in body["incidents"]] == ["worst", "older", "newer"]


async def test_an_incident_says_what_a_reader_needs(daemon: Daemon, browser: Browser) -> None:
    finding = Finding(
        target="redis-a",
        source="leak",
        kind="cause",
        severity=Severity.WARNING,
        time=NOW,
        firing=True,
        summary="`api` holds 412 connections, +3.1/min.",
        eta=Eta(NOW + 60.0, None, "400 clients"),
        culprit=Culprit("api", share=0.75, detail="last command INFO"),
        first_action="Recycle those processes.",
        ruled_out=("not a deploy: nothing closed in 25 min",),
        affected=("encode",),
    )
    daemon.incidents = [incident("redis-a", Severity.WARNING, NOW, finding)]
    _, body = await browser.get("/api/v1/incidents")
    assert body == {
        "time": "2025-11-24T16:00:00.000Z",
        "incidents": [
            {
                "id": "01KAV9FT00" + "0" * 16,
                "ref": "SNT-000000",
                "dedup_key": "sentinel:prod-1:9c",
                "target": "redis-a",
                "cause": "leak",
                "subject": "",
                "severity": "warning",
                "state": "open",
                "opened_at": "2025-11-24T16:00:00.000Z",
                "updated_at": "2025-11-24T16:00:00.000Z",
                "occurrences": 1,
                "flapping": False,
                "acknowledged_at": None,
                "acknowledged_by": "",
                "context": [],
                "summary": "`api` holds 412 connections, +3.1/min.",
                "eta": {"earliest": "2025-11-24T16:01:00.000Z", "latest": None, "wall": "400 clients"},
                "culprit": {"name": "api", "share": 0.75, "detail": "last command INFO"},
                "first_action": "Recycle those processes.",
                "ruled_out": ["not a deploy: nothing closed in 25 min"],
                "affected": ["encode"],
            }
        ],
    }


async def test_an_unknown_path_is_answered_in_json(browser: Browser) -> None:
    assert await browser.get("/admin") == (404, {"error": "Not Found"})


async def test_nothing_can_be_changed(browser: Browser) -> None:
    async with browser.session.post(browser.base + "/api/v1/incidents", json={}) as answer:
        assert answer.status == 405
        assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD"}


async def test_answers_are_not_kept_and_do_not_name_the_library(browser: Browser) -> None:
    async with browser.session.get(browser.base + "/healthz") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Server"] == "sentinel"


async def test_a_port_in_use_is_told_with_the_setting_to_change(daemon: Daemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"^127\.0\.0\.1:{port} is in use.*`http: listen:`"):
            async with serve(make_app(daemon), "127.0.0.1", port):
                pass


async def test_a_foreign_address_is_told_as_such(daemon: Daemon) -> None:
    with pytest.raises(ListenError, match=r"^192\.0\.2\.1:0 is not an address of this machine"):
        async with serve(make_app(daemon), "192.0.2.1", 0):
            pass


async def test_the_port_is_free_again_after_the_block(daemon: Daemon) -> None:
    async with serve(make_app(daemon), "127.0.0.1", 0) as (host, port):
        pass
    socket.create_server((host, port)).close()


@pytest.mark.parametrize("path", ["incidents?state=all&", "events?", "outbox?"])
@pytest.mark.parametrize("limit", ["0", "1001", "-1", "ten"])
async def test_a_limit_that_is_none_is_refused_with_what_it_may_be(browser: Browser, path: str, limit: str) -> None:
    status, answer = await browser.get(f"/api/v1/{path}limit={limit}")
    assert (status, answer["error"]) == (400, f"`limit` must be a whole number from 1 to 1000, got {limit!r}")
