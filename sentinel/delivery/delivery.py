"""Delivery: keeps trying until each destination has been told, in order, and no more often than it can bear.

One courier a destination, so that none waits for another. Knows outcomes, waiting and giving up; must not know what
is in a message or how rows are kept. Delivered at least once: a row is marked as being sent, on the disk, before the
call, and every try of it carries the same event id.

Source: reference/delivery.md 9.3. Different here, on purpose: an open does not expire while its incident lasts (a
late page beats none); expiry is judged when a row's turn comes, so that changed settings hold for old rows too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from random import Random
from typing import Protocol

import aiohttp

from sentinel.delivery.breaker import Breaker, BreakerState, Standing
from sentinel.delivery.reporting import Report
from sentinel.delivery.settings import DeliverySettings
from sentinel.logs import log
from sentinel.metrics import Metrics
from sentinel.model import Notification, Reason, Seconds
from sentinel.notifiers.base import Attempt, DeliveryError, Kept, Message, Notifier, Outcome, Resends
from sentinel.notifiers.http import open_session
from sentinel.outbox import Outbox, Row, RowState

__all__ = ["Delivery", "Journal"]

_logger = logging.getLogger("sentinel.delivery")
_TICK = 60.0


class Journal(Protocol):
    """What keeps the rows: the store, or a double of it."""

    @property
    def outbox(self) -> Outbox: ...

    @property
    def refs(self) -> Mapping[tuple[str, str], str]: ...

    async def record(self, rows: Iterable[Row]) -> None:
        """Keep how rows stand; never raises."""

    async def tidy(self, now: float) -> None:
        """Forget what is old; never raises."""


class Delivery:
    """Sends from the outbox to all destinations. Call `run` once, as a task; `wake` after each commit.

    Args:
        journal: Keeps the rows.
        notifiers: By destination name, as in `Notification.destination`.
        settings: How hard and how long to try.
        now: Gives Unix seconds.
        metrics: Counts what becomes of each attempt.
        open_incidents: Gives the ids of incidents that are open, for destinations that must be told again and again.
        finish: Puts into a notification, as it is sent, what must not be kept with it.
        random: Spreads the waits.
    """

    def __init__(
        self,
        journal: Journal,
        notifiers: Mapping[str, Notifier],
        settings: DeliverySettings,
        *,
        now: Callable[[], float],
        metrics: Metrics,
        open_incidents: Callable[[], Collection[str]] = tuple,
        finish: Callable[[Notification], Notification] = lambda notification: notification,
        random: Random | None = None,
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._now = now
        self._report = report = Report(metrics, now)
        self._couriers = {
            name: _Courier(name, notifier, journal, settings, now, random or Random(), report, open_incidents, finish)
            for name, notifier in notifiers.items()
        }

    async def run(self) -> None:
        """Send until cancelled. What was under way then is pending again, and may arrive twice with the same id."""
        async with asyncio.TaskGroup() as group:
            for courier in self._couriers.values():
                group.create_task(courier.run())
            while True:
                await self._journal.tidy(self._now())
                await self._expire_parked()
                await asyncio.sleep(_TICK)

    def wake(self) -> None:
        """There may be new rows."""
        for courier in self._couriers.values():
            courier.wake()

    async def drain(self, within: Seconds) -> None:
        """Wait, while `run` runs, until all that may be sent now was tried, for at most `within`.

        To be called before `run` is cancelled, so that nothing is broken off that would end by itself, and so come
        twice. Rows that back off stay for the next start.
        """
        self.wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                for courier in self._couriers.values():
                    await courier.idle.wait()

    def standings(self) -> dict[str, Standing]:
        """How each destination stands."""
        return {name: courier.standing() for name, courier in self._couriers.items()}

    def measure(self, now: float) -> None:
        """Set the levels of the metrics: rows that wait, the oldest of them, breakers."""
        names = {*self._couriers, *self._journal.outbox.destinations()}
        self._report.measure(self._journal.outbox, self.standings(), names, now)

    async def _expire_parked(self) -> None:
        """Rows of destinations that are no longer configured wait for their return, and then expire."""
        outbox, now = self._journal.outbox, self._now()
        parked = [row for name in outbox.destinations() if name not in self._couriers for row in outbox.rows(name)]
        old = [row for row in parked if now - row.created > self._settings.expire_all]
        for row in old:
            outbox.settle(row, RowState.EXPIRED, now, "expired: its destination is no longer configured")
            self._report.ended(row)
        if old:
            await self._journal.record(old)


class _Courier:
    """Sends to one destination."""

    def __init__(
        self,
        name: str,
        notifier: Notifier,
        journal: Journal,
        settings: DeliverySettings,
        now: Callable[[], float],
        random: Random,
        report: Report,
        open_incidents: Callable[[], Collection[str]],
        finish: Callable[[Notification], Notification],
    ) -> None:
        self.name = name
        self.idle = asyncio.Event()
        """Nothing is under way, and nothing may be sent now."""
        self._notifier = notifier
        self._journal = journal
        self._settings = settings
        self._now = now
        self._random = random
        self._report = report
        self._open_incidents = open_incidents
        self._finish = finish
        self._work = asyncio.Event()
        self._under_way: set[str] = set()
        self._breaker = Breaker(settings)
        self._paused_until = 0.0
        self._throttles = 0
        self._free_at = 0.0

    def wake(self) -> None:
        self.idle.clear()
        self._work.set()

    def standing(self) -> Standing:
        now = self._now()
        until = max(self._paused_until, self._breaker.until)
        state = self._breaker.state(now)
        return Standing(state, self._breaker.reason, self._breaker.since, max(0.0, until - now), len(self._under_way))

    async def run(self) -> None:
        async with self._open_session() as session, asyncio.TaskGroup() as group:
            if isinstance(self._notifier, Resends):
                group.create_task(self._keep_resending(session, self._notifier))
            while True:
                self._work.clear()
                await self._drop_needless()
                for row in self._startable():
                    row.state = RowState.SENDING
                    self._under_way.add(row.event_id)
                    group.create_task(self._deliver(session, row))
                if not self._under_way:
                    self.idle.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._patience()):
                        await self._work.wait()

    def _open_session(self) -> aiohttp.ClientSession:
        if getattr(self._notifier, "insecure_skip_verify", False):
            log(_logger, logging.WARNING, "Certificates are not checked", destination=self.name)
        try:
            return open_session(self._notifier)
        except OSError as error:
            self._breaker.gone(
                self._now(), f"the certificates configured for {self.name} cannot be loaded: {error.strerror}"
            )
            return open_session(None)

    async def _keep_resending(self, session: aiohttp.ClientSession, notifier: Resends) -> None:
        """Never queued, and no concern of the breaker: the next time says it better."""
        while True:
            alive, refs = self._open_incidents(), self._journal.refs.items()
            kept = [Kept(ref, incident in alive) for (name, incident), ref in refs if name == self.name]
            try:
                await notifier.resend(session, kept, self._now())
            except DeliveryError as error:
                self._report.not_resent(self.name, error)
            except Exception as error:  # noqa: BLE001 - as with a row: a bug here must not stop all alerts
                fault = f"{type(error).__name__} in sending again: this is a bug, please report it"
                self._report.not_resent(self.name, DeliveryError(Outcome.RETRY, fault))
            await asyncio.sleep(notifier.resend_interval)

    def _startable(self) -> list[Row]:
        now = self._now()
        if now < self._paused_until or not self._breaker.lets_through(now):
            return []
        return self._journal.outbox.heads(self.name, now)[: self._room(now)]

    def _room(self, now: float) -> int:
        limit = self._settings.concurrency if self._breaker.state(now) is BreakerState.CLOSED else 1
        return max(0, limit - len(self._under_way))

    def _patience(self) -> float:
        """Seconds until something may become startable by itself."""
        now = self._now()
        due = self._journal.outbox.next_due(self.name, now)
        start = max(now + (due or 0.0), self._paused_until, self._breaker.until)
        if due is None or not self._room(start) or not self._breaker.lets_through(start):
            return _TICK
        return min(_TICK, max(0.01, start - now))

    async def _drop_needless(self) -> None:
        """End rows at the head of their lanes that are not worth sending any more."""
        ended: list[Row] = []
        outbox, now = self._journal.outbox, self._now()
        heads = outbox.heads(self.name, now)
        while heads:
            for row in heads:
                for needless, state, why in self._needless(row, now):
                    outbox.settle(needless, state, now, why)
                    ended.append(needless)
            left = outbox.heads(self.name, now)
            heads = [] if left == heads else left
        for row in ended:
            self._report.ended(row)
        if ended:
            await self._journal.record(ended)

    def _needless(self, row: Row, now: float) -> Iterator[tuple[Row, RowState, str]]:
        story = _until_resolved(row, self._journal.outbox.lane(row))
        over = story[-1].reason is Reason.RESOLVED and story[-1] is not row
        if over and self._notifier.pages and row.reason is Reason.OPENED and not row.attempted:
            why = "opened and resolved before it could be sent"
            yield from ((needless, RowState.SUPERSEDED, why) for needless in story)
        elif now - row.created > self._shelf_life(row, over):
            yield row, RowState.EXPIRED, f"expired: not delivered in time. {row.error}".rstrip()

    def _shelf_life(self, row: Row, over: bool) -> float:
        settings = self._settings
        match row.reason:
            case Reason.REPEATED:
                return settings.expire_reminders
            case Reason.UPDATED | Reason.DEPLOYED:
                return settings.expire_updates
            case Reason.OPENED | Reason.ESCALATED if over:
                return settings.expire_pages if self._notifier.pages else settings.expire_opens
            case _:
                return settings.expire_all

    async def _deliver(self, session: aiohttp.ClientSession, row: Row) -> None:
        try:
            await self._keep_pace()
            await self._journal.record([row])
            await self._attempt(session, row)
            await self._journal.record([row])
        except asyncio.CancelledError:
            if row.state is RowState.SENDING:
                row.state, row.ambiguous = RowState.PENDING, True
            raise
        finally:
            self._under_way.discard(row.event_id)
            self._work.set()

    async def _keep_pace(self) -> None:
        loop = asyncio.get_running_loop()
        start = max(loop.time(), self._free_at)
        self._free_at = start + 1 / self._notifier.rate
        await asyncio.sleep(start - loop.time())

    async def _attempt(self, session: aiohttp.ClientSession, row: Row) -> None:
        """One exchange and what follows from it."""
        ref = self._journal.refs.get((self.name, row.notification.incident.id))
        attempt = Attempt(row.event_id, self._now(), ref, row.created if row.ambiguous else None)
        try:
            message = self._message(row)
            row.ref = await self._notifier.notify(session, message, attempt)
        except DeliveryError as error:
            self._failed(row, error)
        except Exception as error:  # noqa: BLE001 - a row that trips a bug must not stop all alerts at every restart
            fault = f"{type(error).__name__} in the {self._notifier.kind} notifier: this is a bug, please report it"
            self._failed(row, DeliveryError(Outcome.RETRY, fault))
        else:
            self._succeeded(row, message)

    def _message(self, row: Row) -> Message:
        """The body; the plain one if the full one cannot be made."""
        if not row.minimal:
            try:
                return self._notifier.message(self._finish(row.notification))
            except Exception:  # noqa: BLE001 - whatever is odd about it, an alert in plain words beats none
                row.minimal = True
        return self._notifier.message(row.notification, minimal=True)

    def _succeeded(self, row: Row, message: Message) -> None:
        row.error, row.status = "", None
        self._journal.outbox.settle(row, RowState.DELIVERED, self._now())
        self._breaker.succeeded()
        self._throttles = 0
        self._report.delivered(row, message)

    def _failed(self, row: Row, error: DeliveryError) -> None:
        """Decide what comes next for the row and for the destination."""
        now = self._now()
        row.state, row.error, row.status = RowState.PENDING, str(error), error.status
        match error.outcome:
            case Outcome.THROTTLED:
                self._throttles += 1
                wait = self._backoff(self._throttles) if error.after is None else error.after
                self._paused_until = row.not_before = now + wait
            case Outcome.REJECTED_PAYLOAD:
                self._breaker.succeeded()
                if row.minimal:
                    self._journal.outbox.settle(row, RowState.DEAD, now)
                row.minimal, row.not_before = True, now
            case Outcome.REJECTED_CONFIG:
                self._breaker.trip(now, str(error))
            case Outcome.GONE:
                self._breaker.gone(now, str(error))
            case _:
                row.ambiguous |= error.outcome is Outcome.AMBIGUOUS
                row.not_before = now + max(self._backoff(row.attempts + 1), error.after or 0.0)
                self._breaker.failed(now, str(error))
        row.attempts += error.outcome is not Outcome.THROTTLED
        self._report.failed(row, error)

    def _backoff(self, attempts: int) -> float:
        """Full jitter: anything up to a bound that doubles, so that senders do not come back together."""
        bound = min(self._settings.backoff_cap, self._settings.backoff_base * 2.0 ** min(attempts, 30))
        return self._random.uniform(0.0, bound)


def _until_resolved(row: Row, lane: Iterable[Row]) -> list[Row]:
    """The row's incident as it waits in the lane, from its head up to its resolution if that is there."""
    story: list[Row] = []
    for one in lane:
        if one.notification.incident.id != row.notification.incident.id:
            break
        story.append(one)
        if one.reason is Reason.RESOLVED:
            break
    return story
