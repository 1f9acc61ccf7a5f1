"""Change: what was done to the service on purpose, or came by itself, and explains what moved. Never a page.

One short line of information, at most one in `at_most_every`: a deploy (a group's connections replaced one for one), a
group that was scaled (more or fewer processes, as many connections each), a pool that filled to its mark, a restart of
the server or another in its place, a change of role or of `maxclients`. It is there so that a reader of the timeline
sees why a level moved, and that it is known.

What imitates them is trouble itself: connections that are opened and not closed (`leak`), a rush (`flood`). A deploy
needs as many deaths as births; scaling the same number for each process; a pool must have stood still again for
`settle`. A group whose clients live for moments anyway is never deployed.

Source: reference/incidents.md 1.4 (what separates look-alikes), B3 and D3 (deploys that were looked for by time).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import clock_time, count, span

__all__ = ["Change"]

_LEAST = 4.0
"""Connections or processes that must have changed; below, one process more or less is all there is to see."""
_REPLACED = 0.5
"""Part of a group that must have died and been born anew for a deploy; a restart of a few processes is none."""
_SAME = 0.25
"""Part by which a number may differ and be taken for the same: pools breathe by 10 to 20 % (the lab's load)."""


@dataclass(frozen=True, slots=True)
class _State:
    """A group at one census."""

    time: float
    clients: float
    sources: float
    births: float
    deaths: float

    @property
    def each(self) -> float:
        return self.clients / max(1.0, self.sources)


@dataclass(slots=True)
class _Note:
    noted: float
    time: float
    """When the change began."""
    text: str
    evidence: tuple[Evidence, ...]


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

    _groups: dict[str, deque[_State]] = field(default_factory=dict, init=False, repr=False)
    """Censuses of the last `within`, and one before; begun anew once a change was told."""
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
        blamed = {finding.subject for finding in (*view.found.get("leak", ()), *view.found.get("masked_leak", ()))}
        for track in view.each("redis_group_clients"):
            group = track.label("group")
            if group in blamed or "flood" in view.found:
                self._groups.pop(group, None)
            else:
                self._follow(view, group, track.raw)
        waited = bool(self._notes) and view.now - self._notes[0].noted >= self.settle
        if waited and view.now - self._told >= self.at_most_every:
            self._shown, self._notes, self._told = self._notes[:20], [], view.now
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

    def _follow(self, view: View, group: str, clients: float) -> None:
        labels = (("group", group),)
        raw = [
            track.raw if (track := view.store.one(metric, labels)) is not None else 0.0
            for metric in ("redis_group_sources", "redis_group_births_total", "redis_group_deaths_total")
        ]
        newest = _State(view.now, clients, *raw)
        states = self._groups.setdefault(group, deque(maxlen=240))
        if states and newest.births < states[-1].births:
            states.clear()
        states.append(newest)
        while len(states) > 2 and view.now - states[1].time >= self.within:
            states.popleft()
        if self._calm(states) and self._told_of(group, states):
            states.clear()
            states.append(newest)

    def _calm(self, states: deque[_State]) -> bool:
        """Whether nothing has moved for `settle`."""
        newest = states[-1]
        recent = [state for state in states if newest.time - state.time <= self.settle]
        before = [state for state in states if newest.time - state.time >= self.settle]
        if not before or len(recent) < 2:
            return False
        moved = newest.births - before[-1].births + newest.deaths - before[-1].deaths
        swing = max(state.clients for state in recent) - min(state.clients for state in recent)
        return moved + swing <= max(1.0, 0.02 * newest.clients)

    def _told_of(self, group: str, states: deque[_State]) -> bool:
        """Notes what happened to a group between the oldest state and the newest, if it was something."""
        old, new = states[0], states[-1]
        born, died = new.births - old.births, new.deaths - old.deaths
        level, more = old.clients, new.clients - old.clients
        began = next((s.time for s in states if s.births - old.births + s.deaths - old.deaths > 0.02 * level), new.time)
        when, figures = clock_time(began), (Evidence(f"{group}: opened", born), Evidence(f"{group}: closed", died))
        if level >= _LEAST and min(born, died) >= _REPLACED * level and abs(more) <= _SAME * level:
            replaced = min(born, died, level)
            self._note(
                new.time, began, f"deploy of {group} at {when}: {count(replaced)} of {count(level)} replaced", *figures
            )
        elif abs(more) < max(_LEAST, _SAME * level):
            return False
        elif level and abs(new.each - old.each) <= _SAME * old.each and new.sources != old.sources:
            sizes = f"{count(old.sources)} to {count(new.sources)} processes"
            self._note(
                new.time, began, f"{group} scaled at {when}: {sizes}, {count(level)} to {count(new.clients)}", *figures
            )
        elif level and more > 0 and new.sources == old.sources:
            self._note(
                new.time, began, f"pools of {group} filled at {when}: {count(level)} to {count(new.clients)}", *figures
            )
        elif not new.clients:
            self._note(new.time, began, f"{group} ended at {when}: {count(level)} closed", *figures)
        elif not level:
            self._note(new.time, began, f"{group} began at {when}: {count(new.clients)} opened", *figures)
        else:
            return False
        return True

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


_ROLES = {"slave": "a replica", "master": "the master"}
