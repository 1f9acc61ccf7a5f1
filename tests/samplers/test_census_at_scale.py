"""What watching a server with 10,000 clients costs it, and the daemon's loop: real sockets of another process, real
polls at the intervals that a user gets without asking. Only the time between polls is left out."""

from __future__ import annotations

import asyncio
import gc
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from sentinel.embedded import EmbeddedServer
from sentinel.model import Poll
from sentinel.samplers.target import Target, TargetSettings
from tests.servers import SERVERS, client, server

CLIENTS = 9_900
SPAN = 900.0
OURS = ("client|", "info", "ping", "hello", "select", "config|", "scan", "type", "llen", "zcard", "xinfo|", "latency|")

CROWD = f"""
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (12_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
port, held = int(sys.argv[1]), []
def dial(n, words):
    one = socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.{{n % 7}}.{{1 + n % 90}}", 0))
    one.sendall(words); got = one.recv(100); assert got[:1] in b"+$", got; held.append(one)
for n in range({CLIENTS}):
    words = (b"PING", b"GET k", b"INFO server")[n % 3] if n % 5 > 1 else b"CLIENT SETNAME svc-%d-%d" % (n % 40, n)
    dial(n, words + b"\\r\\n")
print("ready", flush=True)
for line in sys.stdin:
    n = int(line)
    held.pop(n % 100).close()
    dial(n, b"PING\\r\\n")
    if n % 2:
        dial(9, b"CLIENT SETNAME leaks-1\\r\\n")
    print("done", flush=True)
"""


@contextmanager
def crowd(running: EmbeddedServer) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the clients; a number on its input renews one of them, an odd one leaks another."""
    held = subprocess.Popen(
        [sys.executable, "-c", CROWD, str(running.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield held
    finally:
        held.kill()
        held.communicate()


def turn(held: subprocess.Popen[str], number: int) -> None:
    assert held.stdin
    assert held.stdout
    print(number, file=held.stdin, flush=True)
    assert held.stdout.readline() == "done\n"


def spent(control: redis.Redis) -> tuple[dict[str, float], float]:
    """Seconds by command as the server counts them, and the CPU seconds of its main thread."""
    stats = control.info("commandstats")
    own = {name.removeprefix("cmdstat_"): each["usec"] / 1e6 for name, each in stats.items()}
    cpu = control.info("cpu")
    return own, cpu["used_cpu_user_main_thread"] + cpu["used_cpu_sys_main_thread"]


class Breath:
    """The longest that the loop's thread computed without a turn for others, in its own CPU time: a busy machine adds
    nothing to that."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.ensure_future(self._breathe())

    async def _breathe(self) -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest, last = max(self.longest, now - last), now

    def taken(self) -> float:
        """The longest since last asked."""
        longest, self.longest = self.longest, 0.0
        return longest

    def stop(self) -> None:
        self._task.cancel()


@pytest.fixture(params=SERVERS, ids=lambda path: path.name)
def running(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 12_000:
        pytest.skip("this machine does not allow 12,000 open files")
    with server("--maxclients", "12000", "--protected-mode", "no", binary=request.param) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("leaking", [False, True], ids=["quiet", "leaking"])
async def test_ten_thousand_clients_cost_neither_the_server_nor_the_loop(
    running: EmbeddedServer, leaking: bool
) -> None:
    held_for: list[float] = []
    lists, now = 0, 1_764_000_000.0
    with crowd(running) as held, client(running) as control:
        assert held.stdout
        assert held.stdout.readline() == "ready\n"
        target = Target(TargetSettings("redis-a", running.url))
        for _ in range(2):
            await target.poll(now)
            now += target.settings.interval
        breath, before = Breath(), spent(control)
        gc.disable()
        try:
            for number in range(int(SPAN / target.settings.interval)):
                turn(held, 2 * number + leaking)
                breath.taken()
                poll: Poll = await target.poll(now)
                held_for.append(breath.taken())
                counted = [one.value for one in poll.samples if one.series.metric == "redis_group_clients"]
                assert not counted or sum(counted) >= CLIENTS - 1
                lists += any(one.series.metric == "redis_census_seconds" for one in poll.samples)
                now += target.settings.interval
        finally:
            gc.enable()
            breath.stop()
        after = spent(control)
        await target.close()
    own = {name: used - before[0].get(name, 0.0) for name, used in after[0].items() if name.startswith(OURS)}
    share = sum(own.values()) / SPAN
    assert lists >= SPAN / 120  # one a minute, or fewer where a noisy machine makes them dear
    # The last list's pause reaches beyond the span, and INFO has no budget: 0.09 % where it was measured.
    assert share < 1.15 * target.settings.census.budget, f"{share:.3%}"
    # 5 to 6 ms where it was measured; half as much again as the limit for slower machines. Two polls of 180 are let
    # pass: single ones of 12 to 13 ms were seen, for no reason that was found.
    assert sorted(held_for)[-3] < 1.5 * 0.010
