"""Unreachable: the server cannot be read, lets nobody new in, or many clients have lost it at once.

Three ways in which somebody is cut off from a server that may be well itself:

* *we* cannot read it: nobody listens, the name is unknown, it is loading, or it does not take our password;
* *newcomers* cannot connect while open connections go on (the dial probe): a proxy, a firewall, a changed password;
* *several groups of clients* lost at least half of their connections at once and do not come back, while we read on:
  the network or a proxy between them and the server.

What imitates it, and what separates them: a restart (a few seconds) and a short blip, by time alone, so nothing is
said before `for_`. One group that goes is a deploy, a scale-in or a batch that ended; those come one at a time. A flood
that ends and a leak whose processes are recycled let go of many connections, but not of those that are used every day:
never-used ones do not count, and a group is lost only below half of its median of the last day, or of as much of it as
is known. A server that takes the connection and never answers, or answers BUSY, is `frozen`; one that is full still
answers on the reserved seats and is `refused`.

Source: reference/incidents.md 1.2 (B2, D1, D2), A17 for passwords; lab look-alikes `short_blip` and `redis_restart`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import ClassVar

from sentinel.model import Culprit, Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.levels import Held
from sentinel.pipeline.diagnosis.words import clock_time, count, listed, span
from sentinel.pipeline.series import Track

__all__ = ["Unreachable"]

_NOT_OURS = frozenset({"timeout", "busy"})
"""Reasons that `frozen` speaks of."""
_CREDENTIALS = frozenset({"auth", "noperm", "not_redis", "tls", "protocol"})
"""Reasons that leave the server's own health unknown: we are blind, which is a warning, not an outage."""
_WORDS = {
    "refused": (
        "nobody listens on that port",
        "Check that the server process runs and listens there; its log says why it ended.",
    ),
    "reset": (
        "connections are dropped as soon as they are opened",
        "Look at what stands between: a proxy, a firewall, or a port that wants TLS (rediss://).",
    ),
    "dns": (
        "its host name is not known",
        "Check the host name in the target's URL and the resolver.",
    ),
    "auth": (
        "it answers, but does not take our user name and password",
        "Give this target the present password (or user). If it was changed on the server, every application with the "
        "old one is locked out, too.",
    ),
    "noperm": (
        "it answers, but our user may not run INFO",
        "Grant the missing command: the log names it and prints the ACL line.",
    ),
    "tls": (
        "the TLS handshake fails",
        "Check the certificate, its end date, and whether the port speaks TLS.",
    ),
    "loading": (
        "it is loading its data and answers nobody until that is done",
        "Wait, and follow INFO persistence (loading_eta_seconds). Then ask why it restarted.",
    ),
    "full": (
        "it is full, and no reserved seat is left",
        "Raise maxclients from a connection that is still open, or restart the greediest clients.",
    ),
    "not_redis": (
        "something answers on that port, but not Redis",
        "Check host and port in the target's URL.",
    ),
}
_UNKNOWN = ("it does not answer as Redis does", "Check the network path and the server process.")
_MANY = 0.2
"""Part of all clients that must be gone: pools breathe by 10 to 20 % (the lab's load)."""
_LOST, _BACK = 0.5, 0.7
"""Part of a group's clients that must be lost at once, and part that must be there again for it to be over."""
_KEPT = 48
"""Levels that a median is taken of: half an hour apart over a day, closer while less is known."""


@dataclass(slots=True)
class _Cut:
    """Groups that lost their connections, with what they held before."""

    since: float
    before: dict[str, float]


@dataclass
class Unreachable:
    """The server, or a way to it, has been closed for longer than `for_`."""

    name: ClassVar[str] = "unreachable"
    needs: ClassVar[tuple[str, ...]] = ("sampler_up",)
    windows: ClassVar[tuple[str, ...]] = ()

    for_: Seconds = 45.0
    """Longer than a restart or a blip takes."""
    within: Seconds = 60.0
    """Clients that go within this time go at once."""
    day: Seconds = 86400.0
    """How far back the usual level of a group is looked for."""

    _dials: Held = field(default_factory=Held, init=False, repr=False)
    _levels: deque[tuple[float, float, dict[str, float]]] = field(default_factory=deque, init=False, repr=False)
    """Used clients, and those by group, at the censuses of the last `within`, oldest first."""
    _past: list[tuple[float, dict[str, float]]] = field(default_factory=list, init=False, repr=False)
    """The same by group over the last `day`, up to `_KEPT` of them, evenly spaced."""
    _every: Seconds = field(default=0.0, init=False, repr=False)
    _cut: _Cut | None = field(default=None, init=False, repr=False)

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires for us, for newcomers, and for groups of clients."""
        if view.blind_since is not None:
            self._dials, self._cut = Held(), None
            self._levels.clear()
            if view.blind_reason not in _NOT_OURS:
                yield from self._blind(view, view.blind_since)
            return
        yield from self._newcomers(view)
        self._follow(view)
        if self._cut is not None and view.now - self._cut.since >= self.for_:
            yield self._lost(view, self._cut)

    def _blind(self, view: View, since: float) -> Iterator[Finding]:
        lasted = view.now - since + (view.value("poll_seconds") or 0.0)
        if lasted < self.for_:
            return
        reason = view.blind_reason or "unknown"
        what, action = _WORDS.get(reason, _UNKNOWN)
        yield Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.WARNING if reason in _CREDENTIALS else Severity.CRITICAL,
            time=view.now,
            firing=True,
            summary=f"{view.target} cannot be read since {clock_time(since)} ({span(lasted)}): {what}.",
            value=lasted,
            threshold=self.for_,
            evidence=(Evidence(f"unreadable ({reason})", lasted, "s", f"below {span(self.for_)}"),),
            first_action=action,
            ruled_out=("not a blip or restart: those are over sooner", "not frozen: it, or its host, does answer"),
            affected=view.affected,
            since=since,
        )

    def _newcomers(self, view: View) -> Iterator[Finding]:
        """New connections fail while those that are open go on; one that is full is `refused`."""
        reason = next((track.label("reason") for track in view.each("redis_dial_failed")), "")
        if view.value("redis_dial_seconds") is not None or reason == "full" or reason in _NOT_OURS:
            self._dials = Held()
        since = self._dials.take(bool(reason), view.now, gap=self.for_)
        if since is None or not self._dials.lasted(self.for_) or not reason:
            return
        what, action = _WORDS.get(reason, _UNKNOWN)
        yield Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.WARNING if reason in _CREDENTIALS else Severity.CRITICAL,
            time=view.now,
            firing=True,
            summary=(
                f"{view.target} works for those who are connected, but new connections fail since {clock_time(since)} "
                f"({span(view.now - since)}): {what}."
            ),
            subject="new connections",
            value=view.now - since,
            threshold=self.for_,
            evidence=(
                Evidence(f"no new connection ({reason})", view.now - since, "s", f"below {span(self.for_)}"),
                Evidence("clients", view.value("redis_connected_clients") or 0.0, "", "they stay"),
                Evidence("own round trip on an open connection", view.value("redis_ping_seconds") or 0.0, "s"),
            ),
            first_action=f"Restart nothing yet: what restarts will not get back in. {action}",
            ruled_out=("not down: open connections work", "not full: it would say so"),
            affected=view.affected,
            since=since,
        )

    def _follow(self, view: View) -> None:
        """Groups that lose half of their clients within `within`, two or more of them together."""
        level = _used(view, view.each("redis_group_clients"))
        if not level:
            return
        if view.steady_since > view.now - self.within:
            self._cut = None
            self._levels.clear()
        if self._cut is not None:
            gone = [group for group, was in self._cut.before.items() if level.get(group, 0.0) < _BACK * was]
            self._cut = self._cut if len(gone) >= 2 else None
        else:
            self._cut = self._lost_at_once(view.now, level)
        self._remember(view.now, level)
        self._levels.append((view.now, sum(level.values()), level))
        while view.now - self._levels[0][0] > self.within:
            self._levels.popleft()

    def _lost_at_once(self, now: float, level: dict[str, float]) -> _Cut | None:
        clients = sum(level.values())
        for time, before, groups in self._levels:
            if clients > (1 - _MANY) * before or now - time > self.within:
                continue
            fell = [g for g, was in groups.items() if was >= 5 and level.get(g, 0.0) <= (1 - _LOST) * was]
            if len(fell) < 2:
                continue
            held = {group: min(groups[group], self._usual(group)) for group in fell}
            lost = {g: was for g, was in held.items() if was >= 5 and level.get(g, 0.0) <= (1 - _LOST) * was}
            if len(lost) >= 2:
                return _Cut(now, lost)
        return None

    def _remember(self, now: float, level: dict[str, float]) -> None:
        if self._past and now - self._past[-1][0] < self._every:
            return
        self._past = [past for past in self._past if past[0] > now - self.day]
        self._past.append((now, level))
        if len(self._past) > _KEPT:
            self._past = self._past[::2]
            self._every = 2 * (self._past[-1][0] - self._past[0][0]) / _KEPT

    def _usual(self, group: str) -> float:
        return median([level.get(group, 0.0) for _, level in self._past])

    def _lost(self, view: View, cut: _Cut) -> Finding:
        held = _used(view, view.known("redis_group_clients", 10 * self.within))
        before, now = sum(cut.before.values()), sum(held.get(group, 0.0) for group in cut.before)
        groups = listed(sorted(cut.before))
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.WARNING,
            time=view.now,
            firing=True,
            summary=(
                f"{groups} lost their connections to {view.target} at once at {clock_time(cut.since)} and have not "
                f"come back: {count(now)} of {count(before)} are left. The server itself answers."
            ),
            subject="clients",
            value=now,
            threshold=_BACK * before,
            evidence=tuple(
                Evidence(f"clients of {group}", held.get(group, 0.0), "", f"about {count(was)}")
                for group, was in sorted(cut.before.items())[:5]
            ),
            culprit=Culprit(groups, None, "who lost the server, not who did it"),
            first_action=(
                "Look at what stands between them and the server: a proxy, a load balancer, a firewall or network "
                "change at that time. Ask one of them what error it gets."
            ),
            ruled_out=(
                f"not a deploy or scale-in: {len(cut.before)} groups went within {span(self.within)}",
                "not a restart: the server kept its other connections",
            ),
            affected=view.affected,
            since=cut.since,
        )


def _used(view: View, tracks: Iterable[Track]) -> dict[str, float]:
    """Clients by group, without those that were opened and never used again."""
    never = {track.labels: track.raw for track in view.store.each("redis_group_unused_clients")}
    return {track.label("group"): max(0.0, track.raw - never.get(track.labels, 0.0)) for track in tracks}
