"""Change: what was done to the service on purpose, or came by itself, and explains what moved. Never a page.

One short line of information, at most one in `at_most_every`: a deploy (a group's connections replaced one for one), a
group that was scaled (more or fewer processes, as many connections each), a pool that filled to its mark, a restart of
the server or another in its place, a change of role or of `maxclients`. It is there so that a reader of the timeline
sees why a level moved, and that it is known.

What imitates them is trouble itself: connections that are opened and not closed (`leak`), a rush (`flood`). A deploy
needs as many deaths as births; scaling the same number for each process; a pool must have stood still again for
`settle`, and is told after `within`, when the census knows whether what filled it is used at all: a leak that comes
in bursts stands still as well, but nobody uses what it opened. A group whose clients live for moments anyway is never
deployed. Whoever reconnects after an outage is not deployed either: what comes within `settle` of it is the state to
compare with.

Source: reference/incidents.md 1.4 (what separates look-alikes), B3 and D3 (deploys that were looked for by time).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from sentinel.model import Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.cohort import UNUSED, group_of
from sentinel.pipeline.diagnosis.words import clock_time, count, span

__all__ = ["Change"]

_LEAST = 10.0
"""Connections that must have changed; below, a process more or less is all there is to see."""
_REPLACED = 0.8
"""Part of a group that must have died and been born anew for a deploy, which replaces all that are there."""
_UNUSUAL = 3.0
"""Multiple of what the group replaces anyway in that time: pools renew connections that have idled."""
_GROWN = 0.5
"""Part by which a group must grow or shrink to be told of: a day's rhythm does less between two deploys."""
_SAME = 0.25
"""Part by which a number may differ and be taken for the same: pools breathe by 10 to 20 % (the lab's load)."""
_STILL = 0.02
"""Part of a group that may come and go while it stands still."""

KNOWN = 600.0
"""Seconds for which the last census stands for the groups that there are (`leak`)."""


class _State(NamedTuple):
    """A group at one census."""

    time: float
    clients: float
    sources: float
    births: float
    deaths: float

    @property
    def each(self) -> float:
        return self.clients / max(1.0, self.sources)

    def moved(self, since: _State) -> float:
        """Connections that came or went since then."""
        return self.births - since.births + self.deaths - since.deaths + abs(self.clients - since.clients)


@dataclass(slots=True)
class _Group:
    """What a group did since it last stood still."""

    still: _State
    mark: _State
    """From here on it is watched for standing still."""
    seen: float
    began: float | None = None
    renewed: float = 0.0
    """Connections replaced of late and not told of, halving in `within`: a steady rate r sums up to r within / ln 2."""
    usual: float = 0.0
    """The same, as of when it last stood still: what the group replaces anyway."""


@dataclass(slots=True, eq=False)
class _Note:
    noted: float
    time: float
    """When the change began."""
    text: str
    evidence: tuple[Evidence, ...]
    pool: str = ""
    """The group whose pools filled, by how many, and how many it held then that had never been used again."""
    more: float = 0.0
    unused: float = 0.0


@dataclass
class Change:
    """What changed, told as information."""

    name: ClassVar[str] = "change"
    needs: ClassVar[tuple[str, ...]] = ("redis_connected_clients",)
    windows: ClassVar[tuple[str, ...]] = ()

    within: Seconds = 900.0
    """How far back the beginning of a change is looked for: a rolling deploy of a large group takes that long."""
    settle: Seconds = 120.0
    """How long a group must have stood still for its change to be over and to be counted; a line waits as long for
    others that came with it."""
    at_most_every: Seconds = 3600.0
    """One line in this time; what happens meanwhile is in the next."""
    shown_for: Seconds = 300.0
    """How long a line stands."""

    _groups: dict[str, _Group] = field(default_factory=dict, init=False, repr=False)
    _role: str = field(default="", init=False, repr=False)
    _limit: float | None = field(default=None, init=False, repr=False)
    _restarts: float | None = field(default=None, init=False, repr=False)
    _read: float | None = field(default=None, init=False, repr=False)
    """When the server was read last."""
    _notes: list[_Note] = field(default_factory=list, init=False, repr=False)
    _shown: list[_Note] = field(default_factory=list, init=False, repr=False)
    _told: float = field(default=float("-inf"), init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires for `shown_for` with the newest line."""
        self._server(view)
        if view.now - view.steady_since < self.settle:
            self._groups.clear()
        blamed = {finding.subject for finding in (*view.found.get("leak", ()), *view.found.get("masked_leak", ()))}
        for track in view.each("redis_group_clients"):
            group = track.label("group")
            if group in blamed or "flood" in view.found:
                self._groups.pop(group, None)
            else:
                self._follow(view, group, track.labels, track.raw)
        self._notes = [note for note in self._notes if not note.pool or not _leaks(view, note, blamed)]
        ready = [note for note in self._notes if view.now - note.noted >= (self.within if note.pool else self.settle)]
        if ready and view.now - self._told >= self.at_most_every:
            shown = [note for note in self._notes if note in ready or not note.pool]
            self._notes = [note for note in self._notes if note not in shown]
            self._shown, self._told = sorted(shown[:20], key=lambda note: (note.time, note.text)), view.now
        if self._shown and view.now - self._told < self.shown_for:
            yield self._finding(view)

    def _server(self, view: View) -> None:
        """Restarts, another server in its place, roles and limits."""
        restarts = view.store.one("redis_restarts_total")
        role = next((track.label("role") for track in view.each("redis_info")), self._role)
        limit = view.value("redis_max_clients")
        if restarts is not None and self._restarts is not None and restarts.raw > self._restarts:
            self._restarted(view)
        elif self._role and role != self._role:
            self._note(
                view.now, view.now, f"became {_ROLES.get(role, role)} (was {_ROLES.get(self._role, self._role)})"
            )
        if self._limit and limit and limit != self._limit:
            fell = Evidence("maxclients", limit, "", f"{count(self._limit)} as before")
            self._note(view.now, view.now, f"maxclients changed from {count(self._limit)} to {count(limit)}", fell)
        self._restarts = self._restarts if restarts is None else restarts.raw
        self._role, self._limit, self._read = role, limit or self._limit, view.now

    def _restarted(self, view: View) -> None:
        away = view.now - (self._read or view.now)
        uptime = view.value("redis_uptime_seconds")
        self._groups.clear()
        up = Evidence("uptime", uptime or 0.0, "s", "above the time between two polls")
        if uptime is not None and uptime > away + self.settle:
            self._note(view.now, view.now, f"another server answers there (up for {span(uptime)})", up)
        else:
            self._note(view.now, view.now, f"the server was restarted (away for {span(away)} at most)", up)

    def _note(self, now: float, began: float, text: str, *evidence: Evidence) -> None:
        self._notes.append(_Note(now, began, text, evidence))

    def _follow(self, view: View, name: str, labels: Labels, clients: float) -> None:
        births, deaths, sources = (_raw(view, metric, labels) for metric in _COUNTED)
        group = self._groups.get(name)
        if group is not None and group.began is None:
            mark = group.mark
            if (mark.clients, mark.births, mark.deaths, mark.sources) == (clients, births, deaths, sources):
                group.seen = view.now
                return
        self._move(view, name, _State(view.now, clients, sources, births, deaths))

    def _move(self, view: View, name: str, new: _State) -> None:
        """Wait until it has moved and stands still again; what moves for longer than `within` moves always."""
        group = self._groups.get(name)
        if group is None or new.births < group.mark.births:
            self._groups[name] = _Group(new, new, new.time)
            return
        anyway = group.usual * math.log(2) / self.within
        if new.moved(group.mark) > max(1.0, _STILL * new.clients, _UNUSUAL * 2 * anyway * self.settle):
            renewed = min(new.births - group.mark.births, new.deaths - group.mark.deaths)
            group.renewed = renewed + group.renewed * 0.5 ** ((new.time - group.mark.time) / self.within)
            group.began = group.seen if group.began is None else group.began
            group.mark = new
            if new.time - group.began > self.within:
                self._stand(group, new)
        elif new.time - group.mark.time >= self.settle:
            if group.began is not None:
                self._tell(view, name, group, new, group.began, anyway)
            self._stand(group, new)
        group.seen = new.time

    @staticmethod
    def _stand(group: _Group, new: _State) -> None:
        group.still, group.mark, group.began, group.usual = new, new, None, group.renewed

    def _tell(self, view: View, name: str, group: _Group, new: _State, began: float, anyway: float) -> None:
        """Notes what happened to a group between two times at which it stood still, if it was something.

        `anyway`: connections a second that it replaces without anybody's doing.
        """
        old, when = group.still, clock_time(began)
        born, died, level, more = (
            new.births - old.births,
            new.deaths - old.deaths,
            old.clients,
            new.clients - old.clients,
        )
        figures = Evidence(f"{name}: opened", born), Evidence(f"{name}: closed", died)
        replaced = min(born, died, level)
        sizes = f"{count(level)} to {count(new.clients)}"
        text = ""
        pool: tuple[str, float, float] = ("", 0.0, 0.0)
        if abs(more) <= _SAME * level:
            if replaced >= max(_LEAST, _REPLACED * level, _UNUSUAL * anyway * (new.time - began)):
                text = f"deploy of {name} at {when}: {count(replaced)} of {count(level)} replaced"
        elif abs(more) < max(_LEAST, _GROWN * level):
            return
        elif not level or not new.clients:
            verb = "ended" if level else "began"
            text = f"{name} {verb} at {when}: {sizes}"
        elif new.sources != old.sources and abs(new.each - old.each) <= _SAME * old.each:
            text = f"{name} scaled at {when}: {count(old.sources)} to {count(new.sources)} processes, {sizes}"
        elif new.sources == old.sources and more > 0:
            text = f"pools of {name} filled at {when}: {sizes}"
            pool = name, more, _unused(view, name)
        if text:
            self._notes.append(_Note(new.time, began, text, figures, *pool))
            group.renewed = group.usual

    def _finding(self, view: View) -> Finding:
        notes = self._shown
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.INFO,
            time=view.now,
            firing=True,
            summary="; ".join(note.text for note in notes[:5])
            + (f"; and {len(notes) - 5} more changes" if len(notes) > 5 else "")
            + ".",
            value=float(len(notes)),
            evidence=tuple(evidence for note in notes for evidence in note.evidence)[:10],
            first_action="Nothing to do, if it was meant.",
            ruled_out=("not a leak: what was opened was closed, or stands still again",),
            affected=(),
            since=min(note.time for note in notes),
        )


def _unused(view: View, group: str) -> float:
    return next((track.raw for track in view.known(UNUSED, KNOWN) if group_of(track) == group), 0.0)


def _leaks(view: View, note: _Note, blamed: set[str]) -> bool:
    """Whether the group is blamed for a leak by now, or half of what came was never used again."""
    return note.pool in blamed or _unused(view, note.pool) - note.unused >= note.more / 2


def _raw(view: View, metric: str, labels: Labels) -> float:
    track = view.store.one(metric, labels)
    return 0.0 if track is None else track.raw


_COUNTED = ("redis_group_births_total", "redis_group_deaths_total", "redis_group_sources")
_ROLES = {"slave": "a replica", "master": "the master"}
