"""What people do to the real daemon, over its API and by its commands, and what is left of it after SIGKILL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sentinel.drill.daemon import Daemon
from sentinel.drill.receiver import Receiver
from sentinel.embedded import free_port
from tests.servers import frozen, server

pytestmark = pytest.mark.slow
PATIENCE = 20.0


class Here:
    """A daemon's place: its state, its receiver, and commands to it."""

    def __init__(self, directory: Path, target: str, receiver: Receiver) -> None:
        self.state, self.log, self.receiver = directory / "state", directory / "log", receiver
        self.arguments = ["-c", str(directory / "sentinel.yaml"), "--interval", "0.2", "--time-scale", "30"]
        (directory / "sentinel.yaml").write_text(
            f"state_dir: {self.state}\n"
            f"targets: [{{name: redis-a, url: '{target}', labels: {{env: prod}}}}]\n"
            f"receivers: {{ops: [{{kind: webhook, url: '{receiver.url}', allow_http: true}}]}}\n"
        )

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Daemon]:
        async with Daemon(self.arguments, listen=f"127.0.0.1:{free_port()}", log=self.log) as daemon:
            yield daemon

    async def sentinel(self, *words: str) -> str:
        """A command that works; gives what it prints."""
        command = [sys.executable, "-m", "sentinel", *words, "--state-dir", str(self.state)]
        answer = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=PATIENCE)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    async def open_now(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(await self.sentinel("incidents", "list", "--json"))["incidents"]
        return found

    def told(self) -> list[str]:
        """What the receiver was told of, as types of events."""
        return [arrival.event["type"] for arrival in self.receiver.arrivals]


async def until(holds: Callable[[], Any], within: float = PATIENCE) -> None:
    async with asyncio.timeout(within):
        while True:
            found = holds()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.1)


async def test_an_incident_is_acknowledged_survives_sigkill_and_is_told_as_over(tmp_path: Path) -> None:
    with server() as running:
        async with Receiver() as receiver:
            here = Here(tmp_path, running.url, receiver)
            async with here.daemon() as daemon:
                with frozen(running):
                    await until(here.open_now)
                    (incident,) = await here.open_now()
                    assert (incident["cause"], incident["target"]) == ("frozen", "redis-a")
                    await here.sentinel("incidents", "ack", incident["ref"], "looking", "--by", "ada")
                    await until(lambda: "incident.acknowledged" in here.told())
                    os.kill(daemon.pid, signal.SIGKILL)
                    assert await daemon.stopped() == -signal.SIGKILL
            async with here.daemon():
                await until(lambda: "incident.resolved" in here.told())
                timeline = await here.sentinel("incidents", "show", incident["ref"])
    assert here.told().count("incident.opened") == 1
    assert not (here.state / "api").exists()
    assert "| acknowledged | ada | looking |" in timeline
    assert "| resolved | Sentinel | quiet in fresh readings |" in timeline
    assert "| ops/webhook | opened | delivered at" in timeline


async def test_a_silence_holds_over_a_restart_and_its_end_tells_what_still_lasts(tmp_path: Path) -> None:
    with server() as running:
        async with Receiver() as receiver:
            here = Here(tmp_path, running.url, receiver)
            async with here.daemon():
                await here.sentinel("silences", "add", "env=prod", "moving racks", "--for", "1h", "--by", "ada")
            async with here.daemon():
                with frozen(running):
                    await until(here.open_now)
                    assert here.told() == []
                    listed = json.loads(await here.sentinel("silences", "list", "--json"))["silences"]
                    assert [(one["matchers"], one["by"], one["text"]) for one in listed] == [
                        (["env=prod"], "ada", "moving racks")
                    ]
                    await here.sentinel("silences", "remove", listed[0]["id"])
                    await until(lambda: here.told() == ["incident.opened"])
