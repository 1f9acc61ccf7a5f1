"""What CLIENT LIST says while somebody leaks among many others: bytes like a real server's, and who it truly was.

Every population is one server for 40 minutes, listed every half minute: some 60 % of its clients are unnamed,
services hide behind one address, scripts come and go, a deploy and a scale-up are under way, a pool fills to its
mark, and one service opens connections that it uses once and never closes. Here single clients are followed.
The lines are those of Redis 6.2, 7.0 and 7.2 and of Valkey 9.1, by seed (fields and order as those servers send).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from .traffic import MONDAY

__all__ = ["Population", "Truth", "populations"]

EVERY = 30.0
"""Seconds between two lists."""
LISTS = 80
UNNAMED = 0.6
HIDDEN = 5
"""Every so many populations, the leak cannot be told from a neighbour behind the same address."""

Kind = Literal["pool", "workers", "subscribers", "script"]


@dataclass(frozen=True, slots=True)
class Truth:
    """Who leaks."""

    service: str
    name: str
    """What its clients' names begin with; empty for unnamed ones."""
    hosts: frozenset[str]
    """Addresses, without ports, that the leaked connections come from."""
    command: str
    leaked: frozenset[str]
    """Addresses with ports of every leaked connection."""
    nameable: bool
    """False where another service has the same address, library, user, db and command: nobody can say which."""


@dataclass(frozen=True, slots=True)
class Population:
    """One server's lists, oldest first, with their times, and the truth about them."""

    seed: int
    lists: tuple[tuple[float, bytes], ...]
    truth: Truth


@dataclass(eq=False, slots=True)
class _Client:
    id: int
    host: str
    port: int
    name: str
    born: float
    used: float
    flags: str
    command: str
    service: _Service
    rank: int = 0
    """Place in its pool; the first are handed out first."""
    commands: int = 1
    leaked: bool = False


@dataclass(eq=False, slots=True)
class _Service:
    name: str
    kind: Kind
    pods: int
    each: int
    block: str
    command: str
    lib: str
    user: str
    db: int
    named: bool = False
    nat: bool = False
    fills: bool = False
    """Its pools begin half full and fill to their mark within the first ten minutes."""

    @property
    def size(self) -> int:
        return self.pods * self.each


def populations(seeds: Iterable[int] = range(1, 21)) -> Iterator[Population]:
    """One population for each seed; the same seed gives the same bytes."""
    return (_Crowd(seed).population() for seed in seeds)


@dataclass(eq=False)
class _Crowd:
    """The clients of one server, moved on from list to list."""

    seed: int
    now: float = MONDAY
    clients: list[_Client] = field(default_factory=list)
    leaked: list[_Client] = field(default_factory=list)
    ids: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng([self.seed, 0xC11E])
        self.ids = itertools.count(int(self.rng.integers(10_000, 5_000_000)))
        self.nameable = self.seed % HIDDEN != 0
        self.services = self._services()
        pools = [service for service in self.services if service.kind == "pool"]
        self.culprit = pools[0]
        self.deployed, self.scaled = pools[-1], pools[-2]
        self.rate = float(self.rng.choice([1.0, 2.0, 4.0, 8.0]))
        """Leaked connections a list."""

    def population(self) -> Population:
        """All lists and the truth."""
        for service in self.services:
            for _ in range(service.pods):
                self._start(service, age=float(self.rng.uniform(1_200.0, 90_000.0)))
        lists = []
        for number in range(LISTS):
            self.now += EVERY
            self._step(number)
            lists.append((self.now, "".join(map(self._line, self.clients)).encode()))
        return Population(self.seed, tuple(lists), self._truth())

    def _truth(self) -> Truth:
        return Truth(
            service=self.culprit.name,
            name=self.culprit.name if self.culprit.named else "",
            hosts=frozenset(client.host for client in self.leaked),
            command=self.leaked[0].command,
            leaked=frozenset(f"{client.host}:{client.port}" for client in self.leaked),
            nameable=self.nameable,
        )

    def _services(self) -> list[_Service]:
        """Pools, workers, subscribers and a script; the first pool leaks, and its twin may hide it."""
        names = ["api", "checkout", "search", "mailer", "status", "assets", "billing", "gateway"]
        drawn = [self._service(str(name), "pool") for name in self.rng.permutation(names)[:5]]
        drawn += [self._service("encoder", "workers"), self._service("push", "subscribers")]
        script = self._service("php", "script")
        drawn = [*_named(drawn, self.seed), replace(script, pods=1, each=0)]
        if not self.nameable:
            culprit = replace(drawn[0], named=False, nat=True)
            drawn[:2] = [culprit, replace(culprit, name=drawn[1].name, pods=drawn[1].pods)]
        drawn[2] = replace(drawn[2], fills=True)
        return drawn

    def _service(self, name: str, kind: Kind) -> _Service:
        commands = {"workers": "brpop", "subscribers": "subscribe"}
        libs = ["", "", "redis-py/5.3.1", "ioredis/5.11.1", "lettuce/6.8.0.RELEASE", "redis-py/8.1.0"]
        return _Service(
            name,
            kind,
            pods=int(self.rng.integers(3, 10)),
            each=int(self.rng.integers(4, 14)),
            block=f"10.{self.rng.integers(1, 9)}.{self.rng.integers(0, 250)}",
            command=commands.get(kind, str(self.rng.choice(["get", "set", "hgetall", "info", "evalsha"]))),
            lib=str(self.rng.choice(libs)),
            user=str(self.rng.choice(["default", "default", name])),
            db=int(self.rng.choice([0, 0, 0, 3])),
            nat=bool(self.rng.random() < 0.3),
        )

    # How time passes.

    def _step(self, number: int) -> None:
        for service in self.services:
            if service.kind == "script":
                self._come_and_go(service)
        if 8 <= number < 28 and number % 4 == 0:
            self._replace_a_pod(self.deployed)
        if 10 <= number < 30 and number % 10 == 0:
            self._start(self.scaled)
        for client in self.clients:
            self._use(client)
        if number < 20:
            self._fill()
        for _ in range(int(self.rng.poisson(self.rate)) if number >= 4 else 0):
            self._leak()

    def _use(self, client: _Client) -> None:
        """Pools hand out their first connections all the time, their last hardly ever; workers wake up and wait."""
        if client.leaked or client.service.kind == "subscribers":
            return
        chance = 0.97 if client.service.kind == "workers" else 0.97 * 0.8**client.rank
        if self.rng.random() < chance:
            client.used = self.now - float(self.rng.exponential(3.0)) % EVERY
            client.commands += int(self.rng.integers(1, 200))
            if client.service.kind == "workers":
                client.flags = "b" if self.rng.random() < 0.6 else "N"

    def _start(self, service: _Service, age: float = 0.0) -> None:
        """A pod with its connections; `service.fills` opens only half of them yet."""
        host = self._host(service)
        pod = f"{service.name}-{self.rng.integers(16**5):05x}"
        opened = service.each // 2 if service.fills and age else service.each
        for rank in range(opened):
            self._open(service, host, pod, rank, age)

    def _open(self, service: _Service, host: str, pod: str, rank: int, age: float = 0.0) -> _Client:
        flags = {"workers": "b", "subscribers": "P"}.get(service.kind, "N")
        born = self.now - age - float(self.rng.uniform(0.0, 5.0))
        port = int(self.rng.integers(32_768, 61_000))
        name = pod if service.named else ""
        idle = float(self.rng.uniform(0.0, 0.9)) * age if rank < 4 else age
        used = born if service.kind == "subscribers" else max(born, self.now - idle)
        client = _Client(next(self.ids), host, port, name, born, used, flags, service.command, service, rank)
        client.commands = 1 if used == born else int(self.rng.integers(2, 100_000))
        self.clients.append(client)
        return client

    def _host(self, service: _Service) -> str:
        return f"{service.block}.1" if service.nat else f"{service.block}.{self.rng.integers(2, 255)}"

    def _come_and_go(self, service: _Service) -> None:
        self.clients = [client for client in self.clients if client.service is not service]
        for _ in range(int(self.rng.poisson(3.0))):
            self._open(service, self._host(service), service.name, rank=0)

    def _replace_a_pod(self, service: _Service) -> None:
        old = [client for client in self.clients if client.service is service]
        leaving = {(client.host, client.name) for client in old[:1]}
        gone = [c for c in old if (c.host, c.name) in leaving][: service.each]
        self.clients = [client for client in self.clients if client not in gone]
        self._start(service)

    def _fill(self) -> None:
        """One more connection for some pods that are not at their mark."""
        for service in self.services:
            pods: dict[tuple[str, str], int] = {}
            for client in self.clients if service.fills else ():
                if client.service is service:
                    pods[client.host, client.name] = pods.get((client.host, client.name), 0) + 1
            for (host, pod), held in pods.items():
                if held < service.each and self.rng.random() < 0.25:
                    self._open(service, host, pod, rank=held % 4)

    def _leak(self) -> None:
        of_culprit = [c for c in self.clients if c.service is self.culprit and not c.leaked]
        neighbour = of_culprit[int(self.rng.integers(len(of_culprit)))]
        client = self._open(self.culprit, neighbour.host, neighbour.name, rank=99)
        client.used = client.born + float(self.rng.uniform(0.0, 0.3))
        client.leaked = True
        self.leaked.append(client)

    # How a client is written.

    def _line(self, client: _Client) -> str:
        """A line of CLIENT LIST, in one of four dialects."""
        age, idle = int(self.now - client.born), int(self.now - client.used)
        dialect = self.seed % 4
        lib, _, version = client.service.lib.partition("/")
        head = (
            f"id={client.id} addr={client.host}:{client.port} laddr=10.0.0.2:6379 fd={8 + client.id % 9_000} "
            f"name={client.name} age={age} idle={min(idle, age)} flags={client.flags} "
        )
        subscriptions = int(client.flags == "P")
        shards = "" if dialect == 0 else " ssub=0"
        multi = "multi=-1 watch=0" if dialect == 3 else "multi=-1"
        middle = f"{'capa= ' if dialect == 3 else ''}db={client.service.db} sub={subscriptions} psub=0{shards} {multi} "
        memory = "" if dialect == 0 else "multi-mem=0 rbs=1024 rbp=0 "
        tail = (
            f"qbuf=0 qbuf-free=20474 argv-mem=0 {memory}obl=0 oll=0 omem=0 tot-mem=22272 events=r "
            f"cmd={client.command} user={client.service.user} redir=-1"
        )
        ending = ("", " resp=2", f" resp=2 lib-name={lib} lib-ver={version}")[min(dialect, 2)]
        if dialect == 3:
            ending += (
                f" tot-net-in={client.commands * 40} tot-net-out={client.commands * 70} tot-cmds={client.commands}"
            )
        return head + middle + tail + ending + "\n"


def _named(services: list[_Service], seed: int) -> list[_Service]:
    """Names as many services as bring the unnamed clients nearest to `UNNAMED`; every other seed names the first."""
    total = sum(service.size for service in services)
    best = min(
        (named for named in itertools.product([False, True], repeat=len(services)) if named[0] == (seed % 2 == 0)),
        key=lambda named: abs(_unnamed(services, named) - UNNAMED * total),
    )
    return [replace(service, named=named) for service, named in zip(services, best, strict=True)]


def _unnamed(services: list[_Service], named: tuple[bool, ...]) -> int:
    return sum(service.size for service, has_name in zip(services, named, strict=True) if not has_name)
