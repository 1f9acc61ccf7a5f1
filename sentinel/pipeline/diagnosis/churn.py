"""Churn: connections are opened and closed again far more often than usual, while their number stays.

A client that connects per command. It costs the server's time, and the client's host runs out of ports: 28,232 of
them, each kept for 60 s in TIME_WAIT, are 470 connections a second from one address. What is counted is what was
opened *and closed again*: opened less what the level grew by.

What imitates it, and what separates them:

* a restart, a reconnect storm, a flood: connections come and stay, or come once; the median reading of `for_` must
  be high, not one, and nothing is judged for a while after the server came back;
* a deploy: as many are opened as closed, but the new ones live on. Those that a census finds alive are births; where
  most of what was opened is born, it is a replacement;
* a full server: it refuses, and whoever is refused tries again. Refused tries are not in the count of accepted
  connections, which goes *down* at the wall. Nothing new is opened then; an open churn goes on with the sum of both;
* the rhythm of the day: the usual rate is the highest ten-minute mean in the memory of a day.

Source: reference/incidents.md C1-C3 and 1.5. Lives shorter than a census cannot be named by ids (measured there: 0
of 241), so a culprit is the group with most lives meanwhile, and said to be uncertain. A life is a birth and a death:
a group that only opens, because it grows or leaks beside the churn, is not the one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import ClassVar

from sentinel.model import Culprit, Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.levels import Latch
from sentinel.pipeline.diagnosis.words import clock_time, count, pace

__all__ = ["Churn"]

PORTS = 28232
"""Linux' default range of local ports (32768 to 60999, ip_local_port_range)."""
TIME_WAIT = 60.0
"""Seconds for which Linux keeps the port of a connection that its client closed (TCP_TIMEWAIT_LEN)."""
PEAK = 2.5
"""A day's peak in means, two to three: what comes seldom may come by chance four times as often in a busy minute."""
LEAVE = 0.6
"""Part of the line below which it is over: a rate that halves back to twice the usual is."""


@dataclass(slots=True)
class _Storm:
    began: float
    moved: dict[str, tuple[float, float]]
    """Births and deaths by group when it began."""


@dataclass
class Churn:
    """Connections opened and closed again stay at `times` the usual rate, or use up a source's ports."""

    name: ClassVar[str] = "churn"
    needs: ClassVar[tuple[str, ...]] = ("redis_connected_clients", "redis_connections_received_total")
    windows: ClassVar[tuple[str, ...]] = ()

    times: float = 4.0
    """Multiple of the usual rate: a day's peak is two to three times its mean."""
    at_least: float = 1.0
    """Connections a second below which nothing is said."""
    for_: Seconds = 60.0
    """The median reading of this time is judged."""
    warm_up: Seconds = 600.0
    """How long the usual rate is learnt before anything is said."""
    settle: Seconds = 120.0
    """Not judged for so long after a restart, an outage or a refusal: clients come back, with back-off."""
    ports_above: float = 0.5
    """Part of a source's ports in TIME_WAIT from which it is critical, 0-1."""
    smoothing: Seconds = 600.0
    """Half-life of the mean whose highest is the usual rate."""
    half_life: Seconds = 86400.0
    """Of the memory of the highest mean: a day, so that each night's batch is remembered at the next."""
    adopt_after: Seconds = 86400.0
    """A rate that has stayed for this long is the new usual one."""

    _first: float | None = field(default=None, init=False, repr=False)
    _before: tuple[float, float] = field(default=(0.0, 0.0), init=False, repr=False)
    """Time and clients of the reading before."""
    _unsettled: float = field(default=float("-inf"), init=False, repr=False)
    _mean: float | None = field(default=None, init=False, repr=False)
    _usual: float = field(default=0.0, init=False, repr=False)
    _readings: deque[tuple[float, float]] = field(default_factory=deque, init=False, repr=False)
    """Times and rates of the last `for_`."""
    _opened: float = field(default=0.0, init=False, repr=False)
    _ledger: deque[tuple[float, float, float]] = field(
        default_factory=lambda: deque(maxlen=240), init=False, repr=False
    )
    """At each census: time, connections opened so far, births so far."""
    _high: Latch = field(default_factory=Latch, init=False, repr=False)
    _crowded: Latch = field(default_factory=Latch, init=False, repr=False)
    _storm: _Storm | None = field(default=None, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires while the rate stays far above the usual one."""
        accepted, clients = view.value("redis_connections_received_total"), view.value("redis_connected_clients")
        if clients is None:
            return
        seconds, grown = view.now - self._before[0], clients - self._before[1]
        self._before = view.now, clients
        if self._first is None:
            self._first = view.now
        if accepted is None:
            return
        self._opened += accepted * seconds
        self._count(view)
        passing = max(0.0, min(accepted, accepted - grown / seconds))
        if self._settled(view):
            self._read(view.now, passing + (view.value("redis_connections_rejected_total") or 0.0))
            self._decide(view, seconds)
        if self._storm is not None:
            yield self._finding(view, self._storm)

    def _settled(self, view: View) -> bool:
        """Whether this reading can be judged; an open churn is judged at the wall, too."""
        came_back = view.steady_since if view.steady_since != self._first else float("-inf")
        refusing = bool(view.value("redis_connections_rejected_total")) or "flood" in view.found
        if refusing and self._storm is None:
            self._unsettled = view.now
        elif came_back > self._unsettled:
            self._unsettled, self._storm = came_back, None
            self._readings.clear()
        return view.now - self._unsettled >= self.settle

    def _read(self, now: float, rate: float) -> None:
        self._readings.append((now, rate))
        while now - self._readings[0][0] > self.for_:
            self._readings.popleft()

    def _decide(self, view: View, seconds: float) -> None:
        rate, line = self._rate, self._line
        high = self._high.take(rate, line, LEAVE if self._storm else 1.0)
        crowded = self._crowded.take(self._ports(view, rate), self.ports_above)
        if self._storm is not None:
            over = not (high or crowded) or view.now - self._storm.began > self.adopt_after
            self._storm = None if over else self._storm
            self._usual = max(self._usual, rate) if over and high else self._usual
        elif (high or crowded) and self._warm(view.now) and self._lasting(view.now) and not self._replaced(view):
            began = next(time for time, reading in self._readings if reading >= LEAVE * min(line, rate))
            self._storm = _Storm(began, self._moved(view))
        elif not high or not self._warm(view.now):
            self._learn(rate, seconds)

    @property
    def _rate(self) -> float:
        """Median over the last `for_`: one burst of reconnects does not move it."""
        return median(rate for _, rate in self._readings)

    @property
    def _line(self) -> float:
        """`times` the usual, and above its peak by more than chance: four deviations of the count of `for_`."""
        chance = (math.sqrt(PEAK * self._usual * self.for_) + 2.0) ** 2 / self.for_
        return max(self.times * self._usual, chance, self.at_least)

    def _warm(self, now: float) -> bool:
        return self._first is not None and now - self._first >= self.warm_up

    def _lasting(self, now: float) -> bool:
        return len(self._readings) >= 3 and now - self._readings[0][0] >= self.for_ / 2

    def _learn(self, rate: float, seconds: float) -> None:
        """The usual rate is the highest smoothed one; it fades towards the present one."""
        known = self._before[0] - (self._first or 0.0)
        weight = max(1.0 - 0.5 ** (seconds / self.smoothing), min(1.0, seconds / max(seconds, known)))
        self._mean = rate if self._mean is None else self._mean + weight * (rate - self._mean)
        if known < self.warm_up:
            self._usual = self._mean
        fade = 1.0 - 0.5 ** (seconds / self.half_life)
        self._usual = max(self._mean, self._usual - fade * (self._usual - self._mean))

    def _count(self, view: View) -> None:
        if self._ledger and view.now - self._ledger[-1][0] < self.for_ / 6:
            return
        births = _births(view)
        if births:
            self._ledger.append((view.now, self._opened, sum(births.values())))

    def _replaced(self, view: View) -> bool:
        """Whether most of what was opened lives on, by the newest census; waits for one that may tell."""
        began = self._readings[0][0]
        before = [entry for entry in self._ledger if entry[0] <= began]
        if not before:
            return False
        start, newest = before[-1], self._ledger[-1]
        if newest[0] <= began:
            return view.now - began < 2 * self.for_
        return newest[2] - start[2] >= 0.5 * (newest[1] - start[1])

    def _ports(self, view: View, rate: float) -> float:
        """Part of its ports that a source has in TIME_WAIT, if those who do it share the rate evenly."""
        alone = rate * TIME_WAIT / PORTS
        return alone / self._sources(view) if self._storm or alone >= self.ports_above / 2 else alone

    def _sources(self, view: View) -> float:
        """Addresses that share the rate: the culprit's if there is one, else all that the census saw, else one."""
        culprit = self._culprit(view)
        tracks = list(view.known("redis_group_sources", 10 * self.for_))
        named = [track.raw for track in tracks if culprit is not None and track.label("group") == culprit.name]
        return max(1.0, sum(named or [track.raw for track in tracks]))

    def _finding(self, view: View, storm: _Storm) -> Finding:
        rate, sources = self._rate, self._sources(view)
        ports = self._ports(view, rate)
        refused = view.value("redis_connections_rejected_total") or 0.0
        level = count(view.value("redis_connected_clients") or 0.0)
        stays = f"and {pace(refused)} refused" if refused else f"while their number stays at {level}"
        culprit = self._culprit(view)
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.CRITICAL if self._crowded.on else Severity.WARNING,
            time=view.now,
            firing=True,
            summary=(
                f"{pace(rate)} connections are opened and closed again since {clock_time(storm.began)}, usually at "
                f"most {pace(self._usual)}, {stays}."
            ),
            value=rate,
            threshold=self._line,
            evidence=(
                Evidence("opened and closed again", rate, "/s", f"below {pace(self._line)}"),
                Evidence("lives seen by a census", self._lived(storm), "ratio", "above 50% in a deploy"),
                Evidence("sources that share it", sources),
                Evidence("a source's local ports in TIME_WAIT", ports, "ratio", f"below {self.ports_above:.0%}"),
            ),
            culprit=culprit,
            first_action=(
                f"Find the client that connects for each command{f' ({culprit.name}?)' if culprit else ''} and give it "
                f"a pool; look at what was deployed at {clock_time(storm.began)}."
            ),
            ruled_out=(
                "not a leak: they are closed again",
                "not a deploy: the new connections do not live on",
                "not a reconnect storm: it has not stopped, and the server was not away",
            ),
            affected=view.affected,
            since=storm.began,
        )

    def _lived(self, storm: _Storm) -> float:
        """Part of what was opened since it began that a census has seen."""
        entries = [entry for entry in self._ledger if entry[0] >= storm.began - self.for_]
        if len(entries) < 2 or entries[-1][1] <= entries[0][1]:
            return 0.0
        return min(1.0, (entries[-1][2] - entries[0][2]) / (entries[-1][1] - entries[0][1]))

    def _culprit(self, view: View) -> Culprit | None:
        """The group with most of the lives since it began, if it has half of them and there are enough to tell."""
        if self._storm is None:
            return None
        lives = {}
        for group, (births, deaths) in self._moved(view).items():
            born, died = self._storm.moved.get(group, (0.0, 0.0))
            lives[group] = max(0.0, min(births - born, deaths - died))
        total = sum(lives.values())
        group = max(lives, key=lambda name: lives[name], default="")
        if total < 5 or lives[group] < total / 2:
            return None
        detail = f"{count(lives[group])} of the {count(total)} lives that a census saw; shorter ones have no name"
        return Culprit(group, None, detail)

    def _moved(self, view: View) -> dict[str, tuple[float, float]]:
        """Births and deaths so far by group, as of the last census."""
        born, died = (
            {track.label("group"): track.raw for track in view.known(metric, 10 * self.for_)}
            for metric in ("redis_group_births_total", "redis_group_deaths_total")
        )
        return {group: (births, died.get(group, 0.0)) for group, births in born.items()}


def _births(view: View) -> dict[str, float]:
    """Births so far by group, if the census looked in this poll."""
    return {track.label("group"): track.raw for track in view.each("redis_group_births_total")}
