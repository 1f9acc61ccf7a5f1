"""Opening a connection to a target, and saying why it could not be opened.

Knows URLs, TLS, the handshake and how redis-py words its errors. Must not know how many connections are kept,
nor what is asked on them. redis-py's low-level connection is used without its pool, retries and default
handshake: a pool reconnects at will, and `CLIENT SETINFO` adds errors to the target's own errorstats.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redis import exceptions
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    RedisSSLContext,
    SSLConnection,
    UnixDomainSocketConnection,
)

from sentinel.model import Secret
from sentinel.samplers.base import Command, Reply, SamplerError, refusal

__all__ = ["Address", "Dialer", "Link", "Tls", "failure", "parse_url"]

_SHAPE = "redis://, rediss:// (TLS) or unix://, such as redis://[user[:password]@]host[:port][/db]"
_SCHEMES = {"redis": False, "valkey": False, "rediss": True, "valkeys": True, "unix": False}
_USER_TIMEOUT = 30_000
"""Milliseconds after which unanswered data ends a connection; else a lost host is noticed after 15 minutes."""


@dataclass(frozen=True)
class Tls:
    """How a `rediss://` target is verified, and how we show ourselves."""

    ca_file: str = ""
    """PEM file of the authorities to trust; empty for the system's."""
    cert_file: str = ""
    key_file: str = ""
    verify: bool = True
    """Check the server's certificate and host name."""


@dataclass(frozen=True)
class Address:
    """Where a target is and as whom we come. Its text shows no credentials."""

    host: str = ""
    port: int = 6379
    path: str = ""
    """Of a unix socket, instead of host and port."""
    tls: bool = False
    db: int = 0
    username: str = field(default="", repr=False)
    password: Secret | None = None

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}"

    @property
    def label(self) -> str:
        """A name for a target that was given none: `host:port`, or the socket's path."""
        return self.path or str(self).partition("://")[2]


def parse_url(url: str) -> Address:
    """The address that a URL names. Special characters in a user or password are percent-encoded.

    >>> str(parse_url("rediss://sentinel:s3cret@redis-a.internal/2"))
    'rediss://redis-a.internal:6379'

    Raises:
        ValueError: it is no such URL. The text does not repeat it, as it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port, query = parts.port or 6379, dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ValueError(f"not a target URL: it must be {_SHAPE}, with a port from 1 to 65535") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"not a target URL: it must begin with {_SHAPE}")
    unix = parts.scheme == "unix"
    if not (parts.path if unix else parts.hostname):
        raise ValueError(f"the target URL names no {'socket path' if unix else 'host'}: it must be {_SHAPE}")
    if set(query) - {"db"} or parts.fragment:
        raise ValueError("a target URL may hold ?db=N and nothing else; percent-encode ? and # in passwords")
    return Address(
        host="" if unix else parts.hostname or "",
        port=port,
        path=unquote(parts.path) if unix else "",
        tls=_SCHEMES[parts.scheme],
        db=_database(query.get("db") or ("" if unix else parts.path.strip("/"))),
        username=unquote(parts.username or ""),
        password=Secret(unquote(parts.password)) if parts.password else None,
    )


def _database(text: str) -> int:
    if text and not text.isdecimal():
        raise ValueError("the db in a target URL must be a number: redis://host:6379/0")
    return int(text or 0)


class Link:
    """One open connection: commands go out as one write, replies come back in order.

    `owed` counts replies that were asked for and not read yet, whatever interrupted the reading. They must be
    read and thrown away before another command's reply can be.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self.owed = 0
        self.owed_since: float | None = None
        self.db = 0
        self.id: int | None = None

    async def exchange(self, commands: tuple[Command, ...]) -> list[Reply]:
        """Replies in order, error replies in their place; replies owed from before are thrown away.

        Raises:
            RedisError or OSError: the connection failed; it is of no more use.
        """
        while self.owed:
            await self._read()
        self.owed_since = None
        self.owed = len(commands)
        await self._connection.send_packed_command(_packed(commands), check_health=False)
        return [await self._read() for _ in commands]

    async def pushed(self, within: float) -> Reply:
        """What a subscribed connection was sent unasked; None if nothing comes within so many seconds.

        Raises:
            RedisError or OSError: the connection failed.
        """
        try:
            async with asyncio.timeout(within):
                return await self._connection.read_response(disconnect_on_error=False)
        except TimeoutError:
            return None

    async def close(self) -> None:
        """Close without waiting for the other side."""
        with contextlib.suppress(OSError, exceptions.RedisError):
            await self._connection.disconnect(nowait=True)

    async def _read(self) -> Reply:
        try:
            reply = await self._connection.read_response(disconnect_on_error=False)
        except exceptions.RedisError as error:
            if _ends_connection(error):
                raise
            reply = error
        self.owed -= 1
        return reply


def _packed(commands: tuple[Command, ...]) -> bytes:
    return b"".join(map(_packed_command, commands))


@functools.lru_cache(maxsize=16_384)
def _packed_command(command: Command) -> bytes:
    """The wire form, kept: most polls ask the same again, and redis-py's packing costs a tenth of a poll."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _ends_connection(error: exceptions.RedisError) -> bool:
    answered = error.status_code is not None or isinstance(error, exceptions.ResponseError)
    return not answered or str(error).startswith("max number of clients")


class Dialer:
    """Opens connections to one target; all of them share one TLS context.

    Args:
        address: Where, and as whom.
        tls: Used when the address asks for TLS.
    """

    def __init__(self, address: Address, tls: Tls | None = None) -> None:
        self.address = address
        self._tls = tls or Tls()
        self._context: RedisSSLContext | None = None

    async def open(self, name: str, *extra: Command) -> tuple[Link, list[Reply]]:
        """A connection that is logged in, named where that is allowed, and on the address's db.

        Gives it together with the replies to `extra`. The caller bounds the time.

        Raises:
            SamplerError: it could not be opened; the text says what to do.
        """
        connection = self._connection()
        link = Link(connection)
        first: list[Command] = [("CLIENT", "SETNAME", name), ("CLIENT", "ID")]
        first += [("SELECT", self.address.db)] if self.address.db else []
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            replies = await link.exchange((*first, *extra))
            _refuse(replies[0], auth_only=True)
            _refuse(replies[len(first) - 1], auth_only=not self.address.db)
        except (exceptions.RedisError, OSError) as error:
            await link.close()
            raise failure(error, self.address) from error
        except BaseException:
            await link.close()
            raise
        link.id = replies[1] if isinstance(replies[1], int) else None
        link.db = self.address.db
        return link, replies[len(first) :]

    def _connection(self) -> AbstractConnection:
        address, password = self.address, self.address.password
        common: dict[str, Any] = {
            "protocol": 2,
            "driver_info": None,
            "socket_timeout": None,
            "socket_connect_timeout": None,
            "username": address.username or None,
            "password": password.reveal() if password else None,
        }
        if address.path:
            return UnixDomainSocketConnection(path=address.path, **common)
        common |= {"host": address.host, "port": address.port, "socket_keepalive_options": _keepalive()}
        return self._encrypted(common) if address.tls else Connection(**common)

    def _encrypted(self, common: dict[str, Any]) -> AbstractConnection:
        connection = SSLConnection(
            ssl_ca_certs=self._tls.ca_file or None,
            ssl_certfile=self._tls.cert_file or None,
            ssl_keyfile=self._tls.key_file or None,
            ssl_cert_reqs="required" if self._tls.verify else "none",
            ssl_check_hostname=self._tls.verify,
            **common,
        )
        self._context = connection.ssl_context = self._context or connection.ssl_context
        return connection


def _keepalive() -> dict[int, int]:
    wanted = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": _USER_TIMEOUT}
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}


def _refuse(reply: Reply, *, auth_only: bool) -> None:
    """Raise an error reply to the handshake; a server that forbids naming a client is no reason to."""
    if isinstance(reply, exceptions.AuthenticationError) or (
        isinstance(reply, exceptions.RedisError)
        and (not auth_only or str(reply).startswith(("DENIED", "max number of clients")))
    ):
        raise reply


_ERRNO = {
    errno.ECONNREFUSED: ("refused", "nobody listens there: is the server up, is the port right?"),
    errno.ENOENT: ("refused", "no such socket file"),
    errno.EACCES: ("refused", "no permission on the socket file"),
    errno.EHOSTUNREACH: ("timeout", "no route to the host"),
    errno.ENETUNREACH: ("timeout", "no route to the network"),
    errno.ETIMEDOUT: ("timeout", "the host does not answer"),
}


def failure(error: BaseException, address: Address) -> SamplerError:
    """The SamplerError that a failed connection or a refused handshake amounts to."""
    error = _root(error)
    if isinstance(error, exceptions.RedisError) and (error.status_code or _answers(error)):
        return refusal(error, str(address))
    reason, text = _classified(error)
    hint = ": does it speak TLS at all?" if address.tls and reason == "timeout" else ""
    return SamplerError(reason, f"{address}: {text}{hint}")


def _answers(error: exceptions.RedisError) -> bool:
    return isinstance(error, exceptions.ResponseError | exceptions.AuthenticationError)


def _classified(error: BaseException) -> tuple[str, str]:
    if isinstance(error, TimeoutError | exceptions.TimeoutError):
        return "timeout", "no answer in time"
    if isinstance(error, exceptions.InvalidResponse):
        return "not_redis", "it does not speak Redis' protocol: is the port right, does it want TLS (rediss://)?"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls", f"its certificate is not trusted: {error.verify_message}; see `tls.ca_file`"
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return "tls", f"the TLS handshake failed ({error.reason}): does it speak TLS at all?"
    if isinstance(error, socket.gaierror):
        return "dns", f"the host name is not known: {error.strerror}"
    if isinstance(error, OSError) and error.errno in _ERRNO:
        return _ERRNO[error.errno]
    return "reset", "the connection was dropped: by a full server, a proxy, or as it wants TLS (rediss://)"


def _root(error: BaseException) -> BaseException:
    """What redis-py wrapped: it says every failure of the network with one class and a text."""
    inner = error.__cause__ or error.__context__
    if isinstance(error, exceptions.ConnectionError) and not _answers(error) and inner is not None:
        return _root(inner)
    return error
