"""Who may ask, and who may change something.

Every request must name this host as one of its own: a page of the web that has its name point to 127.0.0.1 (DNS
rebinding) would name its own. What changes something must be `application/json`, which no page of another origin can
send without being asked first, and must bring the token if there is one; beyond loopback there must be one.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import orjson
from aiohttp import web

from sentinel.model import Secret

__all__ = ["Guard", "Handler", "answer", "body_of", "limit_of", "refusal"]

_MOST = 1000
"""Entries in one answer."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Guard:
    """What is asked of a request.

    Args:
        address: The host that is listened on.
        token: Without it nobody beyond this host may change anything.
        hosts: Names under which this host is asked, beside `localhost` and addresses.
    """

    address: str = "127.0.0.1"
    token: Secret | None = None
    hosts: tuple[str, ...] = ()

    def admit(self, request: web.Request) -> web.Response | None:
        """A refusal if the request is not meant for us."""
        name = _host(request.headers.get("Host", ""))
        if not _is_loopback(self.address) or name in ("localhost", *self.hosts) or _is_address(name):
            return None
        return refusal(421, f"{name[:80]!r} is not a name of this host; use its address, or add it to `http: hosts:`")

    def changing(self, handler: Handler) -> Handler:
        """The handler, for those who may change something."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            return self._forbids(request) or await handler(request)

        return guarded

    def _forbids(self, request: web.Request) -> web.Response | None:
        if request.content_type != "application/json":
            return refusal(415, "send the body as JSON, with the header `Content-Type: application/json`")
        if self.token is None:
            if _is_loopback(self.address):
                return None
            return refusal(403, "beyond loopback nothing can be changed without a token; set `http: token:`")
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if hmac.compare_digest(given.encode(), self.token.reveal().encode()):
            return None
        refused = refusal(401, "send the token of `http: token:` in the header `Authorization: Bearer …`")
        refused.headers["WWW-Authenticate"] = "Bearer"
        return refused


def answer(body: object, status: int = 200) -> web.Response:
    """JSON."""
    return web.Response(body=orjson.dumps(body) + b"\n", status=status, content_type="application/json")


def refusal(status: int, why: str) -> web.Response:
    """An error that says what to do."""
    return answer({"error": why}, status)


def limit_of(request: web.Request) -> int:
    """How many entries a request asks for with `?limit=`; 100 if it does not say.

    Raises:
        HTTPBadRequest: it is no number from 1 to 1,000.
    """
    limit = request.query.get("limit", "100")
    if not limit.isdecimal() or not 0 < int(limit) <= _MOST:
        raise web.HTTPBadRequest(reason=f"`limit` must be a whole number from 1 to {_MOST}, got {limit[:40]!r}")
    return int(limit)


async def body_of(request: web.Request) -> dict[str, Any]:
    """The mapping that a request brings; an empty body is an empty one.

    Raises:
        ValueError: it is something else.
    """
    text = await request.read()
    try:
        found = orjson.loads(text) if text.strip() else {}
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError('the body must be a JSON object, such as {"by": "ada"}')
    return found


def _host(header: str) -> str:
    """The name in a Host header, without its port.

    >>> [_host(header) for header in ("localhost:9750", "[::1]:9750", "Sentinel.Example", "127.0.0.1")]
    ['localhost', '::1', 'sentinel.example', '127.0.0.1']
    """
    name = header.rpartition("]")[0].lstrip("[") if header.startswith("[") else header.partition(":")[0]
    return name.lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)
