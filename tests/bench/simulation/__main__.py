"""Plays quiet and troubled weeks to Sentinel's pipeline and prints the score as Markdown.

python -m tests.bench.simulation --weeks 8 --seed 1
python -m tests.bench.simulation --weeks 8 --seed 1 --repeats 3 --jobs 2
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from sentinel.model import Notification

from .judge import PipelineJudge
from .naming import name_culprits, naming_table
from .populations import populations
from .report import eta_table, event_table, quiet_table
from .scenarios import SCENARIOS, Run, quiet_names, quiet_run, troubled_run
from .score import RunScore, play
from .traffic import DAY, MONDAY


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.simulation", description=__doc__)
    parser.add_argument("--weeks", type=int, default=8, help="quiet weeks of each seed; 0 for none")
    parser.add_argument("--seed", type=int, default=1, help="first seed")
    parser.add_argument("--repeats", type=int, default=1, help="how many seeds")
    parser.add_argument("--only", default="", help="troubles whose name contains this, and no populations")
    parser.add_argument("--quiet-only", action="store_true", help="no troubles and no populations")
    parser.add_argument("--causes", nargs="*", default=[], help="only these judge; without queues and heartbeats")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each in a process of its own")
    parser.add_argument("--verbose", action="store_true", help="every notification, on standard error")
    options = parser.parse_args(arguments)

    seeds, weeks = range(options.seed, options.seed + options.repeats), quiet_names(options.weeks)
    quiet = [partial(quiet_run, seed, name, length) for seed in seeds for name, length in weeks.items()]
    troubles = [partial(troubled_run, seed, name) for seed in seeds for name in SCENARIOS if options.only in name]
    with ProcessPoolExecutor(options.jobs) as pool:
        told = partial(_played, causes=options.causes, verbose=options.verbose)
        calm = list(pool.map(told, quiet))
        troubled = [] if options.quiet_only else list(pool.map(told, troubles))
    print(quiet_table(calm, troubled), event_table(troubled), eta_table(troubled), sep="\n\n")
    if not options.only and not options.quiet_only:
        print("", naming_table(name_culprits(populations())), sep="\n")


def _played(build: Callable[[], Run], causes: Sequence[str], verbose: bool) -> RunScore:
    run = build()
    began = time.perf_counter()
    scored = play(run, PipelineJudge(causes), work=not causes)
    polls = run.seconds / run.world.plan.step
    cost = (time.perf_counter() - began) / polls * 1e6
    lines = [f"{run.name}: {polls:,.0f} polls, {cost:,.0f} us each"]
    lines += ["  " + _line(notification) for notification in scored.told] if verbose else []
    print("\n".join(lines), file=sys.stderr)
    return scored


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
