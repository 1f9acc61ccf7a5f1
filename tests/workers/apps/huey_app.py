"""Huey: huey_app.py PORT worker NAME | enqueue COUNT PATH | later COUNT."""

import sys

from hold import hold
from huey import RedisHuey

port, verb, *words = sys.argv[1:]
huey = RedisHuey(port=int(port))
job = huey.task()(hold)

if verb == "worker":
    huey.create_consumer(workers=1).run()
elif verb == "enqueue":
    for _ in range(int(words[0])):
        job(words[1])
elif verb == "later":
    for _ in range(int(words[0])):
        job.schedule(("fail",), delay=600)
