"""What belongs together: one incident a target, cause and subject; when it opens, grows worse, eases and is over."""

from __future__ import annotations

from sentinel.model import IncidentState, Severity
from tests.pipeline.stories import EVERY, START, Story

QUIET = int(300 / EVERY)
"""Polls that `keep_firing_for` lasts."""


def test_an_incident_opens_with_the_first_finding_and_is_told_once() -> None:
    story = Story()
    assert story.polls(leak=2) == ["ops/chat opened leak"]
    assert story.polls(5, leak=2) == []


def test_an_incident_says_when_it_opened_and_what_fires_now() -> None:
    story = Story()
    story.polls(3, leak=2)
    (incident,) = story.pipeline.incidents()
    assert (incident.opened, incident.updated) == (START + EVERY, START + 3 * EVERY)
    assert (incident.severity, incident.state) == (Severity.WARNING, IncidentState.OPEN)


def test_each_subject_has_an_incident_of_its_own() -> None:
    story = Story()
    assert story.polls(backlog={"mail": 2, "video": 2}) == [
        "ops/chat opened backlog:mail",
        "ops/chat opened backlog:video",
    ]


def test_two_targets_have_incidents_of_their_own() -> None:
    story = Story()
    story.polls(target="a", leak=2)
    story.polls(target="b", leak=2)
    keys = {incident.dedup_key for incident in story.pipeline.incidents()}
    assert len(keys) == 2


def test_growing_worse_is_told_at_once_with_the_severity_before() -> None:
    story = Story()
    story.polls(leak=2)
    assert story.polls(leak=3) == ["ops/chat escalated leak"]
    assert story.notifications[-1].previous_severity is Severity.WARNING


def test_an_incident_is_over_when_its_cause_has_been_quiet_for_long_enough() -> None:
    story = Story()
    story.polls(leak=2)
    assert story.polls(QUIET, leak=0) == []
    assert story.polls(leak=0) == ["ops/chat resolved leak"]
    assert story.pipeline.incidents() == []


def test_a_relapse_within_that_time_keeps_it_open() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(QUIET, leak=0)
    assert story.polls(leak=2) == []
    assert "ops/chat resolved leak" not in story.polls(QUIET, leak=0)


def test_polls_that_could_not_judge_the_cause_neither_resolve_nor_count() -> None:
    story = Story()
    story.polls(leak=2)
    assert story.polls(10 * QUIET, flood=0) == []
    assert story.polls(leak=0) == []
    assert len(story.pipeline.incidents()) == 1


def test_severity_falls_only_after_it_has_stayed_lower() -> None:
    story = Story()
    story.polls(leak=3)
    story.polls(QUIET, leak=2)
    assert story.pipeline.incidents()[0].severity is Severity.CRITICAL
    story.polls(leak=2)
    assert story.pipeline.incidents()[0].severity is Severity.WARNING


def test_a_relapse_soon_after_the_end_is_another_occurrence_under_the_same_key() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(QUIET + 1, leak=0)
    assert story.polls(leak=2) == ["ops/chat opened leak"]
    first, last = story.notifications[0].incident, story.notifications[-1].incident
    assert last.dedup_key == first.dedup_key
    assert last.id != first.id
    assert (first.occurrences, last.occurrences) == (1, 2)


def test_a_relapse_long_after_the_end_is_a_first_occurrence() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(QUIET + 1, leak=0)
    story.wait(3700)
    story.polls(leak=2)
    assert story.notifications[-1].incident.occurrences == 1


def test_the_sequence_rises_with_every_notification() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(leak=3)
    story.polls(QUIET + 1, leak=0)
    sequences = [notification.incident.sequence for notification in story.notifications]
    assert sequences == sorted(set(sequences))


def test_the_same_story_gives_the_same_ids_again() -> None:
    ids = []
    for _ in range(2):
        story = Story()
        story.polls(leak=2)
        story.polls(leak=3)
        ids.append([(n.event_id, n.incident.id) for n in story.notifications])
    assert ids[0] == ids[1]
