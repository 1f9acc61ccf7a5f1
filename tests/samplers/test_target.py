"""Whole polls of a target on real servers: what is said when all is well, and what when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from sentinel.embedded import EmbeddedServer, free_port
from sentinel.model import Poll, Secret
from sentinel.samplers.probe import ProbeSettings
from sentinel.samplers.target import Target, TargetSettings
from tests.servers import SERVERS, client, frozen, server


@pytest.fixture(params=SERVERS, ids=lambda path: path.name)
def running(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    with server(binary=request.param) as found:
        yield found


@asynccontextmanager
async def watching(url: str, **settings: object) -> AsyncIterator[Target]:
    target = Target(TargetSettings(name="redis-a", url=url, **settings))  # type: ignore[arg-type]
    try:
        yield target
    finally:
        await target.close()


def value(poll: Poll, metric: str, **labels: str) -> float | None:
    """The value of the only series of a metric with these labels, or None."""
    found = [s.value for s in poll.samples if s.series == (metric, tuple(sorted(labels.items())))]
    assert len(found) <= 1
    return found[0] if found else None


def failed(poll: Poll) -> dict[str, str]:
    """Failing samplers and their reasons."""
    labels = [dict(s.series.labels) for s in poll.samples if s.series.metric == "sampler_failed"]
    return {one["sampler"]: one["reason"] for one in labels}


async def test_a_poll_says_what_the_server_says_of_itself(running: EmbeddedServer) -> None:
    with client(running) as admin:
        admin.config_set("maxclients", 321)
        async with watching(running.url) as target:
            await target.poll(999.0)
            poll = await target.poll(1000.0)
            assert (poll.target, poll.time) == ("redis-a", 1000.0)
            assert {s.time for s in poll.samples} == {1000.0}
            assert value(poll, "redis_connected_clients") == 3
            assert value(poll, "redis_max_clients") == 321
            assert value(poll, "redis_seats") == 2
            assert value(poll, "sampler_up", sampler="info") == 1
            assert failed(poll) == {}
            assert target.notes() == []


async def test_a_changed_ceiling_is_seen_at_the_next_poll(running: EmbeddedServer) -> None:
    with client(running) as admin:
        async with watching(running.url) as target:
            for ceiling in (500, 400):
                admin.config_set("maxclients", ceiling)
                assert value(await target.poll(0.0), "redis_max_clients") == ceiling


async def test_a_frozen_server_gives_a_poll_in_time_and_recovers(running: EmbeddedServer) -> None:
    async with watching(running.url, timeout=0.2) as target:
        await target.poll(0.0)
        loop = asyncio.get_running_loop()
        with frozen(running):
            for now in (1.0, 2.0, 3.0):
                started = loop.time()
                poll = await target.poll(now)
                assert loop.time() - started < 0.4
                assert failed(poll)["info"] == "timeout"
                assert value(poll, "sampler_up", sampler="info") == 0
        poll = await target.poll(4.0)
        assert value(poll, "sampler_up", sampler="info") == 1
        assert value(poll, "redis_restarts_total") == 0


async def test_a_restart_and_a_replacement_are_counted(running: EmbeddedServer) -> None:
    async with watching(running.url) as target:
        await target.poll(0.0)
        running.stop()
        poll = await target.poll(1.0)
        assert failed(poll)["info"] == "refused"
        assert value(poll, "redis_seats") == 0
        running.start()
        assert value(await target.poll(2.0), "redis_restarts_total") == 1
        running.stop()
        with server(binary=SERVERS[-1], port=running.port):
            assert value(await target.poll(3.0), "redis_restarts_total") == 2


async def test_a_trouble_is_noted_once_and_so_is_its_end() -> None:
    port = free_port()
    async with watching(f"redis://127.0.0.1:{port}") as target:
        await target.poll(0.0)
        (note,) = [line for line in target.notes() if line.startswith("info, ")]
        assert f"127.0.0.1:{port}: nobody listens there" in note
        await target.poll(1.0)
        assert target.notes() == []
        with server(port=port):
            await target.poll(2.0)
            assert [line for line in target.notes() if line.startswith("info, ") and line.endswith(": works again")]


async def test_what_a_restart_or_another_ceiling_explains_is_noted(running: EmbeddedServer) -> None:
    async with watching(running.url) as target:
        await target.poll(0.0)
        with client(running) as admin:
            admin.config_set("maxclients", 500)
        await target.poll(1.0)
        assert target.notes() == ["server: maxclients was 10000 and is 500"]
        running.stop()
        running.start()
        await target.poll(2.0)
        assert sorted(target.notes()) == [
            "server: it was restarted, or another one took its place",
            "server: maxclients was 500 and is 10000",
        ]


async def test_a_password_set_apart_wins_over_the_one_in_the_url(running: EmbeddedServer) -> None:
    with client(running) as admin:
        admin.config_set("requirepass", "right")
    url = f"redis://:wrong@127.0.0.1:{running.port}"
    async with watching(url) as target:
        assert failed(await target.poll(0.0))["info"] == "auth"
        assert "wrong user name or password" in "".join(target.notes())
    async with watching(url, password=Secret("right")) as target:
        assert failed(await target.poll(0.0)) == {}


def test_settings_show_no_secret() -> None:
    settings = TargetSettings(name="a", url="redis://alice:s3cret@host", password=Secret("hunter2"))
    assert "s3cret" not in repr(settings)
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"url": "host:6379"}, "redis://"), ({"interval": 0.0}, "interval"), ({"timeout": -1.0}, "timeout")],
)
def test_impossible_settings_are_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TargetSettings(**{"name": "a", "url": "redis://host"} | settings)  # type: ignore[arg-type]


async def test_at_maxclients_the_seats_report_and_the_probe_says_full(running: EmbeddedServer) -> None:
    with client(running) as admin:
        async with watching(running.url, probe=ProbeSettings(interval=0.0)) as target:
            await target.poll(0.0)
            await target.poll(1.0)
            admin.config_set("maxclients", 3)
            poll = await target.poll(2.0)
            assert value(poll, "redis_dial_failed", reason="full") == 1
            assert value(poll, "redis_connected_clients") == 3
            assert value(poll, "redis_max_clients") == 3
            assert value(poll, "redis_seats") == 2
            assert failed(poll) == {}
            dial, ceiling = sorted(target.notes())
            assert "a new connection fails (full)" in dial
            assert "maxclients was 10000 and is 3" in ceiling
            rejected = value(await target.poll(3.0), "redis_connections_rejected_total")
            assert rejected is not None
            assert rejected >= 1


async def test_the_probe_of_a_frozen_server_does_not_lengthen_the_poll(running: EmbeddedServer) -> None:
    async with watching(running.url, timeout=0.2, probe=ProbeSettings(interval=0.0)) as target:
        await target.poll(0.0)
        started = asyncio.get_running_loop().time()
        with frozen(running):
            poll = await target.poll(1.0)
        assert asyncio.get_running_loop().time() - started < 0.35
        assert value(poll, "redis_dial_failed", reason="timeout") == 1
