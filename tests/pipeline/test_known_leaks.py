"""What a leak's culprit looks like, for each leak that comes with Sentinel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

from sentinel.config import ConfigError, load
from sentinel.fingerprints import Fingerprint
from sentinel.fingerprints.read import known
from sentinel.model import Culprit, Finding, Poll, Sample, Series, Severity, labels
from sentinel.pipeline import Pipeline, PipelineSettings
from sentinel.pipeline.diagnosis import View
from sentinel.pipeline.known_leaks import with_known_leak

KNOWN = known()


def leak(source: str = "leak", **row: str) -> Finding:
    example = labels(**({"share": "1.00", "user": "default", "db": "0"} | row))
    culprit = Culprit("api", 1.0, "group api-*", (example,))
    return Finding(
        "redis-a", source, "cause", Severity.WARNING, 0.0, True, "…", culprit=culprit, first_action="Recycle."
    )


def detail(finding: Finding) -> str:
    assert finding.culprit is not None
    return finding.culprit.detail


@pytest.mark.parametrize(
    ("row", "link"),
    [
        ({"name": "ioredisClusterSubscriber", "cmd": "subscribe"}, "redis/ioredis/issues/1325"),
        ({"name": "lettuce#MasterReplicaTopologyRefresh", "cmd": "role"}, "redis/lettuce/issues/3378"),
        ({"cmd": "info", "lib": "ioredis(5.4.1)"}, "hanshino/redive_linebot/issues/709"),
        ({"cmd": "unsubscribe"}, "celery/celery/issues/6819"),
        ({"cmd": "readonly", "flags": "r"}, "redis/ioredis/issues/1449"),
        ({"cmd": "evalsha"}, "Crosstalk-Solutions/project-nomad/pull/1009"),
        ({"cmd": "hgetall"}, "taskforcesh/bullmq/issues/2243"),
        ({"cmd": "auth"}, "redis/node-redis/issues/1278"),
    ],
)
def test_a_leak_that_others_met_is_recognised_with_its_link_and_remedy(row: dict[str, str], link: str) -> None:
    found = with_known_leak(leak(**row), KNOWN)
    assert "looks like a known leak: " in detail(found)
    assert link in detail(found)
    assert found.first_action.startswith("Recycle. Known remedy: ")


def test_the_nodes_of_redis_sentinel_are_told_by_their_port() -> None:
    assert "redis-client" in detail(with_known_leak(leak(cmd="ping"), KNOWN, "26379"))
    assert "looks like no known leak" in detail(with_known_leak(leak(cmd="ping"), KNOWN, "6379"))


def test_the_unknown_is_said_to_be_unknown_and_nothing_is_advised() -> None:
    found = with_known_leak(leak(name="api-7", cmd="get"), KNOWN)
    assert detail(found) == "group api-*; looks like no known leak"
    assert found.first_action == "Recycle."


def test_a_users_own_fingerprint_says_since_when_it_is_fixed() -> None:
    own = Fingerprint("shop", "the report job forgets", {"name": "report-.*"}, "update shop-report", "2.1")
    found = with_known_leak(leak(name="report-4", cmd="get"), (own,))
    assert detail(found) == "group api-*; looks like a known leak: the report job forgets, fixed in 2.1"


def test_an_example_that_does_not_stand_for_all_is_said_to_be_one() -> None:
    few = leak(cmd="hgetall", share="0.30", common="user")
    assert "the newest looks like a known leak" in detail(with_known_leak(few, KNOWN))
    alike = leak(cmd="hgetall", share="0.30", common="user,cmd")
    assert "; looks like a known leak" in detail(with_known_leak(alike, KNOWN))


def test_what_is_no_leak_stays_as_it_is() -> None:
    flood = leak("flood", cmd="hgetall")
    assert with_known_leak(flood, KNOWN) is flood


def test_a_file_of_ones_own_is_read_with_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "leaks.yaml").write_text('- {id: shop, title: forgets, match: {name: "report-.*"}}\n')
    file = tmp_path / "sentinel.yaml"
    file.write_text("targets: [{url: 'redis://127.0.0.1:26379', name: s}]\nfingerprints: leaks.yaml\n")
    settings = load(file).pipeline
    assert [each.id for each in settings.fingerprints] == ["shop", *(each.id for each in KNOWN)]
    assert settings.ports == {"s": "26379"}
    (tmp_path / "leaks.yaml").write_text("- {id: shop, title: forgets}\n")
    with pytest.raises(ConfigError, match=r"leaks.yaml: entry 1: needs id, title and match"):
        load(file)


def test_the_pipeline_says_it_of_a_leak_that_it_concludes() -> None:
    settings = PipelineSettings(causes={"leak": Scripted()}, fingerprints=KNOWN)
    step = Pipeline(settings).feed(Poll("redis-a", 1000.0, (Sample(Series("trouble"), 1000.0, 1.0),)))
    assert "looks like a known leak" in detail(step.incidents[0].finding)


@dataclass
class Scripted:
    """Concludes a leak whose newest connection ran HGETALL."""

    name: ClassVar[str] = "leak"
    needs: ClassVar[tuple[str, ...]] = ()
    windows: ClassVar[tuple[str, ...]] = ()

    def judge(self, view: View) -> Iterable[Finding]:
        yield replace(leak(cmd="hgetall"), time=view.now)
