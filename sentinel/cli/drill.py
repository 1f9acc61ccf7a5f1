"""`sentinel drill`: trouble made on purpose, and whether it is told."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sentinel.cli.base import CommandError, Commands

if TYPE_CHECKING:
    from sentinel.drill.exercise import Report
    from sentinel.drill.receiver import Receiver
    from sentinel.drill.watching import Watcher

__all__ = ["add"]

_DESCRIPTION = """Make trouble for real on a server that may be hurt, watch the Sentinel that watches it, and say
whether it told the right cause, the right culprit, and in time. --embedded brings a server, a shop's life and a
Sentinel of its own. What is opened is closed again, also when the drill is killed. Exit code 0: told rightly; 1: not
so, or the drill did not work."""


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put `drill` into the table."""
    parser = commands.add_parser("drill", help="make trouble, and see whether it is told", description=_DESCRIPTION)
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO", help="one of those that --list tells")
    parser.add_argument("url", nargs="?", metavar="URL", help="redis:// of a server that may be hurt")
    parser.add_argument("--list", action="store_true", help="say which scenarios there are")
    parser.add_argument("--embedded", action="store_true", help="on a server and with a Sentinel of its own")
    parser.add_argument("--pages", default="http://127.0.0.1:9750", metavar="URL", help="of the Sentinel that watches")
    parser.add_argument(
        "--webhook",
        metavar="[HOST:]PORT",
        help="listen here for what it posts (kind: webhook) and judge by that, in place of --pages",
    )
    parser.add_argument("--target", default="", metavar="NAME", help="how that Sentinel calls the server")
    parser.add_argument("--time-scale", type=float, default=1.0, metavar="N", help="the one that Sentinel runs with")
    parser.add_argument("--at-most", type=int, default=500, metavar="N", help="connections held at once (500)")
    parser.add_argument("--listen", type=int, default=0, metavar="PORT", help="of the proxy, for outage-…")
    parser.add_argument("--off", action="append", default=[], metavar="CAUSE", help="switch off, with --embedded")
    parser.add_argument(
        "--yes-hurt-this-server", action="store_true", help="although it looks like one that others use"
    )
    parser.set_defaults(command=_drill)


def _drill(arguments: argparse.Namespace) -> int:
    from sentinel.drill.daemon import DaemonError
    from sentinel.drill.scenarios import BY_NAME
    from sentinel.drill.victim import LOST

    if arguments.list:
        print("\n".join(f"{name:14} {scenario.says}" for name, scenario in BY_NAME.items()))
        return 0
    if arguments.scenario not in BY_NAME:
        raise CommandError(f"sentinel drill: name a scenario: {', '.join(BY_NAME)}")
    if bool(arguments.url) == arguments.embedded:
        raise CommandError("sentinel drill: give the URL of a server that may be hurt, or --embedded")
    if arguments.webhook and BY_NAME[arguments.scenario].quiet:
        raise CommandError(
            f"sentinel drill: {arguments.scenario} must stay silent, and a webhook cannot tell silence from a Sentinel "
            "that does not run: use --pages"
        )
    try:
        report = asyncio.run(_embedded(arguments) if arguments.embedded else _elsewhere(arguments))
    except (ValueError, DaemonError, RuntimeError, FileNotFoundError, *LOST) as error:
        raise CommandError(f"sentinel drill: {error}") from error
    except BaseExceptionGroup as group:
        raise CommandError(f"sentinel drill: {_first(group)}") from group
    _tell(report)
    return 0 if report.passed else 1


async def _embedded(arguments: argparse.Namespace) -> Report:
    from sentinel.drill.exercise import exercise
    from sentinel.drill.scenarios import BY_NAME
    from sentinel.drill.stage import set_up
    from sentinel.drill.watching import PagesWatcher, WebhookWatcher

    _say("a server with a shop's life on it, and a Sentinel whose time runs 15 times faster")
    async with _posts(arguments) as receiver, set_up(arguments.off, receiver.url if receiver else "") as stage:
        watcher: Watcher = WebhookWatcher(receiver) if receiver else PagesWatcher(stage.daemon.pages)
        return await exercise(arguments.scenario, BY_NAME[arguments.scenario], stage.world, watcher, _say)


async def _elsewhere(arguments: argparse.Namespace) -> Report:
    from sentinel.drill.exercise import exercise
    from sentinel.drill.proxy import Proxy
    from sentinel.drill.scenarios import BY_NAME, World
    from sentinel.drill.stage import configuration_text, room
    from sentinel.drill.victim import Victim
    from sentinel.drill.watching import PagesWatcher, WebhookWatcher
    from sentinel.samplers.dial import parse_url

    scenario, address = BY_NAME[arguments.scenario], parse_url(arguments.url)
    async with (
        _posts(arguments) as receiver,
        Victim(address, arguments.at_most) as victim,
        Proxy(address.host, address.port, arguments.listen) as proxy,
    ):
        reasons = await victim.looks_like_production()
        if reasons and not arguments.yes_hurt_this_server:
            raise CommandError(
                f"sentinel drill: {address} looks like a server that others use: {'; '.join(reasons)}. "
                "If it may be hurt all the same: --yes-hurt-this-server"
            )
        if receiver:
            _say(f"the Sentinel that watches must post to {receiver.url} (kind: webhook)")
        watcher: Watcher = (
            WebhookWatcher(receiver, arguments.target) if receiver else PagesWatcher(arguments.pages, arguments.target)
        )
        left = min(await room(victim), arguments.at_most)
        if scenario.needs_queue:
            _say(f"the Sentinel that watches must be told of the drill's queue and workers:\n{configuration_text()}")
        if scenario.needs_proxy:
            _say(f"the Sentinel that watches must do so at redis://127.0.0.1:{proxy.port}")
        world = World(victim, left, arguments.time_scale, proxy)
        return await exercise(arguments.scenario, scenario, world, watcher, _say)


@asynccontextmanager
async def _posts(arguments: argparse.Namespace) -> AsyncIterator[Receiver | None]:
    """Where Sentinel posts to, if it is judged by that."""
    from sentinel.drill.receiver import Receiver

    if not arguments.webhook:
        yield None
        return
    host, _, port = arguments.webhook.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise CommandError(f"sentinel drill: --webhook must be a port or HOST:PORT, got {arguments.webhook}")
    async with Receiver(port=int(port), host=host or "127.0.0.1") as receiver:
        yield receiver


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _tell(report: Report) -> None:
    for stage in report.stages:
        print(f"{'PASSED' if stage.passed else 'FAILED'}  {report.scenario}: {stage.says}")
        if stage.heard is not None and stage.delay is not None:
            culprit = f", culprit {stage.heard.culprit}" if stage.heard.culprit else ""
            lead = f", {stage.lead:.0f} s before the server would have been full" if stage.lead is not None else ""
            print(f"        {stage.heard.severity} {stage.heard.cause} after {stage.delay:.0f} s{lead}{culprit}")
    for heard in report.others:
        print(f"        also told: {heard.severity} {heard.cause}: {heard.says}")
