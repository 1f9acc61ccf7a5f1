"""How the daemon says what it does: one line per event, constant text plus fields, for people or for machines.

Sets up the standard library's logging, once a process. Must not know what is logged. Secrets are kept out by `Secret`;
the redactor here is the second wall, for texts that others made.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, TextIO
from urllib.parse import quote, urlsplit

import orjson

from sentinel.model import Secret

__all__ = ["Redactor", "configure", "log"]

_SHORTEST_SECRET = 4
"""A shorter one is not masked: its mask would give it away in every word."""
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_NEEDS_QUOTES = re.compile(r'[\s"=\x00-\x1f\x7f-\x9f]|^$')


def log(logger: logging.Logger, level: int, text: str, /, **fields: object) -> None:
    """One event: a constant text and the fields that vary.

    >>> log(logging.getLogger("sentinel.doc"), logging.DEBUG, "Target is full", target="redis-a", clients=400)
    """
    logger.log(level, "%s", text, extra={"fields": fields}, stacklevel=2)


class Redactor:
    """Replaces secrets by `****`: those it was told, and any user and password in a URL.

    Args:
        secrets: Known at the start; more by `learn`.

    >>> redact = Redactor([Secret("hunter2")])
    >>> redact("AUTH hunter2 failed at redis://me:pw@10.0.0.1")
    'AUTH **** failed at redis://****@10.0.0.1'
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[Secret]) -> None:
        """Know these too; what was a secret stays one."""
        for secret in secrets:
            self._known.update(form for form in _forms(secret.reveal()) if len(form) >= _SHORTEST_SECRET)
        longest_first = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        known = self._pattern.sub("****", text) if self._pattern else text
        return _USER_INFO.sub("****@", known)


def _forms(secret: str) -> set[str]:
    """How a secret may look in a text: as it is, or quoted for a URL; of a URL also the path alone."""
    path = urlsplit(secret)._replace(scheme="", netloc="").geturl() if "://" in secret else ""
    return {form for text in (secret, path.strip("/")) for form in (text, quote(text, safe=""))}


def configure(
    format: Literal["human", "json"] = "human",
    level: Literal["debug", "info", "warning", "error"] = "info",
    *,
    redactor: Redactor | None = None,
    stream: TextIO | None = None,
) -> None:
    """Send all logs to one stream. May be called again, as after a reload.

    Args:
        format: `human` for a terminal or the journal, `json` for one JSON object a line.
        level: From which on Sentinel's own events are shown; those of libraries from warning on.
        redactor: Applied to every text of every line.
        stream: Standard error by default.
    """
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter((_Json if format == "json" else _Human)(redactor or Redactor()))
    root, own = logging.getLogger(), logging.getLogger("sentinel")
    for earlier in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    own.setLevel(level.upper())
    root.setLevel(max(own.level, logging.WARNING))
    logging.captureWarnings(True)


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, to be told from a test runner's."""


class _Lines(logging.Formatter):
    """What both formats share: every text passes the redactor before it becomes part of a line."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        message, fields = record.getMessage(), getattr(record, "fields", {})
        return self._line(record, self._redact(message), self._clean(fields), self._redact(trace))

    def _clean(self, value: Any) -> Any:
        match value:
            case None | bool() | int() | float():
                return value
            case dict():
                return {str(key): self._clean(item) for key, item in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self._clean(item) for item in value]
        return self._redact(str(value))

    def _line(self, record: logging.LogRecord, message: str, fields: dict[str, Any], trace: str) -> str:
        raise NotImplementedError


class _Json(_Lines):
    def _line(self, record: logging.LogRecord, message: str, fields: dict[str, Any], trace: str) -> str:
        level = record.levelname.lower()
        line = {"time": _utc(record), "level": level, "logger": record.name, "message": message, "fields": fields}
        return _dumps(line | {"trace": trace} if trace else line)


class _Human(_Lines):
    def _line(self, record: logging.LogRecord, message: str, fields: dict[str, Any], trace: str) -> str:
        name = record.name.removeprefix("sentinel.")
        pairs = "".join(f" {key}={_readable(value)}" for key, value in fields.items())
        line = f"{_utc(record)} {record.levelname:<7} {name:<10} {_one_line(message)}{pairs}"
        return f"{line}\n{trace}" if trace else line


def _utc(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    return _CONTROL.sub(" ", text)


def _readable(value: object) -> str:
    """A float short, a text quoted where it could be taken for more than one field, or hides control characters."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return json.dumps(text) if _NEEDS_QUOTES.search(text) else text


def _dumps(line: dict[str, Any]) -> str:
    """orjson refuses lone surrogates and huge integers; a log line must not be lost for that."""
    try:
        return orjson.dumps(line).decode()
    except TypeError:
        return json.dumps(line)
