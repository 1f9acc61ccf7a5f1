"""The job systems whose real workers run in the tests, and how to drive each.

Every application takes `PORT worker NAME`, `PORT enqueue COUNT PATH`, `PORT later COUNT`, `PORT pause` and
`PORT resume`. A job lasts until the file PATH is there; the path `fail` fails at once.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from sentinel.samplers.queues import BY_NAME
from sentinel.samplers.queues.base import Offers

__all__ = ["SYSTEMS", "System", "Worker", "at_hand"]

_APPS = Path(__file__).parent / "apps"
_TOOL = Path(__file__).parents[2] / ".tool"
PYTHON, NODE, RUBY = _TOOL / "workers/bin/python", _TOOL / "node", shutil.which("ruby")


@dataclass(frozen=True)
class System:
    """One job system, and what is peculiar to it in these tests: one worker that works on one job at a time."""

    name: str
    """As in the label."""
    app: str
    queue: str = "jobs"
    taken: int = 1
    """Jobs that a worker takes off the queue before it has done the first."""
    in_flight: int | None = 1
    """What is told of them; None where that is not offered."""
    delays: bool = True
    """Whether delayed jobs are counted."""
    pauses: bool = True
    """Whether it can be paused."""
    hangs: float | None = None
    """Seconds after which a worker that is stopped is found to be so; None: too many for a test."""
    greets: bool = True
    """Whether a worker is known before it has had a job."""
    goodbye: float = 20.0
    """Seconds within which a worker that has stopped in order is known to have."""

    @property
    def offers(self) -> Offers:
        """What it lets us know."""
        return BY_NAME[self.name].offers

    @property
    def missing(self) -> str:
        """The runtime that is not there, or nothing."""
        suffix = Path(self.app).suffix
        if suffix == ".py":
            return "" if PYTHON.exists() else "the environment of Python's job libraries (make workers)"
        if suffix == ".js":
            return "" if shutil.which("node") and NODE.exists() else "Node with its job libraries (make workers)"
        library = subprocess.run(["ruby", "-e", "require 'sidekiq'"], capture_output=True) if RUBY else None
        return "" if library and library.returncode == 0 else "Ruby with Sidekiq"

    def command(self, port: int, *words: str) -> list[str]:
        """The application's command line."""
        runtime = {".py": str(PYTHON), ".js": "node", ".rb": "ruby"}[Path(self.app).suffix]
        return [runtime, str(_APPS / self.app), str(port), *words]

    def tell(self, port: int, *words: str) -> None:
        """Have the application do something, and wait until it is done."""
        command, environment = self.command(port, *words), _environment()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    @contextmanager
    def worker(self, port: int, name: str, log: Path) -> Iterator[Worker]:
        """A running worker, killed at the end with all its children."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command(port, "worker", name),
                env=_environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                start_new_session=True,
            )
        worker = Worker(process)
        try:
            yield worker
        finally:
            worker.signal(signal.SIGKILL)
            process.wait()


@dataclass(frozen=True)
class Worker:
    """The process of a worker."""

    process: subprocess.Popen[bytes]

    def signal(self, number: signal.Signals) -> None:
        """To it and all that it forked: everything of its session."""
        for pid in _session(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def ask_to_stop(self) -> None:
        """SIGTERM, as a deployment sends it."""
        self.process.terminate()


def _session(leader: int) -> list[int]:
    """Processes of a session, by `/proc`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            words = stat.read_text().rpartition(")")[2].split()
            found += [int(stat.parent.name)] if int(words[3]) == leader else []
    return found


def _environment() -> dict[str, str]:
    return os.environ | {"NODE_PATH": str(NODE / "node_modules"), "PYTHONPATH": str(_APPS), "PYTHONWARNINGS": "ignore"}


SYSTEMS = (
    System("celery", "celery_app.py", queue="celery", taken=2, delays=False, pauses=False, hangs=6),
    System("rq", "rq_app.py"),
    System("arq", "arq_app.py", queue="arq:queue", pauses=False, hangs=30, goodbye=40),
    System(
        "dramatiq", "dramatiq_app.py", queue="default", taken=2, in_flight=2, pauses=False, greets=False, goodbye=40
    ),
    System("huey", "huey_app.py", queue="huey", in_flight=None, pauses=False, greets=False, goodbye=40),
    System("taskiq", "taskiq_app.py", queue="taskiq", delays=False, pauses=False, hangs=20, greets=False),
    System("bullmq", "bullmq_app.js", hangs=25, goodbye=30),
    System("bull", "bull_app.js", hangs=25, goodbye=30),
    System("bee", "bee_app.js", pauses=False, greets=False, goodbye=40),
    System("sidekiq", "sidekiq_app.rb", pauses=False, hangs=10),
    System("resque", "resque_app.js", delays=False, pauses=False, hangs=10),
)


def at_hand(*names: str) -> list[System]:
    """These systems; skips the test if one of them cannot run here."""
    found = [system for name in names for system in SYSTEMS if system.name == name]
    for system in found:
        if system.missing:
            pytest.skip(f"{system.missing} is not installed")
    return found
