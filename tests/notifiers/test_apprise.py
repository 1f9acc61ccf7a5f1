"""Apprise: told through a real plug-in of it, JSON over HTTP, to a receiver that refuses what it should."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sentinel.model import Notification, Reason, Secret
from sentinel.notifiers.apprise import Apprise
from sentinel.notifiers.base import Attempt, DeliveryError, Outcome
from sentinel.notifiers.http import open_session
from tests.notifiers.fakes import Fake, serving
from tests.notifiers.fakes.apprise import JsonReceiver
from tests.notifiers.stories import NOON, enormous, notification


@pytest.fixture
async def receiver() -> AsyncIterator[Fake]:
    async with serving(JsonReceiver()) as running:
        yield running


async def tell(fake: Fake, story: Notification) -> None:
    made = Apprise(url=Secret(fake.url.replace("http://", "json://")))
    async with open_session(made) as session:
        await made.notify(session, made.message(story), Attempt(story.event_id, NOON))


async def test_title_text_and_type_arrive(receiver: Fake) -> None:
    await tell(receiver, notification())
    await tell(receiver, notification(Reason.RESOLVED))
    opened, over = receiver.accepted
    assert opened["title"].startswith("🟠 Connection leak on redis-a · warning · SNT-")
    assert opened["message"].splitlines()[0].startswith("Connections rise by 37/min")
    assert (opened["type"], over["type"]) == ("warning", "success")


@pytest.mark.parametrize("reason", list(Reason))
async def test_the_largest_and_oddest_arrives(receiver: Fake, reason: Reason) -> None:
    await tell(receiver, enormous(reason))
    assert len(receiver.accepted) == 1


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        (401, Outcome.REJECTED_CONFIG),
        (400, Outcome.REJECTED_PAYLOAD),
        (429, Outcome.THROTTLED),
        (500, Outcome.AMBIGUOUS),
    ],
)
async def test_what_apprise_says_tells_what_the_failure_means(receiver: Fake, mode: Any, outcome: Outcome) -> None:
    receiver.modes.append(mode)
    with pytest.raises(DeliveryError, match="^Apprise says: Failed to send JSON") as caught:
        await tell(receiver, notification())
    assert (caught.value.outcome, caught.value.status) == (outcome, mode)
    assert "TOKEN" not in str(caught.value)


async def test_a_receiver_that_is_not_there_is_tried_again(receiver: Fake) -> None:
    receiver.modes.append("reset")
    with pytest.raises(DeliveryError) as caught:
        await tell(receiver, notification())
    assert caught.value.outcome is Outcome.RETRY


def test_a_url_that_apprise_does_not_know_is_refused_without_repeating_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="^url is none that Apprise knows") as caught:
        Apprise(url=Secret("nosuch://TOKEN"))
    assert "TOKEN" not in str(caught.value)
    assert capsys.readouterr().err == ""
