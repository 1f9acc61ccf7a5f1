"""Arguments and signals to calls. No logic of its own: what a command does lives in the room that owns it.

Exit codes: 0 done, 1 it did not work (the message says why), 2 the arguments cannot be meant.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sentinel import __version__
from sentinel.config import ConfigError, Overrides, Settings, json_schema, load, summary

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sentinel",
        description="Early, explained warnings for Redis-backed job queues. (Not Redis Sentinel.)",
    )
    parser.add_argument("--version", action="version", version=f"sentinel {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _run(commands.add_parser("run", help="watch servers and tell what goes wrong", description=_RUN))
    _check(commands.add_parser("check-config", help="say what is wrong with a file, or what it would do"))
    schema = commands.add_parser("config-schema", help="print the JSON Schema of the file, for editors")
    schema.set_defaults(command=_config_schema)
    _demo(commands.add_parser("demo", help="see a leak noticed in time on a server of its own (90 s)"))
    return parser


_RUN = """Watch Redis or Valkey servers. A URL is enough: `sentinel run redis://127.0.0.1:6379` tells on the terminal.
A file (-c) tunes everything; what is given here is added to it or wins over it. SIGHUP reads the file again, SIGTERM
stops."""


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "urls", nargs="*", metavar="URL", help="redis://, rediss:// or unix:// (user:password@ and /db may be part)"
    )
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="YAML; see config/sentinel.yaml")
    tell = parser.add_argument_group("who is told (for a first try; a file does more)")
    tell.add_argument("--webhook", action="append", default=[], metavar="URL", help="POST JSON there; may be repeated")
    tell.add_argument("--slack", action="append", default=[], metavar="URL", help="a Slack incoming webhook")
    tell.add_argument("--pagerduty", action="append", default=[], metavar="KEY", help="an Events v2 integration key")
    how = parser.add_argument_group("how")
    how.add_argument("--interval", metavar="SECONDS", help="between two looks at a server (default 5s)")
    how.add_argument(
        "--time-scale",
        metavar="N",
        help="what is waited for passes N times faster, for drills (sampling and network keep real time)",
    )
    how.add_argument("--instance-id", metavar="NAME", help="part of every key that receivers see")
    how.add_argument("--state-dir", metavar="DIR", help="where incidents and the outbox are kept")
    how.add_argument("--listen", metavar="HOST:PORT", help="of /metrics, /healthz and /readyz, or `off`")
    how.add_argument("--log-format", choices=["human", "json"])
    how.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
    parser.set_defaults(command=_watch)


def _overrides(arguments: argparse.Namespace) -> Overrides:
    return Overrides(
        urls=tuple(arguments.urls),
        webhooks=tuple(arguments.webhook),
        slacks=tuple(arguments.slack),
        pagerduty_keys=tuple(arguments.pagerduty),
        interval=arguments.interval,
        time_scale=arguments.time_scale,
        instance_id=arguments.instance_id,
        state_dir=arguments.state_dir,
        listen=arguments.listen,
        log_format=arguments.log_format,
        log_level=arguments.log_level,
    )


def _watch(arguments: argparse.Namespace) -> int:
    from sentinel.app import run
    from sentinel.store import StoreUnusableError
    from sentinel.web import ListenError

    overrides = _overrides(arguments)

    def settings() -> Settings:
        return load(arguments.config, overrides)

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run(settings))
    except (StoreUnusableError, ListenError) as error:
        print(f"sentinel: {error}", file=sys.stderr)
        return 1
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where the extra is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _check(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Exit code 1 and every error with its line, or 0 and what would be watched and who would be told."
    )
    parser.add_argument("file", type=Path)
    parser.set_defaults(command=lambda arguments: print(summary(load(arguments.file))) or 0)


def _config_schema(_: argparse.Namespace) -> int:
    print(json.dumps(json_schema(), indent=2))
    return 0


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Start a small server with a background of its own, leak on it, and watch the real daemon notice."
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    parser.set_defaults(command=_show)


def _show(arguments: argparse.Namespace) -> int:
    from sentinel.drill.demo import main as demo

    return demo(keep=arguments.keep)
