"""The pace of polls, in virtual time."""

from __future__ import annotations

import asyncio
import time
from collections import deque

import pytest

from sentinel.pace import Lateness, keep_pace

pytestmark = pytest.mark.looptime


class Work:
    """Takes as long as its script says, and then no time; remembers when it began."""

    def __init__(self, *takes: float) -> None:
        self._takes = deque(takes)
        self.began: list[float] = []
        self.skipped: list[int] = []
        self.at_once = self.most_at_once = 0

    async def do(self) -> None:
        self.began.append(asyncio.get_running_loop().time())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self._takes.popleft() if self._takes else 0.0)
        self.at_once -= 1

    async def paced(self, until: float, interval: float = 5.0, offset: float = 0.0) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout_at(until):
                await keep_pace(interval, offset, self.do, self.skipped.append)


async def test_work_is_done_at_its_times() -> None:
    work = Work()
    await work.paced(until=16.0)
    assert work.began == [0, 5, 10, 15]


async def test_the_first_time_is_put_off_by_the_offset() -> None:
    work = Work()
    await work.paced(until=13.0, offset=2.0)
    assert work.began == [2, 7, 12]


async def test_how_long_the_work_takes_does_not_shift_its_times() -> None:
    work = Work(*[1.5] * 9)
    await work.paced(until=16.0)
    assert (work.began, work.skipped) == ([0, 5, 10, 15], [])


async def test_times_that_come_while_work_still_runs_are_left_out_and_counted() -> None:
    work = Work(12.0)
    await work.paced(until=21.0)
    assert (work.began, work.skipped) == ([0, 15, 20], [2])


async def test_work_never_runs_twice_at_once() -> None:
    work = Work(*[7.0] * 99)
    await work.paced(until=100.0)
    assert (work.most_at_once, len(work.began), sum(work.skipped)) == (1, 10, 10)


@pytest.mark.looptime(False)
async def test_a_process_that_was_held_up_knows_how_late_it_is_and_forgets_it_again() -> None:
    late = Lateness()
    watching = asyncio.create_task(late.watch(every=0.01))
    await asyncio.sleep(0.02)
    time.sleep(0.3)  # noqa: ASYNC251 - nothing else can run meanwhile: that is the point
    await asyncio.sleep(0.02)
    assert late.seconds > 0.15
    async with asyncio.timeout(10):
        while late.seconds > 0.1:
            await asyncio.sleep(0.01)
    watching.cancel()


async def test_work_that_takes_the_whole_interval_misses_the_next_time() -> None:
    work = Work(5.0)
    await work.paced(until=11.0)
    assert (work.began, work.skipped) == ([0, 10], [1])
