"""BullMQ and Bull: what their keys come to, with times of one's own. Real workers are in tests/workers."""

from __future__ import annotations

from typing import Any

import redis

from sentinel.samplers.base import Client
from sentinel.samplers.queues.bull import Bull, BullMq
from tests.samplers.adapters.conftest import Looking

NOW = 1_795_485_600.0
SCALE = 4096


def mq(db: redis.Redis, version: str = "bullmq:6.7.0") -> None:
    db.hset("bull:mails:meta", mapping={"version": version, "opts.maxLenEvents": 10000})


def job(db: redis.Redis, number: str, age: float, delay: float = 0) -> None:
    db.hset(f"bull:mails:{number}", mapping={"timestamp": int((NOW - age) * 1000), "delay": int(delay * 1000)})


def sight(*idle: int, blocked: bool = True) -> dict[str, Any]:
    """A list of workers' connections that have been idle for so long."""
    clients = [
        Client(number, f"10.0.0.1:{number}", "bull:bWFpbHM=", 900, seconds, blocked, 0, "bzpopmin")
        for number, seconds in enumerate(idle)
    ]
    return {"clients": clients}


def test_what_waits_by_priority_or_is_overdue_is_eligible_and_may_be_the_oldest(db: redis.Redis, look: Looking) -> None:
    mq(db)
    db.lpush("bull:mails:wait", "1", "2")
    db.zadd("bull:mails:prioritized", {"3": 5 * 2**32 + 1})
    db.zadd("bull:mails:delayed", {"4": (NOW - 50) * 1000 * SCALE, "5": (NOW + 50) * 1000 * SCALE})
    job(db, "1", age=20)
    job(db, "3", age=40)
    follower = BullMq(queues=("mails",)).follower()
    found = look(follower, NOW)
    expected = {"depth": 4, "eligible": 4, "delayed": 1, "oldest_age_seconds": 50}
    assert {metric: found[metric, "mails"] for metric in expected} == expected
    db.zrem("bull:mails:delayed", "4")
    assert look(follower, NOW)["oldest_age_seconds", "mails"] == 40


def test_a_hundred_thousand_future_jobs_have_no_age_and_are_not_eligible(db: redis.Redis, look: Looking) -> None:
    mq(db)
    due = (NOW + 3600) * 1000 * SCALE
    script = "for i = 1, 100000 do redis.call('ZADD', KEYS[1], ARGV[1] + i, i) end"
    db.eval(script, 1, "bull:mails:delayed", due)
    found = look(BullMq(queues=("mails",)).follower(), NOW)
    assert (found["delayed", "mails"], found["eligible", "mails"], found["oldest_age_seconds", "mails"]) == (1e5, 0, 0)


def test_a_delayed_job_that_came_due_is_as_old_as_it_has_been_due(db: redis.Redis, look: Looking) -> None:
    mq(db)
    db.lpush("bull:mails:wait", "1")
    job(db, "1", age=100, delay=70)
    assert look(BullMq(queues=("mails",)).follower(), NOW)["oldest_age_seconds", "mails"] == 30


def test_a_marker_is_no_job(db: redis.Redis, look: Looking) -> None:
    mq(db, "bullmq:4.0.0")
    db.lpush("bull:mails:wait", "0:123")
    found = look(BullMq(queues=("mails",)).follower(), NOW)
    assert (found["depth", "mails"], found["oldest_age_seconds", "mails"]) == (0, 0)


def test_jobs_of_a_paused_queue_are_counted_wherever_the_version_keeps_them(db: redis.Redis, look: Looking) -> None:
    mq(db, "bullmq:5.0.0")
    db.hset("bull:mails:meta", "paused", 1)
    db.lpush("bull:mails:paused", "1", "2", "3")
    found = look(BullMq(queues=("mails",)).follower(), NOW)
    assert (found["paused", "mails"], found["depth", "mails"]) == (1, 3)


def test_a_job_in_flight_without_a_lock_is_abandoned(db: redis.Redis, look: Looking) -> None:
    mq(db)
    db.lpush("bull:mails:active", "1", "2", "3")
    db.set("bull:mails:2:lock", "token", px=30_000)
    found = look(BullMq(queues=("mails",)).follower(), NOW)
    assert (found["in_flight", "mails"], found["abandoned", "mails"]) == (3, 2)


def test_progress_does_not_depend_on_finished_jobs_being_kept(db: redis.Redis, look: Looking) -> None:
    mq(db)
    db.set("bull:mails:id", 100)
    db.lpush("bull:mails:wait", *map(str, range(10)))
    follower = BullMq(queues=("mails",)).follower()
    assert look(follower, NOW)["completed_total", "mails"] == 0
    db.incrby("bull:mails:id", 5)
    db.rpop("bull:mails:wait", 7)
    found = look(follower, NOW + 5)
    assert (found["completed_total", "mails"], found["enqueued_total", "mails"]) == (12, 105)


def test_failures_count_from_when_they_are_first_looked_for(db: redis.Redis, look: Looking) -> None:
    mq(db)
    db.set("bull:mails:id", 1)
    db.zadd("bull:mails:failed", {"1": (NOW - 60) * 1000})
    follower = BullMq(queues=("mails",)).follower()
    assert look(follower, NOW)["failed_total", "mails"] == 0
    db.set("bull:mails:id", 2)
    db.zadd("bull:mails:failed", {"2": (NOW - 3) * 1000})
    assert look(follower, NOW + 5)["failed_total", "mails"] == 1
    db.delete("bull:mails:failed")
    assert look(follower, NOW + 10)["failed_total", "mails"] == 1


def test_failures_count_where_only_the_last_ones_are_kept(db: redis.Redis, look: Looking) -> None:
    mq(db)
    db.set("bull:mails:id", 1)
    db.zadd("bull:mails:failed", {"1": (NOW - 60) * 1000})
    follower = BullMq(queues=("mails",)).follower()
    look(follower, NOW)
    db.set("bull:mails:id", 2)
    db.zadd("bull:mails:failed", {"2": (NOW + 3) * 1000})
    db.zrem("bull:mails:failed", "1")
    assert look(follower, NOW + 5)["failed_total", "mails"] == 1


def test_an_idle_queue_is_not_looked_at_closely(db: redis.Redis, look: Looking) -> None:
    mq(db)
    follower = BullMq(queues=("mails",)).follower()
    look(follower, NOW)
    look.asked.clear()
    look(follower, NOW + 5)
    assert len([command for command in look.asked if str(command[1]).startswith("bull:mails:")]) == 2 + 6


def test_a_worker_that_shows_nothing_for_long_hangs_unless_jobs_are_worked_on(db: redis.Redis, look: Looking) -> None:
    mq(db)
    follower = BullMq().follower()
    found = look(follower, NOW, listed=NOW, **sight(3, 65, blocked=False))
    ages = [found["heartbeat_age_seconds", f"bull:bWFpbHM=@10.0.0.1:{number}"] for number in (0, 1)]
    assert ages == [0, 45]
    db.lpush("bull:mails:active", "1")
    db.set("bull:mails:1:lock", "token", px=30_000)
    found = look(follower, NOW + 5, listed=NOW + 5, **sight(3, 70, blocked=False))
    assert found["heartbeat_age_seconds", "bull:bWFpbHM=@10.0.0.1:1"] == 0


def test_a_connection_that_ends_is_a_lost_worker_if_work_waits_and_a_scale_in_if_none_does(
    db: redis.Redis, look: Looking
) -> None:
    mq(db)
    follower = BullMq().follower()
    look(follower, NOW, listed=NOW, **sight(1, 1, 1))
    look(follower, NOW + 5, listed=NOW + 5, **sight(1, 1))
    found = look(follower, NOW + 40, listed=NOW + 40, **sight(1, 1))
    assert [place for metric, place in found if metric == "heartbeat_age_seconds"] == [
        f"bull:bWFpbHM=@10.0.0.1:{number}" for number in (0, 1)
    ]
    db.lpush("bull:mails:wait", "1")
    look(follower, NOW + 45, listed=NOW + 45, **sight(1))
    found = look(follower, NOW + 90, listed=NOW + 90, **sight(1))
    assert found["heartbeat_age_seconds", "bull:bWFpbHM=@10.0.0.1:1"] == 50
    assert found["consumers", "mails"] == 1


def test_a_rolling_restart_loses_nobody(db: redis.Redis, look: Looking) -> None:
    mq(db)
    db.lpush("bull:mails:wait", "1")
    follower = BullMq().follower()
    before = [Client(n, f"10.0.0.1:{n}", "bull:bWFpbHM=", 9, 1, True, 0, "bzpopmin") for n in (1, 2)]
    after = [Client(n, f"10.0.0.2:{n}", "bull:bWFpbHM=", 9, 1, True, 0, "bzpopmin") for n in (3, 4)]
    look(follower, NOW, listed=NOW, clients=before)
    look(follower, NOW + 5, listed=NOW + 5, clients=[])
    found = look(follower, NOW + 60, listed=NOW + 60, clients=after)
    assert max(value for (metric, _), value in found.items() if metric == "heartbeat_age_seconds") == 0
    assert found["consumers", "mails"] == 2


def test_each_of_the_two_takes_its_own(db: redis.Redis, look: Looking) -> None:
    mq(db)
    db.set("bull:images:id", 3)
    db.hset("bull:images:meta", "paused", 1)
    clients = [
        Client(1, "10.0.0.1:1", "bull:bWFpbHM=", 9, 1, True, 0, "bzpopmin"),
        Client(2, "10.0.0.1:2", "bull:aW1hZ2Vz", 9, 1, True, 0, "brpoplpush"),
    ]
    found = [look(kind().follower(), NOW, listed=NOW, clients=clients) for kind in (BullMq, Bull)]
    assert [{place for metric, place in one if metric == "depth"} for one in found] == [{"mails"}, {"images"}]
