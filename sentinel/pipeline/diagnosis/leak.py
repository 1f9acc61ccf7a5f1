"""Leak: connections are opened and never used again, one after another, and nobody closes them.

What it is: a code path forgets to close. Each forgotten connection was used when it was opened and never again,
so its idle time is about its age; they come one by one, in the rhythm of the path that forgets, and they stay.

What imitates it, and what separates them:

* pools that fill or warm up: they come in one burst and then stop; leaks go on (evenness, no pause);
* deploys: what is opened is matched by what is closed (falls against rises);
* autoscaling: the count grows with the number of sources (growth per source);
* traffic growth: the new connections are used, so they never join the cohort;
* short-lived clients that idle between two commands: they leave the cohort as fast as they join it.

Two clocks read the same ledger: *fast*, on connections untouched since their first second (2 s old and more), for
leaks that reach the wall soon; *slow*, on those that have been unused for `unused_after`, which is all but free
of noise. Either speaks only after the growth has been seen for a part (`patience`) of the time that is left: with
ten minutes to the wall half a minute must do, with ten days there is time to be sure.

Source: reference/incidents.md 1.4 and 1.6 (the cohort saw a 70/h leak in 21 minutes and hardly ever erred), the
idle ≈ age test from redis/redis#15102 and the incidents A2-A7.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Culprit, Eta, Evidence, Finding, Labels, Seconds
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.forecast import Urgency, eta_from_count
from sentinel.pipeline.diagnosis.words import clock_time, count, pace, span

__all__ = ["Leak", "Ledger"]


@dataclass(slots=True)
class Ledger:
    """Rises and falls of one group's cohort since it was last at its lowest.

    A record low begins it anew; so does a pause in the rises that is long for their own pace.
    """

    start: float
    floor: float
    level: float
    sources: float
    rises: int = 0
    risen: float = 0.0
    fallen: float = 0.0
    biggest: float = 0.0
    last_rise: float = 0.0
    example: Labels | None = None

    def add(self, now: float, level: float, sources: float, example: Labels | None) -> None:
        """Take the cohort's size at `now`."""
        if level <= self.floor or self._stalled(now):
            self._restart(now, level, sources)
            return
        change, self.level = level - self.level, level
        if change > 0:
            self.rises += 1
            self.risen += change
            self.biggest = max(self.biggest, change)
            self.last_rise = now
            self.example = example or self.example
        else:
            self.fallen -= change

    def _stalled(self, now: float) -> bool:
        """Ten mean gaps without a rise: by chance once in 22,000 for arrivals at random (e^-10)."""
        return self.rises >= 2 and now - self.last_rise > 10 * (self.last_rise - self.start) / self.rises

    def _restart(self, now: float, level: float, sources: float) -> None:
        self.start, self.floor, self.level, self.sources = now, level, level, sources
        self.rises, self.risen, self.fallen, self.biggest, self.last_rise = 0, 0.0, 0.0, 0.0, now
        self.example = None

    @property
    def gain(self) -> float:
        """By how much the cohort has grown since its floor."""
        return self.level - self.floor

    def steady(self, min_gain: float, min_rises: int, max_fallen: float) -> bool:
        """Whether it grew one after another: often enough, in no single burst, and hardly anything left it."""
        return (
            self.gain >= min_gain
            and self.rises >= min_rises
            and self.biggest <= self.gain / 2
            and self.fallen <= max_fallen * self.risen
        )


@dataclass(slots=True)
class _Suspect:
    """What is held against one group while its leak is open, frozen at first suspicion."""

    since: float
    floor: float
    clock: str
    peak: float = 0.0
    examples: tuple[Labels, ...] = ()
    stopped: float | None = None


@dataclass
class Leak:
    """A group's cohort of connections that are never used again grows steadily."""

    name: ClassVar[str] = "leak"
    needs: ClassVar[tuple[str, ...]] = ("redis_connected_clients", "redis_max_clients")
    windows: ClassVar[tuple[str, ...]] = ()

    min_gain: float = 8.0
    """Connections. With `max_fallen`, growth like this by chance (fair coin for each change): below 0.5 % a run."""
    min_rises: int = 5
    """Readings in which the cohort grew: a pool that fills does so in fewer."""
    max_fallen: float = 0.2
    """Part of the rises that may have left again."""
    patience: float = 0.05
    """Part of the time left for which the growth must have been seen, so that hardly any of it is spent."""
    patience_at_most: Seconds = 1800.0
    critical_within: Seconds = 7200.0
    warning_within: Seconds = 259200.0
    stopped_for: Seconds = 1800.0
    """A leak that no longer grows is over after this time, though its connections are still held."""

    _fast: dict[str, Ledger] = field(default_factory=dict, init=False, repr=False)
    _slow: dict[str, Ledger] = field(default_factory=dict, init=False, repr=False)
    _open: dict[str, _Suspect] = field(default_factory=dict, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires once a group for as long as its leaked connections are held and growing."""
        self._read(view, "redis_group_untouched_clients", self._fast)
        self._read(view, "redis_group_unused_clients", self._slow)
        if "flood" not in view.found:
            self._suspect(view)
        for group in list(self._open):
            finding = self._follow(view, group)
            if finding is None:
                del self._open[group]
            else:
                yield finding

    def _read(self, view: View, metric: str, ledgers: dict[str, Ledger]) -> None:
        seen = set()
        for track in view.each(metric):
            group = track.label("group")
            seen.add(group)
            sources = view.value("redis_group_sources", track.labels) or 1.0
            ledger = ledgers.get(group)
            if ledger is None:
                ledgers[group] = Ledger(view.now, track.raw, track.raw, sources)
            else:
                ledger.add(view.now, track.raw, sources, track.exemplar)
        if seen:
            for group in ledgers.keys() - seen:
                del ledgers[group]

    def _suspect(self, view: View) -> None:
        for clock, ledgers in (("slow", self._slow), ("fast", self._fast)):
            for group, ledger in ledgers.items():
                if group not in self._open and self._growing(view, group, ledger):
                    self._open[group] = _Suspect(ledger.start, ledger.floor, clock)

    def _growing(self, view: View, group: str, ledger: Ledger) -> bool:
        if not ledger.steady(self.min_gain, self.min_rises, self.max_fallen):
            return False
        if self._explained_by_sources(view, group, ledger):
            return False
        eta = self._eta(view, ledger)
        left = eta.earliest - view.now if eta else float("inf")
        return view.now - ledger.start >= min(self.patience * left, self.patience_at_most)

    @staticmethod
    def _explained_by_sources(view: View, group: str, ledger: Ledger) -> bool:
        """New processes bring their pools: growth with the number of sources is scaling, not a leak."""
        labels = (("group", group),)
        sources, clients = view.value("redis_group_sources", labels), view.value("redis_group_clients", labels)
        if sources is None or clients is None or sources <= ledger.sources:
            return False
        before = max(1.0, (clients - ledger.gain) / max(1.0, ledger.sources))
        return (sources - ledger.sources) * before >= ledger.gain / 2

    def _eta(self, view: View, ledger: Ledger) -> Eta | None:
        clients, ceiling = view.value("redis_connected_clients"), view.ceiling
        if clients is None or ceiling is None:
            return None
        left = max(0.0, ceiling - clients)
        dispersion = max(1.0, ledger.risen / max(1, ledger.rises))
        wall = f"{count(ceiling)} clients"
        return eta_from_count(view.now, ledger.gain, view.now - ledger.start, left, wall, dispersion=dispersion)

    def _follow(self, view: View, group: str) -> Finding | None:
        """The finding on an open suspect; None when it is over."""
        suspect = self._open[group]
        ledgers = self._slow if suspect.clock == "slow" else self._fast
        ledger = ledgers.get(group)
        if ledger is None or ledger.level - suspect.floor <= 0.3 * suspect.peak:
            return None
        held = ledger.level - suspect.floor
        suspect.peak = max(suspect.peak, held)
        suspect.examples = suspect.examples or ((ledger.example,) if ledger.example else ())
        full = bool(view.value("redis_connections_rejected_total"))
        if ledger.gain > 0 or full:
            suspect.stopped = None
        elif suspect.stopped is None:
            suspect.stopped = view.now
        elif view.now - suspect.stopped > self.stopped_for:
            return None
        return self._finding(view, group, suspect, ledger, held, full)

    def _finding(self, view: View, group: str, suspect: _Suspect, ledger: Ledger, held: float, full: bool) -> Finding:
        now = view.now
        eta = None if suspect.stopped is not None else self._eta(view, ledger)
        slope = ledger.gain / max(1e-9, now - ledger.start)
        clients, ceiling = view.value("redis_connected_clients") or 0.0, view.ceiling or 0.0
        culprit = _culprit(group, suspect, ledger)
        growth = "no longer growing" if suspect.stopped is not None else f"{pace(slope)} more"
        wall = " The server is full and refuses newcomers now." if full else ""
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Urgency(self.critical_within, self.warning_within).severity(now, eta),
            time=now,
            firing=True,
            summary=(
                f"{culprit.name} holds {count(held)} connections that were opened since "
                f"{clock_time(suspect.since)} and never used again, {growth}; "
                f"{count(clients)} of {count(ceiling)} in use.{wall}"
            ),
            subject=group,
            value=held,
            threshold=self.min_gain,
            evidence=(
                Evidence("connections never used again", held, "", "no steady growth"),
                Evidence("growth", slope, "1/s", "0"),
                Evidence("closed again", ledger.fallen, "", "as many as were opened"),
                Evidence("clients", clients, "", f"below {count(ceiling)}"),
                Evidence("commands per second", view.value("redis_commands_total") or 0.0, "1/s"),
            ),
            eta=eta,
            culprit=culprit,
            first_action=(
                f"Recycle the processes of {culprit.name}: that frees the connections. Then look for a path, most "
                "often an error path, that does not close its connection."
            ),
            ruled_out=self._ruled_out(suspect, ledger, now),
            affected=view.affected,
            since=suspect.since,
        )

    @staticmethod
    def _ruled_out(suspect: _Suspect, ledger: Ledger, now: float) -> tuple[str, ...]:
        return (
            f"not a deploy: {count(ledger.fallen)} of {count(ledger.risen)} closed in {span(now - suspect.since)}",
            f"not a pool filling up: they came in {ledger.rises} readings, at most {count(ledger.biggest)} at once",
            "not traffic growth: these connections carry none",
        )


def _culprit(group: str, suspect: _Suspect, ledger: Ledger) -> Culprit:
    example = dict(suspect.examples[0]) if suspect.examples else {}
    newest = dict(ledger.example or ())
    share = float(newest.get("share", example.get("share", "0")) or 0)
    exact = newest.get("name") or example.get("name", "")
    name = exact if exact and share >= 0.5 else group
    parts = [f"group {group}"] + [
        f"{key} {newest[key]}" for key in ("addr", "cmd", "lib", "user", "db") if newest.get(key)
    ]
    return Culprit(name, share or None, ", ".join(parts), suspect.examples)
