"""What was learnt, in a file of its own: it is large, replaced whole, and worth less than an incident.

Knows one file and its format. Does not know what is in a snapshot; whether it fits is the pipeline's to say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sentinel import statefile
from sentinel.store.errors import StoreError

__all__ = ["Snapshot", "SnapshotFile"]

_FORMAT = 2
_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was learnt, as it was saved, or why there is none."""

    data: bytes | None
    why: str = ""


class SnapshotFile:
    """One snapshot on the disk.

    Args:
        path: The file.
        run: Does blocking work elsewhere.
    """

    def __init__(self, path: Path, run: Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]]) -> None:
        self._path, self._run = path, run

    async def save(self, parts: Iterable[bytes], now: float) -> None:
        """Replace the snapshot; after a crash there is the old one or the new one, whole.

        Args:
            parts: What it holds. Each is asked for when the one before is written, so that it is never in memory as
                a whole, and the loop goes on in between.
            now: When.

        Raises:
            StoreError: the disk did not take it.
        """
        path, digest = self._path, hashlib.sha256()
        try:
            new = await self._run(lambda: statefile.Replacement(path))
            try:
                await self._run(partial(new.write, json.dumps({"format": _FORMAT, "saved": now}).encode() + b"\n"))
                for part in parts:
                    digest.update(part)
                    await self._run(partial(new.write, part))
                await self._run(partial(new.write, digest.digest()))
                await self._run(new.finish)
            finally:
                await self._run(new.abandon)
        except OSError as error:
            raise StoreError(
                f"{path}: cannot save detector state: {error.strerror}; {statefile.remedy(error)}"
            ) from error

    async def load(self) -> Snapshot:
        """The last snapshot, if it is whole and nobody else could have written it."""
        path = self._path
        try:
            whole = await self._run(lambda: statefile.read_ours(path))
        except FileNotFoundError:
            return Snapshot(None, "no detector state yet: detectors start cold")
        except OSError as error:
            return Snapshot(None, f"{path}: {error.strerror}: detectors start cold")
        return _opened(path, whole)


def _opened(path: Path, whole: bytes) -> Snapshot:
    head, _, rest = whole.partition(b"\n")
    data, digest = rest[:-_DIGEST], rest[-_DIGEST:]
    try:
        found = json.loads(head)["format"]
    except (ValueError, KeyError, TypeError):
        return Snapshot(None, f"{path}: is not a snapshot: detectors start cold")
    if found != _FORMAT:
        return Snapshot(None, f"{path}: is of format {found}, this is {_FORMAT}: detectors start cold")
    if digest != hashlib.sha256(data).digest():
        return Snapshot(None, f"{path}: is damaged: detectors start cold")
    return Snapshot(data)
