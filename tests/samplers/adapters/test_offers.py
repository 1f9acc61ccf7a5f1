"""What each kind offers, and so the README's table, is what is told of keys as the system itself leaves them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest
import redis

from sentinel.model import Sample
from sentinel.samplers.base import Client, Reply, SamplerError
from sentinel.samplers.queues import BY_NAME, ListQueue, Queue, StreamQueue, ZsetQueue
from sentinel.samplers.queues.base import COLUMNS, Asking, Cell, Room, Sight
from tests.samplers.adapters.conftest import Looking
from tests.samplers.adapters.test_asynq import recorded as asynq
from tests.samplers.adapters.test_laravel import recorded as laravel
from tests.samplers.adapters.test_resque import recorded as resque
from tests.samplers.adapters.test_rq import worker as rq_worker

NOW = 1_795_485_600.0
MS = int(NOW * 1000)


def celery(db: redis.Redis) -> None:
    db.sadd("_kombu.binding.celery", "celery\x06\x16\x06\x16celery")
    db.sadd("_kombu.binding.celery.pidbox", "\x06\x16\x06\x16w1@host.celery.pidbox")
    db.lpush("celery", '{"id":"a"}')


def rq(db: redis.Redis) -> None:
    rq_worker(db, "w1", NOW)
    db.sadd("rq:queues", "rq:queue:mails")
    db.rpush("rq:queue:mails", "j1")
    db.hset("rq:job:j1", "enqueued_at", "2026-11-24T02:00:00Z")


def arq(db: redis.Redis) -> None:
    db.zadd("arq:queue", {"runs": MS - 9000, "waits": MS - 8000, "later": MS + 8000})
    db.set("arq:in-progress:runs", 1, ex=310)
    db.set("arq:queue:health-check", "Nov-24 02:02:18 j_complete=4 j_failed=1 j_retried=0 j_ongoing=1 queued=2", ex=60)


def dramatiq(db: redis.Redis) -> None:
    db.zadd("dramatiq:__heartbeats__", {"worker": MS - 500, "producer": MS - 90_000})
    db.sadd("dramatiq:__acks__.worker.default", "m1")
    db.rpush("dramatiq:default", "m2")
    db.hset("dramatiq:default.msgs", mapping={"m1": "{}", "m2": json.dumps({"message_timestamp": MS - 7000})})


def huey(db: redis.Redis) -> None:
    db.lpush("huey.redis.huey", b"\x80\x05a", b"\x80\x05b")
    db.zadd("huey.schedule.huey", {"later": NOW + 60})


def stream(db: redis.Redis) -> None:
    db.xgroup_create("taskiq", "taskiq", "0", mkstream=True)
    for age in (9, 8, 7):
        db.xadd("taskiq", {"data": "x"}, id=f"{MS - age * 1000}-0")
    db.xreadgroup("taskiq", "c1", {"taskiq": ">"}, count=1)


def bullmq(db: redis.Redis) -> None:
    db.hset("bull:mails:meta", mapping={"version": "bullmq:6.7.0"})
    bull(db)


def bull(db: redis.Redis) -> None:
    db.set("bull:mails:id", 3)
    db.lpush("bull:mails:wait", "1")
    db.hset("bull:mails:1", mapping={"timestamp": MS - 5000})


def bee(db: redis.Redis) -> None:
    db.set("bq:mails:id", 2)
    db.lpush("bq:mails:waiting", "1")
    db.lpush("bq:mails:active", "2")
    options = {"timestamp": MS - 5000, "stacktraces": []}
    db.hset("bq:mails:jobs", "1", json.dumps({"data": {}, "options": options}, separators=(",", ":")))


def sidekiq(db: redis.Redis) -> None:
    db.sadd("queues", "mails")
    db.sadd("processes", "vm:1445:04d34c246457")
    info = json.dumps({"hostname": "vm", "queues": ["mails", "mails"], "concurrency": 2})
    db.hset("vm:1445:04d34c246457", mapping={"beat": NOW - 3, "busy": 2, "quiet": "false", "info": info})
    db.lpush("queue:mails", '{"class":"Job","args":[],"enqueued_at":%f}' % (NOW - 20))
    db.mset({"stat:processed": 9, "stat:failed": 1})


def plain(db: redis.Redis) -> None:
    db.lpush("jobs", "a")


def times(db: redis.Redis) -> None:
    db.zadd("jobs", {"a": NOW - 9, "b": NOW + 9})


def beats() -> list[tuple[str, bytes]]:
    body = json.dumps(
        {"hostname": "w1@host", "timestamp": NOW, "type": "worker-heartbeat", "active": 1, "processed": 5}
    )
    envelope = {"body": base64.b64encode(body.encode()).decode(), "properties": {}}
    return [("/0.celeryev/worker.heartbeat", json.dumps(envelope).encode())]


def connection(name: str, cmd: str) -> dict[str, Any]:
    return {"clients": [Client(7, "10.0.0.1:7", name, 60, 1, True, 0, cmd)], "listed": NOW}


Case = tuple[Queue, Callable[[redis.Redis], None], dict[str, Any]]
CASES: Mapping[str, Case] = {
    "celery": (BY_NAME["celery"](), celery, {"heard": beats()}),
    "rq": (BY_NAME["rq"](), rq, {}),
    "arq": (BY_NAME["arq"](), arq, connection("", "zrangebyscore")),
    "dramatiq": (BY_NAME["dramatiq"](), dramatiq, {}),
    "huey": (BY_NAME["huey"](), huey, connection("", "brpop")),
    "taskiq": (BY_NAME["taskiq"](), stream, connection("", "xreadgroup")),
    "bullmq": (BY_NAME["bullmq"](), bullmq, connection("bull:bWFpbHM=", "bzpopmin")),
    "bull": (BY_NAME["bull"](), bull, connection("bull:bWFpbHM=", "brpoplpush")),
    "bee": (BY_NAME["bee"](queues=("mails",)), bee, connection("", "brpoplpush")),
    "sidekiq": (BY_NAME["sidekiq"](), sidekiq, {}),
    "resque": (BY_NAME["resque"](), resque, {}),
    "laravel": (BY_NAME["laravel"](), laravel, {}),
    "asynq": (BY_NAME["asynq"](), asynq, {}),
    "list": (ListQueue("jobs"), plain, {}),
    "zset": (ZsetQueue("jobs", scores="time"), times, {}),
    "stream": (StreamQueue("taskiq", "taskiq", block=2.0), stream, connection("", "xreadgroup")),
}
METRICS = {
    "depth": {"queue_depth"},
    "eligible": {"queue_eligible"},
    "age": {"queue_oldest_age_seconds"},
    "in flight": {"queue_in_flight"},
    "failures": {"queue_failed_total", "queue_dead_total"},
    "progress": {"queue_completed_total"},
    "heartbeat": {"heartbeat_age_seconds"},
}


def read(look: Looking, queue: Queue, sight: dict[str, Any]) -> list[Sample]:
    follower = queue.follower()
    look.run(follower.discover(Sight(NOW, NOW, room=Room(10), **sight)))
    samples: list[Sample] = look.run(follower.read(Sight(NOW, NOW, **sight)))
    look.check_rights(follower)
    return samples


def answered(asking: Asking[Any], reply: Reply) -> None:
    """Run it to its end with the same reply to everything; a SamplerError is an end, too."""
    replies: list[Reply] | None = None
    with suppress(StopIteration, SamplerError):
        while True:
            replies = [reply] * len(asking.send(replies))  # type: ignore[arg-type]


def test_every_kind_is_here() -> None:
    assert list(CASES) == list(BY_NAME)


@pytest.mark.parametrize("kind", CASES)
def test_what_is_offered_is_told_and_nothing_else(kind: str, db: redis.Redis, look: Looking) -> None:
    queue, populate, sight = CASES[kind]
    populate(db)
    told = {one.series.metric for one in read(look, queue, sight)}
    offered = {column for column, cell in zip(COLUMNS, queue.offers.cells, strict=True) if cell != "no"}
    assert {column for column, metrics in METRICS.items() if metrics & told} == offered


@pytest.mark.parametrize("kind", CASES)
def test_an_age_says_itself_whether_it_is_an_estimate(kind: str, db: redis.Redis, look: Looking) -> None:
    queue, populate, sight = CASES[kind]
    populate(db)
    samples = read(look, queue, sight)
    ages = [one for one in samples if one.series.metric == "queue_oldest_age_seconds"]
    expected: Cell = "estimate" if all(one.exemplar == (("estimate", "1"),) for one in ages) else "yes"
    assert ages
    assert queue.offers.age == expected


@pytest.mark.parametrize("kind", CASES)
def test_odd_replies_are_left_out_and_raise_nothing_unknown(kind: str, db: redis.Redis, look: Looking) -> None:
    queue, populate, sight = CASES[kind]
    populate(db)
    read(look, queue, sight)
    for odd in (None, b"", b"\xff", [], [None], [b"a", None], 2**70, [[b"x"]], {}):
        follower, scene = queue.follower(), Sight(NOW, NOW, room=Room(10), **sight)
        answered(follower.discover(scene), odd)
        answered(follower.read(scene), odd)


def test_the_numbers_of_each_are_those_of_the_keys(db: redis.Redis, look: Looking) -> None:
    arq(db)
    found = look(BY_NAME["arq"]().follower(), NOW, **connection("", "zrangebyscore"))
    assert [found[name, "arq:queue"] for name in ("depth", "in_flight", "delayed", "oldest_age_seconds")] == [
        1,
        1,
        1,
        8,
    ]
    dramatiq(db)
    found = look(BY_NAME["dramatiq"]().follower(), NOW)
    assert [found[name, "default"] for name in ("depth", "in_flight", "oldest_age_seconds")] == [1, 1, 7]
    assert [place for metric, place in found if metric == "heartbeat_age_seconds"] == ["worker"]
    sidekiq(db)
    found = look(BY_NAME["sidekiq"]().follower(), NOW)
    assert [found[name, "mails"] for name in ("depth", "in_flight", "completed_total")] == [1, 2, 9]
    assert found["oldest_age_seconds", "mails"] == pytest.approx(20, abs=0.01)
    assert found["heartbeat_age_seconds", "vm:1445:04d34c246457"] == 3
    bee(db)
    found = look(BY_NAME["bee"](queues=("mails",)).follower(), NOW)
    assert [found[name, "mails"] for name in ("depth", "in_flight", "oldest_age_seconds")] == [1, 1, 5]
    huey(db)
    found = look(BY_NAME["huey"]().follower(), NOW)
    assert [found[name, "huey"] for name in ("depth", "delayed")] == [2, 1]


def test_workers_of_huey_are_not_told_of_beside_systems_whose_workers_look_alike(
    db: redis.Redis, look: Looking
) -> None:
    huey(db)
    follower, sight = BY_NAME["huey"]().follower(), connection("", "brpop")
    assert ("consumers", "huey") not in look(follower, NOW, **sight, beside={"huey", "celery"})
    assert look(follower, NOW, **sight, beside={"huey"})["consumers", "huey"] == 1
