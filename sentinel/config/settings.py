"""What the daemon needs to know, as frozen values.

Knows no YAML. Each room's own settings are defined in that room; here are only those that belong to none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sentinel.delivery import DeliverySettings
from sentinel.model import Secret
from sentinel.notifiers.base import Notifier
from sentinel.pipeline.settings import PipelineSettings
from sentinel.samplers.pushed import PushedHeartbeat
from sentinel.samplers.target import TargetSettings
from sentinel.switches import Switch
from sentinel.tape import TapeSettings

__all__ = ["LogSettings", "Overrides", "Settings", "WebSettings"]


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where `/metrics`, `/healthz` and `/readyz` are served."""

    listen: str = "127.0.0.1:9750"
    """`host:port`, or `off`. Whoever reaches it may read; beyond loopback only the `token` lets change something."""
    token: Secret | None = None
    """What must be sent as `Authorization: Bearer …` to change something: acknowledge, silence, mark a deploy."""
    hosts: tuple[str, ...] = ()
    """Names under which a listener on loopback may be asked, beside `localhost` and addresses."""
    url: str = ""
    """Under which people reach it, such as https://sentinel.example.com: drafts of status pages are then told with a
    signed link that answers them."""

    def __post_init__(self) -> None:
        host, _, port = self.listen.rpartition(":")
        if self.listen != "off" and not (host and port.isdecimal() and int(port) < 65536):
            raise ValueError(f"listen must be host:port, such as 127.0.0.1:9750, or off, got {self.listen!r}")
        if self.url and not self.url.startswith(("https://", "http://")):
            raise ValueError(f"url must begin with https://, or be left out, got {self.url!r}")

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port, or None if nothing is served.

        >>> WebSettings("[::1]:80").address
        ('::1', 80)
        """
        host, _, port = self.listen.rpartition(":")
        return None if self.listen == "off" else (host.strip("[]"), int(port))


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How the daemon says what it does, on standard error."""

    format: Literal["human", "json"] = "human"
    level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that `sentinel run` was told."""

    pipeline: PipelineSettings
    targets: tuple[TargetSettings, ...]
    notifiers: Mapping[str, Notifier]
    """By destination name, `receiver/kind`."""
    delivery: DeliverySettings
    http: WebSettings
    log: LogSettings
    state_dir: Path
    tape: TapeSettings = field(default_factory=TapeSettings)
    time_scale: float = 1.0
    pushed_heartbeats: tuple[PushedHeartbeat, ...] = ()
    switches: Mapping[str, Switch] = field(default_factory=dict)
    """Dead man's switches, by name."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says; it is read as a file would be, and wins over one."""

    urls: tuple[str, ...] = field(default=(), repr=False)
    """Targets to add; one whose name the file has already only gets the URL."""
    webhooks: tuple[str, ...] = field(default=(), repr=False)
    slacks: tuple[str, ...] = field(default=(), repr=False)
    pagerduty_keys: tuple[str, ...] = field(default=(), repr=False)
    interval: str | float | None = None
    """For every target."""
    time_scale: str | float | None = None
    instance_id: str | None = None
    state_dir: str | None = None
    """Relative to where the command is run."""
    listen: str | None = None
    log_format: str | None = None
    log_level: str | None = None
