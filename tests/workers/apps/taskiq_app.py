"""taskiq: taskiq_app.py PORT worker NAME | enqueue COUNT PATH."""

import asyncio
import os
import sys

from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

port, verb, *words = sys.argv[1:]
broker = RedisStreamBroker(f"redis://127.0.0.1:{port}", xread_count=1)


@broker.task(task_name="job")
async def job(path: str) -> None:
    """As `hold`, without blocking the loop."""
    if path == "fail":
        raise ValueError("told to fail")
    while not os.path.exists(path):  # noqa: ASYNC240
        await asyncio.sleep(0.02)


async def main() -> None:
    """Work, or put jobs into the queue."""
    broker.is_worker_process = verb == "worker"
    await broker.startup()
    if verb == "worker":
        await run_receiver_task(broker, max_async_tasks=1, max_prefetch=0)
    for _ in range(int(words[0]) if verb == "enqueue" else 0):
        await job.kiq(words[1])
    await broker.shutdown()


asyncio.run(main())
