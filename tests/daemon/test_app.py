"""The loops of the daemon in virtual time: servers and receivers play what they are told, the state is on the disk."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from detectors.ewma import Ewma
from sentinel import app
from sentinel.clock import Clock
from sentinel.config import ConfigError, Overrides, Settings, load
from sentinel.metrics import Metrics
from sentinel.model import Notification, Poll, Reason, Sample, Series, Severity, labels
from sentinel.notifiers.base import Attempt, Message
from sentinel.pipeline import Destination, Route, Rule
from sentinel.samplers.target import TargetSettings

pytestmark = pytest.mark.looptime

NOON = 1764072000.0
A, B = "redis://127.0.0.1:1001", "redis://127.0.0.1:1002"


@dataclass
class Server:
    """What targets meet in place of a server, under any name."""

    takes: deque[float] = field(default_factory=deque)
    """Seconds that each poll takes, in order; then none."""
    metrics: dict[str, float] = field(default_factory=dict)
    polled: list[tuple[float, str]] = field(default_factory=list)
    """When, in loop time, and of which target."""
    opened: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """Notes that the next poll leaves."""
    raises: deque[Exception] = field(default_factory=deque)
    times_out: bool = False

    def times(self, target: str) -> list[float]:
        return [at for at, name in self.polled if name == target]


class Target:
    """A target's outside."""

    def __init__(self, server: Server, settings: TargetSettings) -> None:
        self.settings, self.server = settings, server
        server.opened.append(settings.name)

    async def poll(self, now: float) -> Poll:
        self.server.polled.append((asyncio.get_running_loop().time(), self.settings.name))
        await asyncio.sleep(self.server.takes.popleft() if self.server.takes else 0.0)
        if self.server.raises:
            raise self.server.raises.popleft()
        samples = [Sample(Series(metric), now, value) for metric, value in self.server.metrics.items()]
        samples.append(Sample(Series("sampler_up", labels(sampler="info")), now, float(not self.server.times_out)))
        if self.server.times_out:
            samples.append(Sample(Series("sampler_failed", labels(sampler="info", reason="timeout")), now, 1.0))
        return Poll(self.settings.name, now, tuple(samples))

    def notes(self) -> list[str]:
        notes, self.server.told = self.server.told, []
        return notes

    async def close(self) -> None:
        self.server.closed.append(self.settings.name)


class Receiver:
    """A notifier that remembers, and takes as long as it is told."""

    kind: ClassVar[str] = "player"
    reasons: ClassVar[frozenset[Reason]] = frozenset(Reason)
    rate: ClassVar[float] = 1000.0
    pages: ClassVar[bool] = False
    min_severity = Severity.INFO

    def __init__(self) -> None:
        self.takes = 0.0
        self.heard: list[tuple[str, str]] = []
        """Reason and event id, when the exchange ended."""
        self.began: list[str] = []
        """Event ids, when each exchange began."""

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        return Message(notification.reason.value.encode())

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        self.began.append(attempt.event_id)
        await asyncio.sleep(self.takes)
        self.heard.append((message.body.decode(), attempt.event_id))
        return None


@dataclass
class Late:
    """How late the process is; in virtual time it is as late as it is told."""

    seconds: float = 0.0

    async def watch(self) -> None:
        await asyncio.Event().wait()


class House:
    """A daemon, and the world around it."""

    def __init__(self, state: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.server, self.receiver = Server(), Receiver()
        self.state, self._caplog = state, caplog
        self.settings = self.configured(A)
        self.loads: deque[Callable[[], Settings]] = deque()
        """What a reload finds; the settings as they are when this is empty."""
        self.wall_is_off = 0.0
        self.running: asyncio.Task[None] | None = None
        self.metrics: list[Metrics] = []
        """Those of each daemon so far."""

    def configured(self, *urls: str, **changes: Any) -> Settings:
        """One rule on `level`, that fires at once when it is unusual, and one receiver."""
        found = load(None, Overrides(urls=urls, interval=5, listen="off", state_dir=str(self.state)), {})
        rule = Rule("unusual", "level", Ewma, threshold=8.0, for_=0.0, severity=Severity.WARNING)
        pipeline = replace(
            found.pipeline,
            rules=(rule,),
            routes=(Route("ops", repeat_interval=600.0),),
            destinations=(Destination("ops", "ops/player", Severity.INFO, frozenset(Reason)),),
        )
        return replace(found, pipeline=pipeline, notifiers={"ops/player": self.receiver}, **changes)

    def load(self) -> Settings:
        return self.loads.popleft()() if self.loads else self.settings

    def measured(self, *arguments: Any, **options: Any) -> Metrics:
        """Makes the metrics of a daemon, and keeps hold of them."""
        self.metrics.append(Metrics(*arguments, **options))
        return self.metrics[-1]

    async def counted(self, name: str, **wanted: str) -> float:
        """The sum of a metric of the daemon that runs, over all its series with these labels."""
        text = (await self.metrics[-1].exposition()).decode()
        lines = (line for family in text_string_to_metric_families(text) for line in family.samples)
        return sum(line.value for line in lines if line.name == name and wanted.items() <= line.labels.items())

    def said(self, text: str) -> list[dict[str, Any]]:
        """Fields of the lines with this text."""
        return [getattr(record, "fields", {}) for record in self._caplog.records if record.getMessage() == text]

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[asyncio.Task[None]]:
        """A daemon that is told to stop at the end."""
        loop = asyncio.get_running_loop()
        clock = Clock(lambda: NOON + loop.time() + self.wall_is_off, loop.time)
        running = self.running = asyncio.create_task(app.run(self.load, clock))
        try:
            await self.until(lambda: self.said("Watching"))
            yield running
            if not running.done():
                os.kill(os.getpid(), signal.SIGTERM)
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self._caplog.clear()

    async def reload(self) -> None:
        """Told to read its configuration again, and done with it."""
        assert self.running is not None
        assert not self.running.done(), "the signal would end the tests"
        before = len(self.said("Reloaded")), len(self.said("The new configuration cannot be used; the old one stays"))
        os.kill(os.getpid(), signal.SIGHUP)
        await self.until(
            lambda: (
                before
                != (
                    len(self.said("Reloaded")),
                    len(self.said("The new configuration cannot be used; the old one stays")),
                )
            )
        )

    @staticmethod
    async def until(holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(120):
            while not holds():
                await asyncio.sleep(0.01)

    async def learn(self, level: float = 10.0, seconds: float = 300.0) -> None:
        """A usual level, for long enough to be known."""
        for step in range(int(seconds / 5)):
            self.server.metrics["level"] = level + step % 2
            await asyncio.sleep(5)

    async def surprise(self) -> None:
        """A level that nobody would call usual, polled once."""
        self.server.metrics["level"] = 1e6
        await asyncio.sleep(5)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> House:
    made = House(tmp_path / "state", caplog)
    monkeypatch.setattr(app, "Target", lambda settings, _: Target(made.server, settings))
    monkeypatch.setattr(app, "Metrics", made.measured)
    monkeypatch.setattr(app, "Lateness", Late)
    monkeypatch.setattr(app, "configure", lambda *_, **__: None)
    caplog.set_level(logging.INFO, "sentinel")
    return made


# Polls


async def test_targets_are_polled_at_their_interval_each_at_a_moment_of_its_own(house: House) -> None:
    house.settings = house.configured(A, B)
    async with house.daemon():
        await asyncio.sleep(11)
    first, second = (house.server.times(name) for name in ("127.0.0.1:1001", "127.0.0.1:1002"))
    assert [round(b - a, 1) for a, b in zip(first, second, strict=False)] == [2.5] * len(second)
    assert {round(b - a, 1) for a, b in pairwise(first)} == {5.0}


async def test_a_slow_target_does_not_hold_up_another(house: House) -> None:
    house.settings = house.configured(A, B)
    house.server.takes.extend([60.0, 0.0])
    async with house.daemon():
        await asyncio.sleep(31)
    assert (len(house.server.times("127.0.0.1:1001")), len(house.server.times("127.0.0.1:1002"))) == (1, 6)


async def test_polls_that_were_left_out_are_counted_for_their_target(house: House) -> None:
    house.server.takes.append(12.0)
    async with house.daemon():
        await asyncio.sleep(16)
        assert await house.counted("sentinel_polls_skipped_total", target="127.0.0.1:1001") == 2
    assert [round(at) for at in house.server.times("127.0.0.1:1001")[:2]] == [0, 15]


async def test_a_poll_that_fails_in_an_odd_way_is_told_and_counted_and_the_next_one_comes(house: House) -> None:
    house.server.raises.append(LookupError("odd"))
    async with house.daemon():
        await asyncio.sleep(6)
        assert await house.counted("sentinel_polls_total", outcome="error") == 1
        assert await house.counted("sentinel_polls_total", outcome="ok") == 1
        assert house.said("A poll failed in a way it should not")[0]["error"] == "LookupError('odd')"


async def test_what_a_target_notes_is_said_with_its_name(house: House) -> None:
    house.server.told = ["info: redis://127.0.0.1:1001: no answer in time"]
    async with house.daemon():
        assert house.said("Sampling changed") == [
            {"target": "127.0.0.1:1001", "note": "info: redis://127.0.0.1:1001: no answer in time"}
        ]


async def test_a_bug_in_the_pipeline_ends_the_daemon(house: House) -> None:
    with pytest.raises(ExceptionGroup):
        async with house.daemon() as running:
            house.server.metrics["level"] = "not a number"  # type: ignore[assignment]
            await asyncio.wait([running], timeout=60)
            assert running.done()


async def test_a_server_that_times_out_is_told(house: House) -> None:
    house.server.times_out = True
    async with house.daemon():
        await house.until(lambda: house.receiver.heard)


async def test_a_time_out_while_this_process_gets_no_time_is_no_evidence_and_is_told_as_such(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "Lateness", lambda: Late(2.0))
    house.server.times_out = True
    async with house.daemon():
        await asyncio.sleep(110)
        assert len(house.said("This process gets too little time; what it misses is no evidence")) == 2
        assert await house.counted("sentinel_polls_total", outcome="late") > 20
    assert house.receiver.heard == []


# Reloads


async def test_a_reload_keeps_the_seats_of_targets_that_did_not_change(house: House) -> None:
    house.settings = house.configured(A, B)
    async with house.daemon():
        house.loads.append(lambda: house.configured(A))
        await house.reload()
        await asyncio.sleep(20)
        assert house.server.closed == ["127.0.0.1:1002"]
        polls = len(house.server.times("127.0.0.1:1002"))
        await asyncio.sleep(20)
        assert len(house.server.times("127.0.0.1:1002")) == polls
    assert house.server.opened == ["127.0.0.1:1001", "127.0.0.1:1002"]
    assert house.server.closed == ["127.0.0.1:1002", "127.0.0.1:1001"]


async def test_a_target_that_changed_is_opened_anew(house: House) -> None:
    async with house.daemon():
        changed = tuple(replace(target, interval=1.0) for target in house.settings.targets)
        house.loads.append(lambda: house.configured(A, targets=changed))
        await house.reload()
        await asyncio.sleep(10)
    assert house.server.opened == ["127.0.0.1:1001"] * 2
    assert len(house.server.times("127.0.0.1:1001")) >= 10


async def test_a_broken_file_keeps_the_old_configuration_and_says_why(house: House) -> None:
    def broken() -> Settings:
        raise ConfigError([])

    async with house.daemon():
        house.loads.append(broken)
        polls = len(house.server.polled)
        await house.reload()
        await asyncio.sleep(11)
        assert len(house.server.polled) >= polls + 2
        assert await house.counted("sentinel_config_reloads_total", outcome="refused") == 1
    assert house.server.opened == ["127.0.0.1:1001"]


async def test_a_reload_goes_on_with_what_was_learnt_and_with_what_was_told(house: House) -> None:
    async with house.daemon():
        await house.learn()
        await house.surprise()
        await house.reload()
        assert [reason for reason, _ in house.receiver.heard] == ["opened"]
        await asyncio.sleep(30)
        house.server.metrics["level"] = 10.0
        await asyncio.sleep(900)
    assert [reason for reason, _ in house.receiver.heard] == ["opened", "repeated", "resolved"]


# Stopping


async def test_a_stop_sends_nothing_twice(house: House) -> None:
    house.receiver.takes = 3.0
    async with house.daemon():
        await house.learn()
        await house.surprise()
        await house.until(lambda: house.receiver.began)
    assert [reason for reason, _ in house.receiver.heard] == ["opened"]
    assert len(house.receiver.began) == 1
    async with house.daemon():
        await asyncio.sleep(20)
    assert len(house.receiver.began) == 1


async def test_a_stop_waits_for_what_is_due_and_no_longer_for_a_receiver_that_hangs(house: House) -> None:
    house.receiver.takes = 1e6
    async with house.daemon() as running:
        await house.learn()
        await house.surprise()
        await house.until(lambda: house.receiver.began)
        started = asyncio.get_running_loop().time()
        os.kill(os.getpid(), signal.SIGTERM)
        await running
        assert asyncio.get_running_loop().time() - started < 10
    assert house.receiver.heard == []


async def test_what_a_hanging_receiver_did_not_take_is_sent_by_the_next_daemon_with_the_same_id(house: House) -> None:
    house.receiver.takes = 1e6
    async with house.daemon():
        await house.learn()
        await house.surprise()
        await house.until(lambda: house.receiver.began)
    house.receiver.takes = 0.0
    async with house.daemon():
        await house.until(lambda: house.receiver.heard)
    first, second = house.receiver.began
    assert (first, house.receiver.heard) == (second, [("opened", second)])


async def test_a_stop_gives_the_seats_back(house: House) -> None:
    async with house.daemon():
        pass
    assert house.server.closed == house.server.opened


# What is known


async def test_what_was_learnt_survives_a_restart(house: House) -> None:
    async with house.daemon():
        await house.learn()
    async with house.daemon():
        await house.surprise()
        assert house.said("Detectors start cold") == []
        await house.until(lambda: house.receiver.heard)


async def test_without_anything_learnt_nothing_is_unusual(house: House) -> None:
    async with house.daemon():
        await house.surprise()
        await asyncio.sleep(20)
        assert house.said("Detectors start cold") != []
    assert house.receiver.heard == []


async def test_an_incident_that_was_told_is_not_told_again_after_a_restart(house: House) -> None:
    async with house.daemon():
        await house.learn()
        await house.surprise()
        await house.until(lambda: house.receiver.heard)
    async with house.daemon():
        await asyncio.sleep(60)
    assert [reason for reason, _ in house.receiver.heard] == ["opened"]


async def test_an_incident_that_lasts_is_repeated_at_its_time(house: House) -> None:
    async with house.daemon():
        await house.learn()
        await house.surprise()
        await asyncio.sleep(620)
        assert "repeated" in [reason for reason, _ in house.receiver.heard]


# A disk that fails


async def test_a_state_directory_that_cannot_be_written_costs_no_alert(house: House) -> None:
    house.state.write_text("a file where the directory should be")
    async with house.daemon():
        notes = house.said("About the state file")
        assert "cannot write state" in notes[0]["note"]
        await house.learn()
        await house.surprise()
        await house.until(lambda: house.receiver.heard)
        assert len(house.said("What was learnt could not be saved")) == 1
        assert await house.counted("sentinel_store_failures_total") > 1


async def test_a_state_directory_that_may_not_be_made_costs_no_alert(house: House, nobody: None) -> None:
    async with house.daemon():
        assert "make the directory and its files writable" in house.said("About the state file")[0]["note"]
        await house.learn()
        await house.surprise()
        await house.until(lambda: house.receiver.heard)


async def test_a_disk_that_works_again_is_used_again(house: House) -> None:
    house.state.write_text("a file where the directory should be")
    async with house.daemon():
        await asyncio.sleep(70)
        house.state.unlink()
        await asyncio.sleep(60)
        assert house.said("What was learnt is saved again") != []
    assert (house.state / "sentinel.snapshot").exists()


# A clock that is set


async def test_a_clock_that_is_set_back_does_not_stop_the_watching(house: House) -> None:
    async with house.daemon():
        await house.learn()
        house.wall_is_off = -3600.0
        await house.surprise()
        await house.until(lambda: house.receiver.heard)


async def test_a_clock_that_is_set_forward_makes_due_what_then_is(house: House) -> None:
    async with house.daemon():
        await house.learn()
        await house.surprise()
        house.wall_is_off = 7200.0
        await asyncio.sleep(65)
        assert "repeated" in [reason for reason, _ in house.receiver.heard]


async def test_a_clock_that_was_set_back_while_nobody_watched_does_not_stop_the_watching(house: House) -> None:
    async with house.daemon():
        await house.learn()
    house.wall_is_off = -7200.0
    async with house.daemon():
        await house.learn()
        await house.surprise()
        await house.until(lambda: house.receiver.heard)
