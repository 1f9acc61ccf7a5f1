"""Discord by a webhook: one message an incident, edited in place, and a line below for each turn.

Knows embeds and the webhook's answers. A webhook has neither idempotency nor a list of what it posted: a first message
whose answer was lost is posted again; from then on its id is kept. Source: reference/delivery.md 4.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp
import orjson

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, Message, Outcome
from sentinel.notifiers.conversation import converse, worth_a_remark
from sentinel.notifiers.http import Answer, HttpSettings, check, check_url, exchange, longest, refused, said
from sentinel.notifiers.wording import Story, cut, fitting, headline, rfc3339

__all__ = ["Discord"]

_COLOURS = {Severity.CRITICAL: 0xD00000, Severity.WARNING: 0xE8912D, Severity.INFO: 0x3D7DD8}
_OVER = 0x2EB67D
_UNKNOWN_MESSAGE, _UNKNOWN_WEBHOOK = 10008, 10015
_MARKUP = str.maketrans({character: f"\\{character}" for character in r"\*_~`|>[]<#"})


@dataclass(frozen=True)
class Discord(HttpSettings):
    """Keeps one message an incident in a Discord channel.

    Args:
        url: The webhook's URL, as the channel's integrations show it; all of it is a secret.
        thread_id: A thread or forum post of the channel to tell it in.
        min_severity: Incidents that never reached it are not told here.
    """

    kind: ClassVar[str] = "discord"
    reasons: ClassVar[frozenset[Reason]] = frozenset(Reason)
    pages: ClassVar[bool] = False
    groups: ClassVar[bool] = True
    rate: ClassVar[float] = 1.0

    url: Secret
    thread_id: str = ""
    min_severity: Severity = Severity.WARNING

    def __post_init__(self) -> None:
        check_url("url", self.url, allow_http=self.allow_http)
        if "?" in self.url.reveal():
            raise ValueError("url must be the webhook's URL as it is shown, without anything behind a question mark")
        if self.thread_id and not self.thread_id.isdigit():
            raise ValueError("thread_id must be the digits of the thread's ID")

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """The message as it shall stand, and the line for below it; `minimal` is a line without an embed."""
        story = self.tell(notification)
        line = {"content": cut(_plain(f"{story.sign} {headline(story)} {story.ref}", 1900), 2000)}
        truncated: set[str] = set()
        card = line if minimal else {"embeds": [_embed(notification, story, truncated)]}
        document = {"card": card, "line": line if worth_a_remark(notification) else None}
        return Message(orjson.dumps(document), tuple(sorted(truncated)), story.failed_templates)

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Post or edit the message, and post the line."""
        chat = _Chat(self, session, orjson.loads(message.body), attempt)
        return await converse(chat, attempt, remark=chat.line is not None)


class _Chat:
    """One notification in the channel. A reference is the message's id."""

    def __init__(
        self, settings: Discord, session: aiohttp.ClientSession, document: dict[str, Any], attempt: Attempt
    ) -> None:
        self._settings, self._session, self._now = settings, session, attempt.now
        self._card: dict[str, Any] = document["card"]
        self.line: dict[str, Any] | None = document["line"]

    async def post(self) -> str:
        made = await self._ask("POST", "?wait=true", self._card)
        return str(made["id"])

    async def edit(self, ref: str) -> bool:
        whole = {"content": "", "embeds": [], **self._card}
        return bool(await self._ask("PATCH", f"/messages/{ref}?", whole))

    async def remark(self, ref: str) -> bool:
        return bool(await self._ask("POST", "?wait=true", self.line or {}))

    async def find(self, since: float) -> str | None:
        return None

    async def remarked(self, ref: str, since: float) -> bool:
        return False

    async def _ask(self, method: str, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """The message that Discord answers; nothing, if the one to be edited is gone."""
        settings = self._settings
        thread = f"&thread_id={settings.thread_id}" if settings.thread_id else ""
        body = orjson.dumps({**document, "allowed_mentions": {"parse": []}})
        url = f"{settings.url.reveal().strip()}{path}{thread}"
        headers = {"content-type": "application/json"}
        answer = await exchange(self._session, settings, url, body=body, headers=headers, method=method)
        found = said(answer)
        if answer.status == 404 and method == "PATCH" and found.get("code") == _UNKNOWN_MESSAGE:
            return {}
        if answer.status == 404 and found.get("code") == _UNKNOWN_WEBHOOK:
            raise refused(Outcome.GONE, answer, settings, "the webhook was deleted")
        if answer.status == 429:
            after = longest(answer.headers.get("Retry-After"), found.get("retry_after"), self._now)
            raise refused(Outcome.THROTTLED, answer, settings, "too many messages", after=after)
        check(answer, settings, self._now)
        if "id" not in found:
            raise self._odd(answer)
        return found

    def _odd(self, answer: Answer) -> Exception:
        if not answer.complete:
            return refused(Outcome.AMBIGUOUS, answer, self._settings, "the answer broke off")
        return refused(Outcome.REJECTED_CONFIG, answer, self._settings, f"not Discord's answer: {answer.text}")


def _embed(notification: Notification, story: Story, truncated: set[str]) -> dict[str, Any]:
    """At most 5,700 of the 6,000 characters that all of it may have."""
    over = notification.reason is Reason.RESOLVED
    embed: dict[str, Any] = {
        "title": _cut(f"{story.sign} {story.title}", 256, "title", truncated),
        "description": _plain(story.summary, 1500, "summary", truncated),
        "color": _OVER if over else _COLOURS[notification.incident.severity],
        "fields": list(_fields(story, truncated)),
        "footer": {"text": _cut(f"{story.ref} · {story.status}", 200, "status", truncated)},
        "timestamp": rfc3339(notification.time),
    }
    if story.links and len(story.links[0].url) <= 1000:
        embed["url"] = story.links[0].url
    return {name: value for name, value in embed.items() if value}


def _fields(story: Story, truncated: set[str]) -> Iterator[dict[str, Any]]:
    for label, text in story.facts:
        limit = 600 if text is story.first_action else 300
        yield _field(label, _plain(text, limit, "facts", truncated))
    lists = (("Evidence", "evidence", story.evidence, 800), ("It is not", "ruled_out", story.ruled_out, 500))
    for label, name, items, limit in lists:
        lines = [f"• {_plain(item, 250, name, truncated)}" for item in items]
        if text := _fitting(lines, limit, name, truncated):
            yield _field(label, text)
    rows = [_cut(row.replace("`", "'"), 300, "examples", truncated) for row in story.examples]
    if text := _fitting(rows, 480, "examples", truncated):
        yield _field("Examples", f"```\n{text}\n```")
    links = [f"[{link.name}]({link.url})" for link in story.links if len(link.url) <= 400]
    if links:
        yield _field("Read on", " · ".join(links))


def _field(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value}


def _fitting(lines: Iterable[str], limit: int, name: str, truncated: set[str]) -> str:
    text, more = fitting(lines, limit)
    if more:
        truncated.add(name)
    return text


def _plain(text: str, limit: int, name: str = "", truncated: set[str] | None = None) -> str:
    """Text whose markup is taken literally; never cut between a backslash and what it is for."""
    escaped = text.translate(_MARKUP)
    if len(escaped) <= limit:
        return escaped
    if truncated is not None:
        truncated.add(name)
    whole = escaped[: limit - 1]
    odd = (len(whole) - len(whole.rstrip("\\"))) % 2
    return (whole[:-1] if odd else whole) + "…"


def _cut(text: str, limit: int, name: str, truncated: set[str]) -> str:
    if len(text) > limit:
        truncated.add(name)
    return cut(text, limit)
