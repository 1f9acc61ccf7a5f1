"""Alarms in excess make the next one dearer, and time makes it cheaper again."""

from __future__ import annotations

import math

import pytest

from detectors.budget import Budget

DAY = 86400.0


def test_as_many_as_asked_for_cost_nothing() -> None:
    budget = Budget(between=DAY)
    for day in range(100):
        budget.spend(day * DAY)
        assert budget.share(day * DAY) == 1.0


def test_each_further_alarm_makes_the_next_one_dearer() -> None:
    budget = Budget(between=DAY)
    shares = []
    for _ in range(4):
        budget.spend(0.0)
        shares.append(budget.share(0.0))
    assert shares == pytest.approx([1.0, 1.0, math.exp(-0.1), math.exp(-0.2)])


def test_time_brings_the_price_down() -> None:
    budget = Budget(between=DAY)
    for _ in range(4):
        budget.spend(0.0)
    assert budget.share(0.5 * DAY) == pytest.approx(math.exp(-0.125))  # 4 - 0.75 alarms in excess, 2 are free
    assert budget.share(2.0 * DAY) == 1.0


def test_a_time_that_runs_backwards_changes_nothing() -> None:
    budget = Budget(between=DAY)
    for _ in range(3):
        budget.spend(10 * DAY)
    assert budget.share(9 * DAY) == budget.share(10 * DAY)
