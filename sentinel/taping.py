"""Keeps the tape of a running daemon, if one is wanted: begins it, writes it every second, and outlives a full disk.

Knows the loop and the log. What is on a tape is `sentinel.tape`'s; nobody else holds it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from sentinel.logs import log
from sentinel.model import Seconds
from sentinel.pipeline import Pipeline, PipelineSettings
from sentinel.tape import Begin, Tape, TapedPipeline, TapeSettings

__all__ = ["Taping"]

EVERY: Seconds = 1.0
"""How often the tape goes to the disk: so much of it a SIGKILL may cost."""

_logger = logging.getLogger("sentinel.app")


class Taping:
    """One tape for the life of a process, over all reloads; or none."""

    def __init__(self) -> None:
        self._tape: Tape | None = None
        self._failing = ""

    async def begin(self, folder: Path, settings: TapeSettings, begin: Begin) -> None:
        """Before the pipeline is made. A tape that cannot be begun is told, and no reason not to watch."""
        if not settings.keep:
            return
        try:
            self._tape = await asyncio.to_thread(Tape, folder, settings, begin)
        except OSError as error:
            log(_logger, logging.ERROR, "No tape is kept", folder=str(folder), why=str(error))

    def pipeline(self, settings: PipelineSettings) -> Pipeline:
        """What judges, on tape if there is one."""
        return Pipeline(settings) if self._tape is None else TapedPipeline(settings, self._tape)

    def gap(self, why: str, now: float) -> None:
        """From here on verdicts may depend on something that is not on the tape."""
        if self._tape is not None:
            self._tape.gap(why, now)

    async def keep_writing(self) -> None:
        """Until cancelled; at once over if there is no tape."""
        while self._tape is not None:
            await asyncio.sleep(EVERY)
            await self._to_disk(self._tape.write)

    async def end(self) -> None:
        """Whatever ended the daemon, what it was told last is on the tape."""
        if self._tape is not None:
            await self._to_disk(self._tape.close)

    async def _to_disk(self, write: Callable[[], None]) -> None:
        failing = ""
        try:
            await asyncio.to_thread(write)
        except OSError as error:
            failing = str(error)
        if failing != self._failing:
            level = logging.ERROR if failing else logging.INFO
            log(_logger, level, "The tape is not written" if failing else "The tape is written again", why=failing)
        self._failing = failing
