"""A sender for the chaos test of all destinations: takes up where the file says it is, and may be killed any time.

Run as `python -m tests.daemon.everybody STATE DOORS`, DOORS being JSON of the URL (or port) of each kind.
Prints `ready` when it has begun and `done` when nothing is left. Each lane hears of its next event
when the one before has settled.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from time import time

import sentinel.notifiers.pagerduty
import sentinel.notifiers.slack_app
import sentinel.statuspages.base
from sentinel.delivery import Delivery, DeliverySettings
from sentinel.metrics import Metrics
from sentinel.model import (
    ComponentStatus,
    Incident,
    IncidentState,
    Notification,
    PublicUpdate,
    Reason,
    Stage,
    ulid,
)
from sentinel.notifiers import BY_NAME, Notifier
from sentinel.statuspages import BY_NAME as PAGES
from sentinel.store import Store
from tests.notifiers.members import FAKES, MAKE
from tests.notifiers.stories import NOON, leak, notification
from tests.statuspages.test_pages import FAKES as PAGE_FAKES
from tests.statuspages.test_pages import settings

TOLD = (*FAKES, "email")
PUBLIC = tuple(PAGE_FAKES)
LANES = 2
"""Conditions that each destination of people and machines hears of; a page has one component."""
INCIDENTS = 5
"""Of each condition, one after another."""
PUBLIC_INCIDENTS = 4
LIST_LAG = 0.15
TURNS = (Reason.OPENED, Reason.ESCALATED, Reason.RESOLVED)
STAGES = (
    (Reason.OPENED, Stage.INVESTIGATING, "We are looking into it."),
    (Reason.UPDATED, Stage.INVESTIGATING, "We are still working on it."),
    (Reason.UPDATED, Stage.MONITORING, "It is back to normal."),
    (Reason.RESOLVED, Stage.RESOLVED, "It is over."),
)
EVENTS = len(TOLD) * LANES * INCIDENTS * len(TURNS) + len(PUBLIC) * PUBLIC_INCIDENTS * len(STAGES)


def incident(key: str, number: int, *, over: bool, sequence: int) -> Incident:
    opened = NOON + 3600.0 * number
    changes = {"state": IncidentState.RESOLVED, "resolved": opened + 60.0} if over else {}
    made = leak(
        id=ulid(opened, f"{key} {number}"), dedup_key=key, target=key, opened=opened, updated=opened, sequence=sequence
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def lanes() -> Iterator[list[Notification]]:
    """The events of each lane, in order."""
    for kind in TOLD:
        for lane in range(LANES):
            key = f"{kind}-{lane}"
            yield [
                notification(
                    reason,
                    incident(key, number, over=reason is Reason.RESOLVED, sequence=number * 3 + turn),
                    to=f"ops/{kind}",
                    event_id=f"msg_{key}-{number}-{turn}",
                )
                for number in range(INCIDENTS)
                for turn, reason in enumerate(TURNS)
            ]
    for kind in PUBLIC:
        yield [
            public(kind, number, turn, *stage)
            for number in range(PUBLIC_INCIDENTS)
            for turn, stage in enumerate(STAGES)
        ]


def public(kind: str, number: int, turn: int, reason: Reason, stage: Stage, text: str) -> Notification:
    about = incident(f"public-{kind}", number, over=reason is Reason.RESOLVED, sequence=turn + 1)
    status = ComponentStatus.PARTIAL if stage is Stage.INVESTIGATING else ComponentStatus.OPERATIONAL
    update = PublicUpdate(stage, "Delayed jobs", f"{text} ({number})", (("1001", status),), about.opened)
    event = f"msg_{kind}-{number}-{turn}"
    return Notification("page", f"page/{kind}", reason, about, about.opened, event, public=update)


def destinations(doors: dict[str, str]) -> Iterator[tuple[str, Notifier]]:
    for kind, door in doors.items():
        if kind == "email":
            made = BY_NAME["email"](
                host="127.0.0.1", port=int(door), tls="none", sender="s@a.example", to=("o@a.example",)
            )
        else:
            made = settings(kind, door) if kind in PAGES else MAKE[kind](door)
        object.__setattr__(made, "rate", 1000.0)
        yield f"{'page' if kind in PAGES else 'ops'}/{kind}", made


async def main(state: Path, doors: dict[str, str]) -> None:
    sentinel.statuspages.base.LIST_LAG = sentinel.notifiers.slack_app._LAG = LIST_LAG
    sentinel.notifiers.pagerduty._PATIENCE = 0.02
    store = Store(state)
    await store.open()
    hurried = DeliverySettings(backoff_base=0.01, backoff_cap=0.05, breaker_wait=0.05, breaker_wait_cap=0.05)
    delivery = Delivery(store, dict(destinations(doors)), hurried, now=time, metrics=Metrics("0"), random=Random())
    running = asyncio.create_task(delivery.run())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    waiting = list(lanes())
    while any(waiting) or len(store.outbox):
        busy = {(row.destination, row.lane) for row in store.outbox.rows()}
        idle = [lane for lane in waiting if lane and (lane[0].destination, lane[0].incident.dedup_key) not in busy]
        following = [lane.pop(0) for lane in idle]
        if following:
            kept = [told.incident for told in following if told.public is None]
            await store.commit(kept, following, time())
            delivery.wake()
        else:
            await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
    sys.stdout.write("done\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
