"""The server that a drill may hurt: connections to it, a bound on what is done to it, and what it looks like before.

Whatever a drill does here ends with it: connections are closed when it is left and die with the process, keys carry a
name of their own and a time to live, and nothing of the server's configuration is touched. So also a drill that was
killed leaves nothing behind for longer than a minute.

Knows connections through the samplers' dialer, so that TLS, users and sockets work as they do for the daemon. Must not
know scenarios.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from types import TracebackType
from typing import Any

from redis.exceptions import RedisError

from sentinel.model import Seconds
from sentinel.samplers.base import Command, SamplerError
from sentinel.samplers.dial import Address, Dialer
from sentinel.samplers.link import Link

__all__ = ["KEYS", "LOST", "TTL", "Victim"]

KEYS = "drill:sentinel:"
"""What every key of a drill begins with."""
TTL: Seconds = 60.0
"""After which a key of a drill goes away by itself."""
LOST = (SamplerError, RedisError, OSError, TimeoutError)
"""What a client sees when the server is full, gone or hanging."""
_PATIENCE: Seconds = 20.0
_FIELD = re.compile(r"^([a-z_0-9]+):(.*?)\r?$", re.MULTILINE)
_OTHERS = 20
_KEYS_OF_OTHERS = 100
_DAYS: Seconds = 7 * 86400.0


class Victim:
    """One server, while it is entered.

    Args:
        address: Where, and as whom.
        at_most: Connections that may be held at once; beyond it `open` refuses.
    """

    def __init__(self, address: Address, at_most: int) -> None:
        self.address, self.at_most = address, at_most
        self._dialer = Dialer(address)
        self._held: set[Link] = set()

    @property
    def held(self) -> int:
        """Connections open now."""
        return len(self._held)

    async def open(self, name: str = "") -> Link:
        """A connection that calls itself so; empty for no name.

        Raises:
            One of `LOST`: the server does not let us in.
            OverflowError: the drill holds as many as it may.
        """
        if len(self._held) >= self.at_most:
            raise OverflowError(f"a drill holds at most {self.at_most} connections")
        async with asyncio.timeout(_PATIENCE):
            link, _ = await self._dialer.open(name)
        self._held.add(link)
        return link

    async def ask(self, link: Link, *command: str | int | float) -> Any:
        """One command and its reply; an error reply is returned as such."""
        (reply,) = await self.exchange(link, command)
        return reply

    async def exchange(self, link: Link, *commands: Command) -> list[Any]:
        """Several at once."""
        async with asyncio.timeout(_PATIENCE):
            return await link.exchange(commands)

    async def close(self, *links: Link) -> None:
        """Give these back, or all."""
        for link in links or tuple(self._held):
            self._held.discard(link)
            await link.close()

    async def vitals(self, link: Link) -> dict[str, str]:
        """INFO's fields."""
        reply = await self.ask(link, "INFO")
        return dict(_FIELD.findall(reply.decode("utf-8", "replace"))) if isinstance(reply, bytes) else {}

    async def looks_like_production(self) -> list[str]:
        """Why it should perhaps not be hurt, each reason in words; none: it looks like a server for trying things.

        Raises:
            One of `LOST`.
        """
        link = await self.open("drill-look")
        try:
            return _reasons(await self.vitals(link), self.address)
        finally:
            await self.close(link)

    async def __aenter__(self) -> Victim:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(*LOST):
            await self.close()


def _reasons(info: dict[str, str], address: Address) -> list[str]:
    found = []
    if not address.path and address.host not in ("127.0.0.1", "localhost", "::1"):
        found.append(f"it is on another host ({address.host})")
    if (clients := _number(info.get("connected_clients"))) > _OTHERS:
        found.append(f"{clients:.0f} clients are connected to it")
    keys = sum(
        float(count)
        for name, text in info.items()
        if name.startswith("db")
        for count in re.findall(r"keys=(\d+)", text)
    )
    if keys > _KEYS_OF_OTHERS:
        found.append(f"it holds {keys:.0f} keys")
    if _number(info.get("connected_slaves")) or info.get("role") == "slave":
        found.append("it is part of a replication")
    if info.get("aof_enabled") == "1":
        found.append("it writes an append-only file")
    if (up := _number(info.get("uptime_in_seconds"))) > _DAYS:
        found.append(f"it has been up for {up / 86400:.0f} days")
    return found


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
