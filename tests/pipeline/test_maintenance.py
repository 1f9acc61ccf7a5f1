"""What holds back for a while by itself: maintenance windows, deploys, a cold start, an unreachable server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from sentinel.model import Eta, Finding, Reason, Severity
from sentinel.pipeline import IncidentSettings
from sentinel.pipeline.actions import Deploy
from sentinel.pipeline.settings import DeploySettings, Destination, Inhibition, MaintenanceWindow
from tests.pipeline.stories import EVERY, START, Scripted, Story, chat, settings

QUIET = int(300 / EVERY)


def window(**changes: object) -> MaintenanceWindow:
    """Each Monday from 16:05 on, 20 minutes; the stories begin on one at 16:00."""
    return MaintenanceWindow(**{"name": "weekly", "start": "5 16 * * mon", "lasts": 1200.0, **changes})  # type: ignore[arg-type]


def during(settings_of: MaintenanceWindow, targets: Mapping[str, Mapping[str, str]] | None = None) -> Story:
    story = Story(settings(maintenance=(settings_of,), targets=targets or {}))
    story.wait(300)
    return story


def test_what_opens_in_a_window_is_told_at_its_end_if_it_still_lasts() -> None:
    story = during(window())
    assert story.polls(119, leak=2) == []
    assert story.polls(leak=2) == ["ops/chat opened leak"]


def test_what_opens_and_ends_in_a_window_is_not_told() -> None:
    story = during(window())
    story.polls(leak=3)
    assert story.polls(QUIET + 1, leak=0) == []
    assert story.wait(3600) == []


def test_what_opened_before_a_window_is_told_as_resolved_within_it() -> None:
    story = Story(settings(maintenance=(window(),)))
    story.polls(leak=2)
    story.wait(300)
    assert story.polls(leak=3) == []
    assert story.polls(QUIET + 1, leak=0) == ["ops/chat resolved leak"]


def test_outside_of_a_window_all_is_told() -> None:
    story = Story(settings(maintenance=(window(),)))
    assert story.polls(leak=2) == ["ops/chat opened leak"]


def test_a_window_comes_again_a_week_later() -> None:
    story = Story(settings(maintenance=(window(),)))
    story.wait(7 * 86400 + 300)
    assert story.polls(leak=2) == []


@pytest.mark.parametrize(
    ("changes", "held"),
    [
        ({"targets": ("ma*",)}, True),
        ({"targets": ("other",)}, False),
        ({"labels": {"env": "prod"}}, True),
        ({"labels": {"env": "staging"}}, False),
        ({"timezone": "Europe/Berlin"}, False),
        ({"start": "5 17 * * mon", "timezone": "Europe/Berlin"}, True),
    ],
)
def test_a_window_is_for_its_targets_and_in_its_time_zone(changes: dict[str, object], held: bool) -> None:
    story = during(window(**changes), {"main": {"env": "prod"}})
    assert story.polls(leak=2) == ([] if held else ["ops/chat opened leak"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"start": "61 * * * *"}, "start must be as in crontab"),
        ({"timezone": "Mars/Olympus"}, "timezone must be one such as Europe/Berlin"),
        ({"lasts": 0.0}, "lasts must be above 0 seconds"),
    ],
)
def test_a_window_that_cannot_be_meant_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        window(**changes)


# Deploys


def test_what_a_deploy_explains_is_told_if_it_is_still_there_at_its_end() -> None:
    story = Story()
    story.act(Deploy(START, "ci", "v2"))
    assert story.polls(59, leak=2) == []
    assert story.polls(leak=2) == ["ops/chat opened leak"]
    assert story.notifications[0].incident.context == ("Deploy of v2 by ci, marked 0 min before.",)


def test_what_a_deploy_does_not_explain_is_told_at_once() -> None:
    story = Story()
    story.act(Deploy(START, "ci", "v2"))
    assert story.polls(refused=3) == ["ops/chat opened refused"]


def test_a_deploy_is_told_to_those_who_keep_changes_and_to_nobody_else() -> None:
    pager = Destination("oncall", "oncall/pager", Severity.CRITICAL, frozenset(Reason), pages=True, changes=True)
    story = Story(settings(chat(), pager))
    story.act(Deploy(START, "ci", "v2", ("redis-*",), text="new pool"))
    (told,) = story.notifications
    assert (told.destination, told.reason) == ("oncall/pager", Reason.DEPLOYED)
    assert told.incident.finding.summary == "ci deployed v2 to redis-*. new pool"
    quiet = Story(replace(settings(chat(), pager), shadow=True))
    quiet.act(Deploy(START, "ci", "v2"))
    assert quiet.notifications == []


def test_a_deploy_of_other_targets_explains_nothing() -> None:
    story = Story()
    story.act(Deploy(START, "ci", "v2", ("other-*",)))
    assert story.polls(leak=2) == ["ops/chat opened leak"]
    assert story.notifications[0].incident.context == ()


def test_how_long_ago_a_deploy_was_marked_is_told() -> None:
    story = Story()
    story.act(Deploy(START, "ci", "v2"))
    story.wait(1200)
    story.polls(leak=2)
    assert story.notifications[0].incident.context == ("Deploy of v2 by ci, marked 20 min before.",)


def test_a_deploy_lasts_as_long_as_its_marker_says() -> None:
    story = Story(settings(deploys=DeploySettings(lasts=600.0)))
    story.act(Deploy(START, "ci", "v2", lasts=60.0))
    assert story.polls(5, leak=2) == []
    assert story.polls(leak=2) == ["ops/chat opened leak"]


def test_a_marker_that_comes_a_little_late_still_explains() -> None:
    story = Story(settings(incidents=IncidentSettings(startup_grace=60.0)))
    story.polls(3, leak=2)
    story.act(Deploy(story.now, "ci", "v2"))
    assert story.polls(30, leak=2) == []


def test_what_opened_long_before_a_deploy_is_not_its_doing() -> None:
    story = Story()
    story.polls(leak=2)
    story.polls(20, leak=2)
    story.act(Deploy(story.now, "ci", "v2"))
    assert story.polls(leak=3) == ["ops/chat escalated leak"]


class Near(Scripted):
    """Says that the wall is three minutes away."""

    def judge(self, view):  # type: ignore[no-untyped-def]
        for finding in super().judge(view):
            yield Finding(
                target=finding.target, source=finding.source, kind="cause", severity=finding.severity, time=view.now,
                firing=True, summary="soon", eta=Eta(view.now + 180.0, None, "the wall"),
            )  # fmt: skip


def test_a_wall_that_is_nearer_than_the_end_of_a_deploy_is_told_at_once() -> None:
    story = Story(replace(settings(), causes={"leak": Near("leak")}))
    story.act(Deploy(START, "ci", "v2"))
    assert story.polls(leak=3) == ["ops/chat opened leak"]


# A cold start


def test_for_a_minute_after_a_cold_start_only_what_is_critical_is_told() -> None:
    story = Story(settings(incidents=IncidentSettings(startup_grace=60.0)))
    assert story.polls(leak=2, refused=3) == ["ops/chat opened refused"]
    assert story.polls(5, leak=2, refused=3) == []
    assert story.polls(leak=2, refused=3) == ["ops/chat opened leak"]


# What follows from what


@pytest.mark.parametrize("trouble", ["unreachable", "frozen"])
def test_what_follows_from_a_server_that_is_gone_is_not_told(trouble: str) -> None:
    story = Story(settings(causes=[trouble, "backlog"]))
    story.polls(**{trouble: 3})
    assert story.polls(5, **{trouble: 3, "backlog": 3}) == []


def test_what_is_still_there_when_the_server_is_back_is_told_then() -> None:
    story = Story()
    story.polls(unreachable=3)
    story.polls(unreachable=3, backlog=3)
    said = story.polls(QUIET + 1, unreachable=0, backlog=3)
    assert said == ["ops/chat resolved unreachable", "ops/chat opened backlog"]


def test_a_server_that_is_gone_inhibits_nothing_elsewhere() -> None:
    story = Story()
    story.polls(target="a", unreachable=3)
    assert story.polls(target="b", backlog=3) == ["ops/chat opened backlog"]


def test_inhibitions_of_ones_own_replace_those_built_in() -> None:
    story = Story(settings(inhibitions=(Inhibition(("refused",), ("backlog",)),)))
    story.polls(refused=3, unreachable=3)
    assert story.polls(refused=3, unreachable=3, backlog=3, leak=2) == ["ops/chat opened leak"]
