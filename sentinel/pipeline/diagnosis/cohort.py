"""When the growth of a group's never-used connections is a leak's: beyond chance, even, and not explained.

What `leak` and `masked_leak` share. Knows the census' metrics; remembers nothing.
"""

from __future__ import annotations

from sentinel.model import Labels
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.diagnosis.ledger import Growth
from sentinel.pipeline.series import Track

__all__ = [
    "EVIDENCE",
    "NOBODY",
    "RISES",
    "UNTOUCHED",
    "UNUSED",
    "even",
    "example",
    "explained",
    "group_of",
    "name_of",
    "sizes",
]

UNUSED, UNTOUCHED = "redis_group_unused_clients", "redis_group_untouched_clients"
Size = tuple[float, ...]
"""Clients and sources of a group."""
NOBODY: Size = (0.0, 1.0)
EVIDENCE = 34.0
"""On gain²/moved: by chance once in exp(34/2) = 24 million beginnings, once a year for twenty groups that are read
every half minute (21 million readings). For connections of which none closes it is their number."""
RISES = 5
"""Readings in which it must have grown: a pool that fills does so in fewer."""


def even(growth: Growth, evidence: float, least: float, rises: int) -> bool:
    """Beyond chance, one after another (no rise is a third of the whole), and higher than it was before."""
    return (
        evidence >= least
        and growth.rises >= rises
        and growth.biggest <= growth.gain / 3
        and growth.floor + growth.gain > growth.former
    )


def sizes(view: View) -> dict[str, Size]:
    """Size of every group that the census saw in this poll, to be remembered beside its cohort; ask by `view.once`."""
    sources = {track.labels: track.raw for track in view.each("redis_group_sources")}
    return {group_of(track): (track.raw, sources.get(track.labels, 1.0)) for track in view.each("redis_group_clients")}


def group_of(track: Track) -> str:
    """Whose series it is: the census labels its series with the group and nothing else."""
    return track.labels[0][1]


def explained(growth: Growth, now: Size) -> bool:
    """Replaced rather than added (a deploy), or brought by new processes as the old ones hold it (scaling).

    Args:
        growth: With the size at its onset beside it.
        now: The size now.
    """
    (clients, sources), (clients_then, sources_then) = now, growth.beside
    each = max(1.0, clients_then / max(1.0, sources_then))
    return clients - clients_then < growth.gain / 2 or (sources - sources_then) * each >= growth.gain / 2


def example(view: View, metric: str, group: str) -> Labels | None:
    """The census' newest row of a group that shows what most of its recent clients are."""
    track = view.store.one(metric, (("group", group),))
    return track.exemplar if track else None


def name_of(group: str, frozen: Labels | None, newest: Labels | None) -> tuple[str, float | None, str]:
    """Who it is: the exact name where one row stands for half and more, else the group; that share; its details."""
    then, now = dict(frozen or ()), dict(newest or ())
    share = float(now.get("share", then.get("share", "0")) or 0)
    exact = now.get("name") or then.get("name", "")
    parts = [f"{key} {now[key]}" for key in ("addr", "cmd", "lib", "user", "db") if now.get(key)]
    return exact if exact and share >= 0.5 else group, share or None, ", ".join([f"group {group}", *parts])
