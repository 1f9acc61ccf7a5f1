"""Sentinel's own troubles: what does not get through, and what can not be kept."""

from __future__ import annotations

from sentinel.delivery import BreakerState, Standing
from sentinel.model import Finding, Severity
from sentinel.outbox import Outbox, Row, RowState
from sentinel.pipeline.diagnosis.undelivered import Undelivered
from sentinel.pipeline.diagnosis.unsaved import Unsaved
from sentinel.self_watch import self_poll
from tests.notifiers.stories import notification
from tests.pipeline.diagnosis.queue_world import START, Judged

WELL = Standing(BreakerState.CLOSED, "", None, 0.0, 0)
NAME = "ops/webhook"


class Own:
    """Sentinel as it sees itself, judged by one cause every 15 seconds."""

    def __init__(self, cause: object) -> None:
        self.judged, self.outbox, self.failing = Judged(cause), Outbox(), ""
        self.down_since: float | None = None

    def look(self, times: int = 1) -> Finding | None:
        found = None
        for _ in range(times):
            now = self.judged.now + 15.0
            standing = WELL
            if self.down_since is not None:
                standing = Standing(BreakerState.OPEN, "hooks.example.com answered 401", self.down_since, 30.0, 0)
            poll = self_poll(now, {NAME: standing}, self.outbox, self.failing)
            found = self.judged.poll(*poll.samples, after=15.0)
        return found

    def put(self) -> Row:
        row = Row(notification(), START, START)
        self.outbox.add(row, START)
        return row


def test_a_destination_that_is_down_for_two_minutes_is_a_warning_if_something_waits_for_it() -> None:
    own = Own(Undelivered())
    assert own.look() is None
    own.down_since = own.judged.now
    own.put()
    assert own.look(7) is None
    found = own.look()
    assert found is not None
    assert (found.subject, found.severity) == (NAME, Severity.WARNING)
    assert found.summary == (
        "ops/webhook has not been reached for 2 min; 1 notification waits. It said: hooks.example.com answered 401."
    )


def test_one_for_which_nothing_waits_is_information() -> None:
    own = Own(Undelivered())
    own.down_since = own.judged.now
    found = own.look(8)
    assert found is not None
    assert found.severity is Severity.INFO


def test_what_was_given_up_is_told_for_an_hour_although_the_destination_is_back() -> None:
    own = Own(Undelivered())
    row = own.put()
    own.look(2)
    own.outbox.settle(row, RowState.DEAD, START, "refused")
    found = own.look()
    assert found is not None
    assert found.summary == "ops/webhook is reached again; some were given up."
    assert own.look(239) is not None
    assert own.look(3) is None


def test_a_destination_that_is_back_ends_it() -> None:
    own = Own(Undelivered())
    own.down_since = own.judged.now
    assert own.look(10) is not None
    own.down_since = None
    assert own.look() is None


def test_a_disk_that_refuses_for_a_minute_is_a_warning_with_its_reason() -> None:
    own = Own(Unsaved())
    assert own.look(4) is None
    own.failing = "no space left on the device"
    assert own.look(4) is None
    found = own.look()
    assert found is not None
    assert found.severity is Severity.WARNING
    assert "Nothing could be saved for 60 s: no space left on the device." in found.summary
    own.failing = ""
    assert own.look() is None
