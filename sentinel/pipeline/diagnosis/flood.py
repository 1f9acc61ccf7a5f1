"""Flood: very many connections within a few readings, far above what the server has ever held.

A thundering herd, a reconnect storm, a job that connects in a loop. Minutes or seconds to the wall, so it is judged
on the last `polls` readings.

What imitates it, and what separates them:

* everyone coming back after a restart or an outage: they come back to the level that was there before, and only
  what rises above the highest usual level counts;
* deploys and autoscaling: a few per cent of the room that is left, not a fifth of it in three readings;
* a leak: slower, steady; when `leak` is firing it has said so already.

Source: reference/incidents.md 1.2 (B1-B3, D2) and 1.6 (c): a fast clock for floods beside a slow one for leaks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Culprit, Eta, Evidence, Finding, Seconds
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.forecast import Urgency, eta_from_count
from sentinel.pipeline.diagnosis.words import count, pace, span

__all__ = ["Flood"]


@dataclass(slots=True)
class _Surge:
    since: float
    began: float
    before: float
    usual: float
    peak: float
    groups: dict[str, float]
    culprit: Culprit | None = None


@dataclass
class Flood:
    """A fifth of the room that is left is taken within three readings, above the highest usual level."""

    name: ClassVar[str] = "flood"
    needs: ClassVar[tuple[str, ...]] = ("redis_connected_clients", "redis_max_clients")
    windows: ClassVar[tuple[str, ...]] = ("redis_connected_clients",)

    polls: int = 3
    """Readings within which the jump must happen."""
    part_of_room: float = 0.2
    """Part of the room between the usual level and the ceiling that must be taken in that jump, 0-1."""
    warm_up: int = 10
    """Readings before the usual level counts as known."""
    critical_within: Seconds = 7200.0
    hold: Seconds = 600.0
    """A level that stays up without rising further for this long is the new usual level."""

    _usual: float = field(default=0.0, init=False, repr=False)
    _seen: int = field(default=0, init=False, repr=False)
    _groups: dict[str, float] = field(default_factory=dict, init=False, repr=False)
    _surge: _Surge | None = field(default=None, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires with the jump; is over when the level is down again or has become usual."""
        clients, ceiling = view.value("redis_connected_clients"), view.ceiling
        if clients is None or not ceiling:
            return
        self._seen += 1
        if self._surge is None:
            self._surge = self._jump(view, clients, ceiling)
        elif self._over(view, self._surge, clients):
            self._surge = None
            self._usual = clients
        if self._surge is None:
            self._learn(view, clients)
        elif "leak" not in view.found:
            yield self._finding(view, self._surge, clients, ceiling)

    def _jump(self, view: View, clients: float, ceiling: float) -> _Surge | None:
        recent = view.last("redis_connected_clients", self.polls + 1)
        if self._seen <= self.warm_up or len(recent) <= self.polls:
            return None
        steps = [b - a for a, b in itertools.pairwise(recent)]
        room = ceiling - self._usual
        above = clients - max(self._usual, min(recent))
        still_rising = clients >= 0.98 * ceiling or steps[-1] >= above / (2 * self.polls)
        if room <= 0 or above < self.part_of_room * room or not still_rising:
            return None
        times, _ = view.window("redis_connected_clients", self.hold)
        began = float(times[-len(recent)]) if len(times) >= len(recent) else view.now
        return _Surge(view.now, began, min(recent), self._usual, clients, dict(self._groups))

    def _over(self, view: View, surge: _Surge, clients: float) -> bool:
        if clients > surge.peak * 1.02:
            surge.peak, surge.since = clients, view.now
        down = clients <= surge.usual + (surge.peak - surge.usual) / 3
        refusing = bool(view.value("redis_connections_rejected_total"))
        return down or (view.now - surge.since > self.hold and not refusing)

    def _learn(self, view: View, clients: float) -> None:
        """The usual level is the highest seen; it fades by a thousandth a reading, so that a peak is not for ever."""
        self._usual = max(clients, self._usual - 0.001 * (self._usual - clients))
        if view.store.newest("redis_group_clients") == view.now:
            self._groups = {track.label("group"): track.raw for track in view.each("redis_group_clients")}

    def _finding(self, view: View, surge: _Surge, clients: float, ceiling: float) -> Finding:
        gained = clients - surge.before
        eta = self._eta(view, surge, clients, ceiling)
        surge.culprit = self._culprit(view, surge) or surge.culprit
        refused = view.value("redis_connections_rejected_total") or 0.0
        wall = f" It refuses newcomers now ({pace(refused)})." if refused else ""
        who = f", {surge.culprit.name} first" if surge.culprit else ""
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Urgency(self.critical_within, float("inf")).severity(view.now, eta),
            time=view.now,
            firing=True,
            summary=(
                f"{count(gained)} more connections in {span(max(1.0, view.now - surge.began))}{who}: "
                f"{count(clients)} of {count(ceiling)} in use, usually at most {count(surge.usual)}.{wall}"
            ),
            value=clients,
            threshold=surge.usual + self.part_of_room * (ceiling - surge.usual),
            evidence=(
                Evidence("clients", clients, "", f"at most {count(surge.usual)}"),
                Evidence("gained", gained, "", f"below {count(self.part_of_room * (ceiling - surge.usual))}"),
                Evidence("opened per second", view.value("redis_connections_received_total") or 0.0, "1/s"),
                Evidence("refused per second", refused, "1/s", "0"),
            ),
            eta=eta,
            culprit=surge.culprit,
            first_action=(
                "Stop or slow what connects: scale it down or turn on back-off with jitter. CONFIG SET maxclients "
                "higher buys time."
            ),
            ruled_out=(
                "not a restart: the level is above what was there before",
                f"not a deploy: that adds a few per cent, this took {gained / max(1.0, ceiling - surge.usual):.0%} of "
                "the room",
            ),
            affected=view.affected,
            since=surge.began,
        )

    def _eta(self, view: View, surge: _Surge, clients: float, ceiling: float) -> Eta:
        wall = f"{count(ceiling)} clients"
        left = max(0.0, ceiling - clients)
        found = eta_from_count(view.now, max(1.0, clients - surge.before), view.now - surge.began, left, wall)
        return found or Eta(view.now, None, wall)

    def _culprit(self, view: View, surge: _Surge) -> Culprit | None:
        """The client group that grew most since before the jump, if the census has looked since then."""
        grown = {
            t.label("group"): t.raw - surge.groups.get(t.label("group"), 0.0) for t in view.each("redis_group_clients")
        }
        total = sum(gain for gain in grown.values() if gain > 0)
        if total <= 0:
            return None
        group = max(grown, key=lambda name: grown[name])
        track = next(t for t in view.each("redis_group_clients") if t.label("group") == group)
        example = dict(track.exemplar or ())
        name = example.get("name") if float(example.get("share", "0") or 0) >= 0.5 else None
        share = grown[group] / total
        detail = f"group {group}, +{count(grown[group])} of +{count(total)}"
        return Culprit(name or group, share, detail, (track.exemplar,) if track.exemplar else ())
