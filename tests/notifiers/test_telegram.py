"""Telegram: one message an incident, edited in place, and a reply for each turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, DeliveryError, Outcome
from sentinel.notifiers.http import open_session
from sentinel.notifiers.telegram import Telegram
from sentinel.notifiers.voice import Links
from tests.notifiers.fakes import serving
from tests.notifiers.fakes.telegram import CHAT, TOKEN, FakeTelegram
from tests.notifiers.stories import NOON, leak, notification


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with serving(FakeTelegram(), "") as running:
        assert isinstance(running, FakeTelegram)
        yield running


async def tell(fake: FakeTelegram, story: Notification, ref: str | None = None, **settings: Any) -> str | None:
    made = Telegram(**{"token": Secret(TOKEN), "chat_id": CHAT, "url": fake.url} | settings)
    async with open_session(made) as session:
        return await made.notify(session, made.message(story), Attempt(story.event_id, NOON, ref))


async def test_an_incident_is_one_message_that_is_edited_and_turns_are_replies(telegram: FakeTelegram) -> None:
    ref = await tell(telegram, notification())
    assert ref == f"{CHAT}:100"
    await tell(telegram, notification(Reason.UPDATED, time=NOON + 60), ref)
    worse = notification(Reason.ESCALATED, leak(severity=Severity.CRITICAL), previous_severity=Severity.WARNING)
    await tell(telegram, worse, ref)
    assert await tell(telegram, notification(Reason.RESOLVED), ref) == ref
    card, *replies = telegram.messages.values()
    assert card["text"].startswith("✅ <b>Connection leak on redis-a</b> · resolved after 2 h 6 min")
    assert [reply["reply_parameters"]["message_id"] for reply in replies] == [100, 100]
    assert replies[0]["text"].startswith("🔴 Connection leak on redis-a: critical, was warning. Full between")


async def test_an_edit_that_changes_nothing_is_a_success(telegram: FakeTelegram) -> None:
    ref = await tell(telegram, notification())
    assert await tell(telegram, notification(), ref) == ref


async def test_a_message_that_was_deleted_is_followed_by_a_new_one(telegram: FakeTelegram) -> None:
    ref = await tell(telegram, notification())
    telegram.messages = {7: {"text": "something else"}}
    assert await tell(telegram, notification(Reason.RESOLVED), ref) == f"{CHAT}:101"


async def test_a_group_that_became_a_supergroup_is_followed(telegram: FakeTelegram) -> None:
    telegram.moved_from = "-42"
    ref = await tell(telegram, notification(), chat_id="-42")
    assert ref == f"{CHAT}:100"
    assert await tell(telegram, notification(Reason.RESOLVED), ref, chat_id="-42") == ref
    assert len(telegram.messages) == 2


@pytest.mark.parametrize(
    ("status", "words", "outcome"),
    [
        (400, "Bad Request: chat not found", Outcome.REJECTED_CONFIG),
        (400, "Bad Request: can't parse entities", Outcome.REJECTED_PAYLOAD),
        (403, "Forbidden: bot was kicked from the group chat", Outcome.REJECTED_CONFIG),
        (401, "Unauthorized", Outcome.REJECTED_CONFIG),
    ],
)
async def test_what_telegram_says_tells_what_the_failure_means(
    telegram: FakeTelegram, status: int, words: str, outcome: Outcome
) -> None:
    telegram.modes.append((status, {}, orjson.dumps({"ok": False, "description": words}).decode()))
    with pytest.raises(DeliveryError) as caught:
        await tell(telegram, notification())
    assert caught.value.outcome is outcome
    assert TOKEN not in str(caught.value)


async def test_the_wait_that_the_body_asks_for_is_taken(telegram: FakeTelegram) -> None:
    telegram.modes.append((429, {}, '{"ok": false, "error_code": 429, "parameters": {"retry_after": 15}}'))
    with pytest.raises(DeliveryError) as caught:
        await tell(telegram, notification())
    assert (caught.value.outcome, caught.value.after) == (Outcome.THROTTLED, 15.0)


async def test_a_topic_and_links_are_told(telegram: FakeTelegram) -> None:
    links = Links(runbook_url="https://wiki.example/{cause}?a=1&b=2")
    await tell(telegram, notification(), message_thread_id=5, links=links)
    (card,) = telegram.messages.values()
    assert card["message_thread_id"] == 5
    assert '<a href="https://wiki.example/leak?a=1&amp;b=2">Runbook</a>' in card["text"]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [({"token": Secret("hunter2")}, "^token must be the bot's token"), ({"chat_id": "team"}, "^chat_id must be a n")],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        Telegram(**{"token": Secret(TOKEN), "chat_id": CHAT} | settings)
    assert "hunter2" not in str(caught.value)
