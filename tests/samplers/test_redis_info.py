"""INFO against texts written by hand and against real servers."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import NoPermissionError, ResponseError

from sentinel.embedded import EmbeddedServer
from sentinel.model import Sample
from sentinel.samplers.base import Command, Reply, SamplerError
from sentinel.samplers.dial import Dialer, parse_url
from sentinel.samplers.redis_info import RedisInfo
from sentinel.samplers.seats import Seats
from tests.servers import SERVERS, client, server

VALKEY = (
    b"# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\nrun_id:aaa\r\n"
    b"uptime_in_seconds:61\r\n\r\n# Clients\r\nconnected_clients:12\r\ncluster_connections:0\r\n"
    b"maxclients:4064\r\nclient_recent_max_output_buffer:20480\r\nblocked_clients:3\r\npubsub_clients:1\r\n"
    b"paused_reason:client_pause\r\n\r\n# Memory\r\nused_memory:1048576\r\nused_memory_rss:2097152\r\n"
    b"total_system_memory:8000000000\r\n"
    b"maxmemory:0\r\nmaxmemory_policy:noeviction\r\nmem_clients_normal:22400\r\n\r\n# Persistence\r\n"
    b"loading:0\r\nrdb_bgsave_in_progress:0\r\naof_rewrite_in_progress:1\r\n\r\n# Stats\r\n"
    b"total_connections_received:900\r\ntotal_commands_processed:7000\r\nrejected_connections:5\r\n"
    b"evicted_keys:6\r\nevicted_clients:2\r\nlatest_fork_usec:1500\r\n"
    b"client_output_buffer_limit_disconnections:8\r\n\r\n"
    b"# Replication\r\nrole:master\r\nconnected_slaves:1\r\n\r\n"
    b"# CPU\r\nused_cpu_sys:9.5\r\nused_cpu_user:9.25\r\n"
    b"used_cpu_sys_main_thread:1.5\r\nused_cpu_user_main_thread:2.25\r\n\r\n"
    b"# Errorstats\r\nerrorstat_ERR:count=4\r\nerrorstat_NOPERM:count=2\r\n"
)
REDIS_6_0 = (
    b"# Server\r\nredis_version:6.0.16\r\nrun_id:bbb\r\n\r\n# Clients\r\nconnected_clients:7\r\n\r\n"
    b"# Stats\r\nrejected_connections:0\r\n\r\n# Replication\r\nrole:slave\r\nmaster_link_status:down\r\n"
)


class Script:
    """A Reader that answers from a table, by the command's first word or by the whole."""

    def __init__(self, **answers: Reply) -> None:
        self.answers = answers
        self.asked: list[Command] = []

    async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
        self.asked += commands
        return [self.answers.get(str(command[0]).lower(), b"") for command in commands]


async def read(sampler: RedisInfo, **answers: Reply) -> dict[str, float]:
    return values(await sampler.sample(Script(**{"ping": b"PONG"} | answers), 1000.0))


def values(samples: Sequence[Sample]) -> dict[str, float]:
    def name(one: Sample) -> str:
        return one.series.metric + "".join(f",{k}={v}" for k, v in one.series.labels)

    return {name(one): one.value for one in samples}


async def test_every_field_lands_in_its_metric() -> None:
    sampler = RedisInfo()
    found = await read(sampler, info=VALKEY, config=[])
    assert found.pop("redis_ping_seconds") >= 0
    assert sampler.vitals.output_buffer == 20480
    assert found == {
        "redis_uptime_seconds": 61,
        "redis_connected_clients": 12,
        "redis_cluster_links": 0,
        "redis_max_clients": 4064,
        "redis_blocked_clients": 3,
        "redis_pubsub_clients": 1,
        "redis_client_output_buffer_max_bytes": 20480,
        "redis_paused,reason=client_pause": 1,
        "redis_loading": 0,
        "redis_saving": 1,
        "redis_last_fork_seconds": 0.0015,
        "redis_cpu_seconds_total": 3.75,
        "redis_evicted_keys_total": 6,
        "redis_output_buffer_disconnections_total": 8,
        "redis_memory_rss_bytes": 2097152,
        "redis_memory_system_bytes": 8000000000,
        "redis_memory_used_bytes": 1048576,
        "redis_memory_max_bytes": 0,
        "redis_memory_noeviction": 1,
        "redis_memory_clients_bytes": 22400,
        "redis_connections_received_total": 900,
        "redis_commands_total": 7000,
        "redis_connections_rejected_total": 5,
        "redis_evicted_clients_total": 2,
        "redis_connected_replicas": 1,
        "redis_restarts_total": 0,
        "redis_errors_total,prefix=ERR": 4,
        "redis_errors_total,prefix=NOPERM": 2,
        "redis_info,role=master,server=valkey,version=9.1.2": 1,
    }


class Commands(Script):
    """A server with so many commands so far, and what each of them took."""

    def __init__(self, **answers: Reply) -> None:
        super().__init__(ping=b"PONG", config=[], **answers)
        self.total = 7000
        self.looks: list[float] = []

    async def look(self, sampler: RedisInfo, now: float, more: int) -> dict[str, float]:
        self.total += more
        self.answers["info"] = VALKEY.replace(b"processed:7000", b"processed:%d" % self.total)
        asked = len(self.asked)
        found = values(await sampler.sample(self, now))
        self.looks += [now] if ("INFO", "commandstats") in self.asked[asked:] else []
        return found


async def test_commands_are_looked_at_every_five_minutes_and_every_half_while_many_come() -> None:
    sampler, server = RedisInfo(), Commands()
    for now in range(0, 601, 5):
        await server.look(sampler, now, more=100)
    assert server.looks == [0, 300, 600]
    for now in range(605, 666, 5):
        await server.look(sampler, now, more=5000)
    assert server.looks == [0, 300, 600, 630, 660]


async def test_commands_are_looked_at_with_each_poll_while_a_ping_is_slow() -> None:
    class Slow(Commands):
        async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
            if ("PING",) in commands:
                await asyncio.sleep(0.011)
            return await super().ask(*commands, db=db)

    sampler, server = RedisInfo(), Slow()
    for now in range(0, 16, 5):
        await server.look(sampler, now, more=100)
    assert server.looks == [0, 5, 10, 15]


async def test_each_command_is_told_with_its_calls_and_seconds() -> None:
    stats = b"# Commandstats\r\ncmdstat_get:calls=12,usec=30,usec_per_call=2.50\r\n"
    stats += b"cmdstat_client|list:calls=2,usec=4000000,usec_per_call=2000000.00\r\n"

    class Told(Script):
        async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
            return [stats if command[-1] == "commandstats" else b"a:b" for command in commands]

    found = values(await RedisInfo().sample(Told(), 1000.0))
    assert {key: value for key, value in found.items() if "command" in key} == {
        "redis_command_calls_total,command=get": 12,
        "redis_command_seconds_total,command=get": 30e-6,
        "redis_command_calls_total,command=client|list": 2,
        "redis_command_seconds_total,command=client|list": 4.0,
    }


@pytest.mark.parametrize("binary", SERVERS, ids=lambda path: path.name)
async def test_a_real_server_tells_what_it_is_asked_for(binary: Path) -> None:
    with server(binary=binary) as running:
        seats = Seats(Dialer(parse_url(running.url)), 2.0)
        found = values(await RedisInfo().sample(seats, 1000.0))
        await seats.close()
    wanted = {"redis_loading", "redis_saving", "redis_last_fork_seconds", "redis_cpu_seconds_total"}
    wanted |= {"redis_evicted_keys_total", "redis_memory_rss_bytes", "redis_memory_system_bytes"}
    assert wanted | {"redis_command_calls_total,command=info"} <= found.keys()


async def test_valkey_is_not_taken_for_the_redis_that_it_claims_to_be() -> None:
    sampler = RedisInfo()
    await read(sampler, info=VALKEY)
    assert (sampler.vitals.valkey, sampler.vitals.version) == (True, (9, 1, 2))
    await read(sampler, info=REDIS_6_0)
    assert (sampler.vitals.valkey, sampler.vitals.version) == (False, (6, 0, 16))


async def test_reserved_clients_come_from_config_where_it_knows_them() -> None:
    assert (await read(RedisInfo(), info=VALKEY, config=[b"maxclients-reserved", b"16"]))[
        "redis_reserved_clients"
    ] == 16
    assert "redis_reserved_clients" not in await read(RedisInfo(), info=VALKEY, config=[])


async def test_config_is_asked_once_a_run_where_info_tells_the_ceiling() -> None:
    sampler, reader = RedisInfo(), Script(ping=b"PONG", info=VALKEY, config=NoPermissionError("no"))
    for _ in range(5):
        await sampler.sample(reader, 1000.0)
    assert [command for command in reader.asked if command[0] == "CONFIG"] == [("CONFIG", "GET", "maxclients-reserved")]


@pytest.mark.parametrize(
    ("config", "setting", "ceiling"),
    [
        ([b"maxclients", b"9000"], 0, 9000),
        (NoPermissionError("no"), 500, 500),
        (ResponseError("unknown command"), 0, None),
    ],
)
async def test_the_ceiling_is_asked_of_config_and_then_of_the_settings(
    config: Reply, setting: int, ceiling: int | None
) -> None:
    found = await read(RedisInfo(max_clients=setting), info=REDIS_6_0, config=config)
    assert found.get("redis_max_clients") == ceiling


async def test_a_new_run_id_is_a_restart() -> None:
    sampler = RedisInfo()
    restarts = [
        (await read(sampler, info=VALKEY.replace(b"run_id:aaa", b"run_id:" + run)))["redis_restarts_total"]
        for run in (b"aaa", b"aaa", b"bbb", b"bbb", b"aaa")
    ]
    assert restarts == [0, 0, 1, 1, 2]


async def test_old_servers_are_asked_one_section_a_call() -> None:
    class Old(Script):
        async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
            self.asked += commands
            wide = ResponseError("ERR syntax error")
            sections = {"clients": b"# Clients\r\nconnected_clients:7\r\n"}
            info = [wide if len(c) > 2 else sections.get(str(c[-1]), b"") for c in commands]
            return [b"PONG" if c == ("PING",) else reply for c, reply in zip(commands, info, strict=True)]

    sampler, reader = RedisInfo(), Old()
    for _ in range(3):
        assert values(await sampler.sample(reader, 1.0))["redis_connected_clients"] == 7
    assert sum(len(command) > 2 for command in reader.asked if command[0] == "INFO") == 1


async def test_no_permission_for_info_names_the_command() -> None:
    with pytest.raises(SamplerError, match="INFO: not permitted") as caught:
        await read(RedisInfo(), info=NoPermissionError("NOPERM User u has no permissions"))
    assert caught.value.reason == "noperm"


odd = st.one_of(st.none(), st.integers(), st.binary(max_size=200), st.just(ResponseError("odd")), st.lists(st.binary()))
bent = st.tuples(st.integers(0, len(VALKEY)), st.integers(0, len(VALKEY)), st.binary(max_size=12)).map(
    lambda cut: VALKEY[: cut[0]] + cut[2] + VALKEY[cut[1] :]
)


@given(info=odd | bent, config=odd, ping=odd)
async def test_odd_replies_never_raise_anything_else_and_give_finite_values(info: Any, config: Any, ping: Any) -> None:
    sampler, samples = RedisInfo(), []
    with contextlib.suppress(SamplerError):
        samples = await sampler.sample(Script(info=info, config=config, ping=ping), 1000.0)
    assert all(math.isfinite(one.value) for one in samples)


@pytest.mark.parametrize("binary", SERVERS, ids=lambda path: path.name)
async def test_a_script_that_holds_everyone_up_is_told_as_busy(binary: Path) -> None:
    with server("--busy-reply-threshold", "50", binary=binary) as running, client(running) as ops:
        seats = Seats(Dialer(parse_url(running.url)), 2.0)
        await RedisInfo().sample(seats, 1000.0)
        script = asyncio.create_task(asyncio.to_thread(_run_for_ever, running))
        async with asyncio.timeout(10):
            while (reason := await _reason(seats)) is None:
                await asyncio.sleep(0.01)
        ops.script_kill()
        await script
        await seats.close()
    assert reason == "busy"


def _run_for_ever(running: EmbeddedServer) -> None:
    with client(running, socket_timeout=10) as connected, contextlib.suppress(ResponseError):
        connected.eval("while true do end", 0)


async def _reason(seats: Seats) -> str | None:
    try:
        await RedisInfo().sample(seats, 1000.0)
    except SamplerError as error:
        return error.reason
    return None


@pytest.mark.parametrize("binary", SERVERS, ids=lambda path: path.name)
async def test_writes_that_a_replica_or_a_full_server_refuses_are_told_by_prefix(binary: Path) -> None:
    with server(binary=binary) as running, client(running) as ops:
        seats = Seats(Dialer(parse_url(running.url)), 2.0)
        ops.config_set("maxmemory", "1")
        with pytest.raises(ResponseError, match="maxmemory"):
            ops.set("a", "b")
        ops.config_set("maxmemory", "0")
        ops.replicaof("127.0.0.1", "1")
        with pytest.raises(ResponseError, match="read only"):
            ops.set("a", "b")
        found = values(await RedisInfo().sample(seats, 1000.0))
        await seats.close()
    assert found["redis_errors_total,prefix=OOM"] == found["redis_errors_total,prefix=READONLY"] == 1
    assert found["redis_master_link_up"] == 0
    assert [name for name in found if name.startswith("redis_info,role=slave")]
