"""Email by SMTP: a mail for each turn of an incident, threaded below the first.

Knows mails, SMTP's replies and what they mean. The Message-ID is the same on every try, so that servers and readers
can drop copies; the first mail's is what the later ones refer to, and is kept as the reference. Source:
reference/delivery.md 4.6; RFC 5322 section 3.6.4 (threads), RFC 3834 (Auto-Submitted), RFC 5321 section 4.2 (replies).
"""

from __future__ import annotations

import asyncio
import html
import os
import re
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as MAIL
from email.utils import format_datetime
from typing import Any, ClassVar, Literal

import aiohttp
import aiosmtplib
import orjson

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, DeliveryError, Message, Outcome
from sentinel.notifiers.network import NetworkSettings, address_refused, literal_refused, redact, tls_context
from sentinel.notifiers.wording import Story, clean, cut, plain, shorten

__all__ = ["Email"]

_TIMEOUT = 10.0
_LIMIT = 60_000
_PORTS = {"starttls": 587, "implicit": 465, "none": 25}
_ADVICE = {
    Outcome.RETRY: "It is tried again",
    Outcome.AMBIGUOUS: "It is tried again, and may then arrive twice with the same Message-ID",
    Outcome.REJECTED_PAYLOAD: "The plain text is tried once; then it is a dead letter",
    Outcome.REJECTED_CONFIG: "Check this destination's server, credentials and addresses in the configuration",
}


@dataclass(frozen=True)
class Email(NetworkSettings):
    """Sends mails through an SMTP server.

    Args:
        host: The SMTP server.
        sender: Address that the mails are from.
        to: Addresses that they go to. If the server refuses some of them, the others are told all the same.
        port: 0 for the usual one of `tls`: 587, 465 or 25.
        tls: `starttls`: refuse to go on without it; `implicit`: TLS from the start; `none`: no TLS, refused together
            with a password except on this host.
        username: For a server that asks who we are.
        password: Of that user.
        min_severity: Incidents that never reached it are not told here.
    """

    kind: ClassVar[str] = "email"
    reasons: ClassVar[frozenset[Reason]] = frozenset(Reason) - {Reason.UPDATED}
    pages: ClassVar[bool] = False
    groups: ClassVar[bool] = True
    rate: ClassVar[float] = 2.0

    host: str
    sender: str
    to: tuple[str, ...]
    port: int = 0
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    username: str = ""
    password: Secret | None = None
    min_severity: Severity = Severity.WARNING

    def __post_init__(self) -> None:
        if not self.host or re.search(r"[\s/@]", self.host) or "://" in self.host:
            raise ValueError("host must be the name or address of an SMTP server, without a scheme or a port")
        if (why := literal_refused(self.host, deny_private=self.deny_private_networks)) is not None:
            raise ValueError(f"host must not be {self.host}: {why}")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be between 0 and 65535, got {self.port}")
        if not self.to:
            raise ValueError("to must name at least one address")
        for field, address in (("sender", self.sender), *(("to", one) for one in self.to)):
            if not _is_address(address):
                raise ValueError(f"{field} must be an address such as ops@example.com, got {address!r:.80}")
        if bool(self.username) != (self.password is not None):
            raise ValueError("username and password must be given together")
        if self.password is not None and self.tls == "none" and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("tls must not be none together with a password: it would travel unprotected")

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """Subject, text and HTML; `minimal` is text alone. The subject stays the same behind its tag, for threads."""
        incident, story = notification.incident, self.tell(notification)
        document = {
            "incident": incident.id,
            "subject": f"[{_tag(notification)}] {cut(story.title, 150)} ({story.ref})",
            "text": shorten(plain(story) + "\n", _LIMIT),
            "html": "" if minimal else _html(story),
        }
        truncated = ("text",) if len(plain(story).encode()) >= _LIMIT else ()
        return Message(orjson.dumps(document), truncated, story.failed_templates)

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Send it. Gives the Message-ID of the incident's first mail."""
        identity = f"<{attempt.event_id}@{self.sender.rpartition('@')[2]}>"
        root = attempt.ref or identity
        mail = self._mail(orjson.loads(message.body), identity, root, attempt.now)
        try:
            async with asyncio.timeout(3 * _TIMEOUT):
                await self._send(mail)
        except TimeoutError:
            raise self._error(Outcome.AMBIGUOUS, "did not answer in time") from None
        return root

    def _mail(self, document: dict[str, Any], identity: str, root: str, now: float) -> EmailMessage:
        mail = EmailMessage(policy=MAIL)
        mail["From"], mail["To"], mail["Subject"] = self.sender, ", ".join(self.to), clean(document["subject"])
        mail["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
        mail["Message-ID"] = identity
        if root != identity:
            mail["In-Reply-To"] = mail["References"] = root
        mail["Auto-Submitted"], mail["Precedence"] = "auto-generated", "bulk"
        mail["X-Sentinel-Incident"] = document["incident"]
        mail.set_content(document["text"])
        if document["html"]:
            mail.add_alternative(document["html"], subtype="html")
        return mail

    async def _send(self, mail: EmailMessage) -> None:
        """Connect, say who we are, send. What is lost on the way before the mail itself was surely not sent."""
        server = await self._server()
        sending = False
        try:
            await server.connect()
            sending = True
            await server.send_message(mail, sender=self.sender, recipients=list(self.to))
            with suppress(aiosmtplib.SMTPException, OSError):
                await server.quit()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._failure(error, sending=sending) from None
        finally:
            server.close()

    async def _server(self) -> aiosmtplib.SMTP:
        try:
            async with asyncio.timeout(_TIMEOUT):
                connection = await self._dial()
                context = None if self.tls == "none" else await asyncio.to_thread(tls_context, self)
        except TimeoutError:
            raise self._error(Outcome.RETRY, f"no connection in {_TIMEOUT:.0f} s") from None
        except ssl.SSLError:
            raise self._error(Outcome.REJECTED_CONFIG, "the certificates configured for it cannot be loaded") from None
        except OSError as error:
            raise self._error(Outcome.RETRY, f"no connection: {_system(error)}") from None
        return aiosmtplib.SMTP(
            hostname=self.host,
            sock=connection,
            use_tls=self.tls == "implicit",
            start_tls=self.tls == "starttls",
            tls_context=context,
            username=self.username or None,
            password=self.password.reveal() if self.password else None,
            local_hostname=_own_name(),
            timeout=_TIMEOUT,
        )

    async def _dial(self) -> socket.socket:
        """A connection to an address that was looked at: the one that was judged is the one that is dialled."""
        loop = asyncio.get_running_loop()
        port = self.port or _PORTS[self.tls]
        found = await loop.getaddrinfo(self.host, port, type=socket.SOCK_STREAM)
        failed: OSError | None = None
        for family, kind, protocol, _, address in found:
            if (why := address_refused(str(address[0]), deny_private=self.deny_private_networks)) is not None:
                raise self._error(Outcome.REJECTED_CONFIG, f"must not be reached: it leads to {address[0]}, {why}")
            dialled = socket.socket(family, kind, protocol)
            dialled.setblocking(False)
            try:
                await loop.sock_connect(dialled, address)
            except BaseException as error:
                dialled.close()
                if not isinstance(error, OSError):
                    raise
                failed = error
            else:
                return dialled
        raise failed or OSError("no address")

    def _failure(self, error: Exception, *, sending: bool) -> DeliveryError:
        """What a failure of SMTP means; a reply's first digit says whether trying again can help."""
        code, said = _reply(error)
        match error:
            case aiosmtplib.SMTPRecipientsRefused():
                outcome = Outcome.RETRY if 400 <= code < 500 else Outcome.REJECTED_CONFIG
            case aiosmtplib.SMTPDataError() if code >= 500:
                outcome = Outcome.REJECTED_PAYLOAD
            case aiosmtplib.SMTPResponseException() if code >= 500:
                outcome = Outcome.REJECTED_CONFIG
            case aiosmtplib.SMTPResponseException() if code >= 400:
                outcome = Outcome.RETRY
            case aiosmtplib.SMTPServerDisconnected() | aiosmtplib.SMTPTimeoutError() | OSError():
                outcome = Outcome.AMBIGUOUS if sending else Outcome.RETRY
            case _:
                outcome = Outcome.REJECTED_CONFIG
        return self._error(outcome, f"answered {code}: {said}" if code > 0 else said, status=code if code > 0 else None)

    def _error(self, outcome: Outcome, text: str, *, status: int | None = None) -> DeliveryError:
        said = redact(text, self)
        return DeliveryError(outcome, f"{self.host} {said}. {_ADVICE[outcome]}", status=status)


def _reply(error: Exception) -> tuple[int, str]:
    """The code of SMTP's reply, or -1, and what was said."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return max((refusal.code, refusal.message) for refusal in error.recipients)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return error.code, error.message
    for cause in (error, error.__cause__):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return -1, f"shows a certificate that is not trusted ({cause.verify_message})"
    return -1, f"broke off: {error or type(error).__name__}"


def _system(error: OSError) -> str:
    """The system's word for it."""
    if isinstance(error, socket.gaierror):
        return "its name is not known here"
    return os.strerror(error.errno) if error.errno else str(error)


def _is_address(text: str) -> bool:
    """Whether it is an address alone, without a name or a comma."""
    with suppress(ValueError, IndexError):
        return Address(addr_spec=text).domain != "" and not re.search(r"[\s,<>]", text)
    return False


def _own_name() -> str:
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9.-]+", name) else "localhost"


def _tag(notification: Notification) -> str:
    if notification.reason in (Reason.RESOLVED, Reason.ACKNOWLEDGED, Reason.DIGEST):
        return notification.reason.value.upper()
    return notification.incident.severity.name


def _html(story: Story) -> str:
    """The same story for readers of HTML, without pictures, styles or anything to load."""

    def escape(text: str, limit: int = 3000) -> str:
        return html.escape(cut(text, limit)).replace("\n", "<br>")

    parts = [f"<h3>{story.sign} {escape(story.title)}</h3>", f"<p>{escape(story.status)} · {story.ref}</p>"]
    parts.append(f"<p>{escape(story.summary)}</p>")
    parts += [f"<p><b>{label}:</b> {escape(text)}</p>" for label, text in story.facts]
    links = [f'<a href="{html.escape(link.url)}">{html.escape(link.name)}</a>' for link in story.links]
    parts += [f"<p>{' · '.join(links)}</p>"] if links else []
    for label, items in (("Evidence", story.evidence), ("It is not", story.ruled_out), ("Examples", story.examples)):
        if items:
            parts.append(f"<p><b>{label}</b></p><ul>{''.join(f'<li>{escape(i, 500)}</li>' for i in items[:20])}</ul>")
    return "<html><body>" + "".join(parts) + "</body></html>"
