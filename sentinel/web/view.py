"""What the pages need to know of the daemon, and no more. The daemon gives it; tests give their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from sentinel.model import Event, Incident, Notification, Recording, Seconds, Sent
from sentinel.outbox import Letter
from sentinel.pipeline import Step
from sentinel.pipeline.actions import Action
from sentinel.pipeline.publishing import Published

__all__ = ["TargetState", "View"]

_POLLS_MISSED: Final = 3
"""A target is late after so many intervals: one poll may time out without a word."""


@dataclass(frozen=True, slots=True)
class TargetState:
    """How fresh our knowledge of a target is."""

    sampled: float | None
    """Unix seconds of the last poll that gave samples; None before the first."""
    interval: Seconds
    """Between polls, as configured."""

    def late(self, now: float) -> str | None:
        """Why it counts as unwatched; None if it was sampled a short while ago."""
        if self.sampled is None:
            return "not sampled yet"
        age = now - self.sampled
        late = age > _POLLS_MISSED * self.interval
        return f"last sampled {age:.0f} s ago, expected every {self.interval:g} s" if late else None


class View(Protocol):
    """A running daemon, to be looked at. Every answer is of this moment and costs little."""

    def now(self) -> float:
        """Unix seconds."""

    async def exposition(self) -> bytes:
        """Metrics in Prometheus's text format."""

    def targets(self) -> Mapping[str, TargetState]:
        """Every configured target."""

    def outbox_ages(self) -> Mapping[str, Seconds]:
        """Seconds that the oldest row due has waited, by destination; those with nothing due may be missing."""

    def degraded(self) -> Sequence[str]:
        """Why the daemon is less than well, one sentence each: disk full, clock held back."""

    async def beat(self, name: str, kind: str) -> None:
        """A job or worker tells of itself: success, start or fail.

        Raises:
            UnknownHeartbeatError: no heartbeat is called so.
            ValueError: there is no such beat.
        """

    def open_incidents(self) -> Sequence[Incident]:
        """In any order."""

    async def act(self, action: Action) -> Step:
        """Take what somebody does.

        Raises:
            ActionError: it cannot be done; nothing was changed.
        """

    def kept(self) -> Mapping[str, Action]:
        """Silences and deploys that hold, by id."""

    async def letters(self, limit: int) -> Sequence[Letter]:
        """Notifications that are on their way, and those that were given up, the newest first."""

    async def letter(self, event_id: str) -> Letter | None:
        """One of them."""

    def wording(self, notification: Notification) -> str:
        """What a notification would send, without secrets; empty if its destination is no longer configured."""

    async def look_after(self, event_id: str, verb: Literal["retry", "drop"], by: str) -> None:
        """Try a notification again now, or give it up.

        Raises:
            LookupError: there is none of that id.
            ValueError: it can not be done; the text says why.
        """

    def published(self) -> Sequence[tuple[Published, str, str]]:
        """Drafts and open incidents of status pages, each with its title and text."""

    async def past_incidents(self, limit: int) -> Sequence[Incident]:
        """The newest ones, whatever their state, newest first."""

    async def events(self, incident: str | None, limit: int) -> Sequence[Event]:
        """The newest lines of an incident's history, or of everything's, oldest first."""

    async def sent(self, incident: str) -> Sequence[Sent]:
        """What became of each notification of an incident."""

    async def recording(self, incident: str) -> Recording | None:
        """What an incident's metrics did."""

    async def incident(self, name: str) -> Incident | None:
        """The one of that id or reference, open or former, as it is now."""
