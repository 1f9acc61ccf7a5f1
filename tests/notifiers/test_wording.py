"""The words: what an engineer reads at three in the morning, kept as golden texts, and the parts they are made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from sentinel.model import Course, Eta, Evidence, Notification, Reason, Secret, Severity
from sentinel.notifiers import BY_NAME
from sentinel.notifiers.wording import TITLES, plain, tell
from tests.notifiers.stories import NOON, leak, notification

GOLDEN = Path(__file__).parent / "golden"
CRITICAL = leak(severity=Severity.CRITICAL, updated=NOON + 5400)
STORIES: dict[str, Notification] = {
    "opened": notification(),
    "escalated": notification(Reason.ESCALATED, CRITICAL, previous_severity=Severity.WARNING),
    "resolved": notification(Reason.RESOLVED),
}


@pytest.mark.parametrize("name", sorted(STORIES))
def test_the_text_reads_as_agreed(name: str) -> None:
    assert plain(tell(STORIES[name])) + "\n" == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize("kind", ["slack", "pagerduty"])
@pytest.mark.parametrize("name", sorted(STORIES))
def test_the_message_reads_as_agreed(name: str, kind: str) -> None:
    settings = {"routing_key": Secret("R0")} if kind == "pagerduty" else {"url": Secret("https://hooks.example/x")}
    body = BY_NAME[kind](**settings).message(STORIES[name]).body
    assert orjson.loads(body) == orjson.loads((GOLDEN / f"{kind}-{name}.json").read_bytes())


@pytest.mark.parametrize(
    ("eta", "sentence"),
    [
        (Eta(NOON + 7800, NOON + 16800, "10,000 clients"),
         "Full between 14:10 and 16:40 UTC (10,000 clients), in 2 h 10 min to 4 h 40 min."),
        (Eta(NOON + 7800, None, "10,000 clients"),
         "Full at 14:10 UTC at the earliest (10,000 clients), in 2 h 10 min, if the trend holds."),
        (Eta(NOON - 60, NOON + 600, ""), "Full any moment, at 12:10 UTC at the latest, in 10 min."),
        (Eta(NOON - 60, NOON - 1, "maxmemory"), "Full now (maxmemory)."),
        (Eta(NOON + 600, NOON + 620, ""), "Full at about 12:10 UTC, in 10 min."),
        (Eta(NOON + 16, NOON + 56, "200 clients"), "Full at about 12:00 UTC (200 clients), in 16 s to 56 s."),
        (Eta(NOON + 36000, NOON + 54000, ""), "Full between 22:00 and 26 Nov 03:00 UTC, in 10 h to 15 h."),
    ],
)  # fmt: skip
def test_the_time_left_is_a_range_in_words(eta: Eta, sentence: str) -> None:
    assert tell(notification(incident=leak(finding=replace(leak().finding, eta=eta)))).eta == sentence


@pytest.mark.parametrize(
    ("evidence", "line"),
    [
        (Evidence("floor", 3.14159, "clients/min", "flat"), "floor: 3.14 clients/min, expected flat"),
        (Evidence("traffic", 0.42, "ratio"), "traffic: 42%"),
        (Evidence("oldest job", 7560.0, "seconds", "below 5 min"), "oldest job: 2.1 h, expected below 5 min"),
        (Evidence("memory", 1610612736.0, "bytes"), "memory: 1.5 GiB"),
        (Evidence("clients", 12345.0), "clients: 12,345"),
        (Evidence("growth", 0.05, "1/s", "0"), "growth: 3/min, expected 0"),
        (Evidence("lag", float("inf"), "s"), "lag: inf s"),
    ],
)
def test_numbers_are_said_in_their_unit(evidence: Evidence, line: str) -> None:
    story = tell(notification(incident=leak(finding=replace(leak().finding, evidence=(evidence,)))))
    assert story.evidence == (line,)


@pytest.mark.parametrize(
    ("reason", "before", "status"),
    [
        (Reason.OPENED, None, "warning"),
        (Reason.ESCALATED, Severity.INFO, "warning, was info"),
        (Reason.UPDATED, Severity.CRITICAL, "warning, was critical, for 1 h"),
        (Reason.REPEATED, None, "still warning after 1 h"),
        (Reason.RESOLVED, None, "resolved after 2 h 6 min"),
    ],
)
def test_the_status_says_why_now(reason: Reason, before: Severity | None, status: str) -> None:
    assert tell(notification(reason, previous_severity=before, time=NOON + 3600)).status == status


def test_a_cause_without_a_title_is_spelled_from_its_name() -> None:
    assert (
        tell(notification(incident=leak(cause="odd_rate-rule", subject="x"))).title == "Odd rate rule of x on redis-a"
    )


def test_every_cause_of_the_first_round_has_a_title() -> None:
    causes = "leak exhaustion flood churn refused unreachable frozen latency backlog stall lost_workers"
    assert set(causes.split()) <= set(TITLES)


@pytest.mark.parametrize(
    ("reason", "changes", "status"),
    [
        (Reason.ACKNOWLEDGED, {"acknowledged": NOON, "acknowledged_by": "ada"}, "acknowledged by ada, warning for 1 h"),
        (Reason.UPDATED, {"acknowledged": NOON, "acknowledged_by": "ada"}, "warning, for 1 h, acknowledged by ada"),
        (Reason.UPDATED, {"flapping": True}, "warning, flapping, for 1 h"),
        (Reason.RESOLVED, {"resolved": NOON + 3600, "resolved_by": "bo"}, "resolved by bo after 1 h"),
        (Reason.DIGEST, {}, "shadow mode, the last 1 h"),
    ],
)
def test_the_status_says_who_has_it_in_hand(reason: Reason, changes: Any, status: str) -> None:
    assert tell(notification(reason, leak(**changes), time=NOON + 3600)).status == status


def test_what_else_a_reader_should_know_and_what_is_told_along_are_lines_of_their_own() -> None:
    incident = leak(context=("A deploy of 4.2 ended at 11:50.", "A silence of ada ended."))
    other = leak(cause="stall", subject="encode", severity=Severity.CRITICAL)
    text = plain(tell(notification(incident=incident, related=(other,))))
    assert "Note: A deploy of 4.2 ended at 11:50. A silence of ada ended." in text
    assert "Also: Stall of encode on redis-a (critical)" in text


def test_a_line_of_bars_shows_where_it_came_from() -> None:
    course = Course("redis_connected_clients", NOON - 1200, (120.0, 150.0, 260.0, 412.0))
    text = plain(tell(notification(course=course)))
    assert "Trend: ▁▂▄█ redis_connected_clients, 120 to 412 since 11:40 UTC" in text


def test_what_never_moved_is_not_drawn() -> None:
    assert tell(notification(course=Course("x", NOON, (3.0, 3.0, float("nan"))))).trend == ""
