"""What is public and was forgotten with the disk is taken up again, to its end; what people have in hand is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sentinel.model import Notification, Stage
from sentinel.notifiers.base import Attempt
from sentinel.notifiers.http import open_session
from sentinel.orphans import sweep
from sentinel.pipeline import ActionError, Pipeline
from sentinel.pipeline.actions import Adopt
from sentinel.pipeline.publishing import public_key
from tests.notifiers.fakes import serving
from tests.pipeline.builders import poll_of
from tests.pipeline.test_publishing import START, Piped
from tests.statuspages.fakes import FakeCachet, FakeGitHub, FakePage, FakeStatuspage
from tests.statuspages.test_pages import NOW, notification, settings

PAGE = "page/customers"
FAKES: dict[str, type[FakePage]] = {
    "statuspage": FakeStatuspage,
    "cachet": FakeCachet,
    "upptime": FakeGitHub,
    "cstate": FakeGitHub,
}


@dataclass
class World:
    """A page on which something is open, and a daemon that has just lost its disk."""

    page: Any
    fake: Any
    piped: Piped = field(default_factory=Piped)
    refused: list[str] = field(default_factory=list)

    async def made(self, *, instance: str = "sentinel", text: str = "Background jobs may be slower than usual. We are "
                   "looking into it.") -> None:  # fmt: skip
        told = notification(Stage.INVESTIGATING, message=text)
        key = public_key(instance, PAGE, "1001")
        await self.tell(replace(told, incident=replace(told.incident, dedup_key=key)))

    async def tell(self, told: Notification, ref: str | None = None) -> str | None:
        async with open_session(self.page) as session:
            return await self.page.notify(session, self.page.message(told), Attempt(told.event_id, NOW, ref)) or ref

    def known(self) -> set[tuple[str, str]]:
        return {(one.page, one.component) for one, _, _ in self.piped.pipeline.published()}

    async def act(self, action: Adopt) -> None:
        try:
            self.piped.pipeline.act(action)
        except ActionError as error:
            self.refused.append(str(error))
            raise

    async def sweep(self) -> bool:
        return await sweep("sentinel", PAGE, self.page, self.known, self.act, lambda: self.piped.now)

    @property
    def stages(self) -> list[str]:
        (identity,) = self.fake.incidents
        return list(self.fake.stages(identity))


@pytest.fixture(params=FAKES)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with serving(FAKES[request.param]()) as fake:
        rule = Piped().settings.pages[0].rules[0]
        yield World(replace(settings(request.param, fake.url), mode="auto", publish=(rule,)), fake)


async def test_what_was_forgotten_is_taken_up_and_ended_once_it_has_been_clear(world: World) -> None:
    await world.made()
    assert await world.sweep()
    assert world.known() == {(PAGE, "1001")}
    told, _ = world.piped.wait(700, 0.0)
    ref = None
    for each in told:
        ref = await world.tell(each, ref)
    assert [each.public.stage for each in told if each.public] == [Stage.MONITORING, Stage.RESOLVED]
    assert (len(world.stages), world.stages[-1]) == (3, "resolved")


async def test_trouble_that_still_is_goes_on_in_the_same_public_incident(world: World) -> None:
    await world.made()
    told, _ = world.piped.wait(400, 20.0)
    assert await world.sweep()
    for each in told:
        await world.tell(each)
    assert len(world.fake.incidents) == 1


async def test_what_a_person_wrote_last_is_left_to_people(world: World) -> None:
    await world.made(text="We found it: a disk is full.")
    assert await world.sweep()
    assert (world.known(), len(world.refused)) == (set(), 1)
    assert "a person wrote last" in world.refused[0]


async def test_another_daemon_s_incidents_are_not_touched(world: World) -> None:
    await world.made(instance="elsewhere")
    assert await world.sweep()
    assert (world.known(), world.refused) == (set(), [])


async def test_what_is_known_is_not_taken_up_again(world: World) -> None:
    await world.made()
    await world.sweep()
    before = world.piped.pipeline.published()
    await world.sweep()
    assert world.piped.pipeline.published() == before


@pytest.mark.parametrize("mode", [503, (200, {}, "<html>"), (200, {}, '{"odd": 1}')])
async def test_a_page_that_cannot_be_looked_through_is_looked_at_again(world: World, mode: Any) -> None:
    await world.made()
    world.fake.modes.append(mode)
    assert not await world.sweep()
    assert await world.sweep()


def test_nothing_is_taken_up_before_all_its_targets_were_seen() -> None:
    piped = Piped()
    piped.pipeline = Pipeline(replace(piped.settings, targets={"main": {}}))
    text = "Background jobs is back to normal. We are watching it."
    with pytest.raises(ActionError, match="main is not seen well enough"):
        piped.pipeline.act(Adopt(START, "sweep", PAGE, "1001", text))
    for second in range(0, 120, 5):
        piped.pipeline.feed(poll_of(START + second, redis_blocked_clients=0.0))
    piped.pipeline.act(Adopt(START + 120.0, "sweep", PAGE, "1001", text))
    assert len(piped.pipeline.published()) == 1
