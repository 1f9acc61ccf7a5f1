"""The tape: what the pipeline was told, in the order in which it was told, one JSON line each.

A replay tells it again, and so comes to the same verdicts: a backtest is a replay with labels, tuning one with other
settings, a bug report a tape. The order is that of arrival, never of time; sorting by time gives other verdicts.

    {"tape":1,"sentinel":"0.1.0","start":"cold","time":1764000000.0}
    {"poll":"redis-a","time":1764000000.0,"new":[["redis_connected_clients",{}]],"of":[0],"values":[412.0]}
    {"advance":1764000005.0}
    {"act":{"kind":"resolve","time":1764000007.0,"by":"ada","incident":"SNT-7K3QZ9","text":""}}
    {"gap":"reload","time":1764000009.0}

Each file begins with a line that says its version, and numbers its series by itself (`new` gives the next numbers), so
that it can be read alone. A file that is being written is plain text, so that after SIGKILL only its last line is cut,
which a reader leaves out; files that are done are compressed, and the oldest are dropped beyond a bound.

Knows lines and files. Must not know what polls mean, nor any setting but its own: no address, user or password is on a
tape, beyond the exemplars that samples bring.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import math
import os
import shutil
import sys
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Literal, NamedTuple

import orjson

from sentinel import __version__
from sentinel.model import Labels, Poll, Sample, Series
from sentinel.pipeline import Pipeline, PipelineSettings, Step
from sentinel.pipeline.actions import Action, ActionError, decode, encode

__all__ = [
    "Advance",
    "Begin",
    "Entry",
    "Gap",
    "Tape",
    "TapeError",
    "TapeSettings",
    "TapedPipeline",
    "read",
    "segments",
    "size",
    "write_file",
]

VERSION = 1
"""Of the lines; a tape of a later one is refused."""
_WAITING_MOST = 32 << 20
"""Bytes that may wait for the disk; what comes while there are more is left out, and the tape is marked `lost`."""
_POLL = b'{"poll":'
_TELL_EVERY = 1000


class TapeError(Exception):
    """A tape cannot be read; the text says which file, which line and why."""


class Begin(NamedTuple):
    """The first line of a file. `start`: whether the pipeline knew nothing then, or went on from something."""

    time: float
    start: Literal["cold", "warm", "continued"]
    version: str = __version__


class Advance(NamedTuple):
    """The pipeline was told that it is now `now`."""

    now: float


class Gap(NamedTuple):
    """Something that verdicts may depend on and that a tape does not hold: `reload` (other settings), `lost`."""

    why: str
    time: float


Entry = Begin | Poll | Advance | Action | Gap


@dataclass(frozen=True, slots=True)
class TapeSettings:
    """Whether what the pipeline is told is kept for replays, and how much of it."""

    keep: bool = False
    segment_bytes: int = 16_000_000
    """A file that has grown to this is compressed, to about a tenth, and another begun."""
    total_bytes: int = 500_000_000
    """All files together; beyond it the oldest are dropped."""

    def __post_init__(self) -> None:
        if not 0 < self.segment_bytes <= self.total_bytes:
            raise ValueError("tape `segment_bytes` must be above 0 and no more than `total_bytes`")


class Tape:
    """A folder of numbered files that grows at its end.

    The pipeline's side (`feed`, `advance`, `act`, `gap`) only remembers; `write`, which blocks, is for a thread.

    Args:
        folder: Made if missing. Files of earlier runs are kept, and compressed.
        settings: Bounds.
        begin: Time and state of the pipeline at the beginning.
    """

    def __init__(self, folder: Path, settings: TapeSettings, begin: Begin) -> None:
        self._folder, self._settings = folder, settings
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number = max((_number(path) for path in segments(folder)), default=0)
        self._lines: deque[tuple[int, bytes]] = deque()
        self._waiting = self._length = self._lost = 0
        self._file: BinaryIO | None = None
        self._written = 0
        self._writing = Lock()
        self._next(begin)

    def feed(self, poll: Poll) -> None:
        """The pipeline is told a poll."""
        self._take(poll, poll.time)

    def advance(self, now: float) -> None:
        """The pipeline is told that time has passed."""
        self._take(Advance(now), now)

    def act(self, action: Action) -> None:
        """The pipeline is told what somebody did."""
        self._take(action, action.time)

    def gap(self, why: str, now: float) -> None:
        """From here on verdicts may depend on something that is not on the tape."""
        self._take(Gap(why, now), now)

    def write(self) -> None:
        """Bring what waits to the disk, compress what is done, and drop what is too old.

        Raises:
            OSError: the disk; what was not written is tried again at the next call.
        """
        with self._writing:
            while self._lines:
                number, line = self._lines[0]
                if number != self._written:
                    self._open(number)
                self._append(line)
                self._lines.popleft()
                self._waiting -= len(line)

    def close(self) -> None:
        """Write what waits and close the file; the next run goes on with another.

        Raises:
            OSError: as `write`.
        """
        try:
            self.write()
        finally:
            with self._writing:
                if self._file is not None:
                    self._file.close()

    def _take(self, entry: Entry, now: float) -> None:
        if self._waiting > _WAITING_MOST:
            self._lost += 1
            return
        if self._lost:
            self._lost = 0
            self._put(Gap("lost", now))
        if self._length >= self._settings.segment_bytes:
            self._next(Begin(now, "continued"))
        self._put(entry)

    def _next(self, begin: Begin) -> None:
        self._encoder = Encoder()
        self._number += 1
        self._length = 0
        self._put(begin)

    def _put(self, entry: Entry) -> None:
        line = self._encoder.line(entry)
        self._length += len(line)
        self._waiting += len(line)
        self._lines.append((self._number, line))

    def _append(self, line: bytes) -> None:
        """A disk that takes only a part of a line has that part taken back."""
        assert self._file is not None
        end = self._file.tell()
        try:
            if self._file.write(line) == len(line):
                return
        except OSError:
            self._file.truncate(end)
            raise
        self._file.truncate(end)
        self._file.seek(end)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open(self, number: int) -> None:
        if self._file is not None:
            self._file.close()
        for path in self._folder.glob("tape-*.jsonl"):
            _compress(path)
        self._prune()
        self._file = (self._folder / f"tape-{number:06d}.jsonl").open("ab", buffering=0)
        self._written = number

    def _prune(self) -> None:
        room = self._settings.total_bytes - self._settings.segment_bytes
        for path in reversed(segments(self._folder)):
            room -= path.stat().st_size
            if room < 0:
                path.unlink()


class TapedPipeline(Pipeline):
    """A pipeline that puts whatever it is told onto a tape first."""

    def __init__(self, settings: PipelineSettings, tape: Tape) -> None:
        super().__init__(settings)
        self._tape = tape

    def feed(self, poll: Poll) -> Step:
        """As any pipeline's."""
        self._tape.feed(poll)
        return super().feed(poll)

    def advance(self, now: float) -> Step:
        """As any pipeline's."""
        self._tape.advance(now)
        return super().advance(now)

    def act(self, action: Action) -> Step:
        """As any pipeline's; also what is refused is on the tape, as a replay refuses it again."""
        self._tape.act(action)
        return super().act(action)


class Encoder:
    """Entries to lines; one a file, as it numbers the file's series, target by target."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[Series, int]] = {}

    def line(self, entry: Entry) -> bytes:
        """The line of an entry, with its end."""
        match entry:
            case Poll():
                told = self._poll(entry)
            case Advance(now):
                told = {"advance": now}
            case Begin(time, start, version):
                told = {"tape": VERSION, "sentinel": version, "start": start, "time": time}
            case Gap(why, time):
                told = {"gap": why, "time": time}
            case _:
                told = {"act": encode(entry)}
        return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)

    def _poll(self, poll: Poll) -> dict[str, Any]:
        numbers, new, of = self._numbers.setdefault(poll.target, {}), [], []
        for series, *_ in poll.samples:
            number = numbers.get(series)
            if number is None:
                number = numbers[series] = len(numbers)
                new.append([series.metric, dict(series.labels)])
            of.append(number)
        told: dict[str, Any] = {"poll": poll.target, "time": poll.time}
        if new:
            told["new"] = new
        told["of"] = of
        told["values"] = [value if math.isfinite(value) else str(value) for _, _, value, _ in poll.samples]
        times = {str(place): time for place, (_, time, _, _) in enumerate(poll.samples) if time != poll.time}
        if times:
            told["times"] = times
        cases = {str(place): dict(case) for place, (*_, case) in enumerate(poll.samples) if case is not None}
        if cases:
            told["exemplars"] = cases
        return told


class _Decoder:
    """Lines of one file to entries."""

    def __init__(self) -> None:
        self._series: dict[str, list[Series]] = {}

    def entry(self, line: bytes) -> Entry:
        """What a line says.

        Raises:
            ValueError, KeyError, TypeError, IndexError, AttributeError, ActionError: it is not a line of a tape.
        """
        told = orjson.loads(line)
        if "poll" in told:
            return self._poll(told)
        if "advance" in told:
            return Advance(float(told["advance"]))
        if "tape" in told:
            return Begin(float(told["time"]), told["start"], str(told["sentinel"]))
        if "act" in told:
            return decode(told["act"])
        return Gap(str(told["gap"]), float(told["time"]))

    def _poll(self, told: dict[str, Any]) -> Poll:
        known, time = self._series.setdefault(told["poll"], []), told["time"]
        for metric, pairs in told.get("new", ()):
            known.append(Series(sys.intern(metric), _labels(pairs)))
        values, of = told["values"], told["of"]
        if len(values) != len(of):
            raise ValueError("as many values as series are needed")
        samples = [Sample(known[number], time, value) for number, value in zip(of, values, strict=True)]
        for place, value in enumerate(values):
            if value.__class__ is str:
                samples[place] = samples[place]._replace(value=float(value))
        for place, at in told.get("times", {}).items():
            samples[int(place)] = samples[int(place)]._replace(time=at)
        for place, case in told.get("exemplars", {}).items():
            samples[int(place)] = samples[int(place)]._replace(exemplar=_labels(case))
        return Poll(told["poll"], time, tuple(samples))


def segments(folder: Path) -> list[Path]:
    """A tape's files in their order; a compressed one stands for the plain one that it was made of."""
    files = [*folder.glob("tape-*.jsonl"), *folder.glob("tape-*.jsonl.gz")]
    return [path for _, path in sorted({_number(path): path for path in files}.items())]


def read(
    path: Path, wanted: Callable[[str], bool] | None = None, at: Callable[[int], None] | None = None
) -> Iterator[Entry]:
    """Everything on a tape, in order.

    Args:
        path: A file, plain or compressed, or a folder of files as the daemon keeps it.
        wanted: Which targets' polls are given; the others cost next to nothing. None: all.
        at: Told now and then how many bytes of the tape's `size` have been read.

    Raises:
        TapeError: it cannot be read, or is not a tape.
    """
    files = segments(path) if path.is_dir() else [path]
    if not files:
        raise TapeError(f"{path}: there is no tape in this folder; the daemon keeps one with `tape: {{keep: true}}`")
    before = 0
    for file in files:
        yield from _read(file, wanted, at, before)
        before += file.stat().st_size


def size(path: Path) -> int:
    """Bytes on the disk."""
    return sum(file.stat().st_size for file in (segments(path) if path.is_dir() else [path]))


def write_file(path: Path, entries: Iterable[Entry]) -> None:
    """A tape of one file, compressed if its name ends in `.gz`; it should begin with a `Begin`."""
    encoder = Encoder()
    with gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb") as file:
        for entry in entries:
            file.write(encoder.line(entry))


def _read(
    path: Path, wanted: Callable[[str], bool] | None, at: Callable[[int], None] | None, before: int
) -> Iterator[Entry]:
    decoder, number = _Decoder(), 0
    for number, (line, position) in enumerate(_lines(path), 1):
        if at is not None and number % _TELL_EVERY == 0:
            at(before + position)
        if not line.endswith(b"\n"):
            break
        try:
            if wanted is not None and line.startswith(_POLL) and not wanted(_target(line)):
                continue
            entry = decoder.entry(line)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, ActionError) as error:
            raise TapeError(f"{path}:{number}: is not a line of a tape ({type(error).__name__}: {error})") from None
        if number == 1:
            _check_version(path, line, entry)
        yield entry
    if number == 0:
        raise TapeError(f"{path}: is empty; a tape begins with a line that says its version")


def _target(line: bytes) -> str:
    """Whose poll a line is, without reading the rest: a quote within a name is escaped."""
    name: str = orjson.loads(line[len(_POLL) : line.index(b',"time":')])
    return name


def _check_version(path: Path, line: bytes, entry: Entry) -> None:
    if not isinstance(entry, Begin):
        raise TapeError(f"{path}:1: is not a tape: the first line must say its version")
    if (version := orjson.loads(line)["tape"]) != VERSION:
        text = f"{path}:1: is a tape of version {version}, this Sentinel ({__version__}) reads version {VERSION}"
        raise TapeError(f"{text}; read it with sentinel {entry.version}")


def _lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """Lines and how far the file has been read. A compressed file that was cut ends early, as a plain one does."""
    try:
        with path.open("rb") as file:
            packed = file.peek(2)[:2] == b"\x1f\x8b"
            lines: Iterable[bytes] = gzip.GzipFile(fileobj=file) if packed else file
            with contextlib.suppress(EOFError, zlib.error):
                for line in lines:
                    yield line, file.tell()
    except OSError as error:
        raise TapeError(f"{path}: cannot be read: {error.strerror or error}") from None


def _labels(pairs: dict[str, str]) -> Labels:
    return tuple(sorted((sys.intern(name), sys.intern(value)) for name, value in pairs.items()))


def _number(path: Path) -> int:
    number = path.name.removeprefix("tape-").partition(".")[0]
    return int(number) if number.isdecimal() else 0


def _compress(path: Path) -> None:
    """The compressed file takes the plain one's place only when it is whole."""
    unfinished = path.with_suffix(".jsonl.part")
    with path.open("rb") as plain, gzip.open(unfinished, "wb", compresslevel=6) as packed:
        shutil.copyfileobj(plain, packed, 1 << 20)
    unfinished.replace(path.with_suffix(".jsonl.gz"))
    path.unlink()
