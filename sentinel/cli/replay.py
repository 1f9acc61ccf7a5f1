"""`sentinel replay`: what would have been told, of a history, under one configuration or several."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sentinel.cli.base import CommandError, Commands

if TYPE_CHECKING:
    from sentinel.pipeline import PipelineSettings
    from sentinel.replay.judge import Verdict
    from sentinel.replay.sources import Source

__all__ = ["add", "add_source", "chosen", "progress", "tape_of"]

_DESCRIPTION = """Tell a history to the same pipeline that the daemon runs, and say what would have been opened, when,
why, and how long before the wall. SOURCE is a tape (a file, or the daemon's folder of them), the URL of a Prometheus
that scrapes redis_exporter or Sentinel itself, a saved answer of its API, or a CSV file. Nobody is notified."""


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put `replay` into the table."""
    parser = commands.add_parser("replay", help="what would have been told, of a history", description=_DESCRIPTION)
    add_source(parser)
    parser.add_argument(
        "-c", "--config", action="append", type=Path, metavar="FILE", help="may be given twice and more, to compare"
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="what truly was: YAML, see the documentation")
    parser.add_argument("--pages", choices=["warning", "critical"], default="critical", help="what wakes someone")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report with charts there, too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_replay)


def add_source(parser: argparse.ArgumentParser) -> None:
    """The arguments that name a history and share the work; `tune` takes the same."""
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("--since", metavar="TIME", help="ISO 8601, Unix seconds, or a span such as 30d (the default)")
    parser.add_argument("--until", metavar="TIME", help="by default now")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="cores to use; targets are shared out")
    http = parser.add_argument_group("a Prometheus")
    http.add_argument("--token-file", type=Path, metavar="FILE", help="a bearer token")
    http.add_argument("--match", default="", metavar="MATCHERS", help="""more matchers, such as 'job="redis"'""")
    http.add_argument("--target-label", default="", metavar="LABEL", help="the label that names the server")
    http.add_argument("--keep-tape", type=Path, metavar="FILE", help="keep what was read as a tape")


def _replay(arguments: argparse.Namespace) -> int:
    from sentinel.model import Severity
    from sentinel.replay.jobs import replay_all
    from sentinel.replay.judge import judge
    from sentinel.replay.labels import LabelError, read_labels
    from sentinel.tape import TapeError

    configs = _configs(arguments.config)
    try:
        labels = read_labels(arguments.labels) if arguments.labels else None
        with tape_of(arguments) as (tape, source), progress("replaying") as told:
            results = replay_all(tape, list(configs.values()), arguments.jobs, (source.since, source.until), told)
    except (TapeError, LabelError) as error:
        raise CommandError(f"sentinel replay: {error}") from error
    severity = Severity[arguments.pages.upper()]
    verdicts = {
        name: judge(result, labels, severity, settings.never_page)
        for (name, settings), result in zip(configs.items(), results, strict=True)
    }
    _show(verdicts, arguments)
    return 0


def _show(verdicts: dict[str, Verdict], arguments: argparse.Namespace) -> None:
    import json

    from sentinel.replay.page import as_page
    from sentinel.replay.words import as_text, as_values

    if arguments.html:
        try:
            arguments.html.write_text(as_page(verdicts), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"sentinel replay: {arguments.html} cannot be written: {error.strerror}") from error
    print(json.dumps(as_values(verdicts), indent=2) if arguments.json else as_text(verdicts))


def _configs(files: list[Path] | None) -> dict[str, PipelineSettings]:
    return {str(file): chosen(file) for file in files} if files else {"the defaults": chosen(None)}


def chosen(file: Path | None) -> PipelineSettings:
    """The pipeline's settings of a file, or the defaults. Targets do not matter: the history has its own."""
    from sentinel.config import ConfigError, Overrides, load

    try:
        return load(file, Overrides(urls=("redis://replayed",))).pipeline
    except ConfigError as error:
        raise CommandError(str(error)) from error


@contextmanager
def tape_of(arguments: argparse.Namespace) -> Iterator[tuple[Path, Source]]:
    """The history as a tape, which goes away afterwards unless it is to be kept or was one."""
    from sentinel.replay.prometheus import HistoryError
    from sentinel.replay.sources import as_tape

    source = _source(arguments)
    with tempfile.TemporaryDirectory(prefix="sentinel-replay-") as folder, progress("reading") as told:
        try:
            yield as_tape(source, arguments.keep_tape or Path(folder, "tape.jsonl"), told), source
        except HistoryError as error:
            raise CommandError(f"sentinel: {error}") from error


def _source(arguments: argparse.Namespace) -> Source:
    from sentinel.clock import Clock
    from sentinel.model import Secret
    from sentinel.replay.sources import Source

    now = Clock().now()
    until = _moment("--until", arguments.until, now) if arguments.until else now
    is_url = arguments.source.startswith(("http://", "https://"))
    since = _moment("--since", arguments.since or "30d", now) if arguments.since or is_url else float("-inf")
    try:
        token = Secret(arguments.token_file.read_text().strip()) if arguments.token_file else None
    except OSError as error:
        raise CommandError(f"sentinel: {arguments.token_file} cannot be read: {error.strerror}") from error
    end = until if arguments.until or is_url else float("inf")
    return Source(arguments.source, since, end, token, arguments.match, arguments.target_label)


def _moment(flag: str, text: str, now: float) -> float:
    from sentinel.replay.table import moment, span_of

    try:
        return now - span_of(text)
    except ValueError:
        pass
    try:
        return moment(text)
    except ValueError:
        raise CommandError(
            f"{flag} must be a time such as 2026-03-02T10:00Z or a span such as 30d, got {text}"
        ) from None


@contextmanager
def progress(what: str) -> Iterator[Callable[[float], None] | None]:
    """A bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return

    def tell(done: float) -> None:
        filled = round(30 * min(1.0, done))
        print(f"\r{what} [{'#' * filled}{'-' * (30 - filled)}] {done:4.0%}", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
