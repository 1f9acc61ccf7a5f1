"""Plays quiet and troubled weeks to Sentinel's pipeline and prints the score as Markdown.

python -m tests.bench.simulation --weeks 8 --seed 1
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from sentinel.model import Notification

from .judge import PipelineJudge
from .report import eta_table, event_table, quiet_table
from .scenarios import Run, quiet_runs, troubled_runs
from .score import RunScore, play
from .traffic import DAY, MONDAY


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.simulation", description=__doc__)
    parser.add_argument("--weeks", type=int, default=8, help="quiet weeks; 0 for none")
    parser.add_argument("--seed", type=int, default=1, help="first seed")
    parser.add_argument("--repeats", type=int, default=1, help="how many seeds each trouble is played with")
    parser.add_argument("--only", default="", help="troubles whose name contains this")
    parser.add_argument("--quiet-only", action="store_true", help="no troubles")
    parser.add_argument("--verbose", action="store_true", help="every notification, on standard error")
    options = parser.parse_args(arguments)

    seeds = range(options.seed, options.seed + options.repeats)
    quiet = list(_played(quiet_runs(options.seed, options.weeks), options.verbose))
    troubled: list[RunScore] = []
    if not options.quiet_only:
        troubled = [s for seed in seeds for s in _played(troubled_runs(seed, options.only), options.verbose)]
    print(quiet_table(quiet, troubled), event_table(troubled), eta_table(troubled), sep="\n\n")


def _played(runs: Iterable[Run], verbose: bool) -> Iterator[RunScore]:
    for run in runs:
        began = time.perf_counter()
        scored = play(run, PipelineJudge())
        polls = run.seconds / run.world.plan.step
        cost = (time.perf_counter() - began) / polls * 1e6
        print(f"{run.name}: {polls:,.0f} polls, {cost:,.0f} us each", file=sys.stderr)
        if verbose:
            for notification in scored.told:
                print("  " + _line(notification), file=sys.stderr)
        yield scored


def _line(notification: Notification) -> str:
    incident = notification.incident
    days = (notification.time - MONDAY) / DAY
    eta = incident.finding.eta
    left = "" if eta is None else f" eta {(eta.earliest - notification.time) / 3600:.1f} h"
    if eta is not None:
        left += " or later" if eta.latest is None else f" to {(eta.latest - notification.time) / 3600:.1f} h"
    return (
        f"day {days:.4f} {notification.reason} {incident.severity.name.lower()} {incident.cause}{left}: "
        f"{incident.finding.summary}"
    )


if __name__ == "__main__":
    main()
