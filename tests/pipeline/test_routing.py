"""Who hears of an incident, why, and how often."""

from __future__ import annotations

from sentinel.model import Reason, Severity
from sentinel.pipeline import Route
from tests.pipeline.stories import EVERY, Story, chat, settings

QUIET = int(300 / EVERY)
HOUR = 3600.0


def test_without_routes_of_its_own_a_receiver_hears_nothing() -> None:
    assert Story(settings(routes=[])).polls(leak=3) == []


def test_a_destination_hears_from_its_severity_on() -> None:
    story = Story(settings(chat("ops/pager", Severity.CRITICAL)))
    assert story.polls(leak=2) == []
    assert story.polls(leak=3) == ["ops/pager opened leak"]


def test_a_route_may_ask_for_more_than_its_destinations() -> None:
    story = Story(settings(routes=[Route("ops", min_severity=Severity.CRITICAL)]))
    assert story.polls(leak=2) == []
    assert story.polls(leak=3) == ["ops/chat opened leak"]


def test_a_route_chooses_by_target_and_by_cause() -> None:
    story = Story(settings(routes=[Route("ops", targets=("a",), causes=("leak",))]))
    assert story.polls(target="a", leak=2, flood=2) == ["ops/chat opened leak"]
    assert story.polls(target="b", leak=2) == []


def test_a_receiver_hears_by_the_first_of_its_routes_that_matches() -> None:
    routes = [Route("ops", causes=("leak",), repeat_interval=0), Route("ops", repeat_interval=HOUR)]
    story = Story(settings(chat("ops/chat", Severity.INFO, Reason.UPDATED), routes=routes))
    story.polls(leak=2, flood=2)
    assert story.wait(HOUR + EVERY) == ["ops/chat repeated flood"]


def test_a_receiver_with_two_destinations_tells_both() -> None:
    story = Story(settings(chat("ops/chat"), chat("ops/pager", Severity.CRITICAL)))
    assert story.polls(leak=3) == ["ops/chat opened leak", "ops/pager opened leak"]


def test_a_resolve_goes_to_those_who_heard_and_to_nobody_else() -> None:
    story = Story(settings(chat("ops/chat"), chat("ops/pager", Severity.CRITICAL)))
    story.polls(leak=2)
    assert story.polls(QUIET + 1, leak=0) == ["ops/chat resolved leak"]


def test_one_who_heard_of_it_hears_of_its_end_even_if_it_became_milder() -> None:
    story = Story(settings(chat("ops/pager", Severity.CRITICAL)))
    story.polls(leak=3)
    story.polls(QUIET + 1, leak=1)
    assert "ops/pager resolved leak" in story.polls(QUIET + 1, leak=0)


def test_an_update_is_told_at_most_every_ten_minutes_and_only_where_it_is_wanted() -> None:
    story = Story(settings(chat("ops/chat"), chat("ops/hook", Severity.INFO, Reason.UPDATED)))
    story.polls(leak=2)
    assert story.polls(60, leak=2) == ["ops/chat updated leak"]
    assert story.polls(59, leak=2) == []


def test_reminders_come_more_and_more_rarely() -> None:
    story = Story(
        settings(chat("ops/chat", Severity.INFO, Reason.UPDATED), routes=[Route("ops", repeat_interval=HOUR)])
    )
    story.polls(leak=2)
    reminded = []
    for hour in range(1, 16):
        reminded += [hour] * len(story.wait(HOUR))
    assert reminded == [1, 3, 7, 11, 15]


def test_no_reminder_comes_where_the_route_wants_none() -> None:
    story = Story(settings(routes=[Route("ops", repeat_interval=0)]))
    story.polls(leak=2)
    assert "ops/chat repeated leak" not in story.wait(100 * HOUR)
