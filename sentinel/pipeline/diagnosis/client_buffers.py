"""Client buffers: replies pile up in the server's memory for a client that does not read them.

A subscriber that is too slow, a MONITOR that somebody forgot, a client that asked for a million rows and stopped. Its
buffer grows until the limit of its class cuts it off; ordinary clients have none by default, so theirs grows until the
memory is full and every write is refused.

What imitates it, and what separates them: one large reply on its way (seconds: `for_`); many clients with a little each
are counted together, against the memory; a replica's buffer in a full sync belongs to it and is not in this figure.

Source: reference/incidents.md G4 (114 MB in one client; found by omem in CLIENT LIST); redis.conf,
client-output-buffer-limit: `pubsub 32mb 8mb 60`, `normal 0 0 0`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Culprit, Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.levels import Held, Ladder, Latch
from sentinel.pipeline.diagnosis.words import clock_time, size, span

__all__ = ["ClientBuffers"]


@dataclass
class ClientBuffers:
    """One client's output buffer stays large, or all clients' buffers take much of the memory."""

    name: ClassVar[str] = "client_buffers"
    needs: ClassVar[tuple[str, ...]] = ("redis_client_output_buffer_max_bytes",)
    windows: ClassVar[tuple[str, ...]] = ()

    warning_above: float = 8388608.0
    """Bytes for one client: the soft limit that the server itself has for subscribers."""
    for_: Seconds = 60.0
    """For how long, as the server's own soft limit."""
    warning_part: float = 0.1
    """Part of the memory limit that all clients' buffers may take together, 0-1."""
    critical_part: float = 0.25
    """A quarter: what is left is gone within three times what it took to get there."""

    _large: Latch = field(default_factory=Latch, init=False, repr=False)
    _ladder: Ladder = field(default_factory=Ladder, init=False, repr=False)
    _held: Held = field(default_factory=Held, init=False, repr=False)
    _row: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    """The client with the largest buffer, as last seen."""

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires while it is large for `for_`."""
        largest = view.value("redis_client_output_buffer_max_bytes") or 0.0
        together = view.value("redis_memory_clients_bytes") or 0.0
        limit = view.value("redis_memory_max_bytes") or view.value("redis_memory_system_bytes") or 0.0
        part = together / limit if limit else 0.0
        track = view.store.one("redis_client_output_bytes")
        if track is not None and track.time == view.now:
            self._row = dict(track.exemplar or ())
        large = self._large.take(largest, self.warning_above)
        severity = self._ladder.take(part, self.warning_part, self.critical_part)
        since = self._held.take(large or severity > Severity.INFO, view.now)
        if since is None:
            self._row = {}
        elif self._held.lasted(self.for_):
            yield self._finding(view, max(severity, Severity.WARNING), since, largest, together, limit)

    def _finding(
        self, view: View, severity: Severity, since: float, largest: float, together: float, limit: float
    ) -> Finding:
        row = self._row
        who = row.get("name") or (f"the client at {row['addr']}" if "addr" in row else "a client")
        does = f" (last command {row['cmd'].upper()})" if row.get("cmd") else ""
        part = f", {together / limit:.0%} of {size(limit)}" if limit else ""
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=severity,
            time=view.now,
            firing=True,
            summary=(
                f"Replies pile up for {who}{does}: {size(largest)} since {clock_time(since)}. All buffers of clients "
                f"take {size(together)}{part}."
            ),
            value=largest,
            threshold=self.warning_above,
            evidence=(
                Evidence("largest output buffer", largest, "B", f"below {size(self.warning_above)}"),
                Evidence("large for", view.now - since, "s", f"below {span(self.for_)}"),
                Evidence(
                    "all clients' buffers", together, "B", f"below {size(self.warning_part * limit)}" if limit else ""
                ),
                Evidence("clients cut off for it", view.value("redis_output_buffer_disconnections_total") or 0.0, "/s"),
            ),
            culprit=_culprit(row, together),
            first_action=(
                f"{_kill(row)}, then find out why it does not read. Give its class a limit: CONFIG SET "
                "client-output-buffer-limit, as ordinary clients have none."
            ),
            ruled_out=(
                f"not one large reply: those are gone within {span(self.for_)}",
                "not a replica in a full sync: its buffer is counted apart",
            ),
            affected=view.affected,
            since=since,
        )


def _culprit(row: dict[str, str], together: float) -> Culprit | None:
    if not row:
        return None
    parts = [f"{key} {row[key]}" for key in ("addr", "cmd", "user", "lib-name", "flags", "id") if key in row]
    if together and row.get("omem", "").isdigit():
        parts.append(f"{min(1.0, float(row['omem']) / together):.0%} of all buffers")
    return Culprit(row.get("name") or row.get("addr", "unknown"), None, ", ".join(parts), (tuple(sorted(row.items())),))


def _kill(row: dict[str, str]) -> str:
    if "id" in row:
        return f"CLIENT KILL ID {row['id']} frees the memory at once"
    return "Look for the largest omem in CLIENT LIST; CLIENT KILL ID frees the memory at once"
