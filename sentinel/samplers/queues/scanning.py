"""Names of keys by SCAN, where that was asked for: a little at each poll, all of them once a day.

A step of 250 keys holds the server for some 0.15 ms; at most twenty are taken at a poll, one after the other, so that
a million keys take a quarter of an hour.

Knows cursors. Must not know what a name means: it is told which are worth keeping.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from sentinel.model import Seconds
from sentinel.samplers.base import Reader, refusal
from sentinel.samplers.queues.base import number, texts

__all__ = ["Scanner"]

_STEP, _STEPS = 250, 20
_AGAIN: Seconds = 86400.0
_MOST = 10_000


@dataclass
class Scanner:
    """The names in one database that are worth keeping.

    Args:
        db: Which database.
        telling: What the whole of such a name looks like.
    """

    db: int
    telling: re.Pattern[str]
    names: frozenset[str] = field(default=frozenset(), init=False)
    """Of the last whole scan and the present one, a bounded number."""
    _met: set[str] = field(default_factory=set, init=False)
    _cursor: int = field(default=0, init=False)
    _due: float = field(default=float("-inf"), init=False)

    async def go_on(self, reader: Reader, now: float) -> bool:
        """Take the steps of one poll; True once a scan is complete.

        Raises:
            SamplerError: the server refused.
        """
        if now < self._due:
            return False
        for _ in range(_STEPS):
            (reply,) = await reader.ask(("SCAN", self._cursor, "COUNT", _STEP), db=self.db)
            if isinstance(reply, RedisError):
                self._due = now + _AGAIN
                raise refusal(reply, "SCAN")
            self._cursor = int(number(reply[0]) or 0)
            self._keep(texts(reply[1]))
            if not self._cursor:
                self.names, self._met, self._due = frozenset(self._met), set(), now + _AGAIN
                return True
        return False

    def _keep(self, names: Collection[str]) -> None:
        room = _MOST - len(self._met)
        self._met.update([name for name in names if self.telling.fullmatch(name)][: max(0, room)])
