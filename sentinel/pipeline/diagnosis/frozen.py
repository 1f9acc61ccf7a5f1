"""Frozen: the server takes connections and does not answer.

A stopped process, a long script, a paused server (CLIENT PAUSE), a disk that hangs. Imitated by a short blip:
only time separates them. A server that refuses is `unreachable`; one that answers late is `latency`.

Source: reference/incidents.md 1.3 G1-G3; in a freeze a redis_exporter hangs with the server and `redis_up == 0`
never fires (lab/README.md, pitfalls), so the time-out itself is the signal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from sentinel.model import Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import clock_time, span

__all__ = ["Frozen"]


@dataclass
class Frozen:
    """No answer on open connections for longer than `for_`."""

    name: ClassVar[str] = "frozen"
    needs: ClassVar[tuple[str, ...]] = ("sampler_up",)
    windows: ClassVar[tuple[str, ...]] = ()

    for_: Seconds = 45.0

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires while the target times out."""
        since = view.blind_since
        if since is None or view.blind_reason != "timeout" or view.now - since < self.for_:
            return
        yield Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.CRITICAL,
            time=view.now,
            firing=True,
            summary=(
                f"{view.target} takes connections but has not answered since {clock_time(since)} "
                f"({span(view.now - since)})."
            ),
            value=view.now - since,
            threshold=self.for_,
            evidence=(Evidence("no answer for", view.now - since, "s", f"below {self.for_:g} s"),),
            first_action=(
                "Look at the host: is the process stopped or at 100 % CPU (a long script or KEYS), the disk hanging, "
                "or CLIENT PAUSE in force?"
            ),
            ruled_out=("not down: the port is open", "not a blip: those are over sooner"),
            affected=view.affected,
            since=since,
        )
