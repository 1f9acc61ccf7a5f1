"""Sentinel as a target of its own: whether what it has to tell gets through, whether it can remember, and what it asks.

Makes samples of what delivery, store and status pages say of themselves, so that its own troubles are seen by the same
eyes as all else. Knows no cause.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from sentinel.delivery import Standing
from sentinel.model import Poll, Sample, Series, labels
from sentinel.outbox import Outbox, RowState
from sentinel.pipeline.publishing import Published
from sentinel.statuspages.base import left_to_people

__all__ = ["TARGET", "self_poll"]

TARGET = "sentinel"
"""The name under which it is told of."""


def self_poll(
    now: float,
    standings: Mapping[str, Standing],
    outbox: Outbox,
    failing: str,
    public: Sequence[tuple[Published, str, str]] = (),
    refs: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> Poll:
    """One reading.

    Args:
        now: Unix seconds.
        standings: Of each destination.
        outbox: What is on its way.
        failing: What is wrong with the disk; empty if nothing.
        public: Drafts and open incidents of status pages, each with its title and text.
        refs: What each page gave for what it made.
    """
    own = (*_samples(now, standings, outbox, failing), *_public(now, standings, public, refs))
    return Poll(TARGET, now, own)


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


def _public(
    now: float,
    standings: Mapping[str, Standing],
    public: Sequence[tuple[Published, str, str]],
    refs: Mapping[tuple[str, str], str],
) -> Iterator[Sample]:
    """What waits for a person, and what a person took over."""
    pages = sum(name.startswith("page/") for name in standings)
    if pages:
        yield Sample(Series("status_pages"), now, float(pages))
    for one, title, text in public:
        where = labels(page=one.page.removeprefix("page/"), ref=one.ref)
        said = labels(component=one.rule.name, text=f"{title}: {text}")
        if one.drafted is not None:
            yield Sample(Series("status_page_draft_seconds", where), now, now - one.drafted, said)
        elif (ref := refs.get((one.page, one.id))) is not None and left_to_people(ref):
            yield Sample(Series("status_page_hands_off", where), now, 1.0, said)
