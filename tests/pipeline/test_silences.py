"""Silences: who is not told of what, until when, and what happens then."""

from __future__ import annotations

import pytest

from sentinel.model import Severity
from sentinel.pipeline import ActionError
from sentinel.pipeline.actions import Silence, Unsilence
from tests.pipeline.stories import EVERY, START, Story, chat, settings

QUIET = int(300 / EVERY)


def silence(*matchers: str, at: float = START, lasts: float | None = 600.0, until_resolved: bool = False) -> Silence:
    return Silence(at, "ada", matchers, None if lasts is None else at + lasts, until_resolved)


def test_what_is_silenced_is_told_when_the_silence_ends_and_it_still_lasts() -> None:
    story = Story()
    story.act(silence("cause=leak"))
    assert story.polls(59, leak=2) == []
    assert story.polls(leak=2) == ["ops/chat opened leak"]


def test_what_came_and_went_in_a_silence_is_never_told() -> None:
    story = Story()
    story.act(silence("cause=leak"))
    story.polls(leak=3)
    story.polls(QUIET + 1, leak=0)
    assert story.wait(3600) == []


def test_what_was_told_before_is_still_told_as_resolved_but_nothing_else() -> None:
    story = Story()
    story.polls(leak=2)
    story.act(silence("cause=leak", at=story.now, lasts=3600.0))
    assert story.polls(leak=3) == []
    assert story.polls(QUIET + 1, leak=0) == ["ops/chat resolved leak"]


def test_what_grew_worse_in_a_silence_is_told_at_its_end() -> None:
    story = Story()
    story.polls(leak=2)
    story.act(silence("cause=leak", at=story.now, lasts=100.0))
    story.polls(9, leak=3)
    assert story.polls(leak=3) == ["ops/chat escalated leak"]


@pytest.mark.parametrize(
    ("matchers", "silenced"),
    [
        (("target=main",), True),
        (("target=ma*",), True),
        (("target=m?in", "cause=leak"), True),
        (("target!=main",), False),
        (("cause!=flood",), True),
        (("cause=flood",), False),
        (("severity=warning",), True),
        (("severity=critical",), False),
        (("subject=",), True),
        (("subject=mail",), False),
        (("env=prod",), True),
        (("env=staging",), False),
        (("env!=prod",), False),
        (("target=MAIN",), False),
    ],
)
def test_a_silence_matches_by_all_of_its_matchers(matchers: tuple[str, ...], silenced: bool) -> None:
    story = Story(settings(targets={"main": {"env": "prod"}}))
    story.act(silence(*matchers))
    assert story.polls(leak=2) == ([] if silenced else ["ops/chat opened leak"])


def test_an_incident_is_silenced_by_its_reference() -> None:
    story = Story()
    story.polls(leak=2, flood=2)
    leak, flood = story.pipeline.incidents()
    story.act(silence(f"id={leak.ref}", at=story.now))
    assert {leak.cause, flood.cause} == {"leak", "flood"}
    assert story.polls(leak=3, flood=3) == [f"ops/chat escalated {flood.cause}"]


def test_a_silence_until_resolved_ends_with_the_last_that_matches() -> None:
    story = Story()
    story.polls(leak=2)
    story.act(silence("cause=leak", at=story.now, lasts=None, until_resolved=True))
    story.polls(1000, leak=2)
    assert story.polls(leak=3) == []
    story.polls(QUIET + 1, leak=0)
    assert story.pipeline.kept() == {}
    story.wait(4000)
    assert story.polls(leak=2) == ["ops/chat opened leak"]


def test_of_two_silences_the_longer_holds() -> None:
    story = Story()
    story.act(silence("cause=leak", lasts=100.0))
    story.act(silence("target=main", lasts=300.0))
    assert story.polls(29, leak=2) == []
    assert story.polls(leak=2) == ["ops/chat opened leak"]


def test_a_silence_that_somebody_ends_is_over_at_once() -> None:
    story = Story()
    story.act(silence("cause=leak"))
    story.polls(leak=2)
    (name,) = story.pipeline.kept()
    assert story.act(Unsilence(story.now, "ada", name)) == ["ops/chat opened leak"]


def test_what_is_not_told_is_in_the_history_with_who_silenced_it_once() -> None:
    story = Story()
    story.act(silence("cause=leak"))
    (name,) = story.pipeline.kept()
    story.polls(5, leak=2)
    assert [event for event in story.events() if event.startswith("held")] == [
        f"held ops/chat: silenced by ada ({name[-6:]})"
    ]


def test_a_silence_is_in_the_audit_trail_from_its_begin_to_its_end() -> None:
    story = Story()
    story.act(silence("cause=leak"))
    story.wait(601)
    (name,) = [event.text.split()[0] for event in story.steps[0].events]
    assert story.events() == [f"silenced {name} cause=leak", f"silence ended {name} cause=leak"]


def test_a_refused_silence_changes_nothing() -> None:
    story = Story()
    with pytest.raises(ActionError):
        story.act(silence("colour=red"))
    assert story.pipeline.kept() == {}
    assert story.polls(leak=2) == ["ops/chat opened leak"]


def test_a_pager_is_not_called_for_what_is_silenced() -> None:
    story = Story(settings(chat("ops/pager", Severity.CRITICAL)))
    story.act(silence("target=main", lasts=100000.0))
    assert story.polls(500, leak=3, refused=3, unreachable=3) == []


def test_each_silence_ends_at_its_own_time() -> None:
    story = Story()
    story.act(silence("cause=leak", lasts=100.0))
    story.act(silence("cause=flood", lasts=300.0))
    story.polls(leak=2, flood=2)
    assert story.wait(90) == ["ops/chat opened leak"]
    assert story.wait(200) == ["ops/chat opened flood"]


def test_a_silence_may_not_end_when_it_begins() -> None:
    with pytest.raises(ActionError, match="`until` is in the past"):
        Story().act(silence("cause=leak", lasts=0.0))
