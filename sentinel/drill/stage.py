"""A stage for drills: a small server of its own with a shop's life on it, and the real daemon that watches it.

Knows how to set all that up and to take it down again. Must not know what will be played.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sentinel.drill.background import HEARTBEATS as SHOP_BEATS
from sentinel.drill.background import QUEUE as SHOP_QUEUE
from sentinel.drill.background import Background
from sentinel.drill.daemon import Daemon
from sentinel.drill.exercise import meanwhile
from sentinel.drill.proxy import Proxy
from sentinel.drill.scenarios import BEATS, QUEUE, World
from sentinel.drill.victim import Victim
from sentinel.embedded import EmbeddedServer, free_port
from sentinel.samplers.dial import parse_url

__all__ = ["SCALE", "SetUp", "set_up"]

SCALE = 15.0
CEILING = 300
TARGET = "drill"


@dataclass
class SetUp:
    """Everything that a drill needs, running."""

    world: World
    daemon: Daemon


@asynccontextmanager
async def set_up(off: Sequence[str] = (), webhook: str = "") -> AsyncIterator[SetUp]:
    """The stage, while it is entered.

    Args:
        off: Causes that are switched off in the daemon, to see a drill fail.
        webhook: Where the daemon posts what it tells; empty: nowhere.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sentinel-drill-")))
        server = stack.enter_context(EmbeddedServer("--maxclients", str(CEILING)))
        proxy = await stack.enter_async_context(Proxy("127.0.0.1", server.port))
        await stack.enter_async_context(meanwhile(Background(server.port).run()))
        victim = await stack.enter_async_context(Victim(parse_url(server.url), CEILING))
        config = folder / "drill.yaml"
        config.write_text(yaml.safe_dump(_configuration(proxy.port, off, webhook)))
        arguments = ["-c", str(config), "--state-dir", str(folder / "state")]
        daemon = Daemon(arguments, listen=f"127.0.0.1:{free_port()}", log=folder / "daemon.log")
        await stack.enter_async_context(daemon)
        yield SetUp(World(victim, await room(victim), SCALE, proxy), daemon)


async def room(victim: Victim) -> int:
    """Connections that the server still takes."""
    link = await victim.open("drill-look")
    try:
        info = await victim.vitals(link)
        return int(float(info.get("maxclients", 10000)) - float(info.get("connected_clients", 0)))
    finally:
        await victim.close(link)


def _configuration(port: int, off: Sequence[str], webhook: str) -> dict[str, Any]:
    return {
        "instance_id": TARGET,
        "time_scale": SCALE,
        "targets": [
            {
                "name": TARGET,
                "url": f"redis://127.0.0.1:{port}",
                "interval": 1.0,
                "queues": [
                    {"kind": "list", "key": SHOP_QUEUE, "name": "encode"},
                    {"kind": "list", "key": QUEUE, "name": "drill"},
                ],
                "heartbeats": [
                    {"kind": "zset", "group": "encode", "key": SHOP_BEATS},
                    {"kind": "zset", "group": "drill", "key": BEATS},
                ],
            }
        ],
        "causes": dict.fromkeys(off, "off"),
        **({"receivers": {"drill": [{"kind": "webhook", "url": webhook}]}} if webhook else {}),
    }


def configuration_text() -> str:
    """What a Sentinel elsewhere must be told of to see a drill's queue and workers."""
    queues = json.dumps([{"kind": "list", "key": QUEUE, "name": "drill"}])
    beats = json.dumps([{"kind": "zset", "group": "drill", "key": BEATS}])
    return f"queues: {queues}\nheartbeats: {beats}"
