"""One connection: replies in order, whatever interrupts the waiting, on asyncio's loop and on uvloop's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest
import uvloop
from redis.exceptions import NoPermissionError, ResponseError

from sentinel.embedded import EmbeddedServer
from sentinel.samplers.base import SamplerError
from sentinel.samplers.dial import Dialer, parse_url
from sentinel.samplers.link import Link

LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]


def on(loop: Callable[[], asyncio.AbstractEventLoop], work: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(work)


async def opened(port: int) -> Link:
    _, link = await asyncio.get_running_loop().create_connection(Link, "127.0.0.1", port)
    return link


@pytest.mark.parametrize("loop", LOOPS)
def test_replies_come_in_order_and_errors_in_their_place(loop, running: EmbeddedServer) -> None:
    async def story() -> None:
        link, _ = await Dialer(parse_url(running.url)).open("x")
        first, second, third = await link.exchange((("ECHO", b"a"), ("NOSUCH",), ("ECHO", b"c")))
        assert (first, third) == (b"a", b"c")
        assert isinstance(second, ResponseError)
        assert link.owed == 0
        await link.close()

    on(loop, story())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_late_reply_is_not_taken_for_the_next_one(loop) -> None:
    """The server answers the first command only after the second was sent."""

    async def story() -> None:
        both = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"first\r\n")
            await both.wait()
            writer.write(b"$1\r\na\r\n-NOPERM no\r\n")
            await reader.readuntil(b"second\r\n")
            writer.write(b":7\r\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        link = await opened(server.sockets[0].getsockname()[1])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await link.exchange((("first",), ("first",)))
        assert link.owed == 2
        both.set()
        assert await link.exchange((("second",),)) == [7]
        await link.close()
        server.close()

    on(loop, story())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_channel_that_is_talked_on_is_read_no_further_than_it_is_listened_to(loop) -> None:
    """The double talks until its socket takes no more: then it has been stopped, and nothing is lost."""

    async def story() -> None:
        stopped, sent = asyncio.Event(), 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            for sent in range(1, 1_000_000):
                writer.write(b"$1000\r\n%01000d\r\n" % sent)
                try:
                    await asyncio.wait_for(writer.drain(), 0.2)
                except TimeoutError:
                    break
            stopped.set()
            try:
                await writer.drain()
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        link = await opened(server.sockets[0].getsockname()[1])
        async with asyncio.timeout(20):
            await stopped.wait()
            heard = [int(await link.pushed(5.0)) for _ in range(sent)]
        assert sent > 1500
        assert heard == list(range(1, sent + 1))
        await link.close()
        server.close()

    on(loop, story())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("word", "reason"),
    [(b"-ERR max number of clients reached\r\n", "full"), (b"-DENIED Redis is running in protected mode\r\n", "auth")],
)
def test_what_a_server_says_before_it_hangs_up_is_the_reason(loop, word: bytes, reason: str) -> None:
    async def story() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(word)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SamplerError) as caught:
            await Dialer(parse_url(f"redis://127.0.0.1:{port}/3")).open("x")
        assert caught.value.reason == reason
        server.close()

    on(loop, story())


@pytest.mark.parametrize("loop", LOOPS)
def test_whoever_waits_is_told_when_the_connection_ends(loop) -> None:
    async def story() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        link = await opened(server.sockets[0].getsockname()[1])
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                await link.exchange((("PING",),))
        server.close()

    on(loop, story())


async def test_a_refused_command_is_told_by_its_class(running: EmbeddedServer) -> None:
    link, _ = await Dialer(parse_url(running.url)).open("x")
    await link.exchange((("ACL", "SETUSER", "narrow", "on", ">pw", "+client|setname", "+client|id"),))
    narrow, _ = await Dialer(parse_url(f"redis://narrow:pw@127.0.0.1:{running.port}")).open("y")
    (reply,) = await narrow.exchange((("INFO",),))
    assert isinstance(reply, NoPermissionError)
    for each in (link, narrow):
        await each.close()
