"""Slack by a bot: one message an incident, kept current; turns in its thread; found again after a lost answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sentinel.model import Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, DeliveryError, Outcome
from sentinel.notifiers.http import open_session
from sentinel.notifiers.slack_app import SlackApp
from sentinel.notifiers.voice import Links
from tests.notifiers.fakes import serving
from tests.notifiers.fakes.slack_app import TOKEN, FakeSlackApp
from tests.notifiers.stories import NOON, leak, notification, resolved

CRITICAL = leak(severity=Severity.CRITICAL, sequence=2)


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlackApp]:
    async with serving(FakeSlackApp(), "/api") as running:
        assert isinstance(running, FakeSlackApp)
        yield running


@pytest.fixture(autouse=True)
def _no_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentinel.notifiers.slack_app._LAG", 0.0)


async def tell(
    slack: FakeSlackApp, story: Any, ref: str | None = None, *, unsure: bool = False, **settings: Any
) -> str | None:
    made = SlackApp(token=Secret(TOKEN), channel=settings.pop("channel", slack.channel), url=slack.url, **settings)
    async with open_session(made) as session:
        attempt = Attempt(story.event_id, NOON, ref, NOON if unsure else None)
        return await made.notify(session, made.message(story), attempt)


async def test_an_incident_is_one_message_that_is_edited_in_place(slack: FakeSlackApp) -> None:
    ref = await tell(slack, notification())
    for reason in (Reason.UPDATED, Reason.ESCALATED, Reason.RESOLVED):
        assert await tell(slack, notification(reason), ref) == ref
    (parent,) = slack.parents
    assert parent["blocks"][0]["text"]["text"] == "✅ Connection leak on redis-a"
    assert parent["metadata"]["event_payload"]["seq"] == 2


async def test_turns_are_told_in_the_thread_and_an_update_is_not(slack: FakeSlackApp) -> None:
    ref = await tell(slack, notification())
    await tell(slack, notification(Reason.UPDATED), ref)
    assert slack.replies == []
    await tell(slack, notification(Reason.ESCALATED, CRITICAL, previous_severity=Severity.WARNING), ref)
    await tell(slack, notification(Reason.REPEATED), ref)
    await tell(slack, notification(Reason.RESOLVED), ref)
    assert [reply["text"].partition(".")[0] for reply in slack.replies] == [
        "🔴 critical, was warning",
        "🟠 still warning after 0 s",
        "✅ resolved after 2 h 6 min",
    ]
    assert {reply["thread_ts"] for reply in slack.replies} == {slack.parents[0]["ts"]}


@pytest.mark.parametrize(("settings", "shown"), [({}, [True, False]), ({"broadcast_resolved": True}, [True, True])])
async def test_an_escalation_is_shown_in_the_channel_too(
    slack: FakeSlackApp, settings: dict[str, Any], shown: list[bool]
) -> None:
    ref = await tell(slack, notification())
    await tell(slack, notification(Reason.ESCALATED, CRITICAL), ref, **settings)
    await tell(slack, notification(Reason.RESOLVED), ref, **settings)
    assert [reply["reply_broadcast"] for reply in slack.replies] == shown


@pytest.mark.parametrize("lag", [0, 1])
async def test_a_message_whose_answer_was_lost_is_found_again(slack: FakeSlackApp, lag: int) -> None:
    slack.modes.append("reset after")
    with pytest.raises(DeliveryError) as lost:
        await tell(slack, notification())
    assert lost.value.outcome is Outcome.AMBIGUOUS
    slack.lag = lag
    ref = await tell(slack, notification(), unsure=True)
    assert ref == f"{slack.channel}:{slack.parents[0]['ts']}"
    assert len(slack.messages) == 1


async def test_another_incidents_message_and_a_reply_are_not_mistaken_for_it(slack: FakeSlackApp) -> None:
    other = notification(incident=leak(id="01OTHER", dedup_key="sentinel:prod-1:0"))
    ref = await tell(slack, other)
    await tell(slack, notification(Reason.ESCALATED, leak(id="01OTHER", severity=Severity.CRITICAL)), ref)
    slack.page = 1
    await tell(slack, notification(), unsure=True)
    assert len(slack.parents) == 2


async def test_a_message_is_found_on_a_later_page(slack: FakeSlackApp) -> None:
    await tell(slack, notification())
    for number in range(3):
        await tell(slack, notification(incident=leak(id=f"01OTHER{number}")))
    slack.page = 1
    await tell(slack, notification(), unsure=True)
    assert len(slack.parents) == 4


async def test_a_reply_whose_answer_was_lost_is_not_posted_twice(slack: FakeSlackApp) -> None:
    ref = await tell(slack, notification())
    slack.modes.extend([None, "reset after"])
    with pytest.raises(DeliveryError):
        await tell(slack, notification(Reason.RESOLVED), ref)
    await tell(slack, notification(Reason.RESOLVED), ref, unsure=True)
    assert len(slack.replies) == 1


async def test_nothing_is_posted_while_the_list_cannot_be_read(slack: FakeSlackApp) -> None:
    slack.modes.append(503)
    with pytest.raises(DeliveryError):
        await tell(slack, notification(), unsure=True)
    assert slack.messages == []


async def test_without_the_right_to_look_it_is_posted_again(slack: FakeSlackApp) -> None:
    slack.scopes = ("chat:write",)
    await tell(slack, notification())
    await tell(slack, notification(), unsure=True)
    assert len(slack.parents) == 2


@pytest.mark.parametrize("word", ["message_not_found", "edit_window_closed", "cant_update_message"])
async def test_a_message_that_cannot_be_edited_any_more_is_followed_by_a_new_one(
    slack: FakeSlackApp, word: str
) -> None:
    ref = await tell(slack, notification())
    slack.locked = word
    new = await tell(slack, notification(Reason.RESOLVED), ref)
    assert new != ref
    assert [m["blocks"][0]["text"]["text"][0] for m in slack.parents] == ["🟠", "✅"]
    assert slack.replies == []


async def test_a_message_in_a_channel_that_was_left_is_followed_by_one_in_the_new(slack: FakeSlackApp) -> None:
    assert await tell(slack, notification(Reason.RESOLVED), "C9:1.0") == f"{slack.channel}:{slack.parents[0]['ts']}"


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("ratelimited", Outcome.THROTTLED),
        ("service_unavailable", Outcome.RETRY),
        ("internal_error", Outcome.AMBIGUOUS),
        ("invalid_auth", Outcome.REJECTED_CONFIG),
        ("channel_not_found", Outcome.REJECTED_CONFIG),
        ("is_archived", Outcome.REJECTED_CONFIG),
        ("msg_blocks_too_long", Outcome.REJECTED_PAYLOAD),
        ("a_word_of_tomorrow", Outcome.REJECTED_PAYLOAD),
    ],
)
async def test_slacks_word_says_what_the_failure_means(slack: FakeSlackApp, word: str, outcome: Outcome) -> None:
    slack.modes.append((200, {}, f'{{"ok": false, "error": "{word}"}}'))
    with pytest.raises(DeliveryError, match=f"answered 200: Slack says {word}") as refusal:
        await tell(slack, notification())
    assert refusal.value.outcome is outcome


async def test_what_is_not_slack_is_a_matter_of_configuration(slack: FakeSlackApp) -> None:
    slack.modes.append((200, {}, "<html>Sign in</html>"))
    with pytest.raises(DeliveryError, match="not the answer of Slack's Web API: <html>Sign in</html>") as refusal:
        await tell(slack, notification())
    assert refusal.value.outcome is Outcome.REJECTED_CONFIG


async def test_links_are_at_the_foot_of_the_message(slack: FakeSlackApp) -> None:
    links = Links("https://sentinel.example/incidents/{id}", "https://wiki.example/{cause}?a=1&b=|")
    await tell(slack, notification(Reason.RESOLVED, resolved()), links=links)
    foot = slack.parents[0]["blocks"][-1]["elements"][0]["text"]
    assert f"<https://sentinel.example/incidents/{leak().id}|Incident>" in foot
    assert "<https://wiki.example/leak?a=1&amp;b=%7C|Runbook>" in foot


def test_a_bot_needs_a_token_and_a_channel() -> None:
    with pytest.raises(ValueError, match=r"^channel must be"):
        SlackApp(token=Secret("xoxb-1"), channel=" ")
    with pytest.raises(ValueError, match=r"^token must be") as caught:
        SlackApp(token=Secret("Bearer xoxb-1"), channel="C1")
    assert "xoxb-1" not in str(caught.value)
