"""Undelivered: a destination can not be reached, and alerts wait for it or were given up.

Sentinel's own trouble, told to whoever can still be told: an alert that nobody got looks like a quiet night. The
destination itself is told too, when it is back.

What imitates it, and what separates them:

* a blip of the network, or a receiver that is too busy for a moment: retried, and shorter than `for_`;
* a destination that is down while there is nothing to tell it: nothing waits, so it is information.

Source: reference/delivery.md 9.3 (dead letters raise an incident through the other destinations).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Evidence, Finding, Seconds, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.words import count, span

__all__ = ["Undelivered"]


@dataclass
class Undelivered:
    """Alerts do not get through to a destination."""

    name: ClassVar[str] = "undelivered"
    needs: ClassVar[tuple[str, ...]] = ("delivery_down_seconds",)
    windows: ClassVar[tuple[str, ...]] = ()

    for_: Seconds = 120.0
    """How long a destination must have been down."""
    lost_for: Seconds = 3600.0
    """How long a notification that was given up is told of."""

    _lost: dict[str, tuple[float, float]] = field(default_factory=dict, init=False, repr=False)
    """When notifications were last given up, and how many have been since that began, by destination."""

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires once a destination until it is reached again, and what was lost is an hour old."""
        for track in view.each("delivery_down_seconds"):
            name = track.label("destination")
            waiting = view.value("delivery_waiting", track.labels) or 0.0
            lost = self._lose(name, view.value("delivery_lost_total", track.labels), view.now)
            if track.raw >= self.for_ or lost:
                why = dict(track.exemplar or ()).get("why", "")
                yield self._finding(view, name, why, track.raw, waiting, lost)

    def _lose(self, name: str, rate: float | None, now: float) -> float:
        """How many were given up of late; rates come every few seconds, so that any rate is at least one."""
        last, lost = self._lost.get(name, (float("-inf"), 0.0))
        if now - last > self.lost_for:
            lost = 0.0
        if rate:
            last, lost = now, lost + 1
        self._lost[name] = last, lost
        return lost

    def _finding(self, view: View, name: str, why: str, down: float, waiting: float, lost: float) -> Finding:
        unheard = waiting > 0 or lost > 0
        parts = [f"{name} has not been reached for {span(down)}" if down else f"{name} is reached again"]
        parts += ["1 notification waits" if waiting == 1 else f"{count(waiting)} notifications wait"] if waiting else []
        parts += ["some were given up"] if lost else []
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.WARNING if unheard else Severity.INFO,
            time=view.now,
            firing=True,
            summary=f"{'; '.join(parts)}{f'. It said: {why}' if why else ''}.".replace("..", "."),
            subject=name,
            value=down,
            threshold=self.for_,
            evidence=(
                Evidence("not reached for", down, "s", f"below {span(self.for_)}"),
                Evidence("notifications that wait", waiting, "", "0"),
                Evidence("polls in which some were given up", lost, "", "0"),
            ),
            first_action=f"See `sentinel outbox list`; check address and key of {name}, then `sentinel notify-test`.",
            ruled_out=(f"not a blip: it has lasted {span(down)}",) if down else (),
            since=view.now - down if down else None,
        )
