"""A pipeline that was stopped and started again says what one that never stopped would have said."""

from __future__ import annotations

import pytest

from sentinel.model import Reason, Severity
from sentinel.pipeline import IncidentSettings, Route, SnapshotError
from sentinel.pipeline.actions import Acknowledge, Deploy, Resolve, Silence
from tests.pipeline.stories import EVERY, START, Story, chat, settings

QUIET = int(300 / EVERY)


def test_what_was_told_is_not_told_again_after_a_restart() -> None:
    story = Story()
    story.polls(leak=2)
    story.restart()
    assert story.polls(leak=2) == []


def test_what_was_told_is_not_told_again_after_a_crash() -> None:
    story = Story()
    story.polls(leak=2)
    story.restart(clean=False)
    assert story.polls(leak=2) == []


def test_what_grew_worse_meanwhile_is_told_at_once() -> None:
    story = Story()
    story.polls(leak=2)
    story.restart()
    story.wait(600)
    assert "ops/chat escalated leak" in story.polls(leak=3)


def test_what_began_meanwhile_is_told_at_once() -> None:
    story = Story()
    story.restart()
    story.wait(600)
    assert story.polls(leak=2) == ["ops/chat opened leak"]


def test_what_is_over_meanwhile_is_told_when_fresh_readings_say_so() -> None:
    story = Story()
    story.polls(leak=2)
    story.restart()
    story.wait(3600)
    assert story.polls(QUIET, leak=0) == []
    assert story.polls(leak=0) == ["ops/chat resolved leak"]


def test_quiet_time_before_a_long_gap_does_not_count() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(QUIET - 1, leak=0)
    story.restart()
    story.wait(3600)
    assert story.polls(5, leak=0) == []


def test_quiet_time_before_a_quick_restart_counts() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(QUIET, leak=0)
    story.restart()
    assert story.polls(leak=0) == ["ops/chat resolved leak"]


def test_a_relapse_after_a_restart_is_another_occurrence() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(QUIET + 1, leak=0)
    story.restart()
    story.polls(leak=2)
    assert story.notifications[-1].incident.occurrences == 2


def test_reminders_go_on_counting_from_where_they_were() -> None:
    story = Story(
        settings(chat("ops/chat", Severity.INFO, Reason.UPDATED), routes=[Route("ops", repeat_interval=3600)])
    )
    story.polls(leak=2)
    assert story.wait(3600) == ["ops/chat repeated leak"]
    story.restart()
    assert story.wait(3600) == []
    assert story.wait(3600) == ["ops/chat repeated leak"]


def test_a_silence_outlives_a_restart() -> None:
    story = Story()
    story.act(Silence(START, "ada", ("cause=leak",), until=START + 600))
    story.restart()
    assert story.polls(leak=2) == []
    assert story.wait(600) == ["ops/chat opened leak"]


def test_a_deploy_outlives_a_restart() -> None:
    story = Story()
    story.act(Deploy(START, "ci", "v2"))
    story.restart()
    assert story.polls(leak=2) == []


def test_an_acknowledgement_outlives_a_restart() -> None:
    story = Story(
        settings(chat("ops/chat", Severity.INFO, Reason.UPDATED), routes=[Route("ops", repeat_interval=3600)])
    )
    story.polls(leak=2)
    story.act(Acknowledge(story.now, "ada", story.pipeline.incidents()[0].ref))
    story.restart(clean=False)
    assert story.wait(36000) == []


def test_what_is_open_on_a_target_that_is_watched_no_longer_is_over() -> None:
    story = Story(settings(targets={"main": {}, "other": {}}))
    story.polls(leak=2)
    story.restart(settings(targets={"other": {}}))
    assert story.polls(target="other", leak=0) == ["ops/chat resolved leak"]
    assert "resolved the target is not watched any more" in story.events()


def test_what_a_cause_that_is_switched_off_has_opened_is_over() -> None:
    story = Story()
    story.polls(leak=2)
    story.restart(settings(causes=["flood"]), clean=False)
    assert story.polls(flood=0) == ["ops/chat resolved leak"]


def test_a_changed_route_tells_its_receiver_of_what_is_open_and_the_old_one_of_the_end() -> None:
    ops, dev = chat("ops/chat"), chat("dev/chat")
    story = Story(settings(ops, dev, routes=[Route("ops")]))
    story.polls(leak=2)
    story.restart(settings(ops, dev, routes=[Route("dev")]))
    assert story.polls(leak=2) == ["dev/chat opened leak"]
    assert story.polls(QUIET + 1, leak=0) == ["ops/chat resolved leak", "dev/chat resolved leak"]


def test_a_snapshot_of_other_settings_costs_what_was_learnt_and_not_how_far_incidents_are() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(QUIET, leak=0)
    with pytest.raises(SnapshotError):
        story.restart(settings(causes=["leak"]))
    assert story.polls(leak=0) == ["ops/chat resolved leak"]


def test_the_grace_of_a_start_does_not_begin_anew() -> None:
    story = Story(settings(incidents=IncidentSettings(startup_grace=60)))
    story.polls(7, leak=0)
    story.restart()
    assert story.polls(leak=2) == ["ops/chat opened leak"]


def test_what_was_resolved_by_hand_and_fell_quiet_opens_again_after_a_restart() -> None:
    story = Story()
    story.polls(leak=2)
    story.act(Resolve(story.now, "ada", story.pipeline.incidents()[0].ref))
    story.polls(leak=0)
    story.restart()
    assert story.polls(leak=2) == ["ops/chat opened leak"]


def test_silences_that_end_together_end_in_the_same_order_after_a_restart() -> None:
    orders = []
    for restarting in (False, True):
        story = Story()
        for target in ("b", "a", "d", "c"):
            story.act(Silence(START, "ada", (f"target={target}",), until=START + 60))
        if restarting:
            story.restart()
        story.wait(60)
        orders.append([event for event in story.events() if event.startswith("silence ended")])
    assert orders[0] == orders[1]
