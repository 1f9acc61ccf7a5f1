"""Addresses that are never reached, certificates, proxies: by name, by number, and at the moment of dialling."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sentinel.model import Secret
from sentinel.notifiers.base import Attempt, DeliveryError, Outcome
from sentinel.notifiers.http import open_session
from sentinel.notifiers.webhook import Webhook
from tests.notifiers.fakes import Fake, serving
from tests.notifiers.stories import NOON, notification
from tests.servers import certificate


async def tell(url: str, **settings: Any) -> None:
    made = Webhook(Secret(url), **settings)
    async with open_session(made) as session:
        await made.notify(session, made.message(notification()), Attempt("msg_1", NOON))


async def refusal(sending: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await sending
    return caught.value


@pytest.fixture
def leads_to(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets every name lead to one address, as a hostile or careless name server would."""

    def lead(address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        place = (address, 443, 0, 0) if ":" in address else (address, 443)
        found = [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    return lead


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "0.0.0.0", "224.0.0.1", "::ffff:169.254.1.1"])
async def test_a_name_that_leads_where_it_must_not_is_not_dialled(address: str, leads_to: Any) -> None:
    leads_to(address)
    error = await refusal(tell("https://hooks.example/x"))
    assert error.outcome is Outcome.REJECTED_CONFIG
    assert str(error).startswith("hooks.example must not be reached: it leads to ")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "fd12::1"])
async def test_private_networks_can_be_denied_by_name_and_by_number(address: str, leads_to: Any) -> None:
    host = f"[{address}]" if ":" in address else address
    error = await refusal(tell(f"https://{host}/x", deny_private_networks=True))
    assert error.outcome is Outcome.REJECTED_CONFIG
    leads_to(address)
    error = await refusal(tell("https://hooks.example/x", deny_private_networks=True))
    assert "not public, and deny_private_networks is set" in str(error)


@pytest.mark.parametrize("host", ["0x7f000001", "127.1"])
async def test_an_address_in_disguise_is_denied_as_well(host: str) -> None:
    error = await refusal(tell(f"https://{host}/x", deny_private_networks=True))
    assert error.outcome is Outcome.REJECTED_CONFIG


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[Fake, Path]]:
    """A receiver behind TLS, and the certificate that it shows."""
    fake, (cert, key) = Fake(), certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    fake.url = f"https://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield fake, cert
    await runner.cleanup()


async def test_a_certificate_is_trusted_only_if_said(secure: tuple[Fake, Path]) -> None:
    fake, cert = secure
    error = await refusal(tell(fake.url))
    assert error.outcome is Outcome.RETRY
    assert "the certificate is not trusted" in str(error)
    assert fake.accepted == []
    await tell(fake.url, ca_file=cert)
    await tell(fake.url, insecure_skip_verify=True)
    assert len(fake.accepted) == 2


async def test_a_proxy_is_asked_instead_and_its_password_is_not_told() -> None:
    async with serving(Fake(), "") as proxy:
        through = Secret(proxy.url.replace("http://", "http://user:pass-word@"))
        await tell("http://hooks.example/x", allow_http=True, proxy_url=through)
        assert proxy.headers[0]["Host"] == "hooks.example"
        assert proxy.headers[0]["Proxy-Authorization"].startswith("Basic ")
        proxy.modes.append((502, {}, "user:pass-word cannot reach it"))
        error = await refusal(tell("http://hooks.example/x", allow_http=True, proxy_url=through))
    assert "pass-word" not in str(error)


async def test_no_proxy_of_the_environment_is_used_unless_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(Fake(), "") as proxy, serving(Fake()) as receiver:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        await tell(receiver.url)
        assert (len(receiver.accepted), len(proxy.accepted)) == (1, 0)
        await tell(receiver.url, proxy_from_environment=True)
        assert (len(receiver.accepted), len(proxy.accepted)) == (1, 1)
