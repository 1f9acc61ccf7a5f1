"""One rule on one series: when a score becomes a finding, and when it ceases to be one."""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from detectors.default import Default
from detectors.limits import AboveLimit
from detectors.vectors import RsHash
from sentinel.model import Finding, Severity
from sentinel.pipeline.settings import Level, PipelineSettings, Rule
from sentinel.pipeline.target import Target
from sentinel.pipeline.watch import Watch
from tests.pipeline.builders import poll_of


@dataclass
class Remembering:
    """Scores a value as it is, and remembers what it learnt."""

    learnt: list[float] = field(default_factory=list)

    def score(self, t: float, x: float) -> float | None:
        return None if x < 0 else x

    def learn(self, t: float, x: float) -> None:
        self.learnt.append(x)


def rule(**changes: Any) -> Rule:
    made = {"threshold": 10.0, "for_": 20.0, "keep_firing_for": 30.0, "detector": Remembering, **changes}
    return Rule("mine", "calls", **made)


def fed(watch: Watch, *values: float, start: float = 0.0) -> list[tuple[float, bool, Severity]]:
    """Values ten seconds apart; gives when what began or ended."""
    found = [(start + 10 * number, watch.feed(start + 10 * number, value)) for number, value in enumerate(values)]
    return [(time, finding.firing, finding.severity) for time, finding in found if finding is not None]


INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL


def test_it_fires_when_the_score_has_stayed_at_the_threshold_for_long_enough() -> None:
    assert fed(Watch(rule(), "a", ()), 9, 10, 10, 10, 10) == [(30, True, INFO)]


def test_a_dip_below_begins_the_wait_anew() -> None:
    assert fed(Watch(rule(), "a", ()), 10, 10, 9, 10, 10) == []


def test_it_ends_when_the_score_has_stayed_below_for_long_enough() -> None:
    watch = Watch(rule(), "a", ())
    assert fed(watch, 10, 10, 10, 9, 9, 9, 9) == [(20, True, INFO), (60, False, INFO)]
    assert watch.finding is None


def test_a_relapse_keeps_it_firing() -> None:
    assert fed(Watch(rule(), "a", ()), 10, 10, 10, 9, 9, 9, 10, 9, 9, 9) == [(20, True, INFO)]


def test_no_score_counts_as_below() -> None:
    assert fed(Watch(rule(), "a", ()), 10, 10, 10, -1, -1, -1, -1) == [(20, True, INFO), (60, False, INFO)]


def test_with_an_exit_the_score_must_fall_further_to_end_it() -> None:
    watch = Watch(rule(exit=5.0), "a", ())
    assert fed(watch, 10, 10, 10, 6, 6, 6, 6, 6) == [(20, True, INFO)]
    assert fed(watch, 4, 4, 4, 4, start=80.0) == [(110, False, INFO)]


def test_each_level_has_a_threshold_and_an_exit_of_its_own() -> None:
    levels = (Level(WARNING, 20.0, exit=15.0), Level(CRITICAL, 30.0))
    watch = Watch(rule(for_=0.0, keep_firing_for=0.0, levels=levels), "a", ())
    assert fed(watch, 5, 12, 25, 35, 25, 16, 14, 5) == [
        (10, True, INFO),
        (20, True, WARNING),
        (30, True, CRITICAL),
        (40, True, WARNING),
        (60, True, INFO),
        (70, False, INFO),
    ]


def test_the_finding_says_the_threshold_of_the_level_that_fires() -> None:
    watch = Watch(rule(for_=0.0, levels=(Level(CRITICAL, 30.0),)), "a", (("queue", "mail"),))
    found = watch.feed(0.0, 31.0)
    assert isinstance(found, Finding)
    assert (found.source, found.subject, found.threshold, found.score) == ("mine", "queue=mail", 30.0, 31.0)
    assert found.summary == "calls is 31: score 31, threshold 30"


def learnt(watch: Watch) -> list[float]:
    detector = watch._detector
    assert isinstance(detector, Remembering)
    return detector.learnt


def test_what_is_strange_is_not_learnt() -> None:
    watch = Watch(rule(), "a", ())
    fed(watch, 1, 10, 11, 2)
    assert learnt(watch) == [1, 2]


def test_what_is_strange_is_learnt_where_the_rule_says_so() -> None:
    watch = Watch(rule(learn="always"), "a", ())
    fed(watch, 1, 10, 11, 2)
    assert learnt(watch) == [1, 10, 11, 2]


def test_a_level_that_stays_is_learnt_after_a_while() -> None:
    watch = Watch(rule(adopt_after=20.0), "a", ())
    fed(watch, 1, 10, 11, 12, 13)
    assert learnt(watch) == [1, 12, 13]


def test_an_exit_above_its_threshold_is_refused() -> None:
    with pytest.raises(ValueError, match="exit must not be above its threshold 10, got 11"):
        rule(exit=11.0)
    with pytest.raises(ValueError, match="exit must not be above its threshold 30, got 31"):
        rule(levels=(Level(CRITICAL, 30.0, exit=31.0),))


def test_a_limit_is_a_detector_too() -> None:
    watch = Watch(rule(detector=partial(AboveLimit, limit=100.0), threshold=1.0), "a", ())
    assert fed(watch, 99, 100, 100, 100) == [(30, True, INFO)]


def test_what_the_default_detector_finds_comes_with_how_well_its_range_is_known() -> None:
    noise = random.Random(1)
    watch = Watch(Rule("unusual", "calls", partial(Default), false_alarms=86400.0), "a", ())
    for minute in range(3000):
        watch.feed(60.0 * minute, noise.gauss(20.0, 2.0))
    found = watch.feed(180000.0, 60.0)
    assert found is not None
    expected, distance = found.evidence
    assert expected.value == 60.0
    room, low, high = map(float, re.findall(r"[\d.]+", distance.expected.replace("90 %", "")))
    assert 5.0 < low < room < high < distance.value < 42.0


# Several metrics at once


def load(minute: int, clients: float | None = None) -> dict[str, float]:
    busy = math.sin(minute / 40.0) + 0.1 * math.sin(minute * 1.7)
    return {"commands": 100.0 + 50.0 * busy, "clients": 40.0 + 20.0 * busy if clients is None else clients}


def test_values_that_do_not_go_together_are_told_though_each_is_ordinary() -> None:
    together = Rule("together", "commands", partial(RsHash), beside=("clients",), false_alarms=86400.0)
    target = Target("main", PipelineSettings(rules=(together,)))
    quiet = [target.feed(poll_of(60.0 * minute, **load(minute))).firing for minute in range(3000)]
    assert sum(map(bool, quiet)) <= 12
    (found,) = target.feed(poll_of(180000.0, commands=145.0, clients=22.0)).firing
    assert found.summary.startswith("commands is 145, beside clients: score ")
    explained, _, *others = found.evidence
    assert explained.name in ("commands, beside the others", "clients, beside the others")
    assert explained.expected is not None
    assert [(one.name, one.value) for one in others] == [("clients", 22.0)]


def test_a_metric_that_is_missing_beside_says_nothing() -> None:
    together = Rule("together", "commands", partial(RsHash), beside=("clients", "nothing"), false_alarms=86400.0)
    target = Target("main", PipelineSettings(rules=(together,)))
    for minute in range(3000):
        target.feed(poll_of(60.0 * minute, **load(minute)))
    assert target.feed(poll_of(180000.0, commands=100.0)).firing == []


@pytest.mark.parametrize(
    ("detector", "beside", "message"),
    [
        (RsHash, (), "beside must name further metrics"),
        (AboveLimit, ("clients",), "beside must be left out"),
        (RsHash, ("commands",), "beside must name other metrics than commands"),
        (RsHash, ("clients", "clients"), "each once"),
    ],
)
def test_only_one_that_looks_at_several_has_others_beside(detector: Any, beside: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rule("mine", "commands", partial(detector), beside=beside)
