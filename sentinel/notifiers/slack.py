"""Slack by an incoming webhook: a message for each turn of an incident, in blocks within Slack's limits.

Knows blocks and the webhook's answers. Such a webhook says nothing of what it posted, so that nothing can be edited or
threaded later: only what is worth a message of its own is told. Source: reference/delivery.md 4.1 (blocks) and 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp
import orjson

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, Message, Outcome
from sentinel.notifiers.http import HttpSettings, check, check_url, exchange, refused, retry_after
from sentinel.notifiers.wording import Story, cut, tell

__all__ = ["Slack"]

_SIGNS = {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠", Severity.INFO: "🔵"}
_OUTCOMES = {500: Outcome.AMBIGUOUS}


@dataclass(frozen=True)
class Slack(HttpSettings):
    """Posts to a Slack channel by an incoming webhook.

    Args:
        url: The webhook's URL, as Slack shows it; all of it is a secret.
        min_severity: Incidents that never reached it are not told here.
    """

    kind: ClassVar[str] = "slack"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.OPENED, Reason.ESCALATED, Reason.RESOLVED})
    pages: ClassVar[bool] = False
    rate: ClassVar[float] = 1.0

    url: Secret
    min_severity: Severity = Severity.WARNING

    def __post_init__(self) -> None:
        check_url("url", self.url, allow_http=self.allow_http)

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """Blocks with a text for notifications and screen readers; `minimal` is that text alone."""
        story = tell(notification)
        over = notification.reason is Reason.RESOLVED
        sign = "✅" if over else _SIGNS[notification.incident.severity]
        parts = (f"{sign} {story.title}: {story.status}.", story.summary, story.first_action)
        text, cut_text = _escape(" ".join(part for part in parts if part), 3000)
        document: dict[str, Any] = {"text": text}
        truncated = {"text"} if cut_text else set()
        if not minimal:
            document["blocks"] = list(_blocks(story, sign, truncated))
        return Message(orjson.dumps(document), tuple(sorted(truncated)))

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Post it. Slack says `ok`; anything else in a success comes from something that is not Slack."""
        headers = {"content-type": "application/json; charset=utf-8"}
        answer = await exchange(session, self, self.url.reveal(), body=message.body, headers=headers)
        if answer.status == 429:
            raise refused(Outcome.THROTTLED, answer, self, "too many messages", after=_wait(answer, attempt.now))
        check(answer, self, attempt.now, _OUTCOMES)
        if answer.complete and answer.text.strip() != "ok":
            raise refused(Outcome.REJECTED_CONFIG, answer, self, f"not the answer of a Slack webhook: {answer.text}")
        return None


def _blocks(story: Story, sign: str, truncated: set[str]) -> Iterator[dict[str, Any]]:
    """At most eight blocks and 9,000 characters, within every limit of its kind."""
    header = f"{sign} {story.title}"
    if len(header) > 150:
        truncated.add("title")
    yield {"type": "header", "text": {"type": "plain_text", "text": cut(header, 150), "emoji": True}}
    marked = _Marker(truncated)
    yield from marked.section("summary", "", story.summary, 2500)
    yield from marked.section("first_action", "*First action:* ", story.first_action, 1500)
    facts = (
        ("*Time left:* ", story.eta),
        ("*Who:* ", story.culprit),
        ("*Since:* ", story.since),
        ("*Affected:* ", story.affected),
    )
    lines = [label + marked.text("facts", text, 350) for label, text in facts if text]
    yield from _section("\n".join(lines))
    yield from _section(marked.lines("evidence", "*Evidence*\n", story.evidence, 1300))
    yield from _section(marked.lines("ruled_out", "*It is not*\n", story.ruled_out, 800))
    rows = marked.lines("examples", "", story.examples, 1000, bullet="")
    yield from _section(f"```{rows.replace('```', '')}```" if rows else "")
    footer = marked.text("status", f"{story.ref} · {story.status}", 200)
    yield {"type": "context", "elements": [{"type": "mrkdwn", "text": footer}]}


def _section(text: str) -> Iterator[dict[str, Any]]:
    if text:
        yield {"type": "section", "text": {"type": "mrkdwn", "text": text}}


class _Marker:
    """Escapes and cuts, and remembers what was cut."""

    def __init__(self, truncated: set[str]) -> None:
        self._truncated = truncated

    def section(self, name: str, label: str, text: str, limit: int) -> Iterator[dict[str, Any]]:
        yield from _section(label + self.text(name, text, limit) if text else "")

    def text(self, name: str, text: str, limit: int) -> str:
        escaped, short = _escape(text, limit)
        if short:
            self._truncated.add(name)
        return escaped

    def lines(self, name: str, label: str, items: Iterable[str], limit: int, bullet: str = "• ") -> str:
        """As many whole lines as fit; empty if there is none."""
        taken = label
        for item in items:
            line = bullet + self.text(name, item, 300) + "\n"
            if len(taken) + len(line) > limit:
                self._truncated.add(name)
                break
            taken += line
        return taken.rstrip("\n") if taken != label else ""


def _escape(text: str, limit: int) -> tuple[str, bool]:
    """Slack's three escapes, at most `limit` characters after them; and whether it was cut."""
    taken: list[str] = []
    length = 0
    for character in text:
        escaped = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(character, character)
        if length + len(escaped) > limit - 1:
            rest_fits = length + len(escaped) <= limit and len(taken) == len(text) - 1
            return ("".join(taken) + (escaped if rest_fits else "…"), not rest_fits)
        taken.append(escaped)
        length += len(escaped)
    return "".join(taken), False


def _wait(answer: Any, now: float) -> float | None:
    """The longer of what header and body ask for."""
    try:
        said = orjson.loads(answer.body).get("retry_after")
    except (orjson.JSONDecodeError, AttributeError):
        said = None
    waits = (retry_after(answer.headers.get("Retry-After"), now), retry_after(str(said), now))
    return max((wait for wait in waits if wait is not None), default=None)
