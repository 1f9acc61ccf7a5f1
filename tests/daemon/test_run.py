"""`sentinel run` as a command: what it prints when it cannot begin, and when it ends by a bug."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinel.cli import main
from sentinel.pipeline import Pipeline


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A daemon sets up the logs of its process."""
    root, own = logging.getLogger(), logging.getLogger("sentinel")
    before = root.handlers[:], root.level, own.level
    yield
    root.handlers[:], root.level, own.level = before
    logging.captureWarnings(False)


def run(*arguments: str, state: Path) -> int:
    return main(["run", *arguments, "--state-dir", str(state), "--listen", "off"])


def test_a_server_is_asked_for_where_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(state=tmp_path) == 1
    assert "nothing to watch: name a server, as in `sentinel run redis://127.0.0.1:6379`" in capsys.readouterr().err


def test_a_bug_ends_in_the_log_in_its_format_and_with_a_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise LookupError("at redis://me:hunter2@host")

    monkeypatch.setattr(Pipeline, "feed", broken)
    assert run("redis://127.0.0.1:1", "--log-format", "json", state=tmp_path) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "This is a bug" in line]
    assert line.startswith('{"time":')
    assert "LookupError: at redis://****@host" in line
