"""dramatiq: dramatiq_app.py PORT worker NAME | enqueue COUNT PATH | later COUNT."""

import signal
import sys
import threading

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from hold import hold

port, verb, *words = sys.argv[1:]
broker = RedisBroker(port=int(port))
dramatiq.set_broker(broker)
job = dramatiq.actor(max_retries=0)(hold)

if verb == "worker":
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker = dramatiq.Worker(broker, worker_threads=1)
    worker.start()
    while not stop.wait(0.1):
        pass
    worker.stop()
elif verb == "enqueue":
    for _ in range(int(words[0])):
        job.send(words[1])
elif verb == "later":
    for _ in range(int(words[0])):
        job.send_with_options(args=("fail",), delay=600_000)
