"""The daemon as its users run it, and what they see of it: its log, its metrics, its exit."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from sentinel.drill.daemon import Daemon
from sentinel.embedded import free_port

__all__ = ["Running", "holds", "sentinel"]


class Running:
    """A daemon that runs."""

    def __init__(self, daemon: Daemon, session: aiohttp.ClientSession) -> None:
        self.daemon = daemon
        self._session = session

    @property
    def log(self) -> str:
        """All that it said so far."""
        return self.daemon.log.read_text(errors="replace")

    def said(self, *texts: str) -> str:
        """The first line of the log that holds all of these; empty if there is none."""
        return next((line for line in self.log.splitlines() if all(text in line for text in texts)), "")

    async def says(self, *texts: str, within: float = 30.0) -> str:
        """Such a line; waits for it."""
        await holds(lambda: self.said(*texts), within, f"no line with {texts}")
        return self.said(*texts)

    async def metric(self, name: str, **labels: str) -> float | None:
        """The sum of a metric over its series with these labels; None if there is none."""
        async with self._session.get(f"{self.daemon.pages}/metrics") as answer:
            text = await answer.text()
        lines = (line for family in text_string_to_metric_families(text) for line in family.samples)
        found = [line.value for line in lines if line.name == name and labels.items() <= line.labels.items()]
        return sum(found) if found else None

    async def shows(self, wanted: Callable[[float], bool], name: str, within: float = 30.0, **labels: str) -> float:
        """A metric's value once it is as wanted."""
        last: list[float | None] = []

        async def seen() -> bool:
            last.append(await self.metric(name, **labels))
            return last[-1] is not None and wanted(last[-1])

        await holds(seen, within, f"{name}{labels} is not as wanted")
        assert last[-1] is not None
        return last[-1]

    async def kill(self) -> None:
        """SIGKILL: it gets no chance to do anything."""
        os.kill(self.daemon.pid, signal.SIGKILL)
        await self.daemon.stopped()


@asynccontextmanager
async def sentinel(directory: Path, *arguments: str) -> AsyncIterator[Running]:
    """`sentinel run ARGUMENTS`, ready, with its state in `directory`; stopped at the end. The log is begun anew."""
    given = [*arguments, "--state-dir", str(directory / "state")]
    listen = f"127.0.0.1:{free_port()}"
    async with (
        Daemon(given, listen=listen, log=directory / "daemon.log") as daemon,
        aiohttp.ClientSession() as session,
    ):
        yield Running(daemon, session)


async def holds(condition: Callable[[], Any], within: float, complaint: str) -> None:
    """Wait until a condition holds; it may be a coroutine function."""
    try:
        async with asyncio.timeout(within):
            while not (await found if asyncio.iscoroutine(found := condition()) else found):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{complaint} within {within:g} s") from None
