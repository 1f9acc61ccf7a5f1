"""Telegram by a bot: one message an incident, edited in place, and a reply to it for each turn.

Knows the Bot API's methods and refusals. It has neither idempotency nor a list: a first message whose answer was lost
is sent again; from then on its id is kept. HTML that is too long cannot be cut safely, so whole lines are left out.
Source: reference/delivery.md 4.5.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp
import orjson

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, DeliveryError, Message, Outcome
from sentinel.notifiers.conversation import converse, worth_a_remark
from sentinel.notifiers.http import Answer, HttpSettings, check, check_url, exchange, longest, refused, said
from sentinel.notifiers.wording import Story, cut, fitting, headline

__all__ = ["Telegram"]

_LIMIT = 4000
"""Characters, markup included. Telegram counts 4,096 without it."""
_GONE = ("message to edit not found", "message can't be edited", "message_id_invalid")
_CONFIG = ("chat not found", "not enough rights", "bot was", "user is deactivated", "have no rights", "topic")


@dataclass(frozen=True)
class Telegram(HttpSettings):
    """Keeps one message an incident in a Telegram chat.

    Args:
        token: The bot's token, as @BotFather gives it.
        chat_id: The chat: a number, negative for groups, or @name of a public channel.
        message_thread_id: A topic of the group; 0 for none.
        min_severity: Incidents that never reached it are not told here.
        url: Where the Bot API is.
    """

    kind: ClassVar[str] = "telegram"
    reasons: ClassVar[frozenset[Reason]] = frozenset(Reason)
    pages: ClassVar[bool] = False
    groups: ClassVar[bool] = True
    rate: ClassVar[float] = 0.3

    token: Secret
    chat_id: str
    message_thread_id: int = 0
    min_severity: Severity = Severity.WARNING
    url: str = "https://api.telegram.org"

    def __post_init__(self) -> None:
        check_url("url", Secret(self.url), allow_http=self.allow_http)
        number, _, rest = self.token.reveal().partition(":")
        if not number.isdigit() or not rest or "/" in rest:
            raise ValueError("token must be the bot's token: digits, a colon, and what follows")
        if not self.chat_id.removeprefix("-").isdigit() and not self.chat_id.startswith("@"):
            raise ValueError("chat_id must be a number in quotes, or @ and the name of a public channel")

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """The message as it shall stand, and the reply to it; `minimal` is a line without markup."""
        story = self.tell(notification)
        line = cut(f"{story.sign} {headline(story)} {story.ref}", 1000)
        text, more = (line, False) if minimal else fitting(_lines(story), _LIMIT)
        card = {"text": text} if minimal else {"text": text, "parse_mode": "HTML"}
        document = {"card": card, "line": {"text": line} if worth_a_remark(notification) else None}
        return Message(orjson.dumps(document), ("text",) if more else (), story.failed_templates)

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Send or edit the message, and send the reply."""
        chat = _Chat(self, session, orjson.loads(message.body), attempt)
        return await converse(chat, attempt, remark=chat.line is not None)

    def secrets(self) -> tuple[str, ...]:
        """The token is also a part of every path."""
        return (f"bot{self.token.reveal()}", *super().secrets())


class _Chat:
    """One notification in the chat. A reference is `CHAT:MESSAGE`."""

    def __init__(
        self, settings: Telegram, session: aiohttp.ClientSession, document: dict[str, Any], attempt: Attempt
    ) -> None:
        self._settings, self._session, self._now = settings, session, attempt.now
        self._card: dict[str, Any] = document["card"]
        self.line: dict[str, Any] | None = document["line"]
        self._chat = settings.chat_id

    async def post(self) -> str:
        made = await self._send({**self._card, "link_preview_options": {"is_disabled": True}})
        return f"{self._chat}:{made['message_id']}"

    async def edit(self, ref: str) -> bool:
        chat, _, number = ref.rpartition(":")
        where = {"chat_id": chat, "message_id": int(number), "link_preview_options": {"is_disabled": True}}
        return bool(await self._ask("editMessageText", {**where, **self._card}))

    async def remark(self, ref: str) -> bool:
        chat, _, number = ref.rpartition(":")
        self._chat = chat
        above = {"message_id": int(number), "allow_sending_without_reply": True}
        return bool(await self._send({**(self.line or {}), "reply_parameters": above}))

    async def find(self, since: float) -> str | None:
        return None

    async def remarked(self, ref: str, since: float) -> bool:
        return False

    async def _send(self, document: dict[str, Any]) -> dict[str, Any]:
        """Send; where the group has become a supergroup under another number, to that."""
        topic = self._settings.message_thread_id
        where: dict[str, Any] = {"message_thread_id": topic} if topic else {}
        try:
            return await self._ask("sendMessage", {"chat_id": self._chat, **where, **document})
        except _MovedError as moved:
            self._chat = moved.chat
            return await self._ask("sendMessage", {"chat_id": self._chat, **where, **document})

    async def _ask(self, method: str, document: dict[str, Any]) -> dict[str, Any]:
        """What Telegram made; nothing, if what was to be edited is gone."""
        settings = self._settings
        url = f"{settings.url.rstrip('/')}/bot{settings.token.reveal()}/{method}"
        headers = {"content-type": "application/json"}
        answer = await exchange(self._session, settings, url, body=orjson.dumps(document), headers=headers)
        found = said(answer)
        if found.get("ok") is True and isinstance(found.get("result"), dict):
            result: dict[str, Any] = found["result"]
            return result
        words = str(found.get("description") or "").lower()
        if "message is not modified" in words:
            return document
        if method == "editMessageText" and any(word in words for word in _GONE):
            return {}
        raise self._refusal(answer, found, words)

    def _refusal(self, answer: Answer, found: dict[str, Any], words: str) -> DeliveryError:
        settings, asked = self._settings, found.get("parameters") or {}
        if (moved := asked.get("migrate_to_chat_id")) is not None:
            return _MovedError(str(moved))
        if answer.status == 429:
            after = longest(answer.headers.get("Retry-After"), asked.get("retry_after"), self._now)
            return refused(Outcome.THROTTLED, answer, settings, "too many messages", after=after)
        if answer.status == 400 and any(word in words for word in _CONFIG):
            return refused(Outcome.REJECTED_CONFIG, answer, settings, words)
        try:
            check(answer, settings, self._now)
        except DeliveryError as error:
            return error
        outcome = Outcome.REJECTED_CONFIG if answer.complete else Outcome.AMBIGUOUS
        return refused(outcome, answer, settings, f"not Telegram's answer: {answer.text}")


class _MovedError(DeliveryError):
    """The group has another number now."""

    def __init__(self, chat: str) -> None:
        super().__init__(
            Outcome.REJECTED_CONFIG,
            f"the group has become a supergroup: chat_id is now {chat}. Change the configuration",
        )
        self.chat = chat


def _lines(story: Story) -> Iterator[str]:
    """Whole lines in HTML, what matters first."""
    yield f"{story.sign} <b>{_escape(story.title, 300)}</b> · {_escape(story.status, 200)} · {story.ref}"
    links = [f'<a href="{html.escape(link.url)}">{link.name}</a>' for link in story.links if len(link.url) <= 400]
    if links:
        yield " · ".join(links)
    yield from (_escape(line, 1200) for line in story.summary.split("\n"))
    for label, text in story.facts:
        yield f"<b>{label}:</b> {_escape(text, 700 if text is story.first_action else 350)}"
    for label, items in (("Evidence", story.evidence), ("It is not", story.ruled_out), ("Examples", story.examples)):
        if items:
            yield f"<b>{label}</b>"
            yield from (f"• {_escape(item, 300)}" for item in items)


def _escape(text: str, limit: int) -> str:
    return html.escape(cut(text, limit), quote=False)
