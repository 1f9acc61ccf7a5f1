"""`sentinel notify-test`: does what is told arrive?"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from sentinel.cli.base import CommandError, Commands

if TYPE_CHECKING:
    from sentinel.config import Settings
    from sentinel.notifiers import Notifier
    from sentinel.switches import Switch

__all__ = ["add"]

_DESCRIPTION = """Send a marked test to every destination of a receiver, by the very code that incidents take, and
resolve it again. Says what each answered. Exit code 0 if all took it, 1 if one did not. A running daemon is not needed,
and not disturbed. People may be woken: PagerDuty and the like cannot tell a test from an alert. The name of a dead
man's switch sends it one round that worked."""


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put `notify-test` into the table."""
    parser = commands.add_parser(
        "notify-test", help="send a marked test, and say what came back", description=_DESCRIPTION
    )
    parser.add_argument(
        "receiver", metavar="RECEIVER", help="its name, one destination of it (RECEIVER/KIND), or a dead man's switch"
    )
    parser.add_argument(
        "-c", "--config", type=Path, required=True, metavar="FILE", help="YAML; see config/sentinel.yaml"
    )
    parser.add_argument("--leave-open", action="store_true", help="do not resolve the test")
    parser.set_defaults(command=_notify_test)


def _notify_test(arguments: argparse.Namespace) -> int:
    from sentinel.config import ConfigError, load

    try:
        settings = load(arguments.config)
    except ConfigError as error:
        raise CommandError(str(error)) from error
    switch = settings.switches.get(arguments.receiver)
    if switch is not None:
        return 0 if asyncio.run(_ping(arguments.receiver, switch)) else 1
    notifiers = _destinations(settings, arguments.receiver)
    worked = asyncio.run(_try_out(notifiers, settings.pipeline.instance_id, arguments.leave_open))
    return 0 if worked else 1


def _destinations(settings: Settings, wanted: str) -> dict[str, Notifier]:
    """Destinations of a receiver, or the one that is named; never a page that customers read."""
    told = {destination.name for destination in settings.pipeline.destinations}
    found = {
        n: notifier for n, notifier in settings.notifiers.items() if n in told and wanted in (n, n.partition("/")[0])
    }
    if not found:
        names = ", ".join(sorted({name.partition("/")[0] for name in told} | told | settings.switches.keys()))
        raise CommandError(f"sentinel: there is no receiver {wanted}; known here: {names}")
    return found


async def _ping(name: str, switch: Switch) -> bool:
    """One round that worked, as a dead man's switch hears of it."""
    from uuid import uuid4

    from sentinel.clock import Clock
    from sentinel.notifiers.base import DeliveryError
    from sentinel.notifiers.http import open_session
    from sentinel.switches import Round

    round_ = Round(uuid4(), Clock().now())
    async with open_session(switch) as session:
        try:
            if switch.told_of_starts:
                await switch.begin(session, round_)
            await switch.end(session, round_)
        except DeliveryError as error:
            print(f"{name} FAILED: {error}")
            return False
    print(f"{name} ok: it took a round that worked")
    return True


async def _try_out(notifiers: dict[str, Notifier], instance: str, leave_open: bool) -> bool:
    from sentinel.clock import Clock
    from sentinel.notifiers.trial import try_out

    now, worked = Clock().now(), True
    for name, notifier in notifiers.items():
        async for result in try_out(notifier, name, instance=instance, now=now, leave_open=leave_open):
            said = f": {result.said}" if result.said else ""
            print(f"{name} {result.reason} {'ok' if result.ok else 'FAILED'} in {result.took:.2f} s{said}", flush=True)
            worked &= result.ok
    return worked
