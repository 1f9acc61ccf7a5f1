"""Telling a tape again: the same verdicts, and what they are worth."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sentinel.cli import main
from sentinel.model import Notification, Poll, Reason, Sample, Series, Severity, labels
from sentinel.pipeline import Pipeline
from sentinel.pipeline.diagnosis.leak import Leak
from sentinel.replay.jobs import replay_all, replay_tape
from sentinel.replay.judge import Label, judge
from sentinel.replay.labels import LabelError, read_labels
from sentinel.replay.loop import replay, with_clock
from sentinel.replay.page import as_page
from sentinel.replay.words import as_text, as_values, moment_text
from sentinel.tape import Advance, Begin, Entry, Tape, TapeSettings, read, write_file
from tests.replay.builders import LEAK_FROM, NOW, WALL, polls, settings

WALL_AT = NOW + 10.0 * WALL
LEAK_AT = NOW + 10.0 * LEAK_FROM


def live(folder: Path) -> list[Notification]:
    """What a daemon does: two targets, reminders as they fall due, and a tape of it all."""
    pipeline, told = Pipeline(settings()), []
    tape = Tape(folder, TapeSettings(keep=True, segment_bytes=100_000), Begin(NOW, "cold"))
    for one, other in zip(polls(360), polls(360, target="b", first=NOW + 3.3, leak_from=180), strict=True):
        for poll in (one, other):
            deadline = pipeline.next_deadline()
            if deadline is not None and deadline <= poll.time:
                tape.advance(deadline + 0.01)
                told += pipeline.advance(deadline + 0.01).notifications
            tape.feed(poll)
            told += pipeline.feed(poll).notifications
    tape.close()
    return told


def test_a_replay_says_what_the_live_pipeline_said_word_for_word_and_at_the_same_times(tmp_path: Path) -> None:
    told = live(tmp_path)
    assert len(told) > 5
    assert {n.incident.target for n in told} == {"redis-a", "b"}
    assert Reason.REPEATED in {n.reason for n in told}
    assert replay_tape(tmp_path, settings()).notifications == told


def test_another_order_says_something_else(tmp_path: Path) -> None:
    told = live(tmp_path)
    entries = list(read(tmp_path))
    at = 2 * (LEAK_FROM + 10)
    turned = [*entries[:at], *reversed(entries[at : at + 60]), *entries[at + 60 :]]
    assert replay(turned, settings()).notifications != told


def test_other_settings_say_something_else(tmp_path: Path) -> None:
    told = live(tmp_path)
    assert replay_tape(tmp_path, settings(leak=None)).notifications != told


@pytest.mark.slow
def test_any_number_of_jobs_says_the_same(tmp_path: Path) -> None:
    live(tmp_path)
    (alone,) = replay_all(tmp_path, [settings()])
    (together,) = replay_all(tmp_path, [settings()], jobs=2)
    assert together.notifications == alone.notifications
    assert together.history == alone.history
    assert judge(together).told == judge(alone).told


def test_a_stretch_of_a_tape_can_be_told_alone(tmp_path: Path) -> None:
    live(tmp_path)
    before = replay_tape(tmp_path, settings(), (NOW, LEAK_AT))
    assert before.notifications == []
    assert before.history.last < LEAK_AT


# What it is worth


@pytest.fixture(scope="module")
def leak() -> list[Entry]:
    return list(with_clock(polls()))


def test_a_lead_is_counted_from_the_opening_to_the_first_refusal(leak: list[Entry]) -> None:
    verdict = judge(replay(leak, settings()))
    (told,) = verdict.told
    assert (told.cause, told.subject, told.severity) == ("leak", "api", Severity.CRITICAL)
    assert told.wall == WALL_AT
    assert told.lead == WALL_AT - told.opened
    assert verdict.median_lead == told.lead
    assert LEAK_AT < told.opened < LEAK_AT + 600


def test_who_is_refused_at_the_wall_knows_the_wall_by_that() -> None:
    """redis_exporter dials anew at each scrape: at the ceiling there is no number any more, only a failure."""
    down = Sample(Series("sampler_up", labels(sampler="info")), 0.0, 0.0)
    seen = [
        poll if poll.time < WALL_AT else Poll("redis-a", poll.time, (down._replace(time=poll.time),))
        for poll in polls()
    ]
    assert replay(seen, settings()).history.targets["redis-a"].walls == [WALL_AT]
    early = [
        poll if poll.time < LEAK_AT else Poll("redis-a", poll.time, (down._replace(time=poll.time),))
        for poll in polls()
    ]
    assert replay(early, settings()).history.targets["redis-a"].walls == []


def test_a_label_says_what_was_true_and_when_the_wall_came(leak: list[Entry]) -> None:
    label = Label("redis-a", LEAK_AT, WALL_AT, frozenset({"leak"}), wall=WALL_AT - 60)
    verdict = judge(replay(leak, settings()), [label])
    assert (verdict.false, verdict.missed) == ([], [])
    (told,) = verdict.told
    assert told.lead == WALL_AT - 60 - told.opened
    assert told.delay == told.opened - LEAK_AT


@pytest.mark.parametrize(
    "label",
    [
        Label("redis-b", LEAK_AT, WALL_AT),
        Label("redis-a", LEAK_AT, WALL_AT, frozenset({"stall"})),
        Label("redis-a", NOW - 90000, NOW - 80000),
    ],
    ids=["another target", "another cause", "another time"],
)
def test_what_no_label_explains_is_false_and_what_nothing_told_is_missed(leak: list[Entry], label: Label) -> None:
    verdict = judge(replay(leak, settings()), [label])
    assert [told.cause for told in verdict.false] == ["leak"]
    assert verdict.missed == [label]


def test_without_labels_nothing_is_called_false(leak: list[Entry]) -> None:
    assert judge(replay(leak, settings())).false == []


def test_pages_are_those_that_wake_someone_and_are_told_a_week() -> None:
    day = [p for start in range(3) for p in polls(count=LEAK_FROM + 200, first=NOW + 86400.0 * start)]
    verdict = judge(replay(day, settings(leak=None, exhaustion=None)))
    assert verdict.pages == []
    woken = judge(replay(day, settings(leak=Leak(stopped_for=60.0))), page_from=Severity.WARNING)
    assert woken.pages_per_week == pytest.approx(len(woken.pages) / woken.weeks)
    assert len(woken.pages) == 3


def test_a_cause_that_never_pages_is_no_page(leak: list[Entry]) -> None:
    assert judge(replay(leak, settings()), never_page=["leak"]).pages == []


def test_a_wall_that_did_not_come_is_told_as_it_was_forecast(leak: list[Entry]) -> None:
    cut = [entry for entry in leak if _time(entry) < NOW + 10.0 * (LEAK_FROM + 150)]
    verdict = judge(replay(cut, settings()))
    (told,) = [told for told in verdict.told if told.cause == "leak"]
    assert told.wall is None
    assert told.eta is not None
    assert f"forecast was {moment_text(told.eta[0])} at the earliest" in as_text({"x": verdict})


def test_gaps_are_kept_and_told(leak: list[Entry]) -> None:
    kept = [entry for entry in leak if not 300 <= (_time(entry) - NOW) / 10 < 420]
    verdict = judge(replay(kept, settings()))
    assert verdict.history.targets["redis-a"].gaps == [(NOW + 2990, NOW + 4200)]
    assert "1 gap of 20 min" in as_text({"x": verdict})


def _time(entry: Entry) -> float:
    return entry.now if isinstance(entry, Advance) else entry.time


# How it is shown


class _Addresses(HTMLParser):
    """Everything in a page that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]
        self.found += [tag] if tag in ("script", "link", "iframe", "img") else []


def test_the_page_opens_offline_and_draws_the_level(leak: list[Entry]) -> None:
    page = as_page({"mine": judge(replay(leak, settings()))})
    parser = _Addresses()
    parser.feed(page)
    assert parser.found == []
    assert "http" not in page
    assert "url(" not in page
    assert page.count("<svg") == 1
    assert "<polygon" in page


def test_names_of_clients_cannot_write_into_the_page() -> None:
    evil = "<script>alert(1)</script>"
    page = as_page({evil: judge(replay(polls(target=evil), settings()))})
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_two_settings_stand_side_by_side(leak: list[Entry]) -> None:
    verdicts = {"a.yaml": judge(replay(leak, settings())), "b.yaml": judge(replay(leak, settings(leak=None)))}
    text = as_text(verdicts)
    assert re.search(r"^ +a\.yaml +b\.yaml$", text, re.MULTILINE)
    assert re.search(r"^median lead, from the opening +[\d.]+ \w+ +[\d.]+ \w+$", text, re.MULTILINE)
    assert as_values(verdicts)["verdicts"].keys() == {"a.yaml", "b.yaml"}


def test_the_command_reports_in_text_json_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(tmp_path / "t.jsonl.gz", [Begin(NOW, "cold"), *with_clock(polls(500))])
    labels = tmp_path / "labels.yaml"
    labels.write_text("- {target: redis-a, start: 2025-11-24 16:20, end: 2025-11-24T18:50Z, causes: [leak]}\n")
    shown = ["--labels", str(labels), "--html", str(tmp_path / "r.html")]
    assert main(["replay", str(tmp_path / "t.jsonl.gz"), *shown]) == 0
    text = capsys.readouterr().out
    assert "critical leak on redis-a (api)" in text
    assert re.search(r"labels missed +0 of 1", text)
    assert "<svg" in (tmp_path / "r.html").read_text()
    assert main(["replay", str(tmp_path / "t.jsonl.gz"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["verdicts"]["the defaults"]["told"]
    assert [each["cause"] for each in told if each["severity"] != "info"] == ["leak"]


def test_a_command_that_cannot_be_meant_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.jsonl").write_text("hello\n")
    assert main(["replay", str(tmp_path / "t.jsonl")]) == 1
    assert "t.jsonl:1: is not a line of a tape" in capsys.readouterr().err
    assert main(["replay", str(tmp_path), "--since", "tomorrow"]) == 1
    assert "--since must be a time" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: b", "must be a list"),
        ("- {target: a}", "entry 1: needs `target` and `start`"),
        ("- {target: a, start: soon}", "`start` is no time"),
        ("- {target: a, start: 5, cause: leak}", "`cause` is not known"),
        ("- {target: a, start: 5, end: 4}", "`end` is before"),
        ("- {target: a, start: 5, causes: leak}", "`causes` must be a list"),
    ],
)
def test_a_label_file_that_is_wrong_says_where(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "l.yaml").write_text(text)
    with pytest.raises(LabelError, match=says):
        read_labels(tmp_path / "l.yaml")
