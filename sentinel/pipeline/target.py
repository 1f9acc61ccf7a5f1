"""One target: from a poll to what fires on it. Series, watches and causes, and since when they know it.

Does not know incidents, nor other targets. All of it is what a snapshot holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from sentinel.model import Finding, Labels, Poll, Seconds
from sentinel.pipeline.diagnosis import Diagnosis, windows
from sentinel.pipeline.series import SeriesStore, Track
from sentinel.pipeline.settings import PipelineSettings, Rule
from sentinel.pipeline.watch import Watch

__all__ = ["Judged", "Target"]

SAME_START: Seconds = 30.0
"""Seconds by which two estimates of a server's start may differ: whole seconds of uptime, clocks that are adjusted."""
FORGET_AFTER: Seconds = 3600.0
"""Seconds after which a rule forgets a series that has ended."""


class Judged(NamedTuple):
    """What one poll led to."""

    concluded: list[Finding]
    """What causes find."""
    firing: list[Finding]
    """Rules that fire."""
    transitions: list[Finding]
    """Rules that began or ceased to fire."""
    sources: set[str]
    """Names of the causes and rules that could be judged at all."""


class Target:
    """What is known of one target.

    Args:
        name: Its name.
        settings: Rules and causes.
    """

    def __init__(self, name: str, settings: PipelineSettings) -> None:
        self.store = SeriesStore(windows(settings.causes))
        self.time = float("-inf")
        """Of the newest poll."""
        self.began = float("inf")
        """Time of the first poll."""
        self._name = name
        self._diagnosis = Diagnosis(name, settings.causes)
        self._watches: dict[str, list[tuple[Rule, dict[Labels, Watch]]]] = {}
        for rule in settings.rules:
            self._watches.setdefault(rule.metric, []).append((rule, {}))
        self._swept = float("-inf")
        self._left: tuple[float, float | None] | None = None
        """Time of the snapshot and start of the server then, until it is known whether the same one answers now."""

    def feed(self, poll: Poll) -> Judged:
        """Take a poll that is newer than all before."""
        self.began, self.time = min(self.began, poll.time), poll.time
        self.store.feed(poll)
        transitions: list[Finding] = []
        firing: list[Finding] = []
        rules = set()
        for rule, watch, value in self._watched(poll):
            rules.add(rule.name)
            finding = watch.feed(poll.time, value, self._beside(rule, watch.labels, poll.time))
            if finding is not None:
                transitions.append(finding)
            if watch.finding is not None:
                firing.append(watch.finding)
        if poll.time - self._swept > FORGET_AFTER:
            self._sweep(poll.time)
        concluded, causes = self._diagnosis.judge(poll, self.store)
        return Judged(concluded, firing, transitions, causes | rules)

    def _watched(self, poll: Poll) -> Iterator[tuple[Rule, Watch, float]]:
        """Each rule on each series of a poll, with what it is fed."""
        for (metric, labels), _, _, _ in poll.samples if self._watches else ():
            for rule, watches in self._watches.get(metric, ()):
                track = self.store.one(metric, labels)
                if track is None or track.time != poll.time or track.value is None or not _matches(rule, track):
                    continue
                watch = watches.get(labels)
                if watch is None:
                    watch = watches[labels] = Watch(rule, self._name, labels)
                yield rule, watch, track.value

    def _beside(self, rule: Rule, labels: Labels, time: float) -> dict[str, float]:
        """The further metrics of a rule at this time; NaN where there is none."""
        tracks = {metric: self.store.one(metric, labels) or self.store.one(metric) for metric in rule.beside}
        return {
            metric: math.nan if track is None or track.time != time or track.value is None else track.value
            for metric, track in tracks.items()
        }

    def _sweep(self, now: float) -> None:
        self._swept = now
        for rules in self._watches.values():
            for _, watches in rules:
                for labels in [labels for labels, watch in watches.items() if now - watch.time > FORGET_AFTER]:
                    del watches[labels]

    # After a restart

    def taken_up(self) -> None:
        """It comes from a snapshot: what answers now may be another server."""
        uptime = self.store.one("redis_uptime_seconds")
        self._left = self.time, None if uptime is None else uptime.time - uptime.raw

    def outdated(self, poll: Poll) -> str:
        """Why what a snapshot holds does not fit the server that answers now; empty if it does."""
        if self._left is None:
            return ""
        saved, before = self._left
        if poll.time <= saved:
            return f"{poll.target}: the snapshot is of a time yet to come; the clock was set back"
        started = next((poll.time - s.value for s in poll.samples if s.series.metric == "redis_uptime_seconds"), None)
        if started is None:
            return ""
        self._left = None
        if before is None or abs(started - before) <= SAME_START:
            return ""
        return f"{poll.target}: its server was restarted or replaced since the snapshot"


def _matches(rule: Rule, track: Track) -> bool:
    return all(track.label(name) == value for name, value in rule.match.items())
