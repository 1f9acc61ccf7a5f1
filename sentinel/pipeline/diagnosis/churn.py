"""Churn: connections are opened and closed far more often than usual, while their number stays.

A client that connects per command. It costs the server's time, and the client's host runs out of ports: 28,232 of
them, each kept for 60 s, is 470 connections a second from one address.

What imitates it, and what separates them: a restart, a deploy or a flood opens many connections once, for a few
readings; churn stays for `for_`. At the wall the server's count of accepted connections goes down; accepted plus
refused is what is judged.

Source: reference/incidents.md C1-C3 and 1.5. Lives shorter than a census cannot be named by ids (measured there: 0
of 241), so the culprit is the group with most births seen, and said to be uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Culprit, Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import clock_time, count, pace

__all__ = ["Churn"]

PORTS_PER_SECOND = 28232 / 60
"""Linux' default range of local ports over the 60 s of TIME_WAIT: connections a second from one address to one port."""


@dataclass
class Churn:
    """Connections opened a second stay at `times` the usual and more."""

    name: ClassVar[str] = "churn"
    needs: ClassVar[tuple[str, ...]] = ("redis_connected_clients",)
    windows: ClassVar[tuple[str, ...]] = ("redis_connected_clients",)

    times: float = 4.0
    """Multiple of the usual rate."""
    at_least: float = 1.0
    """Connections a second below which nothing is said."""
    for_: Seconds = 60.0
    warm_up: Seconds = 600.0
    """How long the usual rate is learnt before anything is said."""
    half_life: Seconds = 3600.0
    """Of the memory of the usual rate, which is learnt from ordinary readings only."""

    _usual: float | None = field(default=None, init=False, repr=False)
    _first: float | None = field(default=None, init=False, repr=False)
    _before: float | None = field(default=None, init=False, repr=False)
    _above_since: float | None = field(default=None, init=False, repr=False)
    _below_since: float | None = field(default=None, init=False, repr=False)
    _births: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires while the rate stays far above the usual one."""
        accepted = view.value("redis_connections_received_total")
        if accepted is None:
            return
        rate = accepted + (view.value("redis_connections_rejected_total") or 0.0)
        seconds = view.now - self._before if self._before is not None else 0.0
        self._before = view.now
        if self._first is None:
            self._first, self._usual = view.now, rate
            return
        self._count_births(view)
        high = seconds > 0 and self._high(rate, seconds)
        if high:
            self._above_since, self._below_since = self._above_since or view.now, None
        else:
            self._below_since = self._below_since or view.now
            if view.now - self._below_since >= self.for_ / 2:
                self._above_since = None
            self._learn(rate, seconds)
        if self._fires(view):
            yield self._finding(view, rate)

    def _high(self, rate: float, seconds: float) -> bool:
        """Above `times` the usual by more than chance: root-transformed counts have a deviation of 1/2, so 2 is 4 σ."""
        expected = max(self.times * (self._usual or 0.0), self.at_least)
        return math.sqrt(rate * seconds) - math.sqrt(expected * seconds / 2) > 2.0 and rate >= expected / 1.5

    def _learn(self, rate: float, seconds: float) -> None:
        usual = self._usual if self._usual is not None else rate
        weight = 1.0 - 0.5 ** (seconds / self.half_life)
        young = seconds / max(seconds, (self._before or 0.0) - (self._first or 0.0))
        self._usual = usual + max(weight, min(1.0, young)) * (rate - usual)

    def _count_births(self, view: View) -> None:
        for track in view.each("redis_group_births_total"):
            self._births[track.label("group")] = track.value or 0.0

    def _fires(self, view: View) -> bool:
        warm = self._first is not None and view.now - self._first >= self.warm_up
        lasting = self._above_since is not None and view.now - self._above_since >= self.for_
        return warm and lasting and "flood" not in view.found and view.now - view.steady_since >= self.for_

    def _finding(self, view: View, rate: float) -> Finding:
        usual, since = self._usual or 0.0, self._above_since or view.now
        sources = sum(track.raw for track in view.known("redis_group_sources", 600.0)) or 1.0
        crowded = rate >= PORTS_PER_SECOND / 2
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.CRITICAL if crowded else Severity.WARNING,
            time=view.now,
            firing=True,
            summary=(
                f"{pace(rate)} connections are opened since {clock_time(since)}, usually {pace(usual)}, while their "
                f"number stays at {count(view.value('redis_connected_clients') or 0.0)}."
            ),
            value=rate,
            threshold=max(self.times * usual, self.at_least),
            evidence=(
                Evidence("opened per second", rate, "1/s", f"about {usual:.3g}"),
                Evidence("part of one address' ports", rate / PORTS_PER_SECOND, "", "below 0.5"),
                Evidence("sources seen", sources),
            ),
            culprit=self._culprit(),
            first_action=(
                "Find the client that connects for each command and give it a pool; check what was deployed at "
                f"{clock_time(since)}."
            ),
            ruled_out=("not a leak: they are closed again", "not a deploy or reconnect: it has not stopped"),
            affected=view.affected,
            since=since,
        )

    def _culprit(self) -> Culprit | None:
        total = sum(self._births.values())
        if total <= 0:
            return None
        group = max(self._births, key=lambda name: self._births[name])
        share = self._births[group] / total
        if share < 0.5:
            return None
        return Culprit(group, share, "of the births that a census saw; shorter lives cannot be named by id")
