"""The command line, put into a file's values as if it stood there.

Knows which key each flag sets. What is wrong with a flag's value is found later, with all the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sentinel.config.document import UNKNOWN, Document, Substituted
from sentinel.config.errors import KeyPath, Place, Problem
from sentinel.config.settings import Overrides
from sentinel.samplers.dial import parse_url

__all__ = ["RECEIVER", "overlay"]

RECEIVER = "cli"
"""The receiver that the command line's destinations form."""
_COMMAND_LINE = Place("command line")


def overlay(document: Document, overrides: Overrides) -> None:
    """Put every flag that was given into the document, and name the targets that have no name."""
    for flag, path, value in _scalars(overrides):
        if value is not None:
            document.put(path, value, Place(flag))
    _name_targets(document)
    _add_targets(document, overrides.urls)
    if overrides.interval is not None:
        for path, _ in document.mappings("targets"):
            document.put((*path, "interval"), _number(overrides.interval), Place("--interval"))
    for flag, kind, key, values in _destinations(overrides):
        for value in values:
            document.append(("receivers", RECEIVER), {"kind": kind, key: Substituted(value)}, Place(flag))


def _scalars(overrides: Overrides) -> list[tuple[str, KeyPath, Any]]:
    state_dir = overrides.state_dir and str(Path(overrides.state_dir).expanduser().absolute())
    return [
        ("--instance-id", ("instance_id",), overrides.instance_id),
        ("--state-dir", ("state_dir",), state_dir),
        ("--time-scale", ("time_scale",), _number(overrides.time_scale)),
        ("--listen", ("http", "listen"), overrides.listen),
        ("--log-format", ("log", "format"), overrides.log_format),
        ("--log-level", ("log", "level"), overrides.log_level),
    ]


def _destinations(overrides: Overrides) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [
        ("--webhook", "webhook", "url", overrides.webhooks),
        ("--slack", "slack", "url", overrides.slacks),
        ("--pagerduty", "pagerduty", "routing_key", overrides.pagerduty_keys),
    ]


def _number(value: Any) -> Any:
    """Text as the number that it may be."""
    for kind in (int, float) if isinstance(value, str) else ():
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _name_targets(document: Document) -> None:
    """A target without a name gets `host:port`; one whose URL is wrong is told of that, not of its name."""
    for path, target in document.mappings("targets"):
        label = _label(document, (*path, "url"), target.get("url"))
        target.setdefault("name", label or UNKNOWN)


def _label(document: Document, path: KeyPath, url: Any) -> str | None:
    """What a URL names; one that is none is told here, where its key is known."""
    try:
        return parse_url(url).label if isinstance(url, str) else None
    except ValueError as error:
        document.complain(path, str(error))
        document.put(path, UNKNOWN, document.place(path))
        return None


def _add_targets(document: Document, urls: tuple[str, ...]) -> None:
    named = {target.get("name"): path for path, target in document.mappings("targets")}
    for url in urls:
        try:
            label = parse_url(url).label
        except ValueError as error:
            document.problems.append(Problem(_COMMAND_LINE, (), str(error)))
            continue
        if label in named:
            document.put((*named[label], "url"), url, _COMMAND_LINE)
        else:
            document.append(("targets",), {"name": label, "url": url}, _COMMAND_LINE)
