"""Maintenance windows: times at which work is expected, by the clock.

Knows schedules and targets. Does not know what is open or who would be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from sentinel.pipeline.schedule import following, span_at
from sentinel.pipeline.settings import MaintenanceWindow

__all__ = ["Maintenance"]


class Maintenance:
    """All windows, each looked up in its schedule only when it begins or ends.

    Args:
        windows: As configured.
        labels: Of each target.
    """

    def __init__(self, windows: Iterable[MaintenanceWindow], labels: Mapping[str, Mapping[str, str]]) -> None:
        self._windows = tuple(windows)
        self._labels = labels
        self._spans: dict[int, tuple[float, float, float]] = {}
        """Of each window: from when to when what is known of it holds, and the end of the window, if inside one."""

    def hold(self, target: str, now: float) -> tuple[float, str] | None:
        """Until when a target is in maintenance, and in which; None if it is in none."""
        found = [
            (end, f"in maintenance ({window.name})")
            for number, window in enumerate(self._windows)
            if self._covers(window, target) and (end := self._end(number, window, now)) > now
        ]
        return max(found, default=None)

    def _covers(self, window: MaintenanceWindow, target: str) -> bool:
        labels = self._labels.get(target, {})
        named = not window.targets or any(fnmatchcase(target, pattern) for pattern in window.targets)
        return named and all(labels.get(name) == value for name, value in window.labels.items())

    def _end(self, number: int, window: MaintenanceWindow, now: float) -> float:
        """When the window that `now` is in ends; minus infinity if it is in none."""
        known_from, known_to, end = self._spans.get(number, (0.0, 0.0, 0.0))
        if not known_from <= now < known_to:
            span = span_at(window.start, window.timezone, window.lasts, now)
            end = float("-inf") if span is None else span[1]
            known_to = following(window.start, window.timezone, now) if span is None else span[1]
            self._spans[number] = now, known_to, end
        return end
