"""Leak: connections are opened and not closed, one after another, in the rhythm of a path that forgets.

Each forgotten connection was used when it was opened and never again, so its idle time is about its age: the *cohort*
of such connections grows, and nobody leaves it. Where forgotten connections are kept busy (a health check pings
them, a subscription lives on them) only the group's number tells, and only beside what former days had at this time.

What imitates it, and what separates them:

* healthy pools, whose newest connections are in the cohort until they are used again: they leave it as fast as they
  join it. The growth must be beyond a fair coin's by once a year (`evidence`), and above all that the last day had;
* pools that fill or warm up: they come in a few jumps, then stop (`rises`, and no rise may be a third of the whole);
* deploys: what opens replaces what closes, so the group does not grow by it;
* autoscaling: each new process brings what the others hold (clients by source);
* traffic growth: new connections are used, so they never join the cohort; floors are compared with what so much more
  traffic explains;
* floods: within minutes several groups grow alike; a leak is one group's.

Three clocks: *slow*, the cohort that is `unused_after` old (a setting of the census), all but free of noise; *fast*,
the cohort from its third second on, which counts only when less than `critical_within` is left; *floor*, the group's
lowest number of each quarter hour against former days, which knows nothing in the first day, and is all that there
is where the server does not allow CLIENT LIST.

Source: reference/incidents.md 1.4 and 1.6 (the cohort saw a 70/h leak in 21 minutes and hardly ever erred; floors
against yesterday's, gated on the time left, never erred), the idle ≈ age test from redis/redis#15102 and the
incidents A2-A7. The test itself: `ledger`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from sentinel.model import Culprit, Eta, Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.cohort import (
    EVIDENCE,
    NOBODY,
    RISES,
    UNTOUCHED,
    UNUSED,
    even,
    example,
    explained,
    group_of,
    name_of,
    sizes,
)
from sentinel.pipeline.diagnosis.floors import Floors
from sentinel.pipeline.diagnosis.forecast import Background, Rhythm, fill_range
from sentinel.pipeline.diagnosis.habit import Habit
from sentinel.pipeline.diagnosis.ledger import Growth, Ledger
from sentinel.pipeline.diagnosis.levels import Ladder
from sentinel.pipeline.diagnosis.words import clock_time, count, pace, span

__all__ = ["Leak"]

COHORTS = {"slow": UNUSED, "fast": UNTOUCHED}
UNNAMED = ""
"""The group of all clients, where no group is known."""
CENSUS_AGE = 600.0
"""Seconds for which the last census stands for the groups that there are: its interval grows with its cost."""
GAPS = 10.0
"""Mean gaps without a rise after which growth has ended: by chance once in 22,000 (e^-10)."""
SHRINKS = 0.8
"""Part of the most that was held below which it no longer grows: a fifth is more than noise takes back (`levels`)."""
LEAVE = 0.5
"""A severity is left when twice the time is left at which it began: a range's early end moves by as much when what
was seen for an hour turns out to be another rate (two deviations of `forecast.DRIFT`)."""

Clock = Literal["slow", "fast", "floor"]


@dataclass(slots=True)
class _Suspect:
    """What is held against one group while its leak is open, frozen at first suspicion."""

    growth: Growth
    clock: Clock
    grown: float
    """When it last stood higher than ever."""
    peak: float = 0.0
    held: float = 0.0
    examples: tuple[Labels, ...] = ()
    ladder: Ladder = field(default_factory=Ladder)

    def take(self, now: float, level: float) -> None:
        self.held = level - self.growth.floor
        if self.held > self.peak:
            self.peak, self.grown = self.held, now


@dataclass
class Leak:
    """A group's cohort of connections that are never used again grows, or its floor does."""

    name: ClassVar[str] = "leak"
    needs: ClassVar[tuple[str, ...]] = ("redis_connected_clients", "redis_max_clients")
    windows: ClassVar[tuple[str, ...]] = ()

    evidence: float = EVIDENCE
    """On gain²/moved of the cohort: connections, if none closes. By chance once a year for a server."""
    rises: int = RISES
    """Readings in which it must have grown, none of them by a third of the whole: pools fill in fewer."""
    critical_within: Seconds = 7200.0
    warning_within: Seconds = 259200.0
    stopped_for: Seconds = 1800.0
    """A leak that no longer grows is over after this time, and what it holds is normal from then on."""
    rush: Seconds = 600.0
    """Growth younger than this must be mostly one group's: several that grow alike are a flood, which has come or gone
    by then (its own `hold`)."""
    day: Seconds = 86400.0
    """The rhythm of traffic, and how far back beginnings are looked for."""

    _ledgers: dict[Clock, dict[str, Ledger]] = field(
        default_factory=lambda: {"slow": {}, "fast": {}}, init=False, repr=False
    )
    _sizes: dict[str, tuple[float, ...]] = field(default_factory=dict, init=False, repr=False)
    """Clients and sources of each group in this poll."""
    _floors: dict[str, Floors] = field(default_factory=dict, init=False, repr=False)
    _traffic: Habit = field(default_factory=Habit, init=False, repr=False)
    _background: Background = field(default_factory=Background, init=False, repr=False)
    _open: dict[str, _Suspect] = field(default_factory=dict, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires once a group for as long as its leaked connections are held and growing."""
        if view.value("redis_restarts_total"):
            self._forget_all()
        known = {finding.subject for finding in view.found.get("masked_leak", ())}
        self._sizes = view.once(sizes)
        for clock in ("slow", "fast"):
            self._read(view, clock)
        self._read_floors(view)
        for group, clock, growth in self._suspects(view):
            if group not in self._open and group not in known:
                self._open[group] = _Suspect(growth, clock, view.now)
        for group in list(self._open):
            if group in known or not self._goes_on(view, group):
                self._close(group)
        clients = view.value("redis_connected_clients") or 0.0
        self._background.learn(view.now, clients - sum(suspect.held for suspect in self._open.values()))
        for group, suspect in self._open.items():
            yield self._finding(view, group, suspect)

    # What is remembered.

    def _read(self, view: View, clock: Clock) -> None:
        ledgers, tracks = self._ledgers[clock], list(view.each(COHORTS[clock]))
        for track in tracks:
            group = group_of(track)
            if group not in ledgers:
                ledgers[group] = Ledger(self.day)
            ledgers[group].add(view.now, track.raw, self._sizes.get(group, NOBODY))
        if tracks and len(tracks) < len(ledgers):
            for group in ledgers.keys() - set(map(group_of, tracks)):
                del ledgers[group]

    def _read_floors(self, view: View) -> None:
        traffic = view.value("redis_commands_total") or 0.0
        usual = self._traffic.usual(view.now)
        times = traffic / usual if usual else 1.0
        if not self._open:
            self._traffic.learn(view.now, traffic)
        counts = {group_of(track): track.raw for track in view.known("redis_group_clients", CENSUS_AGE)}
        counts = counts or {UNNAMED: view.value("redis_connected_clients") or 0.0}
        for group in self._floors.keys() - counts.keys():
            del self._floors[group]
        for group, clients in counts.items():
            floors = self._floors.setdefault(group, Floors())
            floors.add(view.now, clients, times, learn=group not in self._open)

    def _forget_all(self) -> None:
        for ledgers in self._ledgers.values():
            ledgers.clear()

    def _close(self, group: str) -> None:
        """What the group holds now is given from here on."""
        del self._open[group]
        for ledgers in self._ledgers.values():
            ledgers.pop(group, None)
        if group in self._floors:
            self._floors[group].forget()

    def _ledger(self, group: str, clock: Clock) -> Ledger | None:
        if clock != "floor":
            return self._ledgers[clock].get(group)
        return self._floors[group].excess if group in self._floors else None

    # Who is suspected.

    def _suspects(self, view: View) -> Iterator[tuple[str, Clock, Growth]]:
        for clock in ("slow", "fast"):
            for group, ledger in self._ledgers[clock].items():
                if ledger.rose == view.now and group not in self._open:
                    growth = ledger.growth()
                    if growth and self._convicts(view, group, clock, growth):
                        yield group, clock, growth
        for group, floors in self._floors.items():
            growth = floors.growth
            if growth and group not in self._open and self._lifted(view, group, growth):
                yield group, "floor", growth

    def _convicts(self, view: View, group: str, clock: Clock, growth: Growth) -> bool:
        if not even(growth, growth.evidence, self.evidence, self.rises):
            return False
        if explained(growth, self._sizes.get(group, NOBODY)):
            return False
        if view.now - growth.since < self.rush and not self._alone(group, clock, growth):
            return False
        return clock == "slow" or self._left(view, growth) <= self.critical_within

    def _alone(self, group: str, clock: Clock, growth: Growth) -> bool:
        """Whether two thirds of what all cohorts gained meanwhile is this group's: of a flood of two it is half."""
        gains = (ledger.gained(growth.since) for name, ledger in self._ledgers[clock].items() if name != group)
        return growth.gain >= 2 * sum(gain for gain in gains if gain > 0)

    def _lifted(self, view: View, group: str, growth: Growth) -> bool:
        """A floor beyond all former days that goes on rising, with the wall within reach."""
        return (
            growth.floor + growth.gain > 0
            and even(growth, _score("floor", growth), self.evidence, 3)
            and self._left(view, growth) <= self.warning_within
        )

    def _left(self, view: View, growth: Growth) -> Seconds:
        room = (view.ceiling or 0.0) - (view.value("redis_connected_clients") or 0.0)
        return max(0.0, room) / growth.pace

    # What is said of whom.

    def _goes_on(self, view: View, group: str) -> bool:
        """Whether what leaked is still held, and was growing a while ago or can not for want of room."""
        suspect = self._open[group]
        ledger = self._ledger(group, suspect.clock)
        if ledger is None:
            return False
        suspect.take(view.now, ledger.level)
        if suspect.held <= 0.3 * suspect.peak:
            return False
        if view.value("redis_connections_rejected_total"):
            suspect.grown = view.now
        gap = (suspect.grown - suspect.growth.since) / suspect.growth.rises
        return view.now - suspect.grown <= max(self.stopped_for, GAPS * gap)

    def _eta(self, view: View, group: str, suspect: _Suspect) -> Eta | None:
        """When the room is used up; None while what is held shrinks."""
        ledger, ceiling = self._ledger(group, suspect.clock), view.ceiling
        if suspect.held < SHRINKS * suspect.peak or ledger is None or ceiling is None:
            return None
        clients, onset = view.value("redis_connected_clients") or 0.0, suspect.growth
        ahead = max(0.0, ceiling - clients) * (view.now - onset.since) / suspect.held
        held = sum(one.held for one in self._open.values())
        low, high = self._background.range(view.now, clients - held, ahead)
        left = max(0.0, ceiling - held - high), max(0.0, ceiling - held - low)
        blocks, rhythm = ledger.blocks(onset.since, onset.floor), Rhythm.of(*self._traffic.ahead(view.now))
        found = fill_range(blocks, left, now=view.now, rhythm=rhythm, day=self.day)
        return Eta(view.now + found[0], view.now + found[1], f"{count(ceiling)} clients") if found else None

    def _finding(self, view: View, group: str, suspect: _Suspect) -> Finding:
        ledger = self._ledger(group, suspect.clock)
        growth = ledger.onward(suspect.growth) if ledger else suspect.growth
        slope = suspect.held / max(1.0, view.now - suspect.growth.since)
        eta = self._eta(view, group, suspect)
        newest = example(view, COHORTS.get(suspect.clock, "redis_group_clients"), group)
        suspect.examples = suspect.examples or ((newest,) if newest else ())
        culprit = _culprit(group, suspect, newest)
        clients, ceiling = view.value("redis_connected_clients") or 0.0, view.ceiling or 0.0
        refused = view.value("redis_connections_rejected_total")
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=self._severity(view.now, suspect, eta),
            time=view.now,
            firing=True,
            summary=_summary(culprit, suspect, slope, clients, ceiling)
            + (" The server is full and refuses newcomers now." if refused else ""),
            subject=group,
            value=suspect.held,
            score=_score(suspect.clock, growth),
            threshold=self.evidence,
            evidence=self._evidence(view, suspect, growth, slope),
            eta=eta,
            culprit=culprit,
            first_action=_first_action(culprit),
            ruled_out=_ruled_out(suspect, growth, view.now),
            affected=view.affected,
            since=suspect.growth.since,
        )

    def _severity(self, now: float, suspect: _Suspect, eta: Eta | None) -> Severity:
        """By the early end; as it was while there is none."""
        if eta is None:
            return suspect.ladder.severity
        left = max(1.0, eta.earliest - now)
        return suspect.ladder.take(1 / left, 1 / self.warning_within, 1 / self.critical_within, LEAVE)

    def _evidence(self, view: View, suspect: _Suspect, growth: Growth, slope: float) -> tuple[Evidence, ...]:
        clients, ceiling = view.value("redis_connected_clients") or 0.0, view.ceiling or 0.0
        what = "clients above former days" if suspect.clock == "floor" else "connections never used again"
        return (
            Evidence(what, suspect.held, "", "no steady growth"),
            Evidence("growth", slope, "/s", "0"),
            Evidence("gained", growth.gain, "", "as often less as more"),
            Evidence("closed again", growth.fallen, "", "as many as were opened"),
            Evidence("gain² by changes", _score(suspect.clock, growth), "", f"below {self.evidence:g}"),
            Evidence("clients", clients, "", f"below {count(ceiling)}"),
            Evidence("commands per second", view.value("redis_commands_total") or 0.0, "/s"),
        )


def _score(clock: Clock, growth: Growth) -> float:
    """The evidence; of floors over their usual step, as neighbouring quarter hours move together."""
    return growth.evidence / growth.step if clock == "floor" else growth.evidence


def _culprit(group: str, suspect: _Suspect, newest: Labels | None) -> Culprit | None:
    if group == UNNAMED:
        return None
    name, share, detail = name_of(group, suspect.examples[0] if suspect.examples else None, newest)
    return Culprit(name, share, detail, suspect.examples)


def _summary(culprit: Culprit | None, suspect: _Suspect, slope: float, clients: float, ceiling: float) -> str:
    since, more = clock_time(suspect.growth.since), f"{pace(slope)} more"
    use = f"{count(clients)} of {count(ceiling)} in use."
    if suspect.clock != "floor":
        who = culprit.name if culprit else "somebody"
        return (
            f"{who} holds {count(suspect.held)} connections that were opened since {since} and never used again, "
            f"{more}; {use}"
        )
    if culprit:
        return f"{culprit.name} holds {count(suspect.held)} more than on former days since {since}, {more}; {use}"
    return (
        f"{count(suspect.held)} more clients than on former days since {since}, {more}; {use} Nobody can be named: "
        "this server's client list is not read."
    )


def _first_action(culprit: Culprit | None) -> str:
    if culprit is None:
        return "Allow Sentinel CLIENT LIST (ACL +client|list), or count connections by address on the server's host."
    return (
        f"Recycle the processes of {culprit.name}: that frees the connections. Then look for a path, most often an "
        "error path, that does not close its connection."
    )


def _ruled_out(suspect: _Suspect, growth: Growth, now: float) -> tuple[str, ...]:
    one_by_one = f"not a pool filling up: it came in {growth.rises} steps, the largest {count(growth.biggest)}"
    if suspect.clock == "floor":
        return (
            "not the time of day: former days stood lower at this time",
            one_by_one,
            "not traffic growth: commands have not grown as much",
        )
    return (
        f"not a deploy: {count(growth.fallen)} of {count(growth.gain + growth.fallen)} closed in "
        f"{span(now - growth.since)}",
        one_by_one,
        "not traffic growth: these connections carry none",
    )
