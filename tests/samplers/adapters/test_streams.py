"""Consumers of a stream: which names are workers. Real ones are in tests/workers."""

from __future__ import annotations

from collections.abc import Sequence

import redis

from sentinel.samplers.base import Client, Command, Reply
from sentinel.samplers.queues.streams import StreamQueue
from tests.samplers.adapters.conftest import Looking

NOW = 1_795_485_600.0
BEATEN = "heartbeat_age_seconds", "c1"
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


class Silent(Looking):
    """Says that each consumer has been silent for 16 s: a server has no other clock than its own."""

    def answer(self, commands: Sequence[Command]) -> list[Reply]:
        replies = super().answer(commands)
        for command, reply in zip(commands, replies, strict=True):
            if command[:2] == ("XINFO", "CONSUMERS"):
                assert isinstance(reply, list)
                for consumer in reply:
                    consumer[consumer.index(b"idle") + 1] = 16_000
        return replies


def test_whether_a_consumer_hangs_is_judged_when_its_connection_is_listed(db: redis.Redis) -> None:
    """The job that kept it silent may be done by the next poll."""
    look = Silent(db)
    db.xgroup_create("taskiq", "taskiq", "0", mkstream=True)
    db.xadd("taskiq", {"data": "x"}, id="1-0")
    db.xreadgroup("taskiq", "c1", {"taskiq": ">"}, count=1)
    follower = StreamQueue("taskiq", "taskiq", block=2.0).follower()
    look(follower, NOW, clients=[ASKS], listed=NOW)
    idle = ASKS._replace(idle=16, blocked=False)
    assert look(follower, NOW + 16, clients=[idle], listed=NOW + 16)[BEATEN] == 0
    db.xack("taskiq", "taskiq", "1-0")
    assert look(follower, NOW + 21, clients=[idle], listed=NOW + 16)[BEATEN] == 0
    assert look(follower, NOW + 26, clients=[idle], listed=NOW + 26)[BEATEN] == 16
