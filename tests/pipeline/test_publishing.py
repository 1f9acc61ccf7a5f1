"""The gates in front of a status page: what must hold before customers are told, and how it ends."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from detectors.limits import AboveLimit
from sentinel.model import (
    ComponentStatus,
    Finding,
    Incident,
    IncidentState,
    Notification,
    Severity,
    Stage,
    fingerprint,
    ulid,
)
from sentinel.pipeline import ActionError, IncidentSettings, Pipeline, PipelineSettings, Rule
from sentinel.pipeline.actions import Approve, Silence, Withdraw
from sentinel.pipeline.public_rules import Gates, Mode, PublicPage, PublicRule, refusal
from sentinel.pipeline.publishing import Publishing, PublishingError
from tests.pipeline.builders import poll_of

START = 1764000000.0
RULE = PublicRule("1001", "Background jobs", ("stall", "backlog", "refused"), quorum=2)
PAGE = PublicPage("page/customers", "auto", (RULE,))


def incident(
    cause: str, opened: float = START, target: str = "main", severity: Severity = Severity.CRITICAL
) -> Incident:
    finding = Finding(target, cause, "cause", severity, opened, True, "redis-a:6379 refuses 10.4.7.9")
    key = f"sentinel:prod:{fingerprint(cause, target, '')}"
    return Incident(ulid(opened, key), key, target, cause, "", severity, IncidentState.OPEN, opened, opened, finding)


TWO = (incident("stall"), incident("refused"))


class Watched:
    """A page over which time passes in polls of 5 seconds."""

    def __init__(self, page: PublicPage = PAGE, trusted: Callable[[Incident], bool] = lambda _: True) -> None:
        self.publishing = Publishing("prod", [page])
        self.now, self.trusted = START, trusted
        self.told: list[Notification] = []

    def wait(self, seconds: float, *incidents: Incident) -> list[Notification]:
        told: list[Notification] = []
        for _ in range(int(seconds / 5)):
            self.now += 5.0
            told += self.publishing.take(incidents, self.now, self.trusted)
        self.told += told
        return told

    @property
    def stages(self) -> list[Stage]:
        return [each.public.stage for each in self.told if each.public is not None]


def with_gates(page: PublicPage = PAGE, **gates: Any) -> PublicPage:
    return replace(page, gates=Gates(**gates))


def test_trouble_seen_from_two_sides_for_five_minutes_is_published() -> None:
    watched = Watched()
    assert watched.wait(295, *TWO) == []
    (told,) = watched.wait(10, *TWO)
    assert told.public is not None
    assert told.public.stage is Stage.INVESTIGATING
    assert told.public.title == "Delays in Background jobs"
    assert told.public.components == (("1001", ComponentStatus.DEGRADED),)
    assert not told.public.notify


def test_nothing_of_the_incident_but_public_words_is_in_what_is_told() -> None:
    watched = Watched()
    (told,) = watched.wait(310, *TWO)
    assert "redis-a" not in repr(told)
    assert "10.4.7.9" not in repr(told)


def test_one_side_alone_is_not_enough() -> None:
    assert Watched().wait(3600, TWO[0]) == []


def test_the_same_cause_on_two_targets_is() -> None:
    assert Watched().wait(310, incident("stall"), incident("stall", target="other")) != []


def test_a_warning_is_never_public() -> None:
    mild = [incident(cause, severity=Severity.WARNING) for cause in ("stall", "refused")]
    assert Watched().wait(3600, *mild) == []


def test_what_is_not_named_by_a_rule_is_never_public() -> None:
    assert Watched().wait(3600, incident("leak"), incident("churn")) == []
    elsewhere = replace(PAGE, rules=(replace(RULE, targets=("prod-*",)),))
    assert Watched(elsewhere).wait(3600, *TWO) == []


def test_an_interruption_begins_the_five_minutes_anew() -> None:
    watched = Watched()
    watched.wait(200, *TWO)
    watched.wait(10)
    again = [replace(each, opened=watched.now) for each in TWO]
    assert watched.wait(295, *again) == []
    assert watched.wait(10, *again) != []


def test_what_is_silenced_or_flapping_or_seen_by_sick_eyes_opens_nothing() -> None:
    assert Watched(trusted=lambda _: False).wait(3600, *TWO) == []


def test_what_is_not_trusted_resolves_nothing_either() -> None:
    watched = Watched(with_gates(update_every=0.0))
    watched.wait(310, *TWO)
    watched.trusted = lambda _: False
    watched.wait(7200, *TWO)
    assert watched.stages == [Stage.INVESTIGATING]


def test_it_is_watched_for_ten_minutes_before_it_is_resolved_and_a_relapse_goes_back() -> None:
    watched = Watched()
    watched.wait(310, *TWO)
    watched.wait(60)
    watched.wait(60, *TWO)
    watched.wait(600)
    assert watched.stages == [Stage.INVESTIGATING, Stage.MONITORING, Stage.INVESTIGATING, Stage.MONITORING]
    watched.wait(10)
    assert watched.stages[-1] is Stage.RESOLVED
    ids = {each.incident.id for each in watched.told}
    assert len(ids) == 1
    (last,) = watched.told[-1:]
    assert last.public is not None
    assert last.public.components == (("1001", ComponentStatus.OPERATIONAL),)


def test_it_is_told_again_every_half_hour_while_it_lasts() -> None:
    watched = Watched()
    watched.wait(310, *TWO)
    told = watched.wait(3600, *TWO)
    assert len(told) == 2
    assert told[0].public is not None
    assert told[0].public.message == "We are still working on the delays in Background jobs. They began at 16:00 UTC."


def test_subscribers_get_a_mail_no_sooner_than_a_quarter_of_an_hour_and_one_at_the_end() -> None:
    watched = Watched()
    watched.wait(310, *TWO)
    watched.wait(1900, *TWO)
    watched.wait(700)
    assert [each.public.notify for each in watched.told if each.public] == [False, True, False, True]


def test_who_had_no_mail_gets_none_at_the_end() -> None:
    watched = Watched()
    watched.wait(310, *TWO)
    watched.wait(700)
    assert [each.public.notify for each in watched.told if each.public] == [False, False, False]


def test_a_worse_rule_raises_the_component_and_a_better_one_does_not_lower_it() -> None:
    down = PublicRule("1001", "Background jobs", ("unreachable",), status="major", quorum=1)
    watched = Watched(replace(PAGE, rules=(RULE, down)))
    watched.wait(310, *TWO)
    (told,) = watched.wait(10, *TWO, incident("unreachable"))
    assert told.public is not None
    assert told.public.components == (("1001", ComponentStatus.MAJOR),)
    assert watched.wait(60, *TWO) == []


def test_the_third_in_an_hour_waits_for_a_person() -> None:
    rules = tuple(replace(RULE, component=str(number)) for number in range(3))
    watched = Watched(replace(PAGE, rules=rules))
    assert len(watched.wait(310, *TWO)) == 2
    (draft,) = [each for each in watched.publishing.published() if each.drafted]
    assert draft.component == "2"


def test_a_relapse_shortly_after_the_end_sends_no_mail() -> None:
    watched = Watched()
    watched.wait(310, *TWO)
    watched.wait(700)
    again = [incident(each.cause, watched.now) for each in TWO]
    watched.wait(3600, *again)
    assert not any(each.public and each.public.notify for each in watched.told)
    assert len({each.incident.id for each in watched.told}) == 2


def test_by_default_a_person_approves_the_exact_text() -> None:
    watched = Watched(replace(PAGE, mode="draft"))
    assert watched.wait(310, *TWO) == []
    (note,) = watched.publishing.notes
    (draft,) = watched.publishing.published()
    assert "Delays in Background jobs: Background jobs may be slower than usual." in note
    assert f"sentinel page approve {draft.ref}" in note
    (told,) = watched.publishing.approve(draft.ref, watched.now)
    assert told.public is not None
    assert told.public.message == watched.publishing.text(draft)[1]
    assert told.public.notify


def test_a_draft_that_nobody_answers_is_dropped_and_not_drafted_again() -> None:
    watched = Watched(replace(PAGE, mode="draft"))
    watched.wait(310, *TWO)
    watched.wait(1805, *TWO)
    assert watched.publishing.published() == []
    watched.wait(3600, *TWO)
    assert len(watched.publishing.notes) == 2


def test_a_draft_whose_trouble_is_over_is_dropped() -> None:
    watched = Watched(replace(PAGE, mode="draft"))
    watched.wait(310, *TWO)
    watched.wait(5)
    assert watched.publishing.published() == []


def test_a_page_that_keeps_drafts_itself_is_given_the_draft() -> None:
    watched = Watched(replace(PAGE, mode="draft", drafts=True))
    (told,) = watched.wait(310, *TWO)
    assert told.public is not None
    assert told.public.draft


def test_a_draft_can_be_withdrawn_and_what_is_public_can_not() -> None:
    watched = Watched(replace(PAGE, mode="draft"))
    watched.wait(310, *TWO)
    (draft,) = watched.publishing.published()
    watched.publishing.withdraw(draft.ref, watched.now)
    assert watched.publishing.published() == []
    public = Watched()
    public.wait(310, *TWO)
    (open_one,) = public.publishing.published()
    with pytest.raises(PublishingError, match="is public already"):
        public.publishing.withdraw(open_one.ref, public.now)


def test_an_unknown_reference_is_told_with_those_that_there_are() -> None:
    with pytest.raises(PublishingError, match="there is no draft or public incident SNT-ABCDEF; there are: none"):
        Watched().publishing.approve("SNT-ABCDEF", START)


def test_components_alone_make_no_incident() -> None:
    (told,) = Watched(replace(PAGE, mode="component_only")).wait(310, *TWO)
    assert told.public is not None
    assert told.public.components_only


def test_a_page_that_is_off_is_told_nothing() -> None:
    assert Watched(replace(PAGE, mode="off")).wait(3600, *TWO) == []


def test_what_was_published_goes_on_after_a_restart_and_what_was_lost_is_not_made_twice() -> None:
    before = Watched()
    (first,) = before.wait(310, *TWO)
    after = Watched()
    after.now = before.now
    after.publishing.go_on(pickle.loads(pickle.dumps(before.publishing.progress())))
    assert after.wait(60, *TWO) == []
    forgetful = Watched()
    forgetful.now = before.now
    (again,) = forgetful.wait(5, *TWO)
    assert (again.event_id, again.incident.id) == (first.event_id, first.incident.id)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ({"title": "{queue} is slow"}, "may only name {component}, {started_at}, {stage}, {ref}"),
        ({"resolved": "10.0.0.7 is back"}, "holds an address"),
        ({"ongoing": "see redis://db"}, "holds a URL of a server"),
        ({"causes": ()}, "what customers notice"),
        ({"quorum": 0}, "at least 1"),
    ],
)
def test_a_rule_that_could_embarrass_is_refused_at_once(template: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("{", r"\{")):
        replace(RULE, **template)


def test_a_component_name_that_is_a_host_is_found_when_it_is_written_out() -> None:
    watched = Watched(replace(PAGE, rules=(replace(RULE, name="redis-a-1"),)))
    assert watched.wait(600, *TWO) == []
    assert watched.publishing.notes == ["page/customers: nothing was published, the text for 1001 holds a host name"]


@pytest.mark.parametrize("text", ["Uploads are slow.", "SNT-4F2K9Q", "Since 16:00 UTC, 24-7 support is there."])
def test_ordinary_words_are_public(text: str) -> None:
    assert refusal(text) is None


class Piped:
    """The same, through a whole pipeline: two rules that see trouble on one target make it critical."""

    def __init__(self, mode: Mode = "auto") -> None:
        rules = [
            Rule(name, "redis_blocked_clients", partial(AboveLimit, 10.0), 1.0, for_=0.0, severity=Severity.CRITICAL)
            for name in ("slow", "slower")
        ]
        rule = replace(RULE, causes=("slow", "slower"))
        settings = PipelineSettings(rules=tuple(rules), pages=(replace(PAGE, mode=mode, rules=(rule,)),))
        self.settings, self.now = settings, START
        self.pipeline = Pipeline(settings)

    def wait(self, seconds: float, blocked: float) -> tuple[list[Notification], list[str]]:
        told: list[Notification] = []
        notes: list[str] = []
        for _ in range(int(seconds / 5)):
            self.now += 5.0
            step = self.pipeline.feed(poll_of(self.now, redis_blocked_clients=blocked))
            told += [each for each in step.notifications if each.public]
            notes += [event.text for event in step.events if event.kind == "status page"]
        return told, notes


def test_a_pipeline_tells_pages_what_passes_the_gates() -> None:
    piped = Piped()
    told, _ = piped.wait(400, 20.0)
    assert [each.destination for each in told] == ["page/customers"]


def test_a_pipeline_that_was_just_started_trusts_nothing_yet() -> None:
    piped = Piped()
    piped.settings = replace(piped.settings, incidents=IncidentSettings(startup_grace=600.0))
    piped.pipeline = Pipeline(piped.settings)
    assert piped.wait(500, 20.0)[0] == []
    assert piped.wait(600, 20.0)[0] != []


def test_what_is_silenced_is_not_public() -> None:
    piped = Piped()
    piped.pipeline.act(Silence(START, "ada", ("target=main",), until=START + 3600.0))
    assert piped.wait(1200, 20.0)[0] == []


def test_who_cannot_save_publishes_nothing_by_itself() -> None:
    piped = Piped()
    own = Rule("unsaved", "state_failing", partial(AboveLimit, 1.0), 1.0, for_=0.0, severity=Severity.WARNING)
    piped.settings = replace(piped.settings, rules=(*piped.settings.rules, own))
    piped.pipeline = Pipeline(piped.settings)
    for failing, published in ((1.0, 0), (0.0, 1)):
        told: list[Notification] = []
        for _ in range(200):
            piped.now += 5.0
            poll = poll_of(piped.now, redis_blocked_clients=20.0, state_failing=failing)
            told += [each for each in piped.pipeline.feed(poll).notifications if each.public]
        assert len(told) == published


def test_a_draft_is_noted_for_the_log_and_approved_by_an_act() -> None:
    piped = Piped("draft")
    told, notes = piped.wait(400, 20.0)
    assert told == []
    assert any("sentinel page approve" in note for note in notes)
    ((draft, title, _),) = piped.pipeline.published()
    assert title == "Delays in Background jobs"
    step = piped.pipeline.act(Approve(piped.now, "ada", draft.ref))
    assert [each.destination for each in step.notifications] == ["page/customers"]
    assert [(event.kind, event.by) for event in step.events] == [("approved", "ada")]


def test_an_act_on_an_unknown_draft_is_refused() -> None:
    with pytest.raises(ActionError, match="there is no draft"):
        Piped().pipeline.act(Withdraw(START, "ada", "SNT-ABCDEF"))


def test_what_is_public_survives_a_restart() -> None:
    piped = Piped()
    piped.wait(400, 20.0)
    after = Pipeline(piped.settings)
    after.restore(snapshot=piped.pipeline.snapshot(), incidents=piped.pipeline.incidents(), told=piped.pipeline.told())
    assert [each.ref for each, _, _ in after.published()] == [each.ref for each, _, _ in piped.pipeline.published()]


# What is public is not forgotten, whatever becomes of the snapshot


def after(told: list[Notification], snapshot: object = None) -> Watched:
    """A daemon that starts again and knows only what pages were told, and an older snapshot if there is one."""
    again = Watched()
    if snapshot is not None:
        again.publishing.go_on(snapshot)
    again.publishing.catch_up(told[-1:])
    return again


def test_without_a_snapshot_the_same_incident_goes_on_to_its_end() -> None:
    before = Watched()
    before.wait(310, *TWO)
    again = after(before.told)
    again.now = before.now + 120.0
    again.wait(10.0, *TWO)
    assert again.told == []
    again.wait(700.0)
    assert again.stages == [Stage.MONITORING, Stage.RESOLVED]
    assert {each.incident.id for each in again.told} == {before.told[0].incident.id}


def test_a_snapshot_that_is_older_than_the_end_tells_no_second_end() -> None:
    before = Watched()
    before.wait(310, *TWO)
    old = pickle.loads(pickle.dumps(before.publishing.progress()))
    before.wait(700.0)
    assert before.stages[-1] is Stage.RESOLVED
    again = after(before.told, old)
    again.now = before.now
    assert again.wait(700.0) == []


def test_a_snapshot_that_is_older_than_the_beginning_makes_no_second_one() -> None:
    before = Watched()
    before.wait(200, *TWO)
    old = pickle.loads(pickle.dumps(before.publishing.progress()))
    before.wait(110, *TWO)
    again = after(before.told, old)
    again.now = before.now
    assert again.wait(60.0, *TWO) == []
    again.wait(700.0)
    assert again.stages == [Stage.MONITORING, Stage.RESOLVED]
