"""History from a table: a CSV file with a column `time`, one `target` if there are several, and one a series.

A column is called as Sentinel or redis_exporter calls the metric, with labels if it has any:
`redis_connected_clients`, `redis_group_clients{group="api"}`. An empty cell is a value that is not known.

Knows CSV. Must not know what names mean.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from sentinel.model import Seconds
from sentinel.replay.names import OWN, Row
from sentinel.replay.prometheus import HistoryError

__all__ = ["moment", "read_table", "span_of"]

_COLUMN = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def read_table(path: Path) -> Iterator[Row]:
    """Rows of a CSV file, in the order in which they stand.

    Raises:
        HistoryError: it cannot be read; the text says the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.reader(file)
            columns = _columns(path, next(table, []))
            for cells in table:
                yield from _row(f"{path}:{table.line_num}", columns, cells)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise HistoryError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def moment(text: str) -> float:
    """Unix seconds of a time as people write it; one without a zone is UTC.

    >>> moment("1764000000"), moment("2025-11-24T16:00:00Z")
    (1764000000.0, 1764000000.0)
    """
    try:
        return float(text)
    except ValueError:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def span_of(text: str) -> Seconds:
    """Seconds of a span such as 30d or 12h.

    >>> span_of("12h"), span_of("30d")
    (43200.0, 2592000.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if found is None:
        raise ValueError(f"no span: {text!r}")
    return float(found[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}[found[2]]


def _columns(path: Path, header: list[str]) -> list[tuple[str, Mapping[str, str]]]:
    columns: list[tuple[str, Mapping[str, str]]] = []
    for text in header:
        found = _COLUMN.fullmatch(text.strip())
        if found is None:
            raise HistoryError(f"{path}:1: {text!r} is no name of a series")
        columns.append((found["name"], dict(_LABEL.findall(found["labels"] or ""))))
    names = [name for name, _ in columns]
    if "time" not in names or not any(name.startswith(OWN) for name in names):
        text = "needs a column `time` and at least one that is called as a metric, such as redis_connected_clients"
        raise HistoryError(f"{path}:1: {text}")
    return columns


def _row(where: str, columns: list[tuple[str, Mapping[str, str]]], cells: list[str]) -> Iterator[Row]:
    if len(cells) != len(columns):
        raise HistoryError(f"{where}: has {len(cells)} cells, the header {len(columns)}")
    by_name = {name: cell for (name, labels), cell in zip(columns, cells, strict=True) if not labels}
    try:
        time = moment(by_name["time"])
        for (name, labels), cell in zip(columns, cells, strict=True):
            if cell.strip() and name not in ("time", "target"):
                yield Row(time, name, {"target": by_name.get("target", "redis"), **labels}, float(cell))
    except ValueError as error:
        raise HistoryError(f"{where}: {error}") from None
