"""Microsoft Teams: cards that are cards, small enough, and errors that hide in a success."""

from __future__ import annotations

import asyncio
import os
from shutil import which
from typing import Any

import orjson
import pytest

from sentinel.model import Reason, Secret
from sentinel.notifiers.base import Attempt, DeliveryError, Outcome
from sentinel.notifiers.http import open_session
from sentinel.notifiers.teams import Teams
from sentinel.notifiers.voice import Links
from tests.notifiers.fakes import serving
from tests.notifiers.fakes.teams import FakeTeams
from tests.notifiers.stories import NOON, enormous, notification

TEAMS = Teams(url=Secret("https://prod-1.logic.example/workflows/x?sig=y"))


def card(story: Any, made: Teams = TEAMS) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(made.message(story).body)["attachments"][0]["content"]
    return found


def test_a_card_says_what_who_how_long_and_what_to_do() -> None:
    title, status, summary, facts, *_ = card(notification())["body"]
    assert (title["text"], title["color"]) == ("🟠 Connection leak on redis-a", "Warning")
    assert status["text"].startswith("warning · SNT-")
    assert summary["text"].startswith("Connections rise by 37/min")
    assert [fact["title"] for fact in facts["facts"]] == ["First action", "Time left", "Who", "Since", "Affected"]
    assert card(notification(Reason.RESOLVED))["body"][0]["color"] == "Good"


def test_markup_in_names_is_taken_literally() -> None:
    text = card(notification(incident=enormous().incident))["body"][0]["text"]
    assert r"\*bold\*" in text
    assert r"\`\`\`" in text


def test_links_are_buttons() -> None:
    made = Teams(url=Secret("https://prod-1.logic.example/x"), links=Links(runbook_url="https://wiki.example/{cause}"))
    assert card(notification(), made)["actions"] == [
        {"type": "Action.OpenUrl", "title": "Runbook", "url": "https://wiki.example/leak"}
    ]


@pytest.mark.parametrize("reason", list(Reason))
def test_a_card_is_never_larger_than_teams_takes(reason: Reason) -> None:
    assert len(TEAMS.message(enormous(reason)).body) <= 20_000


@pytest.mark.parametrize(
    ("code", "outcome"), [(429, Outcome.THROTTLED), (413, Outcome.REJECTED_PAYLOAD), (500, Outcome.AMBIGUOUS)]
)
async def test_an_error_that_hides_in_a_success_is_found(code: int, outcome: Outcome) -> None:
    async with serving(FakeTeams()) as fake:
        fake.modes.append((200, {}, f"Webhook message delivery failed with error: returned HTTP error {code} with …"))
        made = Teams(url=Secret(fake.url))
        with pytest.raises(DeliveryError) as caught:
            async with open_session(made) as session:
                await made.notify(session, made.message(notification()), Attempt("msg_1", NOON))
    assert caught.value.outcome is outcome


_VALIDATE = """
global.window = new (require('jsdom').JSDOM)('').window; global.document = window.document;
global.HTMLElement = window.HTMLElement;
const AC = require('adaptivecards/dist/adaptivecards.js'), card = new AC.AdaptiveCard();
const context = new AC.SerializationContext();
card.parse(JSON.parse(require('fs').readFileSync(0)), context);
const events = [...Array(context.eventCount).keys()].map(n => context.getEventAt(n).message);
const found = card.validateProperties().validationEvents.map(event => event.message);
console.log(JSON.stringify([...events, ...found]));
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "story", [notification(), notification(Reason.RESOLVED), enormous()], ids=["opened", "resolved", "enormous"]
)
async def test_the_vendors_own_validator_finds_nothing_wrong(story: Any) -> None:
    if which("node") is None or "NODE_PATH" not in os.environ:
        pytest.skip("needs node, and NODE_PATH with the npm packages adaptivecards and jsdom")
    child = await asyncio.create_subprocess_exec(
        "node", "-e", _VALIDATE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await child.communicate(orjson.dumps(card(story)))
    assert orjson.loads(said) == []
