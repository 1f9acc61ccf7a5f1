"""The dial probe: what a newcomer sees who connects to the target right now.

The reserved seats are old friends of the server and cannot know. A probe connects, logs in, says PING and
leaves, as an application that starts does. Knows what came of it, not what that means.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from redis.exceptions import RedisError

from sentinel.model import Sample, Seconds
from sentinel.samplers.base import Reader, SamplerError, Vitals, refusal, sample
from sentinel.samplers.dial import Dialer

__all__ = ["DialProbe", "ProbeSettings"]

_EARLY = 0.95
"""Part of the interval after which a dial is due: polls do not come on the millisecond."""


@dataclass(frozen=True)
class ProbeSettings:
    """How often a newcomer is played."""

    interval: Seconds = 15.0
    """From one dial to the next while all is well; while the last one failed each poll dials. 0: each poll."""
    enabled: bool = True


class DialProbe:
    """Emits `redis_dial_seconds`, or `redis_dial_failed` with the reason.

    A server that is full drops a newcomer without a word under TLS, and now and then in the clear when its
    text is lost in the reset. Such a drop is called `full` if `rejected_connections` has risen meanwhile.

    Args:
        settings: How often.
        dialer: Opens a connection to the target.
        vitals: What INFO said at the last poll.
        timeout: Bound of one dial.
    """

    name: ClassVar[str] = "probe"
    commands: ClassVar[tuple[str, ...]] = ("ping",)

    def __init__(self, settings: ProbeSettings, dialer: Dialer, vitals: Vitals, timeout: Seconds) -> None:
        self.failure: SamplerError | None = None
        self._settings, self._dialer, self._vitals, self._timeout = settings, dialer, vitals, timeout
        self._dialled: float | None = None

    def due(self, now: float) -> bool:
        """Whether the next sample dials."""
        wait = _EARLY * self._settings.interval
        late = self._dialled is None or not 0 <= now - self._dialled < wait
        return self._settings.enabled and (late or self.failure is not None)

    async def sample(self, reader: Reader, now: float) -> list[Sample]:
        """The outcome of one dial. Never raises: that a dial fails is what is to be known."""
        rejected = self._vitals.rejected
        self._dialled = self._vitals.begun(self._dialled, now, self._settings.interval)
        try:
            elapsed = await self._dial()
        except SamplerError as error:
            full = error.reason == "reset" and await self._refused_since(reader, rejected)
            self.failure = SamplerError("full", f"{error}; it has refused clients") if full else error
            return [sample("redis_dial_failed", now, 1.0, reason=self.failure.reason)]
        self.failure = None
        return [sample("redis_dial_seconds", now, elapsed)]

    async def _dial(self) -> float:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._timeout):
                link, (pong,) = await self._dialer.open("sentinel-probe", ("PING",))
                await link.close()
        except TimeoutError:
            raise SamplerError("timeout", f"{self._dialer.address}: a newcomer gets no answer in time") from None
        if isinstance(pong, RedisError) and (refused := refusal(pong, "PING")).reason != "noperm":
            raise refused
        return loop.time() - started

    async def _refused_since(self, reader: Reader, before: float | None) -> bool:
        try:
            (stats,) = await reader.ask(("INFO", "stats"))
        except SamplerError:
            return False
        _, found, rest = stats.partition(b"\nrejected_connections:") if isinstance(stats, bytes) else (0, b"", b"")
        count = rest.partition(b"\r")[0]
        return before is not None and bool(found) and count.isdigit() and int(count) > before
