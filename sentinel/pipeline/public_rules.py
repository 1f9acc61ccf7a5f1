"""Which trouble may be public, behind which gates, and in which words: what an operator configures of a status page.

Knows templates and what in a text would give a secret or a host away. Does not know what is public now
(`pipeline.publishing`).

Source: reference/delivery.md section 8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal

from sentinel.model import ComponentStatus, Seconds, Severity

__all__ = ["STATUSES", "VARIABLES", "Gates", "Mode", "PublicPage", "PublicRule", "refusal"]

VARIABLES: Final = ("component", "started_at", "stage", "ref")
"""All that a template may name."""

_PRIVATE = (
    ("an address", re.compile(r"\b\d{1,3}(\.\d{1,3}){3}\b|\b[0-9a-f]{1,4}(:[0-9a-f]{0,4}){3,}", re.IGNORECASE)),
    ("a URL of a server", re.compile(r"\b(rediss?|valkeys?|unix|amqps?|postgres(ql)?|mysql)://", re.IGNORECASE)),
    ("an internal name", re.compile(r"\.(internal|local|lan|corp|svc|cluster|home)\b", re.IGNORECASE)),
    ("a host name", re.compile(r"\b[a-z][a-z0-9-]*-\d+\b|\b[a-z][\w.-]*:\d+\b|\blocalhost\b", re.IGNORECASE)),
    ("a secret", re.compile(r"\b(password|passwd|secret|token|api[_-]?key)\b\s*[:=]", re.IGNORECASE)),
)
"""What must not be public, whoever wrote it. The reference (SNT-…) is taken out before they look."""

_TEXTS: Final = ("investigating", "ongoing", "monitoring", "resolved")
_WORD = re.compile(r"\{([^{}]*)\}")

Status = Literal["degraded", "partial", "major"]
STATUSES: Final[Mapping[str, ComponentStatus]] = {
    "degraded": ComponentStatus.DEGRADED,
    "partial": ComponentStatus.PARTIAL,
    "major": ComponentStatus.MAJOR,
}


@dataclass(frozen=True)
class PublicRule:
    """Which trouble customers notice in one component, and in which words."""

    component: str
    """The page's id of it."""
    name: str
    """As customers know it, for `{component}`."""
    causes: tuple[str, ...]
    targets: tuple[str, ...] = ()
    """Names or patterns; none: all."""
    status: Status = "degraded"
    quorum: int = 2
    """Different causes, or targets, that must say so together."""
    title: str = "Delays in {component}"
    investigating: str = "{component} may be slower than usual. We are looking into it."
    ongoing: str = "We are still working on the delays in {component}. They began at {started_at}."
    monitoring: str = "{component} is back to normal. We are watching it."
    resolved: str = "The delays in {component} that began at {started_at} are over."

    def __post_init__(self) -> None:
        if not self.component or not self.name:
            raise ValueError("`component` (the page's id) and `name` (as customers know it) must not be empty")
        if not self.causes:
            raise ValueError("`causes` must name what customers notice, such as [stall, refused]")
        if self.quorum < 1:
            raise ValueError(f"`quorum` must be at least 1, got {self.quorum}")
        for template in ("title", *_TEXTS):
            text: str = getattr(self, template)
            for name in _WORD.findall(text):
                if name not in VARIABLES:
                    raise ValueError(f"`{template}` names {{{name}}}; a public text may only name {_listed(VARIABLES)}")
            if (why := refusal(text)) is not None:
                raise ValueError(f"`{template}` holds {why}, which must not be public")

    def concerns(self, target: str) -> bool:
        """Whether a target's trouble may be public by it."""
        return not self.targets or any(fnmatchcase(target, pattern) for pattern in self.targets)

    def filled(self, template: str, values: Mapping[str, str]) -> str:
        """A text of it with a value for each of `VARIABLES`."""
        return _WORD.sub(lambda found: values[found[1]], template)

    def wrote(self, text: str) -> bool:
        """Whether a text is an update of ours, made at any time."""
        return any(self._pattern(getattr(self, name)).fullmatch(text) for name in _TEXTS)

    def _pattern(self, template: str) -> re.Pattern[str]:
        parts = _WORD.split(template)  # text and names, by turns
        texts = [re.escape(part) if number % 2 == 0 else self._any(part) for number, part in enumerate(parts)]
        return re.compile("".join(texts).strip(), re.DOTALL)

    def _any(self, name: str) -> str:
        return re.escape(self.name) if name == "component" else ".{1,40}"


@dataclass(frozen=True)
class Gates:
    """What must hold before something is public by itself, and how it ends."""

    min_severity: Severity = Severity.CRITICAL
    firing_for: Seconds = 300.0
    """Without interruption."""
    stable_for: Seconds = 600.0
    """How long it must stay clear until it is called resolved."""
    reopen_window: Seconds = 1800.0
    """What comes back within this time after its end does so without a mail."""
    per_hour: int = 2
    """Incidents a page and hour; what is beyond is drafted."""
    quiet_for: Seconds = 900.0
    """No mails to subscribers before an incident is this old, unless somebody approved it."""
    mail_every: Seconds = 1800.0
    update_every: Seconds = 1800.0
    """While it lasts; 0 for never."""
    draft_ttl: Seconds = 1800.0
    """A draft that nobody answered is dropped."""


Mode = Literal["off", "draft", "component_only", "auto"]


@dataclass(frozen=True)
class PublicPage:
    """What publishing needs to know of a status page."""

    destination: str
    mode: Mode
    rules: tuple[PublicRule, ...]
    gates: Gates = field(default_factory=Gates)
    drafts: bool = False
    """Whether the page itself keeps drafts from the public."""


def refusal(text: str) -> str | None:
    """What in a text must not be public; None if nothing is found.

    >>> refusal("Delays in uploads. We are looking into it.")
    >>> refusal("redis-a:6379 refuses"), refusal("see db.eu.internal"), refusal("10.4.7.9 is full")
    ('a host name', 'an internal name', 'an address')
    """
    text = re.sub(r"\bSNT-[0-9A-Z]{6}\b", "", text)
    return next((what for what, pattern in _PRIVATE if pattern.search(text)), None)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
