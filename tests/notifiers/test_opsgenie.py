"""Opsgenie: which alert stands open, with which text and priority, after which notifications."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, DeliveryError, Outcome
from sentinel.notifiers.http import open_session
from sentinel.notifiers.opsgenie import Opsgenie
from tests.notifiers.fakes import serving
from tests.notifiers.fakes.opsgenie import KEY, FakeOpsgenie
from tests.notifiers.stories import NOON, leak, notification

ALIAS = leak().dedup_key


@pytest.fixture
async def opsgenie() -> AsyncIterator[FakeOpsgenie]:
    async with serving(FakeOpsgenie(), "") as running:
        assert isinstance(running, FakeOpsgenie)
        yield running


async def tell(fake: FakeOpsgenie, story: Notification, **settings: Any) -> None:
    made = Opsgenie(api_key=Secret(KEY), url=fake.url, **settings)
    async with open_session(made) as session:
        await made.notify(session, made.message(story), Attempt(story.event_id, NOON))


async def test_an_incident_is_one_alert_whose_text_and_priority_follow(opsgenie: FakeOpsgenie) -> None:
    await tell(opsgenie, notification())
    assert opsgenie.open[ALIAS]["priority"] == "P3"
    worse = leak(severity=Severity.CRITICAL, updated=NOON + 5400)
    await tell(opsgenie, notification(Reason.ESCALATED, worse, previous_severity=Severity.WARNING))
    alert = opsgenie.open[ALIAS]
    assert (alert["priority"], alert["count"]) == ("P1", 2)
    assert "critical, was warning" in alert["description"]
    await tell(opsgenie, notification(Reason.ACKNOWLEDGED))
    assert opsgenie.open[ALIAS]["acknowledged"]
    await tell(opsgenie, notification(Reason.RESOLVED))
    assert (opsgenie.open, len(opsgenie.closed)) == ({}, 1)


async def test_a_second_opening_and_a_second_close_change_nothing(opsgenie: FakeOpsgenie) -> None:
    for reason in (Reason.OPENED, Reason.OPENED, Reason.RESOLVED, Reason.RESOLVED):
        await tell(opsgenie, notification(reason))
    assert (opsgenie.open, len(opsgenie.closed)) == ({}, 1)


async def test_an_update_opens_what_is_not_open(opsgenie: FakeOpsgenie) -> None:
    await tell(opsgenie, notification(Reason.UPDATED))
    assert opsgenie.open[ALIAS]["message"].startswith("Connection leak on redis-a: Connections rise by 37/min")


async def test_teams_and_tags_are_told(opsgenie: FakeOpsgenie) -> None:
    await tell(opsgenie, notification(), teams=("queues",), tags=("redis",))
    assert opsgenie.open[ALIAS]["responders"] == [{"type": "team", "name": "queues"}]
    assert opsgenie.open[ALIAS]["tags"] == ["redis"]


async def test_a_throttled_account_is_left_alone_for_its_period(opsgenie: FakeOpsgenie) -> None:
    opsgenie.modes.append((429, {"X-RateLimit-Period-In-Sec": "60", "X-RateLimit-State": "THROTTLED"}, "slow down"))
    with pytest.raises(DeliveryError) as caught:
        await tell(opsgenie, notification())
    assert (caught.value.outcome, caught.value.after) == (Outcome.THROTTLED, 60.0)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"api_key": Secret("GenieKey hunter2")}, "^api_key must be the key alone"),
        ({"tags": ("x" * 51,)}, "^tags must be at most 20, of at most 50"),
        ({"teams": ("x",) * 51}, "^teams must be at most 50, got 51"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        Opsgenie(**{"api_key": Secret(KEY)} | settings)
    assert "hunter2" not in str(caught.value)
