"""Delivery in virtual time: waiting, order, giving up. The journal is memory, the notifier plays what it is told."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any, ClassVar

import aiohttp
import pytest

from sentinel.delivery import BreakerState, Delivery, DeliverySettings
from sentinel.metrics import Metrics
from sentinel.model import Notification, Reason, Severity
from sentinel.notifiers.base import Attempt, DeliveryError, Kept, Message, Outcome
from sentinel.outbox import Outbox, Row, RowState
from tests.notifiers.stories import NOON, leak, notification, resolved

pytestmark = pytest.mark.looptime

O, E, U, P, R = Reason.OPENED, Reason.ESCALATED, Reason.UPDATED, Reason.REPEATED, Reason.RESOLVED  # noqa: E741


def now() -> float:
    return NOON + asyncio.get_running_loop().time()


class Journal:
    """Keeps rows in memory, and every state that was recorded."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.refs: dict[tuple[str, str], str] = {}
        self.recorded: list[tuple[str, RowState]] = []

    async def record(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self.recorded.append((row.event_id, row.state))
            if row.ref is not None:
                self.refs[row.destination, row.notification.incident.id] = row.ref

    async def tidy(self, now: float) -> None:
        pass


class Player:
    """A notifier that does what its script says, call by call; then succeeds."""

    kind: ClassVar[str] = "player"
    reasons: ClassVar[frozenset[Reason]] = frozenset(Reason)
    rate: ClassVar[float] = 1000.0
    min_severity = Severity.INFO

    def __init__(self, *script: Any, pages: bool = False, takes: float = 0.0) -> None:
        self.pages = pages  # type: ignore[misc]
        self.script = deque(script)
        self.takes = takes
        self.calls: list[tuple[float, str, bool]] = []
        """When, which event, and whether it was the plain text."""
        self.under_way = 0
        self.most_under_way = 0
        self.refs: list[str | None] = []
        self.unsure: list[float | None] = []

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        if notification.incident.cause == "poison" and not minimal:
            raise KeyError("poison")
        return Message(b"minimal" if minimal else b"full")

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        self.calls.append((round(attempt.now - NOON, 3), attempt.event_id, message.body == b"minimal"))
        self.refs.append(attempt.ref)
        self.unsure.append(attempt.unsure_since)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.under_way -= 1
        step = self.script.popleft() if self.script else None
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, str) else None

    @property
    def told(self) -> list[str]:
        return [event for _, event, _ in self.calls]

    @property
    def times(self) -> list[float]:
        return [at for at, _, _ in self.calls]


class Longest(Random):
    """Always the longest wait that full jitter allows, so that times can be worked out by hand."""

    def uniform(self, a: float, b: float) -> float:
        return b


def failure(outcome: Outcome = Outcome.RETRY, after: float | None = None) -> DeliveryError:
    return DeliveryError(outcome, f"{outcome} as told", after=after)


def event(name: str, reason: Reason = O, lane: str = "a", to: str = "ops/x", **changes: Any) -> Notification:
    of = (resolved if reason is R else leak)(dedup_key=lane, id=f"01{lane}", target=lane, **changes)
    return notification(reason, of, to=to, event_id=name)


class House:
    """A journal, its notifiers, and the delivery between them."""

    def __init__(self, settings: DeliverySettings, **players: Player) -> None:
        self.journal = Journal()
        self.metrics = Metrics("0")
        notifiers = {f"ops/{name}": player for name, player in players.items()}
        self.open_incidents: set[str] = set()
        self.finish: Callable[[Notification], Notification] = lambda told: told
        self.delivery = Delivery(
            self.journal, notifiers, settings, now=now, metrics=self.metrics, random=Longest(),
            open_incidents=lambda: self.open_incidents, finish=lambda told: self.finish(told),
        )  # fmt: skip

    def put(self, *notifications: Notification) -> None:
        for one in notifications:
            self.journal.outbox.add(Row(one, now(), now()), now())
        self.delivery.wake()

    @property
    def waiting(self) -> list[str]:
        return [row.event_id for row in self.journal.outbox.rows()]

    def ended(self, state: RowState, name: str = "ops/x") -> int:
        return self.journal.outbox.settled[name, state]

    def counted(self, outcome: str) -> float:
        return sum(
            sample.value
            for family in self.metrics.notifications.collect()
            for sample in family.samples
            if sample.name.endswith("_total") and sample.labels["outcome"] == outcome
        )


@asynccontextmanager
async def house(*, settings: DeliverySettings | None = None, **players: Player) -> AsyncIterator[House]:
    made = House(settings or DeliverySettings(), **players)
    running = asyncio.create_task(made.delivery.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_row_is_marked_as_being_sent_before_the_call_and_as_delivered_after() -> None:
    x = Player()
    async with house(x=x) as it:
        it.put(event("1"))
        await asyncio.sleep(1)
    assert it.journal.recorded == [("1", RowState.SENDING), ("1", RowState.DELIVERED)]
    assert (x.told, it.counted("delivered")) == (["1"], 1)


async def test_waits_after_failures_double_up_to_the_cap_and_all_tries_carry_the_same_id() -> None:
    x = Player(*[failure()] * 6)
    settings = DeliverySettings(backoff_cap=10.0, breaker_failures=99)
    async with house(x=x, settings=settings) as it:
        it.put(event("1"))
        await asyncio.sleep(100)
    assert x.times == [0, 2, 6, 14, 24, 34, 44]
    assert set(x.told) == {"1"}
    assert it.waiting == []


async def test_full_jitter_spreads_the_waits_over_the_whole_range() -> None:
    waits = []
    for seed in range(30):
        x = Player(failure())
        made = House(DeliverySettings(backoff_base=50.0), x=x)
        made.delivery._couriers["ops/x"]._random = Random(seed)
        running = asyncio.create_task(made.delivery.run())
        made.put(event("1"))
        await asyncio.sleep(200)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        waits.append(x.times[1] - x.times[0])
    assert min(waits) < 20
    assert max(waits) > 80
    assert all(0 <= wait <= 100.1 for wait in waits)


async def test_a_wait_that_the_destination_names_is_kept_if_longer() -> None:
    x = Player(failure(after=60.0))
    async with house(x=x) as it:
        it.put(event("1"))
        await asyncio.sleep(100)
    assert x.times == [0, 60]


async def test_too_fast_pauses_the_whole_destination_and_counts_as_no_attempt() -> None:
    x = Player(failure(Outcome.THROTTLED, after=40.0))
    async with house(x=x) as it:
        it.put(event("1"))
        await asyncio.sleep(5)
        (row,) = it.journal.outbox.rows()
        assert (row.attempts, row.not_before) == (0, NOON + 40)
        it.put(event("2", lane="b"))
        await asyncio.sleep(100)
    assert [(round(at), name) for at, name, _ in x.calls] == [(0, "1"), (40, "2"), (40, "1")]
    assert it.delivery.standings()["ops/x"].breaker is BreakerState.CLOSED


async def test_order_holds_in_a_lane_while_other_lanes_go_on() -> None:
    x = Player(failure())
    async with house(x=x) as it:
        it.put(event("1"), event("2", E), event("3", R), event("other", lane="b"))
        await asyncio.sleep(60)
    assert x.told[:2] == ["1", "other"]
    assert x.told[2:] == ["1", "2", "3"]


async def test_one_destination_never_waits_for_another() -> None:
    x, y = Player(takes=1000.0), Player()
    async with house(x=x, y=y) as it:
        it.put(event("1"), event("2", to="ops/y"))
        await asyncio.sleep(1)
        assert y.told == ["2"]
        assert it.waiting == ["1"]


async def test_as_many_go_at_once_as_are_allowed() -> None:
    x = Player(takes=5.0)
    async with house(x=x) as it:
        it.put(*(event(str(n), lane=str(n)) for n in range(10)))
        await asyncio.sleep(60)
    assert (x.most_under_way, len(x.calls)) == (4, 10)


async def test_no_more_are_sent_a_second_than_the_destination_takes() -> None:
    x = Player()
    x.rate = 2.0  # type: ignore[misc]
    async with house(x=x) as it:
        it.put(*(event(str(n), lane=str(n)) for n in range(6)))
        await asyncio.sleep(60)
    assert x.times == [0, 0.5, 1.0, 1.5, 2.0, 2.5]


async def test_a_refused_text_is_tried_once_in_plain_words_and_then_dead() -> None:
    x = Player(failure(Outcome.REJECTED_PAYLOAD), failure(Outcome.REJECTED_PAYLOAD))
    async with house(x=x) as it:
        it.put(event("1"), event("2", R))
        await asyncio.sleep(1)
    assert [(name, plain) for _, name, plain in x.calls] == [("1", False), ("1", True), ("2", False)]
    assert (it.ended(RowState.DEAD), it.counted("dead")) == (1, 1)
    assert it.delivery.standings()["ops/x"].breaker is BreakerState.CLOSED


async def test_a_text_that_cannot_be_made_is_told_in_plain_words() -> None:
    x = Player()
    async with house(x=x) as it:
        it.put(event("1", cause="poison"))
        await asyncio.sleep(1)
    assert x.calls == [(0, "1", True)]


async def test_a_bug_in_a_notifier_stops_neither_the_others_nor_its_own_retries() -> None:
    x, y = Player(KeyError("secret-in-the-text")), Player()
    async with house(x=x, y=y) as it:
        it.put(event("1"), event("2", to="ops/y"))
        await asyncio.sleep(0.5)
        (row,) = it.journal.outbox.rows("ops/x")
        assert row.error == "KeyError in the player notifier: this is a bug, please report it"
        await asyncio.sleep(10)
    assert (x.told, y.told) == (["1", "1"], ["2"])


async def test_five_failures_in_a_row_open_the_breaker_and_single_tries_follow_with_doubling_pauses() -> None:
    x = Player(*[failure()] * 7)
    async with house(x=x, settings=DeliverySettings(backoff_base=0.001, backoff_cap=0.001)) as it:
        it.put(event("1"))
        await asyncio.sleep(10)
        standing = it.delivery.standings()["ops/x"]
        assert (standing.breaker, standing.reason) == (BreakerState.OPEN, "retry as told")
        assert standing.paused_for == pytest.approx(20, abs=0.1)
        await asyncio.sleep(1000)
        assert it.delivery.standings()["ops/x"].breaker is BreakerState.CLOSED
    assert [round(at) for at in x.times] == [0, 0, 0, 0, 0, 30, 90, 210]


async def test_only_one_message_tries_a_destination_whose_breaker_is_open() -> None:
    x = Player(*[failure(Outcome.REJECTED_CONFIG)] * 2, takes=1.0)
    async with house(x=x) as it:
        it.put(event("1"))
        await asyncio.sleep(5)
        it.put(*(event(str(n), lane=str(n)) for n in range(2, 9)))
        await asyncio.sleep(40)
        assert [round(at) for at in x.times] == [0, 31]
        await asyncio.sleep(60)
    assert it.waiting == []


async def test_a_wrong_credential_opens_the_breaker_at_once_and_keeps_the_rows() -> None:
    x = Player(failure(Outcome.REJECTED_CONFIG))
    async with house(x=x) as it:
        it.put(event("1"))
        await asyncio.sleep(1)
        assert it.delivery.standings()["ops/x"].breaker is BreakerState.OPEN
        assert it.waiting == ["1"]
        await asyncio.sleep(60)
    assert x.times == [0, 30]


async def test_a_destination_that_is_gone_is_left_alone_and_keeps_its_rows() -> None:
    x = Player(failure(Outcome.GONE))
    async with house(x=x) as it:
        it.put(event("1"))
        await asyncio.sleep(86400)
        assert (it.waiting, x.times) == (["1"], [0])
        assert it.delivery.standings()["ops/x"].breaker is BreakerState.GONE


async def test_an_incident_that_came_and_went_unheard_wakes_nobody() -> None:
    x = Player(pages=True)
    made = House(DeliverySettings(), x=x)
    made.put(event("1"), event("2", E), event("3", R), event("4", lane="b"))
    running = asyncio.create_task(made.delivery.run())
    await asyncio.sleep(1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (x.told, made.ended(RowState.SUPERSEDED)) == (["4"], 3)


async def test_a_resolve_goes_out_if_the_open_may_have_arrived() -> None:
    x = Player(failure(Outcome.AMBIGUOUS), pages=True)
    async with house(x=x) as it:
        it.put(event("1"))
        await asyncio.sleep(0.5)
        it.put(event("2", R))
        await asyncio.sleep(10)
    assert x.told == ["1", "1", "2"]


async def test_a_chat_hears_of_an_incident_that_came_and_went() -> None:
    x = Player()
    made = House(DeliverySettings(), x=x)
    made.put(event("1"), event("2", R))
    running = asyncio.create_task(made.delivery.run())
    await asyncio.sleep(1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert x.told == ["1", "2"]


@pytest.mark.parametrize(
    ("reasons", "pages", "down_for", "told"),
    [
        ([P], False, 500, [P]),
        ([P], False, 700, []),
        ([U], False, 3000, [U]),
        ([U], False, 4000, []),
        ([O], True, 86400, [O]),
        ([O, R], False, 20000, [O, R]),
        ([O, R], False, 25000, [R]),
        ([R], True, 500000, [R]),
        ([R], True, 700000, []),
    ],
)
async def test_what_is_too_old_is_not_told_but_an_open_that_lasts_is(
    reasons: list[Reason], pages: bool, down_for: float, told: list[Reason]
) -> None:
    x = Player(pages=pages)
    made = House(DeliverySettings(), x=x)
    made.put(*(event(reason.value, reason) for reason in reasons))
    await asyncio.sleep(down_for)
    running = asyncio.create_task(made.delivery.run())
    await asyncio.sleep(1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert x.told == [reason.value for reason in told]
    assert made.ended(RowState.EXPIRED) == len(reasons) - len(told)


async def test_rows_of_a_destination_that_is_no_longer_configured_wait_and_then_expire() -> None:
    async with house(x=Player()) as it:
        it.put(event("1", to="ops/gone"))
        await asyncio.sleep(86400)
        assert it.waiting == ["1"]
        await asyncio.sleep(604800)
        assert (it.waiting, it.ended(RowState.EXPIRED, "ops/gone")) == ([], 1)


async def test_draining_sends_what_is_due_and_leaves_what_backs_off() -> None:
    x = Player(failure(after=100.0), takes=1.0)
    async with house(x=x) as it:
        it.put(event("1"))
        await asyncio.sleep(5)
        it.put(event("2", lane="b"), event("3", R, lane="b"))
        await it.delivery.drain(10.0)
        assert (asyncio.get_running_loop().time(), it.waiting) == (7.0, ["1"])


async def test_draining_ends_in_time_although_the_destination_hangs() -> None:
    async with house(x=Player(takes=1000.0)) as it:
        it.put(event("1"))
        await it.delivery.drain(10.0)
        assert asyncio.get_running_loop().time() == 10.0
    (row,) = it.journal.outbox.rows()
    assert (row.state, row.ambiguous) == (RowState.PENDING, True)


async def test_draining_breaks_nothing_off_that_is_under_way() -> None:
    x = Player(takes=3.0)
    async with house(x=x) as it:
        it.put(event("1"))
        await asyncio.sleep(1)
        await it.delivery.drain(10.0)
    assert (x.told, it.waiting) == (["1"], [])


async def test_the_reference_that_a_destination_gave_comes_back_with_the_next_of_the_incident() -> None:
    x = Player("C1/17.2")
    async with house(x=x) as it:
        it.put(event("1"), event("2", R), event("3", lane="b"))
        await asyncio.sleep(1)
    assert dict(zip(x.told, x.refs, strict=True)) == {"1": None, "2": "C1/17.2", "3": None}


async def test_a_try_after_one_whose_answer_was_lost_knows_since_when_to_look() -> None:
    x = Player(failure(Outcome.RETRY), failure(Outcome.AMBIGUOUS), None)
    async with house(x=x) as it:
        it.put(event("1"))
        await asyncio.sleep(60)
    assert x.told == ["1", "1", "1"]
    assert x.unsure == [None, None, NOON]


async def test_levels_show_what_waits_how_long_and_which_breaker_is_open() -> None:
    async with house(x=Player(failure(Outcome.REJECTED_CONFIG))) as it:
        it.put(event("1"), event("2", to="ops/gone"))
        await asyncio.sleep(20)
        it.delivery.measure(now())
        text = (await it.metrics.exposition()).decode()
    assert 'sentinel_outbox_rows{destination="ops/x",state="pending"} 1.0' in text
    assert 'sentinel_outbox_oldest_seconds{destination="ops/gone"} 20.0' in text
    assert 'sentinel_breaker_state{destination="ops/x"} 2.0' in text


class Repeater(Player):
    """A player whose destination is told again and again; what it was told, and when."""

    resend_interval = 60.0

    def __init__(self, *failures: Exception) -> None:
        super().__init__("ref-1", "ref-2")
        self.failures = deque(failures)
        self.resent: list[tuple[float, list[Kept]]] = []

    async def resend(self, session: aiohttp.ClientSession, kept: Sequence[Kept], now: float) -> None:
        self.resent.append((now - NOON, list(kept)))
        if self.failures:
            raise self.failures.popleft()


async def test_what_a_destination_was_told_is_told_again_with_whether_it_is_still_open() -> None:
    x = Repeater(failure(), ValueError("a bug"))
    async with house(x=x) as it:
        it.open_incidents.add("01a")
        it.put(event("1", lane="a"), event("2", lane="b"))
        await asyncio.sleep(125)
    assert [at for at, _ in x.resent] == [0.0, 60.0, 120.0]
    assert x.resent[2][1] == [Kept("ref-1", open=True), Kept("ref-2", open=False)]
    assert x.told == ["1", "2"]


async def test_what_is_put_in_as_it_is_sent_is_kept_nowhere() -> None:
    seen: list[str] = []

    class Open(Player):
        def message(self, notification: Notification, *, minimal: bool = False) -> Message:
            seen.append(notification.receiver)
            return Message(b"full")

    async with house(x=Open()) as it:
        it.finish = lambda told: replace(told, receiver="finished")
        it.put(event("1"))
        (row,) = it.journal.outbox.rows()
        await asyncio.sleep(1)
    assert (seen, row.notification.receiver) == (["finished"], "ops")


async def test_a_template_that_failed_and_what_was_cut_are_counted() -> None:
    class Wordy(Player):
        def message(self, notification: Notification, *, minimal: bool = False) -> Message:
            return Message(b"full", truncated=("evidence",), failed_templates=("body",))

    async with house(x=Wordy()) as it:
        it.put(event("1"))
        await asyncio.sleep(1)
        text = (await it.metrics.exposition()).decode()
    assert 'sentinel_template_errors_total{destination="ops/x",template="body"} 1.0' in text
    assert 'sentinel_truncations_total{destination="ops/x",field="evidence"} 1.0' in text
    assert "sentinel_outbox_bytes 0.0" in text
