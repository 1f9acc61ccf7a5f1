"""One rule on one series: when a score becomes a finding.

Knows detectors only by their contract, and Prometheus' `for` and `keep_firing_for`. What an anomaly means is
diagnosis' business.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from detectors import Calibrated, Default, Explains, Explanation, within_budget
from sentinel.model import Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.settings import Level, Rule

__all__ = ["Watch"]

_NONE: Final[Mapping[str, float]] = MappingProxyType({})


class Watch:
    """A rule's detector on one series, and whether it is pending, firing or resolved.

    A value is scored before it is learnt. With `learn: ordinary` a value that scores at or above the threshold
    is not learnt, so that an anomaly does not become normal by lasting; after `adopt_after` it is, so that a
    level that stays is told once and not for ever. With `false_alarms` the detector's scores are calibrated. A level
    is entered when the score has stayed at or above its threshold for `for`, and left when it has stayed below its
    exit for `keep_firing_for`.
    """

    __slots__ = ("_detector", "_gates", "_rule", "_strange_since", "finding", "labels", "score", "target", "time")

    def __init__(self, rule: Rule, target: str, labels: Labels) -> None:
        self._rule = rule
        detector = rule.detector()
        self._detector = detector if rule.false_alarms is None else within_budget(detector, rule.false_alarms)
        levels = (Level(rule.severity, rule.threshold, rule.exit), *rule.levels)
        self._gates = [_Gate(level) for level in sorted(levels, key=lambda level: level.severity)]
        self._strange_since: float | None = None
        self.target = target
        self.labels = labels
        self.time = float("-inf")
        self.score: float | None = None
        self.finding: Finding | None = None
        """What fires now; None if nothing does."""

    def feed(self, time: float, value: float, beside: Mapping[str, float] = _NONE) -> Finding | None:
        """Score, decide and learn one value, with those of further metrics where the rule names some.

        Gives a finding when firing begins or ends, or its severity changes.
        """
        rule = self._rule
        seen: Any = {rule.metric: value, **beside} if beside else value
        score = self._detector.score(time, seen)
        self.time, self.score = time, score
        strange = score is not None and score >= rule.threshold
        if not strange:
            self._strange_since = None
        elif self._strange_since is None:
            self._strange_since = time
        for gate in self._gates:
            gate.feed(time, score, rule.for_, rule.keep_firing_for)
        found = self._transition(time, value, beside)  # before the value is learnt: it is explained by what was known
        if not strange or rule.learn == "always" or self._adopted(time):
            self._detector.learn(time, seen)
        return found

    def _adopted(self, time: float) -> bool:
        return self._strange_since is not None and time - self._strange_since >= self._rule.adopt_after

    def _transition(self, time: float, value: float, beside: Mapping[str, float]) -> Finding | None:
        severity = max((gate.level.severity for gate in self._gates if gate.firing), default=None)
        before = self.finding
        if severity == (None if before is None else before.severity):
            return None
        ended = severity is None
        finding = self._finding(time, value, beside, before.severity if severity is None and before else severity)
        self.finding = None if ended else finding
        return finding

    def _finding(self, time: float, value: float, beside: Mapping[str, float], severity: Severity | None) -> Finding:
        rule = self._rule
        level = next((gate.level for gate in self._gates if gate.level.severity == severity), self._gates[0].level)
        subject = ", ".join(f"{name}={value}" for name, value in self.labels)
        held = f" for {rule.for_:g} s" if rule.for_ else ""
        score = "none" if self.score is None else f"{self.score:.3g}"
        together = f", beside {', '.join(beside)}" if beside else ""
        seen: Any = {rule.metric: value, **beside} if beside else value
        why = self._explained(time, seen, level.threshold)
        evidence = () if why is None else tuple(self._evidence(time, seen, why))
        return Finding(
            target=self.target,
            source=rule.name,
            kind="rule",
            severity=level.severity,
            time=time,
            firing=any(gate.firing for gate in self._gates),
            summary=f"{rule.metric} is {value:.4g}{together}: score {score}, threshold {level.threshold:g}{held}",
            subject=subject,
            value=value,
            score=self.score,
            threshold=level.threshold,
            evidence=(*evidence, *(Evidence(name, one) for name, one in beside.items())),
            since=self._strange_since if why is None or why.since is None else why.since,
            first_action=f"Look at {rule.metric} of {self.target}; the rule `{rule.name}` asked to be told.",
        )

    def _explained(self, time: float, seen: Any, threshold: float) -> Explanation | None:
        detector = self._detector
        return detector.explain(time, seen, threshold) if isinstance(detector, Explains) else None

    def _evidence(self, time: float, seen: Any, why: Explanation) -> Iterator[Evidence]:
        """What was expected of the value; with a budget, how well that is known."""
        ends = [f"{end:.4g}" if math.isfinite(end) else "" for end in (why.low, why.high)]
        expected = f"{ends[0]} to {ends[1]}" if all(ends) else f"above {ends[0]}" if ends[0] else f"below {ends[1]}"
        if isinstance(seen, Mapping):
            yield Evidence(f"{why.part}, beside the others", seen[why.part], expected=expected)
        else:
            yield Evidence(f"{self._rule.metric}, by its {why.part}", seen, expected=expected)
        if isinstance(self._detector, Calibrated):
            yield from _calibration(self._detector, time, seen)
        elif isinstance(self._detector, Default):
            low, room, high = self._detector.margin(time)
            known = f"below {room:.3g} (90 %: {low:.3g} to {high:.3g})"
            yield Evidence(f"{self._rule.metric}, distance from its level", abs(why.off), expected=known)


def _calibration(detector: Calibrated, time: float, seen: Any) -> Iterator[Evidence]:
    """What the budget has come to, and how well that is known."""
    bound, score = detector.bound(time), detector.detector.score(time, seen)
    if bound is not None and score is not None:
        known = f"below {bound.score:.3g} (90 %: {bound.low:.3g} to {bound.high:.3g})"
        alarms = f"{bound.alarms} alarms in {bound.seconds / 86400.0:.1f} days"
        yield Evidence("score before calibration", score, expected=f"{known}; {alarms}")


class _Gate:
    """Whether one level of a rule fires."""

    __slots__ = ("_above_since", "_below_since", "firing", "level")

    def __init__(self, level: Level) -> None:
        self.level = level
        self.firing = False
        self._above_since: float | None = None
        self._below_since: float | None = None

    def feed(self, time: float, score: float | None, hold: Seconds, keep: Seconds) -> None:
        """Take a score; none counts as below."""
        level = self.level
        line = level.threshold if not self.firing or level.exit is None else level.exit
        if score is not None and score >= line:
            self._below_since = None
            self._above_since = time if self._above_since is None else self._above_since
        else:
            self._above_since = None
            self._below_since = time if self._below_since is None else self._below_since
        if not self.firing and self._above_since is not None and time - self._above_since >= hold:
            self.firing = True
        elif self.firing and self._below_since is not None and time - self._below_since >= keep:
            self.firing = False
