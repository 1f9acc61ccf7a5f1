"""Connections as applications hold them: named, one at a time, nothing hidden behind a pool.

Knows how to open one and ask on it; must not know who does it, or why. Every wait is bounded here and not by
redis-py's `socket_timeout`: that one sends within `asyncio.wait_for`, which in Python 3.11 loses a cancellation that
comes as the sending ends, and a client that cannot be stopped outlives its drill.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from sentinel.model import Seconds

__all__ = ["LOST", "ask", "connection", "full", "open_connection"]

LOST = (ConnectionError, TimeoutError, OSError)
"""What a client sees when its server is full, gone or hanging."""

PATIENCE: Seconds = 5.0
"""Bound of every wait for the server."""


async def open_connection(port: int, name: str = "") -> Connection:
    """A connection to the server on loopback, open. Whoever opens it closes it, with `disconnect()`.

    Raises:
        One of `LOST`: the server does not let us in; see `full`.
    """
    opened = Connection(
        host="127.0.0.1",
        port=port,
        client_name=name or None,
        protocol=2,
        driver_info=None,
        socket_timeout=None,
        socket_connect_timeout=None,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        async with asyncio.timeout(PATIENCE):
            await opened.connect()  # type: ignore[no-untyped-call]
    except BaseException:
        await opened.disconnect(nowait=True)
        raise
    return opened


@asynccontextmanager
async def connection(port: int, name: str = "") -> AsyncIterator[Connection]:
    """The same, closed at the end."""
    opened = await open_connection(port, name)
    try:
        yield opened
    finally:
        await opened.disconnect(nowait=True)


async def ask(opened: Connection, *command: str | int | float) -> Any:
    """Send one command and give its reply."""
    async with asyncio.timeout(PATIENCE):
        await opened.send_command(*command)
        return await opened.read_response()


def full(error: RedisError | OSError) -> bool:
    """Whether the server had no room for one more.

    >>> full(ConnectionError("max number of clients reached"))
    True
    """
    return "max number of clients" in str(error)
