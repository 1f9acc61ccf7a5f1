"""The onset of a growth and how sure it is, worked by hand."""

from __future__ import annotations

import random

import pytest

from sentinel.pipeline.diagnosis.ledger import Growth, Ledger


def of(*levels: float, step: float = 60.0) -> Ledger:
    ledger = Ledger(memory=30 * 86400.0)
    for number, level in enumerate(levels):
        ledger.add(step * number, level)
    return ledger


def grown(*levels: float) -> Growth:
    growth = of(*levels).growth()
    assert growth is not None
    return growth


def test_a_count_that_never_falls_has_as_much_evidence_as_it_gained() -> None:
    assert grown(3, 4, 5, 6, 7, 8, 9, 10).evidence == 7.0


def test_what_falls_again_counts_against_it() -> None:
    growth = grown(0, 3, 2, 5, 4)  # up 6, down 2: 4² / 8
    assert (growth.gain, growth.moved, growth.fallen) == (4.0, 8.0, 2.0)
    assert growth.evidence == 2.0


def test_the_onset_is_where_the_growth_began_and_not_where_watching_did() -> None:
    growth = grown(5, 6, 5, 6, 5, 6, 5, 6, 5, 6, 7, 8, 9, 10)
    assert growth.since == 480.0
    assert (growth.floor, growth.gain, growth.former) == (5.0, 5.0, 6.0)


def test_of_flat_hours_the_last_moment_is_the_onset() -> None:
    ledger = of(*[2.0] * 500, 3.0, 4.0, 5.0)
    growth = ledger.growth()
    assert growth is not None
    assert growth.since == 499 * 60.0
    assert growth.pace == pytest.approx(1 / 60.0)


def test_the_onset_of_a_long_growth_stays_known_to_a_fifth_of_its_age() -> None:
    coin = random.Random(4)
    levels = [float(coin.choice((3, 4, 5))) for _ in range(600)]
    for age in (20, 100, 500, 3_000):
        growth = of(*levels, *(5.0 + n for n in range(age))).growth()
        assert growth is not None
        assert growth.since == pytest.approx(600 * 60.0, abs=0.2 * age * 60.0 + 120.0)
        assert growth.pace * 60.0 == pytest.approx(1.0, rel=0.2)


def test_a_few_rises_long_ago_are_not_taken_for_the_beginning_of_many_now() -> None:
    ledger = Ledger(memory=30 * 86400.0)
    for hour in range(10):
        ledger.add(3600.0 * hour, float(hour))
    for minute in range(1, 31):
        ledger.add(9 * 3600.0 + 60.0 * minute, 9.0 + minute)
    growth = ledger.growth()
    assert growth is not None
    # 30 in half an hour after 9 in nine: 30 ln(60/h) + 9 ln(1/h) - 39 ln(4.1/h) = 67.
    assert growth.since == pytest.approx(9 * 3600.0, abs=300.0)
    assert growth.pace == pytest.approx(1 / 60.0)


def test_the_largest_rise_and_the_number_of_rises_are_those_since_the_onset() -> None:
    growth = grown(9, 2, 3, 3, 7, 8)
    assert (growth.rises, growth.biggest) == (3, 4.0)


def test_there_is_no_growth_at_the_lowest_level() -> None:
    assert of(5, 4, 3).growth() is None
    assert of(5).growth() is None


def test_what_is_older_than_its_memory_is_forgotten() -> None:
    ledger = Ledger(memory=3600.0)
    for number in range(200):
        ledger.add(60.0 * number, float(number))
    growth = ledger.growth()
    assert growth is not None
    assert 199 * 60.0 - growth.since <= 1.3 * 3600.0


def test_a_month_of_changes_takes_the_room_of_some_dozens() -> None:
    coin, ledger, level = random.Random(1), Ledger(memory=40 * 86400.0), 50.0
    for number in range(86_400):
        level = max(0.0, level + coin.choice((-1, 0, 1)))
        ledger.add(30.0 * number, level)
    assert len(ledger.blocks(0.0, 50.0)) < 120


def test_chance_exceeds_the_evidence_no_more_often_than_stated() -> None:
    # The greatest over all beginnings of 20,000 fair steps: exp(-34/2) for each of them bounds the sum by 0.1 %.
    coin, level, ledger, worst = random.Random(2), 0.0, Ledger(memory=1e9), 0.0
    for number in range(20_000):
        level += coin.choice((-1, 1))
        ledger.add(float(number), level)
        growth = ledger.growth()
        worst = max(worst, growth.evidence if growth else 0.0)
    assert worst < 34.0


def test_the_pace_of_the_last_while_is_not_that_of_the_whole() -> None:
    ledger = of(*range(0, 200, 2), *range(200, 260))  # two a minute, then one
    gained, seconds = ledger.pace(159 * 60.0, 1800.0)
    assert gained / seconds == pytest.approx(1 / 60.0, rel=0.1)
