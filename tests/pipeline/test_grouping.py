"""One message for what belongs together: who speaks for whom at destinations that people read."""

from __future__ import annotations

from dataclasses import replace

from sentinel.model import Eta, Reason, Severity
from sentinel.pipeline import Route
from sentinel.pipeline.actions import Acknowledge
from sentinel.pipeline.grouping import Candidate, assign
from sentinel.pipeline.settings import Destination
from tests.notifiers.stories import NOON, leak
from tests.pipeline.stories import EVERY, Story, settings

QUIET = int(300 / EVERY)
ROUTE = Route("ops", repeat_interval=0.0)


def room(*without: Reason, severity: Severity = Severity.INFO) -> Destination:
    return Destination("ops", "ops/room", severity, frozenset(Reason) - set(without), groups=True)


def grouped(*without: Reason, route: Route = ROUTE) -> Story:
    return Story(settings(room(*without), routes=[route]))


def related(story: Story) -> list[str]:
    """What the last message tells of beside its own incident."""
    return [incident.cause for incident in story.notifications[-1].related]


def test_what_opens_within_ten_seconds_is_one_message() -> None:
    story = grouped()
    assert story.polls(leak=1) == []
    assert story.polls(every=5.0, leak=1, flood=2, backlog=1) == []
    assert story.wait(5) == ["ops/room opened flood"]
    assert sorted(related(story)) == ["backlog", "leak"]


def test_of_several_as_bad_the_one_that_leaves_least_time_speaks() -> None:
    slow = leak(id="1", severity=Severity.CRITICAL)
    fast = replace(slow, id="3", cause="flood", finding=replace(slow.finding, eta=Eta(NOON + 60.0, None, "")))
    endless = replace(slow, id="0", cause="stall", finding=replace(slow.finding, eta=None))
    given = [Candidate(incident, ROUTE, False) for incident in (slow, endless, fast)]
    assigned = assign(room(), given, (), lambda incident: None)
    assert [(candidate.incident, leader) for candidate, leader in assigned] == [
        (fast, None), (slow, fast), (endless, fast),
    ]  # fmt: skip


def test_what_is_critical_does_not_wait_and_takes_those_along_that_do() -> None:
    story = grouped()
    assert story.polls(leak=2, refused=3) == ["ops/room opened refused"]
    assert related(story) == ["leak"]


def test_machines_are_told_of_each_at_once() -> None:
    story = Story(settings())
    assert story.polls(leak=1, flood=2) == ["ops/chat opened flood", "ops/chat opened leak"]


def test_what_joins_later_is_an_update_of_the_first_message_after_five_minutes() -> None:
    story = grouped()
    story.polls(refused=3)
    assert story.polls(29, refused=3, backlog=2) == []
    assert story.polls(refused=3, backlog=2) == ["ops/room updated refused"]
    assert related(story) == ["backlog"]


def test_another_critical_one_joins_the_first_message_at_once() -> None:
    story = grouped()
    story.polls(refused=3)
    assert story.polls(refused=3, backlog=3) == ["ops/room updated refused"]
    assert story.polls(20, refused=3, backlog=3) == []


def test_what_is_worse_than_what_was_told_is_told_by_itself() -> None:
    story = grouped()
    story.polls(3, leak=2)
    assert story.polls(leak=2, refused=3) == ["ops/room opened refused"]


def test_one_that_rode_along_and_grew_worse_than_the_first_is_told_by_itself_at_once() -> None:
    story = grouped()
    story.polls(2, leak=2, backlog=1)
    assert story.polls(leak=2, backlog=3) == ["ops/room opened backlog"]


def test_when_the_first_is_over_what_still_lasts_is_told_by_itself_after_a_while() -> None:
    story = grouped()
    story.polls(2, leak=2, backlog=1)
    said = story.polls(QUIET + 1, leak=0, backlog=1)
    assert said == ["ops/room resolved leak"]
    assert related(story) == ["backlog"]
    assert story.polls(29, leak=0, backlog=1) == []
    assert story.polls(leak=0, backlog=1) == ["ops/room opened backlog"]


def test_when_the_first_is_over_what_is_critical_is_told_by_itself_at_once() -> None:
    story = grouped()
    story.polls(refused=3)
    story.polls(refused=3, backlog=3)
    said = story.polls(QUIET + 1, refused=0, backlog=3)
    assert said[-2:] == ["ops/room resolved refused", "ops/room opened backlog"]


def test_one_that_rode_along_and_is_over_needs_no_message() -> None:
    story = grouped()
    story.polls(2, leak=2, backlog=1)
    assert "backlog" not in " ".join(story.polls(QUIET + 1, leak=2, backlog=0))


def test_what_opens_half_an_hour_after_the_first_is_told_by_itself() -> None:
    story = grouped()
    story.polls(refused=3)
    story.polls(181, refused=3)
    assert "ops/room opened leak" in story.polls(2, refused=3, leak=2)


def test_what_opens_after_somebody_acknowledged_the_first_is_told_by_itself() -> None:
    story = grouped()
    story.polls(refused=3)
    story.act(Acknowledge(story.now, "ada", story.pipeline.incidents()[0].id))
    assert story.polls(2, refused=3, leak=2) == ["ops/room opened leak"]


def test_where_messages_cannot_be_updated_what_comes_later_is_told_by_itself() -> None:
    story = grouped(Reason.UPDATED)
    story.polls(refused=3)
    assert story.polls(2, refused=3, leak=2) == ["ops/room opened leak"]


def test_two_servers_are_two_messages() -> None:
    story = grouped()
    story.polls(target="a", refused=3)
    assert story.polls(target="b", refused=3) == ["ops/room opened refused"]


def test_waiting_for_company_is_a_setting() -> None:
    story = grouped(route=Route("ops", repeat_interval=0.0, group_wait=0.0))
    assert story.polls(leak=1) == ["ops/room opened leak"]
