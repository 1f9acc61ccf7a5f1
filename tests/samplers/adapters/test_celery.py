"""Celery: what its events and lists come to, with times of one's own. Real workers are in tests/workers."""

from __future__ import annotations

import base64
import json
from typing import Any

import redis

from sentinel.samplers.queues.celery import Celery
from tests.samplers.adapters.conftest import Looking

NOW = 1_795_485_600.0
BOUND = "_kombu.binding."


def recorded(db: redis.Redis) -> None:
    """Bindings as a worker leaves them, three tasks of two priorities, two taken."""
    db.sadd(f"{BOUND}celery", "celery\x06\x16\x06\x16celery")
    db.sadd(f"{BOUND}celery.pidbox", "\x06\x16\x06\x16w1@host.celery.pidbox")
    db.lpush("celery", '{"id":"a"}', '{"id":"b"}')
    db.lpush("celery\x06\x163", '{"id":"c"}')
    db.hset("unacked", mapping={"1": "x", "2": "y"})
    db.zadd("unacked_index", {"1": NOW - 10, "2": NOW - 4000})


def event(worker: str, at: float, kind: str = "worker-heartbeat", **more: Any) -> tuple[str, bytes]:
    body = {"hostname": worker, "timestamp": at, "type": kind, "freq": 2.0, **more}
    envelope = {"body": base64.b64encode(json.dumps(body).encode()).decode(), "properties": {"body_encoding": "base64"}}
    return "/0.celeryev/worker.heartbeat", json.dumps(envelope).encode()


def test_all_priorities_count_and_an_overdue_task_is_abandoned(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    found = look(Celery().follower(), NOW)
    assert (found["depth", "celery"], found["in_flight", "celery"], found["abandoned", "celery"]) == (3, 2, 1)
    assert ("consumers", "celery") not in found


def test_workers_that_beat_tell_what_runs_and_what_was_done(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    follower = Celery().follower()
    look(follower, NOW, heard=[event("w1@host", NOW - 1, active=3, processed=50)])
    heard = [event("w1@host", NOW + 3, active=5, processed=57), event("w2@host", NOW + 4, active=1, processed=900)]
    found = look(follower, NOW + 5, heard=heard)
    assert (found["in_flight", "celery"], found["consumers", "celery"]) == (6, 2)
    assert found["completed_total", "celery"] == 7
    assert found["worker_busy", "w1@host"] == 5


def test_a_silent_worker_grows_older_and_one_that_said_so_is_gone(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    follower = Celery().follower()
    look(follower, NOW, heard=[event("w1@host", NOW), event("w2@host", NOW)])
    found = look(follower, NOW + 40, heard=[event("w2@host", NOW + 40, "worker-offline")])
    assert found["heartbeat_age_seconds", "w1@host"] == 40
    assert found["worker_gone", "w2@host"] == 1
    assert ("heartbeat_age_seconds", "w2@host") not in found


def test_a_clock_that_is_wrong_is_set_right_and_told(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    follower = Celery().follower()
    for poll in range(4):
        at = NOW + 5 * poll
        found = look(follower, at, heard=[event("w1@host", at - 300 - late) for late in (4, 2, 0.5)])
    assert found["worker_clock_skew_seconds", "w1@host"] == -300.5
    assert found["heartbeat_age_seconds", "w1@host"] == 0
    found = look(follower, NOW + 75)
    assert found["heartbeat_age_seconds", "w1@host"] == 60


def test_a_backlog_that_is_worked_on_is_as_old_as_its_first_task_that_is_left(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    follower = Celery(priority_steps=(0,)).follower()
    look(follower, NOW, heard=[event("w1@host", NOW, processed=10)])
    db.lpush("celery", '{"id":"d"}', '{"id":"e"}')
    found = look(follower, NOW + 60, heard=[event("w1@host", NOW + 60, processed=10)])
    assert (found["depth", "celery"], found["oldest_age_seconds", "celery"]) == (4, 60)
    db.rpop("celery", 2)
    db.lpush("celery", '{"id":"f"}', '{"id":"g"}')
    found = look(follower, NOW + 100, heard=[event("w1@host", NOW + 100, processed=12)])
    assert (found["depth", "celery"], found["oldest_age_seconds", "celery"]) == (4, 40)


def test_messages_that_are_no_events_are_passed_over(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    odd = [b"", b"{}", b"[]", b'{"body": "!"}', b'{"body": "bnVsbA=="}', b'{"body": 7}', b"\xff"]
    found = look(Celery().follower(), NOW, heard=[("/0.celeryev/worker.heartbeat", message) for message in odd])
    assert not [place for metric, place in found if metric.startswith("worker")]


def test_big_payloads_are_looked_at_rarely(db: redis.Redis, look: Looking) -> None:
    db.sadd(f"{BOUND}celery", "celery\x06\x16\x06\x16celery")
    db.lpush("celery", "x" * 600_000)
    follower = Celery().follower()
    for second in range(0, 150, 5):
        look(follower, NOW + second)
    assert sum(command[0] == "LINDEX" for command in look.asked) == 2
