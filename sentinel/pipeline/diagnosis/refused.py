"""Refused: the server is full now and turns newcomers away.

The server's own count (`rejected_connections`) and a newcomer's view (the dial probe) say so independently. Not
the wall to come, which is `leak`, `flood` or `exhaustion`; when one of these is firing it has said so already
and names who does it, so this cause keeps quiet.

Imitated by a counter that never resets: only its rise counts.

Source: reference/incidents.md 1.5 (refused connections count nowhere else).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import clock_time, count

__all__ = ["Refused"]

_FULL: Labels = (("reason", "full"),)


@dataclass
class Refused:
    """Connections were refused within the last `hold` seconds."""

    name: ClassVar[str] = "refused"
    needs: ClassVar[tuple[str, ...]] = ("redis_connected_clients",)
    windows: ClassVar[tuple[str, ...]] = ()

    hold: Seconds = 60.0
    """Clients back off between tries: a pause this long is not yet a recovery."""

    _since: float | None = field(default=None, init=False, repr=False)
    _last: float = field(default=float("-inf"), init=False, repr=False)
    _peak: float = field(default=0.0, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires at the first refusal."""
        rate = view.value("redis_connections_rejected_total") or 0.0
        if rate > 0 or view.value("redis_dial_failed", _FULL):
            self._since = view.now if self._since is None else self._since
            self._last, self._peak = view.now, max(self._peak, rate)
        elif view.now - self._last > self.hold:
            self._since, self._peak = None, 0.0
        if self._since is not None and not self._told(view):
            yield self._finding(view, self._since, rate)

    @staticmethod
    def _told(view: View) -> bool:
        """Whether a cause that names who does it says so already, as loudly."""
        others = (finding for cause in ("leak", "flood", "exhaustion") for finding in view.found.get(cause, ()))
        return any(finding.severity is Severity.CRITICAL for finding in others)

    def _finding(self, view: View, since: float, rate: float) -> Finding:
        clients, ceiling = view.value("redis_connected_clients") or 0.0, view.ceiling or 0.0
        biggest = max(view.known("redis_group_clients", 600.0), key=lambda track: track.raw, default=None)
        most = f" Most are held by {biggest.label('group')} ({count(biggest.raw)})." if biggest else ""
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.CRITICAL,
            time=view.now,
            firing=True,
            summary=(
                f"{view.target} refuses new connections since {clock_time(since)}: {count(clients)} of "
                f"{count(ceiling)} clients.{most}"
            ),
            value=rate,
            evidence=(
                Evidence("refused now", rate, "/s", "none"),
                Evidence("refused at most", self._peak, "/s", "none"),
                Evidence("clients", clients, "", f"below {count(ceiling)}"),
                Evidence("own seats, which go on reporting", view.value("redis_seats") or 0.0, "", "2"),
            ),
            first_action=(
                "Make room: CONFIG SET maxclients higher (open connections still may), or recycle the processes that "
                "hold most connections. Restart nobody else: what restarts will not get back in."
            ),
            ruled_out=(
                "not down: open connections work",
                "not an old count: it has risen since " + clock_time(since),
            ),
            affected=view.affected,
            since=since,
        )
