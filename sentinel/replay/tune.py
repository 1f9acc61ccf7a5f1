"""Tuning: which settings would have woken nobody in vain, and still have told what was real.

Every cause has a ladder: the same cause, stricter step by step. The history is told once a step, to all causes at that
step together; as a verdict on one day depends on the days before it and on the settings, never on a fit, the verdicts
can then be cut by weeks. A fit chooses a step for each cause on some weeks; a *nested backtest* fits on the weeks
before each week and judges on that week, so that nothing is judged on what it was fitted to. At last the whole
proposal is told the whole history once more, as causes see each other.

What comes in vain at the same time of day, again and again, is no matter of thresholds: where the budget is not kept, a
*quiet time* is looked for first, in which what opens is told only if it outlasts it. None is laid over anything real.

A page is *real* if a label explains it or, where there are no labels, if it came before a wall. A step that loses a
real one, or half of its lead, is not taken.

Pure but for reading the tape. Changes nothing by itself.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from sentinel.model import Poll, Seconds, Severity
from sentinel.pipeline import PipelineSettings
from sentinel.pipeline.settings import MaintenanceWindow
from sentinel.replay.jobs import replay_all
from sentinel.replay.judge import WEEK, Label, Told, Verdict, judge
from sentinel.tape import read

__all__ = ["Change", "Fit", "Outcome", "Proposal", "Quiet", "propose", "stricter"]

STEPS = 4
"""Of each ladder, the present settings included."""
WARM_UP: Seconds = 86400.0
"""Of a history: what is told in it is not held against anybody, as daily rhythms are not known yet."""
_LEAST_AGES = 1000
_DAY: Seconds = 86400.0
_GRID: Seconds = 1800.0
"""Quiet times begin and last so many seconds, and multiples."""
_HABIT: Seconds = 7200.0
"""Within which what comes each day begins."""
_LONGEST: Seconds = 14400.0
"""Of a quiet time."""
_LEAST_DAYS = 3
"""On which something must have come to be a habit."""


def _times(*factors: float) -> Callable[[float, int], float]:
    return lambda value, step: value * factors[step - 1]


def _towards_1(*parts: float) -> Callable[[float, int], float]:
    return lambda value, step: 1.0 - (1.0 - value) * parts[step - 1]


_LONGER, _MORE, _MUCH_MORE = _times(2, 4, 8), _times(1.25, 1.6, 2.5), _times(1.5, 2.5, 4)
_HIGHER = _towards_1(0.75, 0.5, 0.3)
LADDERS: Mapping[str, Mapping[str, Callable[[float, int], float]]] = {
    "leak": {"evidence": _MUCH_MORE},
    "exhaustion": {"warning_above": _HIGHER, "critical_above": _HIGHER, "for_": _LONGER, "evidence": _MUCH_MORE},
    "flood": {"part_of_room": _MORE},
    "churn": {"times": _MUCH_MORE, "for_": _LONGER},
    "latency": {"warning_above": _LONGER, "critical_above": _LONGER, "for_": _LONGER},
    "stall": {"for_": _LONGER, "for_unknown": _LONGER},
    "backlog": {"at_least": _times(3, 10, 30), "for_": _LONGER, "critical_after": _LONGER},
    "lost_workers": {"periods": _MUCH_MORE},
    "unreachable": {"for_": _MUCH_MORE},
    "frozen": {"for_": _MUCH_MORE},
    "memory": {"warning_above": _HIGHER, "critical_above": _HIGHER},
    "client_buffers": {"warning_above": _LONGER, "for_": _LONGER},
    "failing_jobs": {"at_least": _LONGER, "warning_part": _MORE},
    "idle_spin": {"for_": _LONGER},
}
"""What makes a cause stricter: how each setting changes from step to step."""


ALWAYS_HEARD = frozenset(
    {"leak", "masked_leak", "flood", "exhaustion", "refused", "unreachable", "frozen", "memory", "stall"}
)
"""Causes that are never proposed to wake nobody: that they were wrong so far does not make them harmless."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a proposal."""

    path: tuple[str, ...]
    """Of the setting in YAML."""
    before: Any
    after: Any
    why: str


@dataclass(frozen=True, slots=True)
class Quiet:
    """A time of each day at which a target makes pages in vain."""

    target: str
    start: Seconds
    """Since midnight, UTC."""
    lasts: Seconds

    def __contains__(self, told: Told) -> bool:
        """Whether it opened in it."""
        return told.target == self.target and self._late(told.opened) < self.lasts

    def keeps(self, told: Told) -> bool:
        """Whether it opened in it and was over before it was, so that nobody would have been told."""
        return told in self and told.resolved is not None and self._late(told.opened) + _lasted(told) <= self.lasts

    def window(self) -> MaintenanceWindow:
        """As a setting."""
        hour, minute = divmod(int(self.start) // 60, 60)
        return MaintenanceWindow(
            f"quiet {self.target} {hour:02}:{minute:02}", f"{minute} {hour} * * *", self.lasts, (self.target,)
        )

    def _late(self, at: float) -> Seconds:
        return (at - self.start) % _DAY


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a history holds under some settings."""

    weeks: float
    pages: int
    vain: int
    """Pages that were not real."""
    real: int
    """Real troubles that were told."""
    lead: Seconds | None
    """Median, from the opening to the wall."""

    @property
    def pages_per_week(self) -> float:
        """Of less than a week its pages are counted as they are."""
        return self.pages / max(1.0, self.weeks)


@dataclass
class Proposal:
    """What to change, and what to expect of it."""

    changes: list[Change]
    budget: float
    unseen_before: Outcome
    """On weeks that no fit had seen, under the present settings …"""
    unseen_after: Outcome
    """… and under those that were fitted to the weeks before each."""
    whole_before: Outcome
    whole_after: Outcome
    lost: list[str]
    """Real troubles that the proposal would no longer tell; none is proposed knowingly."""
    steps: Mapping[str, int] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether weeks that were not seen keep the budget. Where there are none, the whole history."""
        judged = self.unseen_after if self.unseen_after.weeks else self.whole_after
        return judged.pages_per_week <= self.budget


def stricter(cause: Any, step: int) -> Any:
    """A cause at a step of its ladder; 0 is as it is. Settings that it does not have are left out.

    >>> from sentinel.pipeline.diagnosis.backlog import Backlog
    >>> stricter(Backlog(at_least=20.0, for_=300.0), 1).for_
    600.0
    """
    if not step:
        return cause
    known = {each.name: getattr(cause, each.name) for each in dataclasses.fields(cause) if each.init}
    ladder = {name: change for name, change in LADDERS.get(cause.name, {}).items() if name in known}
    return replace(cause, **{name: change(known[name], step) for name, change in ladder.items()})


def propose(
    tape: Path,
    settings: PipelineSettings,
    budget: float,
    labels: Sequence[Label] | None = None,
    page_from: Severity = Severity.CRITICAL,
    jobs: int = 1,
    progress: Callable[[float], None] | None = None,
) -> Proposal:
    """What to change so that a history of this kind wakes somebody at most `budget` times a week."""

    def share(begin: float, end: float) -> Callable[[float], None] | None:
        return None if progress is None else lambda done: progress(begin + (end - begin) * done)

    ladder = [_at(settings, dict.fromkeys(settings.causes, step)) for step in range(STEPS)]
    replayed = replay_all(tape, ladder, jobs, progress=share(0.0, 0.8))
    verdicts = [judge(each, labels, page_from, settings.never_page) for each in replayed]
    fit = Fit(verdicts, settings, budget)
    quiet = fit.quiet(fit.weeks)
    steps, silent = fit.without(quiet).fitted(fit.weeks)
    chosen = replace(_at(settings, steps), never_page=(*settings.never_page, *sorted(silent)))
    (final,) = replay_all(tape, [chosen], jobs, progress=share(0.8, 1.0))
    told = judge(final, labels, page_from, chosen.never_page).told
    whole = _Cut(_outside(told, quiet), chosen.never_page)
    before, after = fit.nested()
    kept = {_trouble(told) for told in whole.told if _is_real(told, labels)}
    lost = sorted({_trouble(told) for told in fit.cut(0).told if _is_real(told, labels)} - kept)
    changes = [
        *_changes(settings, steps, silent, fit.without(quiet)),
        *_windows(settings, quiet, fit),
        *_objectives(tape, settings),
    ]
    now, then = (fit.scored(cut.told, cut.never) for cut in (fit.cut(0), whole))
    return Proposal(changes, budget, before, after, now, then, lost, steps)


@dataclass
class _Cut:
    """What was told at one step, and which causes wake nobody."""

    told: list[Told]
    never: Sequence[str]


class Fit:
    """Verdicts of every step, and the choice among them."""

    def __init__(self, verdicts: Sequence[Verdict], settings: PipelineSettings, budget: float) -> None:
        self._verdicts, self._settings, self._budget = verdicts, settings, budget
        first, last = verdicts[0].history.first, verdicts[0].history.last
        first += WARM_UP if last - first >= 2 * WARM_UP else 0.0
        count = max(1, round((last - first) / WEEK))
        length = (last - first) / count
        self.weeks = [(first + number * length, first + (number + 1) * length) for number in range(count)]

    def cut(self, step: int) -> _Cut:
        """What a step told."""
        return _Cut(self._verdicts[step].told, self._settings.never_page)

    def without(self, quiet: Sequence[Quiet]) -> Fit:
        """The same, with what quiet times keep back left out."""
        verdicts = [replace(verdict, told=_outside(verdict.told, quiet)) for verdict in self._verdicts]
        return Fit(verdicts, self._settings, self._budget) if quiet else self

    def quiet(self, weeks: Sequence[tuple[float, float]]) -> list[Quiet]:
        """Times of day at which most of a cause's pages in vain come, from these weeks alone; none where the budget is
        kept without."""
        present = dict.fromkeys(self._settings.causes, 0)
        if self._pages(present, set(), weeks) <= self._most(weeks):
            return []
        real = [told for cause in present for told in self._real(cause, 0, weeks)]
        found: list[Quiet] = []
        for cause in present:
            vain = [told for told in self._paged(cause, 0, weeks) if not self._is_real(told)]
            for target in sorted({told.target for told in vain}):
                habit = _habit([told for told in vain if told.target == target])
                if habit and habit not in found and not any(told in habit for told in real):
                    found.append(habit)
        return found

    def kept_back(self, quiet: Quiet) -> int:
        """Pages of the whole history that nobody would have been told of."""
        paged = [told for cause in self._settings.causes for told in self._paged(cause, 0, self.weeks)]
        return sum(quiet.keeps(told) for told in paged)

    def _most(self, weeks: Sequence[tuple[float, float]]) -> float:
        return self._budget * max(1.0, sum(end - start for start, end in weeks) / WEEK)

    def fitted(self, weeks: Sequence[tuple[float, float]]) -> tuple[dict[str, int], set[str]]:
        """A step for each cause, and the causes that should wake nobody, from these weeks alone."""
        steps, silent = dict.fromkeys(self._settings.causes, 0), set[str]()
        while self._pages(steps, silent, weeks) > self._most(weeks):
            better = [(self._gain(cause, steps, weeks), cause) for cause in steps if steps[cause] + 1 < STEPS]
            gain, cause = max(better, default=(0.0, ""))
            if gain > 0:
                steps[cause] = self._best_above(cause, steps[cause], weeks)
                continue
            mute = [
                (self._vain(cause, steps[cause], weeks), cause)
                for cause in steps
                if cause not in silent and cause not in ALWAYS_HEARD and not self._real(cause, 0, weeks)
            ]
            number, cause = max(mute, default=(0, ""))
            if not number:
                break
            silent.add(cause)
        return steps, silent

    def nested(self) -> tuple[Outcome, Outcome]:
        """Of each week but the first: what is told now, and what a fit to the weeks before it would have told."""
        before, after, span = [], [], 0.0
        for number, week in enumerate(self.weeks[1:], 1):
            held = self.without(self.quiet(self.weeks[:number]))
            steps, silent = held.fitted(self.weeks[:number])
            span += week[1] - week[0]
            before += [told for told in self._verdicts[0].told if _within(told, [week])]
            after += [
                told for cause, step in steps.items() if cause not in silent for told in held._of(cause, step, [week])
            ]
        never = self._settings.never_page
        return self.scored(before, never, span), self.scored(after, never, span)

    def scored(self, told: Iterable[Told], never: Sequence[str], span: Seconds | None = None) -> Outcome:
        """Numbers of a list of incidents."""
        if span is None:
            told = [each for each in told if _within(each, self.weeks)]
            span = self.weeks[-1][1] - self.weeks[0][0]
        told = list(told)
        pages = [each for each in told if each.paged is not None and each.cause not in never]
        real = [each for each in told if self._is_real(each)]
        leads = [each.lead for each in real if each.lead is not None]
        vain = sum(not self._is_real(each) for each in pages)
        return Outcome(
            span / WEEK, len(pages), vain, len({_trouble(each) for each in real}), median(leads) if leads else None
        )

    def pages_of(self, cause: str, step: int) -> tuple[int, int]:
        """Pages of a cause in the whole history, and those of them that were in vain."""
        return len(self._paged(cause, step, self.weeks)), self._vain(cause, step, self.weeks)

    def _pages(self, steps: Mapping[str, int], silent: set[str], weeks: Sequence[tuple[float, float]]) -> int:
        return sum(len(self._paged(cause, step, weeks)) for cause, step in steps.items() if cause not in silent)

    def _gain(self, cause: str, steps: Mapping[str, int], weeks: Sequence[tuple[float, float]]) -> float:
        best = self._best_above(cause, steps[cause], weeks)
        return float(len(self._paged(cause, steps[cause], weeks)) - len(self._paged(cause, best, weeks)))

    def _best_above(self, cause: str, step: int, weeks: Sequence[tuple[float, float]]) -> int:
        """The lowest step above that has fewest pages and loses nothing real; the step itself if there is none."""
        allowed = [step] + [each for each in range(step + 1, STEPS) if not self._loses(cause, each, weeks)]
        return min(allowed, key=lambda each: (len(self._paged(cause, each, weeks)), each))

    def _loses(self, cause: str, step: int, weeks: Sequence[tuple[float, float]]) -> bool:
        told = {_trouble(each): each for each in self._of(cause, step, weeks)}
        for each in self._real(cause, 0, weeks):
            kept = told.get(_trouble(each))
            if kept is None or (each.paged is not None and kept.paged is None):
                return True
            if each.lead is not None and (kept.lead is None or kept.lead < each.lead / 2):
                return True
        return False

    def _of(self, cause: str, step: int, weeks: Sequence[tuple[float, float]]) -> list[Told]:
        return [told for told in self._verdicts[step].told if told.cause == cause and _within(told, weeks)]

    def _paged(self, cause: str, step: int, weeks: Sequence[tuple[float, float]]) -> list[Told]:
        woken = cause not in self._settings.never_page
        return [told for told in self._of(cause, step, weeks) if told.paged is not None and woken]

    def _vain(self, cause: str, step: int, weeks: Sequence[tuple[float, float]]) -> int:
        return sum(not self._is_real(told) for told in self._paged(cause, step, weeks))

    def _real(self, cause: str, step: int, weeks: Sequence[tuple[float, float]]) -> list[Told]:
        return [told for told in self._of(cause, step, weeks) if self._is_real(told)]

    def _is_real(self, told: Told) -> bool:
        return _is_real(told, self._verdicts[0].labels)


def _lasted(told: Told) -> Seconds:
    return math.inf if told.resolved is None else told.resolved - told.opened


def _outside(told: Iterable[Told], quiet: Sequence[Quiet]) -> list[Told]:
    return [each for each in told if not any(one.keeps(each) for one in quiet)]


def _habit(vain: Sequence[Told]) -> Quiet | None:
    """The time of day that keeps back most of one target's pages: at least half of them, on several days."""
    best, most = None, 0
    for first in vain:
        start = (first.opened - _GRID / 2) // _GRID * _GRID % _DAY
        ends = [end for each in vain if (end := _late_end(each, start)) is not None]
        if not ends:
            continue
        found = Quiet(first.target, start, -(-(max(ends) + _GRID / 2) // _GRID) * _GRID)
        kept = [each for each in vain if found.keeps(each)]
        if len(kept) > most and len({each.opened // _DAY for each in kept}) >= _LEAST_DAYS:
            best, most = found, len(kept)
    return best if 2 * most >= len(vain) else None


def _late_end(told: Told, start: Seconds) -> Seconds | None:
    """When it ended after a time of day, if it began soon after it and was over before long."""
    late = (told.opened - start) % _DAY
    return late + _lasted(told) if late < _HABIT and late + _lasted(told) <= _LONGEST - _GRID else None


def _is_real(told: Told, labels: Sequence[Label] | None) -> bool:
    return told.label is not None if labels is not None else told.wall is not None


def _within(told: Told, weeks: Sequence[tuple[float, float]]) -> bool:
    return any(start <= told.opened < end for start, end in weeks)


def _trouble(told: Told) -> str:
    """What an incident was about, the same at every step."""
    about = told.label.start if told.label is not None else told.wall
    return f"{told.target} {told.cause} {about if about is not None else told.opened}"


def _at(settings: PipelineSettings, steps: Mapping[str, int]) -> PipelineSettings:
    causes = {name: stricter(cause, steps.get(name, 0)) for name, cause in settings.causes.items()}
    return replace(settings, causes=causes)


def _changes(settings: PipelineSettings, steps: Mapping[str, int], silent: set[str], fit: Fit) -> Iterator[Change]:
    for name, step in steps.items():
        if not step:
            continue
        (pages, vain), (left, _) = fit.pages_of(name, 0), fit.pages_of(name, step)
        why = f"{vain} of {pages} pages of {name} came to nothing; {left} would be left"
        cause, after = settings.causes[name], stricter(settings.causes[name], step)
        for key in LADDERS.get(name, {}):
            if hasattr(cause, key) and getattr(cause, key) != getattr(after, key):
                yield Change(("causes", name, key.rstrip("_")), getattr(cause, key), getattr(after, key), why)
    if silent:
        why = "; ".join(
            f"none of {fit.pages_of(name, steps[name])[0]} pages of {name} was real" for name in sorted(silent)
        )
        after_names = [*settings.never_page, *sorted(silent)]
        yield Change(("never_page",), list(settings.never_page), after_names, why)


def _windows(settings: PipelineSettings, quiet: Sequence[Quiet], fit: Fit) -> Iterator[Change]:
    if quiet:
        why = "; ".join(
            f"{fit.kept_back(each)} pages of {each.target} at this time of day came to nothing and were over by its end"
            for each in quiet
        )
        windows = [*settings.maintenance, *(each.window() for each in quiet)]
        yield Change(("maintenance",), None, windows, f"told only if it lasts longer: {why}")


def _objectives(tape: Path, settings: PipelineSettings) -> Iterator[Change]:
    """How long jobs of each queue may wait, from how long they ordinarily do. Only where nothing is set."""
    backlog = settings.causes.get("backlog")
    if backlog is None or getattr(backlog, "slo", None):
        return
    ages: dict[str, list[float]] = {}
    for entry in read(tape):
        for (metric, labels), _, value, _ in entry.samples if isinstance(entry, Poll) else ():
            if metric == "queue_oldest_age_seconds":
                ages.setdefault(dict(labels).get("queue", ""), []).append(value)
    for queue, seen in sorted(ages.items()):
        if len(seen) >= _LEAST_AGES:
            usual = sorted(seen)[int(0.999 * len(seen))]
            limit = _round_up(max(60.0, 2 * usual))
            why = f"999 of 1,000 readings of the oldest job were at most {usual:.0f} s"
            yield Change(("causes", "backlog", "slo", queue), None, limit, why)


def _round_up(seconds: float) -> float:
    """To whole minutes, above an hour to whole quarters.

    >>> _round_up(61.0), _round_up(4000.0)
    (120.0, 4500.0)
    """
    unit = 60.0 if seconds < 3600 else 900.0
    return -(-seconds // unit) * unit
