"""`sentinel run`: the daemon."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sentinel.cli.base import CommandError, Commands

if TYPE_CHECKING:
    from sentinel.config import Overrides, Settings

__all__ = ["add"]

_DESCRIPTION = """Watch Redis or Valkey servers. A URL is enough: `sentinel run redis://127.0.0.1:6379` tells on the
terminal. A file (-c) tunes everything; what is given here is added to it or wins over it. SIGHUP reads the file again,
SIGTERM stops."""


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put `run` into the table."""
    parser = commands.add_parser("run", help="watch servers and tell what goes wrong", description=_DESCRIPTION)
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
    how.add_argument(
        "--state-dir",
        metavar="DIR",
        help="where incidents and the outbox are kept (default $STATE_DIRECTORY, else below ~/.local/state/sentinel)",
    )
    how.add_argument(
        "--listen", metavar="HOST:PORT", help="of the pages and /metrics, or `off` (default 127.0.0.1:9750)"
    )
    how.add_argument("--log-format", choices=["human", "json"], help="(default human)")
    how.add_argument("--log-level", choices=["debug", "info", "warning", "error"], help="(default info)")
    parser.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from sentinel.app import run
    from sentinel.config import ConfigError, load
    from sentinel.store import StoreUnusableError
    from sentinel.web import ListenError

    overrides = _overrides(arguments)

    def settings() -> Settings:
        return load(arguments.config, overrides)

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run(settings))
    except ConfigError as error:
        raise CommandError(str(error)) from error
    except (StoreUnusableError, ListenError) as error:
        raise CommandError(f"sentinel: {error}") from error
    except ExceptionGroup as bug:
        # Through the log, which keeps to its format and keeps secrets; what was due is on the disk.
        logging.getLogger("sentinel").critical("This is a bug, and the end: please report it", exc_info=bug)
        return 1
    return 0


def _overrides(arguments: argparse.Namespace) -> Overrides:
    from sentinel.config import Overrides

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


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where the extra is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
