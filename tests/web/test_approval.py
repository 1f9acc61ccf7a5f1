"""Signed links that answer a draft: shown by GET, answered by POST, once, and by nobody who does not have the link."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from sentinel.model import Finding, Incident, IncidentState, Notification, Reason, Severity
from sentinel.web import Guard, make_app, serve
from sentinel.web.approval import Links, key_of
from tests.web.test_status_pages import Desk

KEY = b"k" * 32


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def links(desk: Desk) -> AsyncIterator[Links]:
    """Of a daemon that listens beyond loopback without a token: links are all by which something can be changed."""
    held = Links(KEY, "http://elsewhere")
    async with serve(make_app(desk, guard=Guard("0.0.0.0"), links=held), "127.0.0.1", 0) as (host, port):
        yield Links(KEY, f"http://{host}:{port}/")


async def ask(method: str, url: str, **form: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.request(method, url, data=form or None) as answer:
        return answer.status, await answer.text()


def link(desk: Desk, links: Links) -> str:
    ((draft, _, _),) = desk.published()
    return links.of(draft, desk.now())


async def test_a_link_shows_the_exact_text_and_publishes_nothing(desk: Desk, links: Links) -> None:
    for _ in range(2):
        status, page = await ask("GET", link(desk, links))
    assert status == 200
    assert "Background jobs may be slower than usual. We are looking into it." in page
    assert desk.steps == []


async def test_an_answer_publishes_it_once_and_says_who(desk: Desk, links: Links) -> None:
    url = link(desk, links)
    status, page = await ask("POST", url, verb="approve", by="ada")
    assert (status, "published now" in page) == (200, True)
    (step,) = desk.steps
    assert [each.destination for each in step.notifications] == ["page/customers"]
    assert [(event.kind, event.by) for event in step.events] == [("approved", "ada by a link, at 127.0.0.1")]
    for method in ("GET", "POST"):
        assert (await ask(method, url, verb="approve"))[0] == 410
    assert len(desk.steps) == 1


async def test_an_answer_may_drop_it(desk: Desk, links: Links) -> None:
    assert (await ask("POST", link(desk, links), verb="withdraw"))[0] == 200
    assert list(desk.published()) == []


async def test_an_answer_that_says_nothing_changes_nothing(desk: Desk, links: Links) -> None:
    assert (await ask("POST", link(desk, links), verb="delete everything"))[0] == 400
    assert desk.steps == []


async def test_nobody_answers_with_a_link_that_is_old_changed_or_another_s(desk: Desk, links: Links) -> None:
    ((draft, _, _),) = desk.published()
    good = links.of(draft, desk.now())
    bad = [
        links.of(draft, desk.now() - 1801.0),
        good.replace("until=1", "until=2"),
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        good.partition("?")[0],
        Links(b"x" * 32, links.url).of(draft, desk.now()),
        links.of(replace(draft, drafted=0.0), desk.now()),
        links.of(replace(draft, id="01K" + "0" * 17 + draft.ref[-6:]), desk.now()),
        good.replace(draft.ref, "SNT-000000"),
        good.replace("until=", "until=9" * 40),
        good + "%ff",
    ]
    for url in bad:
        for method in ("GET", "POST"):
            assert (await ask(method, url, verb="approve"))[0] == 410, url
    assert desk.steps == []


async def test_markup_in_a_text_is_shown_as_text(desk: Desk, links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    ((draft, _, _),) = desk.published()
    monkeypatch.setattr(desk, "published", lambda: [(draft, "<script>x</script>", "a < b")])
    _, page = await ask("GET", links.of(draft, desk.now()))
    assert "<script>" not in page
    assert "&lt;script&gt;x&lt;/script&gt;" in page


def test_a_draft_is_told_with_its_link_and_other_incidents_are_told_as_they_are(desk: Desk) -> None:
    ((draft, _, _),) = desk.published()
    links = Links(KEY, "https://sentinel.example.com")
    asking, other = told("public_update", f"customers/{draft.ref}"), told("leak", draft.ref)
    assert links.put_into(other, [draft], desk.now()) == other
    linked = links.put_into(asking, [draft], desk.now())
    (context,) = linked.incident.context
    assert context == f"Answer here: {links.of(draft, desk.now())}"
    assert urlsplit(context.removeprefix("Answer here: ")).netloc == "sentinel.example.com"
    assert links.put_into(asking, [replace(draft, drafted=None)], desk.now()) == asking


def told(cause: str, subject: str) -> Notification:
    finding = Finding("sentinel", cause, "cause", Severity.WARNING, 0.0, True, "x", subject)
    incident = Incident(
        "01K", "key", "sentinel", cause, subject, Severity.WARNING, IncidentState.OPEN, 0.0, 0.0, finding
    )
    return Notification("team", "team/slack", Reason.OPENED, incident, 0.0, "msg_1")


def test_the_key_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "links.key"
    key = key_of(path)
    assert key_of(path) == key
    assert (len(key), stat.S_IMODE(path.stat().st_mode)) == (32, 0o600)
