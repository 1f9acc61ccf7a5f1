"""Arguments and signals to calls. No logic of its own: what a command does lives in the room that owns it.

One file a command or family of commands, and one line in `FAMILIES`. Rooms are imported when their command runs, so
that `sentinel --help` does not wait for all of them.

Exit codes: 0 done, 1 it did not work (the message says why), 2 the arguments cannot be meant.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from sentinel import __version__
from sentinel.cli import (
    audit,
    configuration,
    demo,
    drill,
    explain,
    incidents,
    notify_test,
    outbox,
    page,
    record,
    replay,
    report,
    run,
    silences,
    tune,
)
from sentinel.cli.base import CommandError

__all__ = ["main"]

FAMILIES = (
    run,
    incidents,
    silences,
    outbox,
    notify_test,
    page,
    explain,
    configuration,
    audit,
    record,
    replay,
    tune,
    report,
    drill,
    demo,
)
"""Modules whose `add` puts their commands into the table, in the order of `sentinel --help`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
        sys.stdout.flush()
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains at its end
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sentinel",
        description="Early, explained warnings for Redis-backed job queues. (Not Redis Sentinel.)",
    )
    parser.add_argument("--version", action="version", version=f"sentinel {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for family in FAMILIES:
        family.add(commands)
    return parser
