"""asynq, from the layout of its keys in the source of 0.26."""

from __future__ import annotations

import redis

from sentinel.samplers.queues.asynq import Asynq
from tests.samplers.adapters.conftest import Looking

NOW = 1_795_485_600.0
SERVER = "asynq:servers:{vm:77:5e3c}"


def recorded(db: redis.Redis) -> None:
    """Two tasks wait, two run, of which one has lost its lease; a server beat 3 s before `NOW`."""
    db.sadd("asynq:queues", "mails")
    db.lpush("asynq:{mails}:pending", "t1", "t2")
    db.hset(
        "asynq:{mails}:t:t1", mapping={"msg": b"\x0a\x01", "state": "pending", "pending_since": int((NOW - 40) * 1e9)}
    )
    db.lpush("asynq:{mails}:active", "t3", "t4")
    db.zadd("asynq:{mails}:lease", {"t3": NOW - 5, "t4": NOW + 25})
    db.zadd("asynq:{mails}:scheduled", {"t5": NOW + 600})
    db.zadd("asynq:{mails}:retry", {"t6": NOW + 60})
    db.set("asynq:{mails}:processed", 100)
    db.set("asynq:{mails}:failed", 7)
    db.zadd("asynq:servers", {SERVER: NOW + 7})


def test_a_queue_is_told_with_its_leases_and_counters(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    found = look(Asynq().follower(), NOW)
    expected = {"depth": 2, "eligible": 2, "in_flight": 2, "abandoned": 1, "delayed": 2, "paused": 0}
    assert {metric: found[metric, "mails"] for metric in expected} == expected
    assert abs(found["oldest_age_seconds", "mails"] - 40) < 0.01
    assert (found["completed_total", "mails"], found["failed_total", "mails"]) == (100, 7)


def test_a_server_beats_ten_seconds_before_its_score(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    follower = Asynq().follower()
    assert look(follower, NOW)["heartbeat_age_seconds", "vm:77:5e3c"] == 3
    assert look(follower, NOW + 60)["heartbeat_age_seconds", "vm:77:5e3c"] == 63


def test_a_server_that_takes_itself_off_the_list_is_gone(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    follower = Asynq().follower()
    look(follower, NOW)
    db.zrem("asynq:servers", SERVER)
    assert look(follower, NOW + 5)["worker_gone", "vm:77:5e3c"] == 1


def test_a_paused_queue_and_what_was_given_up_since_are_told(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    follower = Asynq().follower()
    assert look(follower, NOW)["dead_total", "mails"] == 0
    db.set("asynq:{mails}:paused", int(NOW))
    db.zadd("asynq:{mails}:archived", {"t9": NOW})
    found = look(follower, NOW + 5)
    assert (found["paused", "mails"], found["dead_total", "mails"]) == (1, 1)
