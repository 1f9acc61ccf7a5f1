"""What a server says when it is looked at once.

Knows connections and commands, through the same samplers as the daemon's. Must not judge.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from sentinel.model import Labels, Sample, Seconds
from sentinel.samplers.acl import acl_line
from sentinel.samplers.base import Command, Reply, SamplerError, Vitals
from sentinel.samplers.dial import Address, Dialer, Tls
from sentinel.samplers.probe import DialProbe, ProbeSettings
from sentinel.samplers.queues import Discovery, Listener, Queues
from sentinel.samplers.redis_clients import Census, CensusSettings
from sentinel.samplers.redis_info import RedisInfo
from sentinel.samplers.seats import Seats

__all__ = ["Look", "look"]

SETTINGS = ("timeout", "tcp-keepalive", "client-output-buffer-limit", "maxmemory-policy", "maxclients")
"""What CONFIG GET is asked for; where it is forbidden, as on managed servers, they are unknown."""
_TIMEOUT: Seconds = 10.0
_KEYSPACE = re.compile(r"^db(\d+):keys=(\d+),expires=(\d+)", re.MULTILINE)
_FIELD = re.compile(r"^([a-z0-9_-]+):(.*?)\r?$", re.MULTILINE | re.IGNORECASE)


@dataclass
class Look:
    """Everything that was seen."""

    address: str
    """Where, without credentials."""
    info: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    """By CONFIG name; those that may not be read are missing."""
    keyspace: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Keys and those of them that expire, by database."""
    samples: tuple[Sample, ...] = ()
    """Of INFO, queues and workers, as the daemon would have them."""
    clients: str = ""
    """CLIENT LIST as it came; empty if it may not be asked."""
    forbidden: tuple[str, ...] = ()
    """Commands that this user may not run, or that the server does not have."""
    notes: tuple[str, ...] = ()
    """What could not be looked at, and why."""
    news: tuple[str, ...] = ()
    """Job systems found."""
    acl: str = ""
    """The line that allows what was asked here, and no more."""
    version: tuple[int, ...] = ()
    valkey: bool = False
    port: int = 0

    def value(self, metric: str, labels: Labels = ()) -> float | None:
        """A sample's value."""
        found = (s.value for s in self.samples if s.series.metric == metric and s.series.labels == labels)
        return next(found, None)

    def each(self, metric: str) -> list[tuple[Mapping[str, str], float]]:
        """Labels and values of a metric's series."""
        return [(dict(s.series.labels), s.value) for s in self.samples if s.series.metric == metric]


async def look(address: Address, now: float, tls: Tls | None = None) -> Look:
    """Look at a server once.

    Raises:
        SamplerError: it does not let us in, or INFO may not be asked: then there is nothing to say.
    """
    dialer = Dialer(address, tls)
    seats = Seats(dialer, _TIMEOUT)
    vitals = Vitals()
    reader = _Noting(seats)
    listener = Listener(dialer, _TIMEOUT)
    queues = Queues((), Discovery(), vitals, listener, address.db)
    census, info = Census(CensusSettings(), vitals), RedisInfo(0, vitals)
    found = Look(str(address), port=address.port)
    try:
        await seats.take_turns(asyncio.get_running_loop().time() + 3 * _TIMEOUT)
        vitals.own_ids = seats.ids
        samples = list(await info.sample(reader, now))
        notes = []
        for sampler in (census, queues):
            try:
                samples += await sampler.sample(reader, now)
                notes += [queues.trouble] if sampler is queues and queues.trouble else []
            except SamplerError as error:
                notes.append(str(error))
        await _read_info(reader, found)
        await _read_settings(reader, found)
    finally:
        await seats.close()
        await queues.close()
    probe = DialProbe(ProbeSettings(), dialer, vitals, _TIMEOUT)
    commands = {name for sampler in (info, census, queues, probe) for name in sampler.commands}
    found.samples, found.notes, found.news = tuple(samples), tuple(notes), tuple(queues.news)
    found.clients, found.forbidden = reader.clients, tuple(sorted(reader.forbidden))
    found.version, found.valkey = vitals.version, vitals.valkey
    user = address.username or "sentinel"
    found.acl = acl_line(vitals.version, commands, queues.keys, user, queues.channels)
    return found


class _Noting:
    """A reader that keeps the one CLIENT LIST and notes what is refused."""

    def __init__(self, seats: Seats) -> None:
        self._seats = seats
        self.clients = ""
        self.forbidden: set[str] = set()

    async def ask(self, *commands: Command, db: int | None = None) -> list[Reply]:
        """As the seats'."""
        replies = await self._seats.ask(*commands, db=db)
        for command, reply in zip(commands, replies, strict=True):
            if command == ("CLIENT", "LIST") and isinstance(reply, bytes):
                self.clients = reply.decode("utf-8", "replace")
            if _is_refused(reply):
                self.forbidden.add(_name(command))
        return replies


def _is_refused(reply: Reply) -> bool:
    if isinstance(reply, NoPermissionError):
        return "has no permissions to run" in str(reply) or "command" in str(reply)
    return isinstance(reply, ResponseError) and "unknown command" in str(reply).lower()


def _name(command: Command) -> str:
    words = [str(word).upper() for word in command[:2]]
    return " ".join(words) if words[0] in ("CLIENT", "CONFIG", "XINFO", "PUBSUB", "SLOWLOG") else words[0]


async def _read_info(reader: _Noting, found: Look) -> None:
    (text,) = await reader.ask(("INFO",))
    if isinstance(text, bytes):
        plain = text.decode("utf-8", "replace")
        found.info = dict(_FIELD.findall(plain))
        found.keyspace = {int(db): (int(keys), int(expires)) for db, keys, expires in _KEYSPACE.findall(plain)}


async def _read_settings(reader: _Noting, found: Look) -> None:
    replies = await reader.ask(*(("CONFIG", "GET", name) for name in SETTINGS))
    settings = {}
    for name, reply in zip(SETTINGS, replies, strict=True):
        if not isinstance(reply, RedisError) and isinstance(reply, list) and len(reply) >= 2:
            settings[name] = bytes(reply[1]).decode("utf-8", "replace")
    found.settings = settings
