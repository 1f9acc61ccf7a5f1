"""One target: its settings, its samplers, and one poll of them all.

Knows which samplers a target has and that a poll must end in time, whatever the server does. Must not know
when polls happen (the daemon's loop does), what the samples mean, nor any sampler's protocol.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sentinel.model import Poll, Sample, Seconds, Secret
from sentinel.samplers.acl import acl_line
from sentinel.samplers.base import Sampler, SamplerError, Vitals, sample
from sentinel.samplers.client_buffers import ClientBuffers
from sentinel.samplers.dial import Address, Dialer, Tls, parse_url
from sentinel.samplers.heartbeats import Heartbeat, Heartbeats
from sentinel.samplers.probe import DialProbe, ProbeSettings
from sentinel.samplers.queues import Discovery, Listener, Queue, Queues
from sentinel.samplers.redis_clients import Census, CensusSettings
from sentinel.samplers.redis_info import RedisInfo
from sentinel.samplers.seats import Seats

__all__ = ["Target", "TargetSettings"]

_CHANGES = {
    "redis_restarts_total": "it was restarted, or another one took its place",
    "redis_max_clients": "maxclients was {before:.0f} and is {now:.0f}",
}
"""What is worth a line of its own, by metric."""


@dataclass(frozen=True)
class TargetSettings:
    """One server to watch. Its repr shows no credential.

    Raises:
        ValueError: the URL or a duration cannot be meant.
    """

    name: str
    url: str = field(repr=False)
    """`redis://`, `rediss://` or `unix://`; may hold user, password and db."""
    username: str = ""
    """Instead of the one in the URL."""
    password: Secret | None = None
    """Instead of the one in the URL."""
    db: int | None = None
    tls: Tls = field(default_factory=Tls)
    interval: Seconds = 5.0
    """From one poll to the next."""
    timeout: Seconds = 2.0
    """Bound of a whole poll."""
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    census: CensusSettings = field(default_factory=CensusSettings)
    max_clients: int = 0
    """The ceiling of a server that does not tell its own, as some managed ones; 0 for none."""
    queues: tuple[Queue, ...] = ()
    """Where jobs wait."""
    discover: Discovery = field(default_factory=Discovery)
    heartbeats: tuple[Heartbeat, ...] = ()
    """Worker groups, and how they say that they live."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What routes, silences and maintenance windows may choose by, such as `env: prod`."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a target needs a name")
        for key in ("interval", "timeout"):
            if not getattr(self, key) > 0:
                raise ValueError(f"`{key}` of target {self.name} must be above 0 seconds")
        _ = self.address

    @cached_property
    def address(self) -> Address:
        """Where the target is and as whom we come."""
        address = parse_url(self.url)
        return Address(
            host=address.host,
            port=address.port,
            path=address.path,
            tls=address.tls,
            db=address.db if self.db is None else self.db,
            username=self.username or address.username,
            password=self.password or address.password,
        )


class Target:
    """A watched server: its reserved seats and its samplers.

    Not to be polled twice at the same time.

    Args:
        settings: What to watch, and how.
        desk: Room for client lists, shared with other targets; without it there is always room.
    """

    def __init__(self, settings: TargetSettings, desk: asyncio.Semaphore | None = None) -> None:
        self.settings = settings
        self.vitals = Vitals(phase=zlib.crc32(settings.name.encode()) / 2**32)
        dialer = Dialer(settings.address, settings.tls)
        self._seats = Seats(dialer, settings.timeout)
        self._probe = DialProbe(settings.probe, dialer, self.vitals, settings.timeout)
        self._samplers: tuple[Sampler, ...] = (RedisInfo(settings.max_clients, self.vitals),)
        if settings.census.enabled:
            self._samplers += (Census(settings.census, self.vitals, desk), ClientBuffers(self.vitals))
        self._queues: Queues | None = None
        if settings.queues or settings.discover.enabled:
            listener = Listener(dialer, settings.timeout / 2)
            self._queues = Queues(settings.queues, settings.discover, self.vitals, listener, settings.address.db)
            self._samplers += (self._queues,)
        if settings.heartbeats:
            self._samplers += (Heartbeats(settings.heartbeats, lambda: self.vitals.client_names),)
        self._troubles: dict[str, str] = {}
        self._notes: dict[str, list[str]] = {}
        """What is to be told, and of which samplers."""
        self._server: dict[str, float] = {}
        """What was last known of the server itself."""

    async def poll(self, now: float) -> Poll:
        """All samples of the target at `now`. Never raises for what the server does, and ends in time."""
        started = asyncio.get_running_loop().time()
        if self._probe.due(now):
            async with asyncio.TaskGroup() as group:
                probing = group.create_task(self._probe.sample(self._seats, now))
                samples = await self._on_seats(now)
            samples += self._probed(probing.result(), now)
        else:
            samples = await self._on_seats(now)
        self._notice(samples)
        samples.append(sample("redis_seats", now, self._seats.open))
        samples.append(sample("poll_seconds", now, asyncio.get_running_loop().time() - started))
        return Poll(self.settings.name, now, tuple(samples))

    def notes(self) -> list[str]:
        """What an operator should be told since the last call: troubles that began or ended, changes of the server, and
        job systems found. Samplers that fail for one reason share a line."""
        notes = [f"{', '.join(names)}: {text}" for text, names in self._notes.items()]
        self._notes.clear()
        if self._queues:
            notes += [f"queues: {news}" for news in self._queues.news]
            self._queues.news.clear()
        return notes

    @property
    def acl_line(self) -> str:
        """What the server must allow for all that is configured here."""
        commands = {name for sampler in (*self._samplers, self._probe) for name in sampler.commands}
        keys = [heartbeat.key.replace("{client}", "*") for heartbeat in self.settings.heartbeats]
        keys += self._queues.keys if self._queues else []
        channels = self._queues.channels if self._queues else []
        user = self.settings.address.username or "sentinel"
        return acl_line(self.vitals.version, commands, keys, user, channels)

    async def close(self) -> None:
        """Give all connections back."""
        await self._seats.close()
        if self._queues:
            await self._queues.close()

    async def _on_seats(self, now: float) -> list[Sample]:
        """The samplers in turn, as they share a connection. When no seat is left, all fail for one reason."""
        lost: SamplerError | None = None
        try:
            await self._seats.take_turns(asyncio.get_running_loop().time() + self.settings.timeout)
        except SamplerError as error:
            lost = error
        self.vitals.own_ids = self._seats.ids
        samples: list[Sample] = []
        for sampler in self._samplers:
            try:
                if lost:
                    raise lost
                found = await sampler.sample(self._seats, now)
                samples += self._worked(sampler.name, found, now, getattr(sampler, "trouble", ""))
            except SamplerError as error:
                samples += self._failed(sampler.name, error, now)
                lost = None if self._seats.open else error
        await self._seats.fill()
        return samples

    def _probed(self, samples: Sequence[Sample], now: float) -> list[Sample]:
        """A dial that fails is news of the target, not of the sampler."""
        refused = self._probe.failure
        self._trouble(self._probe.name, f"a new connection fails ({refused.reason}): {refused}" if refused else "")
        return [sample("sampler_up", now, 1.0, sampler=self._probe.name), *samples]

    def _failed(self, name: str, error: SamplerError, now: float) -> list[Sample]:
        self._trouble(name, f"{error}; allow it with: {self.acl_line}" if error.reason == "noperm" else str(error))
        up = sample("sampler_up", now, 0.0, sampler=name)
        return [up, sample("sampler_failed", now, 1.0, sampler=name, reason=error.reason)]

    def _worked(self, name: str, samples: Sequence[Sample], now: float, trouble: str) -> list[Sample]:
        """It worked, in part if it says a trouble of its own."""
        self._trouble(name, trouble)
        return [sample("sampler_up", now, 1.0, sampler=name), *samples]

    def _trouble(self, name: str, text: str) -> None:
        if self._troubles.get(name, "") != text:
            self._troubles[name] = text
            self._notes.setdefault(text or "works again", []).append(name)

    def _notice(self, samples: Sequence[Sample]) -> None:
        """What explains much of what follows: another run of the server, another ceiling."""
        for (metric, _), _, value, _ in samples:
            text = _CHANGES.get(metric)
            if text is not None:
                before = self._server.setdefault(metric, value)
                if before != value:
                    self._server[metric] = value
                    self._notes.setdefault(text.format(before=before, now=value), []).append("server")
