"""Two reserved seats per server: named connections, opened early and kept, so that we see when it is full.

At `maxclients` an open connection keeps working (INFO, CLIENT LIST and CONFIG all succeed; measured on six
servers) while every newcomer is refused. So there are two, which take turns: each proves itself on every
second poll and neither falls to the server's `timeout` unused. When one dies the other carries on at once.

A command that timed out keeps its connection: on a server that is frozen and full a dropped seat would not
be got back. The link counts the replies that it owes and throws them away before it reads another.

Knows which connections are open and whose turn it is. Must not know what is asked, nor how to dial.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random

from redis.exceptions import RedisError

from sentinel.model import Seconds
from sentinel.samplers.base import Command, Reply, SamplerError
from sentinel.samplers.dial import Dialer, failure
from sentinel.samplers.link import Link

__all__ = ["NAMES", "Seats"]

NAMES = ("sentinel-sampler", "sentinel-spare")
_BACK_OFF, _BACK_OFF_MOST = 1.0, 30.0
_TRIES = 3
"""Both seats, and one dialled anew: more would hammer a server that drops whoever speaks."""
_OWED_LONG = 30.0
"""Seconds after which a link that owes replies is replaced, if a fresh one can be opened."""
_LASTING = frozenset({"auth", "noperm", "tls", "dns", "not_redis", "protocol"})
"""Reasons that do not pass by themselves: dialling is slowed even while we are blind."""


class Seats:
    """The two seats of one target, and a Reader on them.

    Args:
        dialer: Opens connections to the target.
        timeout: Bound of one `ask`; a dial may take half of it.
    """

    def __init__(self, dialer: Dialer, timeout: Seconds = 2.0) -> None:
        self.address = dialer.address
        self.timeout = timeout
        self._dialer = dialer
        self._links: list[Link | None] = [None, None]
        self._turn = 0
        self._deadline = math.inf
        self._lock = asyncio.Lock()
        self._dialling = asyncio.Lock()
        self._no_evict = True
        self._dials_failed = 0
        self._next_dial = 0.0
        self._blind_since: float | None = None
        self._failure = SamplerError("refused", f"{self.address}: not dialled yet")

    @property
    def open(self) -> int:
        """How many seats are held, 0 to 2. One that has owed replies for long is not counted."""
        return sum(map(self._good, self._links))

    @property
    def ids(self) -> frozenset[int]:
        """Our own client ids on the server."""
        return frozenset(link.id for link in self._links if link and link.id is not None)

    @property
    def blind_for(self) -> Seconds:
        """Seconds since the last seat was lost; 0 while one is held."""
        return 0.0 if self._blind_since is None else asyncio.get_running_loop().time() - self._blind_since

    async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
        """Replies in order; an error reply stands in its place. Dials if no seat is open.

        Args:
            commands: Sent as one write.
            db: Database to ask in; the address's if none is given.

        Raises:
            SamplerError: no seat answered within the timeout.
        """
        try:
            async with asyncio.timeout_at(self._bound()), self._lock:
                return await self._ask(commands, self.address.db if db is None else db)
        except TimeoutError as error:
            raise failure(error, self.address) from None
        finally:
            self._note_owing()

    async def take_turns(self, deadline: float = math.inf) -> None:
        """Begin a poll: let the other seat serve, open one if none is.

        Args:
            deadline: Loop time at which every `ask` and dial until the next call must have ended.

        Raises:
            SamplerError: none is open and none can be opened.
        """
        self._turn, self._deadline = 1 - self._turn, deadline
        if not self.open:
            try:
                await self._dial(self._turn)
            except SamplerError:
                if not any(self._links):
                    raise

    async def fill(self) -> None:
        """Open or replace the other seat if it is missing or long owing; at most one dial, never raises.

        While none answers this is left to `take_turns`, so that a poll never dials twice in vain.
        """
        if self.open == 1:
            missing = next(slot for slot, link in enumerate(self._links) if not self._good(link))
            with contextlib.suppress(SamplerError):
                await self._dial(missing)

    async def close(self) -> None:
        """Give both seats back."""
        links, self._links = self._links, [None, None]
        for link in links:
            if link:
                await link.close()

    async def _ask(self, commands: tuple[Command, ...], db: int) -> list[Reply]:
        for _ in range(_TRIES):
            slot = self._serving()
            if slot is None:
                slot = self._turn
                await self._dial(slot)
            link = self._links[slot]
            assert link is not None
            try:
                return await self._exchange(link, commands, db)
            except (RedisError, OSError) as error:
                await self._lose(slot)
                self._failure = failure(error, self.address)
                if self._failure.reason not in ("reset", "timeout"):
                    break
        raise self._failure

    async def _exchange(self, link: Link, commands: tuple[Command, ...], db: int) -> list[Reply]:
        if link.db == db:
            return await link.exchange(commands)
        selected, *replies = await link.exchange((("SELECT", db), *commands))
        if isinstance(selected, RedisError):
            raise failure(selected, self.address)
        link.db = db
        return replies

    def _serving(self) -> int | None:
        """The slot to ask: whose turn it is, rather one that owes nothing, else any; None if none is open."""
        order = [slot for slot in (self._turn, 1 - self._turn) if self._links[slot]]
        return min(order, key=lambda slot: bool((link := self._links[slot]) and link.owed), default=None)

    async def _dial(self, slot: int) -> None:
        async with self._dialling:
            if self._good(self._links[slot]):
                return
            if asyncio.get_running_loop().time() < self._next_dial:
                raise self._failure
            link = await self._opened(NAMES[slot])
            await self._lose(slot)
            self._links[slot], self._blind_since = link, None
            self._dials_failed, self._next_dial = 0, 0.0

    async def _opened(self, name: str) -> Link:
        extra: tuple[Command, ...] = (("CLIENT", "NO-EVICT", "ON"),) if self._no_evict else ()
        try:
            async with asyncio.timeout_at(self._bound(0.5)):
                link, replies = await self._dialer.open(name, *extra)
        except SamplerError as error:
            self._put_off(error)
            raise
        except (TimeoutError, asyncio.CancelledError) as error:
            self._put_off(failure(TimeoutError(), self.address))
            if isinstance(error, TimeoutError):
                raise self._failure from None
            raise
        self._no_evict = self._no_evict and not any(isinstance(reply, RedisError) for reply in replies)
        return link

    def _bound(self, part: float = 1.0) -> float:
        return min(self._deadline, asyncio.get_running_loop().time() + part * self.timeout)

    def _put_off(self, error: SamplerError) -> None:
        """Full jitter, so that many of us do not come back together; while blind every poll may try."""
        self._failure = error
        self._dials_failed += 1
        now = asyncio.get_running_loop().time()
        if self._blind_since is None and not any(self._links):
            self._blind_since = now
        most = min(_BACK_OFF_MOST, _BACK_OFF * 2**self._dials_failed)
        if any(self._links) or error.reason in _LASTING:
            self._next_dial = now + random.uniform(0, most)

    async def _lose(self, slot: int) -> None:
        link, self._links[slot] = self._links[slot], None
        if link:
            await link.close()
        if not any(self._links):
            self._blind_since = self._blind_since or asyncio.get_running_loop().time()

    def _note_owing(self) -> None:
        for link in self._links:
            if link and link.owed:
                link.owed_since = link.owed_since or asyncio.get_running_loop().time()

    @staticmethod
    def _good(link: Link | None) -> bool:
        if link is None or link.owed_since is None:
            return link is not None
        return asyncio.get_running_loop().time() - link.owed_since <= _OWED_LONG
