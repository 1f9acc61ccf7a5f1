"""A shop by seed: its deployments, queues, nightly batches, and the changes of its quiet weeks.

No two seeds have the same services, pools or habits; all have 400-800 clients on an ordinary day. Nothing in a
quiet week is wrong: every deploy, scaling step, pool that fills, spike, restart and short freeze is healthy.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, get_args

import numpy as np

from .clients import Elastic, Mark, Pool, Sessions, Workers
from .fleet import Rollout, Span, Style
from .plan import Batch, Churn, Deployment, Plan, Queue
from .traffic import DAY, HOUR, MONDAY, Wave

__all__ = ["named_groups", "quiet_plan", "unnamed_group"]

TYPICAL = 600.0
"""Clients at load 1."""


def quiet_plan(seed: int, days: float, step: float = 30.0, **changes: Any) -> Plan:
    """Weeks in which nothing is wrong; `changes` replace fields of the plan."""
    rng = np.random.default_rng([seed, 0x5409])
    deployments = _deployments(rng)
    plan = Plan(
        seed=seed,
        days=days,
        step=step,
        deployments=deployments,
        rollouts=_rollouts(rng, deployments, days),
        batches=_batches(rng),
        queues=_queues(rng),
        passing=_passing(rng),
        waves=_waves(rng, days),
        growth=float(rng.uniform(0.0, 0.03)),
        replicas=int(rng.integers(0, 3)),
        restarts=_pauses(rng, days, step, every=9 * DAY),
        freezes=_pauses(rng, days, step, every=5 * DAY),
        memory_limit=float(rng.choice([0.0, 4.0 * 2**30])),
    )
    return replace(plan, **changes)


def named_groups(plan: Plan) -> list[str]:
    """Labels of the deployments that name their clients and follow load, in the plan's order."""
    return [d.label for d in plan.deployments if d.named and not d.queue and not d.pubsub]


def unnamed_group(plan: Plan) -> str:
    """Label of the largest group of unnamed clients that follow load."""
    sizes: dict[str, float] = {}
    for d in plan.deployments:
        if not d.named and not d.pubsub:
            sizes[d.label] = sizes.get(d.label, 0.0) + d.busy * d.replicas
    return max(sizes, key=lambda label: sizes[label])


def _deployments(rng: np.random.Generator) -> tuple[Deployment, ...]:
    """Services drawn by chance, their pools sized so that the whole comes near `TYPICAL`."""
    drawn = [_service(rng, name) for name in _names(rng)]
    workers = [
        Deployment(
            f"{queue}-worker",
            Workers(slots, int(rng.integers(1, 3))),
            float(slots),
            int(rng.integers(3, 7)),
            queue=queue,
        )
        for queue, slots in zip(("encode", "notify"), rng.integers(4, 11, 2).tolist(), strict=True)
    ]
    rest = TYPICAL - sum(d.replicas * (d.busy + 1) for d in workers)
    scale = rest / sum(_held(d) for d in drawn)
    return (*workers, *(replace(d, busy=d.busy * scale, pool=_scaled(d.pool, scale)) for d in drawn))


def _names(rng: np.random.Generator) -> list[str]:
    """Services by name; there is always an `api`, which names its clients, and a `web`, which does not."""
    names = ["checkout", "status", "search", "mailer", "admin", "assets", "billing", "gateway"]
    return ["api", "web", *(str(name) for name in rng.permutation(names)[: int(rng.integers(3, 6))])]


def _service(rng: np.random.Generator, name: str) -> Deployment:
    """One deployment; 60 % of them do not name their clients."""
    busy = float(rng.uniform(3.0, 12.0))
    warm = round(busy * float(rng.uniform(0.5, 1.6)))
    pools: list[Pool] = [
        Mark(limit=round(4 * busy)),
        Mark(limit=round(3 * busy), warm=warm),
        Elastic(limit=round(5 * busy), idle_timeout=float(rng.choice([60.0, 300.0, 600.0]))),
        Elastic(limit=round(5 * busy), warm=warm, lifetime=float(rng.choice([1200.0, 1800.0, 3600.0]))),
        Sessions(lifetime=float(rng.uniform(300.0, 3000.0))),
    ]
    always = name in ("api", "web")
    kind = int(rng.integers(0, len(pools) - always))
    sessions = kind == len(pools) - 1
    named = name == "api" if always else bool(rng.random() < 0.4)
    return Deployment(
        name,
        pools[kind],
        busy,
        replicas=int(rng.integers(3, 13)),
        named=named,
        scales=bool(rng.random() < 0.5),
        block=f"10.{rng.integers(1, 9)}.{rng.integers(0, 250)}",
        command="subscribe" if sessions else str(rng.choice(["get", "set", "evalsha", "hgetall", "info", "expire"])),
        pubsub=sessions,
        nat=bool(rng.random() < 0.2),
    )


def _held(deployment: Deployment) -> float:
    """About how many connections it holds at load 1: peaks of a Poisson number are above its mean."""
    spare = 1.0 if isinstance(deployment.pool, Sessions) else 2.5
    return deployment.replicas * (deployment.busy + spare * math.sqrt(deployment.busy))


def _scaled(pool: Pool, scale: float) -> Pool:
    if isinstance(pool, Mark | Elastic):
        return replace(pool, limit=max(4, round(pool.limit * scale)), warm=round(pool.warm * scale))
    return pool


def _rollouts(
    rng: np.random.Generator, deployments: tuple[Deployment, ...], days: float
) -> dict[str, tuple[Rollout, ...]]:
    """2-6 deploys on each working day, mostly in working hours, one or none on others."""
    styles = get_args(Style)
    habit = {d.service: str(rng.choice(styles, p=[0.35, 0.35, 0.2, 0.1])) for d in deployments}
    planned: dict[str, list[Rollout]] = {d.service: [] for d in deployments}
    for day in range(int(np.ceil(days))):
        deploys = int(rng.integers(2, 7)) if day % 7 < 5 else int(rng.integers(0, 2))
        for service in rng.choice(list(planned), deploys).tolist():
            hour = float(np.clip(rng.normal(14.0, 3.0), 0.5, 23.0))
            style: Any = habit[service]
            planned[service].append(Rollout(MONDAY + day * DAY + hour * HOUR, style))
    return {service: tuple(sorted(rollouts, key=lambda r: r.time)) for service, rollouts in planned.items()}


def _batches(rng: np.random.Generator) -> tuple[Batch, ...]:
    report = Batch("report-batch", *_when(rng, 1.0, 4.0), int(rng.integers(10, 40)), 3, "notify", 40_000)
    return (report, Batch("backup", *_when(rng, 4.0, 6.0), int(rng.integers(2, 6)), 2, "encode", 4_000))


def _when(rng: np.random.Generator, earliest: float, latest: float) -> tuple[float, float]:
    return float(rng.uniform(earliest, latest)), float(rng.uniform(0.7, 2.5))


def _queues(rng: np.random.Generator) -> tuple[Queue, ...]:
    return (
        Queue("encode", float(rng.uniform(1.0, 4.0)), float(rng.uniform(0.35, 0.6))),
        Queue("notify", float(rng.uniform(5.0, 15.0)), float(rng.uniform(0.35, 0.6))),
    )


def _passing(rng: np.random.Generator) -> tuple[Churn, ...]:
    """A script that connects for each request, and crons whose connections live for seconds."""
    forever = (MONDAY, MONDAY + 10_000 * DAY)
    return (
        Churn("cron", *forever, per_second=float(rng.uniform(0.05, 0.3)), life=float(rng.uniform(2.0, 8.0))),
        Churn("php", *forever, per_second=float(rng.uniform(0.5, 6.0)), life=float(rng.uniform(0.05, 0.3))),
    )


def _waves(rng: np.random.Generator, days: float) -> tuple[Wave, ...]:
    """Each week a sharp spike of traffic, and every other week a campaign that lasts for a day or two."""
    waves = []
    for week in range(int(np.ceil(days / 7))):
        at = MONDAY + week * 7 * DAY + float(rng.uniform(1.0, 6.5)) * DAY
        waves.append(
            Wave(at, float(rng.uniform(60, 600)), float(rng.uniform(600, 3600)), 1200.0, float(rng.uniform(1.5, 2.5)))
        )
        if week % 2:
            at = MONDAY + week * 7 * DAY + float(rng.uniform(0.3, 3.0)) * DAY
            waves.append(Wave(at, 4 * HOUR, float(rng.uniform(12, 40)) * HOUR, 8 * HOUR, float(rng.uniform(1.2, 1.5))))
    return tuple(waves)


def _pauses(rng: np.random.Generator, days: float, step: float, every: float) -> tuple[Span, ...]:
    """Now and then the server restarts, fails over or answers nobody; it is away for less than a poll."""
    times = np.cumsum(rng.exponential(every, 80)) + 2.2 * DAY
    return tuple(
        (MONDAY + t, MONDAY + t + float(rng.uniform(0.1, 0.9)) * step) for t in times.tolist() if t < days * DAY
    )
