"""A TCP proxy that breaks on demand: cut, drop or delay, for all connections through it at once.

Partial outages are what dashboards miss: the server is well, and half of the world does not reach it. Knows bytes;
must not know what they mean.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Literal

from sentinel.model import Seconds

__all__ = ["Fault", "Proxy"]

Fault = Literal["none", "cut", "drop", "delay"]
"""`cut`: connections are reset and none is let in. `drop`: bytes vanish, connections stay, none is accepted to speak.
`delay`: bytes come late."""
_CHUNK = 65536


class Proxy:
    """Listens on loopback while it is entered and passes bytes to a server.

    Args:
        host: Of the server.
        port: Of the server.
        listen: Own port; 0 for a free one.
        delay: Seconds that each chunk is held while the fault is `delay`; a poll makes some eight round trips in 2 s.
    """

    def __init__(self, host: str, port: int, listen: int = 0, delay: Seconds = 0.07) -> None:
        self._host, self._port, self._listen, self._delay = host, port, listen, delay
        self._fault: Fault = "none"
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = listen

    @property
    def fault(self) -> Fault:
        """What is wrong with it now."""
        return self._fault

    def set_fault(self, fault: Fault) -> None:
        """Break, or mend. Mending ends connections that lost bytes: what they had is out of step."""
        ends = fault == "cut" or self._fault == "drop"
        self._fault = fault
        if ends:
            for writer in self._writers:
                writer.transport.abort()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._listen)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self._fault != "cut":
                await self._through(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, self._port)
        self._writers.add(back)
        try:
            passing = [
                asyncio.ensure_future(self._pass(reader, back)),
                asyncio.ensure_future(self._pass(there, writer)),
            ]
            try:
                await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in passing:
                    each.cancel()
                await asyncio.gather(*passing, return_exceptions=True)
        finally:
            self._writers.discard(back)
            back.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            if self._fault == "delay":
                await asyncio.sleep(self._delay)
            if self._fault != "drop":
                writer.write(chunk)
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
