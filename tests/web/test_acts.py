"""What people do, over HTTP: with a real pipeline and a real store behind the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sentinel.model import Event, Incident, Recording, Secret, Sent
from sentinel.pipeline import Step
from sentinel.pipeline.actions import Action
from sentinel.store import Store
from sentinel.web import Guard, make_app, serve
from tests.pipeline.stories import Story
from tests.web.test_pages import Daemon

ADA = {"by": "ada"}


class Desk(Daemon):
    """A daemon without its loops: what it is told is judged and kept as in a real one."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.story, self.store, self.saved = Story(), store, 0

    def now(self) -> float:
        return self.story.now

    async def save(self) -> None:
        for step in self.story.steps[self.saved :]:
            await self.store.commit(
                step.incidents,
                step.notifications,
                self.now(),
                told=step.told,
                events=step.events,
                recordings=step.recordings,
                kept=step.kept,
            )
        self.saved = len(self.story.steps)

    async def polls(self, count: int = 1, **troubles: float) -> list[str]:
        said = self.story.polls(count, **troubles)
        await self.save()
        return said

    async def act(self, action: Action) -> Step:
        self.story.act(action)
        await self.save()
        return self.story.steps[-1]

    def open_incidents(self) -> Sequence[Incident]:
        return self.story.pipeline.incidents()

    async def incident(self, name: str) -> Incident | None:
        known = (one for one in self.open_incidents() if name in (one.id, one.ref))
        return next(known, None) or await self.store.incident(name)

    async def past_incidents(self, limit: int) -> Sequence[Incident]:
        return await self.store.past_incidents(limit)

    def kept(self) -> Mapping[str, Action]:
        return self.story.pipeline.kept()

    async def events(self, incident: str | None, limit: int) -> Sequence[Event]:
        return await self.store.events(incident, limit)

    async def sent(self, incident: str) -> Sequence[Sent]:
        return await self.store.sent(incident)

    async def recording(self, incident: str) -> Recording | None:
        return self.story.pipeline.recording(incident) or await self.store.recording(incident)


class Client:
    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session, self.base = session, base

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, str | None) else aiohttp.JsonPayload(body)
        async with self.session.request(method, self.base + path, data=data, headers=sent) as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        return await self.ask("POST", f"/api/v1/{path}", body, **headers)

    async def get(self, path: str, **headers: str) -> Any:
        status, body = await self.ask("GET", f"/api/v1/{path}", **headers)
        assert status == 200, body
        return body


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = Store(tmp_path / "sentinel.db")
    await store.open()
    yield Desk(store)
    await store.close()


@asynccontextmanager
async def asked(desk: Desk, guard: Guard | None = None) -> AsyncIterator[Client]:
    async with serve(make_app(desk, guard=guard), "127.0.0.1", 0) as (host, port), aiohttp.ClientSession() as session:
        yield Client(session, f"http://{host}:{port}")


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[Client]:
    async with asked(desk) as client:
        yield client


async def leaking(desk: Desk) -> Incident:
    await desk.polls(leak=2)
    (incident,) = desk.open_incidents()
    return incident


async def test_somebody_acknowledges_and_everybody_sees_who(desk: Desk, client: Client) -> None:
    incident = await leaking(desk)
    status, body = await client.post(f"incidents/{incident.ref}/ack", ADA | {"text": "on it"})
    assert (status, body["done"], body["by"]) == (200, "acknowledge", "ada")
    (shown,) = (await client.get("incidents"))["incidents"]
    assert shown["acknowledged_by"] == "ada"
    assert desk.story.said()[-1] == "ops/chat acknowledged leak"


async def test_somebody_resolves_by_hand(desk: Desk, client: Client) -> None:
    incident = await leaking(desk)
    assert (await client.post(f"incidents/{incident.id}/resolve", ADA))[0] == 200
    assert (await client.get("incidents"))["incidents"] == []
    (shown,) = (await client.get("incidents?state=all"))["incidents"]
    assert shown["state"] == "resolved"


async def test_notes_and_verdicts_are_kept_even_of_what_is_long_over(desk: Desk, client: Client) -> None:
    incident = await leaking(desk)
    await desk.polls(31, leak=0)
    desk.story.wait(7200)
    await desk.polls(leak=2)
    await desk.polls(31, leak=0)
    assert (await client.post(f"incidents/{incident.id}/note", ADA | {"text": "the import did it"}))[0] == 200
    assert (await client.post(f"incidents/{incident.id}/mark", ADA | {"verdict": "real"}))[0] == 200
    events = (await client.get(f"incidents/{incident.id}/timeline"))["events"]
    assert [(e["kind"], e["by"], e["text"]) for e in events[-2:]] == [
        ("note", "ada", "the import did it"),
        ("marked as real", "ada", ""),
    ]


async def test_a_silence_is_made_listed_and_ended(desk: Desk, client: Client) -> None:
    status, made = await client.post("silences", ADA | {"matchers": ["cause=leak"], "lasts": 3600, "text": "known"})
    assert status == 200
    (shown,) = (await client.get("silences"))["silences"]
    assert (shown["id"], shown["matchers"], shown["by"]) == (made["id"], ["cause=leak"], "ada")
    assert shown["until"] == "2025-11-24T17:00:00.000Z"
    assert await desk.polls(leak=2) == []
    assert (await client.ask("DELETE", f"/api/v1/silences/{made['id']}", ADA))[0] == 200
    assert (await client.get("silences"))["silences"] == []
    assert desk.story.said() == ["ops/chat opened leak"]


async def test_a_deploy_is_marked_and_listed(desk: Desk, client: Client) -> None:
    status, made = await client.post("deploys", {"by": "ci", "version": "v4.2", "targets": ["main"]})
    assert status == 200
    (shown,) = (await client.get("deploys"))["deploys"]
    assert (shown["id"], shown["version"], shown["targets"]) == (made["id"], "v4.2", ["main"])
    assert await desk.polls(leak=2) == []


async def test_the_audit_trail_says_who_did_what(desk: Desk, client: Client) -> None:
    await client.post("deploys", {"by": "ci", "version": "v4.2"})
    await client.post("silences", {"by": "ada", "matchers": ["target=*"], "lasts": 60})
    events = (await client.get("events"))["events"]
    assert [(event["kind"], event["by"]) for event in events] == [("deploy", "ci"), ("silenced", "ada")]
    assert [event["kind"] for event in (await client.get("events?limit=1"))["events"]] == ["silenced"]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("incidents/SNT-NOBODY/ack", ADA, 404, "no incident is called 'SNT-NOBODY'"),
        ("silences", ADA | {"lasts": 60}, 400, "`matchers` is missing"),
        ("silences", ADA | {"matchers": [], "lasts": 60}, 400, "needs a matcher"),
        ("silences", ADA | {"matchers": ["cause=leak"]}, 400, "needs an end"),
        ("silences", ADA | {"matchers": ["colour=red"], "lasts": 60}, 400, "cannot match by `colour`"),
        (
            "silences",
            ADA | {"matchers": ["cause=leak"], "lasts": -1},
            400,
            "`lasts` must be a number of seconds above 0",
        ),
        ("silences", ADA | {"matchers": ["cause=leak"], "lasts": 1, "until": 5}, 400, "say the same thing"),
        ("silences", ADA | {"matchers": ["cause=leak"], "until": 5}, 400, "`until` is in the past"),
        ("silences", ADA | {"matchers": ["cause=leak"], "until_resolved": True}, 400, "nothing that is open matches"),
        ("deploys", ADA, 400, "`version` is missing"),
        ("deploys", ADA | {"version": "v1", "time": 5}, 400, "`time` is not for the body"),
        ("deploys", {"by": " ", "version": "v1"}, 400, "`by` must say who you are"),
        ("deploys", "[]", 400, "must be a JSON object"),
        ("deploys", "{", 400, "is not JSON"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_what_to_do(
    client: Client, path: str, body: object, status: int, says: str
) -> None:
    found, answer = await client.post(path, body)
    assert (found, says in answer["error"]) == (status, True), answer


async def test_a_silence_that_is_not_in_force_cannot_be_ended(client: Client) -> None:
    status, answer = await client.ask("DELETE", "/api/v1/silences/01", ADA)
    assert (status, answer["error"]) == (
        400,
        "no silence 01 is in force; `sentinel silences list` shows those that are",
    )


async def test_what_is_over_cannot_be_acknowledged(desk: Desk, client: Client) -> None:
    incident = await leaking(desk)
    await desk.polls(31, leak=0)
    status, answer = await client.post(f"incidents/{incident.id}/ack", ADA)
    assert (status, "is over already" in answer["error"]) == (400, True)


# Who may


async def test_a_form_of_a_web_page_changes_nothing(client: Client) -> None:
    status, answer = await client.post("deploys", '{"version": "v1"}', Content_Type="text/plain")
    assert (status, "Content-Type: application/json" in answer["error"]) == (415, True)


async def test_with_a_token_only_those_who_have_it_change_something(desk: Desk) -> None:
    async with asked(desk, Guard(token=Secret("s3cret"))) as client:
        assert (await client.post("deploys", {"version": "v1"}))[0] == 401
        assert (await client.post("deploys", {"version": "v1"}, Authorization="Bearer wrong"))[0] == 401
        assert (await client.post("deploys", {"version": "v1"}, Authorization="Bearer s3cret"))[0] == 200
        assert len((await client.get("deploys"))["deploys"]) == 1


async def test_beyond_loopback_nothing_is_changed_without_a_token(desk: Desk) -> None:
    async with asked(desk, Guard("0.0.0.0")) as client:
        status, answer = await client.post("deploys", {"version": "v1"})
        assert (status, "set `http: token:`" in answer["error"]) == (403, True)


async def test_a_page_whose_name_points_to_us_is_refused_even_to_read(desk: Desk) -> None:
    async with asked(desk, Guard(hosts=("sentinel.example",))) as client:
        status, answer = await client.ask("GET", "/api/v1/incidents", Host="evil.example:9750")
        assert (status, "'evil.example' is not a name of this host" in answer["error"]) == (421, True)
        for name in ("localhost:1", "127.0.0.1", "[::1]:9750", "sentinel.example"):
            await client.get("incidents", Host=name)


async def test_beyond_loopback_any_name_may_read(desk: Desk) -> None:
    async with asked(desk, Guard("0.0.0.0")) as client:
        await client.get("incidents", Host="sentinel.monitoring.svc:9750")


# The timeline


async def test_the_timeline_tells_what_happened_what_was_seen_and_what_was_sent(desk: Desk, client: Client) -> None:
    await desk.polls(3, leak=0)
    incident = await leaking(desk)
    await desk.polls(leak=3)
    await client.post(f"incidents/{incident.id}/ack", ADA)
    await desk.polls(31, leak=0)
    timeline = await client.get(f"incidents/{incident.ref}/timeline")
    assert timeline["incident"]["state"] == "resolved"
    assert timeline["first_finding"]["summary"] == "leak at 2"
    assert timeline["last_finding"]["summary"] == "leak at 3"
    assert [event["kind"] for event in timeline["events"] if event["kind"] != "told"] == [
        "opened",
        "escalated",
        "acknowledged",
        "resolved",
    ]
    assert [sent["reason"] for sent in timeline["sent"]] == ["opened", "escalated", "acknowledged", "resolved"]
    (samples,) = timeline["samples"]
    assert samples["metric"] == "leak_trouble"
    assert [value for _, value in samples["points"]][:6] == [0, 0, 0, 2, 3, 0]


async def test_the_timeline_can_be_pasted_as_markdown(desk: Desk, client: Client) -> None:
    incident = await leaking(desk)
    await client.post(f"incidents/{incident.id}/note", ADA | {"text": "a | b\n<script>"})
    address = f"{client.base}/api/v1/incidents/{incident.ref}/timeline?format=markdown"
    async with client.session.get(address) as answer:
        assert answer.content_type == "text/markdown"
        lines = (await answer.text()).splitlines()
    assert lines[0] == f"# Connection leak on main ({incident.ref})"
    assert "- Opened: 2025-11-24 16:00:10" in lines
    assert r"| 2025-11-24 16:00:10 | note | ada | a \| b \<script\> |" in lines
    assert "| 2025-11-24 16:00:10 | ops/chat | opened | pending |" in lines


async def test_an_odd_form_of_the_timeline_is_refused(desk: Desk, client: Client) -> None:
    incident = await leaking(desk)
    assert (await client.ask("GET", f"/api/v1/incidents/{incident.id}/timeline?format=pdf"))[0] == 400
    assert (await client.ask("GET", "/api/v1/incidents/x/timeline"))[0] == 404
