"""Words that make polls readable in tests. Knows metric names, judges nothing."""

from __future__ import annotations

from sentinel.model import Poll, Sample, Series

__all__ = ["poll_of"]


def poll_of(time: float, target: str = "main", **values: float) -> Poll:
    """A poll of unlabelled series, all read at its time."""
    return Poll(target, time, tuple(Sample(Series(name), time, value) for name, value in values.items()))
