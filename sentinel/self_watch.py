"""Sentinel as a target of its own: whether what it has to tell gets through, and whether it can remember.

Makes samples of what delivery and store say of themselves, so that its own troubles are seen by the same eyes as all
else. Knows no cause.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sentinel.delivery import Standing
from sentinel.model import Poll, Sample, Series, labels
from sentinel.outbox import Outbox, RowState

__all__ = ["TARGET", "self_poll"]

TARGET = "sentinel"
"""The name under which it is told of."""


def self_poll(now: float, standings: Mapping[str, Standing], outbox: Outbox, failing: str) -> Poll:
    """One reading.

    Args:
        now: Unix seconds.
        standings: Of each destination.
        outbox: What is on its way.
        failing: What is wrong with the disk; empty if nothing.
    """
    return Poll(TARGET, now, tuple(_samples(now, standings, outbox, failing)))


def _samples(now: float, standings: Mapping[str, Standing], outbox: Outbox, failing: str) -> Iterator[Sample]:
    why = labels(why=failing) if failing else None
    yield Sample(Series("state_failing"), now, float(bool(failing)), why)
    counts = outbox.counts()
    for name, standing in standings.items():
        where = labels(destination=name)
        down = 0.0 if standing.since is None else now - standing.since
        said = labels(why=standing.reason) if standing.reason else None
        lost = outbox.settled[name, RowState.DEAD] + outbox.settled[name, RowState.EXPIRED]
        yield Sample(Series("delivery_down_seconds", where), now, down, said)
        yield Sample(Series("delivery_waiting", where), now, float(counts[name, RowState.PENDING]))
        yield Sample(Series("delivery_lost_total", where), now, float(lost))
