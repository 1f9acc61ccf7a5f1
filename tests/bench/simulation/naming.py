"""Whom the real census and the leak cause name in populations of CLIENT LIST, and whether it was he.

Each list is told to the census as a server's reply; its samples make the polls. A name is right if it is the
leaking service's, or for clients without a name the group that holds what leaked; where a twin shares all that a list
shows, only the address may be told, and that is a group, nobody's name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from sentinel.model import Finding, Poll, Sample, Series
from sentinel.pipeline.diagnosis import BY_NAME, Diagnosis, windows
from sentinel.pipeline.series import SeriesStore
from sentinel.samplers.base import Command, Reply, Vitals
from sentinel.samplers.redis_clients import Census, CensusSettings

from .populations import EVERY, Population

__all__ = ["Named", "name_culprits", "naming_table"]

CAUSES = ("masked_leak", "leak", "flood")
UNNAMED = "unnamed "


@dataclass(frozen=True, slots=True)
class Named:
    """What was told of one population."""

    population: Population
    told: str
    """Who was named last; empty for nobody."""
    groups: frozenset[str]
    """Every group that was accused at any time."""
    after: float | None
    """Seconds from the first leaked connection to the first word."""

    @property
    def right(self) -> bool:
        """Whether the culprit, and nobody else, was accused; and not by name where nobody can tell."""
        truth = self.population.truth
        if truth.name:
            return len(self.groups) == 1 and self.told.startswith(truth.name)
        blocks = {host.rpartition(".")[0] for host in truth.hosts}
        return len(self.groups) == 1 and any(self.told.startswith(f"{UNNAMED}{block}.") for block in blocks)


def name_culprits(crowds: Iterable[Population]) -> list[Named]:
    """Every population judged."""
    return [asyncio.run(_judged(crowd)) for crowd in crowds]


def naming_table(named: Iterable[Named]) -> str:
    """One row for each population, as Markdown."""
    heads = ("population", "unnamed clients", "who leaks", "connections an hour", "told", "after", "right")
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *map(_row, named)])


@dataclass
class _Reply:
    """A server whose CLIENT LIST is given."""

    text: bytes

    async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
        return [self.text, b""]


async def _judged(crowd: Population) -> Named:
    vitals = Vitals(run_id="one", connected=0.0)
    census = Census(CensusSettings(), vitals)
    settings = {name: BY_NAME[name]() for name in CAUSES}
    diagnosis, store = Diagnosis("redis-sim", settings), SeriesStore(windows(settings))
    found: list[Finding] = []
    for time, text in crowd.lists:
        clients = float(text.count(b"\n"))
        vitals.connected = clients
        samples = [*await census.sample(_Reply(text), time), *_server(time, clients)]
        poll = Poll("redis-sim", time, tuple(samples))
        store.feed(poll)
        found += diagnosis.judge(poll, store)[0]
    accused = frozenset(finding.subject for finding in found)
    told = found[-1].culprit.name if found and found[-1].culprit else ""
    began = crowd.lists[0][0] + 4 * EVERY
    return Named(crowd, told, accused, found[0].time - began if found else None)


def _server(time: float, clients: float) -> list[Sample]:
    values = {"redis_connected_clients": clients, "redis_max_clients": 10_000.0, "redis_restarts_total": 0.0}
    return [Sample(Series(name), time, value) for name, value in values.items()]


def _row(named: Named) -> list[str]:
    crowd, truth = named.population, named.population.truth
    rows = crowd.lists[0][1].split(b"\n")[:-1]
    unnamed = sum(b" name= " in row for row in rows) / len(rows)
    hours = (crowd.lists[-1][0] - crowd.lists[0][0] - 4 * EVERY) / 3600
    who = truth.name or f"{truth.service}, unnamed" + ("" if truth.nameable else ", beside a twin")
    after = "never" if named.after is None else f"{named.after / 60:.0f} min"
    return [
        str(crowd.seed), f"{unnamed:.0%}", who, f"{len(truth.leaked) / hours:.0f}", named.told or "nobody", after,
        "yes" if named.right else "no",
    ]  # fmt: skip
