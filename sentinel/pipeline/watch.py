"""One rule on one series: when a score becomes a finding.

Knows detectors only by their contract, and Prometheus' `for` and `keep_firing_for`. What an anomaly means is
diagnosis' business.
"""

from __future__ import annotations

from sentinel.model import Finding, Labels
from sentinel.pipeline.settings import Rule

__all__ = ["Watch"]


class Watch:
    """A rule's detector on one series, and whether it is pending, firing or resolved.

    A value is scored before it is learnt. With `learn: ordinary` a value that scores at or above the threshold
    is not learnt, so that an anomaly does not become normal by lasting; after `adopt_after` it is, so that a
    level that stays is told once and not for ever.
    """

    __slots__ = ("_above_since", "_below_since", "_detector", "_rule", "firing", "labels", "score", "target")

    def __init__(self, rule: Rule, target: str, labels: Labels) -> None:
        self._rule = rule
        self._detector = rule.detector()
        self._above_since: float | None = None
        self._below_since: float | None = None
        self.target = target
        self.labels = labels
        self.score: float | None = None
        self.firing = False

    def feed(self, time: float, value: float) -> Finding | None:
        """Score, decide and learn one value. Gives a finding when firing begins or ends."""
        rule, score = self._rule, self._detector.score(time, value)
        self.score = score
        strange = score is not None and score >= rule.threshold
        if strange:
            self._below_since = None
            self._above_since = time if self._above_since is None else self._above_since
        else:
            self._above_since = None
            self._below_since = time if self._below_since is None else self._below_since
        if not strange or rule.learn == "always" or self._adopted(time):
            self._detector.learn(time, value)
        return self._transition(time, value)

    def _adopted(self, time: float) -> bool:
        return self._above_since is not None and time - self._above_since >= self._rule.adopt_after

    def _transition(self, time: float, value: float) -> Finding | None:
        rule = self._rule
        if not self.firing and self._above_since is not None and time - self._above_since >= rule.for_:
            self.firing = True
        elif self.firing and self._below_since is not None and time - self._below_since >= rule.keep_firing_for:
            self.firing = False
        else:
            return None
        return self._finding(time, value)

    def _finding(self, time: float, value: float) -> Finding:
        rule = self._rule
        subject = ", ".join(f"{name}={value}" for name, value in self.labels)
        held = f" for {rule.for_:g} s" if rule.for_ else ""
        score = "none" if self.score is None else f"{self.score:.3g}"
        return Finding(
            target=self.target,
            source=rule.name,
            kind="rule",
            severity=rule.severity,
            time=time,
            firing=self.firing,
            summary=f"{rule.metric} is {value:.4g}: score {score}, threshold {rule.threshold:g}{held}",
            subject=subject,
            value=value,
            score=self.score,
            threshold=rule.threshold,
            first_action=f"Look at {rule.metric} of {self.target}; the rule `{rule.name}` asked to be told.",
        )
