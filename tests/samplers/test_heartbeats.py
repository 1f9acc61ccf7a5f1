"""Heartbeats of each kind on a real server."""

from __future__ import annotations

import pytest
import redis

from sentinel.model import Sample
from sentinel.samplers.base import Command, Reply, SamplerError
from sentinel.samplers.heartbeats import HashHeartbeat, Heartbeats, KeyHeartbeat, StreamHeartbeat, ZsetHeartbeat
from sentinel.samplers.seats import Seats


class Script:
    """A Reader whose server's time is 1000, or `clock`, and that answers all else from a list."""

    def __init__(self, *replies: Reply, clock: int = 1000) -> None:
        self.replies, self.clock = list(replies), clock
        self.asked: list[Command] = []

    async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
        self.asked = list(commands)
        return [[str(self.clock).encode(), b"0"], *self.replies]


def ages(samples: list[Sample]) -> dict[str, float]:
    told = [one for one in samples if one.series.metric == "heartbeat_age_seconds"]
    return {dict(one.series.labels)["worker"]: one.value for one in told}


def clock(db: redis.Redis) -> float:
    seconds, micros = db.time()
    return float(seconds) + float(micros) / 1e6


async def test_sorted_sets_and_hashes_tell_how_old_the_last_beats_are(seats: Seats, db: redis.Redis) -> None:
    now = clock(db)
    db.zadd("z", {"a": now - 30, "ahead": now + 30})
    db.hset("h", mapping={"b": int((now - 20) * 1000), "odd": "x"})
    sampler = Heartbeats((ZsetHeartbeat("g", "z"), HashHeartbeat("g", "h", "ms")))
    found = ages(await sampler.sample(seats, 0.0))
    assert found == {"a": pytest.approx(30, abs=1), "ahead": 0, "b": pytest.approx(20, abs=1)}


async def test_a_beat_from_the_future_tells_that_a_clock_is_wrong(seats: Seats, db: redis.Redis) -> None:
    db.zadd("z", {"right": clock(db), "ahead": clock(db) + 30})
    samples = await Heartbeats((ZsetHeartbeat("g", "z"),)).sample(seats, 0.0)
    (skew,) = [one for one in samples if one.series.metric == "worker_clock_skew_seconds"]
    assert (dict(skew.series.labels)["worker"], skew.value) == ("ahead", pytest.approx(30, abs=1))


async def test_entries_of_a_stream_tell_who_added_one_and_when(seats: Seats, db: redis.Redis) -> None:
    now = clock(db)
    for worker, age in (("a", 50), ("b", 40), ("a", 30), ("old", 20)):
        db.xadd("s", {"load": 1, "worker" if worker != "old" else "name": worker}, id=f"{int((now - age) * 1000)}-0")
    sampler = Heartbeats((StreamHeartbeat("g", "s"),))
    expected = {"a": pytest.approx(30, abs=1), "b": pytest.approx(40, abs=1)}
    assert ages(await sampler.sample(seats, 0.0)) == expected
    db.xadd("s", {"worker": "b"})
    assert ages(await sampler.sample(seats, 0.0)) == expected | {"b": pytest.approx(0, abs=1)}
    assert sampler.commands == ("time", "xrange", "xrevrange")


async def test_a_removed_member_has_signed_off(seats: Seats, db: redis.Redis) -> None:
    db.zadd("z", {"a": clock(db), "b": clock(db)})
    sampler = Heartbeats((ZsetHeartbeat("g", "z"),))
    assert set(ages(await sampler.sample(seats, 0.0))) == {"a", "b"}
    db.zrem("z", "b")
    assert set(ages(await sampler.sample(seats, 0.0))) == {"a"}


async def test_a_worker_lost_for_long_is_forgotten() -> None:
    reader = Script([b"a", b"890", b"b", b"910"])
    assert ages(await Heartbeats((HashHeartbeat("g", "h", forget_after=100),)).sample(reader, 0.0)) == {"b": 90}


async def test_a_deleted_key_has_signed_off(seats: Seats, db: redis.Redis) -> None:
    db.set("hb:a", 1, px=60_000)
    db.set("hb:b", 1, px=20_000)
    sampler = Heartbeats((KeyHeartbeat("g", "hb:{client}", "[ab]"),), lambda: ["a", "b", "c"])
    found = ages(await sampler.sample(seats, 0.0))
    assert found == {"a": pytest.approx(0, abs=1), "b": pytest.approx(40, abs=1)}
    db.delete("hb:b")
    assert set(ages(await sampler.sample(seats, 0.0))) == {"a"}


async def test_a_key_that_ran_out_is_lost_and_grows_older(seats: Seats, db: redis.Redis) -> None:
    connected = ["a"]
    db.set("hb:a", 1, px=200)
    sampler = Heartbeats((KeyHeartbeat("g", "hb:{client}"),), lambda: connected)
    assert set(ages(await sampler.sample(seats, 0.0))) == {"a"}
    connected.clear()
    while db.exists("hb:a"):
        pass
    first = ages(await sampler.sample(seats, 0.0))["a"]
    assert first > 0.1
    assert ages(await sampler.sample(seats, 0.0))["a"] > first


async def test_a_key_that_ran_out_counts_from_its_last_beat_until_it_is_forgotten() -> None:
    sampler = Heartbeats((KeyHeartbeat("g", "hb", forget_after=100),))
    assert ages(await sampler.sample(Script(10_000, clock=1000), 0.0)) == {"hb": 0}
    assert ages(await sampler.sample(Script(-2, clock=1030), 0.0)) == {"hb": 30}
    assert ages(await sampler.sample(Script(-2, clock=1111), 0.0)) == {}


async def test_a_key_that_never_was_is_no_worker(seats: Seats, db: redis.Redis) -> None:
    assert await Heartbeats((KeyHeartbeat("g", "hb"),)).sample(seats, 0.0) == []


async def test_a_pattern_that_no_client_matches_is_said(seats: Seats, db: redis.Redis) -> None:
    sampler = Heartbeats((KeyHeartbeat("g", "hb:{client}", "worker-.*"),), lambda: ["other"])
    await sampler.sample(seats, 0.0)
    assert sampler.trouble == "hb:{client}: no connected client has a name that matches worker-.*"


async def test_a_key_of_another_type_is_named_and_loses_no_other_group(seats: Seats, db: redis.Redis) -> None:
    db.set("odd", "x")
    db.zadd("z", {"a": clock(db)})
    sampler = Heartbeats((ZsetHeartbeat("g", "odd"), ZsetHeartbeat("g", "z")))
    assert set(ages(await sampler.sample(seats, 0.0))) == {"a"}
    assert sampler.trouble.startswith("odd: ")
    with pytest.raises(SamplerError, match="odd"):
        await Heartbeats((HashHeartbeat("g", "odd"),)).sample(seats, 0.0)


async def test_workers_beyond_the_bound_are_left_out_and_counted() -> None:
    sampler = Heartbeats((HashHeartbeat("g", "h"),))
    reader = Script([text for n in range(2003) for text in (b"%d" % n, b"999")])
    assert len(await sampler.sample(reader, 0.0)) == 2000
    assert sampler.trouble == "h: 3 workers beyond the first 2,000 are left out"


def test_a_broken_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="`clients` of heartbeats g"):
        KeyHeartbeat("g", "hb:{client}", "(")


async def test_only_clients_whose_whole_name_matches_are_workers(seats: Seats, db: redis.Redis) -> None:
    names = ["mail-1", "mail-1-admin", "web-1"]
    for name in names:
        db.set(f"hb:{name}", 1, px=60_000)
    sampler = Heartbeats((KeyHeartbeat("g", "hb:{client}", r"mail-\d"),), lambda: names)
    assert set(ages(await sampler.sample(seats, 0.0))) == {"mail-1"}
