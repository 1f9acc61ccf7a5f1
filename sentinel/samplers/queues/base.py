"""What a kind of queue is, and the names of everything that is said of queues and their workers.

Queues. Every metric of one queue has the same labels: `queue` (its name; `NAME@dbN` where it is not in the target's
own database) and `system`, the kind in `BY_NAME`, such as celery, rq, bullmq or list. Two systems may have queues
of the same name: `queue` and `system` together say which one. What a system does not offer has no series: it is
unknown, not 0.

    queue_depth                  jobs that wait to be taken, whether or not they may be yet
    queue_eligible               of these, the jobs that could be taken now: without delayed and future ones
    queue_oldest_age_seconds     how long the oldest eligible job has waited; 0 if there is none. Exemplar estimate="1"
                                 where the system stamps nothing: then it is a lower bound
    queue_in_flight              taken and not yet done
    queue_abandoned              of these, the jobs whose lease has run out: their worker died or hangs
    queue_delayed                due later, on purpose: scheduled, or waiting for another try
    queue_paused                 1 or 0
    queue_consumers              workers that are there to take from it, busy or not
    queue_enqueued_total         ever enqueued
    queue_completed_total        ever done, well or not: progress
    queue_failed_total           ever failed, each attempt once if the system counts attempts
    queue_dead_total             ever given up on

A `…_total` only rises. Where the system keeps no counter but a set of what failed or was given up, it is made from the
set's growth since Sentinel first saw it; a set that is trimmed or cleared then stands still and does not fall.
Counters that a system keeps for all its queues together have the queue `*`; that has no queue_depth.

Workers. Labels: `group` (workers that do the same, `SYSTEM:` and the names of their queues where they are known),
`worker` (its own name, or what tells it apart), `system`.

    heartbeat_age_seconds        since its last sign of life; grows while none comes. The series ends when the worker
                                 deregisters itself or has been lost for an hour
    heartbeat_dead_after_seconds (without `worker`) age from which the system itself, or its documented rhythm, takes a
                                 worker for dead; not given where heartbeats are named in YAML
    worker_busy                  jobs that it works on
    worker_draining              1 or 0: it takes no more jobs on purpose
    worker_gone                  1, for a minute after it deregistered itself: drained, not lost
    worker_clock_skew_seconds    how far its clock is ahead of the server's (below 0: behind), where over a second

Discovery. Labels: `system`.

    discovered_queues · discovered_workers    found by looking, not named in YAML

Knows how a queue asks and reads. Must not know other queues, nor when a depth is too deep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from redis.exceptions import RedisError

from sentinel.model import Sample
from sentinel.samplers.base import Command, Reply, refusal

__all__ = ["Queue", "checked"]


class Queue(Protocol):
    """One queue of one target. A frozen dataclass whose fields are its settings, one line in `BY_NAME`."""

    @property
    def key(self) -> str:
        """Where it is."""

    @property
    def name(self) -> str:
        """As in `queue_depth{queue="…"}`; without it, the key."""

    def commands(self, clock: float) -> tuple[Command, ...]:
        """What to ask; `clock` is the server's own time."""

    def read(self, replies: Sequence[Reply], now: float) -> list[Sample]:
        """Samples from the replies to its commands, in order.

        Raises:
            SamplerError: the server refused or the key is of another type; the text names the key.
        """


def checked(reply: Reply, key: str) -> float:
    """A number of a reply.

    Raises:
        SamplerError: it is an error.
    """
    if isinstance(reply, RedisError):
        raise refusal(reply, key)
    return float(reply)
