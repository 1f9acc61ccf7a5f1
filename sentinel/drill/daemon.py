"""The real daemon as a child process, as its users start it.

Knows its command line, its readiness page and its signals; shares no line of code with it, so that what a drill
shows is what an installation does.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import aiohttp

from sentinel.drill.lifeline import lifeline
from sentinel.model import Seconds

__all__ = ["Daemon", "DaemonError"]

_READY_WITHIN: Seconds = 20.0
_STOP_WITHIN: Seconds = 10.0
_ASK_EVERY: Seconds = 0.1


class DaemonError(Exception):
    """The daemon did not do its part; the text holds the end of its log."""


class Daemon:
    """`sentinel run ARGUMENTS`, ready when entered and stopped when left.

    Args:
        arguments: Of `sentinel run`, without `--listen`.
        listen: `host:port` of its pages; must be free.
        log: File that takes everything it says.
    """

    def __init__(self, arguments: Sequence[str], *, listen: str, log: Path) -> None:
        self.command = [sys.executable, "-m", "sentinel", "run", *arguments, "--listen", listen]
        self.pages = f"http://{listen}"
        self.log = log
        self._lifeline = ExitStack()

    @property
    def pid(self) -> int:
        """Process id, once it was entered."""
        return self._process.pid

    async def stopped(self) -> int:
        """Stop it as its manager does; gives its exit code. Leaving does the same."""
        await self._stop()
        return await self._process.wait()

    def tail(self, lines: int = 15) -> str:
        """The end of what it said."""
        with self.log.open(errors="replace") as log:
            return "".join(deque(log, maxlen=lines)).rstrip()

    async def ended(self) -> None:
        """Wait for it, and complain: it is not meant to end by itself.

        Raises:
            DaemonError: always.
        """
        code = await self._process.wait()
        raise DaemonError(f"the daemon ended with exit code {code}. The end of its log:\n{self.tail()}")

    async def __aenter__(self) -> Daemon:
        with self.log.open("wb") as log:
            # A session of its own: Ctrl-C in the terminal is for the drill, which then stops the daemon in turn.
            self._process = await asyncio.create_subprocess_exec(
                *self.command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._lifeline.enter_context(lifeline(self._process.pid))
        try:
            await self._ready()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _ready(self) -> None:
        """Its page says so once every target was sampled."""
        try:
            async with asyncio.timeout(_READY_WITHIN), aiohttp.ClientSession() as session:
                while not await self._says_ready(session):
                    if self._process.returncode is not None:
                        await self.ended()
                    await asyncio.sleep(_ASK_EVERY)
        except TimeoutError:
            text = f"the daemon was not ready in {_READY_WITHIN:.0f} s. The end of its log:\n{self.tail()}"
            raise DaemonError(text) from None

    async def _says_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.pages}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def _stop(self) -> None:
        """SIGTERM, as a service manager does; SIGKILL for one that does not listen, or when there is no time."""
        self._lifeline.close()
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_WITHIN):
                await self._process.wait()
        except TimeoutError:
            pass
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
