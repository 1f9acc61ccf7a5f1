"""Every status page, against its strict double: made once, kept current, ended, and left alone once a person writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sentinel.delivery import Delivery, DeliverySettings
from sentinel.metrics import Metrics
from sentinel.model import (
    ComponentStatus,
    Finding,
    Incident,
    IncidentState,
    Notification,
    PublicUpdate,
    Reason,
    Secret,
    Severity,
    Stage,
)
from sentinel.notifiers.base import Attempt, DeliveryError, Outcome
from sentinel.notifiers.http import open_session
from sentinel.statuspages import BY_NAME
from sentinel.statuspages.better_stack import BetterStack
from sentinel.statuspages.cachet import Cachet
from sentinel.statuspages.cachet2 import Cachet2
from sentinel.statuspages.github import CState, Upptime
from sentinel.statuspages.incident_io import IncidentIo
from sentinel.statuspages.instatus import Instatus
from sentinel.statuspages.oneuptime import OneUptime
from sentinel.statuspages.push import Gatus, UptimeKuma
from sentinel.statuspages.statuspage import Statuspage
from sentinel.store import Store
from tests.notifiers.fakes import Fake, serving
from tests.statuspages.fakes import (
    KEY,
    FakeBetterStack,
    FakeCachet,
    FakeCachet2,
    FakeGitHub,
    FakeIncidentIo,
    FakeInstatus,
    FakeOneUptime,
    FakePage,
    FakeStatuspage,
)

NOW = 1764000000.0
FAKES: dict[str, type[FakePage]] = {
    "statuspage": FakeStatuspage,
    "instatus": FakeInstatus,
    "better_stack": FakeBetterStack,
    "incident_io": FakeIncidentIo,
    "cachet": FakeCachet,
    "cachet2": FakeCachet2,
    "oneuptime": FakeOneUptime,
    "cstate": FakeGitHub,
    "upptime": FakeGitHub,
}
PUSHED = ("gatus", "uptime_kuma")
"""Pages without incidents."""
SEARCHED = tuple(kind for kind in FAKES if kind not in ("incident_io", "cstate"))
"""Pages without idempotency, on which what was made has to be looked for."""


def settings(kind: str, url: str) -> Any:
    match kind:
        case "statuspage":
            return Statuspage(page="pg1", api_key=Secret(KEY), url=url)
        case "instatus":
            return Instatus(page="pg1", api_key=Secret(KEY), url=url)
        case "better_stack":
            return BetterStack(page="77", token=Secret(KEY), url=url)
        case "incident_io":
            return IncidentIo(page="pg1", api_key=Secret(KEY), url=url)
        case "cachet2":
            return Cachet2(url=url, token=Secret(KEY))
        case "oneuptime":
            return OneUptime(project="p1", severity="sev1", api_key=Secret(KEY), url=url)
        case "cstate":
            return CState(repository="acme/status", token=Secret(KEY), url=url)
        case "upptime":
            return Upptime(repository="acme/status", token=Secret(KEY), url=url)
        case "gatus":
            return Gatus(url=url, token=Secret(KEY))
        case "uptime_kuma":
            return UptimeKuma(url=url, tokens={"1001": Secret(KEY)})
    return Cachet(url=url, token=Secret(KEY))


@dataclass
class Told:
    """A page of ours and the double behind it; the reference is kept as delivery keeps it."""

    page: Any
    fake: Any
    ref: str | None = None

    async def tell(
        self, stage: Stage, *, unsure: float | None = None, event: str = "msg_1", **changes: Any
    ) -> str | None:
        message = self.page.message(notification(stage, **changes))
        async with open_session(self.page) as session:
            ref = await self.page.notify(session, message, Attempt(event, NOW, self.ref, unsure))
        self.ref = ref or self.ref
        return self.ref

    @property
    def only(self) -> str:
        """The id of the one incident that is there."""
        (identity,) = self.fake.incidents
        return str(identity)


def notification(stage: Stage, *, later: bool = False, **changes: Any) -> Notification:
    over = stage is Stage.RESOLVED
    finding = Finding("main", "stall", "cause", Severity.CRITICAL, NOW, True, "41 jobs wait in encode on redis-a:6379")
    incident = Incident(
        "01K" + "0" * 23,
        "sentinel:prod:abc",
        "main",
        "stall",
        "encode",
        Severity.CRITICAL,
        IncidentState.OPEN,
        NOW,
        NOW,
        finding,
    )
    status = ComponentStatus.OPERATIONAL if over else ComponentStatus.PARTIAL
    update = PublicUpdate(stage, "Delayed jobs", f"Text for {stage}.", (("1001", status),), NOW)
    public = PublicUpdate(**{**{name: getattr(update, name) for name in PublicUpdate.__slots__}, **changes})
    reason = Reason.RESOLVED if over else Reason.UPDATED if later else Reason.OPENED
    return Notification("page", "page/x", reason, incident, NOW, "msg_1", public=public)


@asynccontextmanager
async def served(kind: str) -> AsyncIterator[Told]:
    async with serving(FAKES[kind]()) as fake:
        yield Told(settings(kind, fake.url), fake)


@pytest.fixture(params=list(FAKES))
async def told(request: pytest.FixtureRequest) -> AsyncIterator[Told]:
    async with served(request.param) as found:
        yield found


@pytest.fixture(params=SEARCHED)
async def searched(request: pytest.FixtureRequest) -> AsyncIterator[Told]:
    async with served(request.param) as found:
        yield found


def test_every_page_has_a_double() -> None:
    assert {*FAKES, *PUSHED} == BY_NAME.keys()


async def test_it_is_made_once_kept_current_and_ended(told: Told) -> None:
    for stage in (Stage.INVESTIGATING, Stage.MONITORING, Stage.INVESTIGATING, Stage.RESOLVED):
        well = stage in (Stage.MONITORING, Stage.RESOLVED)
        status = ComponentStatus.OPERATIONAL if well else ComponentStatus.PARTIAL
        await told.tell(stage, components=(("1001", status),))
    stages = told.fake.stages(told.only)
    assert len(stages) == 4
    assert stages[-1] == "resolved"
    assert told.fake.mails == 0


@pytest.mark.parametrize("kind", [kind for kind in FAKES if kind not in ("cstate", "upptime")])
async def test_subscribers_get_a_mail_only_where_it_was_asked_for(kind: str) -> None:
    async with served(kind) as told:
        await told.tell(Stage.INVESTIGATING, notify=True)
        assert told.fake.mails == 1


async def test_nothing_but_the_public_text_goes_out(told: Told) -> None:
    await told.tell(Stage.INVESTIGATING)
    assert not any("encode" in str(body) or "redis-a" in str(body) for body in told.fake.accepted)


def looks_before(told: Told) -> list[None]:
    """Well-behaved answers to what is asked before an incident is made: whether it is there, or Upptime opened one."""
    return [None] * {"incident_io": 0, "upptime": 2, "cstate": 2}.get(told.page.kind, 1)


def lost_answer(told: Told) -> list[str]:
    """A write whose answer is lost; the client repeats a PUT once by itself."""
    return ["reset after"] * (2 if told.page.kind == "cstate" else 1)


async def test_a_put_that_was_repeated_on_its_way_is_known_for_ours() -> None:
    async with served("cstate") as told:
        told.fake.modes.extend([*looks_before(told), "reset after"])
        await told.tell(Stage.INVESTIGATING)
        told.fake.modes.extend([None, None, "reset after"])
        await told.tell(Stage.MONITORING)
        await told.tell(Stage.RESOLVED)
        assert told.fake.stages(told.only) == ["open", "open", "resolved"]


@pytest.mark.parametrize("repetition", [[503], [None, 503]], ids=["refused", "stale, and not to be read"])
async def test_a_put_that_got_through_and_whose_repetition_failed_is_no_person_s(repetition: list[Any]) -> None:
    async with served("cstate") as told:
        await told.tell(Stage.INVESTIGATING)
        told.fake.modes.extend([None, None, "reset after", *repetition])
        with pytest.raises(DeliveryError) as failed:
            await told.tell(Stage.MONITORING)
        assert failed.value.outcome is Outcome.AMBIGUOUS
        await told.tell(Stage.MONITORING, unsure=NOW - 1)
        await told.tell(Stage.RESOLVED)
        assert told.fake.stages(told.only) == ["open", "open", "resolved"]


@pytest.mark.parametrize("ahead", range(2, 7))
async def test_an_end_that_broke_off_behind_its_text_is_completed(told: Told, ahead: int) -> None:
    """Wherever it breaks off: the page says that it is over, and our components are well."""
    await told.tell(Stage.INVESTIGATING)
    told.fake.modes.extend([*[None] * ahead, 503])
    try:
        await told.tell(Stage.RESOLVED)
    except DeliveryError as error:
        unsure = NOW - 1 if error.outcome is Outcome.AMBIGUOUS else None
        told.fake.modes.clear()
        await told.tell(Stage.RESOLVED, unsure=unsure)
    told.fake.modes.clear()
    assert told.fake.stages(told.only)[-1] == "resolved"
    assert str(told.fake.components["1001"]) in ("", "operational", "OPERATIONAL", "1")


async def test_what_was_made_before_the_answer_was_lost_is_found_and_not_made_again(told: Told) -> None:
    told.fake.modes.extend([*looks_before(told), *lost_answer(told)])
    with pytest.raises(DeliveryError):
        await told.tell(Stage.INVESTIGATING)
    await told.tell(Stage.INVESTIGATING, unsure=NOW - 1)
    assert told.fake.stages(told.only) == told.fake.stages(told.only)[:1]
    await told.tell(Stage.RESOLVED)
    assert told.fake.stages(told.only)[-1] == "resolved"


async def test_of_two_that_were_made_the_older_is_kept_and_the_other_ended(searched: Told) -> None:
    for _ in range(2):
        unlisted, searched.fake.incidents = searched.fake.incidents, {}
        searched.fake.modes.extend([*looks_before(searched), "reset after"])
        with pytest.raises(DeliveryError):
            await searched.tell(Stage.INVESTIGATING)
        searched.fake.incidents = unlisted | searched.fake.incidents
    await searched.tell(Stage.INVESTIGATING, unsure=NOW - 1)
    older, younger = sorted(searched.fake.incidents, key=int)
    assert searched.fake.stages(younger)[-1] == "resolved"
    assert searched.fake.stages(older)[-1] != "resolved"


async def test_where_the_list_fails_nothing_is_made(searched: Told) -> None:
    searched.fake.modes.append(503)
    with pytest.raises(DeliveryError):
        await searched.tell(Stage.INVESTIGATING, unsure=NOW - 1)
    assert searched.fake.incidents == {}


async def test_a_list_that_is_no_list_makes_nothing(searched: Told) -> None:
    searched.fake.modes.append((200, {"Content-Type": "text/html"}, "<html>a portal</html>"))
    with pytest.raises(DeliveryError) as failed:
        await searched.tell(Stage.INVESTIGATING, unsure=NOW - 1)
    assert failed.value.outcome is Outcome.REJECTED_CONFIG
    assert searched.fake.incidents == {}


async def test_what_is_public_is_found_again_although_its_reference_is_lost(searched: Told) -> None:
    await searched.tell(Stage.INVESTIGATING)
    searched.ref = None
    for stage in (Stage.MONITORING, Stage.RESOLVED):
        await searched.tell(stage, later=True)
    assert searched.fake.stages(searched.only)[-1] == "resolved"


async def test_where_nothing_can_be_looked_for_an_update_without_its_reference_makes_nothing() -> None:
    async with served("incident_io") as told:
        await told.tell(Stage.INVESTIGATING)
        told.ref = None
        await told.tell(Stage.INVESTIGATING, event="msg_2", later=True)
        assert len(told.fake.incidents) == 1


async def test_a_recovery_of_what_was_never_made_makes_nothing(told: Told) -> None:
    await told.tell(Stage.MONITORING, later=True)
    assert told.fake.incidents == {}


async def test_what_came_and_went_while_the_page_was_away_is_never_public(tmp_path: Path) -> None:
    async with served("statuspage") as told:
        store = Store(tmp_path / "state" / "sentinel.db")
        await store.open()
        for number, stage in enumerate((Stage.INVESTIGATING, Stage.MONITORING, Stage.RESOLVED)):
            story = replace(notification(stage, later=number == 1), event_id=f"msg_{number}")
            await store.commit([], [story], NOW)
        delivery = Delivery(store, {"page/x": told.page}, DeliverySettings(), now=lambda: NOW, metrics=Metrics("0"))
        running = asyncio.create_task(delivery.run())
        await delivery.drain(10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert len(store.outbox) == 0
        await store.close()
        assert (told.fake.incidents, told.fake.accepted) == ({}, [])


async def test_a_resolve_of_what_was_never_made_makes_nothing(told: Told) -> None:
    await told.tell(Stage.RESOLVED)
    assert (told.fake.incidents, told.ref) == ({}, None)


async def test_once_a_person_wrote_nothing_more_is_written(told: Told) -> None:
    await told.tell(Stage.INVESTIGATING)
    told.fake.person_edits(told.only)
    before = len(told.fake.accepted)
    await told.tell(Stage.MONITORING)
    await told.tell(Stage.RESOLVED)
    assert len(told.fake.accepted) == before


async def test_once_a_person_deleted_it_nothing_is_made_anew(told: Told) -> None:
    await told.tell(Stage.INVESTIGATING)
    told.fake.person_deletes(told.only)
    await told.tell(Stage.MONITORING)
    assert told.fake.incidents == {}


async def test_an_update_whose_answer_was_lost_is_not_taken_for_a_person(told: Told) -> None:
    await told.tell(Stage.INVESTIGATING)
    message = told.page.message(notification(Stage.MONITORING))
    writes = len(told.fake.accepted)
    while len(told.fake.accepted) == writes:  # reads first: the one that writes is the one whose answer is lost
        told.fake.modes.extend([*reads_before(told), *lost_answer(told)])
        async with open_session(told.page) as session:
            with pytest.raises(DeliveryError):
                await told.page.notify(session, message, Attempt("msg_2", NOW, told.ref, None))
    await told.tell(Stage.MONITORING, unsure=NOW - 1, event="msg_2")
    assert len(told.fake.stages(told.only)) == 2
    await told.tell(Stage.RESOLVED)
    assert told.fake.stages(told.only)[-1] == "resolved"


READS = {
    "statuspage": 2,
    "instatus": 2,
    "better_stack": 2,
    "incident_io": 2,
    "cachet": 3,
    "cachet2": 4,
    "oneuptime": 3,
    "cstate": 2,
    "upptime": 3,
}


def reads_before(told: Told) -> list[None]:
    """Well-behaved answers to the reads that come before a page's update is written."""
    kind = told.page.kind
    return [None] * READS[kind]


async def test_a_wrong_key_is_told_without_showing_it(told: Told) -> None:
    told.fake.secret = (told.fake.secret[0], "another")
    with pytest.raises(DeliveryError) as failed:
        await told.tell(Stage.INVESTIGATING)
    assert failed.value.outcome is Outcome.REJECTED_CONFIG
    assert KEY not in str(failed.value)


@pytest.mark.parametrize("kind", [kind for kind, page in BY_NAME.items() if page.drafts and kind != "cstate"])
async def test_a_draft_is_kept_from_the_public_until_the_next_update(kind: str) -> None:
    async with served(kind) as told:
        await told.tell(Stage.INVESTIGATING, draft=True)
        kept = told.fake.incidents[told.only]
        assert kept.get("shouldPublish", kept.get("visible")) is False
        await told.tell(Stage.INVESTIGATING)
        assert kept.get("shouldPublish", kept.get("visible")) is True


async def test_only_a_component_that_still_says_what_we_set_is_set_to_operational() -> None:
    async with served("statuspage") as told:
        await told.tell(Stage.INVESTIGATING)
        assert told.fake.components["1001"] == "partial_outage"
        told.fake.components["1001"] = "major_outage"
        await told.tell(Stage.RESOLVED)
        assert told.fake.components["1001"] == "major_outage"


async def test_a_component_that_a_person_made_worse_is_not_made_better_by_us() -> None:
    async with served("statuspage") as told:
        told.fake.components["1001"] = "major_outage"
        await told.tell(Stage.INVESTIGATING, components_only=True)
        await told.tell(Stage.RESOLVED, components_only=True)
        assert told.fake.components["1001"] == "major_outage"


async def test_components_alone_are_set_and_set_back_without_an_incident() -> None:
    async with served("statuspage") as told:
        await told.tell(Stage.INVESTIGATING, components_only=True)
        assert (told.fake.components["1001"], told.fake.incidents) == ("partial_outage", {})
        await told.tell(Stage.RESOLVED, components_only=True)
        assert told.fake.components["1001"] == "operational"


async def test_incident_io_keeps_the_last_updates_for_people_and_the_end() -> None:
    async with served("incident_io") as told:
        await told.tell(Stage.INVESTIGATING)
        for _ in range(95):
            await told.tell(Stage.MONITORING)
        assert len(told.fake.stages(told.only)) == 90
        await told.tell(Stage.RESOLVED)
        assert told.fake.stages(told.only)[-1] == "resolved"


def test_what_is_not_public_is_refused() -> None:
    alert = notification(Stage.INVESTIGATING)
    private = Notification(alert.receiver, alert.destination, alert.reason, alert.incident, NOW, "msg_1")
    for kind in BY_NAME:
        with pytest.raises(ValueError, match="public updates only"):
            settings(kind, "https://status.example.com").message(private)


async def test_a_cstate_draft_says_so_in_its_front_matter() -> None:
    async with served("cstate") as told:
        await told.tell(Stage.INVESTIGATING, draft=True)
        await told.tell(Stage.INVESTIGATING)
        assert ["draft: true" in body["text"] for body in told.fake.accepted] == [True, False]


async def test_a_cstate_file_holds_all_updates_the_newest_first_and_its_end() -> None:
    async with served("cstate") as told:
        for stage in (Stage.INVESTIGATING, Stage.MONITORING, Stage.RESOLVED):
            await told.tell(stage)
        text = told.fake.accepted[-1]["text"]
        order = [text.index(f"Text for {stage}.") for stage in ("resolved", "monitoring", "investigating")]
        assert order == sorted(order)
        assert "resolvedWhen: " in text
        assert told.only == "content/issues/2025-11-24-sentinel-000000.md"


async def test_an_issue_that_upptime_opened_by_itself_is_commented_on_and_never_closed() -> None:
    async with served("upptime") as told:
        theirs = {"title": "jobs is down", "body": "measured", "labels": ["status", "1001"]}
        told.fake._open_issue(theirs)
        told.fake.incidents[told.only]["locked"] = True
        await told.tell(Stage.INVESTIGATING)
        await told.tell(Stage.RESOLVED)
        issue = told.fake.incidents[told.only]
        assert (issue["state"], issue["locked"], len(issue["comments_made"])) == ("open", True, 2)


async def test_gatus_is_told_down_and_up_by_the_endpoint_s_key() -> None:
    async with serving(Pushed()) as fake:
        told = Told(settings("gatus", fake.url), fake)
        for stage in (Stage.INVESTIGATING, Stage.RESOLVED):
            await told.tell(stage, components=(("core/jobs", ComponentStatus(stage is not Stage.RESOLVED)),))
        assert [path.rpartition("/endpoints/")[2] for path in fake.paths] == [  # type: ignore[attr-defined]
            "core_jobs/external?success=false&error=reported%20by%20Sentinel",
            "core_jobs/external?success=true",
        ]


async def test_uptime_kuma_is_pushed_with_the_component_s_token() -> None:
    async with serving(Pushed()) as fake:
        told = Told(settings("uptime_kuma", fake.url), fake)
        for stage in (Stage.INVESTIGATING, Stage.RESOLVED):
            await told.tell(stage)
        assert [path.rpartition("/push/")[2].split("&")[0] for path in fake.paths] == [  # type: ignore[attr-defined]
            f"{KEY}?status=down",
            f"{KEY}?status=up",
        ]


class Pushed(Fake):
    """Takes every push."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        self.paths.append(request.raw_path)
        return web.json_response({"ok": True})


async def test_an_answer_of_another_shape_is_an_unsure_try_and_no_crash(told: Told) -> None:
    odd = (200, {"Content-Type": "application/json"}, '{"hello": "world"}')
    told.fake.modes.extend([*looks_before(told), odd])
    with pytest.raises(DeliveryError) as failed:
        await told.tell(Stage.INVESTIGATING)
    assert failed.value.outcome is Outcome.AMBIGUOUS
