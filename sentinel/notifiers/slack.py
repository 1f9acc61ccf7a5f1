"""Slack by an incoming webhook: a message for each turn of an incident.

Knows the webhook's answers. Such a webhook says nothing of what it posted, so that nothing can be edited or
threaded later: only what is worth a message of its own is told. Source: reference/delivery.md 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import aiohttp
import orjson

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, Message, Outcome
from sentinel.notifiers.http import HttpSettings, check, check_url, exchange, longest, refused, said
from sentinel.notifiers.slack_blocks import JSON, text_and_blocks

__all__ = ["Slack"]

_OUTCOMES = {500: Outcome.AMBIGUOUS}


@dataclass(frozen=True)
class Slack(HttpSettings):
    """Posts to a Slack channel by an incoming webhook.

    Args:
        url: The webhook's URL, as Slack shows it; all of it is a secret.
        min_severity: Incidents that never reached it are not told here.
    """

    kind: ClassVar[str] = "slack"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.OPENED, Reason.ESCALATED, Reason.RESOLVED, Reason.DIGEST})
    pages: ClassVar[bool] = False
    groups: ClassVar[bool] = True
    rate: ClassVar[float] = 1.0

    url: Secret
    min_severity: Severity = Severity.WARNING

    def __post_init__(self) -> None:
        check_url("url", self.url, allow_http=self.allow_http)

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """Blocks with a text for notifications and screen readers; `minimal` is that text alone."""
        story = self.tell(notification)
        document, truncated = text_and_blocks(story, minimal=minimal)
        return Message(orjson.dumps(document), truncated, story.failed_templates)

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Post it. Slack says `ok`; anything else in a success comes from something that is not Slack."""
        headers = {"content-type": JSON}
        answer = await exchange(session, self, self.url.reveal(), body=message.body, headers=headers)
        if answer.status == 429:
            after = longest(answer.headers.get("Retry-After"), said(answer).get("retry_after"), attempt.now)
            raise refused(Outcome.THROTTLED, answer, self, "too many messages", after=after)
        check(answer, self, attempt.now, _OUTCOMES)
        if answer.complete and answer.text.strip() != "ok":
            raise refused(Outcome.REJECTED_CONFIG, answer, self, f"not the answer of a Slack webhook: {answer.text}")
        return None
