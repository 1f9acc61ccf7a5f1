"""All destinations at once, each a strict double that fails three times in ten, and a sender that is killed six times.

Nothing is lost, each lane is in order, copies are copies, and the public sees every incident once, to its end.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import groupby
from pathlib import Path
from random import Random
from time import time
from typing import Any

import pytest
from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.daemon.everybody import EVENTS, INCIDENTS, LANES, LIST_LAG, PUBLIC, PUBLIC_INCIDENTS, TOLD, lanes
from tests.daemon.processes import sender
from tests.notifiers.fakes import Fake, serving
from tests.notifiers.fakes.post_office import PostOffice, post_office
from tests.notifiers.fakes.slack_app import FakeSlackApp
from tests.notifiers.members import FAKES
from tests.statuspages.fakes import FakePage
from tests.statuspages.test_pages import FAKES as PAGE_FAKES

KILLS = 6
WAYS: list[Any] = [None, 503, 500, "reset", "reset after", (429, {"Retry-After": "0.02"}, "{}"), (429, {}, "{}")]
WEIGHTS = [70, 9, 3, 5, 8, 3, 2]


class World:
    """What the doubles share: how much was asked so far, and whether anybody still answers."""

    def __init__(self) -> None:
        self.random = Random(17)
        self.asked = 0
        self.deaf = False
        self.unheard = 0
        self.progress = asyncio.Condition()

    async def hear(self) -> None:
        self.asked += 1
        self.unheard += self.deaf
        async with self.progress:
            self.progress.notify_all()

    def way(self) -> Any:
        return "hang" if self.deaf else self.random.choices(WAYS, WEIGHTS)[0]


def hostile(world: World, make: Any) -> Fake:
    """The double of a vendor, in a bad mood; a page's lists do not show what was made just before."""
    made: Fake = make()
    strict_handle, strict_judge = made.handle, made.judge
    born: dict[str, float] = {}

    async def handle(request: web.Request) -> web.StreamResponse:
        if isinstance(made, FakeSlackApp):
            made.clock = max(made.clock, time())  # its history is asked from when a post was first tried
        way = world.way()
        if way is not None:
            made.modes.append(way)
        await world.hear()
        return await strict_handle(request)

    def judge(request: web.Request, body: bytes) -> web.Response:
        assert isinstance(made, FakePage)
        now, whole = asyncio.get_running_loop().time(), made.incidents
        lists = request.method == "GET" or request.path.endswith("get-list")
        names_one = any(name in request.path or name.encode() in body for name in whole)
        if lists and not names_one:
            made.incidents = {name: one for name, one in whole.items() if now - born[name] >= LIST_LAG / 3}
        try:
            return strict_judge(request, body)
        finally:
            made.incidents = whole
            for name in whole:
                born.setdefault(name, now)

    made.handle = handle  # type: ignore[method-assign]
    if isinstance(made, FakePage):
        made.judge = judge  # type: ignore[method-assign]
    return made


def sorry(office: PostOffice, world: World) -> None:
    """A mail server in a bad mood."""
    take = office.handle_DATA

    async def handle(server: SMTP, session: Session, envelope: Envelope) -> str:
        await world.hear()
        if world.deaf:
            await asyncio.Event().wait()
        if (mood := world.random.random()) < 0.2:
            return "451 Try again later"
        office.cut = mood < 0.3
        return await take(server, session, envelope)

    office.handle_DATA = handle  # type: ignore[method-assign]


@asynccontextmanager
async def doors(world: World) -> AsyncIterator[dict[str, Any]]:
    """Every double, by kind."""
    async with AsyncExitStack() as stack:
        found: dict[str, Any] = {}
        for kind, make in {**FAKES, **PAGE_FAKES}.items():
            found[kind] = await stack.enter_async_context(serving(hostile(world, make)))
        found["email"] = await stack.enter_async_context(post_office())
        sorry(found["email"], world)
        yield found


@pytest.mark.slow
async def test_nothing_is_lost_and_nothing_public_is_made_twice(tmp_path: Path) -> None:
    assert EVENTS >= 400
    assert len(list(lanes())) >= 17
    state, world = tmp_path / "state" / "sentinel.db", World()
    async with doors(world) as found, asyncio.timeout(170):
        addresses = {kind: str(double.port) if kind == "email" else double.url for kind, double in found.items()}
        for _ in range(KILLS):
            goal = world.asked + EVENTS // 4
            async with sender("tests.daemon.everybody", str(state), json.dumps(addresses)), world.progress:
                await world.progress.wait_for(lambda goal=goal: world.asked >= goal)  # type: ignore[misc]
                world.deaf, world.unheard = True, 0
                await world.progress.wait_for(lambda: world.unheard >= 3)
            world.deaf = False
        async with sender("tests.daemon.everybody", str(state), json.dumps(addresses)) as last:
            assert last.stdout is not None
            assert await last.stdout.read() == b"done\n"
        for kind in (*TOLD, *PUBLIC):
            check(kind, found[kind])
    database = sqlite3.connect(state)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert database.execute("SELECT state, count(*) FROM outbox GROUP BY state").fetchall() == [("delivered", EVENTS)]
    database.close()


def check(kind: str, double: Any) -> None:
    """What stands at a destination at the end."""
    told = INCIDENTS * LANES
    match kind:
        case "webhook":
            ids = [headers["webhook-id"] for headers in double.headers]
            events = [lane for lane in lanes() if lane[0].destination == "ops/webhook"]
            first = list(
                dict.fromkeys(
                    (body["data"]["incident"]["dedup_key"], body["data"]["sequence"]) for body in double.accepted
                )
            )
            assert len(set(ids)) == len(first) == told * 3 < len(ids)
            for lane in events:
                key = lane[0].incident.dedup_key
                assert [number for name, number in first if name == key] == [each.incident.sequence for each in lane]
        case "pagerduty":
            assert double.open == {}
            for lane in range(LANES):
                actions = [
                    event["event_action"] for event in double.accepted if event["dedup_key"] == f"pagerduty-{lane}"
                ]
                assert [action for action, _ in groupby(actions)] == ["trigger", "resolve"] * INCIDENTS
        case "opsgenie":
            assert (double.open, len(double.closed)) == ({}, told)
        case "slack_app":
            assert len(double.parents) == told
        case "alertmanager":
            assert len(double.held) >= LANES
            assert all("endsAt" in alert for alert in double.held.values())
        case "email":
            copies = Counter(mail["Message-ID"] for mail in double.mails)
            assert len(copies) == told * 3
        case "slack" | "teams":
            assert len(double.accepted) >= told * 3
        case "discord" | "telegram":
            assert len(double.messages) >= told
        case _:
            check_public(kind, double)


def check_public(kind: str, page: FakePage) -> None:
    """Each incident was made once, tells of each stage in order and once, and is over."""
    assert len(page.incidents) == PUBLIC_INCIDENTS, kind
    for identity in page.incidents:
        stages = page.stages(identity)
        assert stages[-1] == "resolved", (kind, stages)
        assert "resolved" not in stages[:-1], (kind, stages)
        assert len(stages) == 4, (kind, stages)
    set_to = {str(status) for status in page.components.values()} - {""}
    assert set_to <= {"operational", "OPERATIONAL", "1"}, (kind, set_to)
