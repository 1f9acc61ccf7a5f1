"""Opening a connection to a target, and saying why it could not be opened.

Knows URLs, TLS, the handshake and what its failures mean. Must not know how many connections are kept, nor what is
asked on them.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from redis import exceptions

from sentinel.model import Secret
from sentinel.samplers.base import Command, Reply, SamplerError, refusal
from sentinel.samplers.link import Link

__all__ = ["Address", "Dialer", "Tls", "failure", "parse_url"]

_SHAPE = "redis://, rediss:// (TLS) or unix://, such as redis://[user[:password]@]host[:port][/db]"
_SCHEMES = {"redis": False, "valkey": False, "rediss": True, "valkeys": True, "unix": False}


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


class Dialer:
    """Opens connections to one target; all of them share one TLS context.

    Args:
        address: Where, and as whom.
        tls: Used when the address asks for TLS.
    """

    def __init__(self, address: Address, tls: Tls | None = None) -> None:
        self.address = address
        self._tls = tls or Tls()
        self._context: ssl.SSLContext | None = None

    async def open(self, name: str, *extra: Command) -> tuple[Link, list[Reply]]:
        """A connection that is logged in, named where that is allowed, and on the address's db.

        Gives it together with the replies to `extra`. The caller bounds the time.

        Raises:
            SamplerError: it could not be opened; the text says what to do.
        """
        address, link = self.address, Link()
        first = _login(address)
        first += [("CLIENT", "SETNAME", name), ("CLIENT", "ID")]
        first += [("SELECT", address.db)] if address.db else []
        try:
            await self._connect(link)
            replies = await link.exchange((*first, *extra))
            _refuse(replies[0], auth_only=not address.password)
            _refuse(replies[len(first) - 1], auth_only=not address.db)
        except (exceptions.RedisError, OSError) as error:
            await link.close()
            raise failure(error, address) from error
        except BaseException:
            await link.close()
            raise
        id_ = replies[len(first) - (2 if address.db else 1)]
        link.id = id_ if isinstance(id_, int) else None
        link.db = address.db
        return link, replies[len(first) :]

    async def _connect(self, link: Link) -> None:
        loop, address = asyncio.get_running_loop(), self.address
        if address.path:
            await loop.create_unix_connection(lambda: link, address.path)
        elif address.tls:
            self._context = self._context or await self._read_files()
            await loop.create_connection(lambda: link, address.host, address.port, ssl=self._context)
        else:
            await loop.create_connection(lambda: link, address.host, address.port)

    async def _read_files(self) -> ssl.SSLContext:
        try:
            return await asyncio.to_thread(_context, self._tls)
        except (OSError, ssl.SSLError) as error:
            raise SamplerError("tls", f"{self.address}: the files of `tls` cannot be used: {error}") from error


def _login(address: Address) -> list[Command]:
    if not address.password:
        return []
    user = (address.username,) if address.username else ()
    return [("AUTH", *user, address.password.reveal())]


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file or None)
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file or None)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _refuse(reply: Reply, *, auth_only: bool) -> None:
    """Raise an error reply to the handshake; a server that forbids naming a client is no reason to."""
    if isinstance(reply, exceptions.AuthenticationError) or (
        isinstance(reply, exceptions.RedisError) and (not auth_only or str(reply).startswith("DENIED"))
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
    if isinstance(error, exceptions.ResponseError | exceptions.AuthenticationError):
        return refusal(error, str(address))
    reason, text = _classified(error)
    hint = ": does it speak TLS at all?" if address.tls and reason == "timeout" else ""
    return SamplerError(reason, f"{address}: {text}{hint}")


def _classified(error: BaseException) -> tuple[str, str]:
    if isinstance(error, TimeoutError):
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
