"""What becomes of each row, in metrics and in the log.

Knows what was said last of each destination, so that a repeat is not said again. Decides nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from sentinel.delivery.breaker import BreakerState, Standing
from sentinel.logs import log
from sentinel.metrics import Metrics
from sentinel.notifiers.base import DeliveryError, Message
from sentinel.outbox import Outbox, Row, RowState

__all__ = ["Report"]

_logger = logging.getLogger("sentinel.delivery")


class Report:
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
