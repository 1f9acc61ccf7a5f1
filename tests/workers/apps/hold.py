"""The job of every Python library: it lasts until a file is there, and fails if it is told to."""

import os
import time


def hold(path: str) -> None:
    """Wait for the file; a path of `fail` fails at once."""
    if path == "fail":
        raise ValueError("told to fail")
    while not os.path.exists(path):
        time.sleep(0.02)
