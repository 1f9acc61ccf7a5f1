"""Times of day and week, as in crontab: whether one of them has just been, and when the next comes.

Knows crontab's five fields and time zones. Reads no clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from sentinel.model import Seconds

__all__ = ["check_schedule", "following", "span_at"]


def check_schedule(name: str, cron: str, timezone: str) -> None:
    """Refuse what cannot be meant.

    Raises:
        ValueError: the text begins with the name of the setting that is wrong.
    """
    try:
        CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        raise ValueError(f"{name} must be as in crontab, such as `0 3 * * sun`, got {cron!r}") from None
    try:
        _zone(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"timezone must be one such as Europe/Berlin or UTC, got {timezone!r}") from None


def following(cron: str, timezone: str, now: float) -> float:
    """The first time after `now`; infinity if there is none.

    >>> following("0 9 * * *", "UTC", 1764000000.0) - 1764000000.0  # from 16:00
    61200.0
    """
    found = next(CronSim(cron, datetime.fromtimestamp(now, _zone(timezone))), None)
    return float("inf") if found is None else found.timestamp()


def span_at(cron: str, timezone: str, lasts: Seconds, now: float) -> tuple[float, float] | None:
    """Begin and end of the span that `now` is in, if one began less than `lasts` ago.

    >>> span_at("30 15 * * mon", "UTC", 3600.0, 1764000000.0)
    (1763998200.0, 1764001800.0)
    """
    moment = datetime.fromtimestamp(now + 1.0, _zone(timezone))
    found = next(CronSim(cron, moment, reverse=True), None)
    if found is None or found.timestamp() > now or now >= found.timestamp() + lasts:
        return None
    return found.timestamp(), found.timestamp() + lasts


def _zone(name: str) -> tzinfo:
    """A time zone; UTC even where no time zones are installed."""
    return UTC if name == "UTC" else ZoneInfo(name)
