"""Masked leak: a leak that restarts hide, again and again. Harmless only as long as somebody deploys.

The cohort of a group's never-used connections grows evenly, falls to nothing when its processes restart, and grows
again at the same pace: a saw-tooth. Told as one trouble, with the pace between the restarts and with when the server
would be full if nobody restarted anything (a freeze, a holiday), instead of as a new leak after each restart.

What imitates it, and what separates them:

* a leak that was fixed: it does not grow again; one that came back grows on within the time of a tooth;
* pools that fill after each deploy: their rise is no leak's (`cohort`), and takes minutes of the hours between deploys,
  while a leak goes on for most of the time (`COVER`);
* a daily peak: what it opens is used again, and its teeth are as long as the pauses between them.

Fires with the second restart, when two teeth are seen. `leak` is silent on the group from then on. A tooth that lasts
longer than restarts have ever let it is a leak like any other, and is as bad as the time that is left.

Source: reference/incidents.md A15 (chdsbd/kodiak#712, "nightly restarts, which I think is why this bug hasn't been an
issue for us") and 5.1, number 7.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Culprit, Eta, Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.cohort import (
    EVIDENCE,
    NOBODY,
    RISES,
    UNUSED,
    even,
    example,
    explained,
    group_of,
    name_of,
    sizes,
)
from sentinel.pipeline.diagnosis.forecast import fill_range
from sentinel.pipeline.diagnosis.ledger import Growth, Ledger
from sentinel.pipeline.diagnosis.levels import Ladder
from sentinel.pipeline.diagnosis.words import clock_time, count, pace, span
from sentinel.pipeline.series import Track

__all__ = ["MaskedLeak"]

REST = 0.3
"""Part of a tooth below which it has been taken away: what is left belongs to processes that are still closing."""
COVER = 0.5
"""Part of the time since the first tooth that teeth must fill: a leak goes on as long as its processes live."""
OVERDUE = 1.5
"""Longest time between restarts, times this: after it, no restart is to be counted on."""
LEAVE = 0.5
"""As for a leak: a severity is left when twice the time is left at which it began."""
MOST = 8
"""Teeth that are remembered."""


@dataclass(frozen=True, slots=True)
class _Tooth:
    since: float
    until: float
    gain: float


@dataclass(slots=True)
class _Saw:
    """One group's cohort, tooth by tooth."""

    ledger: Ledger
    teeth: list[_Tooth] = field(default_factory=list)
    top: Growth | None = None
    """The tooth that is growing, at its highest."""
    sign: float = 0.0
    """When it was last seen to grow or to be taken away."""
    examples: tuple[Labels, ...] = ()
    ladder: Ladder = field(default_factory=Ladder)

    @property
    def longest(self) -> Seconds:
        return max(tooth.until - tooth.since for tooth in self.teeth)

    @property
    def found(self) -> bool:
        """Two teeth or more that fill most of the time they span."""
        if len(self.teeth) < 2:
            return False
        grown = sum(tooth.until - tooth.since for tooth in self.teeth)
        return grown >= COVER * (self.teeth[-1].until - self.teeth[0].since)

    def taken_away(self, now: float, level: float, beside: tuple[float, ...]) -> None:
        """A restart has ended the tooth; the next one begins at this level."""
        if self.top:
            self.teeth = [*self.teeth, _Tooth(self.top.since, self.top.until, self.top.gain)][-MOST:]
        self.ledger, self.top, self.sign = Ledger(self.ledger.memory), None, now
        self.ledger.add(now, level, beside)


@dataclass
class MaskedLeak:
    """A group's cohort grows between restarts that take it away, at least twice."""

    name: ClassVar[str] = "masked_leak"
    needs: ClassVar[tuple[str, ...]] = ("redis_connected_clients", "redis_max_clients")
    windows: ClassVar[tuple[str, ...]] = ()

    evidence: float = EVIDENCE
    """On gain²/moved of each tooth: connections, if none closes."""
    rises: int = RISES
    """Readings in which each tooth must have grown."""
    critical_within: Seconds = 7200.0
    """Only for a tooth that lasts longer than restarts have ever let it."""
    warning_within: Seconds = 259200.0
    """Full within this time without a restart is a warning: a weekend's freeze; else information."""
    memory: Seconds = 691200.0
    """How far back beginnings are looked for: eight days hold a weekly deploy."""

    _saws: dict[str, _Saw] = field(default_factory=dict, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires from the second restart on, until it has not grown for as long as its longest tooth."""
        known, tracks = view.once(sizes), list(view.each(UNUSED))
        for track in tracks:
            group = group_of(track)
            saw = self._saws.get(group)
            if saw is None:
                saw = self._saws[group] = _Saw(Ledger(self.memory))
            self._take(view, saw, group, track, known.get(group, NOBODY))
        if tracks and len(tracks) < len(self._saws):
            here = set(map(group_of, tracks))
            self._saws = {group: saw for group, saw in self._saws.items() if group in here or saw.teeth}
        for group, saw in self._saws.items():
            if saw.found:
                if view.now - saw.sign > OVERDUE * saw.longest:
                    saw.teeth = []
                else:
                    yield self._finding(view, group, saw)

    def _take(self, view: View, saw: _Saw, group: str, track: Track, size: tuple[float, ...]) -> None:
        level, top = track.raw, saw.top
        saw.ledger.add(view.now, level, size)
        if top and level <= top.floor + REST * top.gain:
            saw.taken_away(view.now, level, size)
        elif saw.ledger.rose == view.now and (top is None or level > top.floor + top.gain):
            growth = saw.ledger.onward(top) if top else saw.ledger.growth()
            if growth and (top or self._convicts(growth, size)):
                saw.top, saw.sign = growth, view.now
                saw.examples = saw.examples or ((track.exemplar,) if track.exemplar else ())

    def _convicts(self, growth: Growth, size: tuple[float, ...]) -> bool:
        return even(growth, growth.evidence, self.evidence, self.rises) and not explained(growth, size)

    def _eta(self, view: View, saw: _Saw) -> Eta | None:
        """When the room is used up if nobody restarts anything, from the pace of all teeth."""
        ceiling, clients = view.ceiling, view.value("redis_connected_clients")
        if ceiling is None or clients is None:
            return None
        teeth = [(tooth.gain, tooth.until - tooth.since) for tooth in saw.teeth]
        teeth += [(saw.top.gain, saw.top.until - saw.top.since)] if saw.top else []
        left = max(0.0, ceiling - clients)
        found = fill_range(teeth, (left, left))
        return (
            Eta(view.now + found[0], view.now + found[1], f"{count(ceiling)} clients, if nothing restarts")
            if found
            else None
        )

    def _severity(self, now: float, saw: _Saw, eta: Eta | None) -> Severity:
        left = max(1.0, eta.earliest - now) if eta else float("inf")
        severity = saw.ladder.take(1 / left, 1 / self.warning_within, 1 / self.critical_within, LEAVE)
        overdue = saw.top is not None and now - saw.top.since > OVERDUE * saw.longest
        return severity if overdue else min(severity, Severity.WARNING)

    def _finding(self, view: View, group: str, saw: _Saw) -> Finding:
        eta = self._eta(view, saw)
        newest = example(view, UNUSED, group)
        name, share, detail = name_of(group, saw.examples[0] if saw.examples else None, newest)
        held, teeth = saw.top.gain if saw.top else 0.0, saw.teeth
        gained, grown = sum(tooth.gain for tooth in teeth), sum(tooth.until - tooth.since for tooth in teeth)
        every = (teeth[-1].until - teeth[0].since) / len(teeth)
        clients, ceiling = view.value("redis_connected_clients") or 0.0, view.ceiling or 0.0
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=self._severity(view.now, saw, eta),
            time=view.now,
            firing=True,
            summary=(
                f"{name} leaks {pace(gained / grown)} and is saved by restarts: {len(teeth)} of them since "
                f"{clock_time(teeth[0].since)}, one in {span(every)}, took away {count(gained)} connections that were "
                f"never used again; {count(held)} are there again. {count(clients)} of {count(ceiling)} in use."
            ),
            subject=group,
            value=held,
            score=saw.top.evidence if saw.top else 0.0,
            threshold=self.evidence,
            evidence=(
                Evidence("growth between restarts", gained / grown, "/s", "0"),
                Evidence("rises that a restart ended", len(teeth), "", "at most 1"),
                Evidence(
                    "part of the time in which it grew",
                    grown / (teeth[-1].until - teeth[0].since),
                    "",
                    f"below {COVER}",
                ),
                Evidence("longest without a restart", saw.longest, "s"),
                Evidence("connections never used again", held, "", "no steady growth"),
            ),
            eta=eta,
            culprit=Culprit(name, share, detail, saw.examples),
            first_action=(
                f"Before the next freeze or holiday, find the path in {name} that does not close its connection, most "
                "often an error path; until then keep restarting its processes."
            ),
            ruled_out=(
                "not a leak that was fixed: it grew again after each restart",
                "not pools that fill after a deploy: it grows all the time between restarts",
            ),
            affected=view.affected,
            since=teeth[0].since,
        )
