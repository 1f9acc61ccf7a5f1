"""What only looks like trouble with queues and workers: all causes that judge them look on, and wake nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sentinel.model import Finding, Poll, Sample, Severity, labels
from sentinel.pipeline.diagnosis import Diagnosis, windows
from sentinel.pipeline.diagnosis.backlog import Backlog
from sentinel.pipeline.diagnosis.failing_jobs import FailingJobs
from sentinel.pipeline.diagnosis.idle_spin import IdleSpin
from sentinel.pipeline.diagnosis.lost_workers import LostWorkers
from sentinel.pipeline.diagnosis.stall import Stall
from sentinel.pipeline.series import SeriesStore
from tests.pipeline.diagnosis.queue_world import START, UP, of

DAY = 86400
HOUR = 3600
Look = tuple[float, list[Sample]]
Story = Callable[[], Iterator[Look]]
QUEUE = labels(queue="encode", system="rq")


def queue(**values: float) -> list[Sample]:
    return [of(f"queue_{name}", value, QUEUE) for name, value in values.items()]


def fleet(ages: dict[str, float]) -> list[Sample]:
    group = labels(group="encode", system="rq")
    beats = [
        of("heartbeat_age_seconds", age, labels(group="encode", system="rq", worker=name)) for name, age in ages.items()
    ]
    return [*beats, of("heartbeat_dead_after_seconds", 15.0, group)]


def findings(story: Iterator[Look]) -> list[Finding]:
    """Everything that is at least a warning."""
    causes = {cause.name: cause for cause in (Stall(), Backlog(), LostWorkers(), FailingJobs(), IdleSpin())}
    diagnosis, store = Diagnosis("main", causes), SeriesStore(windows(causes))
    now, bad = START, []
    for after, samples in story:
        now += after
        poll = Poll("main", now, tuple(each._replace(time=now) for each in (*samples, Sample(UP, now, 1.0))))
        store.feed(poll)
        found, _ = diagnosis.judge(poll, store)
        bad += [finding for finding in found if finding.severity >= Severity.WARNING]
    return bad


def used_once_a_day() -> Iterator[Look]:
    """At three in the morning a cron job brings 40 jobs; one worker needs ten minutes for them. Else nothing."""
    done = 0.0
    for second in range(0, 3 * DAY, 15):
        since = second % DAY - 3 * HOUR
        waiting = max(0.0, 40.0 - since // 15) if since >= 0 else 0.0
        done += 1.0 if 0 <= since < 600 else 0.0
        age = float(since) if waiting else 0.0
        yield 15.0, queue(depth=waiting, completed_total=done, oldest_age_seconds=age, consumers=1.0)


def scaled_to_zero() -> Iterator[Look]:
    """Three workers until noon, then none; jobs of tomorrow are there all the time."""
    for second in range(0, DAY, 15):
        here = 3.0 if second < DAY / 2 else 0.0
        beats = {f"w{number}": float(second % 10) for number in range(int(here))}
        yield 15.0, [*queue(depth=0.0, eligible=0.0, delayed=5000.0, consumers=here), *fleet(beats)]


def a_million_delayed() -> Iterator[Look]:
    """They are enqueued within an hour, for next week."""
    for number in range(1440):
        delayed = min(1_000_000.0, number * 4167.0)
        yield 15.0, queue(depth=0.0, eligible=0.0, delayed=delayed, oldest_age_seconds=0.0, consumers=3.0)


def rolling_restart() -> Iterator[Look]:
    """Ten workers; after an hour, one after another signs off and another comes in its place."""
    names, done = [f"w{number}" for number in range(10)], 0.0
    for number in range(720):
        if 360 <= number < 400 and number % 4 == 0:
            names = [*names[1:], f"new{number}"]
        done += 8.0
        beats = {name: float((5 * number + place) % 10) for place, name in enumerate(names)}
        yield 5.0, [*queue(depth=float(number % 4), completed_total=done, consumers=10.0), *fleet(beats)]


def scale_in() -> Iterator[Look]:
    """Of ten workers, seven sign off at once, as there is little to do."""
    done = 0.0
    for number in range(720):
        here, done = (10 if number < 360 else 3), done + 2.0
        beats = {f"w{place}": float((5 * number + place) % 10) for place in range(here)}
        yield 5.0, [*queue(depth=float(number % 2), completed_total=done, consumers=float(here)), *fleet(beats)]


def quiet_night() -> Iterator[Look]:
    """Nothing to do from ten to six."""
    done = 0.0
    for second in range(0, 2 * DAY, 15):
        day = 6 * HOUR <= second % DAY < 22 * HOUR
        done += 30.0 if day else 0.0
        beats = {f"w{place}": float((second + place) % 10) for place in range(5)}
        yield 15.0, [*queue(depth=float(second % 4) * day, completed_total=done, consumers=5.0), *fleet(beats)]


def nightly_bulk() -> Iterator[Look]:
    """A thousand jobs at one, done within forty minutes, each night."""
    done = 0.0
    for second in range(0, 3 * DAY, 15):
        since = second % DAY - HOUR
        waiting = max(0.0, 1000.0 - since / 2.4) if since >= 0 else 0.0
        done += 6.0 if waiting else 1.0
        age = float(since) if waiting else 0.0
        yield 15.0, queue(depth=waiting, completed_total=done, oldest_age_seconds=age, consumers=3.0)


def paused_each_night() -> Iterator[Look]:
    """From one to three, with what came in meanwhile; the second night and the third."""
    done = 0.0
    for second in range(0, 3 * DAY, 60):
        since = second % DAY - HOUR
        paused = 0 <= since < 2 * HOUR
        waiting = 1.0 + since // 600 if paused else 0.0
        done += 0.0 if paused else 20.0
        yield 60.0, queue(depth=waiting, completed_total=done, paused=float(paused), consumers=3.0)


def retries() -> Iterator[Look]:
    """Three of a hundred jobs fail and are tried again later: the set of them grows and shrinks."""
    done = failed = 0.0
    for number in range(2880):
        done, failed = done + 97.0, failed + 3.0
        waiting = 200.0 + 150.0 * (number // 200 % 2)
        yield (
            15.0,
            queue(depth=float(number % 5), delayed=waiting, completed_total=done, failed_total=failed, consumers=3.0),
        )


STORIES: list[Story] = [
    used_once_a_day,
    scaled_to_zero,
    a_million_delayed,
    rolling_restart,
    scale_in,
    quiet_night,
    nightly_bulk,
    retries,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_look_alike_wakes_nobody(story: Story) -> None:
    assert findings(story()) == []


def test_a_queue_that_is_always_paused_at_night_wakes_nobody_from_the_second_night_on() -> None:
    assert [found for found in findings(paused_each_night()) if found.time > START + DAY] == []


def test_the_same_causes_do_see_what_is_no_look_alike() -> None:
    """The control: a rolling restart in which nobody signs off, and a queue of once a day whose worker is dead."""

    def silent() -> Iterator[Look]:
        for number in range(720):
            old = {
                f"w{place}": 5.0 * max(0, number - 360) + (0.0 if number > 360 else number % 2) for place in range(10)
            }
            yield 5.0, fleet(old)

    def dead() -> Iterator[Look]:
        for number, (after, samples) in enumerate(used_once_a_day()):
            hung = number > (DAY + 3 * HOUR) // 15
            yield after, queue(depth=40.0, completed_total=40.0, consumers=1.0) if hung else samples

    assert {found.source for found in findings(silent())} == {"lost_workers"}
    assert "stall" in {found.source for found in findings(dead())}
