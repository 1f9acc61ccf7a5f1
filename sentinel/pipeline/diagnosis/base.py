"""What a cause is, and the view of a target by which causes judge.

A cause concludes one thing that can be wrong with one target from all that is known of it at one time. It holds
its settings as fields and its memory as `field(init=False)`; one instance serves one target. It must not know
other causes: what was found before it in the same poll is in `view.found` by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from sentinel.model import Finding, Labels, Seconds
from sentinel.pipeline.diagnosis.words import queue_called
from sentinel.pipeline.series import SeriesStore, Track, Window

__all__ = ["Cause", "View"]

Made = TypeVar("Made")


class Cause(Protocol):
    """One thing that can be wrong. A dataclass in a file of its own, one line in `BY_NAME`."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    """Metrics that must be part of the poll; without them the cause is not judged, and what is open stays."""
    windows: ClassVar[tuple[str, ...]]
    """Metrics of which it looks at more than the newest value."""

    def judge(self, view: View) -> Iterable[Finding]:
        """What fires now. Called once a poll, in the order of time; silence on a subject means that it is well."""


@dataclass(slots=True)
class View:
    """One target at one time: fresh values, windows, and what has been found in this poll so far."""

    target: str
    now: float
    store: SeriesStore
    steady_since: float
    """Since when the target has answered every poll without a restart."""
    blind_since: float | None = None
    """Since when it has not been readable; None while it is."""
    blind_reason: str = ""
    found: dict[str, list[Finding]] = field(default_factory=dict)
    _made: dict[Callable[[View], Any], Any] = field(default_factory=dict)

    def once(self, make: Callable[[View], Made]) -> Made:
        """What several causes need of this poll: made for the first that asks, and not to be changed by any."""
        if make not in self._made:
            self._made[make] = make(self)
        made: Made = self._made[make]
        return made

    def value(self, metric: str, labels: Labels = ()) -> float | None:
        """Newest value (a counter's rate per second) if it is part of this poll."""
        track = self.store.one(metric, labels)
        return track.value if track is not None and track.time == self.now else None

    def each(self, metric: str) -> Iterator[Track]:
        """Series of a metric that are part of this poll."""
        return self.store.each(metric) if self.store.newest(metric) == self.now else iter(())

    def known(self, metric: str, within: Seconds) -> Iterator[Track]:
        """Series of a metric's newest reading, if it is not older than that."""
        newest = self.store.newest(metric)
        return self.store.each(metric) if newest is not None and self.now - newest <= within else iter(())

    def window(self, metric: str, seconds: Seconds, labels: Labels = ()) -> Window:
        """Times and values of the last `seconds`, oldest first."""
        return self._track(metric, labels).window(self.now - seconds)

    def last(self, metric: str, count: int, labels: Labels = ()) -> list[float]:
        """The newest `count` values, oldest first."""
        return self._track(metric, labels).last(count)

    def _track(self, metric: str, labels: Labels) -> Track:
        return self.store.one(metric, labels) or Track(labels, windowed=False)

    @property
    def ceiling(self) -> float | None:
        """How many clients the server lets in besides what else counts against `maxclients`.

        INFO's `connected_clients` leaves out replicas, while the server's check counts them and the cluster links;
        Valkey's reserved slots are kept from ordinary clients. Source: reference/incidents.md 1.5.
        """
        limit = self.value("redis_max_clients")
        if not limit:
            return None
        taken = ("redis_connected_replicas", "redis_cluster_links", "redis_reserved_clients")
        return max(0.0, limit - sum(self.value(metric) or 0.0 for metric in taken))

    @property
    def affected(self) -> tuple[str, ...]:
        """Queues and worker groups that live on this server."""
        tracks = self.store.each("queue_depth")
        queues = sorted({queue_called(track.label("queue"), track.label("system")) for track in tracks})
        groups = sorted({track.label("group") for track in self.store.each("heartbeat_age_seconds")})
        return tuple([f"queue {name}" for name in queues] + [f"workers {name}" for name in groups])
