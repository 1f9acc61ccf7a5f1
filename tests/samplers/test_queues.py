"""Lists, sorted sets and streams that are named as queues, on a real server."""

from __future__ import annotations

import time

import pytest
import redis

from sentinel.model import Labels
from sentinel.samplers.base import Command, Reply, SamplerError
from sentinel.samplers.queues import ListQueue, Queue, Queues, StreamQueue, ZsetQueue
from sentinel.samplers.seats import Seats


def labels(queue: str, system: str) -> Labels:
    return (("queue", queue), ("system", system))


async def read(seats: Seats, *queues: Queue) -> dict[tuple[str, str], float]:
    samples = await Queues(queues).sample(seats, time.time())
    return {(one.series.metric.removeprefix("queue_"), dict(one.series.labels)["queue"]): one.value for one in samples}


class Counted:
    """Seats that count the round trips."""

    def __init__(self, seats: Seats) -> None:
        self.seats, self.trips = seats, 0

    async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
        self.trips += 1
        return await self.seats.ask(*commands, db=db)


async def test_a_list_is_as_deep_as_it_is_long(seats: Seats, db: redis.Redis) -> None:
    db.rpush("jobs", "a", "b", "c")
    assert await read(seats, ListQueue("jobs", "work")) == {("depth", "work"): 3, ("oldest_age_seconds", "work"): 0}


async def test_absent_keys_are_empty_queues(seats: Seats, db: redis.Redis) -> None:
    found = await read(seats, ListQueue("l"), ZsetQueue("z", scores="time"), StreamQueue("s", "g"))
    assert set(found.values()) == {0}
    assert {queue for metric, queue in found if metric == "depth"} == {"l", "z", "s"}


async def test_every_series_of_a_queue_has_the_same_labels(seats: Seats, db: redis.Redis) -> None:
    db.rpush("jobs", "a")
    samples = await Queues((ListQueue("jobs", "work"),)).sample(seats, 1000.0)
    assert {one.series.labels for one in samples} == {labels("work", "list")}


async def test_the_age_of_a_list_is_told_as_an_estimate(seats: Seats, db: redis.Redis) -> None:
    db.lpush("jobs", "a")
    queues = Queues((ListQueue("jobs"),))
    first = await queues.sample(seats, 1000.0)
    db.lpush("jobs", "b")
    later = await queues.sample(seats, 1060.0)
    ages = [one for one in (*first, *later) if one.series.metric == "queue_oldest_age_seconds"]
    assert [one.value for one in ages] == [pytest.approx(0, abs=1), pytest.approx(60, abs=1)]
    assert [one.exemplar for one in ages] == [(("estimate", "1"),)] * 2


async def test_members_scored_in_the_future_are_delayed(seats: Seats, db: redis.Redis) -> None:
    db.zadd("z", {"a": time.time() - 60, "b": time.time() + 600, "c": time.time() + 600})
    found = await read(seats, ZsetQueue("z", scores="time"), ZsetQueue("z", "all"))
    assert found == {
        ("depth", "z"): 1,
        ("eligible", "z"): 1,
        ("delayed", "z"): 2,
        ("oldest_age_seconds", "z"): pytest.approx(60, abs=2),
        ("depth", "all"): 3,
    }


async def test_a_stream_tells_what_waits_and_what_is_in_flight(seats: Seats, db: redis.Redis) -> None:
    db.xgroup_create("s", "g", "0", mkstream=True)
    for age in (50, 40, 30, 20, 10):
        db.xadd("s", {"a": "b"}, id=f"{int((time.time() - age) * 1000)}-0")
    db.xreadgroup("g", "c", {"s": ">"}, count=2)
    found = await read(seats, StreamQueue("s", "g"))
    assert found["depth", "s"] == 3
    assert found["in_flight", "s"] == 2
    assert found["consumers", "s"] == 1
    assert found["completed_total", "s"] == 0
    assert found["oldest_age_seconds", "s"] == pytest.approx(30, abs=2)


async def test_a_key_of_another_type_is_named_and_loses_no_other_queue(seats: Seats, db: redis.Redis) -> None:
    db.set("odd", "x")
    queues = Queues((ListQueue("odd"), ListQueue("jobs")))
    assert {dict(one.series.labels)["queue"] for one in await queues.sample(seats, 1000.0)} == {"jobs"}
    assert queues.trouble.startswith("odd: ")
    with pytest.raises(SamplerError, match="odd"):
        await Queues((ListQueue("odd"),)).sample(seats, 1000.0)


async def test_a_lag_that_the_server_cannot_tell_is_the_length_of_the_stream(seats: Seats, db: redis.Redis) -> None:
    ids = [db.xadd("s", {"a": "b"}) for _ in range(5)]
    db.xgroup_create("s", "g", "0")
    db.xdel("s", ids[2])
    assert db.xinfo_groups("s")[0]["lag"] is None
    assert (await read(seats, StreamQueue("s", "g")))["depth", "s"] == 4


async def test_a_stream_without_the_group_waits_as_a_whole(seats: Seats, db: redis.Redis) -> None:
    db.xadd("s", {"a": "b"})
    found = await read(seats, StreamQueue("s", "g"))
    assert (found["depth", "s"], found["in_flight", "s"]) == (1, 0)


async def test_a_queue_of_another_database_is_read_there_and_named_so(seats: Seats, db: redis.Redis) -> None:
    db.select(3)
    db.rpush("jobs", "a", "b")
    db.select(0)
    found = await read(seats, ListQueue("jobs"), ListQueue("jobs", db=3))
    assert (found["depth", "jobs"], found["depth", "jobs@db3"]) == (0, 2)


async def test_a_database_that_is_not_there_loses_no_other_queue(seats: Seats, db: redis.Redis) -> None:
    db.rpush("jobs", "a")
    queues = Queues((ListQueue("jobs"), ListQueue("jobs", db=999)))
    samples = await queues.sample(seats, time.time())
    assert {dict(one.series.labels)["queue"] for one in samples} == {"jobs"}
    assert "DB index is out of range" in queues.trouble


async def test_after_the_first_reading_lists_take_one_round_trip(seats: Seats, db: redis.Redis) -> None:
    queues, counted = Queues([ListQueue(f"l{number}") for number in range(50)]), Counted(seats)
    await queues.sample(counted, 1000.0)
    counted.trips = 0
    await queues.sample(counted, 1005.0)
    assert counted.trips == 1
