"""Failover: the server is a replica now, and clients still write to it; or a replica has lost its master.

After a failover the old master comes back as a replica. Clients that keep their connections, or a name that still leads
there, get READONLY for every write: workers take no jobs, nothing is enqueued, while all of them look connected.

What imitates it, and what separates them: the failover itself, in which errors end within seconds as clients follow
(`for_`); a replica that was always read from, which gives no such errors; a single script that writes to the wrong
server, which is told as such: a warning unless the role changed while we watched.

Source: reference/incidents.md D2, E4 (a failover ends blocking commands with UNBLOCKED) and 1.3; READONLY is counted
by the server's errorstats (6.2 and later).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Culprit, Evidence, Finding, Labels, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.levels import Held
from sentinel.pipeline.diagnosis.words import clock_time, count, pace, span

__all__ = ["Failover"]

_READONLY: Labels = (("prefix", "READONLY"),)


@dataclass
class Failover:
    """Writes to a replica go on for longer than `for_`, or its link to the master is down."""

    name: ClassVar[str] = "failover"
    needs: ClassVar[tuple[str, ...]] = ("redis_info",)
    windows: ClassVar[tuple[str, ...]] = ()

    for_: Seconds = 60.0
    """Longer than clients need to follow: they ask for the master anew after an error, with some back-off."""
    remember: Seconds = 86400.0
    """For how long a change of role explains what is seen."""

    _role: str = field(default="", init=False, repr=False)
    _changed: float | None = field(default=None, init=False, repr=False)
    """When it became a replica, if we saw it."""
    _errors: Held = field(default_factory=Held, init=False, repr=False)
    _alone: Held = field(default_factory=Held, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires while clients have not followed, and while a replica is cut off."""
        self._note_role(view)
        rate = view.value("redis_errors_total", _READONLY) or 0.0
        since = self._errors.take(self._role == "slave" and rate > 0, view.now, self.for_)
        if since is not None and self._errors.lasted(self.for_):
            yield self._not_followed(view, since, rate)
        since = self._alone.take(view.value("redis_master_link_up") == 0.0, view.now)
        if since is not None and self._alone.lasted(self.for_):
            yield self._cut_off(view, since)

    def _note_role(self, view: View) -> None:
        role = next((track.label("role") for track in view.each("redis_info")), self._role)
        if self._role == "master" and role == "slave":
            self._changed = view.now
        elif role == "master" or (self._changed is not None and view.now - self._changed > self.remember):
            self._changed = None
        self._role = role

    def _not_followed(self, view: View, since: float, rate: float) -> Finding:
        changed = self._changed
        became = f"became a replica at {clock_time(changed)}" if changed is not None else "is a replica"
        clients = view.value("redis_connected_clients") or 0.0
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.CRITICAL if changed is not None else Severity.WARNING,
            time=view.now,
            firing=True,
            summary=(
                f"{view.target} {became}, and clients still write to it: {pace(rate)} get READONLY since "
                f"{clock_time(since)}; {count(clients)} are connected."
            ),
            value=rate,
            threshold=0.0,
            evidence=(
                Evidence("writes refused (READONLY)", rate, "/s", "none"),
                Evidence("going on for", view.now - since, "s", f"below {span(self.for_)}"),
                Evidence("clients", clients, "", "none that write"),
                *self._groups(view),
            ),
            culprit=self._culprit(view),
            first_action=(
                "Restart the clients that stayed, or end their connections here (CLIENT KILL TYPE normal): they then "
                "ask for the master anew. Check that the name they use leads to the master."
            ),
            ruled_out=(
                f"not the failover itself: clients follow within {span(self.for_)}",
                "not readers of a replica: reads give no READONLY",
            ),
            affected=view.affected,
            since=changed if changed is not None else since,
        )

    @staticmethod
    def _groups(view: View) -> Iterator[Evidence]:
        biggest = sorted(view.known("redis_group_clients", 600.0), key=lambda track: -track.raw)[:3]
        return (Evidence(f"clients of {track.label('group')}", track.raw) for track in biggest)

    @staticmethod
    def _culprit(view: View) -> Culprit | None:
        """The server does not tell who got the errors; a group that holds most connections is likely among them."""
        tracks = list(view.known("redis_group_clients", 600.0))
        biggest = max(tracks, key=lambda track: track.raw, default=None)
        if biggest is None or biggest.raw < sum(track.raw for track in tracks) / 2:
            return None
        detail = f"holds {count(biggest.raw)} of the connections; errors have no name"
        return Culprit(biggest.label("group"), None, detail)

    def _cut_off(self, view: View, since: float) -> Finding:
        lasted = view.now - since
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.WARNING,
            time=view.now,
            firing=True,
            summary=(
                f"{view.target} is a replica without a link to its master since {clock_time(since)} ({span(lasted)}): "
                "what it serves is old, and it cannot take over."
            ),
            subject="replication",
            value=lasted,
            threshold=self.for_,
            evidence=(Evidence("link to the master down", lasted, "s", f"below {span(self.for_)}"),),
            first_action=(
                "Check that the master lives and the network to it; a full sync that starts again and again shows in "
                "its log (client-output-buffer-limit replica)."
            ),
            ruled_out=("not a short break: a replica reconnects within seconds",),
            affected=view.affected,
            since=since,
        )
