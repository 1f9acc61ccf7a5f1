"""Whatever holds a history, as a tape: a tape itself, a Prometheus, what was saved of one, a table.

A history that is not a tape is written as one first, so that all that follows knows one format.

Knows how to tell sources apart. Must not know their formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from sentinel.model import Secret
from sentinel.replay.loop import with_clock
from sentinel.replay.names import Row, polls
from sentinel.replay.prometheus import HistoryError, Prometheus, collected, read_export
from sentinel.replay.table import read_table
from sentinel.tape import Advance, Begin, write_file

__all__ = ["Source", "as_tape"]


@dataclass(frozen=True)
class Source:
    """Where a history is, and how to read it.

    Args:
        place: A folder or file of a tape, a `.csv`, a saved answer (`.json`, `.txt`), or the URL of a Prometheus.
        since: Unix seconds from which on a Prometheus is asked.
        until: Up to when.
        token: For a Prometheus that wants one.
        match: More matchers for a Prometheus.
        target_label: Which label names the target there.
    """

    place: str
    since: float
    until: float
    token: Secret | None = None
    match: str = ""
    target_label: str = ""

    @property
    def is_tape(self) -> bool:
        """Whether it is one already."""
        return not self._is_url and not self.place.lower().endswith((".csv", ".json", ".ndjson", ".txt"))

    @property
    def _is_url(self) -> bool:
        return self.place.startswith(("http://", "https://"))

    def rows(self, progress: Callable[[float], None]) -> Iterator[Row]:
        """What it holds, in the order of time."""
        if self._is_url:
            return collected(Prometheus(self.place, self.token, self.match), self.since, self.until, progress)
        return (read_table if self.place.lower().endswith(".csv") else read_export)(Path(self.place))


def as_tape(source: Source, file: Path, progress: Callable[[float], None] | None = None) -> Path:
    """The tape of a source: itself if it is one, else written to `file`.

    Raises:
        HistoryError: there is nothing, or it cannot be read.
    """
    if source.is_tape:
        return Path(source.place)
    found = with_clock(polls(source.rows(progress or (lambda _: None)), source.target_label))
    first = next(found, None)
    if first is None:
        raise HistoryError(
            f"{source.place.rpartition('@')[2]}: holds nothing of redis_exporter or Sentinel in that time"
        )

    begin = Begin(first.now if isinstance(first, Advance) else source.since, "cold")
    write_file(file, chain((begin, first), found))
    return file
