"""One tape on several cores, and as many settings as are to be compared.

The targets of a tape are shared out, as each is judged by itself; what comes of the parts is put together in the order
of time. A part reads the lines of its own targets only.

Knows processes. Must not know what is replayed.
"""

from __future__ import annotations

import gc
import multiprocessing
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

from sentinel.pipeline import PipelineSettings
from sentinel.replay.loop import Replayed, replay
from sentinel.tape import Advance, Entry, read, size

__all__ = ["Stretch", "replay_all", "replay_tape"]

Stretch = tuple[float, float]
"""From when to when a tape is told."""
ALL: Stretch = (float("-inf"), float("inf"))


def replay_tape(
    tape: Path,
    settings: PipelineSettings,
    stretch: Stretch = ALL,
    part: tuple[int, int] = (0, 1),
    progress: Callable[[float], None] | None = None,
) -> Replayed:
    """One part of a tape (number and how many there are) under one set of settings."""
    number, parts = part
    total = max(1, size(tape))

    def mine(target: str) -> bool:
        return zlib.crc32(target.encode()) % parts == number

    def at(read_bytes: int) -> None:
        if progress is not None:
            progress(read_bytes / total)

    entries = read(tape, mine if parts > 1 else None, at if progress else None)
    with _rare_collections():
        return replay((entry for entry in entries if _within(entry, stretch)), settings)


def replay_all(
    tape: Path,
    settings: Sequence[PipelineSettings],
    jobs: int = 1,
    stretch: Stretch = ALL,
    progress: Callable[[float], None] | None = None,
) -> list[Replayed]:
    """A tape under each of the settings; verdicts are the same however many jobs share the work."""
    if jobs <= 1:
        of = len(settings)
        return [replay_tape(tape, each, stretch, progress=_share(progress, at, of)) for at, each in enumerate(settings)]
    run = partial(_run, tape, stretch)
    tasks = [(each, (number, jobs)) for each in settings for number in range(jobs)]
    results: list[Replayed] = []
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done, result in enumerate(pool.map(run, tasks), 1):
            results.append(result)
            if progress is not None:
                progress(done / len(tasks))
    return [_together(results[at : at + jobs]) for at in range(0, len(results), jobs)]


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Values that live for one poll and are in no cycle: looking for cycles among them took a tenth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _run(tape: Path, stretch: Stretch, task: tuple[PipelineSettings, tuple[int, int]]) -> Replayed:
    settings, part = task
    return replay_tape(tape, settings, stretch, part)


def _share(progress: Callable[[float], None] | None, at: int, of: int) -> Callable[[float], None] | None:
    return None if progress is None else lambda done: progress((at + done) / of)


def _within(entry: Entry, stretch: Stretch) -> bool:
    time = entry.now if isinstance(entry, Advance) else entry.time
    return stretch[0] <= time < stretch[1]


def _together(parts: Sequence[Replayed]) -> Replayed:
    whole = Replayed()
    for part in parts:
        whole.history.targets |= part.history.targets
    whole.history.starts, whole.history.gaps = parts[0].history.starts, parts[0].history.gaps
    whole.notifications = sorted(chain.from_iterable(p.notifications for p in parts), key=lambda n: n.time)
    whole.incidents = sorted(chain.from_iterable(p.incidents for p in parts), key=lambda i: i.resolved or i.updated)
    return whole
