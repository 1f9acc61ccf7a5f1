"""When work is done again and again: at its times, one after another, never piled up.

Knows waiting and nothing of what is done. Everything that a daemon does at an interval for one target comes from here,
and so does the knowledge that the daemon itself is behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sentinel.model import Seconds

__all__ = ["Lateness", "keep_pace"]


async def keep_pace(
    interval: Seconds, offset: Seconds, work: Callable[[], Awaitable[None]], skipped: Callable[[int], None]
) -> None:
    """Do `work` at `offset`, `offset + interval` and so on, until cancelled.

    A time that comes while the work before it still runs is left out, so that who is late once is on time again.

    Args:
        interval: From one time to the next.
        offset: From now to the first, so that many do not fall on one moment.
        work: Awaited to its end each time.
        skipped: Told how many times were left out.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + offset
    while True:
        await asyncio.sleep(max(0.0, due - loop.time()))
        await work()
        missed = max(0, int((loop.time() - due) // interval))
        if missed:
            skipped(missed)
        due += interval * (missed + 1)


class Lateness:
    """How late this process comes to what is due.

    A process that gets no processor sees time-outs that nobody but itself caused.
    """

    def __init__(self) -> None:
        self.seconds: Seconds = 0.0
        """The worst of late; what was worse before fades by half in less than a second."""

    async def watch(self, every: Seconds = 0.25) -> None:
        """Keep measuring, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + every
            await asyncio.sleep(every)
            self.seconds = max(loop.time() - due, 0.8 * self.seconds)
