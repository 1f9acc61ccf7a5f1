"""Who holds the replies back: the client with the largest output buffer, looked for only when there is a large one.

INFO tells the largest buffer of late (`client_recent_max_output_buffer`, measured by the server for its own limits),
but not whose it is. CLIENT LIST does, at 14 to 36 ms of the server's time for 10,000 clients; so it is asked only
while INFO's figure is large, subscribers first, and never more often than its own cost allows. The reply to the census
is such a buffer itself, 3.4 MB of 10,000 clients: what is no larger than that is not looked for.

Knows rows and their `omem`. Must not know what is too much for a server, nor for how long.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import ClassVar

from redis.exceptions import RedisError

from sentinel.model import Sample, labels
from sentinel.samplers.base import Command, Reader, Vitals, sample

__all__ = ["ClientBuffers"]

_LARGE = 1 << 20
"""Bytes: 16 KiB are each client's own, and replies beyond are sent at once to whoever reads."""
_OURS = 1.5
"""Times the length of the census' reply that the server may hold for it: allocators round up by a quarter at most, and
clients may have become more."""
_LARGE_ROW = re.compile(rb" omem=(\d{7,18})")
_SHOWN = ("name", "addr", "user", "lib-name", "cmd", "db", "id", "age", "idle", "sub", "psub", "flags", "omem")
_EVERY = 30.0
_BUDGET = 0.001
"""Part of the server's time that a look may take, as for the census."""
_FORBIDDEN = 600.0
_LISTS: tuple[Command, ...] = (("CLIENT", "LIST", "TYPE", "pubsub"), ("CLIENT", "LIST"))
"""Subscribers first: they are few, and mostly it is they."""


@dataclass
class ClientBuffers:
    """Emits `redis_client_output_bytes` with the row of its client, while a buffer is large."""

    name: ClassVar[str] = "buffers"
    commands: ClassVar[tuple[str, ...]] = ("client|list",)

    vitals: Vitals = field(default_factory=Vitals, repr=False)
    """What INFO said at this poll."""
    _next: float = field(default=float("-inf"), init=False, repr=False)

    async def sample(self, reader: Reader, now: float) -> list[Sample]:
        """The largest buffer, or nothing while none is large or no look is due."""
        if (self.vitals.output_buffer or 0.0) < max(_LARGE, _OURS * self.vitals.list_bytes) or now < self._next:
            return []
        started = asyncio.get_running_loop().time()
        for command in _LISTS:
            (text,) = await reader.ask(command)
            self._next = now + max(_EVERY, (asyncio.get_running_loop().time() - started) / _BUDGET)
            if isinstance(text, RedisError):
                self._next = now + _FORBIDDEN
            found = _largest(text) if isinstance(text, bytes) else None
            if found is not None:
                row = {key: found[key] for key in _SHOWN if found.get(key)}
                return [sample("redis_client_output_bytes", now, float(found["omem"]), labels(**row))]
        return []


def _largest(text: bytes) -> dict[str, str] | None:
    """The row with the largest `omem`, if one is large. Only rows that can be are looked at."""
    best = max(_LARGE_ROW.finditer(text), key=lambda hit: int(hit[1]), default=None)
    if best is None or int(best[1]) < _LARGE:
        return None
    start, end = text.rfind(b"\n", 0, best.start()) + 1, text.find(b"\n", best.end())
    line = text[start : end if end >= 0 else len(text)].decode("utf-8", "replace")
    return dict(word.partition("=")[::2] for word in line.split(" "))
