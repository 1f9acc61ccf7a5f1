"""Microsoft Teams by a workflow's webhook: an adaptive card for each turn of an incident.

Knows cards and the webhook's answers. A workflow says nothing of what it posted, so that nothing can be edited or
threaded later: only what is worth a message of its own is told. Source: reference/delivery.md 4.3; the old connectors
answered 200 with an error as text, which is looked for here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp
import orjson

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, Message, Outcome
from sentinel.notifiers.http import Answer, HttpSettings, check, check_url, exchange, refused
from sentinel.notifiers.wording import Story, fitting, shorten

__all__ = ["Teams"]

LIMIT = 20_000
"""Bytes of the whole message: refusals were seen from 21 kB on."""
_COLOURS = {Severity.CRITICAL: "Attention", Severity.WARNING: "Warning", Severity.INFO: "Accent"}
_MARKUP = str.maketrans({character: f"\\{character}" for character in r"\*_[]`"})
_LISTS = (("Examples", "examples"), ("It is not", "ruled_out"), ("Evidence", "evidence"))
"""Lists of a story, the first to be left out first."""


@dataclass(frozen=True)
class Teams(HttpSettings):
    """Posts adaptive cards to a Teams channel or chat.

    Args:
        url: Of the workflow "when a Teams webhook request is received"; all of it is a secret.
        min_severity: Incidents that never reached it are not told here.
    """

    kind: ClassVar[str] = "teams"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.OPENED, Reason.ESCALATED, Reason.RESOLVED, Reason.DIGEST})
    pages: ClassVar[bool] = False
    groups: ClassVar[bool] = True
    rate: ClassVar[float] = 1.0

    url: Secret
    min_severity: Severity = Severity.WARNING

    def __post_init__(self) -> None:
        check_url("url", self.url, allow_http=self.allow_http)

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """A card of at most 20 kB; `minimal` is title, summary and first action."""
        story = self.tell(notification)
        lists = [] if minimal else list(_LISTS)
        truncated: set[str] = set()
        body = orjson.dumps(_document(notification, story, lists, minimal, truncated))
        while len(body) > LIMIT and lists:
            truncated.add(lists.pop(0)[1])
            body = orjson.dumps(_document(notification, story, lists, minimal, truncated))
        return Message(body, tuple(sorted(truncated)), story.failed_templates)

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Post it; any 2xx is a success, unless its text speaks of an HTTP error."""
        headers = {"content-type": "application/json"}
        answer = await exchange(session, self, self.url.reveal(), body=message.body, headers=headers)
        check(answer, self, attempt.now)
        if (inner := _error_within(answer)) is not None:
            outcome = {429: Outcome.THROTTLED, 413: Outcome.REJECTED_PAYLOAD}.get(inner, Outcome.AMBIGUOUS)
            raise refused(outcome, answer, self, answer.text)
        return None


def _error_within(answer: Answer) -> int | None:
    found = re.search(r"HTTP error (\d{3})", answer.text)
    return int(found[1]) if found else None


def _document(
    notification: Notification, story: Story, lists: list[tuple[str, str]], minimal: bool, truncated: set[str]
) -> dict[str, Any]:
    over = notification.reason is Reason.RESOLVED
    colour = "Good" if over else _COLOURS[notification.incident.severity]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "full"},
        "body": list(_body(story, colour, lists, minimal, truncated)),
    }
    actions = [
        {"type": "Action.OpenUrl", "title": link.name, "url": link.url} for link in story.links if len(link.url) <= 1000
    ]
    if actions:
        card["actions"] = actions
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _body(
    story: Story, colour: str, lists: list[tuple[str, str]], minimal: bool, truncated: set[str]
) -> Iterator[dict[str, Any]]:
    def plain(name: str, text: str, limit: int) -> str:
        """Text whose markup is taken literally, cut before it is escaped so that no backslash is left over."""
        short = shorten(text, limit)
        if short != text:
            truncated.add(name)
        return "\n\n".join(short.translate(_MARKUP).split("\n"))

    title = {"weight": "Bolder", "size": "Medium", "color": colour}
    yield _block(f"{story.sign} {plain('title', story.title, 400)}", **title)
    yield _block(plain("status", f"{story.status} · {story.ref}", 300), isSubtle=True, spacing="None")
    if story.summary:
        yield _block(plain("summary", story.summary, 2500))
    facts = [(label, text) for label, text in story.facts if not minimal or text is story.first_action]
    limits = [1000 if text is story.first_action else 500 for _, text in facts]
    if facts:
        pairs = zip(facts, limits, strict=True)
        shown = [{"title": label, "value": plain("facts", text, limit)} for (label, text), limit in pairs]
        yield {"type": "FactSet", "facts": shown}
    for label, name in reversed(lists):
        lines, more = fitting([f"- {plain(name, item, 350)}" for item in getattr(story, name)], 1500, _bytes)
        if more:
            truncated.add(name)
        if lines:
            yield _block(f"**{label}**", spacing="Medium")
            yield _block(lines, spacing="None")


def _block(text: str, **looks: Any) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **looks}


def _bytes(text: str) -> int:
    return len(text.encode())
