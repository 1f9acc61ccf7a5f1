"""Whatever happens in whatever order, the engine keeps its promises. Drawn by hypothesis.

* What was told as opened is told as resolved, to the same destination, once.
* No destination is told of one condition as opened twice without its end between.
* What is silenced is not told but for its end.
* A restart changes nothing that is said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.model import Notification, Reason, Severity
from sentinel.pipeline import ActionError, IncidentSettings, PipelineSettings, Route
from sentinel.pipeline.actions import Acknowledge, Deploy, Mark, Resolve, Silence, Unsilence
from sentinel.pipeline.settings import Destination, EscalationStep, MaintenanceWindow
from tests.pipeline.stories import Story, chat
from tests.pipeline.stories import settings as scripted

TARGETS = ("a", "b")
CAUSES = ("leak", "refused", "backlog", "unreachable", "flood")

polls = st.tuples(
    st.just("poll"),
    st.sampled_from(TARGETS),
    st.dictionaries(st.sampled_from(CAUSES), st.sampled_from((0, 0, 1, 2, 3)), max_size=4),
    st.sampled_from((1, 3, 10, 20, 31)),
)
waits = st.tuples(st.just("wait"), st.sampled_from((20.0, 400.0, 4000.0, 20000.0)))
acts = st.tuples(
    st.sampled_from(("ack", "noise", "resolve", "silence", "silence target", "unsilence", "deploy")),
    st.integers(0, 3),
)
stories = st.lists(st.one_of(polls, polls, waits, acts), max_size=40)


def engine(shadow: bool = False) -> PipelineSettings:
    """Two people's destinations and a machine's, one of them told later, a window each day at 16:30."""
    pager = Destination("oncall", "oncall/pager", Severity.CRITICAL, frozenset(Reason), pages=True, groups=True)
    hook = Destination("ops", "ops/hook", Severity.INFO, frozenset(Reason) - {Reason.UPDATED})
    room = Destination("ops", "ops/room", Severity.WARNING, frozenset(Reason), groups=True)
    return scripted(
        pager,
        hook,
        room,
        chat("later/chat"),
        routes=[
            Route("oncall", min_severity=Severity.WARNING, shadow=shadow),
            Route("ops", repeat_interval=3600.0, escalate=(EscalationStep(600.0, "later"),)),
        ],
        incidents=IncidentSettings(no_data="alert"),
        maintenance=(MaintenanceWindow("daily", "30 16 * * *", 900.0),),
        targets={"a": {"env": "prod"}, "b": {}},
    )


def tell(story: Story, chapters: Sequence[tuple[Any, ...]], *, restarting: bool = False) -> None:
    for chapter in chapters:
        if restarting:
            story.restart()
        match chapter:
            case ("poll", target, troubles, count):
                story.polls(count, target=target, **troubles)
            case ("wait", seconds):
                story.wait(seconds)
            case (act, which):
                with contextlib.suppress(ActionError, IndexError):
                    do(story, act, which)


def do(story: Story, act: str, which: int) -> None:
    now, by, pipeline = story.now, "ada", story.pipeline
    match act:
        case "silence target":
            story.act(Silence(now, by, (f"target={TARGETS[which % 2]}",), until=now + 500.0))
        case "silence":
            incident = pipeline.incidents()[which]
            story.act(Silence(now, by, (f"id={incident.id}",), until_resolved=True))
        case "unsilence":
            story.act(Unsilence(now, by, list(pipeline.kept())[which]))
        case "deploy":
            story.act(Deploy(now, "ci", "v2", TARGETS[: which % 3]))
        case _:
            actions = {"ack": Acknowledge, "resolve": Resolve}
            name = pipeline.incidents()[which].id
            story.act(Mark(now, by, name, "noise") if act == "noise" else actions[act](now, by, name))


def end(story: Story) -> None:
    """Make all well, and let it be said."""
    well = dict.fromkeys(CAUSES, 0)
    for target in TARGETS * 2:
        story.polls(20, target=target, every=250.0, **well)


@given(stories)
@settings(max_examples=60)
def test_what_is_told_as_opened_is_told_as_resolved_and_never_opened_twice(chapters: list[tuple[Any, ...]]) -> None:
    story = Story(engine())
    tell(story, chapters)
    end(story)
    assert story.pipeline.incidents() == []
    open_now: set[tuple[str, str]] = set()
    for notification in story.notifications:
        key = notification.destination, notification.incident.dedup_key
        if notification.reason is Reason.OPENED:
            assert key not in open_now, story.said()
            open_now.add(key)
        else:
            assert key in open_now, story.said()
            open_now -= {key} if notification.reason is Reason.RESOLVED else set()
    assert open_now == set()


@given(stories)
@settings(max_examples=40)
def test_numbers_rise_and_ids_are_never_used_twice(chapters: list[tuple[Any, ...]]) -> None:
    story = Story(engine())
    tell(story, chapters)
    ids = [notification.event_id for notification in story.notifications]
    assert len(ids) == len(set(ids))
    by_lane: dict[tuple[str, str], list[Notification]] = {}
    for notification in story.notifications:
        by_lane.setdefault((notification.destination, notification.incident.id), []).append(notification)
    for lane in by_lane.values():
        sequences = [notification.incident.sequence for notification in lane]
        assert sequences == sorted(set(sequences))


@given(stories)
@settings(max_examples=40)
def test_of_what_is_silenced_nothing_is_told_but_its_end(chapters: list[tuple[Any, ...]]) -> None:
    story = Story(engine())
    story.act(Silence(story.now, "ada", ("target=a",), until=story.now + 1e9))
    tell(story, [chapter for chapter in chapters if chapter[0] != "unsilence"])
    assert [n for n in story.notifications if n.incident.target == "a"] == []


@given(stories)
@settings(max_examples=20)
def test_in_shadow_mode_nobody_is_woken(chapters: list[tuple[Any, ...]]) -> None:
    story = Story(engine(shadow=True))
    tell(story, chapters)
    assert [n for n in story.notifications if n.receiver == "oncall"] == []


@given(stories)
@settings(max_examples=60)
def test_restarts_change_nothing_that_is_said(chapters: list[tuple[Any, ...]]) -> None:
    stopped, went_on = Story(engine()), Story(engine())
    tell(stopped, chapters, restarting=True)
    tell(went_on, chapters)
    end(stopped)
    end(went_on)
    said = [(n.destination, n.reason, n.incident, n.time, n.event_id, n.related) for n in went_on.notifications]
    assert [(n.destination, n.reason, n.incident, n.time, n.event_id, n.related) for n in stopped.notifications] == said
    assert stopped.events() == went_on.events()
    assert sorted(stopped.pipeline.told(), key=str) == sorted(went_on.pipeline.told(), key=str)
