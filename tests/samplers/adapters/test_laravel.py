"""Laravel and Horizon, from the layout of their keys in the source of Laravel 13.26 and Horizon 5.29."""

from __future__ import annotations

import redis

from sentinel.samplers.queues.laravel import Laravel
from tests.samplers.adapters.conftest import Looking

NOW = 1_795_485_600.0
PREFIX, HORIZON = "laravel_database_", "laravel_horizon:"


def recorded(db: redis.Redis) -> None:
    """Two jobs wait since 30 s, two run, of which one is over its time; a supervisor of five processes beats."""
    job = '{"uuid":"u","displayName":"App\\\\Jobs\\\\Mail","data":{},"pushedAt":"%s"}'
    db.rpush(f"{PREFIX}queues:mails", job % (NOW - 30), job % (NOW - 10))
    db.zadd(f"{PREFIX}queues:mails:delayed", {"later": NOW + 600})
    db.zadd(f"{PREFIX}queues:mails:reserved", {"a": NOW - 5, "b": NOW + 85})
    db.zadd(f"{HORIZON}supervisors", {"vm-x:supervisor-1": NOW - 2})
    db.hset(f"{HORIZON}supervisor:vm-x:supervisor-1", "processes", '{"redis:mails":4,"redis:default,low":1}')
    db.hset(f"{HORIZON}queue:mails", mapping={"throughput": 10, "runtime": 12.5})
    db.zadd(f"{HORIZON}recent_failed_jobs", {"f1": -NOW})


def test_horizon_tells_which_queues_there_are_and_who_works_on_them(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    found = look(Laravel().follower(), NOW)
    assert {queue: found["depth", queue] for queue in ("mails", "default", "low")} == {
        "mails": 2,
        "default": 0,
        "low": 0,
    }
    assert (found["consumers", "mails"], found["consumers", "low"]) == (4, 1)
    assert found["heartbeat_age_seconds", "vm-x:supervisor-1"] == 2


def test_a_queue_is_told_with_what_is_reserved_and_delayed(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    found = look(Laravel().follower(), NOW)
    expected = {"oldest_age_seconds": 30, "in_flight": 1, "abandoned": 1, "delayed": 1}
    assert {metric: found[metric, "mails"] for metric in expected} == expected


def test_a_delayed_job_that_is_due_waits(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    found = look(Laravel().follower(), NOW + 700)
    assert (found["depth", "mails"], found["delayed", "mails"]) == (3, 0)


def test_totals_rise_with_what_horizon_counts_and_not_when_it_begins_anew(db: redis.Redis, look: Looking) -> None:
    recorded(db)
    follower = Laravel().follower()
    look(follower, NOW)
    db.hset(f"{HORIZON}queue:mails", "throughput", 14)
    db.zadd(f"{HORIZON}recent_failed_jobs", {"f2": -NOW})
    found = look(follower, NOW + 5)
    assert (found["completed_total", "mails"], found["failed_total", "*"]) == (4, 1)
    db.delete(f"{HORIZON}queue:mails")
    db.hset(f"{HORIZON}queue:mails", "throughput", 1)
    assert look(follower, NOW + 10)["completed_total", "mails"] == 4


def test_without_horizon_a_named_queue_is_found_by_its_keys(db: redis.Redis, look: Looking) -> None:
    db.rpush("shop-database-queues:default", '{"createdAt":1795485590,"data":{}}')
    found = look(Laravel(prefix="shop-database-").follower(), NOW)
    assert (found["depth", "default"], found["oldest_age_seconds", "default"]) == (1, 10)
    assert not [place for metric, place in found if metric == "heartbeat_age_seconds"]
