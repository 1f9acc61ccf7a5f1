"""The daemon's own tape: what it told is what a replay tells."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis

from sentinel.cli import main
from sentinel.cli.replay import chosen
from sentinel.config import load
from sentinel.drill.background import Background
from sentinel.drill.daemon import Daemon
from sentinel.drill.leak import Leak
from sentinel.drill.receiver import Receiver
from sentinel.embedded import EmbeddedServer, free_port
from sentinel.model import Poll
from sentinel.notifiers.base import Notifier
from sentinel.replay.jobs import replay_tape
from sentinel.tape import Advance, Begin, read
from tests.servers import server

CONFIG = """\
instance_id: lab
time_scale: 15
tape: {{keep: true, segment_bytes: 100000}}
targets: [{{name: shop, url: "{url}", interval: 1s}}]
receivers: {{ops: [{{kind: webhook, url: "{webhook}", min_severity: info}}]}}
routes: [{{receiver: ops, repeat_interval: 100s}}]
"""


@pytest.fixture
def running() -> Iterator[EmbeddedServer]:
    with server("--maxclients", "200") as found:
        yield found


def event(notifier: Notifier, notification: Any) -> Any:
    told = orjson.loads(notifier.message(notification).body)  # type: ignore[attr-defined]
    return notification.event_id, told


@pytest.mark.slow
async def test_a_replay_of_the_daemons_tape_is_word_for_word_what_it_sent(
    running: EmbeddedServer, tmp_path: Path
) -> None:
    """A leak until its alert, then a resolve: every event with its id, time and text, in the order of sending."""
    config = tmp_path / "c.yaml"
    async with Receiver() as receiver, asyncio.TaskGroup() as tasks:
        config.write_text(CONFIG.format(url=running.url, webhook=receiver.url))
        shop = tasks.create_task(Background(running.port).run())
        arguments = ["-c", str(config), "--state-dir", str(tmp_path / "state")]
        async with Daemon(arguments, listen=f"127.0.0.1:{free_port()}", log=tmp_path / "log"):
            await asyncio.sleep(12)
            async with Leak(running.port, name="api", rate=3, at_most=60, lasts=40) as leak:
                await leak.run()
            await receiver.first(lambda arrival: arrival.kind == "resolved")
        shop.cancel()
        sent = {arrival.id: arrival for arrival in receiver.arrivals}
    settings = load(config)
    (notifier,) = settings.notifiers.values()
    replayed = dict(
        event(notifier, each) for each in replay_tape(tmp_path / "state" / "tape", settings.pipeline).notifications
    )
    assert len(sent) >= 2
    assert {key: dict(arrival.event) for key, arrival in sent.items()} == replayed
    assert any(isinstance(entry, Begin) and entry.start == "cold" for entry in read(tmp_path / "state" / "tape"))


@pytest.mark.slow
async def test_a_daemon_that_was_killed_leaves_a_tape_up_to_the_last_second(
    running: EmbeddedServer, tmp_path: Path
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG.format(url=running.url, webhook="http://127.0.0.1:9/"))
    arguments = ["-c", str(config), "--state-dir", str(tmp_path / "state")]
    async with Daemon(arguments, listen=f"127.0.0.1:{free_port()}", log=tmp_path / "log") as daemon:
        await asyncio.sleep(4.5)
        os.kill(daemon._process.pid, signal.SIGKILL)
        await daemon._process.wait()
    polls = [entry for entry in read(tmp_path / "state" / "tape") if isinstance(entry, Poll)]
    assert len(polls) >= 3
    pauses = [after.time - before.time for before, after in pairwise(polls)]
    assert pauses == pytest.approx([1.0] * len(pauses), abs=0.3)


def test_record_writes_what_a_server_says_and_no_credential(
    running: EmbeddedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "t.jsonl"
    with redis.Redis(port=running.port) as client:
        client.config_set("requirepass", "hunter2")
        url = running.url.replace("redis://", "redis://:hunter2@")
    assert main(["record", url, str(file), "--for", "2s", "--interval", "0.5"]) == 0
    said = capsys.readouterr().out
    assert b"hunter2" not in file.read_bytes()
    polls = [entry for entry in read(file) if isinstance(entry, Poll)]
    assert f"{len(polls)} polls of one server" in said
    assert 3 <= len(polls) <= 5
    assert any(isinstance(entry, Advance) for entry in read(file))
    metrics = {sample.series.metric for poll in polls for sample in poll.samples}
    assert {"redis_connected_clients", "redis_max_clients", "sampler_up"} <= metrics
    assert replay_tape(file, chosen(None)).notifications == []


def test_record_does_not_overwrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.jsonl").write_text("precious")
    assert main(["record", "redis://127.0.0.1:1", str(tmp_path / "t.jsonl"), "--for", "1s"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "t.jsonl").read_text() == "precious"
