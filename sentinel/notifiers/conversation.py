"""One message an incident, kept current by editing it, and a remark below it for each turn worth a sound.

Knows how such a message is made once, found again after an answer was lost, and replaced when it was deleted. Must not
know any vendor: each says in a `Chat` how it posts, edits, remarks and looks. Source: reference/delivery.md 4.1
(conversation model, crash recovery) and 5.11.
"""

from __future__ import annotations

from typing import Protocol

from sentinel.model import Notification, Reason
from sentinel.notifiers.base import Attempt

__all__ = ["Chat", "converse", "worth_a_remark"]


class Chat(Protocol):
    """One notification in one chat. A reference is whatever names a message there."""

    async def post(self) -> str:
        """A new message with the incident as it is now."""

    async def edit(self, ref: str) -> bool:
        """The incident as it is now into the message; False if it can no longer be edited."""

    async def remark(self, ref: str) -> bool:
        """A line below the message; False if nothing can be put there."""

    async def find(self, since: float) -> str | None:
        """The message of this incident, posted at or after a time by a try whose answer was lost."""

    async def remarked(self, ref: str, since: float) -> bool:
        """Whether such a try has put the line there."""


async def converse(chat: Chat, attempt: Attempt, *, remark: bool) -> str:
    """Tell one notification. Gives the reference of the message that now stands for the incident."""
    since, ref = attempt.unsure_since, attempt.ref
    if ref is None or not await chat.edit(ref):
        ref = None if since is None else await chat.find(since)
        if ref is None or not await chat.edit(ref):
            return await chat.post()
    if remark and not (since is not None and await chat.remarked(ref, since)) and not await chat.remark(ref):
        return await chat.post()
    return ref


def worth_a_remark(notification: Notification) -> bool:
    """Whether people should hear of it: an edit makes no sound."""
    return notification.reason not in (Reason.OPENED, Reason.UPDATED)
