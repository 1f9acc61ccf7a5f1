"""Known leaks are told by their rows, and the unknown stay unknown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sentinel.fingerprints import Fingerprint, recognise
from sentinel.fingerprints.read import FingerprintError, known, read

QUOTED = [
    ("ioredis-cluster-subscriber", {"name": "ioredisClusterSubscriber", "cmd": "subscribe", "flags": "P"}),
    ("lettuce-topology-refresh", {"name": "lettuce#MasterReplicaTopologyRefresh", "cmd": "ping"}),
    ("ioredis-orphan", {"name": "", "cmd": "info", "lib": "ioredis", "port": "6379"}),
    ("celery-result-backend", {"name": "", "cmd": "unsubscribe", "db": "1"}),
    ("celery-result-backend", {"name": "", "cmd": "exec", "db": "1"}),
    ("ioredis-cluster-readonly", {"cmd": "readonly", "flags": "r"}),
    ("bullmq-connection-options", {"name": "", "cmd": "evalsha"}),
    ("bullmq-hgetall", {"name": "", "cmd": "hgetall"}),
    ("redis-client-sentinel", {"cmd": "get", "port": "26379"}),
    ("auth-retry", {"cmd": "auth", "user": "default"}),
]
"""One row as each incident of the reference quotes it."""


@pytest.mark.parametrize(("expected", "row"), QUOTED)
def test_a_quoted_row_is_recognised(expected: str, row: dict[str, str]) -> None:
    found = recognise([row] * 20, known())
    assert found is not None
    assert found.id == expected


@pytest.mark.parametrize("cmd", ["get", "set", "brpop", "ping", "lpush"])
def test_an_ordinary_pool_is_unknown(cmd: str) -> None:
    assert recognise([{"name": "api", "cmd": cmd, "user": "default", "port": "6379"}] * 20, known()) is None


def test_a_cohort_that_is_only_in_part_like_it_is_unknown() -> None:
    rows = [{"name": "", "cmd": "info"}] * 7 + [{"name": "", "cmd": "get"}] * 3
    assert recognise(rows, known()) is None


def test_every_known_one_says_what_to_do_and_where_it_is_told() -> None:
    assert len({each.id for each in known()}) == len(known())
    for each in known():
        assert each.title
        assert each.fix
        assert all(link.startswith("https://") for link in each.links)
        assert each.links


def test_a_users_file_adds_its_own(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text('- {id: own, title: t, match: {name: "report-.*", db: 3}, fixed_in: "2.1"}\n')
    assert read(file) == (Fingerprint("own", "t", {"name": "report-.*", "db": "3"}, fixed_in="2.1"),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: b", "must be a list"),
        ("- {id: a}", "entry 1: needs id, title and match"),
        ("- {id: a, title: t, match: {cmd: '('}}", "no regular expression"),
        ("- {id: a, title: t, match: {colour: red}}", "knows no 'colour'"),
        ("- {id: a, title: t, match: {cmd: x}, url: y}", "`url` is not known"),
        ("- {id: a, title: t, match: {}}", "at least one of"),
        ("[", "is not YAML"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "f.yaml").write_text(text)
    with pytest.raises(FingerprintError, match=re.escape(says)):
        read(tmp_path / "f.yaml")
