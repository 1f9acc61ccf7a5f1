"""Notifiers: each speaks one destination's protocol.

`BY_NAME` is the one table of them: the `kind` in YAML, and the class whose fields are its settings. A new notifier is
one file, one line here, one test file, one paragraph in the docs.
"""

from sentinel.notifiers.alertmanager import Alertmanager
from sentinel.notifiers.apprise import Apprise
from sentinel.notifiers.base import Attempt, DeliveryError, Message, Notifier, Outcome
from sentinel.notifiers.discord import Discord
from sentinel.notifiers.email import Email
from sentinel.notifiers.opsgenie import Opsgenie
from sentinel.notifiers.pagerduty import PagerDuty
from sentinel.notifiers.slack import Slack
from sentinel.notifiers.slack_app import SlackApp
from sentinel.notifiers.stdout import Stdout
from sentinel.notifiers.teams import Teams
from sentinel.notifiers.telegram import Telegram
from sentinel.notifiers.webhook import Webhook

__all__ = ["BY_NAME", "Attempt", "DeliveryError", "Message", "Notifier", "Outcome"]

BY_NAME: dict[str, type[Notifier]] = {
    "webhook": Webhook,
    "slack": Slack,
    "slack_app": SlackApp,
    "discord": Discord,
    "telegram": Telegram,
    "teams": Teams,
    "email": Email,
    "pagerduty": PagerDuty,
    "opsgenie": Opsgenie,
    "alertmanager": Alertmanager,
    "apprise": Apprise,
    "stdout": Stdout,
}
