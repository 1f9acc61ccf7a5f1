"""A drill against a running Sentinel: trouble is made, and it is asserted what was told of it, by whom, and how early.

Knows scenarios and a watcher. Must not know how either does its work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sentinel.drill.scenarios import Scenario, Stage, World
from sentinel.drill.watching import Heard, Watcher
from sentinel.model import Seconds

__all__ = ["Report", "StageReport", "exercise"]

_AT_LEAST: Seconds = 25.0
"""The shortest time that a stage may take, whatever the pace: polls and deliveries keep real time."""
_QUIET: Seconds = 40.0
"""How long a look-alike is watched, at least."""
_NAMED_WITHIN: Seconds = 10.0
"""After the alert, in which the culprit may still come to be named."""


@dataclass
class StageReport:
    """What was told of one trouble."""

    passed: bool
    says: str
    heard: Heard | None = None
    delay: Seconds | None = None
    """From the beginning of the trouble to its alert."""
    lead: Seconds | None = None
    """From the alert to the full server, at the pace of the drill."""


@dataclass
class Report:
    """A whole drill."""

    scenario: str
    stages: list[StageReport] = field(default_factory=list)
    others: list[Heard] = field(default_factory=list)
    """What else was told meanwhile."""

    @property
    def passed(self) -> bool:
        """Whether every trouble was told rightly, and nothing of what is none."""
        return bool(self.stages) and all(stage.passed for stage in self.stages)


async def exercise(
    name: str, scenario: Scenario, world: World, watcher: Watcher, tell: Callable[[str], None] = lambda _: None
) -> Report:
    """Make the trouble, stage by stage, and give what was told of it."""
    report = Report(name)
    async with meanwhile(watcher.run()):
        for stage in scenario.stages:
            usual = stage.usual / world.scale
            if usual:
                tell(f"ordinary life first, for {usual:.0f} s")
                await asyncio.sleep(usual)
            tell(scenario.says if len(scenario.stages) == 1 else f"{scenario.says}: {stage.culprit}")
            play = _play if stage.causes else _play_quiet
            report.stages.append(await play(stage, world, watcher))
            await world.victim.close()
            if not report.stages[-1].passed:
                break
    right = {stage.heard.incident["id"] for stage in report.stages if stage.heard}
    report.others = [heard for heard in watcher.heard if heard.incident["id"] not in right]
    return report


async def _play(stage: Stage, world: World, watcher: Watcher) -> StageReport:
    loop = asyncio.get_running_loop()
    begun, before = loop.time(), {heard.incident["id"] for heard in watcher.heard}
    lasts = max(_AT_LEAST, stage.lasts / world.scale)

    def right(heard: Heard) -> bool:
        return heard.incident["id"] not in before and heard.cause in stage.causes and heard.severity != "info"

    async with meanwhile(_endlessly(stage.make(world))):
        try:
            async with asyncio.timeout(lasts):
                heard = await watcher.first(right)
        except TimeoutError:
            return StageReport(False, _missed(stage, lasts, watcher, before))
        heard, lead = await _named(stage, watcher, heard, right), _lead(stage, world)
    report = StageReport(True, heard.says, heard, heard.at - begun, lead)
    if stage.culprit and stage.culprit not in heard.culprit:
        report.passed, report.says = (
            False,
            f"{heard.cause} was told, but the culprit was {heard.culprit or 'not named'}",
        )
    elif lead is not None and lead <= 0:
        report.passed, report.says = False, f"{heard.cause} was told only when the server was full"
    return report


async def _named(stage: Stage, watcher: Watcher, heard: Heard, right: Callable[[Heard], bool]) -> Heard:
    """The alert that names the right one, if it comes within a moment; else the first."""
    try:
        async with asyncio.timeout(_NAMED_WITHIN if stage.culprit else 0):
            return await watcher.first(lambda each: right(each) and stage.culprit in each.culprit)
    except TimeoutError:
        return heard


async def _play_quiet(stage: Stage, world: World, watcher: Watcher) -> StageReport:
    before = {heard.incident["id"] for heard in watcher.heard}
    async with meanwhile(_endlessly(stage.make(world))):
        await asyncio.sleep(max(_QUIET, stage.lasts / world.scale))
    told = [each for each in watcher.heard if each.incident["id"] not in before and each.severity != "info"]
    if watcher.failing:
        return StageReport(False, f"Sentinel does not answer at {watcher.where} ({watcher.failing})")
    if told:
        return StageReport(False, f"{told[0].cause} was told: {told[0].says}", told[0])
    return StageReport(True, "nothing was told, and rightly so")


def _missed(stage: Stage, lasts: Seconds, watcher: Watcher, before: set[str]) -> str:
    if watcher.failing:
        return f"Sentinel does not answer at {watcher.where} ({watcher.failing})"
    others = sorted({each.cause for each in watcher.heard if each.incident["id"] not in before})
    text = f"nothing of {' or '.join(sorted(stage.causes))} was told in {lasts:.0f} s"
    return f"{text}; told was {', '.join(others)}" if others else text


def _lead(stage: Stage, world: World) -> Seconds | None:
    return (world.room - world.victim.held) / stage.fills if stage.fills else None


async def _endlessly(made: Any) -> None:
    """A trouble that has reached its bound stays as it is until it is no longer needed."""
    await made
    await asyncio.Event().wait()


@asynccontextmanager
async def meanwhile(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """What goes on beside the body, and ends with it; if one of them fails, the body does."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        yield
        for task in tasks:
            task.cancel()
