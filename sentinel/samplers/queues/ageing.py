"""How long the oldest job has waited where jobs carry no stamp: an estimate, and a lower bound.

A job is number n of its queue. It came when the count of arrivals first reached n, and is the oldest when n - 1 have
departed; so the age is read off the curve of arrivals, which is depth plus departures. What departed is known in
part: nothing while the same job is next, at least what the depth fell by, and as much as the system's own counter of
finished jobs says. Where the next job changes and there is no counter, the curve begins anew.

Payloads are fetched to see whether the next job is still the same; only a hash is kept. Big ones are fetched rarely.

Source: cumulative curves as in Newell (1982), "Applications of Queueing Theory", chapter 1.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sentinel.model import Seconds
from sentinel.samplers.base import Reply

__all__ = ["Ageing", "Peeking"]

_MOST = 720
_BIG = 256 * 1024
_REST: Seconds = 60.0


@dataclass
class Peeking:
    """When the next job of a list may be fetched again.

    A payload of 256 KB is fetched once a minute, one of twice that every two minutes.
    """

    _rests: dict[str, float] = field(default_factory=dict, init=False)

    def may(self, key: str, clock: float) -> bool:
        """Whether to fetch now."""
        return clock >= self._rests.get(key, 0.0)

    def fetched(self, key: str, reply: Reply, clock: float) -> int | None:
        """What tells the job from others; None if there is none."""
        if not isinstance(reply, bytes):
            return None
        if len(reply) >= _BIG:
            self._rests[key] = clock + _REST * len(reply) / _BIG
        else:
            self._rests.pop(key, None)
        return hash(reply)

    def keep(self, keys: set[str]) -> None:
        """Forget all other lists."""
        self._rests = {key: at for key, at in self._rests.items() if key in keys}


@dataclass
class Ageing:
    """The age of the oldest job of one queue, from readings alone.

    >>> queue = Ageing()
    >>> [queue.age(depth, head, clock) for depth, head, clock in ((0, None, 0), (3, 7, 10), (5, 7, 20), (5, 7, 30))]
    [0.0, 0.0, 10, 20]

    With a counter of finished jobs: three have gone by, so that the oldest is one of the two that came at 20.

    >>> queue.age(5, 7, 40, finished=100)
    30
    >>> queue.age(2, 9, 50, finished=103)
    30
    """

    unique: bool = True
    """No two payloads are alike, as where they hold the job's id."""
    _depth: float = field(default=0.0, init=False)
    _head: int | None = field(default=None, init=False)
    _departed: float = field(default=0.0, init=False)
    _finished: float | None = field(default=None, init=False)
    """What the counter stood at, less what had departed then."""
    _counted: float | None = field(default=None, init=False)
    _arrivals: deque[tuple[float, float]] = field(default_factory=deque, init=False)
    """Time, and how many had arrived by then."""

    def age(self, depth: float, head: int | None, clock: float, finished: float | None = None) -> float:
        """Seconds that the oldest has waited at least; 0 for an empty queue.

        Args:
            depth: Jobs that wait.
            head: What tells the next job from others; None if it was not looked at.
            clock: The server's time.
            finished: Jobs that the system has ever finished, if it counts them.
        """
        same = head is not None and head == self._head and depth >= self._depth
        same = same and (self.unique or finished == self._counted)
        if not same:
            self._departed += max(0.0, self._depth - depth)
            if head is not None and self._head is not None and finished is None:
                self._arrivals.clear()
        if finished is not None:
            self._finished = finished - self._departed if self._finished is None else self._finished
            if not same:
                self._departed = max(self._departed, finished - self._finished)
        self._depth, self._counted = depth, finished
        self._head = head if head is not None else self._head
        return self._read(depth, clock)

    def _read(self, depth: float, clock: float) -> float:
        arrived = self._departed + depth
        while self._arrivals and (self._arrivals[0][1] <= self._departed or depth <= 0):
            self._arrivals.popleft()
        if depth <= 0:
            self._head = None
            return 0.0
        if not self._arrivals or self._arrivals[-1][1] < arrived:
            self._arrivals.append((clock, arrived))
        if len(self._arrivals) > _MOST:
            self._arrivals = deque(each for place, each in enumerate(self._arrivals) if place % 2 == 0)
        return max(0.0, clock - self._arrivals[0][0])
