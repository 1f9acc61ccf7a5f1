"""Which weeks are played, and the truth about each: what began when, who did it, when the wall is hit.

A `Run` is a world and its events. Every run of a trouble begins with quiet days of a shop of its own; its truth
is worked out from the world without a judge. The shapes differ from one run to the next, not only the seeds.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from .fleet import Rollout
from .plan import Churn, Flood, Leak, Plan
from .shop import named_groups, quiet_plan, unnamed_group
from .traffic import DAY, HOUR, MONDAY, Wave
from .world import World

__all__ = ["SCENARIOS", "Event", "Run", "quiet_names", "quiet_run", "troubled_run"]

LEAK = frozenset({"leak", "masked_leak", "second_leak"})
FULL = frozenset({"exhaustion", "refused"})
Shape = Literal["steady", "load", "bursts"]
TIGHT = "quiet, tight limit"


@dataclass(frozen=True, slots=True)
class Event:
    """One trouble, as it truly was."""

    kind: str
    start: float
    end: float
    """When it was over, or when the run ends."""
    causes: frozenset[str]
    """The right answers."""
    culprit: str = ""
    """The group that does it; empty where nobody can be named."""
    wall: float | None = None
    """When the ceiling is hit if nobody does anything; None if never."""


@dataclass(frozen=True, slots=True)
class Run:
    """A world to be played up to `until`, and what goes wrong in it."""

    name: str
    world: World
    events: tuple[Event, ...] = ()
    until: float | None = None

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return (self.until or self.world.grid.end) - MONDAY


def quiet_names(weeks: int) -> dict[str, float]:
    """Quiet runs and their weeks, up to four to a shop; every fourth under a limit that daily peaks nearly reach."""
    plain = weeks - weeks // 4
    runs = {f"quiet {part + 1}": min(4.0, plain - first) for part, first in enumerate(range(0, plain, 4))}
    return runs | ({TIGHT: float(weeks // 4)} if weeks // 4 else {})


def quiet_run(seed: int, name: str, weeks: float, step: float = 30.0) -> Run:
    """Weeks of a shop in which nothing is wrong."""
    if name != TIGHT:
        return Run(name, World(quiet_plan(1_000 * seed + int(name.split()[-1]) - 1, 7.0 * weeks, step)))
    plan = quiet_plan(1_000 * seed + 500, 7.0 * weeks, step, waves=())
    limit = int(World(plan).demand.max() * 1.25) + plan.replicas
    return Run(name, World(replace(plan, limits=((0.0, limit),))))


def troubled_run(seed: int, name: str) -> Run:
    """One of `SCENARIOS`, in a shop of its own."""
    return SCENARIOS[name](name, 100_000 * seed + zlib.crc32(name.encode()) % 100_000)


def _leak(
    per_hour: float,
    shape: Shape = "steady",
    *,
    named: bool = True,
    idle: bool = True,
    listed: bool = True,
    quiet_for: float = 2.3 * DAY,
) -> Callable[[str, int], Run]:
    """A leak that nobody stops: played until an hour after the wall."""

    def build(name: str, seed: int) -> Run:
        start = MONDAY + quiet_for
        days = (quiet_for + 1.25 * 9_600 / per_hour * HOUR) / DAY + 1.5
        plan = quiet_plan(seed, days, _step(per_hour), listed=listed)
        leak = Leak(_somebody(plan, named), per_hour, start, shape=shape, idle=idle)
        world = World(_leaking(plan, leak))
        return _one_leak_each(name, world, (leak,))

    return build


def _second_leak(name: str, seed: int) -> Run:
    """Two leaks: the first is fixed at 60 % of its way; three hours later another group leaks, more slowly."""
    plan = quiet_plan(seed, 8.5)
    first_group, second_group = _somebody(plan, True), _somebody(plan, False)
    start = MONDAY + 2.4 * DAY
    first = Leak(first_group, 600.0, start, stop=start + 9.4 * HOUR, shape="load")
    second = Leak(second_group, 150.0, start + 12.4 * HOUR, shape="load")
    return _one_leak_each(name, World(_leaking(plan, first, second)), (first, second))


def _residual_leak(name: str, seed: int) -> Run:
    """The fix of a leak leaves a smaller one behind, in the same group."""
    plan = quiet_plan(seed, 7.5)
    group, start = _somebody(plan, True), MONDAY + 2.2 * DAY
    first = Leak(group, 1_000.0, start, stop=start + 5.0 * HOUR)
    second = Leak(group, 150.0, start + 5.1 * HOUR, shape="bursts")
    return _one_leak_each(name, World(_leaking(plan, first, second)), (first, second))


def _masked_leak(per_hour: float, every: float, spread: float) -> Callable[[str, int], Run]:
    """A leak whose processes restart every so often: a saw-tooth that never meets the wall."""

    def build(name: str, seed: int) -> Run:
        rng = np.random.default_rng([seed, 0x3A57])
        plan = quiet_plan(seed, 9.0)
        group, start = _somebody(plan, True), MONDAY + 1.5 * DAY
        nominal = np.arange(start + every, MONDAY + 9.0 * DAY, every)
        closings = tuple(np.sort(nominal + rng.uniform(-spread, spread, len(nominal))).tolist())
        leak = Leak(group, per_hour, start, shape="load", closings=closings)
        plan = _leaking(plan, leak)
        plan = replace(plan, rollouts={**plan.rollouts, group: tuple(Rollout(t, "rolling") for t in closings)})
        world = World(plan)
        return Run(name, world, (Event(name, start, world.grid.end, LEAK, group),))

    return build


def _flood(
    clients: int, spread: float, stay: float, *, one_group: bool = False, idle: bool = True
) -> Callable[[str, int], Run]:
    """Newcomers in a rush, from all groups after a network fault or from one with a wrong pool size."""

    def build(name: str, seed: int) -> Run:
        start = MONDAY + 9.0 * HOUR + 40.0
        plan = quiet_plan(seed, 0.75, 5.0, restarts=())
        groups = (_somebody(plan, True),) if one_group else tuple(named_groups(plan))
        world = World(replace(plan, floods=(Flood(start, clients, spread, stay, groups, idle),)))
        end = start + spread + 1.3 * stay
        culprit = groups[0] if one_group else ""
        causes = FULL | LEAK | {"flood"} if len(groups) == 1 else FULL | {"flood"}
        event = Event(name, start, end, causes, culprit, world.wall(after=start))
        return Run(name, world, (event,), min(end + 2 * HOUR, world.grid.end))

    return build


def _churn(per_second: float) -> Callable[[str, int], Run]:
    """A deployment that connects for each command, for two hours; ids hardly show who it is."""

    def build(name: str, seed: int) -> Run:
        start = MONDAY + 1.45 * DAY
        plan = quiet_plan(seed, 2.0, 15.0, restarts=())
        churn = Churn(_somebody(plan, True), start, start + 2 * HOUR, per_second)
        return Run(name, World(replace(plan, churns=(churn,))), (Event(name, start, churn.end, frozenset({"churn"})),))

    return build


def _limit_lowered(part: float) -> Callable[[str, int], Run]:
    """The limit is cut, early on Wednesday, to a part of what that day's peak will ask for."""

    def build(name: str, seed: int) -> Run:
        start = MONDAY + 2 * DAY + 5.0 * HOUR
        plan = quiet_plan(seed, 3.0, 15.0, restarts=(), waves=())
        demand = World(plan).demand
        peak = int(demand[-round(DAY / plan.step) :].max()) if part < 1.0 else 0
        limit = int(part * peak) if peak else int(0.95 * demand[World(plan).grid.at(start)])
        world = World(replace(plan, limits=((0.0, 10_000), (start, limit + plan.replicas))))
        return Run(name, world, (Event(name, start, world.grid.end, FULL, wall=world.wall(after=start)),))

    return build


def _traffic_to_the_wall(name: str, seed: int) -> Run:
    """Real traffic outgrows the limit within half an hour: nobody leaks."""
    start = MONDAY + 2 * DAY + 10 * HOUR
    wave = Wave(start, 2_400.0, 3 * HOUR, HOUR, 5.0)
    plan = quiet_plan(seed, 3.0, 15.0, restarts=(), waves=())
    limit = int(World(plan).demand.max() * 1.6) + plan.replicas
    world = World(replace(plan, waves=(wave,), limits=((0.0, limit),)))
    causes = FULL | {"flood"}
    return Run(name, world, (Event(name, start, start + 4.6 * HOUR, causes, wall=world.wall(after=start)),))


def _freeze(seconds: float) -> Callable[[str, int], Run]:
    """The server answers nobody for a while, then goes on as if nothing had been."""

    def build(name: str, seed: int) -> Run:
        start = MONDAY + 8.0 * HOUR
        plan = quiet_plan(seed, 0.6, 5.0, restarts=(), freezes=((start, start + seconds),))
        causes = frozenset({"frozen", "unreachable", "latency"})
        return Run(name, World(plan), (Event(name, start, start + seconds, causes),))

    return build


SCENARIOS: dict[str, Callable[[str, int], Run]] = {
    "leak 3600/h named": _leak(3_600.0),
    "leak 3600/h unnamed": _leak(3_600.0, "load", named=False),
    "leak 1000/h unnamed": _leak(1_000.0, "load", named=False),
    "leak 1000/h bursts": _leak(1_000.0, "bursts"),
    "leak 330/h named": _leak(330.0),
    "leak 330/h with load": _leak(330.0, "load"),
    "leak 330/h unnamed bursts": _leak(330.0, "bursts", named=False),
    "leak 330/h kept busy": _leak(330.0, idle=False),
    "leak 330/h without CLIENT LIST": _leak(330.0, "load", listed=False),
    "leak 70/h unnamed": _leak(70.0, "load", named=False),
    "leak 70/h bursts": _leak(70.0, "bursts"),
    "leak 20/h creep": _leak(20.0, "load"),
    "cold start, leak 3600/h": _leak(3_600.0, quiet_for=600.0),
    "cold start, leak 330/h": _leak(330.0, named=False, quiet_for=1_200.0),
    "second leak": _second_leak,
    "residual leak": _residual_leak,
    "masked leak, every 12 h": _masked_leak(100.0, 12 * HOUR, 60.0),
    "masked leak, by deploys": _masked_leak(250.0, 22 * HOUR, 7 * HOUR),
    "flood to the wall": _flood(12_000, 240.0, 1_800.0),
    "busy flood to the wall": _flood(12_000, 120.0, 1_800.0, idle=False),
    "busy flood, half way": _flood(5_000, 300.0, 1_800.0, idle=False),
    "pool of a wrong size": _flood(10_500, 900.0, 4 * HOUR, one_group=True),
    "churn 400/s": _churn(400.0),
    "churn 120/s": _churn(120.0),
    "limit lowered below the peak": _limit_lowered(0.9),
    "limit lowered below the present": _limit_lowered(1.0),
    "traffic to the wall": _traffic_to_the_wall,
    "freeze 4 min": _freeze(240.0),
}
"""One run of each by seed."""


def _step(per_hour: float) -> float:
    """Polls are closer together where all is over within hours."""
    return 30.0 if per_hour < 1_000 else 15.0


def _somebody(plan: Plan, named: bool) -> str:
    groups = named_groups(plan)
    return groups[plan.seed % len(groups)] if named else unnamed_group(plan)


def _leaking(plan: Plan, *leaks: Leak) -> Plan:
    """The plan with its leaks; whoever leaks is not deployed any more, nor the server restarted."""
    begins = {leak.label: leak.start for leak in reversed(leaks)}
    rollouts: dict[str, Any] = {}
    for deployment in plan.deployments:
        limit = begins.get(deployment.label, float("inf"))
        planned = plan.rollouts.get(deployment.service, ())
        rollouts[deployment.service] = tuple(rollout for rollout in planned if rollout.time < limit - 900.0)
    restarts = tuple(span for span in plan.restarts if span[0] < min(begins.values()) - 6 * HOUR)
    return replace(plan, leaks=leaks, rollouts=rollouts, restarts=restarts)


def _one_leak_each(name: str, world: World, leaks: tuple[Leak, ...]) -> Run:
    """An event for each leak; of several, the name says which."""
    events = []
    for number, leak in enumerate(leaks):
        kind = name if len(leaks) == 1 else f"{name}: {('first', 'second')[number]}"
        wall = world.wall((leak,), leak.start)
        end = leak.stop or (wall + HOUR if wall else world.grid.end)
        culprit = leak.label if world.plan.listed else ""
        events.append(Event(kind, leak.start, min(end, world.grid.end), LEAK, culprit, wall))
    return Run(name, world, tuple(events), events[-1].end)
