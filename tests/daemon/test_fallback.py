"""Who is told instead while a destination can not be reached, and until when."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.config import ConfigError, load
from sentinel.fallback import Fallbacks
from sentinel.model import Notification, Reason
from sentinel.outbox import Row
from tests.notifiers.stories import NOON, leak, notification, resolved

PAGER, CHAT = "oncall/pagerduty", "team/slack"
DOWN = {PAGER: (NOON, "events.pagerduty.com answered 401")}


def fallbacks() -> Fallbacks:
    return Fallbacks({PAGER: CHAT}, after=120.0)


def to(destination: str, reason: Reason = Reason.OPENED) -> Notification:
    incident = resolved() if reason is Reason.RESOLVED else leak()
    told = notification(reason, incident)
    return Notification(
        destination.partition("/")[0], destination, reason, told.incident, NOON, f"msg_{destination}{reason}"
    )


def waiting(notification: Notification) -> list[Row]:
    return [Row(notification, NOON, NOON)]


def test_what_waits_for_two_minutes_is_told_elsewhere_and_says_why() -> None:
    told = fallbacks()
    assert told.look(waiting(to(PAGER)), DOWN, NOON + 119.0) == []
    (copy,) = told.look(waiting(to(PAGER)), DOWN, NOON + 120.0)
    assert (copy.receiver, copy.destination) == ("team", CHAT)
    assert (
        "oncall/pagerduty cannot be reached, so you are told: events.pagerduty.com answered 401"
        in copy.incident.context
    )


def test_a_second_look_gives_the_same_id_so_that_nobody_is_told_twice() -> None:
    told = fallbacks()
    (first,) = told.look(waiting(to(PAGER)), DOWN, NOON + 120.0)
    (second,) = told.look(waiting(to(PAGER)), DOWN, NOON + 135.0)
    assert first.event_id == second.event_id != to(PAGER).event_id


def test_who_was_told_elsewhere_is_told_the_end_although_the_destination_is_back() -> None:
    told = fallbacks()
    told.look(waiting(to(PAGER)), DOWN, NOON + 120.0)
    (end,) = told.follow([to(PAGER, Reason.RESOLVED)])
    assert (end.destination, end.reason) == (CHAT, Reason.RESOLVED)
    assert list(told.follow([to(PAGER, Reason.RESOLVED)])) == []


def test_the_end_is_told_elsewhere_after_a_restart_too() -> None:
    told = fallbacks()
    told.look(waiting(to(PAGER)), DOWN, NOON + 120.0)
    kept = told.fresh()
    assert kept == {(PAGER, leak().id): "events.pagerduty.com answered 401"}
    assert told.fresh() == {}
    (end,) = Fallbacks({PAGER: CHAT}, 120.0, kept).follow([to(PAGER, Reason.RESOLVED)])
    assert (end.destination, end.reason) == (CHAT, Reason.RESOLVED)


def test_a_fallback_that_is_no_longer_configured_is_told_no_end() -> None:
    assert list(Fallbacks({}, 120.0, {(PAGER, leak().id): "401"}).follow([to(PAGER, Reason.RESOLVED)])) == []


def test_updates_are_not_told_elsewhere() -> None:
    assert fallbacks().look(waiting(to(PAGER, Reason.UPDATED)), DOWN, NOON + 600.0) == []


def test_a_destination_that_is_well_or_has_no_fallback_is_left_alone() -> None:
    told = fallbacks()
    assert told.look(waiting(to(PAGER)), {}, NOON + 600.0) == []
    assert told.look(waiting(to(CHAT)), {CHAT: (NOON, "404")}, NOON + 600.0) == []
    assert list(told.follow([to(PAGER, Reason.RESOLVED)])) == []


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("{a/stdout: c/stdout}", "there is no destination c/stdout"),
        ("{a/stdout: b/stdout, b/stdout: a/stdout}", "b/stdout has a fallback of its own"),
    ],
)
def test_a_fallback_that_can_not_be_meant_is_refused_with_its_line(given: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "sentinel.yaml"
    file.write_text(
        "targets: [{url: 'redis://h'}]\n"
        "receivers:\n  a: [{kind: stdout}]\n  b: [{kind: stdout}]\n"
        f"delivery:\n  fallbacks: {given}\n"
    )
    with pytest.raises(ConfigError, match=rf"sentinel.yaml:6: delivery.fallbacks.a/stdout: {why}"):
        load(file)
