"""Unsaved: what Sentinel must remember does not get onto its disk.

While it runs it goes on from memory; a restart would lose incidents and alerts on their way, or tell them twice.

What imitates it: a lock that is held for a moment. It is retried, and shorter than `for_`.

Source: reference/delivery.md 9.1 and 9.3 (a full disk).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.levels import Held
from sentinel.pipeline.diagnosis.words import span

__all__ = ["Unsaved"]


@dataclass
class Unsaved:
    """The state directory can not be written."""

    name: ClassVar[str] = "unsaved"
    needs: ClassVar[tuple[str, ...]] = ("state_failing",)
    windows: ClassVar[tuple[str, ...]] = ()

    for_: Seconds = 60.0
    """How long it must have lasted."""

    _held: Held = field(default_factory=Held, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires until something was saved again."""
        for track in view.each("state_failing"):
            since = self._held.take(bool(track.raw), view.now)
            if since is not None and self._held.lasted(self.for_):
                yield self._finding(view, dict(track.exemplar or ()).get("why", "the disk refuses"), since)

    def _finding(self, view: View, why: str, since: float) -> Finding:
        lasted = view.now - since
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.WARNING,
            time=view.now,
            firing=True,
            summary=f"Nothing could be saved for {span(lasted)}: {why}. A restart now would lose what is open.",
            value=lasted,
            threshold=self.for_,
            evidence=(Evidence("not saved for", lasted, "s", f"below {span(self.for_)}"),),
            first_action="Make room on the disk, or mend the rights of the state directory; do not restart before.",
            ruled_out=(f"not a moment's lock: it has lasted {span(lasted)}",),
            since=since,
        )
