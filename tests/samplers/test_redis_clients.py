"""The census: on lists written by hand, and with leaked clients on real servers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import math
import socket
import time
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import NoPermissionError, ResponseError

from sentinel.embedded import EmbeddedServer
from sentinel.model import Sample
from sentinel.samplers.base import Command, Reply, SamplerError, Vitals
from sentinel.samplers.dial import Dialer, parse_url
from sentinel.samplers.redis_clients import Census, CensusSettings
from sentinel.samplers.seats import Seats
from tests.servers import SERVERS, client, server


def row(id: int, name: str = "", **other: object) -> str:
    fields: dict[str, object] = {"ip": "10.0.0.1", "age": 100, "idle": 0, "flags": "N", "db": 0, "cmd": "get"}
    fields |= {"user": "default", "lib": ""} | other
    return (
        f"id={id} addr={fields['ip']}:5{id} laddr=10.0.0.9:6379 fd=8 name={name} age={fields['age']} "
        f"idle={fields['idle']} flags={fields['flags']} db={fields['db']} sub=0 cmd={fields['cmd']} "
        f"user={fields['user']} redir=-1 resp=2 lib-name={fields['lib']} lib-ver="
    )


class Lists:
    """A Reader that gives one list after another, and what the server says that each took."""

    def __init__(self, *lists: Sequence[str] | Reply, usec: int = 100) -> None:
        self.lists = list(lists)
        self.usec, self.calls = usec, 0

    async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
        self.calls += 1
        given = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        text = "\n".join([*given, ""]).encode() if isinstance(given, list) else given
        return [text, b"cmdstat_client|list:calls=%d,usec=%d," % (self.calls, self.calls * self.usec)]


def census(vitals: Vitals | None = None, **settings: object) -> Census:
    return Census(CensusSettings(**{"interval": 0.0, "budget": 1.0} | settings), vitals or Vitals())  # type: ignore[arg-type]


def table(samples: Sequence[Sample], metric: str) -> dict[str, float]:
    """Values of a metric by group."""
    return {s.series.labels[0][1]: s.value for s in samples if s.series.metric == f"redis_group_{metric}"}


def example(samples: Sequence[Sample], metric: str, group: str) -> dict[str, str]:
    (one,) = [s for s in samples if s.series == (f"redis_group_{metric}", (("group", group),))]
    return dict(one.exemplar or ())


async def test_clients_are_counted_by_group() -> None:
    rows = [row(1, "api-1"), row(2, "api-2"), row(3, "api-2", flags="b", cmd="brpop"), row(4, "cron")]
    samples = await census().sample(Lists(rows), 0.0)
    assert table(samples, "clients") == {"api-*": 3, "cron": 1}
    assert table(samples, "blocked_clients") == {"api-*": 1, "cron": 0}
    assert table(samples, "sources") == {"api-*": 2, "cron": 1}


async def test_unnamed_pods_of_one_deployment_fall_together_and_apart_from_others() -> None:
    rows = [row(n, ip=f"10.4.7.{n}", cmd=("get", "set", "lpush")[n % 3], lib="redis-py") for n in range(9)]
    rows += [row(20, ip="10.4.8.1", lib="redis-py"), row(21, ip="10.4.7.1", lib="ioredis")]
    rows += [row(22, ip="10.4.7.1", lib="redis-py", cmd="info"), row(23, ip="10.4.7.1", lib="redis-py", db=3)]
    rows += [row(24, ip="10.4.7.1", lib="redis-py", user="billing"), row(25, ip="/run/redis.sock")]
    assert table(await census().sample(Lists(rows), 0.0), "clients") == {
        "unnamed 10.4.7.0/24 redis-py data db0": 9,
        "unnamed 10.4.8.0/24 redis-py data db0": 1,
        "unnamed 10.4.7.0/24 ioredis data db0": 1,
        "unnamed 10.4.7.0/24 redis-py info db0": 1,
        "unnamed 10.4.7.0/24 redis-py data db3": 1,
        "unnamed 10.4.7.0/24 redis-py data db0 user billing": 1,
        "unnamed unix data db0": 1,
    }


@pytest.mark.parametrize(
    ("age", "idle", "flags", "untouched", "unused"),
    [
        (100, 100, "N", 1, 1),
        (100, 99, "N", 1, 1),
        (100, 98, "N", 0, 0),
        (60, 60, "N", 1, 1),
        (59, 59, "N", 1, 0),
        (2, 1, "N", 1, 0),
        (1, 1, "N", 0, 0),
        (100, 100, "b", 0, 0),
        (100, 100, "P", 0, 0),
        (100, 100, "S", 0, 0),
        (100, 100, "M", 0, 0),
        (100, 100, "O", 0, 0),
        (100, 100, "xe", 0, 0),
        (100, 100, "e", 1, 1),
    ],
)
async def test_the_cohort_is_old_unused_and_idle_for_no_reason(
    age: int, idle: int, flags: str, untouched: int, unused: int
) -> None:
    samples = await census().sample(Lists([row(1, "api", age=age, idle=idle, flags=flags)]), 0.0)
    assert table(samples, "untouched_clients") == {"api": untouched}
    assert table(samples, "unused_clients") == {"api": unused}


async def test_a_census_that_finds_no_room_for_its_list_is_due_again_at_the_next_poll() -> None:
    desk, lists = asyncio.Semaphore(1), Lists([row(1, "api")])
    one = Census(CensusSettings(), Vitals(), desk)
    async with desk:
        assert await one.sample(lists, 0.0) == []
    assert (lists.calls, table(await one.sample(lists, 1.0), "clients")) == (0, {"api": 1})


async def test_births_and_deaths_are_counted_by_id_from_the_second_list_on() -> None:
    lists = Lists(
        [row(1, "api-1"), row(2, "api-2"), row(3, "cron")],
        [row(1, "api-1"), row(4, "api-3"), row(5, "api-3")],
        [row(1, "api-1"), row(5, "api-3")],
    )
    counter, seen = census(), []
    for now in (0.0, 5.0, 10.0):
        samples = await counter.sample(lists, now)
        births, deaths = table(samples, "births_total"), table(samples, "deaths_total")
        seen.append((births["api-*"], deaths["api-*"], births["cron"], deaths["cron"]))
    assert seen == [(0, 0, 0, 0), (2, 1, 0, 1), (2, 2, 0, 1)]


async def test_a_new_run_of_the_server_is_neither_births_nor_deaths() -> None:
    vitals = Vitals(run_id="a")
    counter = census(vitals)
    lists = Lists([row(1, "api-1"), row(2, "api-1")], [row(2, "api-1"), row(3, "api-1")])
    await counter.sample(lists, 0.0)
    vitals.run_id = "b"
    samples = await counter.sample(lists, 5.0)
    assert table(samples, "births_total") == table(samples, "deaths_total") == {"api-*": 0}


async def test_a_group_that_has_gone_stands_at_nought_for_a_while() -> None:
    counter, lists = census(), Lists([row(1, "api")], [row(2, "cron")])
    await counter.sample(lists, 0.0)
    assert table(await counter.sample(lists, 5.0), "clients") == {"api": 0, "cron": 1}
    assert table(await counter.sample(lists, 1000.0), "clients") == {"cron": 1}


async def test_the_example_names_the_heaviest_source_of_recent_growth() -> None:
    old = [row(n, "api-1", age=90000, idle=90000) for n in range(1, 301)]
    new = [row(n, "api-2", ip="10.0.0.2", age=300 - n % 9, idle=300 - n % 9, cmd="info") for n in range(400, 408)]
    new += [row(500, "api-3", age=70, idle=70), row(501, "api-3", age=65, idle=65)]
    shown = example(await census().sample(Lists([*old, *new]), 0.0), "unused_clients", "api-*")
    assert float(shown.pop("share")) == 0.8  # 8 of the 10 recent ones; the 300 old ones weigh nothing
    assert shown.pop("common") == "user,db"
    assert shown == {
        "name": "api-2",
        "addr": "10.0.0.2",
        "cmd": "info",
        "user": "default",
        "db": "0",
        "id": "407",
        "age": "298",
        "idle": "298",
    }


async def test_our_own_seats_are_left_out() -> None:
    rows = [row(1, "sentinel-sampler"), row(2, "sentinel-probe"), row(3), row(4, "api")]
    samples = await census(Vitals(own_ids=frozenset({3}))).sample(Lists(rows), 0.0)
    assert table(samples, "clients") == {"api": 1}


async def test_the_smallest_stable_groups_are_summed_up_and_growing_ones_never() -> None:
    names = [chr(97 + n) * 3 for n in range(6)]
    stable = [row(100 * n + k, names[n]) for n in range(6) for k in range(10 - n)]
    counter = census(groups=3)
    samples = await counter.sample(Lists(stable), 0.0)
    assert table(samples, "clients") == {"aaa": 10, "bbb": 9, "ccc": 8, "other": 7 + 6 + 5}
    leaking = [*stable, *(row(10_000 + k, "fff") for k in range(3)), row(20_000, "ddd")]
    samples = await counter.sample(Lists(leaking), 5.0)
    assert table(samples, "clients") == {"aaa": 10, "bbb": 9, "fff": 8, "other": 8 + 8 + 6}
    assert table(samples, "births_total") == {"aaa": 0, "bbb": 0, "fff": 3, "other": 1}


async def test_names_without_a_pattern_are_learnt_to_be_instances_of_one_thing() -> None:
    pets = [row(n, f"worker-{chr(97 + n % 26)}pet{chr(97 + n // 26)}") for n in range(60)]
    services = [row(100 + n, f"svc-{name}") for n, name in enumerate(("encode", "notify", "billing"))]
    found = table(await census().sample(Lists([*pets, *services]), 0.0), "clients")
    assert found == {"worker-*": 60, "svc-encode": 1, "svc-notify": 1, "svc-billing": 1}


async def test_the_next_list_waits_for_its_own_cost_over_the_budget() -> None:
    vitals = Vitals(connected=100.0)
    counter = census(vitals, interval=60.0, budget=0.001)
    samples = await counter.sample(Lists([row(1, "api")], usec=20_000), 0.0)  # 20 ms: every 20 s at most
    assert [s.value for s in samples if s.series.metric == "redis_census_seconds"] == [0.02]
    vitals.connected = 150.0
    assert [counter.due(now) for now in (5.0, 19.9, 20.1)] == [False, False, True]


async def test_a_quiet_server_is_listed_at_the_quiet_interval_and_a_moving_one_at_each_poll() -> None:
    vitals = Vitals(connected=100.0)
    counter = census(vitals, interval=60.0, budget=0.001)
    await counter.sample(Lists([row(1, "api")]), 0.0)
    assert [counter.due(now) for now in (5.0, 50.0, 58.0)] == [False, False, True]
    vitals.connected = 102.0
    assert counter.due(5.0)
    vitals.connected = 100.0
    await counter.sample(Lists([row(1, "api"), row(2, "api", age=9, idle=9)]), 60.0)
    assert counter.due(65.0), "the cohort grew although the total stood still"
    assert await census(vitals, interval=60.0).sample(Lists([row(1)]), 0.0)


async def test_what_forbids_the_list_ends_the_census_and_is_not_asked_at_every_poll() -> None:
    for refusal in (
        NoPermissionError("NOPERM User u has no permissions to run the 'client|list' command"),
        ResponseError("unknown command 'CLIENT'"),
    ):
        counter, lists = census(), Lists(refusal)
        for now in (0.0, 5.0, 599.0):
            with pytest.raises(SamplerError, match=r"CLIENT LIST.*only totals") as caught:
                await counter.sample(lists, now)
            assert caught.value.reason == "noperm"
        assert lists.calls == 1
        with pytest.raises(SamplerError):
            await counter.sample(lists, 601.0)
        assert lists.calls == 2


@given(
    st.one_of(st.none(), st.integers(), st.binary(max_size=300), st.just(ResponseError("odd")))
    | st.lists(st.integers(0, 200), min_size=2, max_size=2).map(
        lambda cut: "\n".join([row(1, "api"), row(2)]).encode()[cut[0] :][: 250 - cut[1]]
    )
)
async def test_odd_lists_never_raise_anything_else_and_give_finite_values(reply: Reply) -> None:
    samples: list[Sample] = []
    with contextlib.suppress(SamplerError):
        samples = await census().sample(Lists(reply), 0.0)
    assert all(math.isfinite(one.value) for one in samples)


async def test_a_row_that_looks_unlike_the_first_is_still_read() -> None:
    odd = "id=9 new-field=1 addr=10.0.0.1:1 age=5 idle=5 name=cron flags=N db=0 cmd=get user=default"
    found = table(await census().sample(Lists([row(1, "api"), odd, "", "rubbish"]), 0.0), "clients")
    assert (found["api"], found["cron"]) == (1, 1)


@pytest.fixture(params=SERVERS, ids=lambda path: path.name)
def running(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    with server("--maxclients", "12000", binary=request.param) as found:
        yield found


async def test_leaked_clients_of_a_real_server_are_named(running: EmbeddedServer) -> None:
    seats = Seats(Dialer(parse_url(running.url)))
    counter = census(unused_after=0.0)
    with contextlib.ExitStack() as leaked:
        await counter.sample(seats, 0.0)
        for _ in range(12):
            leaked.enter_context(client(running, client_name="assembly-status")).ping()
        leaked.enter_context(client(running, client_name="api-1")).ping()
        async with asyncio.timeout(10):
            for now in itertools.count(1):
                samples = await counter.sample(seats, float(now))
                if table(samples, "untouched_clients").get("assembly-status") == 12:
                    break
        shown = example(samples, "untouched_clients", "assembly-status")
        assert (shown["name"], shown["cmd"], shown["addr"]) == ("assembly-status", "ping", "127.0.0.1")
        assert shown["share"] == "1.00"
        assert table(samples, "births_total")["assembly-status"] == 12
        assert table(samples, "clients")["api-*"] == 1
        assert 0 < next(s.value for s in samples if s.series.metric == "redis_census_seconds") < 0.1
    await seats.close()


@pytest.mark.slow
async def test_ten_thousand_clients_never_hold_the_loop_for_ten_milliseconds(running: EmbeddedServer) -> None:
    """In CPU time, so that a busy machine does not decide; and without the collector, which would walk the
    test's own 10,000 sockets."""
    seats, counter, gaps = Seats(Dialer(parse_url(running.url)), 5.0), census(), [0.0]

    async def breathe() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            gaps.append(now - last)
            last = now

    with contextlib.ExitStack() as held:
        await seats.take_turns()
        for n in range(9_950):
            one = held.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            one.sendall(b"CLIENT SETNAME svc-%d-%d\r\n" % (n % 40, n))
        await counter.sample(seats, 0.0)
        breathing = asyncio.ensure_future(breathe())
        gc.disable()
        try:
            longest = []
            for now in (60.0, 120.0, 180.0):
                samples = await counter.sample(seats, now)
                longest.append(max(gaps))
                gaps[:] = [0.0]
        finally:
            gc.enable()
            breathing.cancel()
    assert sum(table(samples, "clients").values()) == 9_950
    assert min(longest) < 0.010
    await seats.close()
