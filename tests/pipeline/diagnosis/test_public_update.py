"""Drafts of status pages, and hands off, are told like incidents: to those who hear of those."""

from __future__ import annotations

from sentinel.delivery import BreakerState, Standing
from sentinel.model import Finding, Severity
from sentinel.outbox import Outbox
from sentinel.pipeline.diagnosis.public_update import PublicUpdate
from sentinel.pipeline.public_rules import PublicRule
from sentinel.pipeline.publishing import Published
from sentinel.self_watch import self_poll
from sentinel.statuspages.base import Kept
from tests.pipeline.diagnosis.queue_world import START, Judged

WELL = {"page/customers": Standing(BreakerState.CLOSED, "", None, 0.0, 0)}
RULE = PublicRule("1001", "Background jobs", ("stall",))


def published(**changes: object) -> Published:
    return Published("page/customers", "1001", RULE, "01K" + "0" * 17 + "ABCDEF", START, **changes)  # type: ignore[arg-type]


def look(one: Published | None, **kept: bool) -> Finding | None:
    judged = Judged(PublicUpdate())
    refs = {(one.page, one.id): Kept("9001", "u1", {}, **kept).text()} if one is not None and kept else {}
    public = [] if one is None else [(one, "Delays", "Jobs may be slower.")]
    return judged.poll(*self_poll(START + 15.0, WELL, Outbox(), "", public, refs).samples, after=15.0)


def test_a_draft_is_told_with_its_exact_text_and_how_to_answer() -> None:
    found = look(published(drafted=START))
    assert found is not None
    assert (found.subject, found.severity) == ("customers/SNT-ABCDEF", Severity.WARNING)
    assert "“Delays: Jobs may be slower.”" in found.summary
    assert "`sentinel page approve SNT-ABCDEF`" in found.first_action


def test_that_a_person_took_over_is_told() -> None:
    found = look(published(), hands_off=True)
    assert found is not None
    assert "Sentinel leaves SNT-ABCDEF alone" in found.summary


def test_a_reference_that_is_none_of_a_page_s_says_nothing() -> None:
    one, judged = published(), Judged(PublicUpdate())
    for ref in ("C1/1503435956.000247", "{}", "[1,2,3,4,5,6]"):
        poll = self_poll(judged.now + 15.0, WELL, Outbox(), "", [(one, "Delays", "x")], {(one.page, one.id): ref})
        assert judged.poll(*poll.samples, after=15.0) is None


def test_what_is_public_and_in_our_hands_or_not_there_is_not_told() -> None:
    assert look(published(), hands_off=False) is None
    assert look(published()) is None
    assert look(None) is None
