"""Job systems are found without being named, on real servers: what is told, what is not asked, what must be allowed."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Sequence

import pytest
import redis

from sentinel.embedded import EmbeddedServer
from sentinel.model import Sample
from sentinel.samplers.base import Client, Command, Reply, SamplerError, Vitals
from sentinel.samplers.dial import Dialer, Tls, parse_url
from sentinel.samplers.queues import BY_NAME, Discovery, Listener, ListQueue, Queues, StreamQueue
from sentinel.samplers.queues.rq import Rq
from sentinel.samplers.seats import Seats
from sentinel.samplers.target import Target, TargetSettings
from tests.servers import client

NOW = 1_795_485_600.0


class Counted:
    """Seats that remember what was asked."""

    def __init__(self, seats: Seats) -> None:
        self.seats = seats
        self.asked: list[Command] = []

    async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
        self.asked += commands
        return await self.seats.ask(*commands, db=db)


def found(samples: Sequence[Sample]) -> set[tuple[str, str]]:
    """System and name of the queues that are told of."""
    labels = [dict(one.series.labels) for one in samples if one.series.metric == "queue_depth"]
    return {(one["system"], one["queue"]) for one in labels}


def rq(db: redis.Redis, *names: str, prefix: str = "rq") -> None:
    db.sadd(f"{prefix}:queues", *(f"{prefix}:queue:{name}" for name in names))


async def test_a_registry_is_enough_in_every_database_that_holds_keys(seats: Seats, db: redis.Redis) -> None:
    rq(db, "mails")
    db.sadd("asynq:queues", "images")
    db.select(5)
    rq(db, "mails")
    db.select(0)
    queues = Queues([], Discovery())
    assert found(await queues.sample(seats, time.time())) == {("rq", "mails"), ("asynq", "images"), ("rq", "mails@db5")}
    assert queues.news == ["found asynq: images", "found rq: mails", "found rq in db 5: mails"]


async def test_the_databases_and_systems_to_look_for_can_be_limited(seats: Seats, db: redis.Redis) -> None:
    rq(db, "mails")
    db.sadd("asynq:queues", "images")
    db.select(5)
    rq(db, "more")
    db.select(0)
    only = Queues([], Discovery(systems=("rq",), dbs=(5,)), db=0)
    assert found(await only.sample(seats, time.time())) == {("rq", "more@db5")}


async def test_new_queues_are_picked_up_and_vanished_ones_end(seats: Seats, db: redis.Redis) -> None:
    rq(db, "mails", "images")
    queues = Queues([], Discovery(interval=30.0))
    assert found(await queues.sample(seats, NOW)) == {("rq", "mails"), ("rq", "images")}
    rq(db, "videos")
    db.srem("rq:queues", "rq:queue:mails")
    queues.news.clear()
    assert found(await queues.sample(seats, NOW + 29)) == {("rq", "mails"), ("rq", "images")}
    assert found(await queues.sample(seats, NOW + 30)) == {("rq", "images"), ("rq", "videos")}
    assert queues.news == ["found rq: videos", "rq: mails vanished"]


async def test_queues_beyond_the_bound_are_left_out_and_that_is_said(seats: Seats, db: redis.Redis) -> None:
    rq(db, *(f"q{number}" for number in range(12)))
    queues = Queues([], Discovery(queues=10))
    assert len(found(await queues.sample(seats, NOW))) == 10
    assert queues.trouble == "2 queues are left out: raise `queues` of `discover`"


async def test_a_named_system_is_not_looked_for_twice(seats: Seats, db: redis.Redis) -> None:
    rq(db, "mails", prefix="shop")
    rq(db, "other")
    queues = Queues([Rq(prefix="shop")], Discovery())
    assert found(await queues.sample(seats, NOW)) == {("rq", "mails")}


async def test_a_server_without_job_systems_is_asked_nothing_between_looks(seats: Seats, db: redis.Redis) -> None:
    queues, counted = Queues([], Discovery()), Counted(seats)
    await queues.sample(counted, NOW)
    counted.asked.clear()
    assert await queues.sample(counted, NOW + 5) == []
    assert counted.asked == []


async def test_looking_neither_scans_nor_reads_a_value_of_a_foreign_key(seats: Seats, db: redis.Redis) -> None:
    db.set("rq:mine", "x")
    db.hset("queues", "a", "b")
    queues, counted = Queues([], Discovery()), Counted(seats)
    await queues.sample(counted, NOW)
    assert {str(command[0]) for command in counted.asked} <= {
        *("TIME", "INFO", "SMEMBERS", "SCARD", "ZCARD", "EXISTS", "TYPE", "PUBSUB", "ZRANGE")
    }


async def test_a_key_that_is_something_else_is_left_alone_for_a_while(seats: Seats, db: redis.Redis) -> None:
    db.hset("rq:queues", "a", "b")
    queues, counted = Queues([], Discovery(interval=30.0)), Counted(seats)
    await queues.sample(counted, NOW)
    errors = db.info("errorstats")
    counted.asked.clear()
    await queues.sample(counted, NOW + 60)
    assert ("SMEMBERS", "rq:queues") not in counted.asked
    assert db.info("errorstats") == errors
    assert queues.trouble == ""
    await queues.sample(counted, NOW + 700)
    assert ("SMEMBERS", "rq:queues") in counted.asked


@pytest.fixture
def allowed(running: EmbeddedServer, db: redis.Redis) -> Iterator[redis.Redis]:
    """A client that may make users; they are gone afterwards, and so is the log of what was refused."""
    db.acl_log_reset()
    yield db
    db.execute_command("ACL", "DELUSER", "watcher")
    db.acl_log_reset()


async def seat_of(running: EmbeddedServer, *rights: str) -> Seats:
    with client(running) as admin:
        admin.execute_command("ACL", "SETUSER", "watcher", "reset", "on", ">pw", "-@all", "+ping", "+select", *rights)
    return Seats(Dialer(parse_url(f"redis://watcher:pw@127.0.0.1:{running.port}"), Tls()), 2.0)


async def test_what_may_not_be_looked_for_is_said_and_not_tried_again_at_once(
    running: EmbeddedServer, allowed: redis.Redis
) -> None:
    rq(allowed, "mails")
    seats = await seat_of(running, "+time", "+info", "+@read", "+@pubsub", "%R~rq:*")
    queues, counted = Queues([], Discovery(interval=0.0)), Counted(seats)
    assert found(await queues.sample(counted, NOW)) == {("rq", "mails")}
    assert queues.trouble.startswith("not permitted to look for arq, asynq, celery, dramatiq")
    assert "rq," not in queues.trouble.replace("arq,", "")
    counted.asked.clear()
    await queues.sample(counted, NOW + 5)
    assert ("SMEMBERS", "asynq:queues") not in counted.asked
    await seats.close()


async def test_a_user_who_may_only_watch_connections_is_no_failure(
    running: EmbeddedServer, allowed: redis.Redis
) -> None:
    seats = await seat_of(running, "+info")
    queues, counted = Queues([], Discovery()), Counted(seats)
    assert await queues.sample(counted, NOW) == []
    assert queues.trouble.startswith("job systems are not looked for (")
    counted.asked.clear()
    assert await queues.sample(counted, NOW + 5) == []
    assert counted.asked == []
    with pytest.raises(SamplerError, match="TIME"):
        await Queues([ListQueue("jobs")], Discovery()).sample(seats, NOW)
    await seats.close()


async def test_a_scan_that_was_asked_for_finds_names_that_no_registry_tells(seats: Seats, db: redis.Redis) -> None:
    db.mset({f"noise:{number}": number for number in range(3000)})
    db.hset("bull:mails:meta", mapping={"version": "bullmq:6.7.0"})
    db.lpush("bull:mails:wait", "1", "2")
    db.sadd("_kombu.binding.images", "images\x06\x16\x06\x16images")
    db.lpush("images", "a")
    db.lpush("huey.redis.shop", "a")
    without = Queues([], Discovery())
    assert found(await without.sample(seats, NOW)) == set()
    queues, counted = Queues([], Discovery(scan=True)), Counted(seats)
    for poll in range(3):
        samples = await queues.sample(counted, NOW + 5 * poll)
    assert found(samples) == {("bullmq", "mails"), ("celery", "images"), ("huey", "shop")}
    scans = [command for command in counted.asked if command[0] == "SCAN"]
    await queues.sample(counted, NOW + 60)
    assert [command for command in counted.asked if command[0] == "SCAN"] == scans


async def test_workers_connections_name_their_queues(seats: Seats, db: redis.Redis) -> None:
    db.hset("bull:mails:meta", mapping={"version": "bullmq:6.7.0"})
    name = "bull:bWFpbHM=:w:mailer"
    vitals = Vitals(clients=(Client(7, "10.0.0.1:555", name, 60, 2, True, 0, "bzpopmin"),), listed=NOW)
    samples = await Queues([], Discovery(), vitals).sample(seats, NOW)
    assert found(samples) == {("bullmq", "mails")}
    (beat,) = [one for one in samples if one.series.metric == "heartbeat_age_seconds"]
    assert dict(beat.series.labels)["worker"] == f"{name}@10.0.0.1:555"


async def test_published_messages_are_heard_at_the_next_poll(running: EmbeddedServer, db: redis.Redis) -> None:
    listener = Listener(Dialer(parse_url(running.url), Tls()), 1.0)
    assert await listener.hear([]) == []
    assert await listener.hear(["/0.celeryev/worker.*"]) == []
    for number in range(300):
        db.publish("/0.celeryev/worker.heartbeat", f"{number}" + 2000 * "x")
    db.publish("/0.celeryev/task.multi", "not asked for")
    heard = await listener.hear(["/0.celeryev/worker.*"])
    heard += await listener.hear(["/0.celeryev/worker.*"])
    assert [int(message[: len(str(number))]) for number, (_, message) in enumerate(heard)] == list(range(300))
    await listener.close()


async def test_a_lost_listener_is_told_of_and_opened_again_later(running: EmbeddedServer, db: redis.Redis) -> None:
    listener = Listener(Dialer(parse_url(running.url), Tls()), 1.0)
    await listener.hear(["a.*"])
    db.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    with pytest.raises(SamplerError, match="events of workers are not heard"):
        await listener.hear(["a.*"])
    assert await listener.hear(["a.*"]) == []
    assert [one for one in db.client_list() if one["name"] == "sentinel-listener"] == []
    await listener.close()


@pytest.mark.parametrize("kind", sorted(BY_NAME))
def test_every_kind_names_what_it_needs_and_offers(kind: str) -> None:
    queue = BY_NAME[kind]
    assert queue.needs
    assert "keys" not in queue.needs
    assert queue.offers.cells[0] == "yes"


def test_an_unknown_system_is_refused() -> None:
    with pytest.raises(ValueError, match="`systems` must be of celery, rq"):
        Discovery(systems=("list",))


async def test_a_stream_is_read_although_a_consumer_is_long_gone(seats: Seats, db: redis.Redis) -> None:
    db.xgroup_create("s", "g", "0", mkstream=True)
    db.xgroup_createconsumer("s", "g", "old")
    samples = await Queues([StreamQueue("s", "g", block=2.0)]).sample(seats, time.time())
    assert found(samples) == {("stream", "s")}


async def test_the_printed_rights_are_enough_to_hear_celerys_workers(
    running: EmbeddedServer, allowed: redis.Redis
) -> None:
    allowed.sadd("_kombu.binding.celery", "celery\x06\x16\x06\x16celery")
    allowed.sadd("_kombu.binding.celery.pidbox", "\x06\x16\x06\x16w1@host.celery.pidbox")
    first = Target(TargetSettings("a", running.url))
    await first.poll(NOW)
    assert first.acl_line.endswith("&/0.celeryev/worker.*")
    right = first.acl_line.replace("SETUSER sentinel", "SETUSER watcher").replace("PASSWORD", "pw")
    allowed.execute_command(*right.split())
    second = Target(TargetSettings("a", running.url.replace("//", "//watcher:pw@")))
    await second.poll(NOW)
    body = base64.b64encode(b'{"hostname": "w1@host", "active": 1, "processed": 1}').decode()
    assert allowed.publish("/0.celeryev/worker.heartbeat", f'{{"body": "{body}"}}') == 2
    poll = await second.poll(NOW + 5)
    assert [one for one in poll.samples if one.series.metric == "heartbeat_age_seconds"]
    assert second.notes() == ["queues: found celery: celery"]
    assert allowed.acl_log() == []
    for target in (first, second):
        await target.close()
