"""A server, a client and seats on it, shared by the tests of samplers that read keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from sentinel.embedded import EmbeddedServer
from sentinel.samplers.dial import Dialer, Tls, parse_url
from sentinel.samplers.seats import Seats
from tests.servers import client, server


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedServer]:
    with server() as started:
        yield started


@pytest.fixture
def db(running: EmbeddedServer) -> Iterator[redis.Redis]:
    with client(running) as connected:
        connected.flushall()
        yield connected


@pytest.fixture
async def seats(running: EmbeddedServer) -> AsyncIterator[Seats]:
    opened = Seats(Dialer(parse_url(f"redis://127.0.0.1:{running.port}"), Tls()), 2.0)
    await opened.fill()
    yield opened
    await opened.close()
