"""What was learnt, across a restart: it goes on where the same server goes on, and nowhere else."""

from __future__ import annotations

import pytest

from detectors.ewma import Ewma
from sentinel.model import Poll, Severity
from sentinel.pipeline import Pipeline, PipelineSettings, Rule, SnapshotError, Step
from tests.pipeline.builders import poll_of

START = 1764000000.0
LEARNT = 100
"""Polls at 1 Hz that the detector is warm after."""


def settings(threshold: float = 8.0) -> PipelineSettings:
    rule = Rule("unusual", "redis_ping_seconds", Ewma, threshold=threshold, for_=0.0, severity=Severity.INFO)
    return PipelineSettings(rules=(rule,))


def learnt() -> Pipeline:
    """A pipeline that has seen a steady round trip for a while, of a server that was started 1,000 s before."""
    pipeline = Pipeline(settings())
    for second in range(LEARNT):
        pipeline.feed(at(second, uptime=1000.0 + second))
    return pipeline


def at(second: float, ping: float = 0.001, uptime: float | None = None) -> Poll:
    wobble = ping * (1.01 if second % 2 else 0.99)
    values = {} if uptime is None else {"redis_uptime_seconds": uptime}
    return poll_of(START + second, redis_ping_seconds=wobble, **values)


def taken_up(snapshot: bytes) -> Pipeline:
    pipeline = Pipeline(settings())
    pipeline.restore(snapshot=snapshot)
    return pipeline


def warm(step: Step) -> bool:
    """Whether the detector knew what is usual: only then does a round trip of a second stand out."""
    return any(finding.firing for finding in step.findings)


def test_what_was_learnt_goes_on_after_a_restart_of_ours() -> None:
    pipeline = taken_up(learnt().snapshot())
    step = pipeline.feed(at(400, ping=1.0, uptime=1400.0))
    assert (warm(step), step.notes) == (True, ())


def test_a_server_that_was_restarted_meanwhile_is_learnt_anew_and_it_is_said() -> None:
    pipeline = taken_up(learnt().snapshot())
    step = pipeline.feed(at(400, ping=1.0, uptime=5.0))
    assert not warm(step)
    assert step.notes == ("main: its server was restarted or replaced since the snapshot",)


def test_an_older_server_in_the_place_of_the_known_one_is_learnt_anew() -> None:
    pipeline = taken_up(learnt().snapshot())
    assert pipeline.feed(at(400, uptime=90000.0)).notes != ()


@pytest.mark.parametrize(("off", "same"), [(-29.0, True), (29.0, True), (-31.0, False), (31.0, False)])
def test_starts_that_differ_by_no_more_than_clocks_do_are_the_same(off: float, same: bool) -> None:
    pipeline = taken_up(learnt().snapshot())
    assert (pipeline.feed(at(400, uptime=1400.0 + off)).notes == ()) is same


def test_the_server_is_judged_when_it_first_answers() -> None:
    pipeline = taken_up(learnt().snapshot())
    assert pipeline.feed(poll_of(START + 400, sampler_up=0.0)).notes == ()
    assert pipeline.feed(at(405, uptime=3.0)).notes != ()
    assert pipeline.feed(at(410, uptime=8.0)).notes == ()


def test_a_server_that_is_restarted_while_it_is_watched_stays_known() -> None:
    pipeline = taken_up(learnt().snapshot())
    pipeline.feed(at(400, uptime=1400.0))
    step = pipeline.feed(at(405, ping=1.0, uptime=2.0))
    assert (warm(step), step.notes) == (True, ())


def test_a_snapshot_from_the_future_does_not_stop_the_watching() -> None:
    pipeline = taken_up(learnt().snapshot())
    step = pipeline.feed(at(-3600, uptime=1000.0 - 3600))
    assert step.notes == ("main: the snapshot is of a time yet to come; the clock was set back",)
    assert [sample.time for _, sample in pipeline.latest()] == [START - 3600] * 2


def test_only_the_target_whose_server_changed_starts_cold() -> None:
    pipeline = learnt()
    for second in range(LEARNT):
        pipeline.feed(at(second, uptime=1000.0 + second)._replace(target="other"))
    pipeline = taken_up(pipeline.snapshot())
    assert not warm(pipeline.feed(at(400, ping=1.0, uptime=5.0)))
    assert warm(pipeline.feed(at(400, ping=1.0, uptime=1400.0)._replace(target="other")))


def test_a_snapshot_of_other_rules_is_refused() -> None:
    with pytest.raises(SnapshotError, match="other settings"):
        Pipeline(settings(threshold=3.0)).restore(snapshot=learnt().snapshot())


def test_what_is_no_snapshot_is_refused() -> None:
    with pytest.raises(SnapshotError, match="cannot be read"):
        Pipeline(settings()).restore(snapshot=b"nonsense")
