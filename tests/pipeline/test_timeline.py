"""What the metrics of an incident did before, during and after it, and the first finding as it was."""

from __future__ import annotations

from sentinel.model import Course, Recording
from tests.pipeline.stories import EVERY, START, Story

QUIET = int(300 / EVERY)


def recording(story: Story) -> Recording:
    found = story.pipeline.recording(story.pipeline.incidents()[0].id)
    assert found is not None
    return found


def values(found: Recording) -> dict[str, list[float]]:
    return {series.metric: [value for _, value in points] for series, points in found.series}


def test_a_recording_holds_what_was_before_and_goes_on() -> None:
    story = Story()
    story.polls(3, leak=0)
    story.polls(leak=2)
    story.polls(2, leak=3)
    assert values(recording(story)) == {"leak_trouble": [0, 0, 0, 2, 3, 3]}


def test_a_message_holds_the_course_of_what_moved() -> None:
    story = Story()
    story.polls(3, leak=0)
    story.polls(leak=2)
    (opened,) = [told for step in story.steps for told in step.notifications]
    assert opened.course == Course("leak_trouble", START + 10, (0.0, 0.0, 0.0, 2.0))


def test_a_long_course_is_thinned() -> None:
    story = Story()
    story.polls(100, leak=0)
    story.polls(leak=2)
    (opened,) = [told for step in story.steps for told in step.notifications]
    assert opened.course is not None
    assert len(opened.course.values) <= 48


def test_it_knows_when_each_value_was() -> None:
    story = Story()
    story.polls(leak=0)
    story.polls(leak=2)
    ((_, points),) = recording(story).series
    assert points == ((START + 10, 0.0), (START + 20, 2.0))


def test_the_first_finding_stays_as_it_was() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(leak=3)
    assert recording(story).first.summary == "leak at 2"


def test_only_the_series_of_its_own_subject_are_recorded() -> None:
    story = Story()
    story.polls(backlog={"mail": 2, "video": 0})
    ((series, _),) = recording(story).series
    assert series.labels == (("queue", "mail"),)


def test_a_long_incident_keeps_few_points_from_all_of_its_time() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(3000, leak=2)
    ((_, points),) = recording(story).series
    assert 100 <= len(points) <= 240
    assert points[0][0] == START + 10
    assert story.now - points[-1][0] <= 300


def test_it_is_kept_at_the_begin_at_the_end_and_ten_minutes_later() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(QUIET + 1, leak=0)
    story.polls(60, leak=0)
    kept = [values(found)["leak_trouble"] for step in story.steps for found in step.recordings]
    assert [len(points) for points in kept] == [1, 1 + QUIET + 1, 1 + QUIET + 1 + 60]


def test_after_that_it_is_only_in_the_store() -> None:
    story = Story()
    story.polls(leak=2)
    name = story.pipeline.incidents()[0].id
    story.polls(QUIET + 1 + 60, leak=0)
    assert story.pipeline.recording(name) is None


def test_a_recording_goes_on_after_a_restart() -> None:
    story = Story()
    story.polls(leak=2)
    story.restart()
    story.polls(leak=3)
    assert values(recording(story)) == {"leak_trouble": [2, 3]}


def test_every_message_is_in_the_history() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(leak=3)
    assert story.events() == [
        "opened leak at 2",
        "told ops/chat: opened",
        "escalated warning to critical",
        "told ops/chat: escalated",
    ]


def test_a_poll_without_the_metric_adds_no_point() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(5, flood=0)
    assert values(recording(story)) == {"leak_trouble": [2]}
