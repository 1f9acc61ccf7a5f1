"""Sentinel on the lab: incidents and look-alikes on a real server, scored against the truth.

    python -m tests.bench.lab LAB run FOLDER [--jobs 2] slow_leak:1 deploy:1 …    runs cases, one file each
    python -m tests.bench.lab LAB table FOLDER                                    medians a scenario, as Markdown

LAB is the path of `lab.py`. Each case runs the real daemon as a user of the lab's shop would configure it: one
target, its two queues and two worker groups by name, one webhook, and the lab's pace (`time_scale` 15, one poll a
second). Nothing else is tuned.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import yaml

FIRST_PORT = 18500
PACE = 15
COLUMNS = (
    "scenario",
    "runs",
    "paged",
    "median delay, s",
    "median lead, s",
    "median share of the time left",
    "right cause",
    "culprit named",
    "false pages",
    "info lines in quiet",
)


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lab", type=Path)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run")
    run.add_argument("folder", type=Path)
    run.add_argument("cases", nargs="+", metavar="SCENARIO:SEED")
    run.add_argument("--jobs", type=int, default=2)
    run.add_argument("--first-port", type=int, default=FIRST_PORT)
    run.set_defaults(command=_run)
    table = commands.add_parser("table")
    table.add_argument("folder", type=Path)
    table.set_defaults(command=_table)
    watch = commands.add_parser("watch", help="what the lab starts: the daemon, configured from lab.json")
    watch.add_argument("folder", type=Path)
    watch.add_argument("webhook")
    watch.set_defaults(command=_watch)
    arguments = parser.parse_args()
    arguments.command(arguments)


def _run(arguments: argparse.Namespace) -> None:
    """Run the cases, some at a time, each on ports of its own."""
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for number, case in enumerate(arguments.cases):
            scenario, seed = case.split(":")
            pool.submit(_one, arguments, scenario, seed, arguments.first_port + 10 * number)


def _one(arguments: argparse.Namespace, scenario: str, seed: str, port: int) -> None:
    out = (arguments.folder / f"{scenario}.{seed}").resolve()
    watcher = f"{sys.executable} -m tests.bench.lab {arguments.lab} watch {{config_dir}} {{webhook_url}}"
    command = [sys.executable, arguments.lab, "run", scenario, "--seed", seed, "--redis-port", str(port)]
    command += ["--out", f"{out}.jsonl", "--config-dir", f"{out}.config", "--watcher", f"sentinel::{watcher}"]
    with Path(f"{out}.log").open("w") as log:
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    print(f"{scenario}:{seed}", "done" if code == 0 else f"failed with {code}", flush=True)


def _watch(arguments: argparse.Namespace) -> None:
    """Become the daemon."""
    lab = json.loads((arguments.folder / "lab.json").read_text())
    file = arguments.folder / "sentinel.yaml"
    file.write_text(yaml.safe_dump(_settings(lab, arguments.webhook, arguments.folder), sort_keys=False))
    os.execv(sys.executable, [sys.executable, "-m", "sentinel", "run", "-c", str(file)])


def _settings(lab: dict[str, Any], webhook: str, folder: Path) -> dict[str, Any]:
    prefix = lab["heartbeat_prefix"]
    return {
        "state_dir": str(folder / "state"),
        "time_scale": PACE,
        "http": {"listen": "off"},
        "targets": [
            {
                "url": f"redis://127.0.0.1:{lab['redis_port']}",
                "interval": f"{lab['sample_s']}s",
                "queues": [
                    {"kind": "list", "key": lab["list_queue"]},
                    {"kind": "zset", "key": lab["zset_queue"], "scores": "time"},
                ],
                "heartbeats": [
                    {"kind": "zset", "group": "zset-workers", "key": lab["heartbeat_zset"]},
                    {"kind": "key", "group": "list-workers", "key": f"{prefix}{{client}}", "clients": "worker-list-.*"},
                ],
            }
        ],
        "receivers": {"lab": [{"kind": "webhook", "url": webhook, "min_severity": "info"}]},
    }


def _table(arguments: argparse.Namespace) -> None:
    """One line a scenario: what was found, how soon, and what was said that should not have been."""
    rows = defaultdict(list)
    files = sorted(map(str, arguments.folder.glob("*.jsonl")))
    for row in _scores(arguments.lab, files, "critical,warning"):
        rows[row["scenario"]].append(row)
    infos = defaultdict(int)
    for row in _scores(arguments.lab, files, "info"):
        infos[row["scenario"]] += row["false_alarms_warmup"] + row["false_alarms_lookalike"]
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|")
    for scenario in sorted(rows, key=lambda name: (not rows[name][0]["must_alert"], name)):
        print(_line(scenario, rows[scenario], infos[scenario]))


def _scores(lab: Path, files: list[str], severity: str) -> list[dict[str, Any]]:
    command = [sys.executable, lab, "score", *files, "--severity", severity, "--json"]
    rows: list[dict[str, Any]] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return rows


def _line(scenario: str, rows: list[dict[str, Any]], infos: int) -> str:
    def of(key: str) -> str:
        told = [row[key] for row in rows if row[key] is not None]
        return f"{median(told):.0f}" if told else "-"

    def count(key: str) -> str:
        told = [row[key] for row in rows if row[key] is not None]
        return f"{sum(told)}/{len(told)}" if told else "-"

    left = [r["lead_s"] / r["exhaustion_after_s"] for r in rows if r["lead_s"] is not None and r["exhaustion_after_s"]]
    false = [name for row in rows for name in row["warmup_names"] + row["lookalike_names"]]
    cells = [
        scenario,
        str(len(rows)),
        count("detected"),
        of("delay_s"),
        of("lead_s"),
        f"{median(left):.0%}" if left else "-",
        count("right_cause"),
        count("culprit_named"),
        ", ".join(false) or "0",
        str(infos),
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
