"""The words that all rooms share: Series, Sample, Poll, Finding, Incident, Notification, Severity, Secret.

Frozen values, no behaviour beyond naming things. Knows nothing of where they come from or go to; reads no
clock. Times are Unix seconds, values are in base units (seconds, bytes, ratios 0-1).
"""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from detectors.base import Seconds

__all__ = [
    "ComponentStatus",
    "Course",
    "Culprit",
    "Eta",
    "Event",
    "Evidence",
    "Finding",
    "Incident",
    "IncidentState",
    "Labels",
    "Notification",
    "Poll",
    "PublicUpdate",
    "Reason",
    "Recording",
    "Sample",
    "Seconds",
    "Secret",
    "Sent",
    "Series",
    "Severity",
    "Stage",
    "Told",
    "fingerprint",
    "labels",
    "ulid",
]

Labels = tuple[tuple[str, str], ...]
"""Label pairs, sorted by name."""


def labels(**pairs: str) -> Labels:
    """Label pairs in their one order.

    >>> labels(queue="encode", kind="list")
    (('kind', 'list'), ('queue', 'encode'))
    """
    return tuple(sorted(pairs.items()))


class Series(NamedTuple):
    """Identity of a stream of values within one target, as in Prometheus. The target is the poll's."""

    metric: str
    labels: Labels = ()


class Sample(NamedTuple):
    """One value of one series at one time.

    `exemplar` is OpenMetrics' word: a few labels that show one case, such as a client's name, addr and cmd.
    """

    series: Series
    time: float
    value: float
    exemplar: Labels | None = None


class Poll(NamedTuple):
    """All samples of one target at one time: numbers that belong together."""

    target: str
    time: float
    samples: tuple[Sample, ...]


class Severity(enum.IntEnum):
    """How bad, in order. Info is never a page; critical wakes someone."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


class Secret:
    """A string that never shows itself: not in repr, str, logs, errors or pickles of settings.

    >>> Secret("hunter2")
    Secret('****')
    >>> Secret("hunter2").reveal()
    'hunter2'
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The string itself; call it where it is sent and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('****')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One number that a test compared, so that a user can argue with it.

    `expected` says in words what would have been ordinary ("flat", "below 0.8", "40 to 60").
    """

    name: str
    value: float
    unit: str = ""
    expected: str = ""


@dataclass(frozen=True, slots=True)
class Eta:
    """When a wall is reached, as a range of Unix seconds. `latest` is None where the trend may also end."""

    earliest: float
    latest: float | None
    wall: str
    """What is reached: "10,000 clients", "maxmemory"."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """Who does it: the client group, queue or worker set that explains the trend."""

    name: str
    share: float | None = None
    """Part of the growth that it explains, 0-1; None where that cannot be said."""
    detail: str = ""
    """What distinguishes it: address block, last command, library."""
    examples: tuple[Labels, ...] = ()
    """Rows frozen at first suspicion, before a restart takes them away."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a watch or a cause concludes from the samples of one target at one time."""

    target: str
    source: str
    """Name of the cause or of the rule."""
    kind: Literal["cause", "rule"]
    severity: Severity
    time: float
    firing: bool
    summary: str
    """One sentence with numbers, for a reader woken by it."""
    subject: str = ""
    """What within the target (a queue, a worker group); empty for the server as a whole."""
    value: float | None = None
    score: float | None = None
    threshold: float | None = None
    evidence: tuple[Evidence, ...] = ()
    eta: Eta | None = None
    culprit: Culprit | None = None
    first_action: str = ""
    ruled_out: tuple[str, ...] = ()
    """Look-alikes that it is not, each with the reason: "not a deploy: nothing closed in 25 min"."""
    affected: tuple[str, ...] = ()
    """Queues and worker groups that live there and will suffer."""
    since: float | None = None
    """When the trouble itself began, if that can be said; not when it was noticed."""


class IncidentState(enum.StrEnum):
    """Where an incident is in its life."""

    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Incident:
    """One cause on one subject of one target, from opening to resolution."""

    id: str
    """ULID, made from the opening time and the dedup key, so that a replay makes the same."""
    dedup_key: str
    """Names the condition, not the occurrence: survives restarts and loss of the database."""
    target: str
    cause: str
    subject: str
    severity: Severity
    state: IncidentState
    opened: float
    updated: float
    finding: Finding
    """The newest finding; while resolved, the last that fired."""
    resolved: float | None = None
    occurrences: int = 1
    """How often it has come back without having been told as resolved."""
    sequence: int = 0
    """Rises with each change that is told, so that a receiver can drop an older one."""
    flapping: bool = False
    """It comes and goes so often that it stays open until it has been quiet for long."""
    acknowledged: float | None = None
    """When somebody said that it is in hand; None if nobody did, or if it grew worse since."""
    acknowledged_by: str = ""
    resolved_by: str = ""
    """Who said that it is over; empty where the readings did."""
    context: tuple[str, ...] = ()
    """What else a reader should know, a sentence each: a deploy, a silence that ended."""

    @property
    def ref(self) -> str:
        """Short human reference: the last six characters of the id."""
        return "SNT-" + self.id[-6:]

    @property
    def urgency(self) -> tuple[float, float, float, str]:
        """Sorts the worst first, of several as bad what leaves least time; what names no end comes after what does."""
        eta = self.finding.eta
        return -self.severity, eta.earliest if eta else float("inf"), self.opened, self.id


class Reason(enum.StrEnum):
    """Why a notification is sent."""

    OPENED = "opened"
    ESCALATED = "escalated"
    UPDATED = "updated"
    ACKNOWLEDGED = "acknowledged"
    REPEATED = "repeated"
    RESOLVED = "resolved"
    DEPLOYED = "deployed"
    """A deploy was marked: an incident of its own sort, for destinations that keep changes beside alerts."""
    DIGEST = "digest"
    """What would have been told but for shadow mode: an incident of its own sort, never resolved."""


class Stage(enum.StrEnum):
    """Where a public incident is; `identified` is left to people."""

    INVESTIGATING = "investigating"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


class ComponentStatus(enum.IntEnum):
    """What customers notice of a component, in order of how bad it is."""

    OPERATIONAL = 0
    DEGRADED = 1
    PARTIAL = 2
    MAJOR = 3


@dataclass(frozen=True, slots=True)
class PublicUpdate:
    """What a status page is told, in words for customers: nothing else of an incident may reach one.

    Source: reference/delivery.md 5, the neutral model.
    """

    stage: Stage
    title: str
    message: str
    components: tuple[tuple[str, ComponentStatus], ...]
    """By the page's own ids, or whatever the page knows its components by."""
    started: float
    notify: bool = False
    """Whether subscribers get a mail."""
    draft: bool = False
    """Keep it from the public, on pages that can."""
    components_only: bool = False
    """Change the components and make no incident."""


class Course(NamedTuple):
    """What a metric did over a while, thinned to what a line of a message can show."""

    metric: str
    since: float
    values: tuple[float, ...]
    """Oldest first, evenly spread; a counter as its rate per second."""


@dataclass(frozen=True, slots=True)
class Notification:
    """Something that one destination of one receiver is to be told."""

    receiver: str
    destination: str
    """`receiver/kind`, the name under which delivery knows it."""
    reason: Reason
    incident: Incident
    time: float
    event_id: str
    """`msg_` and a ULID: the same on every try, so that a receiver can drop a copy."""
    previous_severity: Severity | None = field(default=None)
    related: tuple[Incident, ...] = ()
    """Others of the same target that are told by this message and by none of their own."""
    public: PublicUpdate | None = None
    """For status pages: all that they are told."""
    course: Course | None = None
    """What the metric behind the incident did up to now."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a destination was told last of an incident: routing's memory, kept by the store."""

    incident: str
    destination: str
    reason: Reason
    severity: Severity
    time: float
    first: float
    """When it was told first."""
    aloud: float
    """When it last was a message of its own to look at: opened, escalated, repeated."""
    repeats: int = 0
    acknowledged: bool = False
    """Whether it was told that somebody has it in hand."""
    via: str = ""
    """The incident in whose messages this one is told; empty if it has its own."""
    shadow: bool = False
    """It would have been told, but for shadow mode."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of an incident's history, or of what people did: who, what, when."""

    time: float
    kind: str
    """A word: opened, escalated, told, held, acknowledged, silenced …"""
    incident: str = ""
    """Its id; empty for what concerns no single incident."""
    by: str = ""
    """The person; empty for Sentinel itself."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """What an incident's metrics did before, during and after it, thinned; and the first finding as it was then."""

    incident: str
    first: Finding
    series: tuple[tuple[Series, tuple[tuple[float, float], ...]], ...] = ()
    """Pairs of time and value, oldest first; a counter as its rate per second."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one notification."""

    destination: str
    reason: str
    created: float
    state: str
    """pending, sending, delivered, superseded, dead or expired."""
    settled: float | None
    attempts: int
    error: str


def fingerprint(cause: str, target: str, subject: str) -> str:
    """Identity of a condition: 32 hex digits of SHA-256 over its canonical JSON. Refuses empty parts.

    Source: reference/delivery.md section 2. Severity, value and wording are not part of it.

    >>> fingerprint("leak", "redis-a", "")
    '0f897f2000385467e80582d8abcfb122'
    """
    if not cause or not target:
        raise ValueError(f"a fingerprint needs a cause and a target, got {cause!r} and {target!r}")
    canonical = json.dumps({"cause": cause, "subject": subject, "target": target}, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(time: float, seed: str) -> str:
    """A ULID whose 80 random bits are a hash of `seed`: sortable by time, the same in a replay.

    Source: the ULID specification (github.com/ulid/spec), Crockford's base 32, 26 characters.

    >>> ulid(1764000000.0, "x")[:10]
    '01KAV9FT00'
    """
    milliseconds = int(time * 1000) & ((1 << 48) - 1)
    digest = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:10])
    number = (milliseconds << 80) | digest
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
