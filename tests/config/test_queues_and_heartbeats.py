"""Queues and heartbeats from YAML through to the samples of a poll on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.config import ConfigError, Settings, load
from sentinel.model import Poll
from sentinel.samplers.target import Target
from tests.servers import client, server

YAML = """\
targets:
  - name: jobs
    url: %s
    queues: [{kind: list, key: jobs}, {kind: zset, key: odd, name: later}]
    heartbeats:
      - {kind: zset, group: encoders, key: "workers:beats", unit: ms}
      - {kind: key, group: mailers, key: hb}
"""


def read(directory: Path, text: str) -> Settings:
    (directory / "s.yaml").write_text(text)
    return load(directory / "s.yaml", environment={"HOME": "/home/s"})


def values(poll: Poll, metric: str) -> dict[tuple[str, ...], float]:
    found = [one for one in poll.samples if one.series.metric == metric]
    return {tuple(value for _, value in one.series.labels): one.value for one in found}


async def test_what_the_file_names_is_sampled_and_what_cannot_be_is_noted(tmp_path: Path) -> None:
    with server() as running, client(running) as db:
        db.rpush("jobs", "a", "b")
        db.set("odd", "x")
        db.set("hb", 1, px=60_000)
        db.zadd("workers:beats", {"w": (db.time()[0] - 30) * 1000})
        target = Target(read(tmp_path, YAML % running.url).targets[0])
        try:
            poll, notes = await target.poll(1000.0), target.notes()
        finally:
            await target.close()
    assert values(poll, "queue_depth") == {("jobs", "list"): 2}
    ages = values(poll, "heartbeat_age_seconds")
    assert ages == {("encoders", "w"): pytest.approx(30, abs=2), ("mailers", "hb"): pytest.approx(0, abs=1)}
    assert [note for note in notes if note.startswith("queues: odd: ")]
    assert values(poll, "sampler_up")["queues",] == 1


def test_a_broken_pattern_of_names_is_refused_with_its_place(tmp_path: Path) -> None:
    broken = "targets: [{url: 'redis://h', heartbeats: [{kind: key, group: g, key: k, clients: '('}]}]"
    with pytest.raises(ConfigError, match=r"s\.yaml:1: targets\[0\]\.heartbeats\[0\]"):
        read(tmp_path, broken)
