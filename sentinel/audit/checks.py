"""From what was seen to remarks: each ok, attention or danger, with the numbers and with what to do.

Pure. Knows limits and what they lead to. Must not ask anything.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sentinel.audit.clients import Cohort, Group
from sentinel.audit.look import Look
from sentinel.fingerprints import Fingerprint, recognise
from sentinel.model import Seconds
from sentinel.pipeline.diagnosis.words import count, pace, size, span

__all__ = ["Ceiling", "Level", "Remark", "ceiling", "remarks"]

LEAST: int = 8
"""Connections of a cohort below which nothing is said."""
SOON: Seconds = 72 * 3600.0
DEEP_SHARE = 0.05
"""Part of the ceiling that a cohort at rest may hold without a word."""
_FILES = (256, 512, 1024, 2048, 4096, 8192, 10000, 16384, 20000, 32768, 65536)
"""Open-file limits that are met; the server keeps 32 for itself."""
_OWN_FILES = 32


class Level(enum.IntEnum):
    """How bad; the worst of all is the exit code."""

    OK = 0
    ATTENTION = 1
    DANGER = 2


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was looked at."""

    level: Level
    about: str
    """One word or two for the head of a line."""
    says: str
    do: str = ""
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How many clients get in, and why not more."""

    limit: float
    """`maxclients` as the server enforces it."""
    taken: tuple[tuple[str, float], ...]
    """What else counts against it, where there is any."""
    used: float
    lowered: str = ""
    """What has lowered the limit below what was configured, as far as that can be told."""

    @property
    def effective(self) -> float:
        """For ordinary clients."""
        return max(0.0, self.limit - sum(part for _, part in self.taken))

    @property
    def left(self) -> float:
        """Clients that still get in."""
        return max(0.0, self.effective - self.used)


def ceiling(look: Look) -> Ceiling | None:
    """None where the server does not say its limit, as some managed ones."""
    limit, used = look.value("redis_max_clients"), look.value("redis_connected_clients")
    if not limit or used is None:
        return None
    names = {
        "replicas": "redis_connected_replicas",
        "cluster links": "redis_cluster_links",
        "reserved slots": "redis_reserved_clients",
    }
    taken = tuple((name, value) for name, metric in names.items() if (value := look.value(metric)))
    files = limit + _OWN_FILES
    lowered = f"an open-file limit of {count(files)}" if limit != 10000 and files in _FILES else ""
    return Ceiling(limit, taken, used, lowered)


def remarks(look: Look, groups: Sequence[Group], known: Sequence[Fingerprint]) -> list[Remark]:
    """Everything worth saying, the worst first."""
    top = ceiling(look)
    up = look.value("redis_uptime_seconds") or 0.0
    found = [*_room(top), *_deploy(top, groups), *_cohorts(top, groups, known, up), *_names(groups)]
    found += [*_idle_limits(look, groups), *_buffers(look), *_memory(look), *_shared(look), *_workers(look)]
    found += [*_errors(look), *_rights(look)]
    return sorted(found, key=lambda remark: -remark.level)


def _room(top: Ceiling | None) -> Iterator[Remark]:
    if top is None:
        says = "The server does not say how many clients it takes, and CONFIG GET is not allowed"
        yield Remark(Level.ATTENTION, "ceiling", says, "Look up the limit of your plan, and set max_clients in YAML.")
        return
    part = top.used / top.effective if top.effective else 1.0
    level = Level.DANGER if part >= 0.9 else Level.ATTENTION if part >= 0.7 else Level.OK
    less = ", ".join(f"{count(value)} {name}" for name, value in top.taken)
    says = f"{count(top.used)} of {count(top.effective)} clients ({part:.0%}), {count(top.left)} more get in"
    says += f"; the limit is {count(top.limit)} less {less}" if less else ""
    yield Remark(level, "head-room now", says, "Find out who holds them (below), or raise maxclients." if level else "")
    if top.lowered:
        text = f"maxclients is {count(top.limit)}, which looks like {top.lowered}: not what was configured"
        yield Remark(
            Level.ATTENTION, "ceiling", text, "Raise the open-file limit (LimitNOFILE, ulimit -n) and restart."
        )


def _deploy(top: Ceiling | None, groups: Sequence[Group]) -> Iterator[Remark]:
    """While old and new processes run side by side each pool is there twice."""
    if top is None or not groups:
        return
    held = sum(group.clients - len(group.cohort) if group.cohort.spread else group.clients for group in groups)
    left = top.left - held
    largest = max(groups, key=lambda group: group.clients)
    if left < 0:
        says = f"if everything is rolled out at once, {count(-left)} clients more than get in"
        alone = top.left - largest.clients
        level = Level.DANGER if alone < 0 else Level.ATTENTION
        says += f"; {largest.label} alone {'does not fit either' if alone < 0 else 'fits'}"
        yield Remark(level, "deploy", says, "Roll out in parts, make pools smaller, or raise maxclients.")
    else:
        yield Remark(Level.OK, "deploy", f"with every pool there twice {count(left)} more get in")


def _cohorts(
    top: Ceiling | None, groups: Sequence[Group], known: Sequence[Fingerprint], up: Seconds
) -> Iterator[Remark]:
    for group in groups:
        cohort = group.cohort
        if len(cohort) < LEAST:
            continue
        if not cohort.spread:
            if top and len(cohort) > DEEP_SHARE * top.effective:
                says = f"{group.label} holds {count(len(cohort))} connections that came together and rest since"
                yield Remark(Level.OK, "at rest", says, "Its pools may be larger than it needs.")
            continue
        yield _leak(top, group, recognise(cohort.rows, known))
        yield from _freeze(top, cohort, up)


def _leak(top: Ceiling | None, group: Group, like: Fingerprint | None) -> Remark:
    cohort = group.cohort
    left = top.left / cohort.pace if top and cohort.pace else None
    level = Level.DANGER if left is not None and left <= SOON else Level.ATTENTION
    says = (
        f"{group.label} holds {count(len(cohort))} connections that were opened one after another over "
        f"{span(cohort.births[0])}, used once and never closed, {pace(cohort.pace)} more of late"
    )
    says += f"; at this pace the server is full in {span(left)}" if left is not None else ""
    if like is None:
        do = "Look for a path, most often an error path, that does not close its connection; recycling it frees them."
        return Remark(level, "leak", f"{says}. Like no known leak.", do)
    fixed = f" Fixed in {like.fixed_in}." if like.fixed_in else ""
    return Remark(level, "leak", f"{says}. Known as {like.id}: {like.title}.", like.fix + fixed, like.links)


def _freeze(top: Ceiling | None, cohort: Cohort, up: Seconds) -> Iterator[Remark]:
    """A leak much younger than its server, and not full by the age that it has, lives on restarts that take it away."""
    left = top.left / cohort.pace if top and cohort.pace else None
    if left is None or cohort.births[0] > up / 2 or left < cohort.births[0]:
        return
    says = (
        "perhaps harmless only because something restarts its processes: the oldest of them is "
        f"{span(cohort.births[0])} old, the server {span(up)}; "
        f"in a freeze, with no restart, it is full {span(left)} from now"
    )
    yield Remark(Level.ATTENTION, "freeze", says, "Find the leak before the next freeze or holiday.")


def _names(groups: Sequence[Group]) -> Iterator[Remark]:
    total = sum(group.clients for group in groups)
    unnamed = sum(group.clients for group in groups if not group.named)
    if not total:
        return
    part = unnamed / total
    says = f"{count(unnamed)} of {count(total)} clients ({part:.0%}) have no name"
    if part > 0.5 and unnamed >= LEAST:
        do = "Name them (CLIENT SETNAME; client_name= in redis-py): then a leak is named, not only its network."
        yield Remark(Level.ATTENTION, "names", says, do)
    else:
        yield Remark(Level.OK, "names", says)


def _idle_limits(look: Look, groups: Sequence[Group]) -> Iterator[Remark]:
    timeout, keepalive = look.settings.get("timeout"), look.settings.get("tcp-keepalive")
    leaking = any(len(group.cohort) >= LEAST and group.cohort.spread for group in groups)
    if timeout == "0":
        says = "timeout is 0: the server never closes a connection that nobody uses"
        do = "A timeout above the longest pause of your pools (say 600) bounds every leak." if leaking else ""
        yield Remark(Level.ATTENTION if leaking else Level.OK, "timeout", says, do)
    if keepalive == "0":
        says = "tcp-keepalive is 0: connections of hosts that are gone are kept for ever"
        yield Remark(Level.ATTENTION, "tcp-keepalive", says, "CONFIG SET tcp-keepalive 300, the default.")


def _buffers(look: Look) -> Iterator[Remark]:
    """`class hard soft seconds`, three times over; 0 is no limit."""
    words = look.settings.get("client-output-buffer-limit", "").split()
    limits = {words[at]: words[at + 1] for at in range(0, len(words) - 3, 4)}
    if limits.get("pubsub") == "0":
        says = "a slow subscriber may take all memory: client-output-buffer-limit pubsub has no bound"
        yield Remark(Level.ATTENTION, "output buffers", says, "Set it back to 32mb 8mb 60, the default.")
    biggest = look.value("redis_client_output_buffer_max_bytes") or 0.0
    if biggest > 64 * 2**20:
        says = f"some client has had {size(biggest)} of replies waiting for it"
        yield Remark(Level.ATTENTION, "output buffers", says, "Find it by omem in CLIENT LIST; it reads too slowly.")


def _memory(look: Look) -> Iterator[Remark]:
    used, most = look.value("redis_memory_used_bytes") or 0.0, look.value("redis_memory_max_bytes") or 0.0
    queues = bool(look.each("discovered_queues")) and any(value for _, value in look.each("discovered_queues"))
    policy = look.settings.get("maxmemory-policy") or look.info.get("maxmemory_policy", "")
    if most:
        part = used / most
        level = Level.DANGER if part >= 0.95 else Level.ATTENTION if part >= 0.8 else Level.OK
        yield Remark(level, "memory", f"{size(used)} of {size(most)} ({part:.0%}), policy {policy or 'unknown'}")
    if not queues:
        return
    if most and policy not in ("", "noeviction"):
        says = f"job queues live here, and at {size(most)} the server throws keys away ({policy}): jobs will be lost"
        do = "CONFIG SET maxmemory-policy noeviction; put caches on a server of their own."
        yield Remark(Level.DANGER if policy.startswith("allkeys") else Level.ATTENTION, "eviction", says, do)
    elif most and used >= 0.6 * most:
        says = f"at {size(most)} nothing can be enqueued any more (noeviction), and {size(used)} are used"
        yield Remark(Level.ATTENTION, "eviction", says, "Watch memory as you watch depth; Sentinel does.")
    elif not most:
        yield Remark(Level.OK, "memory", f"{size(used)}, bounded by its host only (maxmemory 0)")


def _shared(look: Look) -> Iterator[Remark]:
    """Keys that expire beside job queues are a cache, or sessions."""
    if not any(value for _, value in look.each("discovered_queues")):
        return
    keys = sum(total for total, _ in look.keyspace.values())
    expiring = sum(part for _, part in look.keyspace.values())
    if keys >= 1000 and expiring >= 0.3 * keys:
        says = f"queues and what looks like a cache share this server: {count(expiring)} of {count(keys)} keys expire"
        do = "Give queues a server of their own: a cache that fills it, or its clients, stop all work."
        yield Remark(Level.ATTENTION, "one server for all", says, do)


def _workers(look: Look) -> Iterator[Remark]:
    """Jobs that wait where nobody takes any."""
    consumers = {_queue(labels): value for labels, value in look.each("queue_consumers")}
    depths = {_queue(labels): value for labels, value in look.each("queue_depth")}
    eligible = {_queue(labels): value for labels, value in look.each("queue_eligible")}
    ages = {_queue(labels): value for labels, value in look.each("queue_oldest_age_seconds")}
    for name in depths:
        waiting = eligible.get(name, depths[name])
        if waiting and consumers.get(name) == 0:
            since = f", the oldest for {span(ages[name])}" if ages.get(name) else ""
            says = f"{count(waiting)} jobs wait in {name}{since}, and no worker is there"
            yield Remark(Level.ATTENTION, "workers", says, "Start workers for it, or remove the queue.")


def _queue(labels: Mapping[str, str]) -> str:
    return labels.get("queue", "")


def _errors(look: Look) -> Iterator[Remark]:
    rejected = look.value("redis_connections_rejected_total") or 0.0
    if rejected:
        up = look.value("redis_uptime_seconds") or 0.0
        says = f"{count(rejected)} connections have been refused since the start {span(up)} ago: it was full"
        yield Remark(Level.ATTENTION, "refusals", says, "It can happen again: see head-room and cohorts.")
    for labels, value in look.each("redis_errors_total"):
        if labels.get("prefix") in ("OOM", "MISCONF", "LOADING") and value:
            yield Remark(Level.ATTENTION, "errors", f"{count(value)} {labels['prefix']} errors since its start")


def _rights(look: Look) -> Iterator[Remark]:
    if look.forbidden:
        says = f"this user may not run {', '.join(look.forbidden)}; what follows from them is not known"
        yield Remark(Level.OK, "rights", says, "Not needed for everything; the line below allows it.")
