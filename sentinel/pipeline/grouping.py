"""One message for what belongs together: which incident speaks for which others at a destination.

What opens on one target in a short time mostly has one root. At a destination that is read by people, the first (of
several at once: the worst, and of several as bad the one that leaves least time) is told; others that are no worse
*ride* with it: they are in its message, and those that come later in an update of it. So one server wakes somebody
once at a time. An incident is told by itself if it is worse than what was told, if it comes long after, if somebody
acknowledged the first already, or if the destination takes no updates. When the first is over, those that still last
are told by themselves, after a while.

Knows what was told of a target at one destination. Does not know routes, silences or time limits of any other kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sentinel.model import Incident, Reason, Severity, Told
from sentinel.pipeline.settings import Destination, Route

__all__ = ["Candidate", "assign", "is_alone", "wait_ends"]


class Candidate(NamedTuple):
    """An incident that a destination is to be told of."""

    incident: Incident
    route: Route
    shadow: bool
    left_alone: float | None = None
    """When the incident that spoke for it was over, if one did."""


Memory = Callable[[Incident], Told | None]
"""What the destination was told of an incident."""


def wait_ends(candidate: Candidate) -> float:
    """Until when it waits for company; never what is critical."""
    incident, route, _, left_alone = candidate
    if incident.severity >= Severity.CRITICAL:
        return float("-inf")
    return incident.opened + route.group_wait if left_alone is None else left_alone + route.group_interval


def is_alone(told: Told, incident: Incident, open_now: Sequence[Incident], memory: Memory) -> bool:
    """Whether an incident that rode with another has nobody to speak for it any more."""
    leader = next((other for other in open_now if other.id == told.via), None)
    said = None if leader is None else memory(leader)
    return said is None or said.via != "" or incident.severity > said.severity


def assign(
    destination: Destination, candidates: Iterable[Candidate], open_now: Sequence[Incident], memory: Memory
) -> list[tuple[Candidate, Incident | None]]:
    """Each candidate, the worst first, with the incident that speaks for it; None if it is told by itself."""
    order = sorted(candidates, key=lambda candidate: candidate.incident.urgency)
    if not destination.groups:
        return [(candidate, None) for candidate in order]
    assigned: list[tuple[Candidate, Incident | None]] = []
    chosen: list[Candidate] = []
    for candidate in order:
        leader = _among_told(destination, candidate, open_now, memory) or _among_chosen(candidate, chosen)
        assigned.append((candidate, leader))
        if leader is None:
            chosen.append(candidate)
    return assigned


def _among_chosen(candidate: Candidate, chosen: Iterable[Candidate]) -> Incident | None:
    return next((other.incident for other in chosen if other.shadow is candidate.shadow), None)


def _among_told(
    destination: Destination, candidate: Candidate, open_now: Iterable[Incident], memory: Memory
) -> Incident | None:
    if Reason.UPDATED not in destination.reasons:
        return None
    found = [
        (-told.severity, told.first, other)
        for other in open_now
        if other.id != candidate.incident.id
        and (told := memory(other)) is not None
        and _speaks_for(told, other, candidate)
    ]
    return min(found, key=lambda item: item[:2])[2] if found else None


def _speaks_for(told: Told, leader: Incident, candidate: Candidate) -> bool:
    return (
        told.via == ""
        and told.shadow is candidate.shadow
        and told.severity >= candidate.incident.severity
        and leader.acknowledged is None
        and candidate.incident.opened - told.first <= candidate.route.group_within
    )
