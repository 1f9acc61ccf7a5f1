"""Flood: within minutes or seconds very many connections come, far above what the server has ever held.

A thundering herd, a reconnect storm, a job that connects in a loop, a pool of a wrong size. It is judged by how far
the level stands above the usual one, which follows slowly: a hundredth of the room a minute and no faster. What
fills the room within 25 minutes outruns it after a quarter of its way; what takes hours does not, and belongs to
`leak` and `exhaustion`.

What imitates it, and what separates them:

* everyone coming back after a restart or an outage: they come back to the level that was there before, and only
  what rises above the usual level counts. For a minute after an outage the server may still hold the old
  connections beside the new ones, so twice the usual level is allowed then;
* deploys and autoscaling: new processes bring what the old ones hold each (clients by source), and at most as many
  again as there were, the overlap of old and new;
* a nightly batch or a pool: comes in one step and stops; a flood still rises at the next reading;
* the wobble of small servers: four standard deviations of a count (square root of the level);
* a leak: slower, mostly. A rise of which half are connections of a leaking group that are never used is that leak's,
  which has said so already, also where it comes in bursts; what else rushes in during a leak is told beside it.

Source: reference/incidents.md 1.2 (B1-B3, D2), 1.4 and 1.6 (c): a fast clock for floods beside a slow one for leaks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Culprit, Eta, Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.cohort import UNTOUCHED, group_of
from sentinel.pipeline.diagnosis.forecast import eta_from_count
from sentinel.pipeline.diagnosis.levels import Ladder
from sentinel.pipeline.diagnosis.words import count, pace, span

__all__ = ["Flood"]

FOLLOW = 0.05
"""Part of the room by which the usual level may rise within `within`: a hundredth a minute, full in 100 minutes."""
FULL = 0.98
"""Part of the ceiling at which newcomers are being refused: seats, replicas and our own dials take the rest."""
NEAR = 0.8
"""Part of the ceiling above which no explanation helps; the community's first line (lab/README.md, rules B)."""
ROLLOUT = 2.5
"""Sources that a deploy can make of one: old and new overlap (2), with half as many again for surge and scaling."""

CENSUS_AGE = 600.0
"""Seconds for which the last census stands for the groups that there are (`leak`)."""

Census = dict[str, tuple[float, float]]
"""Clients and sources by group."""


@dataclass(slots=True)
class _Surge:
    began: float
    before: float
    usual: float
    peak: float
    risen: float
    """When it last rose."""
    groups: Census
    untouched: dict[str, float]
    told: bool = False
    """Once told it is told to its end, whoever is blamed later."""
    culprit: Culprit | None = None
    ladder: Ladder = field(default_factory=Ladder)


@dataclass
class Flood:
    """A fifth of the room that is left is taken above the usual level, and the level still rises."""

    name: ClassVar[str] = "flood"
    needs: ClassVar[tuple[str, ...]] = ("redis_connected_clients", "redis_max_clients")
    windows: ClassVar[tuple[str, ...]] = ("redis_connected_clients",)

    part_of_room: float = 0.2
    """Part of the room between the usual level and the ceiling that must be taken, 0-1."""
    within: Seconds = 300.0
    """How far back its beginning is looked for."""
    warm_up: Seconds = 150.0
    """How long the usual level is learnt before anything is said: clients back off for up to a minute or two."""
    settle: Seconds = 60.0
    """After an outage or a restart old and new connections may stand side by side for this long."""
    critical_within: Seconds = 1800.0
    """Full within this time is critical: it takes a person that long to get to it."""
    warning_within: Seconds = 7200.0
    hold: Seconds = 600.0
    """A level that stays up without rising further for this long is the new usual level."""
    half_life: Seconds = 86400.0
    """Of the memory of the highest usual level: a day, so that each day's peak is remembered at the next."""

    _usual: float = field(default=0.0, init=False, repr=False)
    _first: float | None = field(default=None, init=False, repr=False)
    _time: float = field(default=0.0, init=False, repr=False)
    _groups: Census = field(default_factory=dict, init=False, repr=False)
    """Before it began, as of the time `_counted`; so are those never used again."""
    _untouched: dict[str, float] = field(default_factory=dict, init=False, repr=False)
    _counted: float = field(default=float("-inf"), init=False, repr=False)
    _surge: _Surge | None = field(default=None, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires with the rise; is over when the level is down again or has become usual."""
        clients, ceiling = view.value("redis_connected_clients"), view.ceiling
        if clients is None or not ceiling:
            return
        if self._first is None:
            self._first = self._time = view.now
        if self._surge is None:
            self._surge = self._rise(view, clients, ceiling)
        elif self._over(view, self._surge, clients):
            self._surge = None
            self._usual = max(clients, self._usual)
        if self._surge is None:
            self._learn(view, clients, ceiling)
        else:
            self._surge.told = self._surge.told or not _leaked(view, self._surge, clients)
            if self._surge.told:
                yield self._finding(view, self._surge, clients, ceiling)
        self._time = view.now

    def _warm(self, now: float) -> bool:
        return self._first is not None and now - self._first >= self.warm_up

    def _rise(self, view: View, clients: float, ceiling: float) -> _Surge | None:
        usual = self._usual
        needed = self._needed(view, ceiling)
        if not self._warm(view.now) or clients - usual < needed:
            return None
        times, values = view.window("redis_connected_clients", self.within)
        quiet = [i for i, value in enumerate(values) if value <= usual + needed / 4]
        first = quiet[-1] if quiet else 0
        began, before = float(times[first]), float(values[first])
        if not self._rising(times[first:].tolist(), values[first:].tolist(), ceiling):
            return None
        if clients < NEAR * ceiling and self._brought_by_sources(view, clients - max(usual, before)):
            return None
        return _Surge(began, before, usual, clients, view.now, dict(self._groups), self._untouched)

    def _needed(self, view: View, ceiling: float) -> float:
        """How far above the usual level is too far."""
        needed = max(self.part_of_room * (ceiling - self._usual), 4 * math.sqrt(self._usual), 1.0)
        return max(needed, self._usual) if view.now - view.steady_since < self.settle else needed

    @staticmethod
    def _rising(times: list[float], values: list[float], ceiling: float) -> bool:
        """Whether it goes on: no single step, and in its last quarter at least at half of its pace. Full is enough."""
        if values[-1] >= FULL * ceiling:
            return True
        gained, elapsed = values[-1] - values[0], times[-1] - times[0]
        steps = [b - a for a, b in itertools.pairwise(values)]
        if elapsed <= 0 or max(steps) > 0.8 * gained:
            return False
        recent = min(len(values) - 2, next(i for i, t in enumerate(times) if t >= times[-1] - elapsed / 4))
        return (values[-1] - values[recent]) / (times[-1] - times[recent]) >= 0.5 * gained / elapsed

    def _brought_by_sources(self, view: View, gained: float) -> bool:
        """Whether new processes brought most of it, each no more than the old ones hold."""
        brought = 0.0
        for group, (clients, sources) in _census(view).items():
            old_clients, old_sources = self._groups.get(group, (0.0, 0.0))
            if old_sources < sources <= ROLLOUT * old_sources:
                brought += min(clients - old_clients, (sources - old_sources) * old_clients / old_sources)
        return brought >= gained / 2

    def _over(self, view: View, surge: _Surge, clients: float) -> bool:
        if clients > surge.peak * 1.02:
            surge.peak, surge.risen = clients, view.now
        down = clients <= surge.usual + (surge.peak - surge.usual) / 3
        refusing = bool(view.value("redis_connections_rejected_total"))
        return down or (view.now - surge.risen > self.hold and not refusing)

    def _learn(self, view: View, clients: float, ceiling: float) -> None:
        """The usual level is the highest seen, approached no faster than `FOLLOW`; it fades with `half_life`."""
        seconds = view.now - self._time
        if not self._warm(view.now):
            self._usual = max(clients, self._usual)
        elif clients > self._usual:
            room = max(0.0, ceiling - self._usual)
            self._usual = min(clients, self._usual + FOLLOW * room * seconds / self.within)
        else:
            self._usual -= (1.0 - 0.5 ** (seconds / self.half_life)) * (self._usual - clients)
        if view.now - self._counted >= self.within / 10 and clients <= self._usual + self._needed(view, ceiling) / 4:
            self._groups, self._counted = _census(view) or self._groups, view.now
            self._untouched = view.once(_untouched)

    def _finding(self, view: View, surge: _Surge, clients: float, ceiling: float) -> Finding:
        gained, room = clients - surge.before, max(1.0, ceiling - surge.usual)
        eta = self._eta(view, surge, clients, ceiling)
        surge.culprit = _culprit(view, surge.groups) or surge.culprit
        refused = view.value("redis_connections_rejected_total") or 0.0
        wall = f" It refuses newcomers now ({pace(refused)})." if refused else ""
        who = f", {surge.culprit.name} first" if surge.culprit else ""
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=self._severity(view.now, surge, clients, ceiling, eta),
            time=view.now,
            firing=True,
            summary=(
                f"{count(gained)} more connections in {span(max(1.0, view.now - surge.began))}{who}: "
                f"{count(clients)} of {count(ceiling)} in use, usually at most {count(surge.usual)}.{wall}"
            ),
            value=clients,
            threshold=surge.usual + self.part_of_room * room,
            evidence=(
                Evidence("clients", clients, "", f"at most {count(surge.usual)}"),
                Evidence("gained", gained, "", f"below {count(self.part_of_room * room)}"),
                Evidence("part of the room taken", gained / room, "ratio", f"below {self.part_of_room:.0%}"),
                Evidence("opened", view.value("redis_connections_received_total") or 0.0, "/s"),
                Evidence("refused", refused, "/s", "none"),
            ),
            eta=eta,
            culprit=surge.culprit,
            first_action=(
                f"Stop or slow what connects{f' ({surge.culprit.name})' if surge.culprit else ''}: scale it down, or "
                "turn on back-off with jitter. CONFIG SET maxclients higher buys time."
            ),
            ruled_out=(
                f"not a restart: the level is above the {count(surge.usual)} that were there before",
                "not a deploy or autoscaling: new processes do not account for it",
                "not a leak: that comes one by one",
            ),
            affected=view.affected,
            since=surge.began,
        )

    def _severity(self, now: float, surge: _Surge, clients: float, ceiling: float, eta: Eta | None) -> Severity:
        """By the time left; one that stands still is a warning while it stands, and critical at the wall."""
        if eta is None:
            return surge.ladder.take(float(clients >= 0.9 * ceiling), 0.0, 1.0)
        left = max(1e-9, eta.earliest - now)
        return surge.ladder.take(1.0 / left, 1.0 / self.warning_within, 1.0 / self.critical_within)

    def _eta(self, view: View, surge: _Surge, clients: float, ceiling: float) -> Eta | None:
        """When it is full, at its pace since it began; None once it has stood still for a fifth of `within`."""
        wall, left = f"{count(ceiling)} clients", max(0.0, ceiling - clients)
        if left and view.now - surge.risen > self.within / 5:
            return None
        found = eta_from_count(view.now, max(1.0, clients - surge.before), view.now - surge.began, left, wall)
        return found or Eta(view.now, None, wall)


def _leaked(view: View, surge: _Surge, clients: float) -> bool:
    """Whether half of what came since it began are never-used connections of groups that are blamed for a leak."""
    blamed = {leak.subject for leak in view.found.get("leak", ())}
    untouched = view.once(_untouched)
    leaked = sum(untouched.get(group, 0.0) - surge.untouched.get(group, 0.0) for group in blamed)
    return bool(blamed) and leaked >= (clients - surge.before) / 2


def _untouched(view: View) -> dict[str, float]:
    """Connections never used again, by group, as of the last census."""
    return {group_of(track): track.raw for track in view.known(UNTOUCHED, CENSUS_AGE)}


def _census(view: View) -> Census:
    """What the census of this poll counted; empty if it did not look."""
    return {
        track.label("group"): (track.raw, view.value("redis_group_sources", track.labels) or 0.0)
        for track in view.each("redis_group_clients")
    }


def _culprit(view: View, before: Census) -> Culprit | None:
    """The group that grew most, if it is half of the growth and the census has looked since then."""
    grown = {group: clients - before.get(group, (0.0, 0.0))[0] for group, (clients, _) in _census(view).items()}
    total = sum(gain for gain in grown.values() if gain > 0)
    group = max(grown, key=lambda name: grown[name], default="")
    if total <= 0 or grown[group] < total / 2:
        return None
    track = next(t for t in view.each("redis_group_clients") if t.label("group") == group)
    example = dict(track.exemplar or ())
    name = example.get("name") if float(example.get("share", "0") or 0) >= 0.5 else None
    detail = f"group {group}, +{count(grown[group])} of +{count(total)}"
    return Culprit(name or group, grown[group] / total, detail, (track.exemplar,) if track.exemplar else ())
