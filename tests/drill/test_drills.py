"""Every drill with the real daemon on a server of its own, as its users run it."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import ExitStack

import pytest

from sentinel.drill.scenarios import BY_NAME

pytestmark = pytest.mark.slow


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sentinel", "drill", *arguments, "--embedded"]


def drill(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=400, check=False)


@pytest.mark.parametrize("scenario", BY_NAME)
def test_a_drill_passes(scenario: str) -> None:
    result = drill(scenario)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith("PASSED")


def test_a_drill_is_judged_by_what_is_posted_to_a_webhook() -> None:
    result = drill("leak", "--webhook", "0")
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"critical leak after .*, culprit drill-leak", result.stdout)


OFF = {
    "leak": ["leak", "flood", "exhaustion"],
    "flood": ["flood", "exhaustion"],
    "freeze": ["unreachable", "frozen"],
    "slow": ["latency"],
    "dead-workers": ["lost_workers"],
}


def test_a_sentinel_with_the_cause_switched_off_fails_the_drill() -> None:
    """All at once: a failure takes as long as the trouble lasts, and nothing has to be told in time."""
    with ExitStack() as stack:
        playing = {
            name: stack.enter_context(
                subprocess.Popen(
                    command(name, *(f"--off={cause}" for cause in causes)),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
            for name, causes in OFF.items()
        }
        for name, process in playing.items():
            said, _ = process.communicate(timeout=400)
            assert process.returncode == 1, said
            assert f"FAILED  {name}: nothing of" in said, said
