"""Reaching a destination over any network: whom to trust, which addresses never to reach, what never to show.

Knows addresses, certificates and secrets; no protocol. Source: reference/delivery.md 1.2 and 1.4, where the traps are
measured: an IP literal never reaches a resolver, and errors print whole URLs.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sentinel.model import Secret
from sentinel.notifiers.voice import Voice
from sentinel.notifiers.wording import clean, cut

__all__ = ["NetworkSettings", "address_refused", "is_loopback", "literal_refused", "redact", "tls_context", "usual_tls"]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_METADATA_V6 = ipaddress.ip_address("fd00:ec2::254")


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Voice):
    """How a destination is reached.

    Args:
        deny_private_networks: Refuse every address that is not public.
        ca_file: Certificates to trust instead of the system's.
        insecure_skip_verify: Trust any certificate. Whoever is in between can then read the tokens; a log line says so
            at each start.
        client_cert_file: Certificate (and key, unless `client_key_file`) to show to the server.
        client_key_file: Key of that certificate.
    """

    deny_private_networks: bool = False
    ca_file: Path | None = None
    insecure_skip_verify: bool = False
    client_cert_file: Path | None = None
    client_key_file: Path | None = None

    def secrets(self) -> tuple[str, ...]:
        """Everything that must not be seen: secrets, and the parts of URLs that could be."""
        found = {text for field in fields(self) for text in _secrets_in(getattr(self, field.name))}
        return tuple(sorted(found, key=len, reverse=True))


def redact(text: str, settings: NetworkSettings, limit: int = 500) -> str:
    """A text from outside, fit for a log: secrets and URL paths gone, one line, at most `limit` characters."""
    for secret in settings.secrets():
        text = text.replace(secret, "<redacted>")
    text = re.sub(r"(https?://[^/\s\"'<>]+)/[^\s\"'<>]*", r"\1/<redacted>", text)
    return cut(clean(text), limit)


def literal_refused(host: str, *, deny_private: bool) -> str | None:
    """Why a host that is an address must not be reached; None if it may, or is a name."""
    return address_refused(host, deny_private=deny_private) if _parsed(host) is not None else None


def address_refused(address: str, *, deny_private: bool) -> str | None:
    """Why an address must not be reached; None if it may."""
    ip = _parsed(address)
    if ip is None:
        return "an address that cannot be read"
    if ip.is_link_local or ip == _METADATA_V6:
        return "an address where clouds keep credentials"
    if ip.is_multicast or ip.is_unspecified:
        return "an address of no single host"
    if deny_private and not ip.is_global:
        return "an address that is not public, and deny_private_networks is set"
    return None


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address meant: what is wrapped in IPv6 is unwrapped."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        return ip.ipv4_mapped or ip.sixtofour or ip
    return ip


def is_loopback(host: str) -> bool:
    """Whether it is this very host."""
    ip = _parsed(host)
    return host == "localhost" if ip is None else ip.is_loopback


def usual_tls(settings: NetworkSettings) -> bool:
    """Whether a destination needs no TLS of its own: the system's certificates are trusted, and none is shown."""
    own = settings.ca_file or settings.client_cert_file or settings.client_key_file
    return own is None and not settings.insecure_skip_verify


def tls_context(settings: NetworkSettings) -> ssl.SSLContext:
    """What certificates are trusted and shown: 25 ms and 0.9 MB each, as it reads all of the system's."""
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.insecure_skip_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if settings.client_cert_file is not None:
        context.load_cert_chain(settings.client_cert_file, settings.client_key_file)
    return context


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (text for inner in value.values() for text in _secrets_in(inner))
    elif isinstance(value, Secret) and (whole := value.reveal().strip()):
        yield from _texts(whole)


def _texts(secret: str) -> Iterable[str]:
    """A secret without its scheme ("Bearer", "whsec_"), and if it is a URL, what of it could be one."""
    yield from (secret, secret.split()[-1], secret.removeprefix("whsec_"))
    try:
        parts = urlsplit(secret)
    except ValueError:
        return
    if parts.scheme and parts.netloc:
        pieces = [*parts.path.split("/"), *re.split("[&=]", parts.query), parts.username or "", parts.password or ""]
        for piece in (parts.path, parts.query, *pieces):
            if len(piece) >= 6:
                yield from {piece, unquote(piece)}
