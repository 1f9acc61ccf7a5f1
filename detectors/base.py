"""What a detector is: numbers in, scores out.

Knows nothing of labels, Redis, clocks, asyncio or files, and must not. Time comes in with each value.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, Protocol, runtime_checkable

__all__ = ["LARGEST", "Counts", "Detector", "Explains", "Explanation", "Numbers", "Seconds"]

if TYPE_CHECKING:
    Numbers = array[float]
    Counts = array[int]
else:
    # Settings are read from the hints of a dataclass, and an array cannot be subscripted while the program runs.
    Numbers = Counts = array

Seconds = Annotated[float, "seconds"]
"""A duration. A field of this type may be written `10m` in YAML and is shortened by `time_scale`."""

LARGEST: Final = 1e150
"""Values this far from 0 are neither scored nor learnt, as are NaN and infinity: their squares overflow.

One comparison keeps all of them out: `-LARGEST < x < LARGEST`.
"""


@runtime_checkable
class Detector(Protocol):
    """Gives how unusual a value is. Its snapshot is its pickle.

    `score` never changes the detector; `learn` never answers. Both survive NaN, infinities, repeated and
    backward times. A score is a finite float of at least 0 (0 is ordinary, higher is stranger), or None while
    the detector has not seen enough (warm-up) or cannot judge the value.
    """

    def score(self, t: float, x: float) -> float | None:
        """Score value `x` seen at Unix time `t`, without learning it."""

    def learn(self, t: float, x: float) -> None:
        """Take value `x` seen at Unix time `t` into what is ordinary."""


class Explanation(NamedTuple):
    """What was expected of a value, what saw otherwise, and since when."""

    expected: float
    """Middle of what is ordinary, in the value's unit."""
    low: float
    """Lower end of what would have scored below the threshold; -inf where there is none."""
    high: float
    """Upper end of what would have scored below the threshold; inf where there is none."""
    off: float
    """The value less what was expected."""
    part: str
    """What in the detector saw it."""
    since: float | None = None
    """Unix time of the first value of this unbroken excess, where the detector keeps it."""


@runtime_checkable
class Explains(Protocol):
    """A detector that can say why."""

    def explain(self, t: float, x: float, threshold: float) -> Explanation | None:
        """Why value `x` at time `t` scores as it does, without learning it; None before the first score.

        Args:
            threshold: On the score; the range is what lies below it.
        """
