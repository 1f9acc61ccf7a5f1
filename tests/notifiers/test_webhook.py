"""The generic webhook: its event, and a signature that an independent verifier takes."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from sentinel.model import Reason, Secret, Severity
from sentinel.notifiers.base import Attempt
from sentinel.notifiers.http import open_session
from sentinel.notifiers.webhook import Webhook
from tests.notifiers.fakes import Fake, serving
from tests.notifiers.stories import NOON, leak, notification, resolved

SECRET, OLDER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PLAIN = Webhook(url=Secret("https://hooks.example/x"))


async def posted(fake: Fake, webhook: Webhook) -> tuple[bytes, dict[str, str]]:
    message = webhook.message(notification())
    async with open_session(webhook) as session:
        await webhook.notify(session, message, Attempt("msg_1", datetime.now(UTC).timestamp()))
    return message.body, {name.lower(): value for name, value in fake.headers[-1].items()}


async def test_both_secrets_sign_while_they_are_changed_over() -> None:
    async with serving(Fake()) as fake:
        body, headers = await posted(
            fake, Webhook(Secret(fake.url), secret=Secret(SECRET), previous_secret=Secret(OLDER))
        )
    for secret in (SECRET, OLDER):
        assert Verifier(secret).verify(body, headers) == orjson.loads(body)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(body.replace(b"redis-a", b"redis-b"), headers)


async def test_the_id_is_sent_for_receivers_to_drop_copies_even_unsigned() -> None:
    async with serving(Fake()) as fake:
        _, headers = await posted(
            fake, Webhook(Secret(fake.url), authorization=Secret("Bearer t0ken"), headers={"X-Team": Secret("ops")})
        )
    assert (headers["webhook-id"], headers["idempotency-key"]) == ("msg_1", "msg_1")
    assert "webhook-signature" not in headers
    assert (headers["authorization"], headers["x-team"]) == ("Bearer t0ken", "ops")
    assert headers["user-agent"].startswith("sentinel/")


def test_an_opening_says_cause_time_left_culprit_and_first_action() -> None:
    event = orjson.loads(PLAIN.message(notification()).body)
    incident = event["data"]["incident"]
    assert (event["type"], event["data"]["reason"], event["data"]["sequence"]) == (
        "incident.opened",
        "first_notification",
        1,
    )
    assert (incident["cause"], incident["target"], incident["state"]) == ("leak", "redis-a", "open")
    assert incident["title"] == "Connection leak on redis-a"
    assert incident["eta"] == {
        "earliest": "2025-11-25T14:10:00.000Z",
        "latest": "2025-11-25T16:40:00.000Z",
        "earliest_seconds": 7800.0,
        "latest_seconds": 16800.0,
        "wall": "10,000 clients",
    }
    assert incident["culprit"]["name"] == "api-assembly-status"
    assert incident["culprit"]["examples"][0]["cmd"] == "info"
    assert incident["first_action"].startswith("Recycle")
    assert event["data"]["source"]["instance"] == "prod-1"
    assert event["data"]["alerts"][0]["labels"] == {"cause": "leak", "target": "redis-a"}


def test_a_resolve_has_an_end_and_no_time_left() -> None:
    incident = orjson.loads(PLAIN.message(notification(Reason.RESOLVED)).body)["data"]["incident"]
    assert (incident["state"], incident["eta"], incident["duration_seconds"]) == ("resolved", None, 7560.0)
    assert incident["resolved_at"] == "2025-11-25T14:06:00.000Z"


@pytest.mark.parametrize(
    ("reason", "before", "expected"),
    [
        (Reason.OPENED, None, ("incident.opened", "first_notification")),
        (Reason.ESCALATED, Severity.INFO, ("incident.escalated", "severity_changed")),
        (Reason.UPDATED, None, ("incident.updated", "changed")),
        (Reason.UPDATED, Severity.CRITICAL, ("incident.updated", "severity_changed")),
        (Reason.REPEATED, None, ("incident.reminder", "reminder")),
        (Reason.RESOLVED, None, ("incident.resolved", "all_resolved")),
    ],
)
def test_type_and_reason_say_why_it_is_sent(reason: Reason, before: Severity | None, expected: tuple[str, str]) -> None:
    event = orjson.loads(PLAIN.message(notification(reason, previous_severity=before)).body)
    assert (event["type"], event["data"]["reason"]) == expected


def test_the_subject_is_in_the_title() -> None:
    incident = leak(cause="backlog", subject="encode")
    event = orjson.loads(PLAIN.message(notification(incident=incident)).body)
    assert event["data"]["incident"]["title"] == "Queue backlog of encode on redis-a"


@pytest.mark.parametrize("secret", ["whsec_c2hvcnQ=", "whsec_not base64!", "hunter2"])
def test_a_secret_that_cannot_sign_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(ValueError, match=r"^secret must be whsec_ followed by base64 of 24 to 64") as caught:
        Webhook(Secret("https://hooks.example/x"), secret=Secret(secret))
    assert secret not in str(caught.value)


def test_headers_that_sentinel_sets_cannot_be_overridden() -> None:
    with pytest.raises(ValueError, match=r"^headers must not hold 'Webhook-Id'"):
        Webhook(Secret("https://hooks.example/x"), headers={"Webhook-Id": Secret("1")})


def test_a_resolved_incident_is_the_same_condition() -> None:
    keys = {
        orjson.loads(PLAIN.message(notification(incident=i)).body)["data"]["incident"]["dedup_key"]
        for i in (leak(), resolved())
    }
    assert keys == {"sentinel:prod-1:0f897f2000385467e80582d8abcfb122"}
    assert datetime(2025, 11, 25, 12, tzinfo=UTC).timestamp() == NOON
