"""Proposals: a budget is kept on weeks that were not seen, and nothing real is lost for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from random import Random

import pytest
import yaml

from sentinel.cli import main
from sentinel.config import Overrides, load
from sentinel.model import Poll, Sample, Series, Severity, labels
from sentinel.pipeline import PipelineSettings
from sentinel.pipeline.diagnosis.backlog import Backlog
from sentinel.pipeline.diagnosis.exhaustion import Exhaustion
from sentinel.pipeline.diagnosis.leak import Leak
from sentinel.pipeline.settings import MaintenanceWindow
from sentinel.replay.judge import WEEK, Label, Told, Verdict
from sentinel.replay.loop import History, Seen, with_clock
from sentinel.replay.patch import as_patch, as_summary
from sentinel.replay.tune import LADDERS, STEPS, WARM_UP, Change, Fit, Outcome, Proposal, Quiet, propose, stricter
from sentinel.tape import Begin, write_file
from tests.replay.builders import NOW, polls, settings

HOURS = 3600.0
DAY = 24 * HOURS
BEGIN = NOW + WARM_UP


def told(cause: str, week: int, hour: float = 10.0, *, label: Label | None = None, lead: float | None = None) -> Told:
    """A page in a week, 0 the first."""
    opened = BEGIN + week * WEEK + hour * HOURS
    found = Told(f"{cause}{week}{hour}", "a", cause, "", opened, Severity.CRITICAL, "says", paged=opened)
    found.label, found.wall = label, None if lead is None else opened + lead
    return found


def verdict(*found: Told, weeks: int = 4, labelled: list[Label] | None = None) -> Verdict:
    seen = Seen(NOW, BEGIN + weeks * WEEK)
    return Verdict(list(found), History({"a": seen}), 0, Severity.CRITICAL, labelled)


def causes(**chosen: object) -> PipelineSettings:
    return PipelineSettings(causes=chosen)


def test_the_lowest_step_that_keeps_the_budget_is_taken() -> None:
    noisy = [told("backlog", week, hour) for week in range(4) for hour in (1, 2, 3)]
    fit = Fit([verdict(*noisy), verdict(*noisy[::3]), verdict(*noisy[:1]), verdict()], causes(backlog=Backlog()), 1.0)
    assert fit.fitted(fit.weeks) == ({"backlog": 3}, set())
    easy = Fit([verdict(*noisy), verdict(), verdict(), verdict()], causes(backlog=Backlog()), 1.0)
    assert easy.fitted(easy.weeks) == ({"backlog": 1}, set())


def test_nothing_is_changed_where_the_budget_is_kept() -> None:
    calm = verdict(told("backlog", 1), told("backlog", 3))
    fit = Fit([calm, verdict(), verdict(), verdict()], causes(backlog=Backlog()), 1.0)
    assert fit.fitted(fit.weeks) == ({"backlog": 0}, set())


LABEL = Label("a", BEGIN + 10 * HOURS, BEGIN + 20 * HOURS)


@pytest.mark.parametrize(
    "kept",
    [None, told("leak", 0, label=LABEL, lead=1000.0), replace(told("leak", 0, label=LABEL, lead=9000.0), paged=None)],
    ids=["it would be lost", "its lead would be a ninth", "it would wake nobody"],
)
def test_a_step_that_costs_a_real_trouble_is_not_taken(kept: Told | None) -> None:
    real = told("leak", 0, label=LABEL, lead=9000.0)
    noise = [told("leak", week, 5.0) for week in range(4)]
    stricter_ones = [verdict(*([kept] if kept else []), labelled=[LABEL])] * 3
    fit = Fit([verdict(real, *noise, labelled=[LABEL]), *stricter_ones], causes(leak=Leak()), 0.5)
    assert fit.fitted(fit.weeks) == ({"leak": 0}, set())


def test_a_cause_that_was_never_right_and_cannot_be_made_quiet_wakes_nobody() -> None:
    noise = [told("backlog", week, hour) for week in range(4) for hour in (1, 2)]
    fit = Fit([verdict(*noise)] * STEPS, causes(backlog=Backlog(), leak=Leak()), 1.0)
    assert fit.fitted(fit.weeks) == ({"backlog": 0, "leak": 0}, {"backlog"})


def test_what_ends_at_a_wall_is_never_made_to_wake_nobody() -> None:
    noise = [told("leak", week, hour) for week in range(4) for hour in (1, 2)]
    fit = Fit([verdict(*noise)] * STEPS, causes(leak=Leak()), 1.0)
    assert fit.fitted(fit.weeks) == ({"leak": 0}, set())


def test_a_week_is_judged_by_what_was_fitted_before_it() -> None:
    """Noise begins in the third week: a fit to the first two knows nothing of it, one to the first three does."""
    noise = [told("backlog", week, hour) for week in (2, 3) for hour in (1, 2, 3)]
    fit = Fit([verdict(*noise), verdict(), verdict(), verdict()], causes(backlog=Backlog()), 0.5)
    before, after = fit.nested()
    assert (before.weeks, before.pages, before.vain) == (3, 6, 6)
    assert (after.weeks, after.pages, after.vain) == (3, 3, 3)


def test_every_ladder_only_goes_up() -> None:
    for name, default in load(overrides=Overrides(urls=("redis://x",))).pipeline.causes.items():
        for setting in LADDERS.get(name, {}):
            if hasattr(default, setting):
                values = [getattr(stricter(default, step), setting) for step in range(STEPS)]
                assert values == sorted(set(values)), (name, setting)


def nightly(minutes: float = 40.0, weeks: int = 4) -> list[Told]:
    """A page each second night, at an hour that differs by half an hour, and over soon."""
    found = [told("backlog", week, 24.0 * day + 2.1 + day / 10) for week in range(weeks) for day in (0, 2, 4, 6)]
    return [replace(each, resolved=each.opened + 60 * minutes) for each in found]


def test_pages_in_vain_at_the_same_time_of_each_day_make_a_quiet_time_and_no_threshold() -> None:
    fit = Fit([verdict(*nightly())] * STEPS, causes(backlog=Backlog()), 1.0)
    (quiet,) = fit.quiet(fit.weeks)
    assert (quiet.target, fit.kept_back(quiet)) == ("a", 16)
    midnight = BEGIN % DAY
    assert (quiet.start - midnight) % DAY <= 2.1 * HOURS
    assert quiet.start % 1800 == quiet.lasts % 1800 == 0.0
    assert quiet.lasts <= 2.5 * HOURS
    assert fit.without([quiet]).fitted(fit.weeks) == ({"backlog": 0}, set())
    before, after = fit.nested()
    assert (before.pages, after.pages) == (12, 0)


@pytest.mark.parametrize(
    "found",
    [
        [replace(each, resolved=None) for each in nightly()],
        nightly(minutes=300.0),
        [*nightly(weeks=1)[:2], *nightly(weeks=2)[4:6]][:2] * 4,
        [*nightly(), replace(told("leak", 1, 2.5, lead=7200.0), cause="leak")],
        [
            *nightly(),
            *(replace(told("backlog", week, hour), resolved=BEGIN) for week in range(4) for hour in range(5, 21)),
        ],
        nightly()[:4],
    ],
    ids=[
        "it stays",
        "it lasts for hours",
        "on two days only",
        "something real opens then",
        "most come at other times",
        "the budget is kept",
    ],
)
def test_no_quiet_time_is_proposed(found: list[Told]) -> None:
    fit = Fit([verdict(*found)] * STEPS, causes(backlog=Backlog(), leak=Leak()), 1.0)
    assert fit.quiet(fit.weeks) == []


def test_a_quiet_time_is_a_maintenance_window_beside_those_that_are_there(tmp_path: Path) -> None:
    there = MaintenanceWindow("backup", "0 4 * * 0", 3600.0, ("b",), timezone="Europe/Berlin")
    windows = [there, Quiet("a", 7200.0, 5400.0).window()]
    patch = as_patch(replace(PROPOSAL, changes=[Change(("maintenance",), None, windows, "r")]))
    file = tmp_path / "c.yaml"
    file.write_text("targets: [{url: redis://a, name: a}, {url: redis://b, name: b}]\n" + patch)
    assert load(file).pipeline.maintenance == tuple(windows)
    assert windows[1] == MaintenanceWindow("quiet a 02:00", "0 2 * * *", 5400.0, ("a",))


PROPOSAL = Proposal(
    changes=[
        Change(("never_page",), ["churn"], ["churn", "backlog"], "r3"),
        Change(("causes", "exhaustion", "for"), 120.0, 240.0, "r1"),
        Change(("causes", "backlog", "slo", "mail:high"), None, 5400.0, "r2"),
        Change(("causes", "exhaustion", "critical_above"), 0.9, 0.95, "r1"),
    ],
    budget=1.0,
    unseen_before=Outcome(3.0, 12, 9, 3, 7200.0),
    unseen_after=Outcome(3.0, 3, 0, 3, 6000.0),
    whole_before=Outcome(4.0, 16, 12, 4, 7200.0),
    whole_after=Outcome(4.0, 4, 0, 4, 6000.0),
    lost=[],
)


def test_a_patch_is_yaml_with_a_reason_a_line_and_goes_over_a_configuration(tmp_path: Path) -> None:
    patch = as_patch(PROPOSAL)
    assert yaml.safe_load(patch) == {
        "causes": {"backlog": {"slo": {"mail:high": "90m"}}, "exhaustion": {"critical_above": 0.95, "for": "4m"}},
        "never_page": ["churn", "backlog"],
    }
    assert re.search(r"^    for: 4m +# was 2m: r1$", patch, re.MULTILINE)
    file = tmp_path / "c.yaml"
    file.write_text("targets: [{url: redis://a}]\n" + patch)
    assert load(file).pipeline.causes["exhaustion"] == Exhaustion(critical_above=0.95, for_=240.0)


def test_a_summary_says_before_and_after_on_weeks_not_seen() -> None:
    text = as_summary(PROPOSAL)
    assert "On 3.0 weeks that no fit had seen:\n  pages a week      4 now, 1 then\n" in text
    assert "The budget is met." in text


def test_how_long_jobs_may_wait_comes_from_how_long_they_do(tmp_path: Path) -> None:
    ages = [
        poll._replace(samples=(Sample(AGE, poll.time, 40.0 if number % 100 else 70.0),))
        for number, poll in enumerate(polls(1500))
    ]
    write_file(tmp_path / "t.jsonl", [Begin(NOW, "cold"), *with_clock(ages)])
    proposal = propose(tmp_path / "t.jsonl", settings(backlog=Backlog()), 1.0)
    (change,) = proposal.changes
    assert (change.path, change.after) == (("causes", "backlog", "slo", "mail"), 180.0)
    assert "at most 70 s" in change.why


AGE = Series("queue_oldest_age_seconds", labels(queue="mail", system="rq"))


def test_the_command_prints_a_patch_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(tmp_path / "t.jsonl", [Begin(NOW, "cold"), *with_clock(polls(300))])
    config = tmp_path / "c.yaml"
    config.write_text("causes: {flood: off}\n")
    assert main(["tune", str(tmp_path / "t.jsonl"), "-c", str(config)]) == 0
    out, err = capsys.readouterr()
    assert out == "# Nothing to change.\n"
    assert "Budget: 1 pages a week." in err
    assert config.read_text() == "causes: {flood: off}\n"


def weeks_with_noise(dice: Random) -> Iterator[Poll]:
    """Eight weeks, a poll each five minutes: on most days a rush to some 920 of 1,000 clients for twenty minutes at any
    hour, and in every other week a leak of 40 an hour, which is mended after 20 hours."""
    rushes = {int(288 * (day + dice.random())) for day in range(56) if dice.random() < 0.8}
    busy = {at + late for at in rushes for late in range(4)}
    for number in range(56 * 288):
        time = NOW + 300.0 * number
        leaked = sum(40.0 * (time - start) / HOURS for start, end in LEAKS if start <= time < end)
        rush = 810.0 - leaked + dice.randint(0, 10) if number in busy else 0.0
        clients = 100.0 + dice.randint(0, 10) + leaked + rush
        values = {("redis_connected_clients", ""): clients, ("redis_max_clients", ""): 1000.0}
        for group, held, unused in (("api", 40.0 + leaked, leaked), ("web", 60.0 + rush, 0.0)):
            values |= {("redis_group_clients", group): held, ("redis_group_sources", group): 4.0}
            values |= {("redis_group_unused_clients", group): unused, ("redis_group_untouched_clients", group): unused}
        pairs = [(Series(name, labels(group=group) if group else ()), value) for (name, group), value in values.items()]
        yield Poll("a", time, tuple(Sample(series, time, float(int(value))) for series, value in pairs))


LEAKS = [(NOW + (14 * number + 9) * DAY, NOW + (14 * number + 9) * DAY + 20 * HOURS) for number in range(4)]


@pytest.mark.slow
def test_eight_weeks_with_noise_keep_the_budget_on_unseen_weeks_and_lose_no_leak(tmp_path: Path) -> None:
    tape = tmp_path / "t.jsonl"
    write_file(tape, chain([Begin(NOW, "cold")], with_clock(weeks_with_noise(Random(7)))))
    truth = [Label("a", start, end, frozenset({"leak"})) for start, end in LEAKS]
    proposal = propose(tape, settings(), 1.0, truth)
    said = as_summary(proposal) + "\n" + as_patch(proposal)
    assert proposal.unseen_before.pages_per_week > 3, said
    assert proposal.unseen_after.pages_per_week <= 1.0, said
    assert proposal.unseen_after.real == proposal.unseen_before.real == 4, said
    assert proposal.lost == [], said
    assert proposal.whole_after.vain < proposal.whole_before.vain, said
