"""What a notifier is: one destination's protocol, and nothing of retries, order or incidents' lives.

`message` is pure and gives the body; `notify` tells it and says how it went. Whether and when to
try again is delivery's decision, made from the outcome.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import aiohttp

from sentinel.model import Notification, Reason, Seconds, Severity

__all__ = ["Attempt", "DeliveryError", "Kept", "Message", "Notifier", "Outcome", "Resends"]


class Outcome(enum.StrEnum):
    """How a failed attempt is to be taken. Source: reference/delivery.md 1.3."""

    RETRY = "retry"
    """Not processed, surely; try again."""
    AMBIGUOUS = "ambiguous"
    """Sent, and the answer was lost; a further try may be a copy."""
    THROTTLED = "throttled"
    """Too fast; pause the whole destination."""
    REJECTED_PAYLOAD = "rejected_payload"
    """Our content is refused; one try with the minimal text, then dead."""
    REJECTED_CONFIG = "rejected_config"
    """A credential or address is wrong; keep the rows, tell the operator."""
    GONE = "gone"
    """The destination says that it is no more; stop until reload."""


class DeliveryError(Exception):
    """An attempt failed. The text holds no secret and no URL path.

    Args:
        outcome: What it means for the next try.
        message: What happened and what to do, for logs and for `sentinel outbox`.
        after: Seconds that the destination asked us to wait.
        status: HTTP status, if there was one.
    """

    def __init__(
        self, outcome: Outcome, message: str, *, after: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.after = after
        self.status = status


@dataclass(frozen=True, slots=True)
class Message:
    """What goes over the wire, without secrets: the body before signing or adding a routing key."""

    body: bytes
    truncated: tuple[str, ...] = ()
    """Fields that were cut to the destination's limits."""
    failed_templates: tuple[str, ...] = ()
    """Templates in whose place the built-in words stand."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at telling a notification, as delivery knows it."""

    event_id: str
    """The same on every try of one notification."""
    now: float
    """Unix seconds."""
    ref: str | None = None
    """What an earlier call gave for the same incident: the destination's own reference for what it made of it. It is
    kept in the transaction that marks that notification as delivered, and so survives a crash whenever that does."""
    unsure_since: float | None = None
    """An earlier try of this notification, not before this time, may have been processed unseen: look for what it
    made before making another. None if there was none."""


class Notifier(Protocol):
    """One destination. A dataclass whose fields are its settings, one line in `BY_NAME`."""

    kind: ClassVar[str]
    reasons: ClassVar[frozenset[Reason]]
    """What it is worth telling here: a destination that cannot edit is spared the updates."""
    pages: ClassVar[bool]
    """Whether it keeps alerts open and wakes people: an incident that came and went while it could not be
    reached is then not told at all."""
    groups: ClassVar[bool]
    """Whether people read it, who want one message for what belongs together; machines want each incident."""
    rate: ClassVar[float]
    """Messages a second that it takes in the long run."""

    @property
    def min_severity(self) -> Severity:
        """A setting: incidents that never reached it are not told here."""

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """The body for a notification; `minimal` is the plain fallback after a refusal. Pure."""

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Tell it. Gives the destination's reference for what it made of the incident, if there is a new one.

        Args:
            session: The destination's own, as `http.open_session` makes it.
            message: What `message` gave.
            attempt: What delivery knows of this try.

        Raises:
            DeliveryError: it did not work.
        """


class Kept(NamedTuple):
    """A destination's own reference for an incident."""

    ref: str
    open: bool
    """Whether the incident is still open."""


@runtime_checkable
class Resends(Protocol):
    """A notifier whose destination takes silence for recovery, and so is told of what is open again and again.

    What is sent again is never queued: the next time says it better.
    """

    @property
    def resend_interval(self) -> Seconds:
        """A setting: from one time to the next."""

    async def resend(self, session: aiohttp.ClientSession, kept: Sequence[Kept], now: float) -> None:
        """Tell it again.

        Args:
            session: As for `notify`.
            kept: What `notify` gave, of all incidents of which this destination was told.
            now: Unix seconds.

        Raises:
            DeliveryError: it did not work.
        """
