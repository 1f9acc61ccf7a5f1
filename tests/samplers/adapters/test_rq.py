"""RQ: what its keys come to, with times of one's own. Real workers are in tests/workers."""

from __future__ import annotations

from datetime import UTC, datetime

import redis
from redis.client import PubSub

from sentinel.samplers.queues.base import Sight
from sentinel.samplers.queues.rq import Rq
from tests.samplers.adapters.conftest import Looking, told

NOW = 1_795_485_600.0


def date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def worker(db: redis.Redis, name: str, beat: float, **fields: str) -> None:
    db.sadd("rq:workers", f"rq:worker:{name}")
    db.hset(f"rq:worker:{name}", mapping={"last_heartbeat": date(beat), "state": "idle", "queues": "mails", **fields})


def subscribed(db: redis.Redis, name: str) -> PubSub:
    """As a worker listens for commands."""
    listening = db.pubsub()
    listening.subscribe(f"rq:pubsub:{name}")
    assert listening.get_message(timeout=5)
    return listening


def test_a_queue_is_told_with_its_registries(db: redis.Redis, look: Looking) -> None:
    db.sadd("rq:queues", "rq:queue:mails")
    db.rpush("rq:queue:mails", "j1", "j2")
    db.hset("rq:job:j1", "enqueued_at", date(NOW - 90))
    db.zadd("rq:wip:mails", {"j3:e1": NOW + 60, "j4:e2": NOW - 60})
    db.zadd("rq:scheduled:mails", {"j5": NOW + 60})
    db.zadd("rq:deferred:mails", {"j6": NOW})
    found = look(Rq().follower(), NOW)
    expected = {"depth": 2, "eligible": 2, "oldest_age_seconds": 90, "in_flight": 2, "abandoned": 1, "delayed": 2}
    assert {metric: found[metric, "mails"] for metric in expected} == expected


def test_only_the_stamp_of_a_job_is_asked_for_and_once_only(db: redis.Redis, look: Looking) -> None:
    db.sadd("rq:queues", "rq:queue:mails")
    db.rpush("rq:queue:mails", "j1", "j2")
    follower = Rq().follower()
    for second in range(5):
        look(follower, NOW + second)
    jobs = [command for command in look.asked if str(command[1]).startswith("rq:job:")]
    assert jobs == [("HGET", "rq:job:j1", "enqueued_at")]


def test_an_idle_worker_that_is_subscribed_lives_for_as_long_as_its_own_beat_may_take(
    db: redis.Redis, look: Looking
) -> None:
    worker(db, "w1", NOW)
    listening = subscribed(db, "w1")
    follower = Rq().follower()
    assert look(follower, NOW + 470)["heartbeat_age_seconds", "w1"] == 0
    assert look(follower, NOW + 500)["heartbeat_age_seconds", "w1"] == 20
    listening.close()


def test_a_busy_worker_hangs_when_its_beat_is_overdue(db: redis.Redis, look: Looking) -> None:
    worker(db, "w1", NOW, state="busy")
    listening = subscribed(db, "w1")
    follower = Rq().follower()
    assert look(follower, NOW + 85)["heartbeat_age_seconds", "w1"] == 0
    found = look(follower, NOW + 120)
    assert (found["heartbeat_age_seconds", "w1"], found["worker_busy", "w1"]) == (30, 1)
    listening.close()


def test_a_killed_worker_is_lost_from_the_time_when_it_was_last_subscribed(db: redis.Redis, look: Looking) -> None:
    worker(db, "w1", NOW - 300)
    listening = subscribed(db, "w1")
    follower = Rq().follower()
    look(follower, NOW)
    listening.unsubscribe("rq:pubsub:w1")
    assert listening.get_message(timeout=5)
    assert look(follower, NOW + 20)["heartbeat_age_seconds", "w1"] == 20


def test_a_worker_that_registered_its_death_is_gone(db: redis.Redis, look: Looking) -> None:
    worker(db, "w1", NOW)
    follower = Rq().follower()
    look(follower, NOW)
    worker(db, "w1", NOW, death=date(NOW + 1))
    assert look(follower, NOW + 5)["worker_gone", "w1"] == 1


def test_work_is_counted_over_workers_that_come_and_go(db: redis.Redis, look: Looking) -> None:
    db.sadd("rq:queues", "rq:queue:mails")
    worker(db, "w1", NOW, successful_job_count="100", failed_job_count="5")
    follower = Rq().follower()
    assert look(follower, NOW)["completed_total", "mails"] == 0
    worker(db, "w1", NOW, successful_job_count="107", failed_job_count="6")
    assert look(follower, NOW + 5)["completed_total", "mails"] == 8
    db.delete("rq:workers", "rq:worker:w1")
    worker(db, "w2", NOW, successful_job_count="3", failed_job_count="0")
    assert look(follower, NOW + 10)["completed_total", "mails"] == 8


def test_what_a_worker_did_before_it_was_first_seen_counts_if_it_has_just_begun(db: redis.Redis, look: Looking) -> None:
    worker(db, "w1", NOW, successful_job_count="100", birth=date(NOW - 3600))
    db.sadd("rq:queues", "rq:queue:mails")
    follower = Rq().follower()
    assert look(follower, NOW)["completed_total", "mails"] == 0
    worker(db, "w2", NOW + 40, successful_job_count="20", birth=date(NOW + 5))
    worker(db, "w3", NOW + 40, successful_job_count="900", birth=date(NOW - 3600))
    assert look(follower, NOW + 40)["completed_total", "mails"] == 20


def test_a_rollout_between_two_looks_at_the_registries_loses_no_work(db: redis.Redis, look: Looking) -> None:
    db.sadd("rq:queues", "rq:queue:mails")
    worker(db, "w1", NOW, successful_job_count="100", birth=date(NOW - 3600))
    follower = Rq().follower()
    look(follower, NOW)
    worker(db, "w1", NOW, successful_job_count="106", death=date(NOW + 4))
    db.srem("rq:workers", "rq:worker:w1")
    worker(db, "w2", NOW + 9, successful_job_count="20", birth=date(NOW + 5))
    found = [told(look.run(follower.read(Sight(NOW + wait, NOW + wait)))) for wait in (5, 10)]
    assert [each["completed_total", "mails"] for each in found] == [6, 26]
    assert found[0]["worker_gone", "w1"] == 1


def test_a_registry_that_cannot_be_read_is_no_sign_that_all_have_left(db: redis.Redis, look: Looking) -> None:
    db.sadd("rq:queues", "rq:queue:mails")
    worker(db, "w1", NOW)
    follower = Rq().follower()
    look(follower, NOW)
    db.set("rq:workers", "not a set")
    assert ("worker_gone", "w1") not in look(follower, NOW + 5)
    assert follower.workers == 1
