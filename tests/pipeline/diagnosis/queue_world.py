"""A queue or fleet that one cause judges, poll by poll. Knows metric names, judges nothing."""

from __future__ import annotations

from typing import Any

from sentinel.model import Finding, Poll, Sample, Series, labels
from sentinel.pipeline.diagnosis import Diagnosis, windows
from sentinel.pipeline.series import SeriesStore

__all__ = ["START", "Judged"]

START = 1764000000.0
INTERVAL = 5.0


class Judged:
    """One cause over one target.

    Args:
        cause: With its settings.
    """

    def __init__(self, cause: Any) -> None:
        self._diagnosis = Diagnosis("main", {cause.name: cause})
        self._store = SeriesStore(windows({cause.name: cause}))
        self.now = START

    def poll(self, *samples: Sample, after: float = INTERVAL) -> Finding | None:
        """What fires `after` seconds later, if one does; at most one subject is expected."""
        self.now += after
        stamped = tuple(sample._replace(time=self.now) for sample in (*samples, Sample(UP, 0.0, 1.0)))
        poll = Poll("main", self.now, stamped)
        self._store.feed(poll)
        found, _ = self._diagnosis.judge(poll, self._store)
        assert len(found) <= 1
        return found[0] if found else None

    def queue(self, depth: float, after: float = INTERVAL, **more: float) -> Finding | None:
        """A poll of the queue `encode`; `more` by the end of the metric's name, such as `in_flight`."""
        where = labels(queue="encode", system="list")
        return self.poll(
            *(of(f"queue_{end}", value, where) for end, value in {"depth": depth, **more}.items()), after=after
        )

    def fleet(self, *ages: float, after: float = INTERVAL, dead_after: float | None = None) -> Finding | None:
        """A poll of the worker group `encoders`, with the age of each one's last beat."""
        beats = [
            of("heartbeat_age_seconds", age, labels(group="encoders", worker=f"w{number}"))
            for number, age in enumerate(ages)
        ]
        if dead_after is not None:
            beats.append(of("heartbeat_dead_after_seconds", dead_after, labels(group="encoders")))
        return self.poll(*beats, after=after)


UP = Series("sampler_up", labels(sampler="info"))


def of(metric: str, value: float, where: tuple[tuple[str, str], ...]) -> Sample:
    """A sample that is stamped when it is polled."""
    return Sample(Series(metric, where), 0.0, value)
