"""Pushed heartbeats: signs of life that come over HTTP, from workers and cron jobs outside of Redis.

A job tells that it began, that it succeeded, or that it failed; nothing is asked of it. What was told last is kept in
one small file, so that a job which runs once a day is not called late because Sentinel was restarted.

Knows when each was heard of last. Does not know HTTP, nor what is too late.

Source: the pings of healthchecks.io (success, start, fail; period and grace).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import orjson

from sentinel import statefile
from sentinel.model import Poll, Sample, Seconds
from sentinel.samplers.base import sample

__all__ = ["TARGET", "Beat", "PushedHeartbeat", "PushedHeartbeats", "UnknownHeartbeatError"]

TARGET = "heartbeats"
"""The target under which they are judged: they belong to no server."""

Beat = Literal["success", "start", "fail"]


class UnknownHeartbeatError(Exception):
    """No heartbeat of that name is configured; the text says what to do."""


@dataclass(frozen=True, slots=True)
class PushedHeartbeat:
    """A job or worker that beats by HTTP."""

    name: str
    period: Seconds = 0.0
    """From one success to the next; 0: learnt from its beats, which takes ten of them."""
    grace: Seconds = 60.0
    """How much later it may come."""
    longest: Seconds = 0.0
    """How long it may take from its start to its success; 0 for any time."""

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip() or "/" in self.name:
            raise ValueError(f"name must be a part of a path, without slashes, got {self.name!r}")
        for setting in ("period", "grace", "longest"):
            if not 0.0 <= getattr(self, setting) < math.inf:
                raise ValueError(f"{setting} must be at least 0 seconds, got {getattr(self, setting)}")


@dataclass(slots=True)
class _Heard:
    """Unix times: of the last success or, before the first, of when it was first known; of a start without an end."""

    succeeded: float
    started: float | None = None
    failed: bool = False


class PushedHeartbeats:
    """All heartbeats that come by HTTP.

    Args:
        settings: One of each name.
        file: Where what was heard survives a restart; None keeps it in memory.
    """

    def __init__(self, settings: Iterable[PushedHeartbeat], file: Path | None = None) -> None:
        self._settings = {heartbeat.name: heartbeat for heartbeat in settings}
        self._file = file
        self._heard: dict[str, _Heard] = {}

    def load(self) -> str:
        """Take up what was heard before. Gives what is wrong with the file, if something is."""
        if self._file is None or not self._file.exists():
            return ""
        try:
            found = {name: _Heard(*heard) for name, heard in orjson.loads(self._file.read_bytes()).items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            return f"{self._file} cannot be read ({error}); heartbeats count from now"
        self._heard = {name: heard for name, heard in found.items() if name in self._settings}
        return ""

    def take(self, name: str, beat: str, now: float) -> None:
        """Take a sign of life.

        Raises:
            UnknownHeartbeatError: it is not configured.
            ValueError: there is no such beat.
        """
        if name not in self._settings:
            raise UnknownHeartbeatError(f"no heartbeat is called {name!r}: add it to pushed_heartbeats in the file")
        if beat not in get_args(Beat):
            raise ValueError(f"a heartbeat is {', '.join(get_args(Beat))}, not {beat!r}")
        heard = self._heard.setdefault(name, _Heard(now))
        if beat == "start":
            heard.started = now
        else:
            heard.started, heard.failed = None, beat == "fail"
            heard.succeeded = now if beat == "success" else heard.succeeded

    def save(self) -> None:
        """Keep what was heard: a new file in place of the old one, or no change at all.

        Raises:
            OSError: the disk did not take it.
        """
        if self._file is None:
            return
        kept = {name: (heard.succeeded, heard.started, heard.failed) for name, heard in self._heard.items()}
        statefile.replace(self._file, orjson.dumps(kept))

    def poll(self, now: float) -> Poll:
        """What there is to judge at `now`: ages in seconds, beside what was agreed of each."""
        samples = [each for name in self._settings for each in self._samples(name, now)]
        return Poll(TARGET, now, tuple(samples))

    def _samples(self, name: str, now: float) -> Iterable[Sample]:
        settings, heard = self._settings[name], self._heard.setdefault(name, _Heard(now))
        yield sample("pushed_heartbeat_age_seconds", now, max(0.0, now - heard.succeeded), heartbeat=name)
        yield sample("pushed_heartbeat_failed", now, float(heard.failed), heartbeat=name)
        yield sample("pushed_heartbeat_period_seconds", now, settings.period, heartbeat=name)
        yield sample("pushed_heartbeat_grace_seconds", now, settings.grace, heartbeat=name)
        yield sample("pushed_heartbeat_longest_seconds", now, settings.longest, heartbeat=name)
        if heard.started is not None:
            yield sample("pushed_heartbeat_running_seconds", now, max(0.0, now - heard.started), heartbeat=name)
