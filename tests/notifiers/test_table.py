"""The README's table of destinations, held against what each does to its double, across a restart too."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sentinel.clock import Clock
from sentinel.delivery import Delivery, DeliverySettings
from sentinel.metrics import Metrics
from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers import BY_NAME, Attempt, Notifier
from sentinel.notifiers.http import open_session
from sentinel.store import Store
from tests.notifiers.fakes import serving
from tests.notifiers.fakes.apprise import JsonReceiver
from tests.notifiers.fakes.post_office import post_office
from tests.notifiers.members import FAKES, MAKE
from tests.notifiers.stories import NOON, leak, notification, resolved

README = Path(__file__).parents[2] / "README.md"
KINDS = sorted(set(BY_NAME) - {"stdout"})

STANDING: dict[str, Callable[[Any], int]] = {
    "webhook": lambda fake: len({headers["webhook-id"] for headers in fake.headers}),
    "slack_app": lambda fake: len(fake.parents),
    "discord": lambda fake: sum("embeds" in message for message in fake.messages.values()),
    "telegram": lambda fake: sum("reply_parameters" not in message for message in fake.messages.values()),
    "pagerduty": lambda fake: len({event["dedup_key"] for event in fake.accepted}),
    "opsgenie": lambda fake: len(fake.open) + len(fake.closed),
    "alertmanager": lambda fake: len({repr(sorted(a["labels"].items())) for batch in fake.accepted for a in batch}),
    "email": lambda office: len({mail["Message-ID"] for mail in office.mails}),
}
"""How many things stand at a destination that a reader would call one: for the others, whatever was accepted."""

THREADED: dict[str, Callable[[Any], bool]] = {
    "slack_app": lambda fake: all(reply["thread_ts"] == fake.parents[0]["ts"] for reply in fake.replies),
    "telegram": lambda fake: any("reply_parameters" in message for message in fake.messages.values()),
    "email": lambda office: all(mail["References"] for mail in office.mails[1:]),
}


def rows() -> dict[str, list[str]]:
    """The cells behind the kind, by kind."""
    table = re.findall(r"^\| [^|]+ \| `(\w+)` \|(.+)\|$", README.read_text(), re.MULTILINE)
    return {kind: [cell.strip() for cell in cells.split("|")] for kind, cells in table if kind in BY_NAME}


@contextlib.asynccontextmanager
async def destination(kind: str) -> AsyncIterator[tuple[Notifier, Any]]:
    """A notifier and the double that it speaks to."""
    if kind == "email":
        async with post_office() as office:
            made = BY_NAME["email"](
                host="127.0.0.1", port=office.port, tls="none", sender="s@example.com", to=("o@example.com",)
            )
            yield made, office
    elif kind == "apprise":
        async with serving(JsonReceiver()) as fake:
            yield BY_NAME["apprise"](url=Secret(fake.url.replace("http://", "json://"))), fake
    else:
        async with serving(FAKES[kind]()) as fake:
            yield MAKE[kind](fake.url), fake


def standing(kind: str, fake: Any) -> int:
    return STANDING.get(kind, lambda each: len(each.accepted))(fake)


async def tell(notifier: Notifier, story: Notification, ref: str | None = None, since: float | None = None) -> Any:
    async with open_session(notifier) as session:
        return await notifier.notify(session, notifier.message(story), Attempt(story.event_id, NOON, ref, since))


WORSE = notification(Reason.ESCALATED, leak(severity=Severity.WARNING, sequence=2), previous_severity=Severity.INFO)


async def edit_or_thread(kind: str) -> str:
    """What becomes of the turns of one incident."""
    async with destination(kind) as (notifier, fake):
        ref = await tell(notifier, notification())
        ref = await tell(notifier, WORSE, ref) or ref
        await tell(notifier, notification(Reason.RESOLVED), ref)
        said = ["edit"] if standing(kind, fake) == 1 else []
        said += ["thread"] if kind in THREADED and THREADED[kind](fake) else []
        return ", ".join(said) or "–"


async def idempotent(kind: str) -> str:
    """Whether a try whose answer was lost, made again, leaves one thing or two."""
    async with destination(kind) as (notifier, fake):
        await tell(notifier, notification())
        await tell(notifier, notification(), since=NOON)
        return "yes" if standing(kind, fake) == 1 else "no"


async def survives_restart(kind: str, state: Path) -> str:
    """Whether all turns arrive, in the same thing where there is one, although the daemon stopped in between."""
    expected = 1 if "edit" in rows()[kind][3] else 2
    async with destination(kind) as (notifier, fake):
        for story in (notification(to="ops/x"), notification(Reason.RESOLVED, to="ops/x")):
            store = Store(state / kind / "sentinel.db")
            await store.open()
            delivery = Delivery(
                store, {"ops/x": notifier}, DeliverySettings(), now=Clock().now, metrics=Metrics("0"),
                open_incidents=lambda: {leak().id},
            )  # fmt: skip
            running = asyncio.create_task(delivery.run())
            await store.commit([story.incident], [story], Clock().now())
            await delivery.drain(20)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert len(store.outbox) == 0
            await store.close()
        return "yes" if standing(kind, fake) == expected else "no"


def test_every_destination_has_a_row() -> None:
    assert sorted(rows()) == KINDS
    assert resolved().id == leak().id


@pytest.mark.parametrize("kind", KINDS)
async def test_the_row_says_what_the_destination_does(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentinel.notifiers.slack_app._LAG", 0.0)
    reasons = BY_NAME[kind].reasons
    told = ["yes" if reason in reasons else "no" for reason in (Reason.OPENED, Reason.UPDATED, Reason.RESOLVED)]
    measured = [*told, await edit_or_thread(kind), await idempotent(kind), await survives_restart(kind, tmp_path)]
    assert rows()[kind] == measured
