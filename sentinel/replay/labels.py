"""What truly was, from a file: YAML, a list of troubles.

    - {target: redis-a, start: 2026-03-02 10:04, end: 2026-03-02 17:50, causes: [leak], wall: 2026-03-02 17:10}

`target` and `start` are needed; without `end` an hour is taken, without `causes` any cause names it rightly. Times are
ISO 8601 (UTC where no zone is given) or Unix seconds. A file with an empty list says that nothing was.

Knows YAML. Must not know verdicts.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from sentinel.replay.judge import Label
from sentinel.replay.table import moment

__all__ = ["LabelError", "read_labels"]

_KEYS = ("target", "start", "end", "causes", "wall", "note")
_HOUR = 3600.0


class LabelError(Exception):
    """The file cannot be used; the text says where and why."""


def read_labels(path: Path) -> list[Label]:
    """The labels of a file.

    Raises:
        LabelError: it cannot be read.
    """
    try:
        found = yaml.safe_load(path.read_text("utf-8-sig"))
    except OSError as error:
        raise LabelError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, list):
        raise LabelError(f"{path}: must be a list of troubles, each with `target` and `start`")
    return [_label(f"{path}: entry {number}", entry) for number, entry in enumerate(found, 1)]


def _label(where: str, entry: Any) -> Label:
    if not isinstance(entry, dict) or not {"target", "start"} <= entry.keys():
        raise LabelError(f"{where}: needs `target` and `start`")
    if unknown := sorted(set(entry) - set(_KEYS)):
        raise LabelError(f"{where}: `{unknown[0]}` is not known here; give only {', '.join(_KEYS)}")
    causes = entry.get("causes") or []
    if not isinstance(causes, list) or not all(isinstance(cause, str) for cause in causes):
        raise LabelError(f"{where}: `causes` must be a list of names, such as [leak]")
    start = _time(where, "start", entry["start"])
    end = _time(where, "end", entry["end"]) if entry.get("end") is not None else start + _HOUR
    if end < start:
        raise LabelError(f"{where}: `end` is before `start`")
    wall = _time(where, "wall", entry["wall"]) if entry.get("wall") is not None else None
    return Label(str(entry["target"]), start, end, frozenset(causes), wall, str(entry.get("note") or ""))


def _time(where: str, key: str, value: Any) -> float:
    """YAML itself reads most ways to write a time."""
    try:
        if isinstance(value, datetime | date):
            return moment(value.isoformat())
        return moment(str(value))
    except ValueError:
        raise LabelError(f"{where}: `{key}` is no time: {value!r}") from None
