"""The outbox as tables: order in a lane, what supersedes what, and what gives way at the bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.model import Finding, Incident, IncidentState, Notification, Reason, Severity
from sentinel.outbox import Outbox, Row, RowState

O, E, U, P, R = Reason.OPENED, Reason.ESCALATED, Reason.UPDATED, Reason.REPEATED, Reason.RESOLVED  # noqa: E741


def row(
    event: str,
    reason: Reason = O,
    *,
    lane: str = "a",
    to: str = "ops/webhook",
    severity: Severity = Severity.WARNING,
    at: float = 100.0,
    size: int = 10,
) -> Row:
    finding = Finding(lane, "leak", "cause", severity, at, True, "summary")
    incident = Incident("01" + lane, lane, lane, "leak", "", severity, IncidentState.OPEN, at, at, finding)
    return Row(Notification("ops", to, reason, incident, at, event), at, at, size=size)


def filled(*rows: Row, **bounds: int) -> Outbox:
    outbox = Outbox(**bounds)
    for one in rows:
        outbox.add(one, 100.0)
    return outbox


def events(rows: object) -> list[str]:
    return [one.event_id for one in rows]  # type: ignore[attr-defined]


def test_only_the_first_of_each_lane_may_go() -> None:
    outbox = filled(row("1"), row("2", R), row("3", lane="b"))
    assert events(outbox.heads("ops/webhook", 100.0)) == ["1", "3"]


def test_a_lane_waits_while_its_first_is_being_sent() -> None:
    first = row("1")
    outbox = filled(first, row("2", R))
    first.state = RowState.SENDING
    assert outbox.heads("ops/webhook", 100.0) == []
    assert outbox.next_due("ops/webhook", 100.0) is None


def test_a_settled_row_lets_the_next_go() -> None:
    first = row("1")
    outbox = filled(first, row("2", R))
    outbox.settle(first, RowState.DELIVERED, 101.0)
    assert events(outbox.heads("ops/webhook", 101.0)) == ["2"]
    assert outbox.settled == {("ops/webhook", RowState.DELIVERED): 1}
    assert (first.settled, first.live) == (101.0, False)


def test_lanes_of_two_destinations_do_not_wait_for_each_other() -> None:
    outbox = filled(row("1"), row("2", to="ops/slack"))
    assert events(outbox.heads("ops/slack", 100.0)) == ["2"]


def test_a_row_that_backs_off_holds_its_lane_and_says_for_how_long() -> None:
    first = row("1")
    first.not_before = 130.0
    outbox = filled(first, row("2", R))
    assert outbox.heads("ops/webhook", 100.0) == []
    assert outbox.next_due("ops/webhook", 100.0) == 30.0
    assert events(outbox.heads("ops/webhook", 130.0)) == ["1"]


def test_a_time_more_than_a_day_ahead_is_a_wrong_clock_and_counts_as_now() -> None:
    first = row("1")
    first.not_before = 100.0 + 86401
    assert events(filled(first).heads("ops/webhook", 100.0)) == ["1"]


def test_the_longest_due_head_goes_first() -> None:
    early, late = row("1", at=90.0), row("2", lane="b", at=80.0)
    early.not_before, late.not_before = 85.0, 95.0
    assert events(filled(early, late).heads("ops/webhook", 100.0)) == ["1", "2"]


@pytest.mark.parametrize(
    ("waiting", "new", "left"),
    [
        ([O, U], U, [O, U]),
        ([O, U], E, [O, E]),
        ([O, U], R, [O, R]),
        ([O, P], U, [O, U]),
        ([O, E], U, [O, E, U]),
        ([O], R, [O, R]),
        ([R], O, [R, O]),
    ],
)
def test_a_newer_notification_supersedes_pending_updates_and_nothing_else(
    waiting: list[Reason], new: Reason, left: list[Reason]
) -> None:
    outbox = filled(*(row(str(number), reason) for number, reason in enumerate(waiting)))
    ended = outbox.add(row("new", new), 100.0)
    assert [one.reason for one in outbox.rows()] == left
    assert all(one.state is RowState.SUPERSEDED for one in ended)


@pytest.mark.parametrize("tried", ["attempts", "ambiguous", "sending"])
def test_an_update_that_may_have_arrived_is_not_superseded(tried: str) -> None:
    update = row("1", U)
    outbox = filled(update)
    if tried == "sending":
        update.state = RowState.SENDING
    else:
        setattr(update, tried, 1)
    assert outbox.add(row("2", U), 100.0) == []
    assert events(outbox.rows()) == ["1", "2"]


def test_a_full_outbox_sheds_reminders_then_updates_then_opens_below_critical() -> None:
    outbox = filled(
        row("open", lane="a"), row("update", U, lane="b"), row("reminder", P, lane="c"), row("resolve", R, lane="d"),
        max_rows=4,
    )  # fmt: skip
    shed = [outbox.add(row(f"c{n}", lane=f"c{n}", severity=Severity.CRITICAL), 100.0)[0] for n in range(3)]
    assert events(shed) == ["reminder", "update", "open"]
    assert all(one.state is RowState.DEAD and one.error.startswith("shed") for one in shed)


def test_a_full_outbox_of_resolves_and_critical_opens_refuses_the_new_one() -> None:
    outbox = filled(row("1", R), row("2", lane="b", severity=Severity.CRITICAL), max_rows=2)
    (refused,) = outbox.add(row("3", R, lane="c"), 100.0)
    assert (refused.event_id, refused.error) == ("3", "refused: the outbox is full of rows that must stay")
    assert events(outbox.rows()) == ["1", "2"]


def test_bytes_are_bounded_too() -> None:
    outbox = filled(row("1", U, size=60), max_bytes=100)
    outbox.add(row("2", lane="b", size=60), 100.0)
    assert (events(outbox.rows()), outbox.bytes) == (["2"], 60)


def test_rows_of_an_earlier_run_come_before_newer_ones() -> None:
    outbox = filled(row("3", R))
    outbox.restore([row("1"), row("2", E)])
    assert events(outbox.rows()) == ["1", "2", "3"]


def test_counts_and_age_are_told_by_destination() -> None:
    outbox = filled(row("1", at=40.0), row("2", to="ops/slack"))
    assert outbox.counts() == {("ops/webhook", RowState.PENDING): 1, ("ops/slack", RowState.PENDING): 1}
    assert (outbox.oldest("ops/webhook", 100.0), outbox.oldest("none", 100.0)) == (60.0, 0.0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(list(Reason)), st.booleans()), max_size=40))
def test_no_open_or_resolve_is_lost_and_order_holds_whatever_comes(moves: list[tuple[str, Reason, bool]]) -> None:
    outbox, sent, given_ = Outbox(), [], []
    for number, (lane, reason, send) in enumerate(moves):
        new = row(str(number), reason, lane=lane)
        given_.append(new)
        outbox.add(new, 100.0)
        if send and (heads := outbox.heads("ops/webhook", 100.0)):
            sent.append(heads[0])
            outbox.settle(heads[0], RowState.DELIVERED, 100.0)
    while heads := outbox.heads("ops/webhook", 100.0):
        sent.append(heads[0])
        outbox.settle(heads[0], RowState.DELIVERED, 100.0)
    must = [one for one in given_ if one.reason not in (U, P)]
    assert [one for one in given_ if one in sent and one.reason not in (U, P)] == must
    for lane in "abc":
        numbers = [int(one.event_id) for one in sent if one.lane == lane]
        assert numbers == sorted(numbers)
    assert (len(outbox), outbox.bytes) == (0, 0)
