"""What a service manager hears, on real datagram sockets."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from sentinel.systemd import ServiceManager


@pytest.fixture
def manager(tmp_path: Path) -> socket.socket:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


MESSAGES: list[tuple[Callable[[ServiceManager], bool], bytes]] = [
    (lambda one: one.ready(), b"READY=1"),
    (lambda one: one.ready("Watching 3 targets"), b"READY=1\nSTATUS=Watching 3 targets"),
    (lambda one: one.reloading(12.5), b"RELOADING=1\nMONOTONIC_USEC=12500000"),
    (lambda one: one.stopping(within=10), b"STOPPING=1\nEXTEND_TIMEOUT_USEC=10000000"),
    (lambda one: one.alive(), b"WATCHDOG=1"),
    (lambda one: one.status("2 incidents\nREADY=1"), b"STATUS=2 incidents READY=1"),
]


@pytest.mark.parametrize(("tell", "heard"), MESSAGES)
def test_the_manager_hears_the_words_of_the_protocol(
    manager: socket.socket, tell: Callable[[ServiceManager], bool], heard: bytes
) -> None:
    assert tell(ServiceManager({"NOTIFY_SOCKET": manager.getsockname()}))
    assert manager.recv(1024) == heard


def test_an_abstract_socket_is_reached() -> None:
    name = f"sentinel-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        assert ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert listening.recv(1024) == b"READY=1"


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "/nowhere/notify"])
def test_without_a_manager_nothing_is_said_and_nothing_breaks(address: str) -> None:
    assert not ServiceManager({"NOTIFY_SOCKET": address}).ready()


def test_a_manager_that_does_not_read_is_not_waited_for(manager: socket.socket) -> None:
    one = ServiceManager({"NOTIFY_SOCKET": manager.getsockname()})
    assert not all(one.alive() for _ in range(100_000))


WATCHDOGS = [
    ({"WATCHDOG_USEC": "30000000"}, 15.0),
    ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
    ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
    ({"WATCHDOG_USEC": "0"}, None),
    ({"WATCHDOG_USEC": "soon"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("environ", "interval"), WATCHDOGS)
def test_signs_of_life_come_twice_as_often_as_asked_by_the_manager(
    environ: dict[str, str], interval: float | None
) -> None:
    assert ServiceManager(environ).watchdog_interval == interval
