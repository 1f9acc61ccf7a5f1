"""Everything that has no notifier here, through the library Apprise: some hundred services by URL.

Knows Apprise's URLs, and that it says no more than whether it worked: what that means is read from its log. It has no
edits, threads or idempotency. Its own HTTP follows redirects and looks at no addresses, so that what `network` promises
does not hold here. An extra: pip install 'incident-sentinel[apprise]'; imported only where it is used (0.6 s).
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import aiohttp
import orjson

from sentinel.model import Notification, Reason, Secret, Severity
from sentinel.notifiers.base import Attempt, DeliveryError, Message, Outcome
from sentinel.notifiers.network import NetworkSettings, redact
from sentinel.notifiers.wording import cut, plain

if TYPE_CHECKING:
    from apprise import NotifyBase

__all__ = ["Apprise"]

_TIMEOUT = 30.0
_LIMIT = 10_000
_STATUSES = {400: Outcome.REJECTED_PAYLOAD, 413: Outcome.REJECTED_PAYLOAD, 429: Outcome.THROTTLED}
_HELP = "see github.com/caronc/apprise/wiki for its URLs"


@dataclass(frozen=True)
class Apprise(NetworkSettings):
    """Tells a service that Apprise knows. Of the settings of the network, none are heeded.

    Args:
        url: Apprise's URL of the service, such as `ntfy://topic`; all of it is a secret.
        min_severity: Incidents that never reached it are not told here.
    """

    kind: ClassVar[str] = "apprise"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.OPENED, Reason.ESCALATED, Reason.RESOLVED, Reason.DIGEST})
    pages: ClassVar[bool] = False
    groups: ClassVar[bool] = True
    rate: ClassVar[float] = 0.5

    url: Secret
    min_severity: Severity = Severity.WARNING

    def __post_init__(self) -> None:
        try:
            service = _service(self.url)
        except ImportError:
            raise ValueError("url needs Apprise: pip install 'incident-sentinel[apprise]'") from None
        if service is None:
            raise ValueError(f"url is none that Apprise knows; {_HELP}")

    def message(self, notification: Notification, *, minimal: bool = False) -> Message:
        """Title and text; `minimal` leaves out all but the first lines. Apprise cuts both to what the service takes."""
        story = self.tell(notification)
        lines = plain(story).split("\n")[1:]
        text = "\n".join(lines[:3] if minimal else lines)
        document = {
            "title": cut(f"{story.sign} {story.title} · {story.status} · {story.ref}", 250),
            "body": cut(text, _LIMIT) or story.title,
            "type": _type(notification),
        }
        return Message(orjson.dumps(document), ("text",) if len(text) > _LIMIT else (), story.failed_templates)

    async def notify(self, session: aiohttp.ClientSession, message: Message, attempt: Attempt) -> str | None:
        """Have it told, in a thread of its own: Apprise waits where it stands."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                said = await asyncio.to_thread(_tell, self.url, orjson.loads(message.body))
        except TimeoutError:
            raise DeliveryError(Outcome.AMBIGUOUS, "Apprise did not end in time. It is tried again") from None
        if said is not None:
            raise self._failure(said)
        return None

    def _failure(self, said: str) -> DeliveryError:
        """What Apprise's words for a failure mean."""
        found = re.search(r"error=(\d{3})", said)
        status = int(found[1]) if found else None
        if status is not None:
            known = Outcome.REJECTED_CONFIG if status < 500 else Outcome.AMBIGUOUS
            outcome = _STATUSES.get(status, known)
        else:
            outcome = Outcome.RETRY if "connection error" in said.lower() else Outcome.AMBIGUOUS
        return DeliveryError(outcome, f"Apprise says: {redact(said, self) or 'it did not work'}", status=status)


def _service(url: Secret) -> NotifyBase | None:
    """Apprise's notifier for a URL, one that waits where it stands and cuts what is too long."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its plug-ins import modules that are on their way out
        import apprise

        apprise.logger.addHandler(logging.NullHandler())
        apprise.logger.propagate = False  # it prints whole URLs; what matters is heard by `_Ear`
        asset = apprise.AppriseAsset(app_id="Sentinel", app_desc="Sentinel", async_mode=False)
        service = apprise.Apprise.instantiate(url.reveal(), asset=asset)
    if service is not None:
        service.overflow_mode = apprise.OverflowMode.TRUNCATE
    return service


def _tell(url: Secret, document: dict[str, str]) -> str | None:
    """Tell it; gives what was said of a failure, or None."""
    import apprise

    service = _service(url)
    assert service is not None
    overheard = _Ear()
    apprise.logger.addHandler(overheard)
    try:
        worked = service.notify(
            title=document["title"],
            body=document["body"],
            notify_type=apprise.NotifyType(document["type"]),
            body_format=apprise.NotifyFormat.TEXT,
        )
    finally:
        apprise.logger.removeHandler(overheard)
    return None if worked else " ".join(overheard.said)


class _Ear(logging.Handler):
    """Hears the warnings of its own thread: others may be telling something else at the same time."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.said.append(record.getMessage())


def _type(notification: Notification) -> str:
    if notification.reason is Reason.RESOLVED:
        return "success"
    return {Severity.CRITICAL: "failure", Severity.WARNING: "warning"}.get(notification.incident.severity, "info")
