"""What the tests of the daemon share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[None]:
    """Root may write anywhere; another user may not."""
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
