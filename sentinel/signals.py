"""What the process was told by signals: to stop, or to read its configuration again.

Knows which signal means what; must not know what is done about it.
"""

from __future__ import annotations

import asyncio
import enum
import signal

__all__ = ["Signals", "Told"]


class Told(enum.Enum):
    """What a signal asks for."""

    STOP = enum.auto()
    RELOAD = enum.auto()


_MEANING = {signal.SIGTERM: Told.STOP, signal.SIGINT: Told.STOP, signal.SIGHUP: Told.RELOAD}


class Signals:
    """SIGTERM, SIGINT and SIGHUP of this process, in the order in which they came, while it is entered."""

    def __init__(self) -> None:
        self._told: asyncio.Queue[Told] = asyncio.Queue()

    async def next(self) -> Told:
        """What was told next; waits for it."""
        return await self._told.get()

    def __enter__(self) -> Signals:
        loop = asyncio.get_running_loop()
        for number, meaning in _MEANING.items():
            loop.add_signal_handler(number, self._told.put_nowait, meaning)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in _MEANING:
            loop.remove_signal_handler(number)
