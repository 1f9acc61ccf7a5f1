"""The reserved seats on real servers: full, frozen, restarted, replaced, forbidden, or no Redis at all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from sentinel.embedded import EmbeddedServer, free_port
from sentinel.model import Secret
from sentinel.samplers.base import SamplerError
from sentinel.samplers.dial import Address, Dialer, Tls, parse_url
from sentinel.samplers.seats import Seats
from tests.servers import SERVERS, certificate, client, frozen, server

INFO = ("INFO", "clients")


@pytest.fixture(params=SERVERS, ids=lambda path: path.name)
def running(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    with server(binary=request.param) as found:
        yield found


@asynccontextmanager
async def seats_on(url: str, bound: float = 2.0, tls: Tls | None = None) -> AsyncIterator[Seats]:
    seats = Seats(Dialer(parse_url(url), tls), bound)
    try:
        yield seats
    finally:
        await seats.close()


async def taken(seats: Seats) -> Seats:
    """Both seats opened, as two polls do."""
    await seats.take_turns()
    await seats.fill()
    return seats


async def reason(asked: Coroutine[object, object, object]) -> str:
    with pytest.raises(SamplerError) as caught:
        await asked
    return caught.value.reason


@asynccontextmanager
async def talker(answer: bytes, after: int = 1) -> AsyncIterator[str]:
    """A TCP server that says `answer` once `after` bytes have come, and goes on listening."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if after:
            await reader.read(after)
        writer.write(answer)
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listener:
        yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


async def test_both_seats_are_named_and_exempt_from_eviction(running: EmbeddedServer) -> None:
    async with seats_on(running.url) as seats:
        await taken(seats)
        assert seats.open == 2
        with client(running) as admin:
            rows = {row["name"]: row for row in admin.client_list()}
            assert {"sentinel-sampler", "sentinel-spare"} <= set(rows)
            assert {int(row["id"]) for name, row in rows.items() if name} == seats.ids
            assert all("e" in row["flags"] for name, row in rows.items() if name)


async def test_opening_seats_adds_no_error_to_the_server(running: EmbeddedServer) -> None:
    async with seats_on(running.url) as seats:
        await taken(seats)
        (stats,) = await seats.ask(("INFO", "stats"))
        assert b"total_error_replies:0\r" in stats


async def test_seats_report_while_the_server_refuses_everyone_else(running: EmbeddedServer) -> None:
    async with seats_on(running.url) as seats:
        await taken(seats)
        with client(running) as admin:
            admin.config_set("maxclients", 3)
        with client(running) as last, client(running) as refused:
            last.ping()
            with pytest.raises(redis.ConnectionError):
                refused.ping()
            for _ in range(3):
                await seats.take_turns()
                (clients,) = await seats.ask(INFO)
                assert b"connected_clients:3\r" in clients


async def test_a_newcomer_at_a_full_server_is_told_full(running: EmbeddedServer) -> None:
    with client(running) as admin:
        admin.config_set("maxclients", 1)
        async with seats_on(running.url) as seats:
            reasons = {await reason(seats.take_turns()) for _ in range(50)}
        assert reasons == {"full"}


async def test_error_replies_stand_in_their_place(running: EmbeddedServer) -> None:
    async with seats_on(running.url) as seats:
        await seats.ask(("SET", "word", "x"))
        pong, wrong, echo = await seats.ask(("PING",), ("LLEN", "word"), ("ECHO", "still in step"))
        assert (pong, echo) == (b"PONG", b"still in step")
        assert "WRONGTYPE" in str(wrong)


async def test_the_spare_carries_on_when_a_seat_is_killed(running: EmbeddedServer) -> None:
    async with seats_on(running.url) as seats:
        await taken(seats)
        for _ in range(2):
            with client(running) as admin:
                admin.client_kill_filter(_id=min(seats.ids))
            assert await seats.ask(("PING",)) == [b"PONG"]
            assert seats.blind_for == 0
            await seats.take_turns()
            await seats.fill()
            assert seats.open == 2


async def test_seats_take_turns_so_that_neither_idles(running: EmbeddedServer) -> None:
    async with seats_on(running.url) as seats:
        await taken(seats)
        spoke = []
        for _ in range(4):
            await seats.take_turns()
            spoke += await seats.ask(("CLIENT", "GETNAME"))
        assert sorted(set(spoke)) == [b"sentinel-sampler", b"sentinel-spare"]
        assert spoke[0] == spoke[2] != spoke[1] == spoke[3]


async def test_a_late_reply_is_never_taken_for_the_next_command(running: EmbeddedServer) -> None:
    async with seats_on(running.url, bound=0.05) as seats:
        await taken(seats)
        ids = seats.ids
        with frozen(running):
            for word in ("one", "two", "three", "four"):
                await seats.take_turns()
                assert await reason(seats.ask(("ECHO", word))) == "timeout"
        seats.timeout = 5.0
        for word in (b"five", b"six", b"seven"):
            await seats.take_turns()
            assert await seats.ask(("ECHO", word), ("PING",)) == [word, b"PONG"]
        assert seats.ids == ids, "a freeze must not cost a seat that a full server would not give back"


async def test_a_cancelled_reply_is_never_taken_for_the_next_command(running: EmbeddedServer) -> None:
    async with seats_on(running.url) as seats:
        await seats.take_turns()
        with frozen(running):
            asked = asyncio.ensure_future(seats.ask(("ECHO", "cancelled")))
            await asyncio.wait([asked], timeout=0.02)
            asked.cancel()
            await asyncio.wait([asked])
        assert await seats.ask(("ECHO", "next")) == [b"next"]


async def test_a_restarted_server_is_asked_again_in_the_next_call(running: EmbeddedServer) -> None:
    async with seats_on(running.url) as seats:
        await taken(seats)
        running.stop()
        assert await reason(seats.ask(("PING",))) == "refused"
        assert seats.open == 0
        assert seats.blind_for > 0
        running.start()
        await seats.take_turns()
        assert await seats.ask(("PING",)) == [b"PONG"]
        assert seats.blind_for == 0


async def test_commands_go_to_the_database_that_was_asked_for(running: EmbeddedServer) -> None:
    async with seats_on(running.url + "/2") as seats:
        await seats.ask(("SET", "where", "two"))
        await seats.ask(("SET", "where", "five"), db=5)
        assert await seats.ask(("GET", "where")) == [b"two"]
        assert await seats.ask(("GET", "where"), db=5) == [b"five"]
        with pytest.raises(SamplerError, match="out of range"):
            await seats.ask(("GET", "where"), db=9999)
        assert await seats.ask(("GET", "where")) == [b"two"]


async def test_a_wrong_password_is_an_auth_failure_that_does_not_show_it(running: EmbeddedServer) -> None:
    with client(running) as admin:
        admin.config_set("requirepass", "right")
    for url in ("redis://:wr0ng@", "redis://nobody:wr0ng@", "redis://"):
        async with seats_on(url + f"127.0.0.1:{running.port}") as seats:
            with pytest.raises(SamplerError) as caught:
                await seats.take_turns()
            assert caught.value.reason == "auth"
            assert "wr0ng" not in str(caught.value) + repr(caught.value) + repr(seats.address)


async def test_a_password_that_the_server_has_not_is_an_auth_failure(running: EmbeddedServer) -> None:
    async with seats_on(f"redis://:any@127.0.0.1:{running.port}") as seats:
        assert await reason(seats.take_turns()) == "auth"


async def test_a_user_who_may_not_name_itself_still_gets_its_seats(running: EmbeddedServer) -> None:
    with client(running) as admin:
        admin.execute_command("ACL", "SETUSER", "mute", "on", ">pw", "-@all", "+ping")
    async with seats_on(f"redis://mute:pw@127.0.0.1:{running.port}") as seats:
        await taken(seats)
        assert seats.open == 2
        assert await seats.ask(("PING",)) == [b"PONG"]


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
async def test_what_is_no_redis_is_called_so(greeting: bytes) -> None:
    async with talker(greeting) as url, seats_on(url) as seats:
        assert await reason(seats.take_turns()) == "not_redis"


async def test_a_server_that_drops_us_is_called_reset() -> None:
    async with talker(b"") as url, seats_on(url) as seats:
        assert await reason(seats.take_turns()) == "reset"


async def test_a_server_that_takes_us_and_says_nothing_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with seats_on(f"redis://127.0.0.1:{mute.getsockname()[1]}", bound=0.05) as seats:
            assert await reason(seats.take_turns()) == "timeout"


async def test_nobody_there_is_called_refused(tmp_path: Path) -> None:
    for url in (f"redis://127.0.0.1:{free_port()}", f"unix://{tmp_path}/none.sock"):
        async with seats_on(url) as seats:
            assert await reason(seats.take_turns()) == "refused"


async def test_an_unknown_host_is_called_dns() -> None:
    async with seats_on("redis://no-such-host.invalid") as seats:
        assert await reason(seats.take_turns()) == "dns"


async def test_a_unix_socket_is_a_target_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with server("--unixsocket", str(path), "--requirepass", "pw"):
        async with seats_on(f"unix://:pw@{path}?db=3") as seats:
            await taken(seats)
            assert await seats.ask(("PING",)) == [b"PONG"]
            assert seats.open == 2
        async with seats_on(f"unix://:wrong@{path}") as seats:
            assert await reason(seats.take_turns()) == "auth"


async def test_a_wrong_password_is_not_dialled_at_every_poll(running: EmbeddedServer) -> None:
    with client(running) as admin:
        admin.config_set("requirepass", "right")
    async with seats_on(f"redis://:wrong@127.0.0.1:{running.port}") as seats:
        for _ in range(40):
            assert await reason(seats.take_turns()) == "auth"
    with client(running, password="right") as admin:
        assert admin.info("errorstats")["errorstat_WRONGPASS"]["count"] <= 20


async def test_a_refusing_server_is_dialled_once_a_poll() -> None:
    dials = []

    class Counting(Dialer):
        async def open(self, name: str, *extra: object) -> object:  # type: ignore[override]
            dials.append(name)
            raise SamplerError("refused", "nobody")

    seats = Seats(Counting(Address("localhost")))
    for _ in range(5):
        await reason(seats.take_turns())
        await seats.fill()
    assert len(dials) == 5


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_server(tls_files: tuple[Path, Path]) -> Iterator[tuple[EmbeddedServer, str]]:
    cert, key = tls_files
    for binary in SERVERS:
        port = free_port()
        options = ("--tls-port", str(port), "--tls-cert-file", str(cert), "--tls-key-file", str(key))
        with (
            contextlib.suppress(RuntimeError),
            server(*options, "--tls-ca-cert-file", str(cert), "--tls-auth-clients", "no", binary=binary) as found,
        ):
            yield found, f"rediss://127.0.0.1:{port}"
            return
    pytest.skip("no server with TLS on this machine")


async def test_tls_is_verified_against_the_given_authority(
    tls_server: tuple[EmbeddedServer, str], tls_files: tuple[Path, Path]
) -> None:
    _, url = tls_server
    async with seats_on(url, tls=Tls(ca_file=str(tls_files[0]))) as seats:
        await taken(seats)
        assert await seats.ask(("PING",)) == [b"PONG"]
    async with seats_on(url) as seats:
        assert await reason(seats.take_turns()) == "tls"
    async with seats_on(url, tls=Tls(verify=False)) as seats:
        await seats.take_turns()


async def test_tls_to_a_plain_port_and_plain_to_a_tls_port_are_told(
    tls_server: tuple[EmbeddedServer, str], tls_files: tuple[Path, Path]
) -> None:
    running, url = tls_server
    async with seats_on(running.url.replace("redis:", "rediss:"), bound=0.1) as seats:
        with pytest.raises(SamplerError, match="speak TLS at all"):
            await seats.take_turns()
    async with seats_on(url.replace("rediss:", "redis:")) as seats:
        with pytest.raises(SamplerError, match="rediss://"):
            await seats.take_turns()


async def test_a_full_server_under_tls_drops_a_newcomer_without_a_word(
    tls_server: tuple[EmbeddedServer, str], tls_files: tuple[Path, Path]
) -> None:
    running, url = tls_server
    with client(running) as admin:
        admin.config_set("maxclients", 1)
        async with seats_on(url, tls=Tls(ca_file=str(tls_files[0]))) as seats:
            assert await reason(seats.take_turns()) in ("reset", "full")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis-a.internal:6379", "must begin with redis://"),
        ("http://:s3cret@host", "must begin with redis://"),
        ("redis://user:s3cret", "port"),
        ("redis://:s3cret@host:65536", "port"),
        ("redis://:s3cret@", "names no host"),
        ("redis://:s3cret@host/db", "number"),
        ("redis://:s3cret@host?timeout=3", "nothing else"),
        ("redis://host#s3cret", "nothing else"),
        ("unix://", "names no socket path"),
        ("", "must begin with redis://"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_the_password(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        parse_url(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://host", Address("host")),
        ("redis://[::1]:7000/3", Address("::1", 7000, db=3)),
        ("rediss://u%40x:p%2Fw%3F@host/0", Address("host", tls=True, username="u@x", password=Secret("p/w?"))),
        ("valkey://:pw@host?db=2", Address("host", db=2, password=Secret("pw"))),
        ("unix:///run/my%20redis.sock", Address(path="/run/my redis.sock")),
    ],
)
def test_a_url_names_where_and_as_whom(url: str, address: Address) -> None:
    assert parse_url(url) == address


@pytest.mark.parametrize("show", [str, repr, lambda address: address.label])
def test_an_address_shows_no_credentials(show: Callable[[Address], str]) -> None:
    shown = show(parse_url("rediss://alice:s3cret@host:7000"))
    assert "host" in shown
    assert "s3cret" not in shown
    assert "alice" not in shown
