"""Whatever happens in whatever order, a status page keeps its promises. Drawn by hypothesis.

* One incident of a component is public at a time; it begins once, and when all is well it ends once.
* A crash at any time, with a snapshot of any age or none, changes neither.
* In draft mode nothing is public that nobody approved.
"""

from __future__ import annotations

import contextlib
import pickle
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.model import Notification, Reason, Stage
from sentinel.pipeline.public_rules import Gates, Mode
from sentinel.pipeline.publishing import Publishing, PublishingError
from tests.pipeline.test_publishing import PAGE, START, TWO, incident

TROUBLES: tuple[tuple[Any, ...], ...] = ((), TWO, TWO[:1], (*TWO, incident("backlog", START + 900.0)))
GATES = Gates(per_hour=3, update_every=600.0)

chapters = st.lists(
    st.one_of(
        st.tuples(
            st.just("wait"), st.sampled_from((30.0, 320.0, 700.0, 2500.0)), st.sampled_from(range(len(TROUBLES)))
        ),
        st.tuples(st.just("crash"), st.sampled_from((0, 1, 3, 1000)), st.just(0)),
        st.tuples(st.sampled_from(("approve", "withdraw")), st.just(0), st.just(0)),
    ),
    max_size=25,
)


class Page:
    """A page, the store behind it, and a daemon that may crash."""

    def __init__(self, mode: Mode) -> None:
        self.page = replace(PAGE, mode=mode, gates=GATES)
        self.publishing = Publishing("prod", [self.page])
        self.now, self.told, self.approved = START, dict[str, Notification](), set[str]()
        self.snapshots: list[bytes] = []

    def tell(self, chapter: tuple[Any, ...]) -> None:
        match chapter:
            case ("wait", seconds, trouble):
                self.wait(seconds, trouble)
            case ("crash", age, _):
                self.crash(age)
            case (answer, _, _):
                self.answer(answer)

    def wait(self, seconds: float, trouble: int) -> None:
        for _ in range(int(seconds / 10)):
            self.now += 10.0
            self.keep(self.publishing.take(TROUBLES[trouble], self.now, lambda _: True))
            self.snapshots.append(pickle.dumps(self.publishing.progress()))

    def keep(self, told: list[Notification]) -> None:
        """As the store does: an event id that is known changes nothing."""
        for each in told:
            self.told.setdefault(each.event_id, each)

    def crash(self, age: int) -> None:
        """Back with a snapshot so many steps old, or none, and what the store has."""
        self.publishing = Publishing("prod", [self.page])
        if age < len(self.snapshots):
            self.publishing.go_on(pickle.loads(self.snapshots[-1 - age]))
        self.publishing.catch_up(list(self.told.values())[-1:])

    def answer(self, answer: str) -> None:
        for one in self.publishing.published():
            with contextlib.suppress(PublishingError):
                if answer == "approve":
                    self.approved.add(one.id)
                    self.keep(self.publishing.approve(one.ref, self.now))
                else:
                    self.publishing.withdraw(one.ref, self.now)

    def check(self) -> None:
        """One after another, each from its beginning to its end."""
        live = None
        for each in self.told.values():
            assert each.public is not None
            if each.reason is Reason.OPENED:
                assert live is None, self.said()
                live = each.incident.id
            assert each.incident.id == live, self.said()
            if each.public.stage is Stage.RESOLVED:
                live = None
        assert live is None, self.said()

    def said(self) -> list[tuple[str, str, float]]:
        return [(each.incident.id[-4:], each.reason.value, each.time - START) for each in self.told.values()]


@given(chapters)
@settings(max_examples=80, deadline=None)
def test_each_public_incident_begins_once_and_ends_once_whatever_crashes(story: list[tuple[Any, ...]]) -> None:
    page = Page("auto")
    for chapter in story:
        page.tell(chapter)
    page.wait(1200.0, 0)
    page.check()


@given(chapters)
@settings(max_examples=60, deadline=None)
def test_nothing_is_public_that_nobody_approved(story: list[tuple[Any, ...]]) -> None:
    page = Page("draft")
    for chapter in story:
        page.tell(chapter)
    page.wait(1200.0, 0)
    page.check()
    assert {each.incident.id for each in page.told.values()} <= page.approved
