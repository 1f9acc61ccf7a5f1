"""Queues of a target: how much waits, is in flight, is delayed.

Knows the kinds by their table and that all are asked at once. Must not know any kind's commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from sentinel.model import Sample
from sentinel.samplers.acl import acl_names
from sentinel.samplers.base import Command, Reader, SamplerError, refusal
from sentinel.samplers.queues.base import Queue
from sentinel.samplers.queues.lists import ListQueue
from sentinel.samplers.queues.streams import StreamQueue
from sentinel.samplers.queues.zsets import ZsetQueue

__all__ = ["BY_NAME", "ListQueue", "Queue", "Queues", "StreamQueue", "ZsetQueue"]

BY_NAME: Mapping[str, type[Queue]] = {"list": ListQueue, "zset": ZsetQueue, "stream": StreamQueue}


@dataclass
class Queues:
    """All queues of a target, in one pipeline after the server's TIME."""

    name: ClassVar[str] = "queues"
    queues: tuple[Queue, ...]
    trouble: str = field(default="", init=False)
    """What the last sample had to leave out, and why; empty when all could be read."""

    @property
    def commands(self) -> tuple[str, ...]:
        """What these queues need, and no more."""
        return ("time", *sorted(acl_names(command for queue in self.queues for command in queue.commands(0.0))))

    async def sample(self, reader: Reader, now: float) -> list[Sample]:
        """Samples of every queue that can be read.

        Raises:
            SamplerError: none could.
        """
        (time,) = await reader.ask(("TIME",))
        if not isinstance(time, list):
            raise refusal(time, "TIME")
        asked = [queue.commands(int(time[0]) + int(time[1]) / 1e6) for queue in self.queues]
        flat: list[Command] = [command for commands in asked for command in commands]
        replies = iter(await reader.ask(*flat))
        samples: list[Sample] = []
        errors: list[SamplerError] = []
        for queue, commands in zip(self.queues, asked, strict=True):
            try:
                samples += queue.read([next(replies) for _ in commands], now)
            except SamplerError as error:
                errors.append(error)
        self.trouble = "; ".join(map(str, errors))
        if errors and not samples:
            raise SamplerError(errors[0].reason, self.trouble)
        return samples
