"""The largest output buffer, against a real server with a subscriber that does not read."""

from __future__ import annotations

import asyncio

import redis
from redis.exceptions import NoPermissionError

from sentinel.embedded import EmbeddedServer
from sentinel.samplers.base import Command, Reply, Vitals
from sentinel.samplers.client_buffers import ClientBuffers
from sentinel.samplers.redis_info import RedisInfo
from sentinel.samplers.seats import Seats

ROW = b"id=%d addr=10.0.0.%d:5 name=%s age=9 idle=1 flags=P db=0 sub=1 psub=0 omem=%d cmd=subscribe user=default\n"
MIB = 1 << 20


class Lists:
    """A Reader that answers CLIENT LIST from rows, with and without a type."""

    def __init__(self, subscribers: Reply, everybody: Reply) -> None:
        self.answers = {4: subscribers, 2: everybody}
        self.asked: list[Command] = []

    async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
        self.asked += commands
        return [self.answers[len(command)] for command in commands]


def large(bytes_: float = 5 * MIB) -> ClientBuffers:
    return ClientBuffers(Vitals(output_buffer=bytes_))


async def test_a_subscriber_that_does_not_read_is_named(seats: Seats, running: EmbeddedServer, db: redis.Redis) -> None:
    deaf = redis.Redis(port=running.port, client_name="deaf-7", protocol=2, driver_info=None)
    deaf.execute_command("SUBSCRIBE", "news")
    for _ in range(20):
        db.publish("news", b"x" * MIB)
    vitals = Vitals()
    info, buffers = RedisInfo(vitals=vitals), ClientBuffers(vitals)
    async with asyncio.timeout(10):
        while not (vitals.output_buffer or 0) >= MIB:  # the server measures its clients ten times a second
            await info.sample(seats, 1000.0)
            await asyncio.sleep(0.05)
    (found,) = await buffers.sample(seats, 1000.0)
    deaf.close()
    assert found.value >= MIB
    assert found.exemplar is not None
    row = dict(found.exemplar)
    assert (row["name"], row["cmd"], row["omem"]) == ("deaf-7", "subscribe", f"{found.value:.0f}")


async def test_nobody_is_asked_while_no_buffer_is_large() -> None:
    reader = Lists(b"", b"")
    assert await large(MIB - 1).sample(reader, 1000.0) == []
    assert await ClientBuffers().sample(reader, 1000.0) == []
    assert reader.asked == []


async def test_the_reply_to_the_census_is_no_buffer_to_look_for() -> None:
    reader, vitals = Lists(b"", b""), Vitals(output_buffer=4.2 * MIB, list_bytes=int(3.4 * MIB))
    assert await ClientBuffers(vitals).sample(reader, 1000.0) == []
    assert reader.asked == []
    vitals.output_buffer = 6 * MIB
    await ClientBuffers(vitals).sample(reader, 1000.0)
    assert reader.asked


async def test_subscribers_are_asked_first_and_everybody_only_if_it_is_none_of_them() -> None:
    small, big = ROW % (1, 1, b"a", 100), ROW % (2, 2, b"b", 5 * MIB)
    reader = Lists(small + big, b"")
    assert [one.value for one in await large().sample(reader, 1000.0)] == [5 * MIB]
    assert len(reader.asked) == 1
    reader = Lists(small, small + ROW % (3, 3, b"c", 6 * MIB) + big)
    (found,) = await large().sample(reader, 1000.0)
    assert dict(found.exemplar or ())["name"] == "c"


async def test_the_next_look_waits_half_a_minute_and_ten_where_it_is_forbidden() -> None:
    for reply, wait in ((b"", 30.0), (NoPermissionError("no"), 600.0)):
        buffers, reader = large(), Lists(reply, reply)
        await buffers.sample(reader, 1000.0)
        before = len(reader.asked)
        await buffers.sample(reader, 1000.0 + wait - 1.0)
        assert len(reader.asked) == before
        await buffers.sample(reader, 1000.0 + wait + 1.0)
        assert len(reader.asked) > before
