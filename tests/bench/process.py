"""A daemon to be measured: a process, and what Linux says that it used."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from sentinel.embedded import free_port

__all__ = ["Daemon"]

_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""What is installed is compiled; compiling at every start would be measured instead."""
_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGESIZE")


class Daemon:
    """`sentinel run ARGUMENTS` while the block runs."""

    def __init__(self, *arguments: str, log: Path) -> None:
        self._pages = f"127.0.0.1:{free_port()}"
        self._command = [sys.executable, "-m", "sentinel", "run", *arguments, "--listen", self._pages]
        self._log = log

    def __enter__(self) -> Daemon:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=_ENVIRONMENT)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def ready(self) -> bool:
        """Whether every target was polled at least once.

        Raises:
            RuntimeError: it ended; the text is its log.
        """
        if self._process.poll() is not None:
            raise RuntimeError(self._log.read_text(errors="replace"))
        try:
            with urllib.request.urlopen(f"http://{self._pages}/readyz", timeout=10):
                return True
        except urllib.error.HTTPError as error:
            return b"not sampled yet" not in error.read()
        except (urllib.error.URLError, OSError):
            return False

    def metric(self, name: str) -> float:
        """The sum of a metric over its series."""
        with urllib.request.urlopen(f"http://{self._pages}/metrics", timeout=60) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return sum(line.value for family in families for line in family.samples if line.name == name)

    def processor_seconds(self) -> float:
        """User and system time of all its threads so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_bytes(self) -> int:
        """Resident memory, what it shares with others included."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * _PAGE
