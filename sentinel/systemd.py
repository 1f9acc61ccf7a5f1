"""What the service manager is told: ready, reloading, stopping, alive.

Knows systemd's notification protocol and nothing of the daemon; without `NOTIFY_SOCKET` it says nothing to nobody.
Reads no clock.

Source: sd_notify(3) and sd_watchdog_enabled(3) of systemd 255.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from sentinel.model import Seconds

__all__ = ["ServiceManager"]


class ServiceManager:
    """The manager that started this process, if there is one.

    A message that cannot be handed over at once is dropped: the daemon never waits for its manager.

    Args:
        environ: Where `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are found.

    >>> ServiceManager({}).ready()
    False
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_interval = _watchdog_interval(environ)
        """Seconds between calls of `alive`, half of what the manager allows; None if it does not watch."""

    def ready(self, status: str = "") -> bool:
        """Started, or done with a reload."""
        return self._notify(READY="1", STATUS=status)

    def reloading(self, monotonic: float) -> bool:
        """A reload begins; `ready` ends it. `monotonic` is the event loop's time(), in seconds."""
        return self._notify(RELOADING="1", MONOTONIC_USEC=f"{monotonic * 1e6:.0f}")

    def stopping(self, within: Seconds) -> bool:
        """Shutting down, and asking not to be killed for so many seconds more."""
        return self._notify(STOPPING="1", EXTEND_TIMEOUT_USEC=f"{within * 1e6:.0f}")

    def alive(self) -> bool:
        """The watchdog's sign of life."""
        return self._notify(WATCHDOG="1")

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._notify(STATUS=text)

    def _notify(self, **state: str) -> bool:
        """Whether the message was handed over. A leading `@` stands for Linux's abstract sockets."""
        if self._address[:1] not in ("/", "@"):
            return False
        message = "\n".join(f"{key}={' '.join(value.split())}" for key, value in state.items() if value)
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(message.encode(), address)
            except OSError:
                return False
        return True


def _watchdog_interval(environ: Mapping[str, str]) -> Seconds | None:
    """The variables are inherited; `WATCHDOG_PID` says whom they are for."""
    allowed = environ.get("WATCHDOG_USEC", "")
    meant_for = environ.get("WATCHDOG_PID", str(os.getpid()))
    if not allowed.isdecimal() or int(allowed) == 0 or meant_for != str(os.getpid()):
        return None
    return int(allowed) / 1e6 / 2
