"""A tape without a daemon: targets are polled, what they say is written down, and nobody judges or tells anything.

Knows targets and a file. Must not know the pipeline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import BinaryIO

from sentinel.model import Seconds
from sentinel.pace import keep_pace
from sentinel.samplers.target import Target, TargetSettings
from sentinel.signals import Signals
from sentinel.tape import Advance, Begin, Encoder

__all__ = ["Recording", "record"]

_CLOCK_EVERY: Seconds = 1.0
"""How often the passing of time is written, so that what falls due by time alone does so in a replay."""


class Recording:
    """One file that grows; each line is on the disk as soon as it is told, so that a kill costs only the last."""

    def __init__(self, file: BinaryIO, now: float) -> None:
        self._file = file
        self._encoder = Encoder()
        self.polls = 0
        file.write(self._encoder.line(Begin(now, "cold")))

    async def poll(self, target: Target, now: Callable[[], float]) -> None:
        """One poll of a target, onto the tape."""
        poll = await target.poll(now())
        self._file.write(self._encoder.line(poll))
        self.polls += 1

    async def tick(self, now: Callable[[], float]) -> None:
        """That time has passed, onto the tape."""
        self._file.write(self._encoder.line(Advance(now())))


async def record(
    settings: Sequence[TargetSettings],
    file: Path,
    now: Callable[[], float],
    lasts: Seconds | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Poll the targets at their intervals until the time is over, SIGTERM or SIGINT; gives how many polls there were.

    Raises:
        OSError: the file cannot be written. One that exists is not overwritten.
    """
    async with AsyncExitStack() as stack:
        signals = stack.enter_context(Signals())
        recording = Recording(stack.enter_context(file.open("xb", buffering=0)), now())
        targets = [Target(each) for each in settings]
        for target in targets:
            stack.push_async_callback(target.close)
        async with asyncio.TaskGroup() as tasks:
            works = [keep_pace(_CLOCK_EVERY, _CLOCK_EVERY, partial(recording.tick, now), lambda _: None)]
            works += [
                keep_pace(t.settings.interval, 0.0, partial(recording.poll, t, now), lambda _: None) for t in targets
            ]
            running = [tasks.create_task(work) for work in works]
            running.append(tasks.create_task(_tell(recording, progress)))
            try:
                async with asyncio.timeout(lasts):
                    await signals.next()
            except TimeoutError:
                pass
            for task in running:
                task.cancel()
    return recording.polls


async def _tell(recording: Recording, progress: Callable[[int], None]) -> None:
    while True:
        progress(recording.polls)
        await asyncio.sleep(1.0)
