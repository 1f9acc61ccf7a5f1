"""What a poll of many queues costs the server and us: python -m tests.bench.queues_bench [QUEUES]

Server time is what the commands took by the server's own account (INFO commandstats), beside it CPU of its main thread
and of this process. Half of the queues hold jobs. On two shared cores with Redis 7.0.15, 1,000 queues, ms a poll:

    rq       commands 3.0, server 3.3, Sentinel 57
    sidekiq  commands 0.4, server 1.1, Sentinel 21
    bullmq   commands 4.7, server 4.0, Sentinel 79
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

import redis

from sentinel.samplers.dial import Dialer, Tls, parse_url
from sentinel.samplers.queues import BullMq, Discovery, Queues
from sentinel.samplers.seats import Seats
from tests.servers import REDIS, client, server

ROUNDS = 20


def rq(db: redis.Redis, number: int) -> None:
    """A queue of RQ, every second one with jobs."""
    db.sadd("rq:queues", f"rq:queue:q{number}")
    if number % 2:
        db.rpush(f"rq:queue:q{number}", *(f"job-{number}-{job}" for job in range(20)))
        db.hset(f"rq:job:job-{number}-0", "enqueued_at", "2026-11-24T02:00:00Z")


def sidekiq(db: redis.Redis, number: int) -> None:
    """A queue of Sidekiq, every second one with jobs."""
    db.sadd("queues", f"q{number}")
    db.set("stat:processed", 1)
    if number % 2:
        db.lpush(f"queue:q{number}", *('{"class":"Job","args":[1],"enqueued_at":1795485540.25}' for _ in range(20)))


def bullmq(db: redis.Redis, number: int) -> None:
    """A queue of BullMQ, every second one with jobs."""
    db.hset(f"bull:q{number}:meta", mapping={"version": "bullmq:6.7.0", "opts.maxLenEvents": 10000})
    db.set(f"bull:q{number}:id", 20)
    if number % 2:
        db.lpush(f"bull:q{number}:wait", *(str(job) for job in range(20)))
        db.hset(f"bull:q{number}:0", mapping={"timestamp": 1795485540250, "delay": 0})


SYSTEMS: dict[str, Callable[[redis.Redis, int], None]] = {"rq": rq, "sidekiq": sidekiq, "bullmq": bullmq}


def busy(db: redis.Redis) -> float:
    """CPU seconds of the server's main thread: with reading, parsing and writing."""
    cpu = db.info("cpu")
    return float(cpu.get("used_cpu_user_main_thread", 0)) + float(cpu.get("used_cpu_sys_main_thread", 0))


def spent(db: redis.Redis) -> float:
    """Seconds that the server has spent on commands other than INFO and CONFIG."""
    own = ("cmdstat_info", "cmdstat_config|resetstat")
    return sum(float(stat["usec"]) for name, stat in db.info("commandstats").items() if name not in own) / 1e6


async def measure(system: str, count: int) -> tuple[float, float, float]:
    """Seconds a poll: the server's commands, its main thread, and our own CPU."""
    with server(binary=REDIS) as running, client(running) as db:
        for number in range(count):
            SYSTEMS[system](db, number)
        queues = Queues([], Discovery(interval=1e9, systems=(system,), queues=count))
        if system == "bullmq":
            queues = Queues([BullMq(queues=tuple(f"q{number}" for number in range(count)))])
        seats = Seats(Dialer(parse_url(running.url), Tls()), 10.0)
        await seats.fill()
        for _ in range(3):
            samples = await queues.sample(seats, time.time())
        assert sum(one.series.metric == "queue_depth" for one in samples) == count
        before, cpu, own = spent(db), busy(db), time.process_time()
        for _ in range(ROUNDS):
            await queues.sample(seats, time.time())
        own = (time.process_time() - own) / ROUNDS
        costs = (spent(db) - before) / ROUNDS, (busy(db) - cpu) / ROUNDS, own
        await seats.close()
        return costs


def main() -> None:
    """Print a line for each system."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for system in SYSTEMS:
        commands, cpu, own = (seconds * 1e3 for seconds in asyncio.run(measure(system, count)))
        print(f"{system:8} {count} queues, ms a poll: commands {commands:.2f}, server {cpu:.2f}, Sentinel {own:.1f}")


if __name__ == "__main__":
    main()
