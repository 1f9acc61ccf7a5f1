"""What adapters are driven with: a script of replies, or a real server that holds recorded keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import pytest
import redis

from sentinel.embedded import EmbeddedServer
from sentinel.model import Sample
from sentinel.samplers.base import Command, Reply
from sentinel.samplers.queues import BY_NAME
from sentinel.samplers.queues.base import Asking, Follower, Room, Sight
from tests.servers import client, server


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedServer]:
    with server() as started:
        yield started


@pytest.fixture
def db(running: EmbeddedServer) -> Iterator[redis.Redis]:
    with client(running) as connected:
        connected.flushall()
        yield connected


class Looking:
    """Runs a follower against a real server at a time of one's own, and remembers what it asked."""

    def __init__(self, db: redis.Redis) -> None:
        self.db = db
        self.asked: list[Command] = []
        self._checked = 0

    def answer(self, commands: Sequence[Command]) -> list[Reply]:
        """The raw replies, errors in their place."""
        self.asked += commands
        if not commands:
            return []
        pipe = self.db.pipeline(transaction=False)
        pipe.response_callbacks.clear()
        for command in commands:
            pipe.execute_command(*command)
        return pipe.execute(raise_on_error=False)

    def run(self, asking: Asking[Any]) -> Any:
        """To its end."""
        replies: Sequence[Reply] | None = None
        while True:
            try:
                replies = self.answer(asking.send(replies))  # type: ignore[arg-type]
            except StopIteration as end:
                return end.value

    def __call__(self, follower: Follower, clock: float, **sight: Any) -> dict[tuple[str, str], float]:
        """Values by metric (without `queue_`) and queue or worker, after a discovery and a reading."""
        self.run(follower.discover(Sight(clock, clock, room=Room(1000), **sight)))
        found = told(self.run(follower.read(Sight(clock, clock, **sight))))
        self.check_rights(follower)
        return found

    def check_rights(self, follower: Follower) -> None:
        """Every command and key that was asked is one that its kind names for the server's ACL."""
        kinds = [queue for queue in BY_NAME.values() if queue.__module__ == type(follower).__module__]
        needs = {need for queue in kinds for need in queue.needs}
        for command in self.asked[self._checked :]:
            word, *rest = (str(part) for part in command)
            compound = word in ("PUBSUB", "XINFO")
            assert (f"{word}|{rest[0]}" if compound else word).lower() in needs
            key = rest[1] if compound else rest[0]
            assert word == "PUBSUB" or any(fnmatchcase(key, pattern) for pattern in follower.keys), key
        self._checked = len(self.asked)


def told(samples: Sequence[Sample]) -> dict[tuple[str, str], float]:
    found = {}
    for series, _, value, _ in samples:
        about: Mapping[str, str] = dict(series.labels)
        place = about.get("queue") or about.get("worker") or about["group"]
        found[series.metric.removeprefix("queue_"), place] = value
    return found


@pytest.fixture
def look(db: redis.Redis) -> Callable[..., dict[tuple[str, str], float]]:
    return Looking(db)
