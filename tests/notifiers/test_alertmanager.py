"""Alertmanager as destination and as dialect: what fires there, for how long, and how it is spoken."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which
from typing import Any

import aiohttp
import orjson
import pytest

from sentinel.clock import Clock
from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.alertmanager import Alertmanager
from sentinel.notifiers.base import Attempt, DeliveryError, Kept, Outcome
from sentinel.notifiers.http import open_session
from sentinel.notifiers.voice import Links
from sentinel.notifiers.webhook import Webhook
from tests.notifiers.fakes import Fake, serving
from tests.notifiers.fakes.alertmanager import FakeAlertmanager
from tests.notifiers.stories import NOON, enormous, leak, notification, resolved

CRITICAL = notification(Reason.ESCALATED, leak(severity=Severity.CRITICAL))


@pytest.fixture
async def fake() -> AsyncIterator[FakeAlertmanager]:
    async with serving(FakeAlertmanager(), "") as running:
        assert isinstance(running, FakeAlertmanager)
        yield running


async def tell(made: Alertmanager, story: Notification, now: float = NOON, ref: str | None = None) -> str | None:
    async with open_session(made) as session:
        return await made.notify(session, made.message(story), Attempt(story.event_id, now, ref))


async def resend(made: Alertmanager, now: float, *refs: str | None, still_open: bool = True) -> None:
    async with open_session(made) as session:
        await made.resend(session, [Kept(ref, still_open) for ref in refs if ref], now)


def severities(fake: FakeAlertmanager, now: float) -> list[str]:
    return [each["labels"]["severity"] for each in fake.firing(now)]


async def test_what_fires_is_sent_with_an_end_a_little_ahead(fake: FakeAlertmanager) -> None:
    await tell(Alertmanager(urls=(fake.url,)), notification())
    (alert,) = fake.firing(NOON + 299)
    assert alert["labels"] == {
        "alertname": "SentinelLeak", "cause": "leak", "sentinel_instance": "prod-1", "severity": "warning",
        "target": "redis-a",
    }  # fmt: skip
    assert fake.firing(NOON + 301) == []


async def test_what_fires_is_sent_again_and_so_goes_on_firing(fake: FakeAlertmanager) -> None:
    made = Alertmanager(urls=(fake.url,), resend_interval=120.0)
    ref = await tell(made, notification())
    fake.held.clear()
    await resend(made, NOON + 120, ref)
    assert severities(fake, NOON + 120 + 479) == ["warning"]
    assert severities(fake, NOON + 120 + 481) == []


async def test_the_end_is_said_again_for_five_minutes(fake: FakeAlertmanager) -> None:
    made = Alertmanager(urls=(fake.url,))
    end = NOON + 7560
    ref = await tell(made, notification(Reason.RESOLVED), end, await tell(made, notification()))
    assert fake.firing(end) == []
    fake.held.clear()
    await resend(made, end + 299, ref, still_open=False)
    assert len(fake.held) == 1
    fake.held.clear()
    await resend(made, end + 301, ref, still_open=False)
    assert fake.held == {}


async def test_what_is_no_longer_open_is_not_kept_alive(fake: FakeAlertmanager) -> None:
    made = Alertmanager(urls=(fake.url,))
    ref = await tell(made, notification())
    fake.held.clear()
    await resend(made, NOON + 60, ref, still_open=False)
    assert fake.held == {}


async def test_an_alert_that_grows_worse_takes_the_place_of_the_one_before(fake: FakeAlertmanager) -> None:
    made = Alertmanager(urls=(fake.url,))
    ref = await tell(made, CRITICAL, NOON + 60, await tell(made, notification()))
    assert severities(fake, NOON + 61) == ["critical"]
    fake.held.clear()
    await resend(made, NOON + 120, ref)
    assert severities(fake, NOON + 121) == ["critical"]
    assert len(fake.held) == 2


async def test_every_replica_is_told_and_one_that_is_down_gets_it_later(fake: FakeAlertmanager) -> None:
    async with serving(FakeAlertmanager(), "") as other:
        assert isinstance(other, FakeAlertmanager)
        made = Alertmanager(urls=(other.url, fake.url + "/"))
        other.modes.extend([503, 503])
        ref = await tell(made, notification())
        assert severities(fake, NOON) == ["warning"]
        with pytest.raises(DeliveryError, match="answered 503"):
            await resend(made, NOON + 60, ref)
        await resend(made, NOON + 120, ref)
        assert severities(other, NOON + 120) == ["warning"]


async def test_it_failed_only_if_every_replica_failed_and_then_as_the_most_hopeful_says(
    fake: FakeAlertmanager,
) -> None:
    async with serving(FakeAlertmanager("t0ken"), "") as locked:
        fake.modes.append(503)
        with pytest.raises(DeliveryError) as failed:
            await tell(Alertmanager(urls=(locked.url, fake.url)), notification())
    assert failed.value.outcome is Outcome.RETRY


async def test_labels_and_authorization_of_ones_own_are_sent() -> None:
    async with serving(FakeAlertmanager("t0ken"), "") as fake:
        assert isinstance(fake, FakeAlertmanager)
        made = Alertmanager(urls=(fake.url,), authorization=Secret("Bearer t0ken"), labels={"team": "queues"})
        await tell(made, notification())
        assert fake.firing(NOON)[0]["labels"]["team"] == "queues"


async def test_a_watchdog_fires_for_as_long_as_sentinel_sends(fake: FakeAlertmanager) -> None:
    await resend(Alertmanager(urls=(fake.url,), watchdog=True), NOON)
    assert [each["labels"]["alertname"] for each in fake.firing(NOON + 299)] == ["SentinelWatchdog"]
    assert fake.firing(NOON + 301) == []


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"urls": ()}, "^urls must name at least one"),
        ({"urls": ("http://alertmanager:9093",)}, "^urls must begin with https://; for plain http to alertmanager"),
        ({"urls": ("https://a",), "labels": {"my team": "x"}}, "^labels must have names of letters"),
        ({"urls": ("https://a",), "resend_interval": 0.0}, "^resend_interval must be at least 1s"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Alertmanager(**settings)


def test_the_dialect_speaks_of_one_alert_in_a_group() -> None:
    webhook = Webhook(Secret("https://hooks.example/x"), dialect="alertmanager")
    firing = orjson.loads(webhook.message(notification()).body)
    over = orjson.loads(webhook.message(notification(Reason.RESOLVED)).body)
    assert firing["groupKey"] == over["groupKey"] == '{}:{alertname="SentinelLeak", target="redis-a"}'
    assert firing["alerts"][0]["fingerprint"] == over["alerts"][0]["fingerprint"] == "0f897f2000385467"
    assert (firing["status"], firing["alerts"][0]["endsAt"]) == ("firing", "0001-01-01T00:00:00Z")
    assert (over["status"], over["alerts"][0]["endsAt"]) == ("resolved", "2025-11-25T14:06:00.000Z")
    assert (firing["notification_reason"], over["notification_reason"]) == (
        "first notification",
        "all alerts resolved",
    )


def test_the_dialect_stays_within_the_size_of_a_webhook() -> None:
    message = Webhook(Secret("https://hooks.example/x"), dialect="alertmanager").message(enormous())
    assert len(message.body) <= 60_000
    assert message.truncated == ("description",)


# Against Debian's Alertmanager


@asynccontextmanager
async def alertmanager(tmp_path: Path, sink: str) -> AsyncIterator[str]:
    """The real one, sending to a webhook at once; gives its URL."""
    if which("prometheus-alertmanager") is None:
        pytest.skip("prometheus-alertmanager is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = {
        "route": {"receiver": "ops", "group_by": ["alertname", "target"], "group_wait": "0s", "group_interval": "1s"},
        "receivers": [{"name": "ops", "webhook_configs": [{"url": sink}]}],
    }
    (tmp_path / "alertmanager.yml").write_text(json.dumps(config))
    child = await asyncio.create_subprocess_exec(
        "prometheus-alertmanager", f"--config.file={tmp_path / 'alertmanager.yml'}",
        f"--storage.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=", stdout=sys.stderr, stderr=sys.stderr,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        await until_ready(url)
        yield url
    finally:
        child.terminate()
        await child.wait()


async def until_ready(url: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(20):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/-/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)


async def held(url: str) -> list[Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v2/alerts") as answer:
        found: list[Any] = await answer.json()
        return found


def shape(value: Any) -> Any:
    """What a receiver depends on: keys and types, not texts."""
    if isinstance(value, dict):
        free = set(map(type, value.values())) <= {str} and "status" not in value
        return "texts" if free else {key: shape(inner) for key, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value)


@pytest.mark.slow
async def test_a_real_alertmanager_takes_it_and_sends_what_our_dialect_sends(tmp_path: Path) -> None:
    now = Clock().now()
    lately = leak(opened=now - 60, updated=now)
    links = Links("https://sentinel.example/{id}", "https://wiki.example/{cause}")
    async with serving(Fake()) as sink, alertmanager(tmp_path, sink.url) as url, asyncio.timeout(60):
        made = Alertmanager(urls=(url,), links=links)
        opened = notification(incident=lately)
        ref = await tell(made, opened, now)
        (alert,) = await held(url)
        assert alert["labels"] == orjson.loads(made.message(opened).body)["labels"]
        assert alert["status"]["state"] in ("active", "unprocessed")
        await sink.seen.wait()
        theirs = sink.accepted[0]
        over = notification(Reason.RESOLVED, resolved(opened=now - 60, updated=now, resolved=now))
        await tell(made, over, now, ref)
        assert await held(url) == []
        while sink.accepted[-1]["status"] != "resolved":
            sink.seen.clear()
            await sink.seen.wait()
    spoken = Webhook(Secret("https://hooks.example/x"), dialect="alertmanager", links=links)
    for their, mine in ((theirs, opened), (sink.accepted[-1], over)):
        ours = orjson.loads(spoken.message(mine).body)
        assert ours.keys() - their.keys() == {"notification_reason", "routeLabels"}, "these came later than 0.25"
        assert shape({key: ours[key] for key in their}) == shape(their)
        assert [ours[key] for key in ("status", "version", "groupKey", "groupLabels", "commonLabels")] == [
            their[key] for key in ("status", "version", "groupKey", "groupLabels", "commonLabels")
        ]
        assert (ours["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z") == (mine is opened)


@pytest.mark.slow
async def test_a_real_alertmanager_takes_the_largest_and_oddest(tmp_path: Path) -> None:
    async with serving(Fake()) as sink, alertmanager(tmp_path, sink.url) as url:
        await tell(Alertmanager(urls=(url,)), enormous(), Clock().now())
        assert len(await held(url)) == 1
