"""What is public, and what waits for a person, over HTTP: with a real pipeline behind the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import pytest

from sentinel.pipeline import Step
from sentinel.pipeline.actions import Action
from sentinel.pipeline.publishing import Published
from sentinel.web import make_app, serve
from tests.pipeline.test_publishing import Piped
from tests.web.test_pages import Daemon

PATH = "/api/v1/status-pages"


class Desk(Daemon):
    """A daemon whose status page has a draft waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.piped = Piped("draft")
        self.piped.wait(400, 20.0)
        self.steps: list[Step] = []

    def now(self) -> float:
        return self.piped.now

    def published(self) -> Sequence[tuple[Published, str, str]]:
        return self.piped.pipeline.published()

    async def act(self, action: Action) -> Step:
        self.steps.append(self.piped.pipeline.act(action))
        return self.steps[-1]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def base(desk: Desk) -> AsyncIterator[str]:
    async with serve(make_app(desk), "127.0.0.1", 0) as (host, port):
        yield f"http://{host}:{port}{PATH}"


async def ask(method: str, url: str, body: object = None) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as answer:
        return answer.status, await answer.json()


async def only(base: str) -> dict[str, Any]:
    _, found = await ask("GET", base)
    (one,) = found["published"]
    return dict(one)


async def test_a_draft_is_listed_with_the_exact_text(base: str) -> None:
    one = await only(base)
    assert (one["state"], one["title"]) == ("draft", "Delays in Background jobs")
    assert one["message"] == "Background jobs may be slower than usual. We are looking into it."


async def test_an_approved_draft_goes_out_and_is_public(desk: Desk, base: str) -> None:
    ref = (await only(base))["ref"]
    status, _ = await ask("POST", f"{base}/{ref}/approve", {"by": "ada"})
    assert status == 200
    assert [each.destination for each in desk.steps[0].notifications] == ["page/customers"]
    assert (await only(base))["state"] == "investigating"


async def test_a_withdrawn_draft_is_gone(base: str) -> None:
    ref = (await only(base))["ref"]
    await ask("POST", f"{base}/{ref}/withdraw", {"by": "ada"})
    assert (await ask("GET", base))[1]["published"] == []


async def test_a_link_alone_publishes_nothing(desk: Desk, base: str) -> None:
    ref = (await only(base))["ref"]
    status, _ = await ask("GET", f"{base}/{ref}/approve")
    assert (status, desk.steps) == (405, [])


async def test_an_unknown_reference_is_refused_with_those_that_there_are(base: str) -> None:
    ref = (await only(base))["ref"]
    status, found = await ask("POST", f"{base}/SNT-ABCDEF/approve", {"by": "ada"})
    assert status == 400
    assert ref in found["error"]
