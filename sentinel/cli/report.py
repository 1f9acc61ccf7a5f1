"""`sentinel report`: the one-pager of a week or a month."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sentinel.cli.base import CommandError, Commands

if TYPE_CHECKING:
    from sentinel.replay.loop import History

__all__ = ["add"]

_DESCRIPTION = """What Sentinel was worth: walls forecast and how early, time to name, pages a week and how many in
vain, the worst group, head-room now and at its least, and leaked connection-hours. From the state directory, also while
the daemon runs; head-room needs the tape (`tape: keep: true`)."""


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put `report` into the table."""
    parser = commands.add_parser("report", help="the one-pager of a week or a month", description=_DESCRIPTION)
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="whose state directory is read")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="instead of the configured one")
    parser.add_argument("--last", default="28d", metavar="SPAN", help="how far to look back: 7d, 28d (the default)")
    parser.add_argument("--leak-budget", type=float, default=1000.0, metavar="N", help="connection-hours in 28 days")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write HTML there, too")
    parser.set_defaults(command=_report)


def _report(arguments: argparse.Namespace) -> int:
    from sentinel.clock import Clock
    from sentinel.replay.report import as_html, as_markdown, compose
    from sentinel.replay.table import span_of
    from sentinel.store import StoreError, read_history

    try:
        length = span_of(arguments.last)
    except ValueError as error:
        raise CommandError(f"--last must be a span such as 7d or 28d, got {arguments.last}") from error
    folder, now = _state_dir(arguments), Clock().now()
    try:
        incidents, events = read_history(folder / "sentinel.db", now - length)
    except StoreError as error:
        raise CommandError(f"sentinel report: {error}") from error
    page = compose(now - length, now, incidents, events, _seen(folder / "tape", now - length), arguments.leak_budget)
    if arguments.html:
        try:
            arguments.html.write_text(as_html(page), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"sentinel report: {arguments.html} cannot be written: {error.strerror}") from error
    print(as_markdown(page), end="")
    return 0


def _state_dir(arguments: argparse.Namespace) -> Path:
    from sentinel.config import ConfigError, load

    if arguments.state_dir:
        return Path(arguments.state_dir)
    if not arguments.config:
        raise CommandError("sentinel report: say whose: -c FILE or --state-dir DIR")
    try:
        return load(arguments.config).state_dir
    except ConfigError as error:
        raise CommandError(str(error)) from error


def _seen(tape: Path, since: float) -> History | None:
    """What the tape saw; None if there is none."""
    from sentinel.model import Poll
    from sentinel.replay.loop import History
    from sentinel.tape import TapeError, read

    history = History()
    try:
        for entry in read(tape) if tape.is_dir() else ():
            if isinstance(entry, Poll) and entry.time >= since:
                history.add(entry)
    except TapeError as error:
        raise CommandError(f"sentinel report: {error}") from error
    return history if history.targets else None
