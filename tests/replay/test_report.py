"""The one-pager: numbers worked by hand, from values and from a store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sentinel.cli import main
from sentinel.clock import Clock
from sentinel.model import Culprit, Eta, Event, Finding, Incident, IncidentState, Severity, ulid
from sentinel.replay.loop import replay
from sentinel.replay.report import as_html, as_markdown, compose
from sentinel.store import Store, StoreError, read_history
from tests.replay.builders import NOW, polls, settings

HOUR = 3600.0
DAY = 24 * HOUR


def incident(cause: str, opened: float, lasted: float | None = HOUR, *, severity: int = 3, **finding: Any) -> Incident:
    about = Finding("redis-a", cause, "cause", Severity(severity), opened, True, f"{cause} says", **finding)
    return Incident(
        id=ulid(opened, cause),
        dedup_key=f"{cause} {opened}",
        target="redis-a",
        cause=cause,
        subject="",
        severity=Severity(severity),
        state=IncidentState.OPEN if lasted is None else IncidentState.RESOLVED,
        opened=opened,
        updated=opened,
        finding=about,
        resolved=None if lasted is None else opened + lasted,
    )


API = Culprit("api")
LEAK = incident("leak", NOW, 4 * HOUR, culprit=API, since=NOW - HOUR, value=200.0, eta=Eta(NOW + 9 * HOUR, None, "w"))
HIT = incident("leak", NOW + DAY, 6 * HOUR, culprit=API, since=NOW + DAY - 0.5 * HOUR, value=900.0)
REFUSED = incident("refused", NOW + DAY + 3 * HOUR)
BACKLOG = incident("backlog", NOW + 2 * DAY, severity=2)
INFO = incident("change", NOW + 2 * DAY, severity=1)
ALL = (LEAK, HIT, REFUSED, BACKLOG, INFO)
MARKS = (Event(NOW, "marked as noise", BACKLOG.id, "ada"), Event(NOW, "marked as real", LEAK.id, "ada"))


def test_walls_leads_and_names_are_counted_from_the_incidents() -> None:
    page = compose(NOW - DAY, NOW + 13 * DAY, ALL, MARKS)
    assert [(wall.incident.cause, wall.lead, wall.came) for wall in page.walls] == [
        ("leak", 9 * HOUR, False),
        ("leak", 3 * HOUR, True),
    ]
    assert page.named_after == [HOUR, 0.5 * HOUR]
    assert (page.pages, page.weeks, page.worst) == (3, 2.0, ("api", 2))
    assert ([each.cause for each in page.noise], page.real) == (["backlog"], 1)


def test_leaked_connection_hours_are_half_of_size_times_length() -> None:
    """200 held over 5 h and 900 over 6.5 h, each grown evenly: 500 and 2,925; 3,425 of 500 that two weeks may have."""
    page = compose(NOW - DAY, NOW + 13 * DAY, ALL, leak_budget=1000.0)
    assert page.leaked == {"api": pytest.approx(200 * 5 / 2 + 900 * 6.5 / 2)}
    assert page.burnt == pytest.approx(3425 / 500)


def test_what_was_over_before_or_came_after_is_left_out() -> None:
    assert compose(NOW + DAY, NOW + 2 * DAY, ALL).incidents == [HIT, REFUSED]
    still = replace(LEAK, state=IncidentState.OPEN, resolved=None)
    assert compose(NOW + DAY, NOW + 2 * DAY, [still]).incidents == [still]


def test_the_page_says_it_in_markdown() -> None:
    history = replay(polls(900), settings()).history
    text = as_markdown(compose(NOW - DAY, NOW + 13 * DAY, ALL, MARKS, history))
    assert "**Walls:** 2 forecast, 1 of them averted; median lead 6 h\n" in text
    assert "**Named:** in 45 min (median of 2)\n" in text
    assert "**Pages:** 3, 1.5 a week\n" in text
    assert "**In vain:** 1 marked as noise, 1 as real, of 4\n" in text
    assert "| 2025-11-26 16:00 UTC | warning backlog on redis-a |  |  | noise |" in text
    assert "| redis-a | 1,000 | 880 | 880 | 120 (12%) |" in text


def test_a_masked_leak_says_what_a_freeze_would_do() -> None:
    masked = incident("masked_leak", NOW, None, severity=2)
    assert "**In a freeze:** masked_leak says" in as_markdown(compose(NOW - DAY, NOW + DAY, [masked]))


def test_the_page_is_one_html_file_in_which_names_cannot_write() -> None:
    evil = replace(LEAK, finding=replace(LEAK.finding, culprit=Culprit("<script>")))
    page = as_html(compose(NOW - DAY, NOW + DAY, [evil]))
    assert "<script" not in page
    assert "http" not in page


def test_a_quiet_time_is_a_page_too() -> None:
    assert "**Pages:** 0, 0 a week" in as_markdown(compose(NOW, NOW + 7 * DAY, ()))


async def kept(path: Path, incidents: list[Incident]) -> None:
    store = Store(path)
    await store.open()
    for each in incidents:
        await store.commit([each], [], NOW)
    await store.close()


async def test_the_store_is_read_while_a_daemon_has_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "sentinel.db")
    await store.open()
    await store.commit([LEAK], [], NOW)
    await store.commit([BACKLOG], [], NOW)
    assert read_history(tmp_path / "sentinel.db", NOW) == ([LEAK, BACKLOG], [])
    assert read_history(tmp_path / "sentinel.db", NOW + 2 * DAY) == ([BACKLOG], [])
    await store.close()


def test_no_state_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="--state-dir"):
        read_history(tmp_path / "sentinel.db", NOW)


async def test_the_command_reads_the_state_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = Clock().now()
    await kept(tmp_path / "sentinel.db", [incident("leak", now - DAY, culprit=API)])
    assert main(["report", "--state-dir", str(tmp_path), "--last", "7d", "--html", str(tmp_path / "r.html")]) == 0
    assert "critical leak on redis-a | api |" in capsys.readouterr().out
    assert "<table>" in (tmp_path / "r.html").read_text()
    assert main(["report"]) == 1
    assert "say whose" in capsys.readouterr().err
