"""One alert of each cause as the built-in text reads, in `golden/`: a reader who was woken by it must know what to do.

A shop of two services, twenty workers and a queue is told to the whole pipeline, poll by poll, until it tells of what
went wrong; all causes judge it together. After a change of wording, read what came and then accept it:

    SENTINEL_ACCEPT=1 pytest tests/pipeline/diagnosis/test_golden.py
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from sentinel.fingerprints.read import known
from sentinel.model import Finding, Notification, Poll, Reason, Sample, Series, Severity, labels
from sentinel.notifiers.wording import plain, tell
from sentinel.pipeline import CAUSES, Destination, Pipeline, PipelineSettings, Route
from tests.pipeline.diagnosis.census import Census
from tests.pipeline.diagnosis.server import Server

GOLDEN = Path(__file__).parent / "golden"
MIB, GB = float(1 << 20), 1e9
ENCODE, ENCODERS = labels(queue="encode", system="list"), "encoders"
READONLY, OOM = labels(prefix="READONLY"), labels(prefix="OOM")


class Shop(Server):
    """All is well: 60 clients of six API processes, 40 of twenty workers, an empty queue, 140 MB of 1 GB."""

    def __init__(self, step: float = 5.0, quiet: float = 1200.0) -> None:
        super().__init__(step=step)
        everything = Destination("team", "team/chat", Severity.INFO, frozenset(Reason))
        self.settings = PipelineSettings(
            causes={name: cause() for name, cause in CAUSES.items()},
            routes=(Route("team", causes=tuple(CAUSES)),),
            destinations=(everything,),
            fingerprints=known(),
        )
        self.pipeline = Pipeline(self.settings)
        self.told: list[Notification] = []
        self.set(redis_connected_clients=100.0, redis_max_clients=1000.0, redis_blocked_clients=20.0, redis_seats=2.0)
        self.set(redis_ping_seconds=0.0005, redis_dial_seconds=0.001, redis_uptime_seconds=864000.0, redis_saving=0.0)
        self.set(redis_memory_used_bytes=0.14 * GB, redis_memory_max_bytes=GB, redis_memory_noeviction=1.0)
        self.set(redis_memory_clients_bytes=3 * MIB, redis_client_output_buffer_max_bytes=20480.0)
        self.set(role("master"), redis_info=1.0)
        self.rate(redis_commands_total=800.0, redis_cpu_seconds_total=0.08, redis_connections_received_total=0.5)
        self.rate(redis_connections_rejected_total=0.0, redis_uptime_seconds=1.0)
        self.census = Census(self, **{"api-*": 60.0, "worker-*": 40.0})
        self.set(ENCODE, queue_depth=0.0)
        self.run(quiet)
        assert self.told == []

    def tick(self) -> list[Finding]:
        self.told += self.pipeline.feed(self.poll()).notifications
        return []

    def run(self, seconds: float) -> list[Finding]:
        for _ in range(round(seconds / self.step)):
            self.census.tick()
        return []

    def newest(self, cause: str) -> Notification:
        """What was told of a cause last, unless it was its end."""
        told = [one for one in self.told if one.incident.cause == cause and one.reason is not Reason.RESOLVED]
        others = [(one.incident.cause, one.incident.finding.summary) for one in self.told]
        assert told, f"nothing of {cause}, but {others}"
        return told[-1]

    def alert(self, cause: str) -> str:
        """The same, as it reads."""
        return plain(tell(self.newest(cause))) + "\n"


def role(name: str) -> tuple[tuple[str, str], ...]:
    return labels(role=name, server="redis", version="7.0.15")


def unreachable() -> Shop:
    shop = Shop()
    shop.down("auth").run(60)
    return shop


def frozen() -> Shop:
    shop = Shop()
    shop.down("timeout").run(10)
    shop.down("busy").run(60)
    return shop


def leak() -> Shop:
    shop = Shop(step=30.0, quiet=3600.0)
    shop.census.example = labels(addr="10.4.7.3", cmd="info", lib="ioredis", db="0", user="default", share="1.00")
    shop.census.leak("api-*", 60)
    return shop


def masked_leak() -> Shop:
    shop = Shop(step=300.0, quiet=3600.0)
    for _ in range(2):
        shop.census.leak("api-*", 144, each=2.0)
        for _ in range(3):
            shop.census.close("api-*", 96.0)
            shop.census.tick()
    return shop


def flood() -> Shop:
    shop = Shop()
    shop.census.example = labels(name="api-3", addr="10.4.7.3", cmd="ping", share="1.00")
    for _ in range(4):
        shop.census.open("api-*", 90.0, used=True)
        shop.rate(redis_connections_received_total=18.5)
        shop.census.tick()
    return shop


def exhaustion() -> Shop:
    shop = Shop()
    shop.set(redis_max_clients=105.0).run(1200)
    return shop


def refused() -> Shop:
    shop = Shop()
    shop.set(redis_max_clients=100.0).rate(redis_connections_rejected_total=12.0).tick()
    return shop


def failover() -> Shop:
    shop = Shop()
    shop.add(READONLY, redis_errors_total=0.0).run(5)
    shop.drop("redis_info").set(role("slave"), redis_info=1.0).rate(READONLY, redis_errors_total=12.0).run(70)
    return shop


def memory() -> Shop:
    shop = Shop(step=30.0)
    for poll in range(100):
        depth = 5000.0 * poll
        shop.set(ENCODE, queue_depth=depth).set(redis_memory_used_bytes=0.14 * GB + 1100.0 * depth)
        shop.census.tick()
    return shop


def client_buffers() -> Shop:
    shop = Shop()
    row = {"name": "feed-3", "addr": "10.4.9.7:51000", "cmd": "subscribe", "id": "77", "omem": str(30 << 20)}
    shop.exemplars[Series("redis_client_output_bytes")] = labels(**row)
    shop.set(redis_client_output_bytes=30 * MIB, redis_client_output_buffer_max_bytes=30 * MIB)
    shop.set(redis_memory_clients_bytes=33 * MIB).run(70)
    return shop


def churn() -> Shop:
    shop = Shop()
    shop.rate(labels(group="api-*"), redis_group_births_total=1.0, redis_group_deaths_total=1.0)
    shop.rate(redis_connections_received_total=40.0).run(60)
    return shop


def latency() -> Shop:
    shop = Shop()
    for command in ("get", "keys"):
        shop.add(labels(command=command), redis_command_calls_total=0.0, redis_command_seconds_total=0.0)
    shop.rate(labels(command="get"), redis_command_calls_total=700.0, redis_command_seconds_total=0.004)
    shop.rate(labels(command="keys"), redis_command_calls_total=2.0, redis_command_seconds_total=0.84)
    shop.set(redis_ping_seconds=0.25).rate(redis_cpu_seconds_total=0.88).run(60)
    return shop


def idle_spin() -> Shop:
    shop = Shop()
    for command, rate in {"brpoplpush": 80000.0, "lpush": 2.0, "get": 700.0}.items():
        shop.add(labels(command=command), redis_command_calls_total=0.0)
        shop.rate(labels(command=command), redis_command_calls_total=rate)
    shop.exemplars[Series("redis_group_clients", labels(group="worker-*"))] = labels(cmd="brpoplpush", name="worker-1")
    shop.set(redis_blocked_clients=0.0).rate(redis_commands_total=80702.0, redis_cpu_seconds_total=0.8).run(330)
    return shop


def working(shop: Shop, polls: int = 60) -> Shop:
    """The queue goes up and comes down."""
    for number in range(polls):
        shop.set(ENCODE, queue_depth=float(number % 10)).census.tick()
    return shop


def stall() -> Shop:
    shop = working(Shop())
    shop.set(ENCODE, queue_depth=12.0).run(90)
    return shop


def backlog() -> Shop:
    shop = working(Shop())
    for number in range(80):
        shop.set(ENCODE, queue_depth=10.0 + 10.0 * number).census.tick()
    return shop


def failing_jobs() -> Shop:
    shop = Shop()
    shop.rate(ENCODE, queue_completed_total=2.0, queue_failed_total=0.0).run(600)
    shop.rate(ENCODE, queue_completed_total=1.0, queue_failed_total=1.0).run(120)
    return shop


def beats(shop: Shop, polls: int, dead: int = 0) -> Shop:
    """Ten encoders that beat every ten seconds; the first of them have been silent for all of these polls."""
    for number in range(polls):
        for worker in range(10):
            age = 5.0 * number + 3.0 if worker < dead else number % 2 * 5.0 + 1.0
            shop.set(labels(group=ENCODERS, worker=f"encoder-{worker}"), heartbeat_age_seconds=age)
        shop.census.tick()
    return shop


def lost_workers() -> Shop:
    return beats(beats(Shop(), 120), 12, dead=3)


def clock_skew() -> Shop:
    shop = Shop()
    shop.set(labels(group=ENCODERS, worker="encoder-4"), worker_clock_skew_seconds=95.0)
    return beats(shop, 70)


def missed_heartbeats() -> Shop:
    shop = Shop()
    where = labels(heartbeat="nightly-report")
    shop.set(where, pushed_heartbeat_period_seconds=86400.0, pushed_heartbeat_grace_seconds=1800.0)
    shop.set(where, pushed_heartbeat_age_seconds=88300.0).tick()
    return shop


def change() -> Shop:
    shop = Shop()
    key = labels(group="api-*")
    shop.rate(key, redis_group_births_total=0.2, redis_group_deaths_total=0.2).run(290)
    shop.rate(key, redis_group_births_total=0.0, redis_group_deaths_total=0.0).run(300)
    return shop


def undelivered() -> Shop:
    shop = Shop()
    where = labels(destination="oncall/pagerduty")
    shop.set(where, delivery_down_seconds=180.0, delivery_waiting=3.0, delivery_lost_total=0.0).tick()
    return shop


def unsaved() -> Shop:
    shop = Shop()
    shop.set(state_failing=1.0).run(90)
    return shop


def public_update() -> Shop:
    shop = Shop()
    said = labels(component="Background jobs", text="Delays in Background jobs: They may be slower than usual.")
    draft = Series("status_page_draft_seconds", labels(page="customers", ref="SNT-4F2K9Q"))
    for age in (15.0, 30.0):
        samples = (Sample(Series("status_pages"), age, 1.0), Sample(draft, age, age, said))
        now = shop.now + age
        poll = Poll("redis-a", now, tuple(sample._replace(time=now) for sample in samples))
        shop.told += shop.pipeline.feed(poll).notifications
    return shop


TROUBLES: tuple[Callable[[], Shop], ...] = (
    *(unreachable, frozen, leak, masked_leak, flood, exhaustion, refused, failover, memory, client_buffers),
    *(churn, latency, idle_spin, stall, backlog, failing_jobs, lost_workers, clock_skew, missed_heartbeats, change),
    *(undelivered, unsaved, public_update),
)
STORIES: dict[str, Callable[[], Shop]] = {trouble.__name__: cache(trouble) for trouble in TROUBLES}


def test_every_cause_has_a_story() -> None:
    assert STORIES.keys() == CAUSES.keys()


@pytest.mark.parametrize("cause", STORIES)
def test_the_alert_of_each_cause_reads_as_it_was_accepted(cause: str) -> None:
    text = STORIES[cause]().alert(cause)
    file = GOLDEN / f"{cause}.txt"
    if "SENTINEL_ACCEPT" in os.environ:
        file.write_text(text)
    assert text == file.read_text(), "read what came; if it is right, SENTINEL_ACCEPT=1 accepts it"


@pytest.mark.parametrize("cause", STORIES)
def test_every_alert_can_be_argued_with(cause: str) -> None:
    finding = STORIES[cause]().newest(cause).incident.finding
    assert any(evidence.expected for evidence in finding.evidence) or cause == "change"
    assert len({evidence.name for evidence in finding.evidence}) == len(finding.evidence)
    assert finding.evidence
    assert finding.ruled_out
    assert finding.first_action


@pytest.mark.parametrize("cause", STORIES)
def test_what_a_cause_has_learnt_survives_a_snapshot(cause: str) -> None:
    """A pipeline that takes up where this one is says the same of the next poll."""
    shop = STORIES[cause]()
    restored = Pipeline(shop.settings)
    restored.restore(snapshot=shop.pipeline.snapshot(), incidents=shop.pipeline.incidents())
    poll = shop.poll()
    for pipeline in (shop.pipeline, restored):
        pipeline.feed(poll)
    assert findings(restored) == findings(shop.pipeline)


def findings(pipeline: Pipeline) -> dict[tuple[str, str], Finding]:
    return {(incident.cause, incident.subject): incident.finding for incident in pipeline.incidents()}


@pytest.mark.parametrize("cause", STORIES)
def test_no_other_cause_pages_for_what_one_explains(cause: str) -> None:
    told = {one.incident.cause for one in STORIES[cause]().told if one.incident.severity > Severity.INFO}
    assert told <= {cause} | ALONGSIDE.get(cause, set())


ALONGSIDE = {
    "memory": {"backlog", "stall"},
    "backlog": {"stall"},
    "refused": {"exhaustion"},
    "masked_leak": {"leak"},
}
"""Two truths at once: a queue that nobody works on fills the memory, a masked leak is a leak between two restarts."""
