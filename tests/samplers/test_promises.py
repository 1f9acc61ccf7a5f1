"""What every sampler promises: a name, the commands that it needs and no others, and never KEYS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import sentinel.samplers
from sentinel.embedded import EmbeddedServer
from sentinel.samplers import BY_NAME
from sentinel.samplers.acl import acl_line
from sentinel.samplers.heartbeats import HashHeartbeat, KeyHeartbeat, ZsetHeartbeat
from sentinel.samplers.probe import ProbeSettings
from sentinel.samplers.queues import Discovery, ListQueue, StreamQueue, ZsetQueue
from sentinel.samplers.target import Target, TargetSettings
from tests.servers import SERVERS, client, server

FULL = {
    "queues": (
        ListQueue(key="jobs:list"),
        ZsetQueue(key="jobs:zset", scores="time"),
        StreamQueue(key="jobs:stream", group="workers"),
    ),
    "heartbeats": (
        KeyHeartbeat(group="encode", key="hb:{client}"),
        HashHeartbeat(group="notify", key="beats:hash"),
        ZsetHeartbeat(group="index", key="beats:zset"),
    ),
    "probe": ProbeSettings(interval=0.0),
}


@pytest.fixture(params=SERVERS, ids=lambda path: path.name)
def running(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    with server(binary=request.param) as found:
        with client(found, client_name="encode-1") as admin:
            admin.lpush("jobs:list", "a")
            admin.zadd("jobs:zset", {"b": 1})
            admin.xgroup_create("jobs:stream", "workers", mkstream=True)
            admin.hset("beats:hash", "n1", "1795490000")
            admin.zadd("beats:zset", {"i1": 1795490000})
            admin.set("hb:encode-1", "x", ex=60)
            yield found


def settings(running: EmbeddedServer, user: str = "", **changes: object) -> TargetSettings:
    url = running.url.replace("//", f"//{user}@") if user else running.url
    return TargetSettings(**{"name": "a", "url": url, **FULL, **changes})  # type: ignore[arg-type]


async def polled(target: Target) -> tuple[set[str], list[str]]:
    """Samplers that are up after two polls, and what was noted."""
    await target.poll(100.0)
    poll = await target.poll(200.0)
    up = {s.series.labels[0][1] for s in poll.samples if s.series.metric == "sampler_up" and s.value}
    return up, target.notes()


async def test_a_user_with_only_the_printed_rights_runs_every_sampler(running: EmbeddedServer) -> None:
    first = Target(settings(running, "watcher:pw"))
    await first.poll(0.0)
    with client(running) as admin:
        first.vitals.version = (7, 0)
        admin.execute_command(*first.acl_line.replace("PASSWORD", "pw").split())
        second = Target(settings(running, "watcher:pw"))
        assert await polled(second) == (set(BY_NAME), [])
        assert admin.acl_log() == [] or {entry["reason"] for entry in admin.acl_log()} == {"auth"}
        with client(running, username="watcher", password="pw") as watcher:
            for command in (("GET", "other"), ("KEYS", "*"), ("LPUSH", "jobs:list", "x"), ("CONFIG", "SET", "hz", "9")):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    watcher.execute_command(*command)
    await first.close()
    await second.close()


@pytest.mark.parametrize(
    ("missing", "sampler"),
    [("+info", "info"), ("+client|list", "census"), ("+llen", "queues"), ("+hgetall", "heartbeats")],
)
async def test_a_missing_right_is_told_with_the_line_that_grants_it(
    running: EmbeddedServer, missing: str, sampler: str
) -> None:
    target = Target(settings(running, "watcher:pw"))
    granted = [word for word in target.acl_line.replace("PASSWORD", "pw").split() if word != missing]
    with client(running) as admin:
        admin.execute_command(*granted)
    _, notes = await polled(target)
    told = [note for note in notes if note.startswith(sampler)]
    assert told
    assert all("permi" in note for note in told)
    if sampler in ("info", "census"):
        assert missing in told[0]
        assert "ACL SETUSER watcher" in told[0]
    await target.close()


@pytest.mark.parametrize("sampler", BY_NAME.values())
def test_a_sampler_is_known_by_its_name(sampler: type) -> None:
    assert BY_NAME[sampler.name] is sampler  # type: ignore[attr-defined]
    assert sampler.commands  # type: ignore[attr-defined]


def test_no_sampler_uses_keys_and_only_the_scanner_that_must_be_asked_for_scans() -> None:
    sources = {path.name: path.read_text() for path in Path(sentinel.samplers.__file__).parent.rglob("*.py")}
    assert not [name for name, text in sources.items() if '"KEYS"' in text]
    assert [name for name, text in sources.items() if '"SCAN"' in text] == ["scanning.py"]
    assert not Discovery().scan


def test_old_servers_cannot_open_a_key_for_reading_alone() -> None:
    assert acl_line((6, 2, 14), ["llen"], ["jobs"]).endswith(" +llen +ping +select ~jobs")
