"""What was news three times is known."""

from __future__ import annotations

from detectors.familiar import Familiar

HOUR = 3600.0


def test_news_within_the_break_counts_once() -> None:
    values = Familiar(times=2)
    for minute in range(30):
        values.learn(60.0 * minute, 5.0, grain=0.0, apart=HOUR)
    assert not values.knows(2 * HOUR, 5.0, grain=0.0, memory=100 * HOUR)
    values.learn(2 * HOUR, 5.0, grain=0.0, apart=HOUR)
    assert values.knows(3 * HOUR, 5.0, grain=0.0, memory=100 * HOUR)


def test_what_was_news_too_long_ago_is_news_again() -> None:
    values = Familiar(times=1)
    values.learn(0.0, 5.0, grain=0.0, apart=HOUR)
    assert values.knows(9 * HOUR, 5.0, grain=0.0, memory=10 * HOUR)
    assert not values.knows(11 * HOUR, 5.0, grain=0.0, memory=10 * HOUR)


def test_the_oldest_news_makes_room() -> None:
    values = Familiar(times=1, places=2)
    for hour, value in enumerate((1.0, 2.0, 3.0)):
        values.learn(HOUR * hour, value, grain=0.1, apart=0.0)
    assert [values.knows(4 * HOUR, x, grain=0.1, memory=100 * HOUR) for x in (1.0, 2.0, 3.05)] == [False, True, True]


def test_what_was_news_once_in_a_while_never_becomes_known() -> None:
    values = Familiar(times=3)
    for day in range(0, 100, 5):
        values.learn(24 * HOUR * day, 5.0, grain=0.0, apart=HOUR)
        assert not values.knows(24 * HOUR * day + 2 * HOUR, 5.0, grain=0.0, memory=9 * 24 * HOUR)
