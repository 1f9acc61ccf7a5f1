"""Email against a real SMTP server on loopback: threads, TLS, credentials, and what each refusal means."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, DeliveryError, Outcome
from sentinel.notifiers.email import Email
from sentinel.notifiers.http import open_session
from sentinel.notifiers.voice import Links
from tests.notifiers.fakes.post_office import PASSWORD, PostOffice, post_office
from tests.notifiers.stories import NOON, enormous, leak, notification
from tests.servers import certificate


def settings(office: PostOffice, **changes: Any) -> Email:
    given: dict[str, Any] = {"host": "127.0.0.1", "port": office.port, "tls": "none", "sender": "sentinel@example.com"}
    return Email(**given | {"to": ("ops@example.com", "dev@example.com")} | changes)


async def send(made: Email, story: Notification, ref: str | None = None) -> str | None:
    async with open_session(made) as session:
        return await made.notify(session, made.message(story), Attempt(story.event_id, NOON, ref))


async def refusal(sending: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await sending
    assert PASSWORD not in str(caught.value)
    return caught.value


@pytest.fixture
async def office() -> AsyncIterator[PostOffice]:
    async with post_office() as running:
        yield running


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


def context(pair: tuple[Path, Path]) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*pair)
    return made


async def test_later_mails_refer_to_the_first(office: PostOffice) -> None:
    made, first = settings(office), notification()
    root = await send(made, first)
    assert root == f"<{first.event_id}@example.com>"
    worse = notification(Reason.ESCALATED, leak(severity=Severity.CRITICAL))
    assert await send(made, worse, root) == root
    assert await send(made, notification(Reason.RESOLVED), root) == root
    assert [mail["References"] for mail in office.mails] == [None, root, root]
    assert [mail["In-Reply-To"] for mail in office.mails] == [None, root, root]
    subject = f"Connection leak on redis-a ({leak().ref})"
    tags = ("WARNING", "CRITICAL", "RESOLVED")
    assert [mail["Subject"] for mail in office.mails] == [f"[{tag}] {subject}" for tag in tags]
    assert len({mail["Message-ID"] for mail in office.mails}) == 3


async def test_a_mail_tells_the_whole_story_as_text_and_as_html(office: PostOffice) -> None:
    links = Links(runbook_url="https://wiki.example/{cause}?a=1&b=2")
    await send(settings(office, links=links), notification())
    (mail,) = office.mails
    text, page = (part.get_content() for part in mail.iter_parts())
    assert text.splitlines()[2] == "First action: Recycle the api-assembly-status processes on 10.4.7.0/24."
    assert "Runbook: https://wiki.example/leak?a=1&b=2" in text
    assert '<a href="https://wiki.example/leak?a=1&amp;b=2">Runbook</a>' in page
    assert (mail["Auto-Submitted"], mail["X-Sentinel-Incident"]) == ("auto-generated", leak().id)
    assert mail["Date"] == "Tue, 25 Nov 2025 12:00:00 +0000"
    assert office.envelopes[0].rcpt_tos == ["ops@example.com", "dev@example.com"]


async def test_a_second_try_has_the_same_message_id(office: PostOffice) -> None:
    for _ in range(2):
        await send(settings(office), notification())
    assert len({mail["Message-ID"] for mail in office.mails}) == 1


@pytest.mark.parametrize("reason", list(Reason))
async def test_no_name_breaks_out_of_a_header_however_odd(office: PostOffice, reason: Reason) -> None:
    made = settings(office)
    await send(made, enormous(reason))
    (mail,) = office.mails
    names = "From To Subject Date Message-ID Auto-Submitted Precedence X-Sentinel-Incident"
    assert set(mail.keys()) == {*names.split(), "Content-Type", "MIME-Version"}


async def test_a_refused_address_does_not_keep_it_from_the_others(office: PostOffice) -> None:
    office.rcpt = {"dev@example.com": "550 no such user"}
    await send(settings(office), notification())
    assert office.envelopes[0].rcpt_tos == ["ops@example.com"]


BOTH = ("ops@example.com", "dev@example.com")


@pytest.mark.parametrize(
    ("change", "outcome", "said"),
    [
        ({"rcpt": dict.fromkeys(BOTH, "450 greylisted")}, Outcome.RETRY, "answered 450: greylisted"),
        ({"rcpt": dict.fromkeys(BOTH, "550 no such user")}, Outcome.REJECTED_CONFIG, "answered 550: no such user"),
        ({"data": "451 try later"}, Outcome.RETRY, "answered 451: try later"),
        ({"data": "552 too much"}, Outcome.REJECTED_PAYLOAD, "answered 552: too much"),
        ({"cut": True}, Outcome.AMBIGUOUS, "broke off"),
    ],
)
async def test_a_reply_says_whether_trying_again_can_help(
    office: PostOffice, change: dict[str, Any], outcome: Outcome, said: str
) -> None:
    vars(office).update(change)
    error = await refusal(send(settings(office), notification()))
    assert error.outcome is outcome
    assert said in str(error)


async def test_a_port_where_nobody_listens_is_tried_again(office: PostOffice, unused_port: int) -> None:
    error = await refusal(send(settings(office, port=unused_port), notification()))
    assert (error.outcome, str(error)) == (
        Outcome.RETRY,
        "127.0.0.1 no connection: Connection refused. It is tried again",
    )


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentinel.notifiers.email._TIMEOUT", 0.1)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with silent:
        office = PostOffice()
        office.port = silent.sockets[0].getsockname()[1]
        error = await refusal(send(settings(office), notification()))
    assert error.outcome is Outcome.RETRY


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_mail_goes_over_tls_with_a_password(tls: str, pair: tuple[Path, Path]) -> None:
    how = {"implicit": context(pair)} if tls == "implicit" else {"tls_context": context(pair), "require_starttls": True}
    async with post_office(auth_required=True, auth_require_tls=tls == "starttls", **how) as office:
        trusting = {"tls": tls, "host": "localhost", "ca_file": pair[0]}
        made = settings(office, **trusting, username="sentinel", password=Secret(PASSWORD))
        await send(made, notification())
        assert (office.users, len(office.mails)) == (["sentinel"], 1)
        wrong = settings(office, **trusting, username="sentinel", password=Secret("hunter2-wrong"))
        error = await refusal(send(wrong, notification()))
        assert (error.outcome, error.status) == (Outcome.REJECTED_CONFIG, 535)
        assert "hunter2-wrong" not in str(error)


async def test_a_certificate_that_is_not_trusted_is_refused_unless_said(pair: tuple[Path, Path]) -> None:
    async with post_office(tls_context=context(pair)) as office:
        error = await refusal(send(settings(office, tls="starttls"), notification()))
        assert "a certificate that is not trusted" in str(error)
        await send(settings(office, tls="starttls", insecure_skip_verify=True), notification())
        assert len(office.mails) == 1


async def test_a_server_without_tls_is_refused_where_tls_is_wanted(office: PostOffice) -> None:
    error = await refusal(send(settings(office, tls="starttls"), notification()))
    assert error.outcome is Outcome.REJECTED_CONFIG
    assert office.mails == []


async def test_a_name_that_leads_where_it_must_not_is_refused(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rebound(*_: Any, **__: Any) -> list[Any]:
        return [(2, 1, 6, "", ("169.254.169.254", 25))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebound)
    error = await refusal(send(settings(office, host="mail.example"), notification()))
    assert error.outcome is Outcome.REJECTED_CONFIG
    assert "must not be reached: it leads to 169.254.169.254" in str(error)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"host": "smtp://mail.example"}, "^host must be the name or address of an SMTP server"),
        ({"host": "169.254.169.254"}, "^host must not be 169.254.169.254"),
        ({"sender": "Sentinel <sentinel@example.com>"}, "^sender must be an address such as"),
        ({"to": ()}, "^to must name at least one"),
        ({"to": ("a@example.com, b@example.com",)}, "^to must be an address such as"),
        ({"to": ("a@example.com\nBcc: b@example.com",)}, "^to must be an address such as"),
        ({"username": "x"}, "^username and password must be given together"),
        ({"port": 70000}, "^port must be between"),
        ({"host": "mail.example", "username": "x", "password": Secret("y")}, "^tls must not be none together"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        settings(PostOffice(), **changes)
