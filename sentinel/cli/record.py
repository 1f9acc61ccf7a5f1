"""`sentinel record`: a tape of what servers say, without alerting anybody."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from sentinel.cli.base import CommandError, Commands

__all__ = ["add"]


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put `record` into the table."""
    parser = commands.add_parser(
        "record",
        help="write down what servers say, for replay and tune",
        description="Poll servers as the daemon would, into a new FILE. Nothing is judged and nobody is told. What is "
        "on it: numbers, names of clients, queues and workers, and one example connection a client group; no key, no "
        "job, no credential. Ends at --for, Ctrl-C or SIGTERM.",
    )
    parser.add_argument("urls", nargs="*", metavar="URL", help="redis://, rediss:// or unix://")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="servers, queues and workers to watch")
    parser.add_argument("--for", dest="lasts", metavar="SPAN", help="such as 10m or 7d")
    parser.add_argument("--interval", metavar="SECONDS", help="between two looks at a server (default 5s)")
    parser.set_defaults(command=_record)


def _record(arguments: argparse.Namespace) -> int:
    from sentinel.clock import Clock
    from sentinel.config import ConfigError, Overrides, load
    from sentinel.replay.record import record
    from sentinel.replay.table import span_of

    try:
        lasts = span_of(arguments.lasts) if arguments.lasts else None
    except ValueError as error:
        raise CommandError(f"--for must be a span such as 90s, 10m or 7d, got {arguments.lasts}") from error
    try:
        settings = load(arguments.config, Overrides(urls=tuple(arguments.urls), interval=arguments.interval))
        polls = asyncio.run(record(settings.targets, arguments.file, Clock().now, lasts, _tell))
    except ConfigError as error:
        raise CommandError(str(error)) from error
    except FileExistsError as error:
        raise CommandError(f"{arguments.file} exists already; a tape is not overwritten") from error
    except OSError as error:
        raise CommandError(f"{arguments.file} cannot be written: {error.strerror}") from error
    servers = "one server" if len(settings.targets) == 1 else f"{len(settings.targets)} servers"
    print(f"{polls} polls of {servers} in {arguments.file}; look with `sentinel replay`")
    return 0


def _tell(polls: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{polls} polls", end="", file=sys.stderr, flush=True)
