"""INFO: the server's own figures, and our round trip.

One INFO call with only the sections that hold a needed field, scanned for these fields alone: redis-py's
parser turns every line into Python values and costs 90 µs, the scan 15 µs (Valkey 9.1, 6 KB). What each command
took is asked now and then, and with each poll while a PING is slow: it tells who holds the server up.

Knows INFO's fields and their versions. Must not know rates, limits that are not the server's, or what is bad.
"""

from __future__ import annotations

import asyncio
import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from redis.exceptions import RedisError

from sentinel.model import Sample, Series, labels
from sentinel.samplers.base import Command, Reader, Reply, SamplerError, Vitals, refusal, sample

__all__ = ["RedisInfo"]

_SECTIONS = ("server", "clients", "memory", "persistence", "stats", "replication", "cpu", "errorstats")
_PING: Command = ("PING",)
_AT_ONCE: tuple[Command, ...] = (("INFO", *_SECTIONS),)
_ONE_BY_ONE: tuple[Command, ...] = tuple(("INFO", section) for section in _SECTIONS)
_NUMBERS = {
    "uptime_in_seconds": "redis_uptime_seconds",
    "connected_clients": "redis_connected_clients",
    "cluster_connections": "redis_cluster_links",
    "maxclients": "redis_max_clients",
    "client_recent_max_output_buffer": "redis_client_output_buffer_max_bytes",
    "blocked_clients": "redis_blocked_clients",
    "pubsub_clients": "redis_pubsub_clients",
    "used_memory": "redis_memory_used_bytes",
    "used_memory_rss": "redis_memory_rss_bytes",
    "total_system_memory": "redis_memory_system_bytes",
    "maxmemory": "redis_memory_max_bytes",
    "mem_clients_normal": "redis_memory_clients_bytes",
    "total_connections_received": "redis_connections_received_total",
    "total_commands_processed": "redis_commands_total",
    "rejected_connections": "redis_connections_rejected_total",
    "evicted_keys": "redis_evicted_keys_total",
    "evicted_clients": "redis_evicted_clients_total",
    "client_output_buffer_limit_disconnections": "redis_output_buffer_disconnections_total",
    "loading": "redis_loading",
    "connected_slaves": "redis_connected_replicas",
}
_SERIES = {name: Series(metric) for name, metric in _NUMBERS.items()}
_PING_SECONDS, _RESTARTS = Series("redis_ping_seconds"), Series("redis_restarts_total")
_NOEVICTION, _LINK_UP = Series("redis_memory_noeviction"), Series("redis_master_link_up")
_SAVING, _FORK, _CPU = Series("redis_saving"), Series("redis_last_fork_seconds"), Series("redis_cpu_seconds_total")
_FIELDS = (
    *("redis_version", "server_name", "valkey_version", "run_id", "uptime_in_seconds", "connected_clients"),
    *("cluster_connections", "maxclients", "client_recent_max_output_buffer", "blocked_clients"),
    *("pubsub_clients", "paused_reason", "used_memory", "used_memory_rss", "total_system_memory", "maxmemory"),
    *("maxmemory_policy", "mem_clients_normal", "loading", "rdb_bgsave_in_progress", "aof_rewrite_in_progress"),
    *("total_connections_received", "total_commands_processed", "rejected_connections", "evicted_keys"),
    *("evicted_clients", "latest_fork_usec", "client_output_buffer_limit_disconnections"),
    *("role", "connected_slaves", "master_link_status", "used_cpu_sys", "used_cpu_user"),
    *("used_cpu_sys_main_thread", "used_cpu_user_main_thread"),
)
"""In the order in which servers print them: the scan goes on from the last hit."""
_KEYS = tuple((name, b"\n%s:" % name.encode()) for name in _FIELDS)
_ERRORSTAT = re.compile(rb"errorstat_([!-9;-~]{1,64}):count=(\d{1,19})")
_ERRORS_MOST = 50
_COMMANDSTAT = re.compile(rb"cmdstat_([!-9;-~]{1,64}):calls=(\d{1,18}),usec=(\d{1,18})")
_COMMANDS_MOST = 40
_COMMANDS_RARELY, _COMMANDS_OFTEN = 300.0, 30.0
"""Seconds from one look at the commands to the next while all is well, and while many commands come."""
_SLOW_PING = 0.01
"""Seconds: a PING takes well below a millisecond on a server that is not held up, and a few from far away."""
_MANY_COMMANDS = 1000.0
"""A second, from which on who sends them is of interest."""


@dataclass
class RedisInfo:
    """What INFO says of clients, traffic, errors, memory and role, and how long a PING takes.

    Where INFO does not say `maxclients` (before 6.2), CONFIG GET is asked, and where that is forbidden the
    setting is taken.
    """

    name: ClassVar[str] = "info"
    commands: ClassVar[tuple[str, ...]] = ("ping", "info", "config|get")

    max_clients: int = 0
    """The ceiling of a server that does not tell its own; 0 for none."""
    vitals: Vitals = field(default_factory=Vitals, repr=False)
    """Filled at each sample, for the target's other samplers."""

    def __post_init__(self) -> None:
        self._restarts = 0
        self._info_commands: tuple[Command, ...] = _AT_ONCE
        self._looked: float | None = None
        """When the commands were looked at last."""
        self._processed = float("-inf")
        """How many there had been at the last poll."""
        self._polled = float("-inf")
        self._config: dict[str, float] | None = None

    async def sample(self, reader: Reader, now: float) -> list[Sample]:
        """INFO behind a PING, in one round trip: what INFO itself takes, 0.1 ms, is counted with it.

        Raises:
            SamplerError: INFO could not be read.
        """
        started = asyncio.get_running_loop().time()
        pong, *replies = await reader.ask(_PING, *self._info_commands)
        elapsed = asyncio.get_running_loop().time() - started
        text = await self._info(reader, replies)
        fields = _scan(text)
        self._note(fields)
        if self._config is None or "maxclients" in self._config:
            self._config = await self._limits(reader, fields)
        samples = [] if isinstance(pong, RedisError) else [Sample(_PING_SECONDS, now, elapsed)]
        samples += _numbers(fields, now)
        samples += self._ceiling(fields, now)
        samples += _state(fields, self.vitals, now)
        samples.append(Sample(_RESTARTS, now, self._restarts))
        samples += _errors(text, now)
        if self._commands_due(fields, now, elapsed):
            (stats,) = await reader.ask(("INFO", "commandstats"))
            samples += _commands(stats, now) if isinstance(stats, bytes) else []
        return samples

    def _commands_due(self, fields: Mapping[str, bytes], now: float, ping: float) -> bool:
        """Whether to look at the commands: always while the server is slow, often while it is busy."""
        total, seconds = _number(fields.get("total_commands_processed")) or 0.0, now - self._polled
        busy = seconds > 0 and total - self._processed >= _MANY_COMMANDS * seconds
        interval = _COMMANDS_OFTEN if busy else _COMMANDS_RARELY
        due = ping >= _SLOW_PING or self._looked is None or not 0 <= now - self._looked < interval
        if due:
            self._looked = self.vitals.begun(self._looked, now, interval)
        self._processed, self._polled = total, now
        return due

    async def _info(self, reader: Reader, replies: list[Reply]) -> bytes:
        """INFO's text. Servers before 7.0 take one section a call."""
        if len(replies) == 1 and isinstance(replies[0], RedisError) and "syntax error" in str(replies[0]):
            self._info_commands = _ONE_BY_ONE
            replies = await reader.ask(*_ONE_BY_ONE)
        refused = next((reply for reply in replies if isinstance(reply, RedisError)), None)
        if refused is not None:
            raise refusal(refused, "INFO")
        text = b"".join(reply for reply in replies if isinstance(reply, bytes))
        if b":" not in text:
            raise SamplerError("protocol", f"INFO gave {type(replies[0]).__name__} instead of fields")
        return text

    def _note(self, fields: Mapping[str, bytes]) -> None:
        """Keep what the others need; a new run_id is a restart or another server in its place."""
        vitals, run_id = self.vitals, _text(fields.get("run_id", b"")) or None
        if run_id and vitals.run_id and run_id != vitals.run_id:
            self._restarts += 1
            self._config = None
        vitals.run_id = run_id or vitals.run_id
        vitals.connected = _number(fields.get("connected_clients"))
        vitals.received = _number(fields.get("total_connections_received"))
        vitals.rejected = _number(fields.get("rejected_connections"))
        vitals.output_buffer = _number(fields.get("client_recent_max_output_buffer"))
        vitals.valkey = "valkey_version" in fields or fields.get("server_name") == b"valkey"
        vitals.version = _version(fields.get("valkey_version") or fields.get("redis_version") or b"")

    async def _limits(self, reader: Reader, fields: Mapping[str, bytes]) -> dict[str, float]:
        """What only CONFIG tells. Probed once a run of the server, as managed ones often forbid it."""
        wanted = [] if "maxclients" in fields else ["maxclients"]
        wanted += ["maxclients-reserved"] if self.vitals.valkey else []
        if not wanted:
            return {}
        commands: list[Command] = [("CONFIG", "GET", name) for name in wanted]
        replies = await reader.ask(*commands)
        values = {name: _config_value(reply) for name, reply in zip(wanted, replies, strict=False)}
        return {name: value for name, value in values.items() if value is not None}

    def _ceiling(self, fields: Mapping[str, bytes], now: float) -> list[Sample]:
        config, samples = self._config or {}, []
        if "maxclients" not in fields and (ceiling := config.get("maxclients") or self.max_clients):
            samples.append(sample("redis_max_clients", now, ceiling))
        if "maxclients-reserved" in config:
            samples.append(sample("redis_reserved_clients", now, config["maxclients-reserved"]))
        return samples


def _scan(text: bytes) -> dict[str, bytes]:
    found, find, position = {}, text.find, 0
    for name, key in _KEYS:
        start = find(key, position)
        if start < 0 and (start := find(key)) < 0:
            continue
        start += len(key)
        position = find(b"\r", start)
        if position < 0:
            position = len(text)
        found[name] = text[start:position]
    return found


def _numbers(fields: Mapping[str, bytes], now: float) -> list[Sample]:
    samples = []
    for name, series in _SERIES.items():
        if (value := _number(fields.get(name))) is not None:
            samples.append(Sample(series, now, value))
    return samples


def _state(fields: Mapping[str, bytes], vitals: Vitals, now: float) -> list[Sample]:
    role, server = _text(fields.get("role", b"")), "valkey" if vitals.valkey else "redis"
    samples = [Sample(_info_series(role, server, vitals.version), now, 1.0)]
    if policy := fields.get("maxmemory_policy"):
        samples.append(Sample(_NOEVICTION, now, float(policy == b"noeviction")))
    if link := fields.get("master_link_status"):
        samples.append(Sample(_LINK_UP, now, float(link == b"up")))
    if "rdb_bgsave_in_progress" in fields:
        saving = b"1" in (fields["rdb_bgsave_in_progress"], fields.get("aof_rewrite_in_progress"))
        samples.append(Sample(_SAVING, now, float(saving)))
    if (fork := _number(fields.get("latest_fork_usec"))) is not None:
        samples.append(Sample(_FORK, now, fork / 1e6))
    if (reason := fields.get("paused_reason", b"none")) != b"none":
        samples.append(sample("redis_paused", now, 1.0, reason=_text(reason)))
    if (cpu := _cpu(fields)) is not None:
        samples.append(Sample(_CPU, now, cpu))
    return samples


def _cpu(fields: Mapping[str, bytes]) -> float | None:
    """Seconds of CPU of the thread that runs commands; of all threads where that is not told (before 7.0)."""
    for which in ("_main_thread", ""):
        system, user = _number(fields.get("used_cpu_sys" + which)), _number(fields.get("used_cpu_user" + which))
        if system is not None and user is not None:
            return system + user
    return None


@functools.lru_cache(maxsize=256)
def _info_series(role: str, server: str, version: tuple[int, ...]) -> Series:
    return Series("redis_info", labels(role=role, server=server, version=".".join(map(str, version))))


@functools.lru_cache(maxsize=256)
def _version(text: bytes) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(rb"\d{1,6}", text)[:3])


def _errors(text: bytes, now: float) -> list[Sample]:
    start = text.rfind(b"# Errorstats")
    if start < 0:
        return []
    pairs = _ERRORSTAT.findall(text, start)[:_ERRORS_MOST]
    return [sample("redis_errors_total", now, float(count), prefix=_text(name)) for name, count in pairs]


def _commands(text: bytes, now: float) -> list[Sample]:
    """Calls and seconds of the commands that took most of the server's time so far."""
    found = [(int(usec), int(calls), _text(name)) for name, calls, usec in _COMMANDSTAT.findall(text)]
    samples = []
    for usec, calls, name in sorted(found, reverse=True)[:_COMMANDS_MOST]:
        samples.append(sample("redis_command_calls_total", now, calls, command=name))
        samples.append(sample("redis_command_seconds_total", now, usec / 1e6, command=name))
    return samples


def _number(text: bytes | None) -> float | None:
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _text(raw: bytes) -> str:
    return raw.decode("ascii", "replace")


def _config_value(reply: Reply) -> float | None:
    ok = isinstance(reply, list) and len(reply) >= 2 and isinstance(reply[1], bytes)
    return _number(reply[1]) if ok else None
