"""The shape of a configuration file: its keys and their types, from the dataclasses of every room.

Knows all families of plug-ins by their tables; reads nothing and judges nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, core_schema

import detectors
from detectors import Detector
from sentinel.config.scale import factory
from sentinel.config.settings import LogSettings, WebSettings
from sentinel.config.shapes import Family, Shapes
from sentinel.delivery import DeliverySettings
from sentinel.notifiers import BY_NAME as NOTIFIERS
from sentinel.notifiers.base import Notifier
from sentinel.notifiers.voice import Links
from sentinel.pipeline import default_rules
from sentinel.pipeline.diagnosis import BY_NAME as CAUSES
from sentinel.pipeline.settings import (
    DeploySettings,
    DigestSettings,
    IncidentSettings,
    Inhibition,
    MaintenanceWindow,
    PipelineSettings,
    Route,
    Rule,
)
from sentinel.samplers.heartbeats import BY_NAME as HEARTBEATS
from sentinel.samplers.heartbeats import Heartbeat
from sentinel.samplers.pushed import PushedHeartbeat
from sentinel.samplers.queues import BY_NAME as QUEUES
from sentinel.samplers.queues import Queue
from sentinel.samplers.target import TargetSettings
from sentinel.statuspages import BY_NAME as STATUS_PAGES
from sentinel.statuspages.base import StatusPage
from sentinel.switches import BY_NAME as SWITCHES
from sentinel.switches import Switch
from sentinel.tape import TapeSettings

__all__ = ["CAUSES", "KINDS", "NOTIFIERS", "OFF", "File", "default_rules", "shape"]

OFF = "off"
DETECTORS: Mapping[str, type] = {**detectors.BY_NAME, "rs_hash": detectors.RsHash}
"""Those of one value, and the one that looks at several metrics at once."""
KINDS: Mapping[type, str] = {
    member: kind for family in (DETECTORS, QUEUES, HEARTBEATS) for kind, member in family.items()
}
"""What `kind` a plug-in's class has in YAML."""


class _OrOff:
    """A type that `off` may stand in place of."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any, inner: Callable[[Any], Any]) -> Any:
            return OFF if value == OFF else inner(value)

        return core_schema.no_info_wrap_validator_function(read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"const": OFF}, handler(schema)]}


Causes = dataclasses.make_dataclass(
    "Causes",
    [(name, Annotated[cause, _OrOff()], field(default_factory=cause)) for name, cause in CAUSES.items()],
    frozen=True,
)


@dataclass(frozen=True)
class File:
    """Configuration of the Sentinel daemon. Every key but `targets` may be left out."""

    instance_id: str = "sentinel"
    """Part of every incident's key, so that two daemons do not close each other's alerts."""
    state_dir: Path | None = None
    """Where incidents and undelivered notifications survive a restart; null for the place of the system."""
    time_scale: float = 1.0
    """For drills: every duration of rules, causes, incidents and routes passes this many times faster."""
    http: WebSettings = field(default_factory=WebSettings)
    log: LogSettings = field(default_factory=LogSettings)
    targets: tuple[TargetSettings, ...] = ()
    """Servers to watch."""
    pushed_heartbeats: tuple[PushedHeartbeat, ...] = ()
    """Jobs and workers that tell of themselves over HTTP."""
    receivers: Mapping[str, tuple[Notifier, ...]] = field(default_factory=dict)
    """Who can be told, by name, each with the destinations where they are told."""
    routes: tuple[Route, ...] = ()
    """Who hears of what; if there are none, every receiver hears of everything."""
    shadow: bool = False
    """Tell nobody of anything; a daily digest says what would have been told."""
    digest: DigestSettings = field(default_factory=DigestSettings)
    never_page: tuple[str, ...] = PipelineSettings().never_page
    """Causes that wake nobody, however bad, unless a route names them."""
    inhibitions: tuple[Inhibition, ...] = PipelineSettings().inhibitions
    """What follows from what, and is not told while that is open. What is given here replaces the default."""
    maintenance: tuple[MaintenanceWindow, ...] = ()
    """Times at which work is expected."""
    deploys: DeploySettings = field(default_factory=DeploySettings)
    status_pages: Mapping[str, StatusPage] = field(default_factory=dict)
    """Pages for customers, by name; nothing is public unless a rule of a page says so."""
    dead_mans_switches: Mapping[str, Switch] = field(default_factory=dict)
    """Who is told again and again that all works, and misses it if it ends; by name."""
    links: Links = field(default_factory=Links)
    """Where readers of messages find more; each destination may have its own instead."""
    fingerprints: Path | None = None
    """More known leaks, in a file of their own, beside those that come with Sentinel."""
    rules: tuple[Rule, ...] = field(default_factory=default_rules)
    """Detectors on single metrics. What is given here replaces the rules that are there by default."""
    causes: Causes = field(default_factory=Causes)  # type: ignore[valid-type]
    """Settings of the causes; each can be switched off with `off`."""
    incidents: IncidentSettings = field(default_factory=IncidentSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    tape: TapeSettings = field(default_factory=TapeSettings)

    def __post_init__(self) -> None:
        if not self.instance_id:
            raise ValueError("instance_id must not be empty")
        if self.status_pages and "page" in self.receivers:
            raise ValueError("receivers must not have one that is called `page`: status pages are told under that name")
        if not self.time_scale > 0:
            raise ValueError(f"time_scale must be above 0, got {self.time_scale}")


@cache
def shape() -> TypeAdapter[File]:
    """What reads a file's values, and knows their schema."""
    families = {
        Notifier: Family(NOTIFIERS),
        StatusPage: Family(STATUS_PAGES),
        Switch: Family(SWITCHES),
        Queue: Family(QUEUES),
        Heartbeat: Family(HEARTBEATS),
        Callable[[], Detector]: Family(DETECTORS, finish=factory),
        Detector: Family({kind: one for kind, one in detectors.BY_NAME.items() if one is not detectors.Ensemble}),
    }
    return TypeAdapter(Shapes(families).of(File))
