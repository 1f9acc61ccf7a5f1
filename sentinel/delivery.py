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
import enum
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

import aiohttp

from sentinel.logs import log
from sentinel.metrics import Metrics
from sentinel.model import Notification, Reason, Seconds
from sentinel.notifiers.base import Attempt, DeliveryError, Kept, Message, Notifier, Outcome, Resends
from sentinel.notifiers.http import open_session
from sentinel.outbox import Outbox, Row, RowState

__all__ = ["BreakerState", "Delivery", "DeliverySettings", "Journal", "Standing"]

_logger = logging.getLogger(__name__)
_TICK = 60.0


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How hard and how long to try.

    Args:
        concurrency: Messages under way to one destination at once, each of another incident.
        backoff_base: First bound of the random wait after a failure; doubled with each further one.
        backoff_cap: Largest bound of that wait.
        breaker_failures: Failures in a row, over all incidents, after which a destination is left alone.
        breaker_wait: For how long, until one message is tried; doubled each time that fails.
        breaker_wait_cap: Longest such pause.
        expire_reminders: Age at which a reminder is not worth sending any more.
        expire_updates: The same for an update.
        expire_opens: The same for an open whose incident is over by now. One that lasts is told however late.
        expire_pages: The same for destinations that wake people.
        expire_all: Age at which anything is given up.
        fallbacks: Who is told instead while a destination can not be reached, as {oncall/pagerduty: team/slack}.
        fallback_after: For how long it must not have been reached.
    """

    concurrency: int = 4
    backoff_base: Seconds = 1.0
    backoff_cap: Seconds = 300.0
    breaker_failures: int = 5
    breaker_wait: Seconds = 30.0
    breaker_wait_cap: Seconds = 600.0
    expire_reminders: Seconds = 600.0
    expire_updates: Seconds = 3600.0
    expire_opens: Seconds = 21600.0
    expire_pages: Seconds = 3600.0
    expire_all: Seconds = 604800.0
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    fallback_after: Seconds = 120.0


class BreakerState(enum.StrEnum):
    """Whether a destination is tried."""

    CLOSED = "closed"
    """As usual."""
    OPEN = "open"
    """Left alone for a while."""
    HALF_OPEN = "half_open"
    """One message is tried."""
    GONE = "gone"
    """Left alone until the configuration is loaded again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a destination stands."""

    breaker: BreakerState
    reason: str
    """The last failure while it is not closed; empty otherwise."""
    since: float | None
    """Unix seconds since when it is not closed; None while it is."""
    paused_for: Seconds
    """Until it may be tried again; 0 if now."""
    under_way: int


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
        self._report = report = _Report(metrics, now)
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
        report: _Report,
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
        self._breaker = _Breaker(settings)
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


class _Breaker:
    """Leaves a destination alone after failures in a row, and tries it with one message from time to time."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings
        self._failures = 0
        self._wait = 0.0
        self._gone = False
        self.until = 0.0
        self.since: float | None = None
        self.reason = ""

    def state(self, now: float) -> BreakerState:
        if self._gone:
            return BreakerState.GONE
        if not self._wait:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self.until else BreakerState.HALF_OPEN

    def lets_through(self, now: float) -> bool:
        return self.state(now) in (BreakerState.CLOSED, BreakerState.HALF_OPEN)

    def succeeded(self) -> None:
        self._failures, self._wait, self.until, self.since, self.reason = 0, 0.0, 0.0, None, ""

    def failed(self, now: float, reason: str) -> None:
        self._failures += 1
        if self._wait or self._failures >= self._settings.breaker_failures:
            self.trip(now, reason)

    def trip(self, now: float, reason: str) -> None:
        """Open it, or, if one message was tried in vain, for twice as long. Latecomers of before change nothing."""
        if self.state(now) in (BreakerState.OPEN, BreakerState.GONE):
            return
        settings = self._settings
        self._wait = min(settings.breaker_wait_cap, self._wait * 2) if self._wait else settings.breaker_wait
        self.until, self.reason = now + self._wait, reason
        self.since = now if self.since is None else self.since

    def gone(self, now: float, reason: str) -> None:
        self._gone, self.reason = True, reason
        self.since = now if self.since is None else self.since


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


class _Report:
    """Says what becomes of each row, in metrics and in the log. Repeats of a failure are logged as debug."""

    def __init__(self, metrics: Metrics, now: Callable[[], float]) -> None:
        self._metrics = metrics
        self._now = now
        self._trouble: dict[str, str] = {}
        """What was said last of each destination that fails."""

    def delivered(self, row: Row, message: Message) -> None:
        lag = max(0.0, self._now() - row.created)
        self._count(row, "delivered")
        self._metrics.delivery_lag_seconds.labels(destination=row.destination).observe(lag)
        if self._trouble.pop(row.destination, None) is not None:
            log(_logger, logging.INFO, "A destination works again", destination=row.destination)
        for field_name in message.truncated:
            self._metrics.truncations.labels(destination=row.destination, field=field_name).inc()
        for template in message.failed_templates:
            self._metrics.template_errors.labels(destination=row.destination, template=template).inc()
        cut = {"cut": ",".join(message.truncated)} if message.truncated else {}
        log(_logger, logging.INFO, "Notified", **_fields(row), lag=round(lag, 3), **cut)

    def failed(self, row: Row, error: DeliveryError) -> None:
        self._count(row, error.outcome.value)
        if row.state is RowState.DEAD:
            self.ended(row)
            return
        new = self._trouble.get(row.destination) != row.error
        self._trouble[row.destination] = row.error
        level = logging.WARNING if new else logging.DEBUG
        log(_logger, level, "A notification did not get through", **_fields(row), attempts=row.attempts, why=row.error)

    def not_resent(self, destination: str, error: DeliveryError) -> None:
        labels = {"destination": destination, "kind": "resent", "outcome": error.outcome.value}
        self._metrics.notifications.labels(**labels).inc()
        new = self._trouble.get(destination) != str(error)
        self._trouble[destination] = str(error)
        level = logging.WARNING if new else logging.DEBUG
        log(_logger, level, "What is open could not be told again", destination=destination, why=str(error))

    def ended(self, row: Row) -> None:
        """A row that was given up."""
        self._count(row, row.state.value)
        lost = row.state in (RowState.DEAD, RowState.EXPIRED)
        if lost:
            self._metrics.dead_letters.labels(destination=row.destination, reason=row.state.value).inc()
        level = logging.ERROR if lost else logging.INFO
        log(_logger, level, "A notification was given up", **_fields(row), outcome=row.state.value, why=row.error)

    def measure(self, outbox: Outbox, standings: Mapping[str, Standing], names: Iterable[str], now: float) -> None:
        counts, metrics = outbox.counts(), self._metrics
        metrics.outbox_bytes.set(outbox.bytes)
        for name in names:
            for state in (RowState.PENDING, RowState.SENDING):
                metrics.outbox_rows.labels(destination=name, state=state.value).set(counts[name, state])
            metrics.outbox_oldest_seconds.labels(destination=name).set(outbox.oldest(name, now))
        for name, standing in standings.items():
            level = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1}.get(standing.breaker, 2)
            metrics.breaker_state.labels(destination=name).set(level)

    def _count(self, row: Row, outcome: str) -> None:
        labels = {"destination": row.destination, "kind": row.reason.value, "outcome": outcome}
        self._metrics.notifications.labels(**labels).inc()


def _fields(row: Row) -> dict[str, str]:
    incident = row.notification.incident
    return {"destination": row.destination, "reason": row.reason.value, "ref": incident.ref, "event": row.event_id}
