"""`sentinel check-config` and `sentinel config-schema`: what a file says, and what it may say."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sentinel.cli.base import CommandError, Commands

__all__ = ["add"]


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put both into the table."""
    check = commands.add_parser(
        "check-config",
        help="say what is wrong with a file, or what it would do",
        description="Exit code 1 and every error with its line, or 0 and what would be watched and who would be told.",
    )
    check.add_argument("file", type=Path)
    check.set_defaults(command=_check)
    schema = commands.add_parser("config-schema", help="print the JSON Schema of the file, for editors")
    schema.set_defaults(command=_schema)


def _check(arguments: argparse.Namespace) -> int:
    from sentinel.config import ConfigError, load, summary

    try:
        print(summary(load(arguments.file)))
    except ConfigError as error:
        raise CommandError(str(error)) from error
    return 0


def _schema(_: argparse.Namespace) -> int:
    from sentinel.config import json_schema

    print(json.dumps(json_schema(), indent=2))
    return 0
