"""Exhaustion: connections run out, whoever holds them.

The level against what the server enforces: `maxclients` less replicas, cluster links and reserved slots; also when
the ceiling itself is lowered. Four looks at it, of which the worst is told:

* *level*: above a part of the ceiling for a while. A peak that former days had at this time, too, is information as
  long as it stays below the ceiling;
* *peak*: what former days had at some time within the next day, and today's surplus over them, does not fit;
* *trend*: a rise beyond chance that, even at its slowest, reaches the ceiling within `critical_within`;
* *floor*: the lowest level of each quarter hour stands above former days', goes on rising, and reaches the ceiling
  within `warning_within`.

Imitated by the peaks of every day, and by noise that looks like a trend for ten minutes: trends are judged by
`ledger`, whose evidence says how seldom chance does it, and floors against former days. *Peak* and *floor* know
nothing for the first day, in which a peak of the day that stays above the line is told as if it were new. Keeps quiet
where `leak`, `masked_leak` or `flood` say as much: they name who.

Source: reference/incidents.md 1.6 (floors against yesterday, gated on 72 h, gave 26 h of warning and no false alarm);
the ratios are the community's (lab/README.md, rules B: 90 % for 2 min, 80 % for 5 min).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Eta, Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.floors import Floors
from sentinel.pipeline.diagnosis.forecast import fill_range
from sentinel.pipeline.diagnosis.habit import DAY, SLOTS, Habit
from sentinel.pipeline.diagnosis.ledger import Growth, Ledger
from sentinel.pipeline.diagnosis.levels import Held
from sentinel.pipeline.diagnosis.words import clock_time, count, span

__all__ = ["Exhaustion"]

NAMING = ("leak", "masked_leak", "flood")
"""Causes that say who it is."""
LEAVE = 0.95
"""Part of the level at which it was told that must be left for it to end at once: more than a noise of 4 %."""
WOBBLE = 1.12
"""How far a peak may stand above former days' and still be one of every day: two deviations of the difference between
two readings that each have a noise of 4 %."""
BUSIER = 1.077
"""How much busier than expected a day is, or less busy, in a range that is nominal 80 %: 1.2816 deviations of 6 %,
two of which are `WOBBLE`."""
TRAFFIC = 2.0
"""Times former days up to which more clients may be more traffic, which peaks in proportion; more stays as it is."""
RISING = 0.25
"""Part of the gain that the latter half of its time must hold: half of it when steady, least in a night's ebb."""
SURPLUS = 4
"""Quarter hours in all of which today must have stood above former days."""


@dataclass(frozen=True, slots=True)
class _Outlook:
    severity: Severity
    why: str = ""
    eta: Eta | None = None
    level: float = 0.0
    """Clients when it was said; it is void once that is clearly left."""


@dataclass
class Exhaustion:
    """Above `warning_above` of the ceiling for `for_`, above `critical_above`, or soon there."""

    name: ClassVar[str] = "exhaustion"
    needs: ClassVar[tuple[str, ...]] = ("redis_connected_clients", "redis_max_clients")
    windows: ClassVar[tuple[str, ...]] = ()

    warning_above: float = 0.8
    """Part of the ceiling, 0-1."""
    critical_above: float = 0.9
    for_: Seconds = 120.0
    """How long it must stay above `warning_above`; above `critical_above` a quarter of it."""
    critical_within: Seconds = 7200.0
    warning_within: Seconds = 259200.0
    trend_above: float = 0.6
    """Part of the ceiling below which a trend of the first day is not yet told."""
    evidence: float = 34.0
    """On gain²/moved over the usual step: chance does it once in exp(evidence/2) beginnings."""
    hold: Seconds = 600.0
    """How long it stays open after the last reading that says so, so that noise does not reopen it."""
    day: Seconds = 86400.0

    _above: Held = field(default_factory=Held, init=False, repr=False)
    _high: Held = field(default_factory=Held, init=False, repr=False)
    _habit: Habit = field(default_factory=Habit, init=False, repr=False)
    _highs: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=SURPLUS), init=False, repr=False)
    """Quarter hours that have ended: their highest, and that of former days."""
    _quarter: tuple[int, float] = field(default=(-1, 0.0), init=False, repr=False)
    _ledger: Ledger | None = field(default=None, init=False, repr=False)
    _floors: Floors = field(default_factory=Floors, init=False, repr=False)
    _peak: _Outlook | None = field(default=None, init=False, repr=False)
    """As of the last quarter hour, or change of the ceiling."""
    _floor: _Outlook | None = field(default=None, init=False, repr=False)
    _last: tuple[float, _Outlook, float] | None = field(default=None, init=False, repr=False)
    """When the worst was seen last, what it was, and the clients then."""
    _quiet: bool = field(default=True, init=False, repr=False)
    """Whether no cause names somebody in this poll."""
    _ceiling: float | None = field(default=None, init=False, repr=False)
    _lowered: str = field(default="", init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires by level, held; by what former days had; or by trend."""
        clients, ceiling = view.value("redis_connected_clients"), view.ceiling
        if clients is None or not ceiling:
            return
        self._note_ceiling(view.now, ceiling)
        self._learn(view, clients, ceiling)
        found = self._outlook(view, clients, ceiling)
        told = max((f.severity for name in NAMING for f in view.found.get(name, ())), default=None)
        if found is not None and (told is None or told < found.severity):
            yield self._finding(view, found, clients, ceiling)

    # What is remembered.

    def _note_ceiling(self, now: float, ceiling: float) -> None:
        if ceiling != self._ceiling:
            self._peak = self._next_peak(now, ceiling)
        if self._ceiling is not None and ceiling < self._ceiling:
            self._lowered = f"the ceiling fell from {count(self._ceiling)} to {count(ceiling)} at {clock_time(now)}"
        elif self._ceiling is not None and ceiling > self._ceiling:
            self._lowered = ""
        self._ceiling = ceiling

    def _learn(self, view: View, clients: float, ceiling: float) -> None:
        """Days with a leak or a flood are not like any other."""
        quiet = self._quiet = not any(view.found.get(name) for name in NAMING)
        if view.value("redis_restarts_total") or self._ledger is None:
            self._ledger = Ledger(self.day)
        self._ledger.add(view.now, clients)
        self._floors.add(view.now, clients, learn=quiet)
        slot = int(view.now * SLOTS / DAY)
        if slot != self._quarter[0]:
            self._highs.append((self._quarter[1], self._habit.usual(view.now - DAY / SLOTS)))
            self._quarter, self._peak = (slot, clients), self._next_peak(view.now, ceiling)
        self._quarter = slot, max(clients, self._quarter[1])
        if quiet:
            self._habit.learn(view.now, clients)

    @property
    def _busier(self) -> float:
        """How much above former days all of the last hour stood, at least 1."""
        return max(1.0, min((high / usual if usual else 1.0 for high, usual in self._highs), default=1.0))

    def _expected(self, usual: float) -> float:
        """What former days had, with today's surplus: in proportion if it may be traffic, else as it stands."""
        if self._quiet and self._busier <= TRAFFIC:
            return usual * self._busier
        return usual + max(0.0, min((high - before for high, before in self._highs), default=0.0))

    # The four looks.

    def _outlook(self, view: View, clients: float, ceiling: float) -> _Outlook | None:
        looks = (
            self._by_level(view, clients, ceiling),
            self._peak,
            self._by_trend(view, clients, ceiling),
            self._by_floor(view.now, clients, ceiling),
        )
        worst = max(
            (look for look in looks if look and clients >= LEAVE * look.level),
            key=lambda look: look.severity,
            default=None,
        )
        if worst is None or (self._last and worst.severity < self._last[1].severity):
            then, last, level = self._last or (0.0, None, 0.0)
            return last if view.now - then <= self.hold and clients >= LEAVE * level else worst
        self._last = view.now, worst, clients
        return worst

    def _by_level(self, view: View, clients: float, ceiling: float) -> _Outlook | None:
        self._above.take(clients >= self.warning_above * ceiling, view.now)
        self._high.take(clients >= self.critical_above * ceiling, view.now)
        if self._high.lasted(self.for_ / 4):
            severity = Severity.CRITICAL
        elif self._above.lasted(self.for_):
            severity = Severity.WARNING
        else:
            return None
        usual = self._habit.usual(view.now)
        if clients <= usual * WOBBLE < ceiling:
            return _Outlook(Severity.INFO, f"former days had up to {count(usual)} at this time")
        return _Outlook(severity)

    def _next_peak(self, now: float, ceiling: float) -> _Outlook | None:
        """The first quarter hour of the next day for which former days and today's surplus leave no room.

        A peak is flat, so that a slightly busier day meets the ceiling long before, and a slightly less busy one long
        after or not at all. The range is from when the busier one does to when the less busy one does; if that one
        does not, to the last quarter hour in which the busier one would; and a quarter hour more, as what is usual
        covers the next one.
        """
        usual = [self._habit.usual(now + ahead * DAY / SLOTS) for ahead in range(SLOTS)]
        expected = [self._expected(value) if value else 0.0 for value in usual]
        first = next((slot for slot, value in enumerate(expected) if value >= ceiling), None)
        if first is None:
            return None
        early = next(slot for slot, value in enumerate(expected) if value * BUSIER >= ceiling)
        last = max(slot for slot, value in enumerate(expected) if value * BUSIER >= ceiling)
        late = next((slot for slot, value in enumerate(expected) if value >= ceiling * BUSIER), last)
        more = expected[first] - usual[first] if usual[first] < ceiling else 0.0
        why = f"former days had up to {count(usual[first])} at {clock_time(now + first * DAY / SLOTS)}"
        why += f", and today has {count(more)} more than they" if more else ""
        eta = Eta(now + early * DAY / SLOTS, now + (late + 2) * DAY / SLOTS, _wall(ceiling))
        return self._within(now, eta, why, self._quarter[1] if more else 0.0)

    def _by_trend(self, view: View, clients: float, ceiling: float) -> _Outlook | None:
        ledger = self._ledger
        if ledger is None or clients < self.trend_above * ceiling or ledger.rose != view.now:
            return None
        growth = ledger.growth()
        if growth is None or not self._sure(growth, 5):
            return None
        eta = self._eta(view.now, ledger, growth, ceiling - clients)
        if eta is None or eta.latest is None or eta.latest - view.now > self.critical_within:
            return None
        return _Outlook(Severity.CRITICAL, f"{count(growth.gain)} more since {clock_time(growth.since)}", eta)

    def _by_floor(self, now: float, clients: float, ceiling: float) -> _Outlook | None:
        growth = self._floors.growth
        if growth is not None:
            self._floor = self._lifted(now, growth, clients, ceiling)
        return self._floor

    def _lifted(self, now: float, growth: Growth, clients: float, ceiling: float) -> _Outlook | None:
        recent, _ = self._floors.excess.pace(now, (now - growth.since) / 2)
        if growth.floor + growth.gain <= 0 or recent < RISING * growth.gain or not self._sure(growth, 3):
            return None
        eta = self._eta(now, self._floors.excess, growth, ceiling - clients)
        if eta is None or eta.earliest - now > self.warning_within:
            return None
        why = (
            f"its lowest level stands {count(growth.gain)} higher than on former days since {clock_time(growth.since)}"
        )
        return self._within(now, eta, why, clients)

    def _sure(self, growth: Growth, rises: int) -> bool:
        """Beyond chance, in some steps and no large one, and higher than before."""
        return (
            growth.evidence / growth.step >= self.evidence
            and growth.rises >= rises
            and growth.biggest <= growth.gain / 3
            and growth.floor + growth.gain > growth.former
        )

    def _eta(self, now: float, ledger: Ledger, growth: Growth, left: float) -> Eta | None:
        room = max(0.0, left)
        found = fill_range(ledger.blocks(growth.since, growth.floor), (room, room), day=self.day)
        return Eta(now + found[0], now + found[1], _wall(self._ceiling or 0.0)) if found else None

    def _within(self, now: float, eta: Eta, why: str, level: float) -> _Outlook:
        soon = eta.earliest - now <= self.critical_within
        return _Outlook(Severity.CRITICAL if soon else Severity.WARNING, why, eta, level)

    # What is said.

    def _former(self, now: float) -> tuple[Evidence, ...]:
        """What former days were compared by; nothing on the first."""
        usual = self._habit.usual(now)
        if not usual:
            return ()
        return (
            Evidence("most at this time of former days", usual),
            Evidence("today in times of former days", self._busier, "", "about 1"),
        )

    def _finding(self, view: View, found: _Outlook, clients: float, ceiling: float) -> Finding:
        since = self._above.since if self._above.since is not None else view.now
        held = f", above {self.warning_above:.0%} since {clock_time(since)}" if self._above.since else ""
        why = "".join(f"; {word}" for word in (found.why, self._lowered) if word)
        biggest = max(view.known("redis_group_clients", 600.0), key=lambda track: track.raw, default=None)
        most = f" Most are held by {biggest.label('group')} ({count(biggest.raw)})." if biggest else ""
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=found.severity,
            time=view.now,
            firing=True,
            summary=(
                f"{count(clients)} of {count(ceiling)} connections in use ({clients / ceiling:.0%}){held}{why}.{most}"
            ),
            value=clients / ceiling,
            threshold=self.warning_above,
            evidence=(
                Evidence("clients", clients, "", f"below {count(self.warning_above * ceiling)}"),
                Evidence("ceiling", ceiling),
                *self._former(view.now),
                Evidence("above the line for", view.now - since, "s", f"below {span(self.for_)}"),
            ),
            eta=found.eta,
            first_action="Raise maxclients (CONFIG SET maxclients works on an open connection), then find who grew.",
            ruled_out=("no leak or flood is visible: no client group explains it by itself",),
            affected=view.affected,
            since=since,
        )


def _wall(ceiling: float) -> str:
    return f"{count(ceiling)} clients"
