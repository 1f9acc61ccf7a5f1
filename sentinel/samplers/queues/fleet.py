"""The workers of one job system: which there are, and since when each has shown no sign of life.

A worker that is not seen any more is lost, and its age grows, until it is known to have deregistered itself or has
been lost for an hour. Where workers are known by their connections alone, a connection that ends says nothing of why:
such a worker counts as gone, scaled in or restarted, unless work waits or is abandoned where it was and no other came
in its place.

Knows how to keep workers from poll to poll. Must not know any job system, nor when an age is too old.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from sentinel.model import Sample, Seconds
from sentinel.samplers.base import Client, Reply, sample
from sentinel.samplers.queues.base import QueueState, Sight, texts

__all__ = ["Fleet", "Presence", "name_of"]

_MOST = 2000
_FORGET_AFTER: Seconds = 3600.0
_GONE_FOR: Seconds = 60.0
_SKEW: Seconds = 1.0


@dataclass(slots=True)
class _Worker:
    group: str
    beat: float
    """Server's time of its last sign of life."""
    busy: float | None = None
    draining: float | None = None
    skew: float = 0.0


@dataclass
class Fleet:
    """Workers by name, in groups.

    Args:
        system: Label of everything that is told.
        dead_after: Age from which the system, or its rhythm, takes a worker for dead.
    """

    system: str
    dead_after: Seconds
    _workers: dict[str, _Worker] = field(default_factory=dict, init=False)
    _gone: dict[str, tuple[str, float]] = field(default_factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._workers)

    def __contains__(self, worker: str) -> bool:
        return worker in self._workers

    def __iter__(self) -> Iterator[str]:
        return iter(self._workers)

    def beat(
        self,
        worker: str,
        group: str,
        at: float,
        clock: float,
        busy: float | None = None,
        draining: float | None = None,
        skew: float = 0.0,
    ) -> None:
        """A worker's last sign of life was at that time, by the server's clock; a time that lies ahead is skew."""
        known = self._workers.get(worker)
        if known is None and (len(self._workers) >= _MOST or clock - at > _FORGET_AFTER):
            return
        ahead = at - clock if at > clock else 0.0
        self._workers[worker] = _Worker(group, min(at, clock), busy, draining, skew or ahead)
        self._gone.pop(worker, None)

    def leave(self, worker: str, clock: float, *, said: bool = False) -> None:
        """It deregistered itself. Unless it said so, one that was lost by then has been cleared away by others."""
        known = self._workers.pop(worker, None)
        if known and (said or clock - known.beat <= self.dead_after):
            self._gone[worker] = known.group, clock

    def keep(self, workers: Collection[str], clock: float) -> None:
        """All others have deregistered themselves."""
        for worker in self._workers.keys() - set(workers):
            self.leave(worker, clock)

    def stay(self, workers: Collection[str], registered: Reply, clock: float) -> tuple[str, ...]:
        """Those of the workers that are still registered: one that signs off shall not be late until the next look."""
        if isinstance(registered, list):
            there = set(texts(registered))
            workers = [worker for worker in workers if worker in there]
            self.keep(workers, clock)
        return tuple(workers)

    def beaten(self, worker: str) -> float | None:
        """When it last beat; None if it is not known."""
        known = self._workers.get(worker)
        return known.beat if known else None

    def samples(self, now: float, clock: float) -> Iterator[Sample]:
        """Everything that the contract says of workers."""
        self._workers = {w: one for w, one in self._workers.items() if clock - one.beat <= _FORGET_AFTER}
        self._gone = {w: (group, at) for w, (group, at) in self._gone.items() if clock - at <= _GONE_FOR}
        for group in sorted({one.group for one in self._workers.values()}):
            yield sample("heartbeat_dead_after_seconds", now, self.dead_after, group=group, system=self.system)
        for worker, one in self._workers.items():
            yield from self._told(worker, one, now, clock)
        for worker, (group, _) in self._gone.items():
            yield sample("worker_gone", now, 1.0, group=group, worker=worker, system=self.system)

    def _told(self, worker: str, one: _Worker, now: float, clock: float) -> Iterator[Sample]:
        figures = {
            "heartbeat_age_seconds": max(0.0, clock - one.beat),
            "worker_busy": one.busy,
            "worker_draining": one.draining,
            "worker_clock_skew_seconds": one.skew if abs(one.skew) > _SKEW else None,
        }
        for metric, figure in figures.items():
            if figure is not None:
                yield sample(metric, now, figure, group=one.group, worker=worker, system=self.system)


@dataclass
class Presence:
    """Workers that are known by their connections alone.

    Args:
        fleet: Where they are kept.
        quiet: Seconds for which a living worker's connection may show no command.
    """

    fleet: Fleet
    quiet: Seconds
    _seen: dict[str, set[str]] = field(default_factory=dict, init=False)
    _missing: dict[str, dict[str, float]] = field(default_factory=dict, init=False)
    _hanging: dict[str, set[str]] = field(default_factory=dict, init=False)
    """By the last list: later than that, it says nothing of who has been busy since."""
    _known: dict[int, str] = field(default_factory=dict, init=False)
    """Worker of each connection that was recognized, whatever its last command is since."""

    def see(
        self, group: str, workers: Mapping[str, Client], listed: float | None, clock: float, *, needed: bool, busy: bool
    ) -> int:
        """Take the connections of a group's workers from the last list, and tell how many there are.

        Args:
            group: Whose workers they are.
            workers: The connection of each.
            listed: When the list was taken, by the server's clock; None for never.
            clock: The server's time now.
            needed: Work waits there, or is abandoned.
            busy: Jobs are worked on and their leases kept: a connection without commands is no bad sign.
        """
        if listed is None:
            return 0
        if listed == clock:
            silent = {worker for worker, client in workers.items() if client.idle > self.quiet and not client.blocked}
            self._hanging[group] = set() if busy else silent
        for worker, client in workers.items():
            hangs = worker in self._hanging.get(group, ()) and not busy
            beat = listed - client.idle + self.quiet if hangs else clock
            self.fleet.beat(worker, group, beat, clock)
        self._account(group, set(workers), clock, needed)
        return len(workers)

    def see_all(
        self, queues: Collection[str], asks: Callable[[Client], bool], sight: Sight, *, needed: bool, busy: bool
    ) -> list[Sample]:
        """The workers of all queues of a database together, where nothing tells which of them they work on.

        While there are jobs in flight and nobody was ever seen to ask, it is not known how many workers there are.
        """
        system, name = self.fleet.system, (*queues, "*")[0] if len(queues) == 1 else "*"
        if sight.listed == sight.clock and not busy:
            self._dismiss(sight, asks)
        workers = self.recognized(sight.clients, asks)
        self.see(f"{system}:{name}{sight.place}", workers, sight.listed, sight.clock, needed=needed, busy=busy)
        unknown = sight.listed is None or (busy and not workers)
        consumers = QueueState(consumers=None if unknown else len(workers))
        return [
            *consumers.samples(name + sight.place, system, sight.now),
            *self.fleet.samples(sight.now, sight.clock),
        ]

    def recognized(self, clients: Collection[Client], asks: Callable[[Client], bool]) -> dict[str, Client]:
        """The connection of each worker: one that asks for jobs, or did when it was last seen to do anything else.

        A worker with a pool asks over one connection, and after a busy time over another (arq with ten jobs at a time
        was seen to use four in half a minute): one that begins to ask takes the place of the one from the same host
        that stopped last. That may be another's, which then takes the first one's place when it asks again.
        """
        known = self._known
        stopped: dict[str, list[Client]] = {}
        for client in sorted(clients, key=lambda each: each.idle, reverse=True):
            if client.id in known and not asks(client):
                stopped.setdefault(_host(client), []).append(client)
        found: dict[str, Client] = {}
        for client in clients:
            if asks(client):
                before = client if client.id in known else (stopped.get(_host(client)) or [client]).pop()
                found[known.get(before.id) or _fresh(client, known)] = client
        found |= {known[client.id]: client for others in stopped.values() for client in others}
        self._known = {client.id: worker for worker, client in found.items()}
        return found

    def _dismiss(self, sight: Sight, asks: Callable[[Client], bool]) -> None:
        """While there are no jobs in flight, a connection that was last used for something else than asking is none of
        a worker. One that asked, however long ago, may be of one that hangs."""
        for client in sight.clients:
            if client.id in self._known and not asks(client._replace(idle=0)):
                worker = self._known.pop(client.id)
                self.fleet.leave(worker, sight.clock)
                for seen in self._seen.values():
                    seen.discard(worker)

    def _account(self, group: str, present: set[str], clock: float, needed: bool) -> None:
        before, missing = self._seen.get(group, set()), self._missing.setdefault(group, {})
        missing.update(dict.fromkeys(before - present, clock))
        replaced = sorted(missing)[: len(present - before)]
        for worker in [*replaced, *(worker for worker in missing if worker in present)]:
            missing.pop(worker, None)
            if worker not in present:
                self.fleet.leave(worker, clock)
        for worker, since in list(missing.items()):
            if not needed and clock - since > 0.8 * self.fleet.dead_after:
                self.fleet.leave(worker, clock)
                del missing[worker]
            elif worker not in self.fleet:
                del missing[worker]
        self._seen[group] = present


def name_of(client: Client) -> str:
    """A worker's name: its connection's, if it has one, and its address."""
    return f"{client.name}@{client.addr}".lstrip("@")


def _fresh(client: Client, known: Mapping[int, str]) -> str:
    name = name_of(client)
    return f"{name}#{client.id}" if name in known.values() else name


def _host(client: Client) -> str:
    return client.addr.rpartition(":")[0]
