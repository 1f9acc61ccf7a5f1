"""`sentinel tune`: settings that would have woken nobody in vain."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sentinel.cli.base import CommandError, Commands
from sentinel.cli.replay import add_source, chosen, progress, tape_of

__all__ = ["add"]

_DESCRIPTION = """From a history (see `sentinel replay`), propose settings that keep a budget of pages and still tell
what was real: what a label explains or, without labels, what came before a wall. Printed is a YAML patch with the
reason of each line; what to expect of it, on weeks that it was not fitted to, is said on standard error. Nothing is
changed. Exit code 0: the budget is met, 1: not without losing something real."""


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put `tune` into the table."""
    parser = commands.add_parser("tune", help="propose settings that keep a budget of pages", description=_DESCRIPTION)
    add_source(parser)
    parser.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="the present settings; without it, the defaults"
    )
    parser.add_argument("--pages-per-week", type=float, default=1.0, metavar="N", help="the budget (1)")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="what truly was: YAML, as for replay")
    parser.add_argument("--pages", choices=["warning", "critical"], default="critical", help="what wakes someone")
    parser.set_defaults(command=_tune)


def _tune(arguments: argparse.Namespace) -> int:
    from sentinel.model import Severity
    from sentinel.replay.labels import LabelError, read_labels
    from sentinel.replay.patch import as_patch, as_summary
    from sentinel.replay.tune import propose
    from sentinel.tape import TapeError

    if not arguments.pages_per_week >= 0:
        raise CommandError("--pages-per-week must be 0 or more")
    settings, severity = chosen(arguments.config), Severity[arguments.pages.upper()]
    try:
        labels = read_labels(arguments.labels) if arguments.labels else None
        with tape_of(arguments) as (tape, _), progress("tuning") as told:
            proposal = propose(tape, settings, arguments.pages_per_week, labels, severity, arguments.jobs, told)
    except (TapeError, LabelError) as error:
        raise CommandError(f"sentinel tune: {error}") from error
    print(as_summary(proposal), file=sys.stderr)
    print(as_patch(proposal), end="")
    return 0 if proposal.met else 1
