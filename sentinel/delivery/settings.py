"""How hard and how long delivery tries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sentinel.model import Seconds

__all__ = ["DeliverySettings"]


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How hard and how long to try.

    Args:
        concurrency: Messages under way to one destination at once, each of another incident.
        backoff_base: First bound of the random wait after a failure; doubled with each further one.
        backoff_cap: Largest bound of that wait.
        breaker_failures: Failures in a row, over all incidents, after which a destination is left alone.
        breaker_wait: For how long, until one message is tried; doubled each time that fails.
        breaker_wait_cap: Longest such pause.
        expire_reminders: Age at which a reminder is not worth sending any more.
        expire_updates: The same for an update.
        expire_opens: The same for an open whose incident is over by now. One that lasts is told however late.
        expire_pages: The same for destinations that wake people.
        expire_all: Age at which anything is given up.
        fallbacks: Who is told instead while a destination can not be reached, as {oncall/pagerduty: team/slack}.
        fallback_after: For how long it must not have been reached.
    """

    concurrency: int = 4
    backoff_base: Seconds = 1.0
    backoff_cap: Seconds = 300.0
    breaker_failures: int = 5
    breaker_wait: Seconds = 30.0
    breaker_wait_cap: Seconds = 600.0
    expire_reminders: Seconds = 600.0
    expire_updates: Seconds = 3600.0
    expire_opens: Seconds = 21600.0
    expire_pages: Seconds = 3600.0
    expire_all: Seconds = 604800.0
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    fallback_after: Seconds = 120.0
