"""PagerDuty: which alert stands open after which events, and by which key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, DeliveryError, Outcome
from sentinel.notifiers.http import open_session
from sentinel.notifiers.pagerduty import PagerDuty
from sentinel.notifiers.voice import Links
from sentinel.pipeline.actions import Deploy
from sentinel.pipeline.deploys import deployed
from tests.notifiers.fakes import OTHER_ROUTING_KEY, ROUTING_KEY, FakePagerDuty, serving
from tests.notifiers.stories import NOON, leak, notification

KEY = leak().dedup_key


@pytest.fixture
async def pagerduty() -> AsyncIterator[FakePagerDuty]:
    async with serving(FakePagerDuty(), "/v2/enqueue") as running:
        assert isinstance(running, FakePagerDuty)
        yield running


async def tell(
    fake: FakePagerDuty, story: Notification, ref: str | None = None, key: str = ROUTING_KEY, before: str | None = None
) -> str | None:
    previous = Secret(before) if before else None
    made = PagerDuty(routing_key=Secret(key), previous_routing_key=previous, url=fake.url)
    async with open_session(made) as session:
        return await made.notify(session, made.message(story), Attempt(story.event_id, NOON, ref))


async def test_an_incident_is_one_alert_until_it_is_resolved(pagerduty: FakePagerDuty) -> None:
    ref = await tell(pagerduty, notification())
    await tell(pagerduty, notification(Reason.ESCALATED, leak(severity=Severity.CRITICAL)), ref)
    assert [event["payload"]["severity"] for event in pagerduty.open[KEY]] == ["warning", "critical"]
    await tell(pagerduty, notification(Reason.RESOLVED), ref)
    assert pagerduty.open == {}


async def test_the_reference_does_not_show_the_key(pagerduty: FakePagerDuty) -> None:
    ref = await tell(pagerduty, notification())
    assert ref is not None
    assert len(ref) == 16
    assert ROUTING_KEY not in ref


async def test_an_alert_is_resolved_by_the_key_that_opened_it(pagerduty: FakePagerDuty) -> None:
    ref = await tell(pagerduty, notification())
    await tell(pagerduty, notification(Reason.RESOLVED), ref, OTHER_ROUTING_KEY, before=ROUTING_KEY)
    assert pagerduty.open == {}


async def test_an_alert_whose_key_is_gone_is_told_as_left_open(pagerduty: FakePagerDuty) -> None:
    ref = await tell(pagerduty, notification())
    with pytest.raises(DeliveryError, match="Close it by hand, or set previous_routing_key") as caught:
        await tell(pagerduty, notification(Reason.RESOLVED), ref, OTHER_ROUTING_KEY)
    assert caught.value.outcome is Outcome.REJECTED_PAYLOAD
    moved = await tell(pagerduty, notification(Reason.UPDATED), ref, OTHER_ROUTING_KEY)
    assert moved != ref


async def test_links_lead_to_page_and_runbook(pagerduty: FakePagerDuty) -> None:
    links = Links("https://sentinel.example/incidents/{ref}", "https://wiki.example/{cause}")
    made = PagerDuty(routing_key=Secret(ROUTING_KEY), url=pagerduty.url, links=links)
    async with open_session(made) as session:
        await made.notify(session, made.message(notification()), Attempt("msg_1", NOON))
    assert pagerduty.accepted[0]["links"] == [
        {"href": f"https://sentinel.example/incidents/{leak().ref}", "text": "Incident"},
        {"href": "https://wiki.example/leak", "text": "Runbook"},
    ]
    assert pagerduty.accepted[0]["client_url"] == f"https://sentinel.example/incidents/{leak().ref}"


async def test_a_deploy_is_a_change_beside_the_alerts_and_no_alert(pagerduty: FakePagerDuty) -> None:
    deploy = Deploy(NOON, "ci", "v4.2", ("redis-a", "redis-b"), text="new pool")
    links = Links("https://sentinel.example/deploys/{subject}")
    made = PagerDuty(routing_key=Secret(OTHER_ROUTING_KEY), url=pagerduty.url, change_events=True, links=links)
    told = notification(Reason.DEPLOYED, deployed(deploy, "prod-1"))
    async with open_session(made) as session:
        assert await made.notify(session, made.message(told), Attempt("msg_1", NOON)) is None
    (change,) = pagerduty.changes
    assert change["payload"]["summary"] == "ci deployed v4.2 to redis-a redis-b. new pool"
    assert change["links"] == [{"href": "https://sentinel.example/deploys/v4.2", "text": "Incident"}]
    assert pagerduty.open == {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"routing_key": Secret("R0123456789abcdef0123456789abcde")}, "key of a ruleset"),
        ({"url": "https://events.pagerduty.com/generic"}, "ends with /v2/enqueue"),
    ],
)
def test_changes_that_nobody_would_keep_are_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        PagerDuty(**{"routing_key": Secret(OTHER_ROUTING_KEY), "change_events": True} | changes)
