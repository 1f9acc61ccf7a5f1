"""Every notifier as tests make it, with the strict double that it is tried against."""

from __future__ import annotations

from collections.abc import Callable

from sentinel.model import Secret
from sentinel.notifiers import BY_NAME, Notifier
from tests.notifiers.fakes import ROUTING_KEY, Fake, FakePagerDuty, FakeSlack
from tests.notifiers.fakes.alertmanager import FakeAlertmanager
from tests.notifiers.fakes.discord import FakeDiscord
from tests.notifiers.fakes.opsgenie import KEY, FakeOpsgenie
from tests.notifiers.fakes.slack_app import TOKEN, FakeSlackApp
from tests.notifiers.fakes.teams import FakeTeams
from tests.notifiers.fakes.telegram import CHAT, FakeTelegram
from tests.notifiers.fakes.telegram import TOKEN as BOT_TOKEN

__all__ = ["FAKES", "MAKE", "SECRETS", "SIGNING"]

SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FAKES: dict[str, Callable[[], Fake]] = {
    "webhook": Fake,
    "slack": FakeSlack,
    "slack_app": FakeSlackApp,
    "discord": FakeDiscord,
    "telegram": FakeTelegram,
    "teams": FakeTeams,
    "opsgenie": FakeOpsgenie,
    "pagerduty": FakePagerDuty,
    "alertmanager": FakeAlertmanager,
}
MAKE: dict[str, Callable[[str], Notifier]] = {
    "webhook": lambda url: BY_NAME["webhook"](
        url=Secret(url), secret=Secret(SIGNING), authorization=Secret("Bearer hunter2-hunter2")
    ),
    "slack": lambda url: BY_NAME["slack"](url=Secret(url)),
    "slack_app": lambda url: BY_NAME["slack_app"](
        token=Secret(TOKEN), channel="C0123456789", url=url.replace("/hook/TOKEN-in-the-path", "/api")
    ),
    "pagerduty": lambda url: BY_NAME["pagerduty"](
        routing_key=Secret(ROUTING_KEY), url=url.replace("/hook/TOKEN-in-the-path", "/v2/enqueue")
    ),
    "alertmanager": lambda url: BY_NAME["alertmanager"](
        urls=(url.replace("/hook/TOKEN-in-the-path", ""),), authorization=Secret("Bearer hunter2-hunter2")
    ),
    "discord": lambda url: BY_NAME["discord"](
        url=Secret(url.replace("/hook/TOKEN-in-the-path", "/api/webhooks/1234567890/TOKEN-in-the-path"))
    ),
    "telegram": lambda url: BY_NAME["telegram"](
        token=Secret(BOT_TOKEN), chat_id=CHAT, url=url.replace("/hook/TOKEN-in-the-path", "")
    ),
    "teams": lambda url: BY_NAME["teams"](url=Secret(url)),
    "opsgenie": lambda url: BY_NAME["opsgenie"](
        api_key=Secret(KEY), url=url.replace("/hook/TOKEN-in-the-path", ""), teams=("queues",)
    ),
    "email": lambda url: BY_NAME["email"](
        host="mail.example",
        sender="sentinel@example.com",
        to=("ops@example.com",),
        username="u",
        password=Secret("hunter2-hunter2"),
    ),
    "apprise": lambda url: BY_NAME["apprise"](url=Secret(url.replace("https://", "jsons://"))),
    "stdout": lambda url: BY_NAME["stdout"](),
}
SECRETS = ("TOKEN-in-the-path", "hunter2", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ROUTING_KEY, TOKEN, BOT_TOKEN, KEY)
