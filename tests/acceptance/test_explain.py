"""The real daemon freezes with its server, and `sentinel explain` says by which numbers it knew."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from sentinel.embedded import EmbeddedServer
from tests.acceptance.daemons import Running, sentinel
from tests.servers import frozen, server

pytestmark = pytest.mark.slow


async def command(*arguments: str) -> tuple[int, str]:
    """`sentinel ARGUMENTS`: its exit code and all that it said."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sentinel", *arguments, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return await process.wait(), said.decode()


async def test_an_incident_of_the_running_daemon_is_explained_by_its_reference_alone(tmp_path: Path) -> None:
    with server() as running:
        async with sentinel(tmp_path, running.url, "--interval", "0.2", "--time-scale", "60") as daemon:
            reference = await _frozen(running, daemon)
            code, said = await command("explain", reference, "--state-dir", str(tmp_path / "state"))
    assert code == 0
    assert said.startswith(f"Server frozen on 127.0.0.1:{running.port}  ({reference}, critical, ")
    assert re.search(r"^  nobody answered for +\S+ s +below 0.5 s$", said, re.MULTILINE), said
    assert "not stopped: that would be refused" in said


async def _frozen(running: EmbeddedServer, daemon: Running) -> str:
    """The reference of the incident that a frozen server opens."""
    with frozen(running):
        line = await daemon.says("Incident opened", "frozen")
    found = re.search(r"SNT-\w{6}", line)
    assert found, line
    return found[0]
