"""Discord: one message an incident, edited in place, and a line for each turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, DeliveryError, Outcome
from sentinel.notifiers.discord import Discord
from sentinel.notifiers.http import open_session
from sentinel.notifiers.voice import Links
from tests.notifiers.fakes import serving
from tests.notifiers.fakes.discord import PATH, FakeDiscord
from tests.notifiers.stories import NOON, leak, notification


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with serving(FakeDiscord(), PATH) as running:
        assert isinstance(running, FakeDiscord)
        yield running


async def tell(discord: FakeDiscord, story: Notification, ref: str | None = None, **settings: Any) -> str | None:
    made = Discord(url=Secret(discord.url), **settings)
    async with open_session(made) as session:
        return await made.notify(session, made.message(story), Attempt(story.event_id, NOON, ref))


async def test_an_incident_is_one_message_that_is_edited_and_turns_are_lines_below(discord: FakeDiscord) -> None:
    ref = await tell(discord, notification())
    assert ref is not None
    await tell(discord, notification(Reason.UPDATED), ref)
    assert list(discord.messages) == [ref]
    worse = notification(Reason.ESCALATED, leak(severity=Severity.CRITICAL), previous_severity=Severity.WARNING)
    await tell(discord, worse, ref)
    assert await tell(discord, notification(Reason.RESOLVED), ref) == ref
    card, *lines = discord.messages.values()
    assert (card["embeds"][0]["title"], card["embeds"][0]["color"]) == ("✅ Connection leak on redis-a", 0x2EB67D)
    assert [line["content"].partition(":")[0] for line in lines] == [
        "🔴 Connection leak on redis-a",
        "✅ Connection leak on redis-a",
    ]


async def test_a_message_that_somebody_deleted_is_followed_by_a_new_one(discord: FakeDiscord) -> None:
    ref = await tell(discord, notification())
    discord.messages.clear()
    assert list(discord.messages) == []
    await tell(discord, notification(Reason.RESOLVED), ref)
    (card,) = discord.messages.values()
    assert card["embeds"][0]["title"] == "✅ Connection leak on redis-a"


async def test_a_webhook_that_was_deleted_is_gone(discord: FakeDiscord) -> None:
    discord.deleted = True
    with pytest.raises(DeliveryError, match="the webhook was deleted") as caught:
        await tell(discord, notification())
    assert caught.value.outcome is Outcome.GONE


async def test_the_longer_wait_of_header_and_body_is_taken(discord: FakeDiscord) -> None:
    discord.modes.append((429, {"Retry-After": "1"}, '{"message": "slow", "retry_after": 2.5, "global": false}'))
    with pytest.raises(DeliveryError) as caught:
        await tell(discord, notification())
    assert (caught.value.outcome, caught.value.after) == (Outcome.THROTTLED, 2.5)


async def test_a_thread_is_told_with_every_call(discord: FakeDiscord) -> None:
    ref = await tell(discord, notification(), thread_id="77")
    await tell(discord, notification(Reason.RESOLVED), ref, thread_id="77")
    assert discord.threads == ["77", "77", "77"]


async def test_markup_in_names_is_taken_literally_and_links_work(discord: FakeDiscord) -> None:
    links = Links(runbook_url="https://wiki.example/{cause}")
    await tell(discord, notification(incident=leak(finding=leak().finding, target="a_b")), links=links)
    (card,) = discord.messages.values()
    assert card["embeds"][0]["fields"][-1] == {"name": "Read on", "value": "[Runbook](https://wiki.example/leak)"}
    assert "api-assembly-status processes" in card["embeds"][0]["fields"][0]["value"]
    line = Discord(url=Secret(discord.url)).message(notification(Reason.RESOLVED, leak(target="*all*"))).body
    assert rb"on \\*all\\*" in line


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"url": Secret("https://discord.com/api/webhooks/1/x?wait=true")}, "^url must be the webhook's URL as it is"),
        ({"url": Secret("https://discord.com/api/webhooks/1/x"), "thread_id": "news"}, "^thread_id must be the digits"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Discord(**settings)
