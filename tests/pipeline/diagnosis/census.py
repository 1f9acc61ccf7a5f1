"""Client groups whose connections come and go, on a server told poll by poll. Knows metric names, judges nothing."""

from __future__ import annotations

from sentinel.model import Finding, Labels, Series, labels
from tests.pipeline.diagnosis.server import Server

__all__ = ["Census"]


class Census:
    """A server of groups that hold what they are told to; the census is part of each poll.

    Args:
        server: To which the groups connect.
        groups: Clients of each at the start, all of them in use, each with ten connections a process.
    """

    def __init__(self, server: Server, **groups: float) -> None:
        self.server = server
        self.clients = dict(groups)
        self.cohort = dict.fromkeys(groups, 0.0)
        self.sources = {name: clients / 10 for name, clients in groups.items()}
        self.example: Labels = labels(name="api-1", addr="10.4.7.3", cmd="info", share="1.00")

    def open(self, group: str, number: float, *, used: bool = False, processes: float = 0.0) -> None:
        """Connections are opened; unless `used`, they join the cohort."""
        self.clients[group] += number
        self.cohort[group] += 0.0 if used else number
        self.sources[group] += processes

    def close(self, group: str, number: float, *, used: bool = False) -> None:
        """Connections are closed, first of the cohort unless `used`."""
        self.open(group, -number, used=used)

    def use(self, group: str, number: float) -> None:
        """Connections of the cohort are used again."""
        self.cohort[group] -= number

    def tick(self) -> list[Finding]:
        """One poll; what fires."""
        for name in self.clients:
            self.server.group(name, self.clients[name], self.sources[name])
            for metric in ("redis_group_unused_clients", "redis_group_untouched_clients"):
                self.server.set(labels(group=name), **{metric: self.cohort[name]})
                self.server.exemplars[Series(metric, labels(group=name))] = self.example
        self.server.set(redis_connected_clients=sum(self.clients.values()))
        return self.server.tick()

    def leak(self, group: str, times: int, each: float = 1.0, *, used: bool = False) -> list[Finding]:
        """`each` opened and forgotten before every one of so many polls; what fires at the last."""
        found: list[Finding] = []
        for _ in range(times):
            self.open(group, each, used=used)
            found = self.tick()
        return found

    def rest(self, seconds: float) -> list[Finding]:
        """Nothing changes for so long; all that fires."""
        return [finding for _ in range(round(seconds / self.server.step)) for finding in self.tick()]
