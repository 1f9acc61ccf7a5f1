"""Standard output: the story as text, for a first try and for logs of containers.

Knows that the other end of a pipe may have stopped reading; writes only what cannot block the daemon.
"""

from __future__ import annotations

import io
import select
import sys
from dataclasses import dataclass
from typing import ClassVar, TextIO

import aiohttp

from sentinel.model import Notification, Reason, Severity
from sentinel.notifiers.base import Attempt, DeliveryError, Message, Outcome
from sentinel.notifiers.voice import Voice
from sentinel.notifiers.wording import plain, shorten

__all__ = ["Stdout"]

_LIMIT = 4000
"""Bytes. A pipe that says it is writable takes 4,096 without blocking (POSIX, PIPE_BUF)."""


@dataclass(frozen=True)
class Stdout(Voice):
    """Prints each notification.

    Args:
        min_severity: Incidents that never reached it are not told here.
    """

    kind: ClassVar[str] = "stdout"
    reasons: ClassVar[frozenset[Reason]] = frozenset(Reason)
    pages: ClassVar[bool] = False
    rate: ClassVar[float] = 1000.0

    min_severity: Severity = Severity.INFO

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """The whole story; `minimal` is its first two lines."""
        story = self.tell(notification)
        whole = plain(story)
        text = "\n".join(whole.split("\n")[:2]) if minimal else whole
        short = shorten(text, _LIMIT)
        return Message(short.encode() + b"\n\n", ("text",) if short != text else (), story.failed_templates)

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Write it, unless nobody reads."""
        if not _writable(sys.stdout):
            raise DeliveryError(Outcome.RETRY, "nobody reads standard output. It is tried again")
        try:
            sys.stdout.write(message.body.decode())
            sys.stdout.flush()
        except (OSError, ValueError) as error:
            raise DeliveryError(
                Outcome.REJECTED_CONFIG,
                f"standard output is closed ({type(error).__name__}). Take it off the receivers",
            ) from None
        return None


def _writable(stream: TextIO) -> bool:
    try:
        return bool(select.select([], [stream.fileno()], [], 0)[1])
    except (io.UnsupportedOperation, ValueError, OSError):
        return True
