"""What a fleet costs: many targets on a few local servers, each polled once a second.

    python tests/bench/fleet_bench.py [TARGETS [SECONDS]]

Goals for 1,000 targets: under half a core, under 150 MB, no poll left out. Numbers are printed, nothing is asserted.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import tempfile
from pathlib import Path
from time import monotonic, sleep

from sentinel.embedded import EmbeddedServer
from tests.bench.process import Daemon

SERVERS = 4
SETTLE = 10.0
"""Seconds after the first polls: seats, probes and the first census are dear, and paid once."""


def main(targets: int, seconds: float) -> None:
    """Start the servers and the daemon, wait until all is open, and measure."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(EmbeddedServer()) for _ in range(SERVERS)]
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = directory / "fleet.yaml"
        lines = (f"  - {{name: t{n}, url: '{servers[n % SERVERS].url}', interval: 1s}}\n" for n in range(targets))
        config.write_text("targets:\n" + "".join(lines))
        arguments = ["-c", str(config), "--state-dir", str(directory / "state")]
        daemon = stack.enter_context(Daemon(*arguments, log=directory / "log"))
        while not daemon.ready():
            sleep(0.5)
        print(f"ready after {daemon.processor_seconds():.1f} s of processor time")
        sleep(SETTLE)
        measure(daemon, targets, seconds)


def measure(daemon: Daemon, targets: int, seconds: float) -> None:
    """Between two moments, neither of which holds a scrape of the metrics."""
    polled, skipped = daemon.metric("sentinel_poll_seconds_count"), daemon.metric("sentinel_polls_skipped_total")
    sleep(2.0)
    began, used = monotonic(), daemon.processor_seconds()
    sleep(seconds)
    cores = (daemon.processor_seconds() - used) / (monotonic() - began)
    memory = daemon.resident_bytes() / 1e6
    polls = (daemon.metric("sentinel_poll_seconds_count") - polled) / (monotonic() - began + 2.0)
    left_out = daemon.metric("sentinel_polls_skipped_total") - skipped
    print(f"{targets} targets: {cores:.2f} of a core (goal 0.5 for 1,000), {memory:.0f} MB (goal 150)")
    print(f"{polls:.0f} polls/s, {left_out:.0f} left out, {cores / max(polls, 1) * 1e6:.0f} µs a poll")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, float(sys.argv[2]) if len(sys.argv) > 2 else 30.0)
