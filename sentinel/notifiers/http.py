"""One HTTP exchange, and what its outcome means: shared by all notifiers that speak HTTP.

Knows aiohttp and statuses. Must not know any vendor. Source: reference/delivery.md section 1, where the traps are
measured: redirects re-send the body to the new host, and several aiohttp errors print the whole URL.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult

from sentinel import __version__
from sentinel.model import Secret
from sentinel.notifiers.base import DeliveryError, Outcome
from sentinel.notifiers.network import (
    NetworkSettings,
    address_refused,
    is_loopback,
    literal_refused,
    redact,
    tls_context,
    usual_tls,
)
from sentinel.notifiers.wording import clean

__all__ = [
    "Answer",
    "HttpSettings",
    "check",
    "check_url",
    "exchange",
    "longest",
    "open_session",
    "refused",
    "retry_after",
    "said",
]

MAX_ANSWER = 64 << 10
MAX_WAIT = 3600.0
_TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5, sock_read=10)

_OUTCOMES = {
    400: Outcome.REJECTED_PAYLOAD,
    408: Outcome.RETRY,
    409: Outcome.RETRY,
    410: Outcome.GONE,
    413: Outcome.REJECTED_PAYLOAD,
    414: Outcome.REJECTED_PAYLOAD,
    415: Outcome.REJECTED_PAYLOAD,
    420: Outcome.THROTTLED,
    421: Outcome.RETRY,
    422: Outcome.REJECTED_PAYLOAD,
    423: Outcome.RETRY,
    425: Outcome.RETRY,
    429: Outcome.THROTTLED,
    431: Outcome.REJECTED_PAYLOAD,
    503: Outcome.RETRY,
}
_ADVICE = {
    Outcome.RETRY: "It is tried again",
    Outcome.AMBIGUOUS: "It is tried again, and may then arrive twice with the same id",
    Outcome.THROTTLED: "It is tried again later",
    Outcome.REJECTED_PAYLOAD: "The plain text is tried once; then it is a dead letter",
    Outcome.REJECTED_CONFIG: "Check this destination's address and credentials in the configuration",
    Outcome.GONE: "The receiving end was deleted: make a new one, change the configuration and reload",
}


@dataclass(frozen=True, kw_only=True)
class HttpSettings(NetworkSettings):
    """How a destination is reached: what all HTTP notifiers have in common.

    Args:
        allow_http: Allow plain http to hosts other than this one. Tokens then travel unprotected. Plain http to a
            loopback address (127.0.0.1, [::1], localhost) is always allowed: first tries and laboratories use it.
        proxy_url: Proxy for this destination.
        proxy_from_environment: Use HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
    """

    allow_http: bool = False
    proxy_url: Secret | None = None
    proxy_from_environment: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a destination answered, read at most to `MAX_ANSWER` bytes."""

    host: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool
    """Whether the body was read to its end."""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def check_url(field: str, url: Secret, *, allow_http: bool) -> None:
    """Refuse a URL that could never work, at configuration time.

    Raises:
        ValueError: begins with the field's name and holds nothing of the URL but its scheme and host.
    """
    try:
        parts = urlsplit(url.reveal())
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(f"{field} must be a URL such as https://example.com/path") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"{field} must begin with https:// and name a host")
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise ValueError(f"{field} must begin with https://; for plain http to {host} set allow_http: true")
    if (why := literal_refused(host, deny_private=False)) is not None:
        raise ValueError(f"{field} must not point to {host}: {why}")


def open_session(settings: object) -> aiohttp.ClientSession:
    """A session for one destination: no cookies, no redirects followed, guarded addresses, short timeouts.

    Connections are not reused: alerts are rare, and one that went stale in a pool would look like an answer lost.
    """
    own = settings if isinstance(settings, HttpSettings) else HttpSettings()
    connector = aiohttp.TCPConnector(
        resolver=_GuardedResolver(deny_private=own.deny_private_networks),
        ssl=usual_tls(own) or tls_context(own),  # True is the context that all of aiohttp shares
        force_close=True,
        limit=8,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=_TIMEOUT,
        headers={"User-Agent": f"sentinel/{__version__}", "Accept-Encoding": "identity"},
        proxy=own.proxy_url.reveal() if own.proxy_url else None,
        trust_env=own.proxy_from_environment,
        raise_for_status=False,
    )


async def exchange(
    session: aiohttp.ClientSession,
    settings: HttpSettings,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str],
    method: str = "POST",
) -> Answer:
    """Send one request and read the answer, whatever its status.

    Raises:
        DeliveryError: there was no answer, or the address must not be reached.
    """
    host = urlsplit(url).hostname or ""
    if (why := literal_refused(host, deny_private=settings.deny_private_networks)) is not None:
        raise _error(Outcome.REJECTED_CONFIG, f"{host} must not be reached: {why}")
    try:
        async with session.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
            content, complete = await _read(response)
            return Answer(host, response.status, response.headers, content, complete)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise _unanswered(host, error) from None


def check(answer: Answer, settings: HttpSettings, now: float, outcomes: Mapping[int, Outcome] | None = None) -> None:
    """Take a 2xx as success, and anything else as what the table of outcomes says.

    Args:
        answer: What came back.
        settings: Whose secrets are kept out of the text.
        now: Unix seconds, for a Retry-After that is a date.
        outcomes: Where a destination's statuses mean something else than usual.

    Raises:
        DeliveryError: the status is not 2xx.
    """
    if 200 <= answer.status < 300:
        return
    outcome = (outcomes or {}).get(answer.status) or _outcome(answer.status)
    said = redact(answer.text, settings)
    where = _redirected(answer) if 300 <= answer.status < 400 else (f": {said}" if said else "")
    raise _error(
        outcome,
        f"{answer.host} answered {answer.status}{where}",
        after=retry_after(answer.headers.get("Retry-After"), now),
        status=answer.status,
    )


def refused(
    outcome: Outcome, answer: Answer, settings: HttpSettings, said: str, *, after: float | None = None
) -> DeliveryError:
    """The error for a refusal that is said in the body rather than by the status."""
    text = f"{answer.host} answered {answer.status}: {redact(said, settings)}"
    return _error(outcome, text, after=after, status=answer.status)


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds that a Retry-After asks for: a number, also with a fraction, or a date; at most an hour.

    >>> retry_after("1.5", 0), retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 50), retry_after("soon", 0)
    (1.5, 10.0, None)
    """
    text = (value or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return min(float(text), MAX_WAIT)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError):
        return None
    date = date.replace(tzinfo=UTC) if date.tzinfo is None else date
    return min(max(date.timestamp() - now, 0.0), MAX_WAIT)


def longest(header: str | None, body: Any, now: float) -> float | None:
    """The longer of what header and body ask one to wait."""
    waits = (retry_after(header, now), None if body is None else retry_after(str(body), now))
    return max((wait for wait in waits if wait is not None), default=None)


def said(answer: Answer) -> dict[str, Any]:
    """The object in an answer; an empty one if there is none."""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _error(outcome: Outcome, text: str, *, after: float | None = None, status: int | None = None) -> DeliveryError:
    return DeliveryError(outcome, f"{text}. {_ADVICE[outcome]}", after=after, status=status)


def _outcome(status: int) -> Outcome:
    """The usual meaning of a status that is not 2xx. An unknown 4xx keeps the rows rather than dropping them."""
    return _OUTCOMES.get(status) or (Outcome.AMBIGUOUS if status >= 500 else Outcome.REJECTED_CONFIG)


def _redirected(answer: Answer) -> str:
    try:
        host = urlsplit(answer.headers.get("Location", "")).hostname
    except ValueError:
        host = None
    return f" (a redirect to {clean(host or 'itself')[:100]}, which is not followed)"


async def _read(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """The answer's body up to the bound, and whether that is all; an answer that breaks off is kept as far as read."""
    content = bytearray()
    try:
        while len(content) < MAX_ANSWER:
            if not (chunk := await response.content.read(MAX_ANSWER - len(content))):
                return bytes(content), True
            content += chunk
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    response.close()
    return bytes(content), False


def _unanswered(host: str, error: Exception) -> DeliveryError:
    """What it means that there was no answer: before the request was written it is certain that nothing happened."""
    match error:
        case aiohttp.ClientConnectorError(os_error=_RefusedError() as guard):
            return _error(Outcome.REJECTED_CONFIG, f"{host} must not be reached: {guard}")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return _error(Outcome.RETRY, f"no TLS connection to {host}: {_reason(error)}")
        case aiohttp.ClientConnectorError():
            return _error(Outcome.RETRY, f"cannot connect to {host}: {_reason(error)}")
        case aiohttp.ConnectionTimeoutError():
            return _error(Outcome.RETRY, f"cannot connect to {host}: no answer in {_TIMEOUT.connect:.0f} s")
        case aiohttp.ClientHttpProxyError():
            outcome = Outcome.REJECTED_CONFIG if error.status == 407 else Outcome.RETRY
            return _error(outcome, f"the proxy for {host} answered {error.status}", status=error.status)
        case aiohttp.InvalidURL() | ValueError():
            return _error(Outcome.REJECTED_CONFIG, f"the address of {host or 'the destination'} is not a valid URL")
        case TimeoutError():
            return _error(Outcome.AMBIGUOUS, f"{host} took the request and did not answer in time")
        case _:
            return _error(Outcome.AMBIGUOUS, f"{host} broke off before it answered ({type(error).__name__})")


def _reason(error: Exception) -> str:
    """The system's word for it; never the error's own text, which may hold a URL."""
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted ({clean(cause.verify_message)})"
    if isinstance(cause, ssl.SSLError):
        return clean(cause.reason or "TLS failed").lower().replace("_", " ")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known here"
    number = getattr(cause, "errno", None)
    return os.strerror(number) if number else type(error).__name__


class _RefusedError(OSError):
    """An address that must not be reached."""


class _GuardedResolver(AbstractResolver):
    """Resolves names and refuses addresses. The connector dials exactly what this gives: rebinding is no way round."""

    def __init__(self, *, deny_private: bool) -> None:
        self._resolver = aiohttp.ThreadedResolver()
        self._deny_private = deny_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            if (why := address_refused(result["host"], deny_private=self._deny_private)) is not None:
                raise _RefusedError(f"it leads to {result['host']}, {why}")
        return found

    async def close(self) -> None:
        await self._resolver.close()
