"""Celery: celery_app.py PORT worker NAME | enqueue COUNT PATH | later COUNT."""

import sys

from celery import Celery
from hold import hold

port, verb, *words = sys.argv[1:]
app = Celery("jobs", broker=f"redis://127.0.0.1:{port}/0")
app.conf.worker_prefetch_multiplier = 1
job = app.task(name="hold")(hold)

if verb == "worker":
    app.worker_main(["worker", "--concurrency=1", f"--hostname={words[0]}@host", "--loglevel=warning"])
elif verb == "enqueue":
    for number in range(int(words[0])):
        job.apply_async((words[1],), priority=3 * (number % 2))
elif verb == "later":
    for _ in range(int(words[0])):
        job.apply_async(("fail",), countdown=600)
