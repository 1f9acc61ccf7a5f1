"""What it costs to start: processor time until ready and memory then, for one target.

    python tests/bench/startup_bench.py [RUNS]

Goals: under 1 s of processor time, under 100 MB. Numbers are printed, nothing is asserted. The best of some runs is
what the program needs; the rest is what the machine was busy with.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from time import monotonic, sleep

from sentinel.embedded import EmbeddedServer
from tests.bench.process import Daemon


def main(runs: int) -> None:
    """One line a run, and the best."""
    spent, memory = [], []
    print("processor s   wall s   resident MB")
    with EmbeddedServer() as server:
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as state:
                began = monotonic()
                with Daemon(server.url, "--state-dir", state, log=Path(state, "log")) as daemon:
                    while not daemon.ready():
                        sleep(0.02)
                    spent.append(daemon.processor_seconds())
                    memory.append(daemon.resident_bytes() / 1e6)
                    print(f"{spent[-1]:11.2f} {monotonic() - began:8.2f} {memory[-1]:13.1f}")
    print(f"best: {min(spent):.2f} s of processor time (goal 1), {min(memory):.1f} MB (goal 100)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
