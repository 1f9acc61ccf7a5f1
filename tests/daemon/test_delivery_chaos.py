"""Nothing is lost when everything goes wrong at once: a receiver that fails in all ways, a sender that is killed."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from random import Random

import pytest
from aiohttp import web

from tests.daemon.processes import sender
from tests.daemon.sender import LANES
from tests.notifiers.fakes import Fake, serving

EVENTS, KILLS = 400, 6


class Hostile(Fake):
    """Fails three times in ten, in every way; counts what it has processed."""

    def __init__(self) -> None:
        super().__init__()
        self.random = Random(5)
        self.ids: list[tuple[str, str, int]] = []
        """Of each event processed, copies too: its id, lane and sequence."""
        self.progress = asyncio.Condition()
        self.deaf = False
        """Takes requests and neither processes nor answers them: their sender dies waiting."""
        self.unheard = 0

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        answer = super().judge(request, body)
        incident = self.accepted[-1]["data"]["incident"]
        self.ids.append((request.headers["webhook-id"], incident["dedup_key"], self.accepted[-1]["data"]["sequence"]))
        return answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        way = self.random.choices(
            [None, 503, 500, "reset", "reset after", (429, {"Retry-After": "0.02"}, ""), (429, {}, "")],
            [70, 9, 3, 5, 8, 3, 2],
        )[0]
        if self.deaf or way is not None:
            self.modes.append("hang" if self.deaf else way)
        self.unheard += self.deaf
        async with self.progress:
            self.progress.notify_all()
        return await super().handle(request)


@pytest.mark.slow
async def test_all_arrive_in_order_and_copies_have_the_same_id_although_the_sender_is_killed_six_times(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state" / "sentinel.db"
    async with serving(Hostile()) as fake, asyncio.timeout(120):
        assert isinstance(fake, Hostile)
        for kill in range(KILLS):
            goal = EVENTS * (kill + 1) // (KILLS + 2)
            async with sender("tests.daemon.sender", str(state), fake.url, str(EVENTS)), fake.progress:
                await fake.progress.wait_for(lambda goal=goal: len(fake.ids) >= goal)  # type: ignore[misc]
                fake.deaf, fake.unheard = True, 0
                await fake.progress.wait_for(lambda: fake.unheard > 0)
            fake.deaf = False
        async with sender("tests.daemon.sender", str(state), fake.url, str(EVENTS)) as last:
            assert last.stdout is not None
            assert await last.stdout.read() == b"done\n"
    first_seen = list(dict.fromkeys(fake.ids))
    assert {event for event, _, _ in fake.ids} == {f"msg_{number}" for number in range(EVENTS)}
    assert len(first_seen) == EVENTS
    for lane in range(LANES):
        sequences = [sequence for _, key, sequence in first_seen if key == f"lane-{lane}"]
        assert sequences == sorted(sequences)
    assert len(fake.ids) > EVENTS, "nothing was sent twice, so nothing went wrong: the test is too kind"
    database = sqlite3.connect(state)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert database.execute("SELECT state, count(*) FROM outbox GROUP BY state").fetchall() == [("delivered", EVENTS)]
    database.close()
