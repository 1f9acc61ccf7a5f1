"""Status pages: what customers are told, by one file a vendor.

A page is a notifier that is told public updates alone. Whether and when there is one is decided by the gates in
`sentinel.pipeline.publishing`; which words it has, by its templates.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from sentinel.statuspages.better_stack import BetterStack
from sentinel.statuspages.cachet import Cachet
from sentinel.statuspages.cachet2 import Cachet2
from sentinel.statuspages.github import CState, Upptime
from sentinel.statuspages.incident_io import IncidentIo
from sentinel.statuspages.instatus import Instatus
from sentinel.statuspages.oneuptime import OneUptime
from sentinel.statuspages.push import Gatus, UptimeKuma
from sentinel.statuspages.statuspage import Statuspage

__all__ = ["BY_NAME"]

BY_NAME: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {
        page.kind: page
        for page in (
            Statuspage,
            Instatus,
            BetterStack,
            IncidentIo,
            Cachet,
            Cachet2,
            OneUptime,
            CState,
            Upptime,
            UptimeKuma,
            Gatus,
        )
    }
)
"""The pages by the `kind` that picks them in YAML."""
