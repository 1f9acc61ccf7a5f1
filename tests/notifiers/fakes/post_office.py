"""A real SMTP server on loopback, with a handler that keeps mails and refuses what it is told to."""

from __future__ import annotations

import asyncio
import email
import email.policy
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

__all__ = ["PASSWORD", "PostOffice", "post_office"]

PASSWORD = "hunter2-hunter2"


class PostOffice:
    """A handler that keeps mails, and refuses what it is told to."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.users: list[str] = []
        self.rcpt: dict[str, str] = {}
        """What is said to recipients; 250 to all others."""
        self.data = "250 OK"
        self.cut = False
        """Whether the connection is cut after the mail was taken, before that is said."""
        self.port = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self.rcpt.get(address, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.data.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
            self.envelopes.append(envelope)
        if self.cut:
            assert server.transport is not None
            server.transport.abort()
        return self.data


@asynccontextmanager
async def post_office(**options: Any) -> AsyncIterator[PostOffice]:
    office = PostOffice()

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        office.users.append(data.login.decode())
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)

    implicit = options.pop("implicit", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make = lambda: SMTP(office, hostname="mail.example", authenticator=authenticate, **options)  # noqa: E731
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=implicit)
        office.port = server.sockets[0].getsockname()[1]
        try:
            yield office
        finally:
            server.close()
