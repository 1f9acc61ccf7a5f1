"""The tape: what was told comes back as it was, whatever happened to the file."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest

from sentinel.model import Poll, Sample, Series, labels
from sentinel.pipeline.actions import Acknowledge, Silence
from sentinel.tape import (
    Advance,
    Begin,
    Entry,
    Gap,
    Tape,
    TapeError,
    TapeSettings,
    read,
    segments,
    write_file,
)

NOW = 1764000000.0
BEGIN = Begin(NOW, "cold")
SMALL = TapeSettings(keep=True, segment_bytes=1_000, total_bytes=3_000)


def poll(number: int, target: str = "redis-a") -> Poll:
    time = NOW + 5.0 * number
    clients = Sample(Series("redis_connected_clients"), time, 100.0 + number)
    group = Sample(Series("redis_group_clients", labels(group="api")), time, 7, labels(addr="10.4.7.3", cmd="info"))
    return Poll(target, time, (clients, group))


EVERYTHING: list[Entry] = [
    BEGIN,
    poll(0),
    poll(0, 'b","time":"'),
    Advance(NOW + 1.25),
    Acknowledge(NOW + 2, "ada", "SNT-7K3QZ9"),
    Silence(NOW + 3, "ada", ("target=redis-*",), until=NOW + 60),
    Gap("reload", NOW + 4),
    Poll("redis-a", NOW + 5, (Sample(Series("queue_depth", labels(queue="ü")), NOW + 4.5, 1e300),)),
    Poll("redis-a", NOW + 6, ()),
    Poll("redis-a", NOW + 7, (Sample(Series("redis_seats"), NOW + 7, float("inf")),)),
]


@pytest.mark.parametrize("name", ["tape.jsonl", "tape.jsonl.gz"])
def test_everything_comes_back_as_it_was_and_in_its_order(tmp_path: Path, name: str) -> None:
    write_file(tmp_path / name, EVERYTHING)
    assert list(read(tmp_path / name)) == EVERYTHING


def test_a_value_that_is_no_number_comes_back_as_none(tmp_path: Path) -> None:
    sample = Sample(Series("redis_seats"), NOW, float("nan"))
    write_file(tmp_path / "t.jsonl", [BEGIN, Poll("a", NOW, (sample,))])
    *_, told = read(tmp_path / "t.jsonl")
    assert isinstance(told, Poll)
    assert math.isnan(told.samples[0].value)


def test_whole_numbers_stay_whole(tmp_path: Path) -> None:
    write_file(tmp_path / "t.jsonl", [BEGIN, poll(1)])
    *_, told = read(tmp_path / "t.jsonl")
    assert isinstance(told, Poll)
    assert [type(sample.value) for sample in told.samples] == [float, int]


def test_a_series_is_spelled_out_once_a_file(tmp_path: Path) -> None:
    write_file(tmp_path / "t.jsonl", [BEGIN, poll(0), poll(1), poll(2)])
    assert (tmp_path / "t.jsonl").read_bytes().count(b"redis_connected_clients") == 1


def test_what_waits_is_on_the_disk_after_a_write_and_survives_a_kill(tmp_path: Path) -> None:
    tape = Tape(tmp_path, SMALL, BEGIN)
    tape.feed(poll(0))
    tape.write()
    tape.feed(poll(1))
    assert list(read(tmp_path)) == [BEGIN, poll(0)]
    tape.close()


@pytest.mark.parametrize("cut", [1, 20, 80])
def test_a_line_that_was_cut_is_left_out(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "t.jsonl"
    write_file(path, [BEGIN, poll(0), poll(1)])
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(read(path)) == [BEGIN, poll(0)]


def test_a_compressed_file_that_was_cut_gives_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl.gz"
    write_file(path, [BEGIN, *(poll(n) for n in range(2000))])
    path.write_bytes(path.read_bytes()[:-100])
    told = list(read(path))
    assert 1000 < len(told) < 2001
    assert told[1:] == [poll(n) for n in range(len(told) - 1)]


def test_files_are_compressed_when_done_and_the_oldest_dropped(tmp_path: Path) -> None:
    tape = Tape(tmp_path, SMALL, BEGIN)
    for number in range(400):
        tape.feed(poll(number))
        tape.write()
    tape.close()
    files = segments(tmp_path)
    assert [file.suffix for file in files] == [".gz"] * (len(files) - 1) + [".jsonl"]
    assert sum(file.stat().st_size for file in files) <= SMALL.total_bytes
    told = list(read(tmp_path))
    assert told[0] == Begin(told[0].time, "continued")  # type: ignore[union-attr]
    polls = [entry for entry in told if isinstance(entry, Poll)]
    assert polls == [poll(number) for number in range(400 - len(polls), 400)]


def test_each_file_can_be_read_alone(tmp_path: Path) -> None:
    tape = Tape(tmp_path, SMALL, BEGIN)
    for number in range(60):
        tape.feed(poll(number))
    tape.close()
    alone = [entry for file in segments(tmp_path) for entry in read(file)]
    assert len(segments(tmp_path)) > 1
    assert alone == list(read(tmp_path))


def test_another_run_goes_on_behind_the_first(tmp_path: Path) -> None:
    for number in (0, 1):
        tape = Tape(tmp_path, SMALL, Begin(NOW + number, "warm"))
        tape.feed(poll(number))
        tape.close()
    assert list(read(tmp_path)) == [Begin(NOW, "warm"), poll(0), Begin(NOW + 1, "warm"), poll(1)]


def test_a_file_that_was_compressed_but_not_yet_removed_is_told_once(tmp_path: Path) -> None:
    write_file(tmp_path / "tape-000001.jsonl", [BEGIN, poll(0)])
    (tmp_path / "tape-000001.jsonl.gz").write_bytes(gzip.compress((tmp_path / "tape-000001.jsonl").read_bytes()))
    assert list(read(tmp_path)) == [BEGIN, poll(0)]


def test_a_disk_that_does_not_keep_up_costs_polls_and_the_tape_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentinel.tape._WAITING_MOST", 300)
    tape = Tape(tmp_path, TapeSettings(keep=True), BEGIN)
    for number in range(10):
        tape.feed(poll(number))
    tape.write()
    tape.feed(poll(10))
    tape.close()
    told = list(read(tmp_path))
    lost = next(at for at, entry in enumerate(told) if isinstance(entry, Gap))
    assert told[lost:] == [Gap("lost", NOW + 50), poll(10)]
    assert told[1:lost] == [poll(number) for number in range(lost - 1)]
    assert lost < 10


def test_the_targets_that_are_not_wanted_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    write_file(path, [BEGIN, poll(0), poll(0, "b"), poll(1), poll(1, "b"), Advance(NOW)])
    assert list(read(path, lambda target: target == "b")) == [BEGIN, poll(0, "b"), poll(1, "b"), Advance(NOW)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "is empty"),
        (b'{"poll":"a","time":1.0,"of":[],"values":[]}\n', ":1: is not a tape"),
        (b'{"tape":99,"sentinel":"7.0","start":"cold","time":1.0}\n', "version 99"),
        (b'{"tape":1,"sentinel":"0","start":"cold","time":1.0}\n{"poll":"a"}\n', ":2: is not a line of a tape"),
        (b'{"tape":1,"sentinel":"0","start":"cold","time":1.0}\nhello\n', ":2: is not a line of a tape"),
    ],
)
def test_what_is_no_tape_is_refused_with_the_line(tmp_path: Path, text: bytes, says: str) -> None:
    (tmp_path / "t.jsonl").write_bytes(text)
    with pytest.raises(TapeError, match=says):
        list(read(tmp_path / "t.jsonl"))


def test_a_folder_without_a_tape_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="keep: true"):
        list(read(tmp_path))
