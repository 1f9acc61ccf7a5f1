"""A sender for the chaos test: commits events from where the file says it is, delivers, and may be killed any time.

Run as `python sender.py STATE URL EVENTS`. Prints `ready` when it has begun and `done` when nothing is left.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from random import Random
from time import time

from sentinel.delivery import Delivery, DeliverySettings
from sentinel.metrics import Metrics
from sentinel.model import Notification, Reason, Secret
from sentinel.notifiers.webhook import Webhook
from sentinel.store import Store
from tests.notifiers.stories import leak, notification, resolved

LANES = 17
TURNS = (Reason.OPENED, Reason.ESCALATED, Reason.RESOLVED)


def event(number: int) -> Notification:
    """Event `number`: each lane goes through incidents that open, escalate and end."""
    lane, turn = number % LANES, number // LANES
    reason = TURNS[turn % 3]
    identity = {"dedup_key": f"lane-{lane}", "id": f"{lane}-{turn // 3}", "target": f"t{lane}", "sequence": turn}
    incident = (resolved if reason is Reason.RESOLVED else leak)(**identity)
    return notification(reason, incident, event_id=f"msg_{number}")


async def main(state: Path, url: str, events: int) -> None:
    store = Store(state)
    await store.open()
    settings = DeliverySettings(backoff_base=0.01, backoff_cap=0.05, breaker_wait=0.05, breaker_wait_cap=0.05)
    webhook = Webhook(Secret(url))
    delivery = Delivery(store, {"ops/webhook": webhook}, settings, now=time, metrics=Metrics("0"), random=Random())
    running = asyncio.create_task(delivery.run())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for number in range(events):
        await store.commit([event(number).incident], [event(number)], time())
        delivery.wake()
    while len(store.outbox):
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
    sys.stdout.write("done\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
