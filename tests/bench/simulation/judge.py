"""Sentinel's own pipeline as a judge: every cause with its defaults, and one receiver that is told all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sentinel.model import Notification, Poll, Reason, Severity
from sentinel.pipeline import CAUSES, Destination, Pipeline, PipelineSettings, Route

__all__ = ["PipelineJudge"]


class PipelineJudge:
    """A fresh pipeline for one run.

    Args:
        only: Names of the causes that judge; none: all.
    """

    def __init__(self, only: Sequence[str] = ()) -> None:
        everything = Destination("simulation", "simulation/tape", Severity.INFO, frozenset(Reason))
        settings = PipelineSettings(
            causes={name: cause() for name, cause in CAUSES.items() if name in (only or CAUSES)},
            routes=(Route("simulation"),),
            destinations=(everything,),
        )
        self._pipeline = Pipeline(settings)

    def feed(self, poll: Poll) -> Iterable[Notification]:
        """What is told of this poll."""
        return self._pipeline.feed(poll).notifications
