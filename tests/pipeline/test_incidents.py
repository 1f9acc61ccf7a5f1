"""What belongs together: one incident a target, cause and subject; when it opens, grows worse, eases and is over."""

from __future__ import annotations

from typing import Literal

import pytest

from sentinel.model import IncidentState, Reason, Severity
from sentinel.pipeline import ActionError, IncidentSettings
from sentinel.pipeline.actions import Acknowledge, Mark, Note, Resolve
from tests.pipeline.stories import EVERY, START, Story, chat, settings

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


# Against flapping


def flap(story: Story, times: int) -> list[str]:
    said = []
    for _ in range(times):
        said += story.polls(leak=2)
        said += story.polls(QUIET + 1, leak=0)
    return said


def test_what_comes_and_goes_is_told_as_flapping_once_and_stays_open() -> None:
    story = Story()
    assert flap(story, 3) == ["ops/chat opened leak", "ops/chat resolved leak"] * 3
    assert story.polls(leak=2) == ["ops/chat opened leak"]
    assert story.notifications[-1].incident.flapping
    said = story.polls(QUIET + 1, leak=0) + flap(story, 3)
    assert set(said) <= {"ops/chat updated leak"}


def test_a_flapping_incident_is_over_after_an_hour_of_quiet() -> None:
    story = Story()
    flap(story, 3)
    story.polls(leak=2)
    said = story.polls(360, leak=0)
    assert "ops/chat resolved leak" not in said
    assert story.polls(leak=0) == ["ops/chat resolved leak"]


def test_four_that_lasted_long_are_no_flapping() -> None:
    story = Story()
    for _ in range(4):
        story.polls(800, leak=2)
        story.polls(QUIET + 1, leak=0)
    assert not any(notification.incident.flapping for notification in story.notifications)


def test_flapping_can_be_switched_off() -> None:
    story = Story(settings(incidents=IncidentSettings(startup_grace=0.0, flapping_after=0)))
    assert len(flap(story, 6)) == 12


def test_a_severity_that_hovers_at_a_limit_is_told_ever_more_rarely() -> None:
    story = Story(settings(chat("ops/chat", Severity.INFO, Reason.UPDATED)))
    story.polls(leak=3)
    told_at = []
    for _ in range(60):
        told_at += [story.now] * len(story.polls(QUIET + 1, leak=2))
        told_at += [story.now] * len(story.polls(leak=3))
    minutes = [(time - START) / 60 for time in told_at if time]
    assert len(minutes) <= 7
    assert len(story.polls(QUIET + 1, leak=2)) == 0


# By hand


def by_hand(story: Story) -> list[str]:
    return story.act(Resolve(story.now, "ada", story.pipeline.incidents()[0].ref, "restarted it"))


def test_what_is_resolved_by_hand_stays_so_while_its_cause_still_fires_for_a_while() -> None:
    story = Story()
    story.polls(leak=2)
    assert by_hand(story) == ["ops/chat resolved leak"]
    assert story.notifications[-1].incident.resolved_by == "ada"
    assert story.polls(360, leak=2) == []
    assert story.polls(leak=2) == ["ops/chat opened leak"]


def test_what_is_resolved_by_hand_and_grows_worse_opens_again_at_once() -> None:
    story = Story()
    story.polls(leak=2)
    by_hand(story)
    assert story.polls(leak=3) == ["ops/chat opened leak"]


def test_what_is_resolved_by_hand_and_comes_back_after_quiet_opens_again() -> None:
    story = Story()
    story.polls(leak=2)
    by_hand(story)
    story.polls(leak=0)
    assert story.polls(leak=2) == ["ops/chat opened leak"]


def test_a_hand_that_resolved_is_remembered_over_a_restart() -> None:
    story = Story()
    story.polls(leak=2)
    by_hand(story)
    story.restart(clean=False)
    assert story.polls(5, leak=2) == []


def test_marking_as_noise_acknowledges() -> None:
    story = Story()
    story.polls(leak=2)
    story.act(Mark(story.now, "ada", story.pipeline.incidents()[0].id, "noise", "the nightly import"))
    assert story.pipeline.incidents()[0].acknowledged_by == "ada"
    assert "marked as noise the nightly import" in story.events()


def test_a_note_changes_nothing_but_the_history() -> None:
    story = Story()
    story.polls(leak=2)
    before = story.pipeline.incidents()
    assert story.act(Note(story.now, "ada", before[0].id, "looked at it")) == []
    assert (story.pipeline.incidents(), story.events()[-1]) == (before, "note looked at it")


def test_what_nobody_knows_cannot_be_acknowledged() -> None:
    story = Story()
    with pytest.raises(ActionError, match="is not known; `sentinel incidents list`"):
        story.act(Acknowledge(START, "ada", "SNT-NOBODY"))


# Missing data


def missing(policy: Literal["keep", "alert", "ok"]) -> Story:
    story = Story(settings(incidents=IncidentSettings(startup_grace=0.0, no_data=policy, no_data_for=600.0)))
    story.polls(leak=2)
    return story


def test_by_default_an_incident_without_readings_stays_as_it_is() -> None:
    assert "resolved" not in " ".join(missing("keep").wait(100000))


def test_missing_readings_of_an_open_incident_are_told_if_that_is_wanted() -> None:
    story = missing("alert")
    assert story.wait(599) == []
    assert story.wait(1) == ["ops/chat opened no_data:leak"]
    assert "without readings for: 600" in str(
        [f"{e.name}: {e.value:g}" for e in story.notifications[-1].incident.finding.evidence]
    )


def test_readings_that_are_back_end_it() -> None:
    story = missing("alert")
    story.wait(600)
    said = story.polls(QUIET + 2, leak=2)
    assert "ops/chat resolved no_data:leak" in said


def test_no_readings_can_be_taken_as_all_well() -> None:
    story = missing("ok")
    assert story.wait(600) == ["ops/chat resolved leak"]


def test_a_cause_that_is_judged_rarely_by_itself_is_resolved_all_the_same() -> None:
    story = Story()
    story.polls(3, every=400.0, leak=2)
    assert "ops/chat resolved leak" not in story.polls(every=400.0, leak=0)
    assert story.polls(every=400.0, leak=0) == ["ops/chat resolved leak"]
