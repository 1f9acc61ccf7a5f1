"""Consumers of a stream: which names are workers. Real ones are in tests/workers."""

from __future__ import annotations

import redis

from sentinel.samplers.base import Client
from sentinel.samplers.queues.streams import StreamQueue
from tests.samplers.adapters.conftest import Looking

NOW = 1_795_485_600.0
ASKS = Client(7, "10.0.0.1:5", "", 100, 0, True, 0, "xreadgroup")


def test_a_consumer_that_was_never_seen_to_ask_is_no_worker_and_one_that_was_stays_one(
    db: redis.Redis, look: Looking
) -> None:
    db.xgroup_create("taskiq", "taskiq", "0", mkstream=True)
    db.xadd("taskiq", {"data": "x"})
    db.xreadgroup("taskiq", "c1", {"taskiq": ">"}, count=1)
    follower = StreamQueue("taskiq", "taskiq", block=2.0).follower()
    busy_before_we_looked = look(follower, NOW, clients=[], listed=NOW)
    assert not any(place == "c1" for _, place in busy_before_we_looked)
    assert any(place == "c1" for _, place in look(follower, NOW + 5, clients=[ASKS], listed=NOW + 5))
    assert any(place == "c1" for _, place in look(follower, NOW + 10, clients=[], listed=NOW + 10))
