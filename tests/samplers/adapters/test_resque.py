"""Resque, from keys as recorded of Resque 3.0."""

from __future__ import annotations

import redis

from sentinel.samplers.queues.base import Sight
from sentinel.samplers.queues.resque import Resque
from tests.samplers.adapters.conftest import Looking, told

NOW = 1_795_485_600.0
WORKER = "vm:1445:mails,default"


def beat(seconds: int) -> str:
    return f"2026-11-24T02:{seconds // 60:02}:{seconds % 60:02}+00:00"


def recorded(db: redis.Redis) -> None:
    """Three jobs wait, one runs; the worker beat at 02:00:00, which is `NOW`."""
    db.sadd("resque:queues", "mails", "default")
    db.rpush("resque:queue:mails", *['{"class":"Job","args":[1]}'] * 3)
    db.sadd("resque:workers", WORKER)
    db.set(f"resque:worker:{WORKER}", '{"queue":"mails","run_at":"2026-11-24T01:59:50Z","payload":{}}')
    db.hset("resque:workers:heartbeat", WORKER, beat(0))
    db.set("resque:stat:processed", 12)
    db.set("resque:stat:failed", 2)


def test_its_queues_counters_and_workers_are_told(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    found = look(Resque().follower(), NOW + 20)
    assert (found["depth", "mails"], found["depth", "default"]) == (3, 0)
    assert found["in_flight", "*"] == found["consumers", "*"] == 1
    assert (found["completed_total", "*"], found["failed_total", "*"]) == (12, 2)
    assert found["heartbeat_age_seconds", WORKER] == 20
    assert found["worker_busy", WORKER] == 1


def test_the_age_is_that_of_jobs_that_cannot_have_been_done_since(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    follower = Resque().follower()
    assert look(follower, NOW)["oldest_age_seconds", "mails"] == 0
    db.rpush("resque:queue:mails", '{"class":"Job","args":[1]}')
    assert look(follower, NOW + 60)["oldest_age_seconds", "mails"] == 60
    db.lpop("resque:queue:mails", 3)
    db.incrby("resque:stat:processed", 3)
    assert look(follower, NOW + 90)["oldest_age_seconds", "mails"] == 30


def test_a_worker_that_took_itself_off_the_list_is_gone(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    follower = Resque().follower()
    look(follower, NOW + 10)
    db.srem("resque:workers", WORKER)
    found = look(follower, NOW + 20)
    assert found["worker_gone", WORKER] == 1
    assert ("heartbeat_age_seconds", WORKER) not in found


def test_a_worker_is_gone_at_the_reading_after_it_took_itself_off_the_list(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    follower = Resque().follower()
    look(follower, NOW + 10)
    db.srem("resque:workers", WORKER)
    found = told(look.run(follower.read(Sight(NOW + 15, NOW + 15))))
    assert found["worker_gone", WORKER] == 1
    assert ("heartbeat_age_seconds", WORKER) not in found


def test_a_worker_that_was_silent_until_others_cleared_it_away_did_not_say_goodbye(
    db: redis.Redis, look: Looking
) -> None:
    recorded(db)
    follower = Resque().follower()
    assert look(follower, NOW + 400)["heartbeat_age_seconds", WORKER] == 400
    db.srem("resque:workers", WORKER)
    assert ("worker_gone", WORKER) not in look(follower, NOW + 410)


def test_what_fails_is_among_what_is_processed_but_with_workers_of_node(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    assert look(Resque().follower(), NOW)["completed_total", "*"] == 12
    db.set("resque:worker:ping:vm:1445", f'{{"time":{NOW - 2:.0f},"name":"vm:1445","queues":"mails,default"}}')
    found = look(Resque().follower(), NOW)
    assert found["completed_total", "*"] == 14
    assert found["heartbeat_age_seconds", WORKER] == 2


def test_no_payload_of_a_running_job_is_asked_for(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    look(Resque().follower(), NOW)
    asked = [command for command in look.asked if str(command[1]).startswith("resque:worker:")]
    assert asked == [("EXISTS", f"resque:worker:{WORKER}"), ("GET", "resque:worker:ping:vm:1445")]
