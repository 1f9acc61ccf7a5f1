"""arq: arq_app.py PORT worker NAME | enqueue COUNT PATH | later COUNT."""

import asyncio
import os
import sys

from arq import create_pool, run_worker
from arq.connections import RedisSettings

port, verb, *words = sys.argv[1:]
settings = RedisSettings(port=int(port))


async def job(ctx: object, path: str) -> None:
    """As `hold`, without blocking the loop."""
    if path == "fail":
        raise ValueError("told to fail")
    while not os.path.exists(path):  # noqa: ASYNC240
        await asyncio.sleep(0.02)


class WorkerSettings:
    """One job at a time, and a health key that is written anew every few seconds."""

    functions = (job,)
    redis_settings = settings
    max_jobs = 1
    health_check_interval = 5


async def enqueue(count: int, path: str, **when: float) -> None:
    """Put jobs into the queue."""
    pool = await create_pool(settings)
    for _ in range(count):
        await pool.enqueue_job("job", path, **when)


if verb == "worker":
    asyncio.set_event_loop(asyncio.new_event_loop())
    run_worker(WorkerSettings)
elif verb == "enqueue":
    asyncio.run(enqueue(int(words[0]), words[1]))
elif verb == "later":
    asyncio.run(enqueue(int(words[0]), "fail", _defer_by=600))
