"""Who hears of an incident, why, and how often."""

from __future__ import annotations

from sentinel.model import Reason, Severity
from sentinel.pipeline import Route
from sentinel.pipeline.actions import Acknowledge, Silence
from sentinel.pipeline.settings import Destination, EscalationStep
from tests.pipeline.stories import EVERY, START, Story, chat, settings

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


# Labels, steps, acknowledgements


def test_a_route_chooses_by_labels_of_the_target() -> None:
    told = settings(routes=[Route("ops", labels={"env": "prod"})], targets={"a": {"env": "prod"}, "b": {"env": "dev"}})
    story = Story(told)
    assert story.polls(target="b", leak=3) == []
    assert story.polls(target="a", leak=3) == ["ops/chat opened leak"]


STEPS = Route("ops", repeat_interval=HOUR, escalate=(EscalationStep(600.0, "boss"), EscalationStep(1200.0, "ceo")))


def escalating() -> Story:
    quiet = (Severity.INFO, Reason.UPDATED)
    return Story(
        settings(chat("ops/chat", *quiet), chat("boss/chat", *quiet), chat("ceo/chat", *quiet), routes=[STEPS])
    )


def test_others_are_told_step_by_step_while_nobody_acknowledges() -> None:
    story = escalating()
    assert story.polls(leak=2) == ["ops/chat opened leak"]
    assert story.wait(599) == []
    assert story.wait(1) == ["boss/chat opened leak"]
    assert story.wait(600) == ["ceo/chat opened leak"]


def test_a_step_tells_of_warnings_even_who_hears_of_critical_ones_only() -> None:
    story = Story(settings(chat("ops/chat"), chat("boss/pager", Severity.CRITICAL), routes=[STEPS]))
    story.polls(leak=2)
    assert "boss/pager opened leak" in story.wait(600)


def test_steps_count_from_when_the_first_receiver_was_told() -> None:
    story = escalating()
    story.act(Silence(story.now, "ada", ("cause=leak",), until=story.now + 1000.0))
    story.polls(leak=2)
    assert story.wait(1000) == ["ops/chat opened leak"]
    assert story.wait(500) == []
    assert story.wait(100) == ["boss/chat opened leak"]


def acknowledge(story: Story) -> list[str]:
    return story.act(Acknowledge(story.now, "ada", story.pipeline.incidents()[0].ref))


def test_an_acknowledgement_is_told_and_ends_steps_and_reminders() -> None:
    story = escalating()
    story.polls(leak=2)
    assert acknowledge(story) == ["ops/chat acknowledged leak"]
    assert story.notifications[-1].incident.acknowledged_by == "ada"
    assert story.wait(100 * HOUR) == []


def test_who_was_told_by_a_step_hears_of_the_end() -> None:
    story = escalating()
    story.polls(leak=2)
    story.wait(600)
    said = story.polls(QUIET + 2, leak=0)
    assert said == ["ops/chat resolved leak", "boss/chat resolved leak"]


def test_growing_worse_voids_the_acknowledgement() -> None:
    story = escalating()
    story.polls(leak=2)
    acknowledge(story)
    assert story.polls(leak=3) == ["ops/chat escalated leak"]
    assert "boss/chat opened leak" in story.wait(600)


def test_acknowledging_twice_changes_nothing() -> None:
    story = escalating()
    story.polls(leak=2)
    acknowledge(story)
    assert acknowledge(story) == []


def test_an_acknowledgement_is_not_told_where_it_is_not_wanted() -> None:
    story = Story(settings(chat("ops/chat", Severity.INFO, Reason.ACKNOWLEDGED)))
    story.polls(leak=2)
    assert acknowledge(story) == []


# What wakes people


def test_churn_wakes_nobody_unless_a_route_names_it() -> None:
    pager = Destination("ops", "ops/pager", Severity.WARNING, frozenset(Reason), pages=True)
    assert Story(settings(pager, causes=["churn"])).polls(churn=3) == []
    named = Story(settings(pager, causes=["churn"], routes=[Route("ops", causes=("churn",))]))
    assert named.polls(churn=3) == ["ops/pager opened churn"]


# Shadow mode


def shadowed(**more: bool) -> Story:
    pager = Destination("oncall", "oncall/pager", Severity.CRITICAL, frozenset(Reason), pages=True)
    routes = [Route("oncall", shadow=not more), Route("ops")]
    return Story(settings(pager, chat("ops/chat", Severity.INFO, Reason.UPDATED), routes=routes, **more))


def test_a_route_in_shadow_tells_nobody() -> None:
    story = shadowed()
    assert story.polls(leak=3) == ["ops/chat opened leak"]
    assert "not told oncall/pager: opened (shadow mode)" in story.events()


def test_the_digest_says_next_morning_what_would_have_been_told() -> None:
    story = shadowed()
    story.polls(leak=3)
    story.polls(QUIET + 1, leak=0)
    story.wait(16 * HOUR)
    assert story.said()[-1] == "ops/chat resolved leak"
    story.wait(2 * HOUR)
    digest = story.notifications[-1]
    assert (digest.destination, digest.reason, digest.incident.cause) == ("ops/chat", Reason.DIGEST, "digest")
    assert digest.time == START + 17 * HOUR  # 09:00 on the next day
    assert "there would have been 1 critical." in digest.incident.finding.summary
    assert [e.name for e in digest.incident.finding.evidence] == [
        "oncall/pager: opened leak on main",
        "oncall/pager: resolved leak on main",
    ]


def test_a_day_on_which_nothing_was_kept_back_needs_no_digest() -> None:
    story = shadowed()
    story.polls(leak=1)
    assert Reason.DIGEST not in {n.reason for n in story.notifications}
    story.wait(48 * HOUR)
    assert Reason.DIGEST not in {n.reason for n in story.notifications}


def test_in_shadow_mode_for_all_only_the_digest_is_told() -> None:
    story = shadowed(shadow=True)
    story.polls(leak=3)
    assert story.wait(18 * HOUR) == ["ops/chat digest digest"]


def test_what_is_open_when_shadow_mode_ends_is_told_then() -> None:
    story = shadowed(shadow=True)
    story.polls(leak=3)
    story.restart(shadowed().pipeline._settings)
    assert story.polls(leak=3) == ["ops/chat opened leak"]


def test_what_falls_due_on_one_target_does_not_wait_for_another() -> None:
    quiet = chat("ops/chat", Severity.INFO, Reason.UPDATED)
    story = Story(settings(quiet, routes=[Route("ops", repeat_interval=HOUR)]))
    story.polls(target="a", leak=2)
    story.wait(HOUR / 2)
    story.polls(target="b", leak=2)
    assert story.pipeline.next_deadline() == START + EVERY + HOUR


def test_a_message_that_is_no_change_of_severity_names_none_before() -> None:
    story = escalating()
    story.polls(leak=2)
    story.wait(HOUR + 1)
    assert {n.reason: n.previous_severity for n in story.notifications} == {Reason.OPENED: None, Reason.REPEATED: None}
