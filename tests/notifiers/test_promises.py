"""What every notifier promises: it leaks no secret, says whether trying again can help, and stays within limits."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import orjson
import pytest

from sentinel.model import Reason, Severity
from sentinel.notifiers import BY_NAME, Attempt, DeliveryError, Outcome
from sentinel.notifiers.http import open_session
from tests.notifiers.fakes import Fake, serving
from tests.notifiers.members import FAKES, MAKE, SECRETS, SIGNING
from tests.notifiers.stories import NOON, enormous, leak, notification

HTTP = sorted(FAKES)


@pytest.fixture
async def fake(kind: str) -> AsyncIterator[Fake]:
    async with serving(FAKES[kind]()) as running:
        yield running


@pytest.fixture
async def send(kind: str) -> AsyncIterator[Callable[..., Any]]:
    """Sends one notification to a URL, as delivery would."""
    async with contextlib.AsyncExitStack() as stack:

        async def send(url: str, story: Any = None, *, minimal: bool = False) -> str | None:
            notifier = MAKE[kind](url)
            session = await stack.enter_async_context(open_session(notifier))
            message = notifier.message(story or notification(), minimal=minimal)
            return await notifier.notify(session, message, Attempt("msg_1", NOON))

        yield send


async def refusal(sending: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await sending
    assert not any(secret in str(caught.value) + repr(caught.value) for secret in SECRETS)
    return caught.value


def test_every_notifier_is_tried_here() -> None:
    assert set(MAKE) == set(BY_NAME)
    assert all(cls.kind == name for name, cls in BY_NAME.items())


@pytest.mark.parametrize("kind", sorted(BY_NAME))
@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("minimal", [False, True])
def test_messages_and_settings_show_no_secret(kind: str, reason: Reason, minimal: bool) -> None:
    notifier = MAKE[kind]("https://hooks.example/hook/TOKEN-in-the-path")
    shown = repr(notifier) + notifier.message(notification(reason), minimal=minimal).body.decode()
    assert not any(secret in shown for secret in SECRETS)


@pytest.mark.parametrize("kind", sorted(BY_NAME))
def test_a_message_is_the_same_each_time(kind: str) -> None:
    notifier = MAKE[kind]("https://hooks.example/hook")
    assert notifier.message(notification()) == notifier.message(notification())


@pytest.mark.parametrize("kind", sorted(BY_NAME))
def test_a_message_names_cause_target_and_severity(kind: str) -> None:
    body = MAKE[kind]("https://hooks.example/hook").message(notification()).body.decode()
    assert "Connection leak on redis-a" in body
    assert "Recycle the api-assembly-status processes" in body
    assert "14:10" in body
    assert "warning" in body


@pytest.mark.parametrize("kind", HTTP)
@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("minimal", [False, True])
async def test_the_vendor_takes_it_however_large_and_odd(
    kind: str, reason: Reason, minimal: bool, fake: Fake, send: Callable[..., Any]
) -> None:
    await send(fake.url, enormous(reason), minimal=minimal)
    await send(fake.url, notification(reason), minimal=minimal)
    assert len(fake.accepted) == 2


@pytest.mark.parametrize("kind", sorted(BY_NAME))
def test_an_enormous_message_is_cut_and_says_so(kind: str) -> None:
    message = MAKE[kind]("https://hooks.example/hook").message(enormous())
    assert len(message.body) <= {"webhook": 20_000, "teams": 20_000, "stdout": 4_096}.get(kind, 512_000)
    assert message.truncated


@pytest.mark.parametrize("kind", HTTP)
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (301, Outcome.REJECTED_CONFIG),
        (307, Outcome.REJECTED_CONFIG),
        (400, Outcome.REJECTED_PAYLOAD),
        (401, Outcome.REJECTED_CONFIG),
        (402, Outcome.REJECTED_CONFIG),
        (403, Outcome.REJECTED_CONFIG),
        (404, Outcome.REJECTED_CONFIG),
        (408, Outcome.RETRY),
        (410, Outcome.GONE),
        (413, Outcome.REJECTED_PAYLOAD),
        (422, Outcome.REJECTED_PAYLOAD),
        (429, Outcome.THROTTLED),
        (500, Outcome.AMBIGUOUS),
        (502, Outcome.AMBIGUOUS),
        (503, Outcome.RETRY),
        ("hang", Outcome.AMBIGUOUS),
        ("reset", Outcome.AMBIGUOUS),
        ("reset after", Outcome.AMBIGUOUS),
        ("huge", Outcome.AMBIGUOUS),
    ],
)
async def test_each_failure_says_what_it_means_and_no_secret(
    kind: str, status: Any, outcome: Outcome, fake: Fake, send: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentinel.notifiers.http._TIMEOUT", aiohttp.ClientTimeout(total=0.3))
    fake.modes.append(status)
    error = await refusal(send(fake.url))
    assert error.outcome is outcome
    assert error.status == (status if isinstance(status, int) else 500 if status == "huge" else None)
    assert str(error).startswith("127.0.0.1 ")
    assert len(str(error)) < 800


@pytest.mark.parametrize("kind", HTTP)
@pytest.mark.parametrize(
    ("said", "after"),
    [("7", 7.0), ("1.5", 1.5), ("0", 0.0), ("99999", 3600.0), ("Tue, 25 Nov 2025 12:01:30 GMT", 90.0)],
)
async def test_retry_after_is_understood_in_each_form(
    kind: str, said: str, after: float, fake: Fake, send: Callable[..., Any]
) -> None:
    fake.modes.append((429, {"Retry-After": said}, "slow down"))
    error = await refusal(send(fake.url))
    assert (error.outcome, error.after) == (Outcome.THROTTLED, after)


@pytest.mark.parametrize("kind", HTTP)
@pytest.mark.parametrize("said", ["-1", "soon", "", "nan", "1e9"])
async def test_a_retry_after_that_makes_no_sense_is_left_to_the_back_off(
    kind: str, said: str, fake: Fake, send: Callable[..., Any]
) -> None:
    fake.modes.append((429, {"Retry-After": said}, "slow down"))
    error = await refusal(send(fake.url))
    assert error.after == (30.0 if kind == "pagerduty" else None)


@pytest.mark.parametrize("kind", HTTP)
async def test_a_port_where_nobody_listens_is_surely_not_processed(kind: str, send: Callable[..., Any]) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        error = await refusal(send(f"http://127.0.0.1:{held.getsockname()[1]}/hook/TOKEN-in-the-path"))
    assert error.outcome is Outcome.RETRY
    assert str(error) == "cannot connect to 127.0.0.1: Connection refused. It is tried again"


@pytest.mark.parametrize("kind", HTTP)
async def test_a_redirect_is_not_followed(kind: str, fake: Fake, send: Callable[..., Any]) -> None:
    async with serving(Fake()) as elsewhere:
        fake.modes.append((307, {"Location": elsewhere.url}, ""))
        error = await refusal(send(fake.url))
        assert elsewhere.headers == []
    assert "a redirect to 127.0.0.1, which is not followed" in str(error)


@pytest.mark.parametrize("kind", sorted(BY_NAME))
def test_what_is_worth_telling_includes_the_resolve(kind: str) -> None:
    assert {Reason.OPENED, Reason.ESCALATED, Reason.RESOLVED} <= BY_NAME[kind].reasons


@pytest.mark.parametrize("kind", sorted(BY_NAME))
def test_severity_is_a_setting_with_a_fitting_default(kind: str) -> None:
    machines = {"webhook": Severity.INFO, "stdout": Severity.INFO, "alertmanager": Severity.INFO}
    expected = machines.get(kind, Severity.CRITICAL if BY_NAME[kind].pages else Severity.WARNING)
    assert MAKE[kind]("https://hooks.example/hook").min_severity is expected


@pytest.mark.parametrize("kind", HTTP)
def test_plain_http_to_another_host_must_be_allowed(kind: str) -> None:
    with pytest.raises(
        ValueError, match=r"^urls? must begin with https://; for plain http to hooks\.example set allow_http"
    ):
        MAKE[kind]("http://hooks.example/hook/TOKEN-in-the-path")


@pytest.mark.parametrize("kind", HTTP)
@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "0.0.0.0", "[::ffff:169.254.169.254]", "224.0.0.1"])
def test_addresses_that_must_not_be_reached_are_refused_at_once(kind: str, host: str) -> None:
    with pytest.raises(ValueError, match=r"^urls? must not point to "):
        MAKE[kind](f"https://{host}/hook/TOKEN-in-the-path")


@pytest.mark.parametrize("kind", HTTP)
def test_what_is_not_a_url_is_refused_without_repeating_it(kind: str) -> None:
    with pytest.raises(ValueError, match=r"^urls? must") as caught:
        MAKE[kind]("hooks.example:TOKEN-in-the-path")
    assert "TOKEN" not in str(caught.value)


@pytest.mark.parametrize("kind", ["slack", "webhook"])
async def test_the_answers_text_is_kept_but_not_the_secret_in_it(
    kind: str, fake: Fake, send: Callable[..., Any]
) -> None:
    signed = f" signed with {SIGNING}" if kind == "webhook" else ""
    fake.modes.append((400, {}, f"cannot digest {fake.url}{signed}\n\x1b[31m" + "x" * 1000))
    said = str(await refusal(send(fake.url)))
    assert "cannot digest" in said
    assert "\x1b" not in said


def test_the_body_is_json_where_json_is_spoken() -> None:
    for kind in HTTP:
        assert isinstance(orjson.loads(MAKE[kind]("https://hooks.example/hook").message(notification()).body), dict)
    assert leak().finding.eta is not None
