"""Whether all that Sentinel does works, told to whoever waits for it: the dead man's switch.

A round works when every target was read a short while ago, or is said to be down by an open incident of its own; when
what the pipeline has to do by time is done; when the state file took a write just now; and when no notification is
stuck. It is given half of its interval for that: a poll may time out, and an outage takes its time to be told. A round
that does not work is told as failed, with the reasons; one that cannot be told is not told later.

Knows rounds and switches. Must not know protocols, nor how any of it is done: the daemon says how it stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import aiohttp

from sentinel.logs import log
from sentinel.metrics import Metrics
from sentinel.model import Seconds
from sentinel.notifiers.base import DeliveryError
from sentinel.notifiers.http import open_session
from sentinel.notifiers.wording import cut
from sentinel.pace import keep_pace
from sentinel.switches import Round, Switch
from sentinel.web.view import TargetState

__all__ = ["DOWN", "Stand", "keep_telling", "troubles"]

DOWN: Final = frozenset({"unreachable", "frozen", "refused"})
"""Causes that say of a target that it cannot be read."""

_logger = logging.getLogger(__name__)
_OVERDUE: Seconds = 30.0
"""How late the pipeline may come to what is due by time."""
_AGAIN: Seconds = 1.0
"""From one look to the next, while a round is not complete."""
_MOST = 500
"""Characters of the reasons."""


@dataclass(frozen=True, slots=True)
class Stand:
    """How the daemon stands at one moment.

    Args:
        targets: Each with when it was sampled last.
        read: When a sampler of each got something from it; those of which nothing was ever read are missing.
        down: Targets of which an open incident says that they cannot be read (`DOWN`).
        deadline: When the pipeline has something to do by time next; None for never.
        failing: What is wrong with the disk; empty if nothing.
        waiting: Seconds that the oldest notification has waited, by destination.
    """

    targets: Mapping[str, TargetState]
    read: Mapping[str, float]
    down: frozenset[str]
    deadline: float | None
    failing: str
    waiting: Mapping[str, Seconds]


def troubles(stand: Stand, now: float, max_outbox_age: Seconds) -> Iterator[str]:
    """What does not work, a few words each; nothing if all does."""
    for name, target in stand.targets.items():
        if (why := target.late(now)) is not None:
            yield f"{name}: {why}"
        elif name not in stand.down and TargetState(stand.read.get(name), target.interval).late(now) is not None:
            yield f"{name}: cannot be read, and no incident says so"
    if stand.deadline is not None and now - stand.deadline > _OVERDUE:
        yield f"what was due {now - stand.deadline:.0f} s ago is not done"
    if stand.failing:
        yield "state cannot be saved"
    for destination, age in stand.waiting.items():
        if age > max_outbox_age:
            yield f"a notification for {destination} has waited for {age:.0f} s"


async def keep_telling(
    name: str,
    switch: Switch,
    stand: Callable[[], Awaitable[Stand]],
    now: Callable[[], float],
    metrics: Metrics,
) -> None:
    """Tell a switch of round after round, until cancelled.

    Args:
        name: Of the switch.
        switch: As configured.
        stand: Gives how the daemon stands, after a write to its state file.
        now: Gives Unix seconds.
        metrics: Counts pings by what they said and how they went.
    """
    try:
        session = open_session(switch)
    except OSError as error:
        said = {"switch": name, "why": error.strerror}
        log(_logger, logging.ERROR, "A dead man's switch cannot be told: its certificates cannot be loaded", **said)
        return
    async with session:
        teller = _Teller(name, switch, stand, now, metrics, session)
        await keep_pace(switch.interval, 0.0, teller.tell_a_round, lambda missed: None)


@dataclass
class _Teller:
    """Rounds of one switch."""

    name: str
    switch: Switch
    stand: Callable[[], Awaitable[Stand]]
    now: Callable[[], float]
    metrics: Metrics
    session: aiohttp.ClientSession
    _said: str = ""

    async def tell_a_round(self) -> None:
        loop = asyncio.get_running_loop()
        began, identity = loop.time(), uuid4()
        if self.switch.told_of_starts:
            await self._ping("start", self.switch.begin, Round(identity, self.now()))
        trouble = await self._trouble()
        done = Round(identity, self.now(), trouble, loop.time() - began)
        why = await self._ping("fail" if trouble else "success", self.switch.end, done)
        self._say(why or trouble)
        if not why and not trouble:
            self.metrics.switch_told_seconds.labels(switch=self.name).set(done.now)

    async def _trouble(self) -> str:
        """What does not work although it was given its time."""
        found = ["how it stands cannot be said"]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.switch.interval / 2):
                while True:
                    found = list(troubles(await self.stand(), self.now(), self.switch.max_outbox_age))
                    if not found:
                        break
                    await asyncio.sleep(_AGAIN)
        return cut("; ".join(found), _MOST)

    async def _ping(
        self, signal: str, tell: Callable[[aiohttp.ClientSession, Round], Awaitable[None]], round_: Round
    ) -> str:
        """Why it could not be told; empty if it was."""
        outcome, why = "ok", ""
        try:
            await tell(self.session, round_)
        except DeliveryError as error:
            outcome, why = error.outcome.value, str(error)
        except Exception as error:  # noqa: BLE001 - as with a notification: a bug in a ping must not end the watching
            outcome, why = "bug", f"{type(error).__name__} in the {self.switch.kind} switch: please report it"
        self.metrics.switch_pings.labels(switch=self.name, signal=signal, outcome=outcome).inc()
        return why

    def _say(self, why: str) -> None:
        """That it began and that it ended; not each word of it in between, which holds seconds that grow."""
        if why and not self._said:
            log(_logger, logging.WARNING, "A dead man's switch is not told that all works", switch=self.name, why=why)
        elif self._said and not why:
            log(_logger, logging.INFO, "A dead man's switch is told again that all works", switch=self.name)
        self._said = why
