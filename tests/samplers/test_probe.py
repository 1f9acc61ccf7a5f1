"""What a newcomer sees, on real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinel.embedded import EmbeddedServer, free_port
from sentinel.model import Series
from sentinel.samplers.base import Vitals
from sentinel.samplers.dial import Dialer, Tls, parse_url
from sentinel.samplers.probe import DialProbe, ProbeSettings
from sentinel.samplers.seats import Seats
from tests.servers import REDIS, SERVERS, certificate, client, frozen, server


@pytest.fixture(params=SERVERS, ids=lambda path: path.name)
def running(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    with server(binary=request.param) as found:
        yield found


def probing(url: str, tls: Tls | None = None, bound: float = 2.0, **settings: float) -> DialProbe:
    return DialProbe(ProbeSettings(**settings), Dialer(parse_url(url), tls), Vitals(rejected=0.0), bound)


async def outcome(probe: DialProbe, seats: Seats | None = None) -> str:
    """`seconds`, or why the dial failed."""
    reader = seats or Seats(Dialer(parse_url("redis://127.0.0.1:1")))
    (one,) = await probe.sample(reader, 0.0)
    if one.series == Series("redis_dial_seconds"):
        assert 0 < one.value < 2
        return "seconds"
    assert (one.series.metric, one.value) == ("redis_dial_failed", 1.0)
    return dict(one.series.labels)["reason"]


async def test_a_healthy_server_takes_a_newcomer_and_loses_it_again(running: EmbeddedServer) -> None:
    probe = probing(running.url)
    assert await outcome(probe) == "seconds"
    assert probe.failure is None
    with client(running) as admin:
        async with asyncio.timeout(5):
            while [row["name"] for row in admin.client_list()] != [""]:
                await asyncio.sleep(0)


async def test_a_full_server_is_called_full_while_the_seats_go_on(running: EmbeddedServer) -> None:
    seats = Seats(Dialer(parse_url(running.url)))
    with client(running) as admin:
        await seats.take_turns()
        admin.config_set("maxclients", 2)
        probe = probing(running.url)
        assert {await outcome(probe, seats) for _ in range(30)} == {"full"}
        assert await seats.ask(("PING",)) == [b"PONG"]
        admin.config_set("maxclients", 10)
        assert await outcome(probe, seats) == "seconds"
    await seats.close()


@pytest.mark.skipif(REDIS is None, reason="needs a server with TLS")
async def test_a_full_server_that_drops_tls_without_a_word_is_called_full(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    port, tls = free_port(), Tls(ca_file=str(cert))
    options = ("--tls-port", str(port), "--tls-cert-file", str(cert), "--tls-key-file", str(key))
    with server(*options, "--tls-ca-cert-file", str(cert), "--tls-auth-clients", "no", binary=REDIS) as full:
        seats = Seats(Dialer(parse_url(full.url)))
        await seats.take_turns()
        probe = probing(f"rediss://127.0.0.1:{port}", tls)
        assert await outcome(probe, seats) == "seconds"
        await seats.ask(("CONFIG", "SET", "maxclients", 1))
        assert await outcome(probe, seats) == "full"
        assert await outcome(probe) == "reset", "without INFO nothing says that it was full"
        await seats.close()


async def test_a_frozen_server_times_out(running: EmbeddedServer) -> None:
    with frozen(running):
        assert await outcome(probing(running.url, bound=0.05)) == "timeout"


async def test_reasons_are_told_apart(running: EmbeddedServer) -> None:
    assert await outcome(probing(f"redis://127.0.0.1:{free_port()}")) == "refused"
    with client(running) as admin:
        admin.config_set("requirepass", "right")
    assert await outcome(probing(running.url)) == "auth"
    assert await outcome(probing(running.url.replace("//", "//:right@"))) == "seconds"


async def test_a_server_that_loads_its_data_is_called_loading() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        writer.write(b"+OK\r\n:7\r\n-LOADING Redis is loading the dataset in memory\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        assert await outcome(probing(f"redis://127.0.0.1:{port}")) == "loading"


async def test_a_user_without_ping_has_still_been_let_in(running: EmbeddedServer) -> None:
    with client(running) as admin:
        admin.execute_command("ACL", "SETUSER", "mute", "on", ">pw", "-@all", "+get")
    assert await outcome(probing(f"redis://mute:pw@127.0.0.1:{running.port}")) == "seconds"


async def test_a_dial_is_due_each_interval_and_at_once_after_a_failure() -> None:
    port = free_port()
    probe = probing(f"redis://127.0.0.1:{port}", interval=15.0)
    reader = Seats(Dialer(parse_url(f"redis://127.0.0.1:{port}")))
    assert probe.due(100.0)
    await probe.sample(reader, 100.0)
    assert probe.due(100.1)
    with server(port=port):
        await probe.sample(reader, 105.0)
    assert [probe.due(now) for now in (106.0, 119.0, 119.9, 120.1)] == [False, False, True, True]
    assert probe.due(50.0), "a clock set back must not silence it"


def test_a_disabled_probe_is_never_due() -> None:
    probe = DialProbe(ProbeSettings(enabled=False), Dialer(parse_url("redis://host")), Vitals(), 1.0)
    assert not probe.due(0.0)
