"""Every drill with the real daemon on a server of its own, as its users run it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sentinel.drill.scenarios import BY_NAME

pytestmark = pytest.mark.slow


def drill(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sentinel", "drill", *arguments, "--embedded"]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)


@pytest.mark.parametrize("scenario", BY_NAME)
def test_a_drill_passes(scenario: str) -> None:
    result = drill(scenario)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith("PASSED")


def test_a_sentinel_with_the_cause_switched_off_fails_the_drill() -> None:
    off = [f"--off={cause}" for cause in ("leak", "flood", "exhaustion")]
    result = drill("leak", *off)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "FAILED  leak: nothing of" in result.stdout
