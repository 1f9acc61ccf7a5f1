"""A child process that must not outlive us, however we end.

SIGKILL leaves no time to stop anything. So a small shell waits at a pipe whose other end is ours alone: when we are
gone it reads the end of it, and kills the child. Knows process ids and nothing else.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["lifeline"]

_GUARD = 'read _; kill -KILL "$0"'


@contextmanager
def lifeline(pid: int) -> Iterator[None]:
    """While the block runs, the process with this id ends with ours. After it, it is the caller's again."""
    guard = subprocess.Popen(
        ["sh", "-c", _GUARD, str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()
