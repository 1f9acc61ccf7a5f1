"""RQ: rq_app.py PORT worker NAME | enqueue COUNT PATH | later COUNT | pause | resume."""

import datetime
import sys

import redis
import rq
from hold import hold
from rq import suspension

port, verb, *words = sys.argv[1:]
connection = redis.Redis(port=int(port))
queue = rq.Queue("jobs", connection=connection)

if verb == "worker":
    rq.Worker([queue], name=words[0], connection=connection).work(logging_level="WARNING")
elif verb == "enqueue":
    for _ in range(int(words[0])):
        queue.enqueue(hold, words[1])
elif verb == "later":
    for _ in range(int(words[0])):
        queue.enqueue_in(datetime.timedelta(seconds=600), hold, "fail")
elif verb == "pause":
    suspension.suspend(connection)
elif verb == "resume":
    suspension.resume(connection)
