"""One rule on one series: budgets in place of thresholds, and what a finding says of the score."""

from __future__ import annotations

import random
from functools import partial

import pytest

from detectors import AboveLimit, Default, Ewma
from sentinel.model import Severity
from sentinel.pipeline.settings import Rule, default_rules
from sentinel.pipeline.watch import Watch

START = 1_764_000_000.0
DAY = 86400.0


def fed(rule: Rule, values: int, interval: float = 60.0) -> Watch:
    """A watch that has seen ordinary values: 20 with deviation 2."""
    noise, watch = random.Random(1), Watch(rule, "redis-a", ())
    for i in range(values):
        watch.feed(START + interval * i, noise.gauss(20.0, 2.0))
    return watch


@pytest.mark.parametrize("detector", [Default, Ewma])
def test_a_budget_finds_a_spike_at_once_and_lets_it_go(detector: type) -> None:
    watch = fed(Rule("unusual", "m", partial(detector), false_alarms=7 * DAY), 1500)
    if watch.finding is not None:
        pytest.fail(f"quiet noise fires: {watch.finding.summary}")
    found = watch.feed(START + 60.0 * 1500, 200.0)
    assert found is not None
    assert found.firing
    ends = [watch.feed(START + 60.0 * (1501 + i), 20.0) for i in range(10)]
    assert [one.firing for one in ends if one is not None] == [False]


def test_a_finding_says_what_was_expected_before_the_value_was_learnt() -> None:
    watch = fed(Rule("unusual", "m", partial(Default), false_alarms=7 * DAY), 1500)
    found = watch.feed(START + 60.0 * 1500, 200.0)
    assert found is not None
    (evidence,) = found.evidence
    assert evidence.value == 200.0
    low, high = (float(end) for end in evidence.expected.split(" to "))
    assert 0.0 < low < 16.0 < 24.0 < high < 40.0
    assert found.since == START + 60.0 * 1500


def test_a_calibrated_finding_says_how_well_its_threshold_is_known() -> None:
    watch = fed(Rule("unusual", "m", partial(Ewma), false_alarms=7 * DAY), 1500)
    found = watch.feed(START + 60.0 * 1500, 200.0)
    assert found is not None
    assert [evidence.name for evidence in found.evidence] == ["m, by its average", "score before calibration"]
    assert "90 %" in found.evidence[1].expected
    assert "alarms in 1.0 days" in found.evidence[1].expected


def test_a_limit_says_on_which_side_the_ordinary_lies() -> None:
    watch = Watch(Rule("full", "m", partial(AboveLimit, limit=100.0), for_=0.0), "redis-a", ())
    found = watch.feed(START, 150.0)
    assert found is not None
    assert [evidence.expected for evidence in found.evidence] == ["below 100"]


def test_the_default_rules_inform_and_never_page() -> None:
    assert {rule.severity for rule in default_rules()} == {Severity.INFO}
    assert all(rule.false_alarms == 7 * DAY and rule.levels == () for rule in default_rules())
