"""Slack by a bot of its own: one message an incident, edited in place, and what happens to it in its thread.

Knows the Web API's methods and its words for what went wrong. Slack has no idempotency: after an answer was lost the
message is looked for by the metadata that it carries. Source: reference/delivery.md 4.1. Different here: a message that
can no longer be edited is followed by a new one, whatever the reason, since a reply in its thread would leave the old
state standing in the channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode

import aiohttp
import orjson

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, DeliveryError, Message, Outcome
from sentinel.notifiers.conversation import converse, worth_a_remark
from sentinel.notifiers.http import Answer, HttpSettings, check, check_url, exchange, refused, retry_after, said
from sentinel.notifiers.slack_blocks import JSON, text_and_blocks, turn

__all__ = ["SlackApp"]

_LAG = 2.0
"""Seconds after which a list that lagged shows what was made. Looked at twice, since a copy stays for good."""
_PAGES = 5
"""Of 50 messages, looked through for the one of an incident."""


def _words(outcome: Outcome, text: str) -> dict[str, Outcome]:
    return dict.fromkeys(text.split(), outcome)


_OUTCOMES: Mapping[str, Outcome] = {
    **_words(Outcome.THROTTLED, "rate_limited ratelimited message_limit_exceeded"),
    **_words(Outcome.RETRY, "service_unavailable request_timeout update_failed external_channel_migrating"),
    **_words(Outcome.AMBIGUOUS, "internal_error fatal_error"),
    **_words(
        Outcome.REJECTED_CONFIG,
        "not_authed invalid_auth account_inactive token_revoked token_expired no_permission missing_scope "
        "org_login_required ekm_access_denied access_denied accesslimited app_access_restricted "
        "enterprise_is_restricted team_not_found channel_not_found not_in_channel is_archived restricted_action "
        "restricted_action_read_only_channel restricted_action_thread_only_channel "
        "restricted_action_non_threadable_channel",
    ),
}
"""What is not here is about our content."""
_LOST = _words(
    Outcome.REJECTED_PAYLOAD,
    "message_not_found cant_update_message edit_window_closed is_inactive block_mismatch cannot_reply_to_message "
    "restricted_action_thread_locked streaming_state_conflict thread_not_found",
).keys()
_UNSEEN = frozenset({"missing_scope", "channel_not_found", "not_in_channel", "no_permission", "thread_not_found"})
"""Why a list may not be looked at: then it is posted again, and may stand there twice."""


@dataclass(frozen=True)
class SlackApp(HttpSettings):
    """Keeps one message an incident in a Slack channel, and tells its turns in the thread below.

    Args:
        token: The bot's token (`xoxb-…`), with the scope `chat:write`; with `channels:history` (or `groups:history`)
            too, a message whose answer was lost is found again instead of posted twice.
        channel: The channel's ID (`C…`), as its details show it; the bot must be a member.
        min_severity: Incidents that never reached it are not told here.
        broadcast_resolved: Show in the channel, too, that it is over; escalations always are.
        url: Where Slack's methods are.
    """

    kind: ClassVar[str] = "slack_app"
    reasons: ClassVar[frozenset[Reason]] = frozenset(Reason)
    pages: ClassVar[bool] = False
    groups: ClassVar[bool] = True
    rate: ClassVar[float] = 0.8

    token: Secret
    channel: str
    min_severity: Severity = Severity.WARNING
    broadcast_resolved: bool = False
    url: str = "https://slack.com/api"

    def __post_init__(self) -> None:
        check_url("url", Secret(self.url), allow_http=self.allow_http)
        if not self.token.reveal().isprintable() or " " in self.token.reveal():
            raise ValueError("token must be the bot token: xoxb- and what follows, without blanks")
        if not self.channel.strip():
            raise ValueError("channel must be the channel's ID, such as C0123456789")

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """The message as it shall stand, and the line for its thread; `minimal` is plain text without metadata."""
        incident, story = notification.incident, self.tell(notification)
        parent, truncated = text_and_blocks(story, minimal=minimal)
        reply = {"text": turn(story), "reply_broadcast": self._broadcasts(notification)}
        mark = {"key": incident.dedup_key[:255], "incident": incident.id, "seq": incident.sequence}
        if not minimal:
            parent["metadata"] = {"event_type": "sentinel_incident", "event_payload": mark}
            event = mark | {"event": notification.event_id}
            reply["metadata"] = {"event_type": "sentinel_turn", "event_payload": event}
        document = {"parent": parent, "reply": reply if worth_a_remark(notification) else None, "incident": incident.id}
        return Message(orjson.dumps(document), truncated, story.failed_templates)

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Post or edit the message, and put the line into its thread."""
        chat = _Chat(self, session, orjson.loads(message.body), attempt)
        return await converse(chat, attempt, remark=chat.reply is not None)

    def _broadcasts(self, notification: Notification) -> bool:
        over = notification.reason is Reason.RESOLVED
        return notification.reason is Reason.ESCALATED or (over and self.broadcast_resolved)


class _Chat:
    """One notification in the channel. A reference is `CHANNEL:TS`: updates need the ID that the answer gave."""

    def __init__(
        self, settings: SlackApp, session: aiohttp.ClientSession, document: dict[str, Any], attempt: Attempt
    ) -> None:
        self._settings, self._session, self._attempt = settings, session, attempt
        self._parent: dict[str, Any] = document["parent"]
        self._incident: str = document["incident"]
        self.reply: dict[str, Any] | None = document["reply"]

    async def post(self) -> str:
        silent = {"unfurl_links": False, "unfurl_media": False}
        made = await self._say("chat.postMessage", {"channel": self._settings.channel, **self._parent, **silent})
        return f"{made['channel']}:{made['ts']}"

    async def edit(self, ref: str) -> bool:
        channel, _, ts = ref.partition(":")
        lost = {*_LOST, "channel_not_found"}
        return await self._try("chat.update", {"channel": channel, "ts": ts, **self._parent}, lost)

    async def remark(self, ref: str) -> bool:
        channel, _, ts = ref.partition(":")
        where = {"channel": channel, "thread_ts": ts, "unfurl_links": False, "unfurl_media": False}
        return await self._try("chat.postMessage", {**where, **(self.reply or {})}, _LOST)

    async def find(self, since: float) -> str | None:
        query = {"channel": self._settings.channel, "oldest": f"{since - 5:.6f}", "inclusive": "true"}
        for wait in (0.0, _LAG):
            await asyncio.sleep(wait)
            ours = [m for m in await self._list("conversations.history", query) if self._is_parent(m)]
            if ours:
                return f"{self._settings.channel}:{min(m['ts'] for m in ours)}"
        return None

    async def remarked(self, ref: str, since: float) -> bool:
        channel, _, ts = ref.partition(":")
        query = {"channel": channel, "ts": ts, "oldest": f"{since - 5:.6f}", "inclusive": "true"}
        found = await self._list("conversations.replies", query)
        return any(_payload(message).get("event") == self._attempt.event_id for message in found)

    def _is_parent(self, message: dict[str, Any]) -> bool:
        is_reply = message.get("thread_ts", message.get("ts")) != message.get("ts")
        return not is_reply and _payload(message).get("incident") == self._incident

    async def _list(self, method: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Messages, as far as we may look; a list that fails otherwise is an error, and then nothing is made."""
        found: list[dict[str, Any]] = []
        query = {**query, "include_all_metadata": "true", "limit": "50"}
        for _ in range(_PAGES):
            page = await self._ask(f"{method}?{urlencode(query)}", None, _UNSEEN)
            found += page.get("messages", [])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
            query["cursor"] = cursor
        return found

    async def _try(self, method: str, arguments: dict[str, Any], lost: Collection[str]) -> bool:
        return bool(await self._ask(method, arguments, lost))

    async def _say(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return await self._ask(method, arguments, ())

    async def _ask(self, method: str, arguments: dict[str, Any] | None, empty: Collection[str]) -> dict[str, Any]:
        """What Slack says to a call; nothing, if it fails with one of the words `empty`."""
        settings, now = self._settings, self._attempt.now
        headers = {"content-type": JSON, "authorization": f"Bearer {settings.token.reveal()}"}
        body, verb = (None, "GET") if arguments is None else (orjson.dumps(arguments), "POST")
        url = f"{settings.url.rstrip('/')}/{method}"
        answer = await exchange(self._session, settings, url, body=body, headers=headers, method=verb)
        check(answer, settings, now)
        found = said(answer)
        if found.get("ok") is True:
            return found
        word = str(found.get("error") or "")
        if word in empty:
            return {}
        raise self._refusal(answer, word)

    def _refusal(self, answer: Answer, word: str) -> DeliveryError:
        if not answer.complete:
            outcome, text = Outcome.AMBIGUOUS, "the answer broke off"
        elif not word:
            outcome, text = Outcome.REJECTED_CONFIG, f"not the answer of Slack's Web API: {answer.text}"
        else:
            outcome, text = _OUTCOMES.get(word, Outcome.REJECTED_PAYLOAD), f"Slack says {word}"
        after = retry_after(answer.headers.get("Retry-After"), self._attempt.now)
        return refused(outcome, answer, self._settings, text, after=after)


def _payload(message: dict[str, Any]) -> dict[str, Any]:
    return (message.get("metadata") or {}).get("event_payload") or {}
