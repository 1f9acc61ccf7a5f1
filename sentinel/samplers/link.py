"""One open connection: commands go out as one write, replies come back in order.

hiredis reads the protocol and redis-py's exceptions name the errors. redis-py's own connection is not used: nothing may
happen by itself here (a pool reconnects at will, `CLIENT SETINFO` adds errors to the target's own errorstats), and its
streams and events are dear where a thousand targets hold two each: 14 kB and 50 µs an INFO, against 1 kB and 34 µs.

Knows bytes and the order of replies. Must not know how a connection is dialled, nor what is asked on it.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections import deque
from typing import cast

import hiredis
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from sentinel.samplers.base import Command, Reply

__all__ = ["Link"]

_LAST_WORDS = ("ERR max number of clients", "DENIED")
"""Error replies after which the server closes the connection."""
_KINDS: dict[str, type[RedisError]] = {
    "NOPERM": NoPermissionError,
    "NOAUTH": AuthenticationError,
    "WRONGPASS": AuthenticationError,
    "ERR invalid password": AuthenticationError,
    "ERR AUTH": AuthenticationError,
    "ERR Client sent AUTH": AuthenticationError,
    "ERR wrong number of arguments for 'auth'": AuthenticationError,
}
"""By how an error reply begins."""
_WAITING = 1000
"""Replies that may lie unread, as of a channel that is talked on; the server is then read from no more."""
_USER_TIMEOUT = 30_000
"""Milliseconds after which unanswered data ends a connection; else a lost host is noticed after 15 minutes."""
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": _USER_TIMEOUT}


class Link(asyncio.Protocol):
    """One open connection.

    `owed` counts replies that were asked for and not taken yet, whatever interrupted the waiting. They must be taken
    and thrown away before another command's reply can be.
    """

    __slots__ = (
        "_ended",
        "_paused",
        "_reader",
        "_replies",
        "_transport",
        "_wanted",
        "_woken",
        "db",
        "id",
        "owed",
        "owed_since",
    )

    def __init__(self) -> None:
        self.owed = 0
        self.owed_since: float | None = None
        self.db = 0
        self.id: int | None = None
        self._transport: asyncio.Transport | None = None
        self._reader: hiredis.Reader | None = None
        self._replies: deque[Reply] = deque()
        self._ended: Exception | None = None
        self._paused = False
        self._wanted = 0
        self._woken: asyncio.Future[None] | None = None

    async def exchange(self, commands: tuple[Command, ...]) -> list[Reply]:
        """Replies in order, error replies in their place; replies owed from before are thrown away.

        Raises:
            RedisError or OSError: the connection failed; it is of no more use.
        """
        if self.owed:
            await self._take(self.owed)
        self.owed_since = None
        if self._ended or self._transport is None:
            raise self._ended or ConnectionResetError("not connected")
        self.owed = len(commands)
        self._transport.write(b"".join(map(_packed, commands)))
        return await self._take(len(commands))

    async def pushed(self, within: float) -> Reply:
        """What a subscribed connection was sent unasked; None if nothing comes within so many seconds.

        Raises:
            RedisError or OSError: the connection failed.
        """
        try:
            async with asyncio.timeout(within):
                await self._until(1)
        except TimeoutError:
            return None
        return self._replies.popleft()

    async def close(self) -> None:
        """Close without waiting for the other side."""
        if self._transport:
            self._transport.abort()

    async def _take(self, count: int) -> list[Reply]:
        await self._until(count)
        taken = [self._replies.popleft() for _ in range(count)]
        self.owed -= count
        if self._reader and not self._reader.has_data():
            self._reader = None  # it would keep room for the largest reply for ever
        return taken

    async def _until(self, count: int) -> None:
        """Wait until so many replies are there."""
        while len(self._replies) < count:
            if self._ended:
                raise self._last_word() or self._ended
            if self._paused and self._transport:
                self._paused = False
                self._transport.resume_reading()
            self._wanted = count
            self._woken = asyncio.get_running_loop().create_future()
            try:
                await self._woken
            finally:
                self._wanted, self._woken = 0, None

    def _last_word(self) -> RedisError | None:
        said = (reply for reply in self._replies if isinstance(reply, RedisError))
        return next((error for error in said if str(error).startswith(_LAST_WORDS)), None)

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not say that it is one
        opened = transport.get_extra_info("socket")
        if opened is not None and opened.family in (socket.AF_INET, socket.AF_INET6):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE.items():
                if hasattr(socket, name):
                    opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def data_received(self, data: bytes) -> None:
        """Some of what the server says."""
        if self._reader is None:
            self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=_error)
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self._replies.append(reply)
        except InvalidResponse as error:
            self._end(error)
            return
        if len(self._replies) >= max(_WAITING, self._wanted) and self._transport and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if len(self._replies) >= self._wanted:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, whoever ended it."""
        self._end(exc or ConnectionResetError("the server closed the connection"))

    def _end(self, why: Exception) -> None:
        self._ended = self._ended or why
        if self._transport:
            self._transport.abort()
        self._wake()

    def _wake(self) -> None:
        if self._woken and not self._woken.done():
            self._woken.set_result(None)


def _error(text: str) -> RedisError:
    """An error reply, of redis-py's class where one of ours asks for it."""
    kind = next((kind for start, kind in _KINDS.items() if text.startswith(start)), ResponseError)
    return kind(text)


@functools.lru_cache(maxsize=16_384)
def _packed(command: Command) -> bytes:
    """The wire form, kept: most polls ask the same again."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
