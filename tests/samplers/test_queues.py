"""Queues of each kind on a real server."""

from __future__ import annotations

import time

import pytest
import redis

from sentinel.samplers.base import SamplerError
from sentinel.samplers.queues import ListQueue, Queue, Queues, StreamQueue, ZsetQueue
from sentinel.samplers.seats import Seats


async def read(seats: Seats, *queues: Queue) -> dict[tuple[str, str], float]:
    samples = await Queues(queues).sample(seats, 1000.0)
    return {(one.series.metric, dict(one.series.labels)["queue"]): one.value for one in samples}


async def test_a_list_is_as_deep_as_it_is_long(seats: Seats, db: redis.Redis) -> None:
    db.rpush("jobs", "a", "b", "c")
    assert await read(seats, ListQueue("jobs", "work")) == {("queue_depth", "work"): 3}


async def test_absent_keys_are_empty_queues(seats: Seats, db: redis.Redis) -> None:
    found = await read(seats, ListQueue("l"), ZsetQueue("z"), StreamQueue("s", "g"))
    expected = {("queue_depth", "l"): 0, ("queue_depth", "z"): 0, ("queue_depth", "s"): 0}
    assert found == expected | {("queue_in_flight", "s"): 0}


async def test_members_scored_in_the_future_are_delayed(seats: Seats, db: redis.Redis) -> None:
    db.zadd("z", {"a": time.time() - 60, "b": time.time() + 600, "c": time.time() + 600})
    found = await read(seats, ZsetQueue("z", scores="time"), ZsetQueue("z", "all"))
    assert found == {("queue_depth", "z"): 1, ("queue_delayed", "z"): 2, ("queue_depth", "all"): 3}


async def test_a_stream_tells_what_waits_and_what_is_in_flight(seats: Seats, db: redis.Redis) -> None:
    db.xgroup_create("s", "g", "0", mkstream=True)
    for _ in range(5):
        db.xadd("s", {"a": "b"})
    db.xreadgroup("g", "c", {"s": ">"}, count=2)
    assert await read(seats, StreamQueue("s", "g")) == {("queue_depth", "s"): 3, ("queue_in_flight", "s"): 2}


async def test_a_key_of_another_type_is_named_and_loses_no_other_queue(seats: Seats, db: redis.Redis) -> None:
    db.set("odd", "x")
    queues = Queues((ListQueue("odd"), ListQueue("jobs")))
    assert [one.value for one in await queues.sample(seats, 1000.0)] == [0]
    assert queues.trouble.startswith("odd: ")
    with pytest.raises(SamplerError, match="odd"):
        await Queues((ListQueue("odd"),)).sample(seats, 1000.0)


async def test_a_lag_that_the_server_cannot_tell_is_the_length_of_the_stream(seats: Seats, db: redis.Redis) -> None:
    ids = [db.xadd("s", {"a": "b"}) for _ in range(5)]
    db.xgroup_create("s", "g", "0")
    db.xdel("s", ids[2])
    assert db.xinfo_groups("s")[0]["lag"] is None
    assert (await read(seats, StreamQueue("s", "g")))["queue_depth", "s"] == 4


async def test_a_stream_without_the_group_waits_as_a_whole(seats: Seats, db: redis.Redis) -> None:
    db.xadd("s", {"a": "b"})
    assert await read(seats, StreamQueue("s", "g")) == {("queue_depth", "s"): 1, ("queue_in_flight", "s"): 0}
