"""When work is done again and again: at its times, one after another, never piled up.

Knows waiting and nothing of what is done. Everything that a daemon does at an interval for one target comes from here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sentinel.model import Seconds

__all__ = ["keep_pace"]


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
