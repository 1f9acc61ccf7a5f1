"""The demo: a leak on a small server of its own, and the real daemon that tells of it in time.

One straight story, told live: a healthy shop, an endpoint that begins to leak, the alert, the wall. Nobody reacts to
the alert, so that the seconds between it and the first refused connection are measured, not promised. Exit code 0
means that the alert came first.
"""

from __future__ import annotations

import asyncio
import io
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio.connection import Connection

from sentinel.drill.background import QUEUE, Background
from sentinel.drill.clients import LOST, ask, connection
from sentinel.drill.daemon import Daemon, DaemonError
from sentinel.drill.leak import Leak
from sentinel.drill.lifeline import lifeline
from sentinel.drill.receiver import Arrival, Receiver, story
from sentinel.drill.terminal import Terminal
from sentinel.embedded import EmbeddedServer, free_port
from sentinel.model import Seconds
from sentinel.notifiers.wording import plain

__all__ = ["main"]

CEILING = 200
TIME_SCALE = 15
ENDPOINT = "api-assembly-status"
LEAK_RATE = 2.5
"""A second. The background holds some 80 connections, so that the server is full after about 50 s."""
CAUSES = frozenset({"leak", "exhaustion"})
"""What may rightly be said of this leak; anything else that arrives is shown, and does not count."""

WARM_UP: Seconds = 12.0
END: Seconds = 84.0
"""After the start: what has not come by then is not waited for, so that with stopping all takes less than 90 s."""
LOOK_EVERY: Seconds = 0.2
STOPPED = 130

CONFIG = """\
instance_id: demo
targets:
  - name: shop-redis
    url: {url}
"""


def main(keep: bool = False) -> int:
    """Tell the story; gives the exit code: 0 if the alert came before the first refused connection.

    Args:
        keep: When the story is over, leave everything running until Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    terminal = Terminal(sys.stdout)
    try:
        with EmbeddedServer("--maxclients", str(CEILING)) as server, lifeline(server.pid):
            code = asyncio.run(_until_told(_Demo(server, terminal, keep)))
    except KeyboardInterrupt:
        code = STOPPED
    except (*LOST, RuntimeError, DaemonError) as error:
        terminal.close()
        print(f"sentinel demo: {error}", file=sys.stderr)
        return 1
    terminal.close()
    if keep or code == STOPPED:
        terminal.say("Stopped; nothing is left running.")
    return code


async def _until_told(demo: _Demo) -> int:
    """SIGTERM ends the demo as Ctrl-C does: by a cancellation, which ends here, as there is nobody above."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await demo.play()
    except asyncio.CancelledError:
        pass
    except BaseExceptionGroup as group:
        raise _first(group) from None
    return demo.code


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


@asynccontextmanager
async def _meanwhile(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """What goes on beside the body, and ends with it; if one of them fails, the body does."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        yield
        for task in tasks:
            task.cancel()


class _Demo:
    """The story, and what is known of it so far."""

    def __init__(self, server: EmbeddedServer, terminal: Terminal, keep: bool) -> None:
        self.code = STOPPED
        self._server, self._terminal, self._keep = server, terminal, keep
        self._begun = 0.0
        self._clients = self._queue = 0
        self._nobody_refused = 0.0
        """The last time at which nobody had been refused: a lead is counted to it, and so never too long."""
        self._refused = asyncio.Event()
        self._leaking_since: float | None = None
        self._leak_closed = False
        self._alert: Arrival | None = None

    async def play(self) -> None:
        """All of it, from the first line to the verdict, which is left in `code`."""
        self._begun = asyncio.get_running_loop().time()
        self._introduce()
        async with (
            Receiver() as receiver,
            _meanwhile(Background(self._server.port).run(), self._keep_looking()),
            self._daemon(receiver) as daemon,
            _meanwhile(daemon.ended(), self._keep_announcing(receiver)),
        ):
            self._tell("The daemon is ready. It gets a moment to see what is usual here.")
            await asyncio.sleep(WARM_UP)
            await self._leak()
            await self._wait_for_the_end(receiver)
            self._judge(daemon)
            if self._keep:
                self._offer(daemon)
                await asyncio.Event().wait()

    async def _leak(self) -> None:
        """Until the wall is reached, or it takes too long; then the process is recycled."""
        leak = Leak(self._server.port, name=ENDPOINT, rate=LEAK_RATE, at_most=CEILING, lasts=END)
        async with leak, _meanwhile(leak.run()):
            self._leaking_since = asyncio.get_running_loop().time()
            self._tell(
                f"A deploy breaks {ENDPOINT}: each request that fails opens a connection and forgets it, some "
                f"{LEAK_RATE:g} a second. To its users all looks well.",
                "yellow",
            )
            try:
                async with asyncio.timeout_at(self._begun + END):
                    await self._refused.wait()
            except TimeoutError:
                return
            self._tell("The server is full: a client was refused for the first time.", "red")
        self._leak_closed = True
        self._tell(f"{ENDPOINT} is recycled, and its connections are closed.")

    async def _wait_for_the_end(self, receiver: Receiver) -> None:
        """The alert is to be taken back, if that comes in the time left."""
        alert = self._alert
        if alert is None:
            return
        of = alert.incident["id"]
        try:
            async with asyncio.timeout_at(self._begun + END):
                await receiver.first(lambda each: each.kind == "resolved" and each.incident["id"] == of)
        except TimeoutError:
            self._tell("The alert was not taken back yet; the demo does not wait for that.")

    def _judge(self, daemon: Daemon) -> None:
        alert, self.code = self._alert, 1
        self._terminal.say()
        if alert is None:
            self._terminal.say("Nobody was told of the leak. The end of the daemon's log:", style="red")
            self._terminal.quote(daemon.tail(), "red")
        elif not self._refused.is_set():
            text = "The alert came, but the server was not full in time: there is no lead to measure."
            self._terminal.say(text, style="red")
        elif (lead := self._nobody_refused - alert.at) <= 0:
            self._terminal.say("The alert came after the first refused connection: too late.", style="red")
        else:
            self.code = 0
            text = f"The alert came {lead:.0f} s before the first refused connection."
            self._terminal.say(text, style="green")

    # Who takes part

    @asynccontextmanager
    async def _daemon(self, receiver: Receiver) -> AsyncIterator[Daemon]:
        """Sentinel itself, told what anybody would tell it; what it writes goes away with its directory."""
        with tempfile.TemporaryDirectory(prefix="sentinel-demo-") as name:
            directory = Path(name)
            config = directory / "demo.yaml"
            config.write_text(CONFIG.format(url=self._server.url))
            shown = ["--webhook", receiver.url, "--interval", "1", "--time-scale", str(TIME_SCALE)]
            arguments = ["-c", str(config), *shown, "--state-dir", str(directory / "state")]
            self._tell(f"$ sentinel run -c demo.yaml {' '.join(shown)}", "bold")
            listen = f"127.0.0.1:{free_port()}"
            async with Daemon(arguments, listen=listen, log=directory / "daemon.log") as daemon:
                yield daemon

    async def _keep_looking(self) -> None:
        """What anybody sees from outside, on a connection that was open in time."""
        async with connection(self._server.port, "observer") as opened:
            while True:
                await self._look(opened)
                if self._keep or self.code == STOPPED:
                    self._terminal.progress(self._progress(), asyncio.get_running_loop().time())
                await asyncio.sleep(LOOK_EVERY)

    async def _look(self, opened: Connection) -> None:
        at = asyncio.get_running_loop().time()
        self._queue = await ask(opened, "LLEN", QUEUE)
        self._clients = _number(await ask(opened, "INFO", "clients"), "connected_clients")
        if _number(await ask(opened, "INFO", "stats"), "rejected_connections"):
            self._refused.set()
        else:
            self._nobody_refused = at

    # What is told

    def _introduce(self) -> None:
        self._terminal.say("Sentinel demo: a connection leak, noticed in time", style="bold")
        self._terminal.say(
            f"A small server of its own, with room for {CEILING} clients, lives the ordinary life of a shop: four "
            "services, six workers on a queue, cron jobs. The real daemon watches it and tells a webhook receiver. "
            f"What it waits for in minutes passes {TIME_SCALE} times faster here; all ends by itself in less than 90 s."
        )
        self._terminal.say()

    async def _keep_announcing(self, receiver: Receiver) -> None:
        """The alert in full, as its readers get it; whatever else arrives in one line."""
        number = 0
        while True:
            arrival = await receiver.nth(number)
            number += 1
            if self._alert is None and self._is_the_alert(arrival):
                self._alert = arrival
                self._tell("THE ALERT. This is what the receiver was told:", "red")
                self._terminal.quote(plain(story(arrival)), "red")
                self._tell("Nobody reacts, so as to see how much time there was.")
            else:
                colour = "green" if arrival.kind == "resolved" else "yellow"
                self._tell("Told: " + plain(story(arrival)).split("\n")[0], colour)

    def _is_the_alert(self, arrival: Arrival) -> bool:
        since = self._leaking_since
        in_time = since is not None and arrival.at >= since
        return in_time and arrival.kind == "opened" and arrival.incident["cause"] in CAUSES

    def _offer(self, daemon: Daemon) -> None:
        self._terminal.say(
            f"Everything but the leak goes on until Ctrl-C. Look at redis-cli -p {self._server.port} and at "
            f"{daemon.pages}/metrics."
        )

    def _tell(self, text: str, style: str = "") -> None:
        self._terminal.say(text, first=f"{self._stamp()}  ", style=style)

    def _stamp(self) -> str:
        minutes, seconds = divmod(int(asyncio.get_running_loop().time() - self._begun), 60)
        return f"{minutes}:{seconds:02d}"

    def _progress(self) -> str:
        taken = min(16, round(16 * self._clients / CEILING))
        bar = "#" * taken + "-" * (16 - taken)
        jobs = "1 job" if self._queue == 1 else f"{self._queue} jobs"
        return f"{self._stamp()}  [{bar}] {self._clients} of {CEILING} clients · {jobs} queued · {self._eta()}"

    def _eta(self) -> str:
        if self._refused.is_set():
            return "leak closed" if self._leak_closed else "full"
        if self._alert is None:
            return "no alert"
        if self._alert.left is None:
            return "alert, no ETA"
        gone = asyncio.get_running_loop().time() - self._alert.at
        earliest, latest = (None if left is None else max(0, round(left - gone)) for left in self._alert.left)
        if latest is None:
            return f"full in {earliest} s or later"
        return f"full in {earliest}–{latest} s" if latest != earliest else f"full in {earliest} s"


def _number(info: bytes, name: str) -> int:
    """A field of INFO's answer.

    >>> _number(b"# Clients\\r\\nconnected_clients:12\\r\\n", "connected_clients")
    12
    """
    fields = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    return int(fields[name])
