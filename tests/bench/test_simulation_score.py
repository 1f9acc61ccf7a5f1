"""The score of the simulation says what was told: worked by hand, with a judge that only knows a threshold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from sentinel.model import (
    Culprit,
    Eta,
    Finding,
    Incident,
    IncidentState,
    Notification,
    Poll,
    Reason,
    Severity,
)

from .simulation.clients import Workers
from .simulation.plan import Deployment, Leak, Plan
from .simulation.report import eta_table, event_table, quiet_table
from .simulation.scenarios import SCENARIOS, Event, Run, quiet_names, quiet_run, troubled_run
from .simulation.score import coverage, play, score
from .simulation.traffic import DAY, HOUR, MONDAY, WEEK
from .simulation.world import World

ONSET = MONDAY + 10 * HOUR
WALL = ONSET + 20 * HOUR
LEAK = Event("leak", ONSET, WALL + HOUR, frozenset({"leak"}), "api", WALL)


def told(
    hours: float,
    cause: str = "leak",
    *,
    severity: Severity = Severity.WARNING,
    reason: Reason = Reason.OPENED,
    opened: float | None = None,
    eta: tuple[float, float | None] | None = None,
    culprit: str = "",
) -> Notification:
    """A notification so many hours after the onset; `eta` in hours after the onset."""
    time = ONSET + hours * HOUR
    finding = Finding(
        "redis-sim",
        cause,
        "cause",
        severity,
        time,
        True,
        "",
        eta=None
        if eta is None
        else Eta(ONSET + eta[0] * HOUR, None if eta[1] is None else ONSET + eta[1] * HOUR, "wall"),
        culprit=Culprit(culprit) if culprit else None,
    )
    incident = Incident(
        "id",
        "key",
        "redis-sim",
        cause,
        "",
        severity,
        IncidentState.OPEN,
        ONSET + (hours if opened is None else opened) * HOUR,
        time,
        finding,
    )
    return Notification("r", "r/d", reason, incident, time, "msg")


@pytest.fixture(scope="module")
def run() -> Run:
    world = World(Plan(seed=1, days=7.0, step=3_600.0))
    return Run("a week", world, (LEAK,))


class AboveFourFifths:
    """Pages as a leak, once, when four fifths of the limit are in use; names the largest group."""

    def __init__(self) -> None:
        self.said = False

    def feed(self, poll: Poll) -> Iterable[Notification]:
        groups = {s.series.labels: s.value for s in poll.samples if s.series.metric == "redis_group_clients"}
        if self.said or sum(groups.values()) < 800:
            return
        self.said = True
        hours = (poll.time - ONSET) / HOUR
        yield told(hours, culprit=dict(max(groups, key=lambda labels: groups[labels]))["group"], eta=(0.0, None))


def test_an_event_is_seen_at_its_first_word_and_paged_at_its_first_page(run: Run) -> None:
    words = [told(1.0, severity=Severity.INFO), told(5.0, reason=Reason.ESCALATED, opened=1.0)]
    (event,) = score(run, words).events
    assert event.seen == 1 * HOUR
    assert event.paged == 5 * HOUR
    assert event.lead == 15 * HOUR
    assert event.left == 0.75


def test_what_was_open_before_the_onset_does_not_count_as_seen(run: Run) -> None:
    (event,) = score(run, [told(-2.0), told(1.0, reason=Reason.UPDATED, opened=-2.0)]).events
    assert event.seen is None


def test_another_cause_does_not_count_as_seen_but_is_named_as_the_first_page(run: Run) -> None:
    (event,) = score(run, [told(1.0, "exhaustion"), told(2.0)]).events
    assert event.seen == 2 * HOUR
    assert event.first_page == "exhaustion"


def test_a_page_outside_every_event_is_false(run: Run) -> None:
    scored = score(run, [told(-1.0), told(3.0), told(30.0, severity=Severity.INFO)])
    assert [n.time for n in scored.false_pages] == [ONSET - HOUR]
    assert len(scored.false_infos) == 1


def test_a_page_during_an_event_of_what_it_does_not_bring_about_is_strange(run: Run) -> None:
    (event,) = score(run, [told(3.0, "latency"), told(3.0, "refused"), told(3.0, "churn")]).events
    assert event.strange == ("latency", "churn")


def test_the_end_of_an_incident_is_no_false_page(run: Run) -> None:
    assert not score(run, [told(-1.0, reason=Reason.RESOLVED)]).false_pages


def test_the_aftermath_of_an_event_may_be_told_for_half_an_hour(run: Run) -> None:
    words = [told(21.4), told(21.6)]
    assert [n.time for n in score(run, words).false_pages] == [ONSET + 21.6 * HOUR]


@pytest.mark.parametrize(
    ("names", "named", "misnamed"),
    [(["api"], True, False), (["web", "api"], True, True), (["web"], False, True), ([], False, False)],
)
def test_a_culprit_counts_as_named_by_the_last_word(run: Run, names: list[str], named: bool, misnamed: bool) -> None:
    words = [told(1.0 + hour, culprit=name) for hour, name in enumerate(names)] or [told(1.0)]
    (event,) = score(run, words).events
    assert (event.named, event.misnamed) == (named, misnamed)


def test_who_is_named_after_the_end_does_not_count(run: Run) -> None:
    (event,) = score(run, [told(1.0, culprit="api"), told(21.2, culprit="web")]).events
    assert (event.named, event.misnamed) == (True, False)


def test_a_forecast_holds_when_the_wall_lies_within_its_range(run: Run) -> None:
    words = [
        told(5.0, eta=(18.0, 22.0)),
        told(10.0, eta=(12.0, 19.0)),
        told(12.0, eta=(21.0, 30.0)),
        told(15.0, eta=(16.0, None)),
    ]
    (event,) = score(run, words).events
    assert [eta.holds for eta in event.etas] == [True, False, False, True]
    assert coverage(event.etas) == 0.5
    assert [eta.way for eta in event.etas] == [0.25, 0.5, 0.6, 0.75]
    # At hour 5 fifteen hours were left; the range said 13 to 17.
    assert (event.etas[0].earliest, event.etas[0].latest) == (pytest.approx(13 / 15), pytest.approx(17 / 15))


def test_a_forecast_after_the_wall_is_not_scored(run: Run) -> None:
    (event,) = score(run, [told(20.5, eta=(20.5, 20.6))]).events
    assert event.etas == ()


def test_where_the_wall_is_there_at_once_no_time_is_left_to_share(run: Run) -> None:
    (event,) = score(replace(run, events=(replace(LEAK, wall=ONSET),)), [told(0.5)]).events
    assert event.lead == -0.5 * HOUR
    assert event.left is None


def test_quiet_time_counts_pages_and_lines_by_cause(run: Run) -> None:
    quiet = replace(run, events=())
    words = [told(1.0), told(2.0), told(3.0, "churn", severity=Severity.INFO)]
    table = quiet_table([score(quiet, words)], [])
    assert table.splitlines()[-1] == "| a week | 1.0 | 2 | leak 2 | 1.0 | churn 1 |"


def test_the_tables_say_what_was_found(run: Run) -> None:
    scored = score(run, [told(5.0, culprit="api", eta=(18.0, 22.0))])
    row = event_table([scored]).splitlines()[-1]
    assert row == "| leak | 1/1 | 1/1 | 5.0 h | 5.0 h | 15.0 h | 75% | leak 1 |  | 1/1 | 0/1 | 100% of 1 |"
    assert "| 25% to 50% | 1 | 100% | 100% | 0% | 0% | 0.87 | 1.13 |" in eta_table([scored])


def test_a_long_event_does_not_outvote_a_short_one(run: Run) -> None:
    long = score(run, [told(hour, eta=(19.0, 21.0)) for hour in (6.0, 7.0, 8.0)])
    short = score(run, [told(6.0, eta=(21.0, 22.0))])
    assert "| all | 4 | 75% | 50% | 0% | 25% |" in eta_table([long, short])


def test_a_threshold_finds_a_leak_with_a_fifth_of_its_way_left() -> None:
    fleet = Deployment("api", Workers(slots=20, command=0), 0.0, replicas=5)
    leak = Leak("api", 100.0, MONDAY + 6 * HOUR)
    plan = Plan(seed=1, days=1.0, deployments=(fleet,), leaks=(leak,), limits=((0.0, 1_000),), replicas=0)
    world = World(plan)
    wall = world.wall()
    assert wall is not None
    run = Run("leak", world, (Event("leak", leak.start, wall, frozenset({"leak"}), "api", wall),), wall)
    (event,) = play(run, AboveFourFifths()).events
    # 102 connections are there; 698 more until it speaks, 898 until the wall.
    assert event.paged == pytest.approx(6.98 * HOUR, rel=0.1)
    assert event.left == pytest.approx(200 / 898, abs=0.05)
    assert event.named


def test_quiet_weeks_are_shared_among_shops_and_never_meet_the_wall() -> None:
    runs = [quiet_run(1, name, weeks, step=300.0) for name, weeks in quiet_names(4).items()]
    assert sum(run.seconds for run in runs) == 4 * WEEK
    assert [run.events for run in runs] == [()] * len(runs)
    assert all(run.world.wall() is None for run in runs)


@pytest.mark.parametrize("name", ["busy flood to the wall", "leak 3600/h named", "limit lowered below the peak"])
def test_what_must_meet_the_wall_does_so_within_its_run(name: str) -> None:
    run = troubled_run(2, name)
    (event,) = run.events
    assert event.wall is not None
    assert event.start < event.wall <= MONDAY + run.seconds


def test_no_service_that_leaks_is_deployed_while_it_does() -> None:
    run = troubled_run(2, "cold start, leak 3600/h")
    (leak,) = run.world.plan.leaks
    services = [d.service for d in run.world.plan.deployments if d.label == leak.label]
    assert services
    assert all(r.time < leak.start for service in services for r in run.world.plan.rollouts[service])


def test_a_masked_leak_never_meets_the_wall() -> None:
    run = SCENARIOS["masked leak, every 12 h"]("masked", 1)
    (event,) = run.events
    assert event.wall is None
    assert event.end - event.start > 5 * DAY
