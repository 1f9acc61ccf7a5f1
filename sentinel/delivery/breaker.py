"""Whether a destination that fails is tried, and how it stands.

Knows failures and time. Does not know rows, messages or what failed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sentinel.delivery.settings import DeliverySettings
from sentinel.model import Seconds

__all__ = ["Breaker", "BreakerState", "Standing"]


class BreakerState(enum.StrEnum):
    """Whether a destination is tried."""

    CLOSED = "closed"
    """As usual."""
    OPEN = "open"
    """Left alone for a while."""
    HALF_OPEN = "half_open"
    """One message is tried."""
    GONE = "gone"
    """Left alone until the configuration is loaded again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a destination stands."""

    breaker: BreakerState
    reason: str
    """The last failure while it is not closed; empty otherwise."""
    since: float | None
    """Unix seconds since when it is not closed; None while it is."""
    paused_for: Seconds
    """Until it may be tried again; 0 if now."""
    under_way: int


class Breaker:
    """Leaves a destination alone after failures in a row, and tries it with one message from time to time."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings
        self._failures = 0
        self._wait = 0.0
        self._gone = False
        self.until = 0.0
        self.since: float | None = None
        self.reason = ""

    def state(self, now: float) -> BreakerState:
        if self._gone:
            return BreakerState.GONE
        if not self._wait:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self.until else BreakerState.HALF_OPEN

    def lets_through(self, now: float) -> bool:
        return self.state(now) in (BreakerState.CLOSED, BreakerState.HALF_OPEN)

    def succeeded(self) -> None:
        self._failures, self._wait, self.until, self.since, self.reason = 0, 0.0, 0.0, None, ""

    def failed(self, now: float, reason: str) -> None:
        self._failures += 1
        if self._wait or self._failures >= self._settings.breaker_failures:
            self.trip(now, reason)

    def trip(self, now: float, reason: str) -> None:
        """Open it, or, if one message was tried in vain, for twice as long. Latecomers of before change nothing."""
        if self.state(now) in (BreakerState.OPEN, BreakerState.GONE):
            return
        settings = self._settings
        self._wait = min(settings.breaker_wait_cap, self._wait * 2) if self._wait else settings.breaker_wait
        self.until, self.reason = now + self._wait, reason
        self.since = now if self.since is None else self.since

    def gone(self, now: float, reason: str) -> None:
        self._gone, self.reason = True, reason
        self.since = now if self.since is None else self.since
