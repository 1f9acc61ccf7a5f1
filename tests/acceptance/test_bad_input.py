"""What goes wrong around the daemon: each is a clear line in the log, a metric, and a daemon that goes on."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sentinel.drill.leak import Leak
from sentinel.embedded import EmbeddedServer, free_port
from tests.acceptance.daemons import Running, holds, sentinel
from tests.notifiers.fakes import Fake, serving
from tests.servers import REDIS, client, frozen, server

pytestmark = [
    pytest.mark.slow,  # a process each: two seconds on an idle machine
    pytest.mark.skipif(REDIS is None, reason="there is no redis-server: apt-get install redis-server"),
]

SOON = ("--interval", "0.2")
QUICK = (*SOON, "--time-scale", "60")
"""A look every 0.2 s, and what is waited for in minutes passes in seconds."""


@pytest.fixture
def redis() -> Iterator[EmbeddedServer]:
    with server(binary=REDIS) as running:
        yield running


async def goes_on(daemon: Running) -> None:
    """It still polls."""
    before = await daemon.metric("sentinel_poll_seconds_count") or 0
    await daemon.shows(lambda polls: polls > before, "sentinel_poll_seconds_count")


# Servers


async def test_a_wrong_password_is_told_without_it_and_the_watching_goes_on(tmp_path: Path) -> None:
    with server("--requirepass", "sesame", binary=REDIS) as locked:
        async with sentinel(tmp_path, f"redis://:wr0ng-one@127.0.0.1:{locked.port}", *SOON) as daemon:
            await daemon.says("info", f"redis://127.0.0.1:{locked.port}: wrong user name or password")
            assert "wr0ng-one" not in daemon.log
            await daemon.shows(bool, "sentinel_polls_total", outcome="auth")
            with client(locked, password="sesame") as admin:
                admin.config_set("requirepass", "wr0ng-one")
            await daemon.says("info", "works again")


async def test_a_missing_permission_names_the_command_and_the_line_that_grants_it(
    redis: EmbeddedServer, tmp_path: Path
) -> None:
    with client(redis) as admin:
        admin.execute_command("ACL", "SETUSER", "watcher", "on", ">pw", "+ping", "+client|setname", "+client|id")
        async with sentinel(tmp_path, f"redis://watcher:pw@127.0.0.1:{redis.port}", *SOON) as daemon:
            line = await daemon.says("info", "INFO: not permitted")
            await daemon.shows(bool, "sentinel_polls_total", outcome="noperm")
            granting = line.partition("allow it with: ")[2].rstrip('"').encode().decode("unicode_escape")
            assert granting.startswith("ACL SETUSER watcher ")
            admin.execute_command(*granting.replace(">PASSWORD", ">pw").split(" "))
            await daemon.says("info", "works again")


async def test_what_is_not_redis_is_told_as_such(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as web:
        port = web.sockets[0].getsockname()[1]
        async with sentinel(tmp_path, f"redis://127.0.0.1:{port}", *SOON) as daemon:
            await daemon.says(f"redis://127.0.0.1:{port}: it does not speak Redis' protocol")
            await daemon.shows(bool, "sentinel_polls_total", outcome="not_redis")
            await goes_on(daemon)


async def test_a_server_that_hangs_is_told_and_so_is_its_return(redis: EmbeddedServer, tmp_path: Path) -> None:
    async with sentinel(tmp_path, redis.url, *SOON) as daemon:
        with frozen(redis):
            await daemon.says("no answer in time")
            await daemon.shows(bool, "sentinel_polls_total", outcome="timeout")
            await daemon.shows(bool, "sentinel_polls_skipped_total")
        await daemon.says("info", "works again")
        await daemon.shows(lambda up: up == 1, "sentinel_sampler_up", sampler="info")


async def test_a_restart_and_another_server_in_its_place_are_told(redis: EmbeddedServer, tmp_path: Path) -> None:
    async with sentinel(tmp_path, redis.url, *SOON) as daemon:
        redis.stop()
        await daemon.says("nobody listens there")
        redis.start()
        await daemon.says("it was restarted, or another one took its place")
        await daemon.shows(lambda restarts: restarts == 1, "redis_restarts_total")
        redis.stop()
        with server("--maxclients", "77", binary=REDIS, port=redis.port):
            await daemon.shows(lambda restarts: restarts == 2, "redis_restarts_total")
            await daemon.shows(lambda ceiling: ceiling == 77, "redis_max_clients")


async def test_another_maxclients_is_told_and_counts_at_once(redis: EmbeddedServer, tmp_path: Path) -> None:
    async with sentinel(tmp_path, redis.url, *SOON) as daemon:
        with client(redis) as admin:
            admin.config_set("maxclients", 321)
        await daemon.says("maxclients was", "and is 321")
        await daemon.shows(lambda ceiling: ceiling == 321, "redis_max_clients")


async def test_a_server_that_is_full_from_the_start_is_told_and_watched_as_soon_as_there_is_room(
    tmp_path: Path,
) -> None:
    with server("--maxclients", "20", binary=REDIS) as small:
        async with Leak(small.port, name="greedy", rate=1000.0) as leak:
            await asyncio.wait_for(leak.run(), 10)
            async with sentinel(tmp_path, small.url, *SOON) as daemon:
                await daemon.says("info", "max number of clients reached")
                await daemon.shows(bool, "sentinel_polls_total", outcome="full")
                await leak.close()
                await daemon.says("info", "works again")
                await daemon.shows(lambda seats: seats == 2, "redis_seats")


# Receivers


@asynccontextmanager
async def telling(directory: Path, receiver: Fake) -> AsyncIterator[Running]:
    """A daemon with something to tell within seconds: nobody listens where its server should be."""
    url = f"redis://127.0.0.1:{free_port()}"
    async with sentinel(directory, url, "--webhook", receiver.url, *QUICK) as daemon:
        yield daemon


@pytest.mark.parametrize(
    ("mode", "outcome", "told"),
    [
        ((429, {"Retry-After": "1"}, "slow down"), "throttled", "429"),
        (500, "ambiguous", "500"),
        ("reset", "ambiguous", ""),
    ],
)
async def test_a_webhook_that_fails_for_a_while_is_told_again_with_the_same_id(
    mode: object, outcome: str, told: str, tmp_path: Path
) -> None:
    async with serving(Fake()) as receiver:
        receiver.modes.append(mode)
        async with telling(tmp_path, receiver) as daemon:
            await daemon.says("A notification did not get through", told)
            assert "TOKEN-in-the-path" not in daemon.log
            await daemon.shows(bool, "sentinel_notifications_total", outcome=outcome)
            await holds(lambda: receiver.accepted, 30, "it was not told again")
            await daemon.shows(lambda count: count == 1, "sentinel_notifications_total", outcome="delivered")
            await daemon.says("A destination works again")


async def test_a_webhook_that_redirects_is_not_followed_and_the_reader_is_told_where_to_look(tmp_path: Path) -> None:
    async with serving(Fake()) as receiver:
        receiver.modes.extend([301] * 99)
        async with telling(tmp_path, receiver) as daemon:
            line = await daemon.says("A notification did not get through", "301")
            assert "abcdefgh" not in line
            await daemon.shows(lambda level: level == 2, "sentinel_breaker_state")
            await goes_on(daemon)


async def test_a_webhook_that_hangs_holds_up_neither_the_watching_nor_the_stop(tmp_path: Path) -> None:
    async with serving(Fake()) as receiver:
        receiver.modes.extend(["hang"] * 99)
        async with telling(tmp_path, receiver) as daemon:
            await holds(lambda: receiver.headers, 30, "nothing was sent")
            await daemon.shows(bool, "sentinel_outbox_rows", state="sending")
            await goes_on(daemon)
            started = asyncio.get_running_loop().time()
            assert await daemon.daemon.stopped() == 0
            assert asyncio.get_running_loop().time() - started < 10
            assert "Stopped" in daemon.log


# The disk


async def test_a_full_disk_costs_no_alert_and_is_told(tmp_path: Path) -> None:
    """No file may grow: what a full file system does, without one."""
    async with serving(Fake()) as receiver:
        command = [sys.executable, "-m", "sentinel", "run", f"redis://127.0.0.1:{free_port()}", *QUICK]
        command += ["--webhook", receiver.url, "--state-dir", str(tmp_path / "state"), "--listen", "off"]
        daemon = await asyncio.create_subprocess_exec(
            *command,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        )
        try:
            await holds(lambda: receiver.accepted, 30, "nobody was told")
        finally:
            daemon.terminate()
            _, errors = await daemon.communicate()
    assert b"cannot write state" in errors
    assert daemon.returncode == 0


async def test_a_second_daemon_on_the_same_state_is_refused_with_what_to_do(
    redis: EmbeddedServer, tmp_path: Path
) -> None:
    async with sentinel(tmp_path, redis.url, *SOON) as daemon:
        command = [sys.executable, "-m", "sentinel", "run", redis.url, "--state-dir", str(tmp_path / "state")]
        second = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30)
        assert second.returncode == 1
        assert f"another Sentinel (process {daemon.daemon.pid}) uses" in second.stderr
        assert "set another state directory" in second.stderr
        await goes_on(daemon)


# The configuration


async def test_a_broken_file_at_a_reload_is_told_with_its_line_and_the_old_one_stays(
    redis: EmbeddedServer, tmp_path: Path
) -> None:
    config = tmp_path / "sentinel.yaml"
    good = f"targets:\n  - name: shop\n    url: {redis.url}\n    interval: 0.2s\n"
    config.write_text(good)
    async with sentinel(tmp_path, "-c", str(config)) as daemon:
        with client(redis) as admin:
            seats = sorted(each["id"] for each in admin.client_list() if each["name"].startswith("sentinel"))
            config.write_text(good.replace("interval", "intervall"))
            os.kill(daemon.daemon.pid, signal.SIGHUP)
            await daemon.says("The new configuration cannot be used; the old one stays", "sentinel.yaml:4", "intervall")
            await daemon.shows(bool, "sentinel_config_reloads_total", outcome="refused")
            await goes_on(daemon)
            config.write_text(f"{good}  - url: {redis.url}/1\n")
            os.kill(daemon.daemon.pid, signal.SIGHUP)
            await daemon.says("Reloaded")
            kept = {each["id"] for each in admin.client_list() if each["name"].startswith("sentinel")}
            assert set(seats) <= kept
