"""What all destinations have in common: how an incident is put into words, by settings that each may have of its own.

Knows links and templates; the words that are built in are `wording`'s. A template that fails never costs an alert: the
built-in words stand in its place, and the message says which failed. jinja2 is imported only where a template is set.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from sentinel.model import Incident, Notification
from sentinel.notifiers.wording import Link, Story, clean, cut, rfc3339, tell

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

__all__ = ["Links", "Templates", "Voice"]

_PLACES = ("id", "ref", "cause", "target", "subject")
_NAMES = (
    *(
        "title",
        "status",
        "summary",
        "first_action",
        "eta",
        "culprit",
        "since",
        "trend",
        "affected",
        "evidence",
        "ruled_out",
    ),
    *("notes", "also", "sign"),
    *("examples", "ref", "links", "id", "cause", "target", "subject", "severity", "state", "reason", "opened", "url"),
    "runbook_url",
)
_MOST_LINES = 200


@dataclass(frozen=True, slots=True)
class Links:
    """Where a reader finds more. In each URL {id}, {ref}, {cause}, {target} and {subject} stand for the incident's.

    Args:
        page_url: The incident's page, such as https://sentinel.example.com/incidents/{id}.
        runbook_url: What to do about it, such as https://wiki.example.com/runbooks/{cause}.
        runbooks: The same for single causes, by name.
    """

    page_url: str = ""
    runbook_url: str = ""
    runbooks: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("page_url", "runbook_url"):
            _check_link(name, getattr(self, name))
        for cause, url in self.runbooks.items():
            _check_link(f"runbooks.{cause}", url)

    def of(self, incident: Incident) -> tuple[Link, ...]:
        """The links of an incident.

        >>> from sentinel.model import IncidentState, Severity
        >>> incident = Incident("01J", "k", "redis-a", "leak", "a b", Severity.INFO, IncidentState.OPEN, 0, 0, None)
        >>> Links(runbook_url="https://wiki.example/{cause}#{subject}").of(incident)
        (Link(name='Runbook', url='https://wiki.example/leak#a%20b'),)
        """
        runbook = self.runbooks.get(incident.cause, self.runbook_url)
        parts = {place: quote(clean(getattr(incident, place)), safe="") for place in _PLACES}
        named = (("Incident", self.page_url), ("Runbook", runbook))
        return tuple(Link(name, url.format_map(parts)) for name, url in named if url)


@dataclass(frozen=True, slots=True)
class Templates:
    """Own words in place of the built-in ones, as jinja2 templates; config/examples/templates.yaml lists the names.

    Args:
        title: One line, instead of cause and target.
        body: Everything below the title but the links.
    """

    title: str = ""
    body: str = ""

    def __post_init__(self) -> None:
        for name in ("title", "body"):
            if text := getattr(self, name):
                _check_template(name, text)

    def applied(self, story: Story, notification: Notification) -> Story:
        """The story in these words, as far as they can be said of it."""
        if not self.title and not self.body:
            return story
        names, failed = _names(story, notification), []
        made = {}
        for name, text in (("title", self.title), ("body", self.body)):
            made[name] = _rendered(text, names) if text else ""
            if text and not made[name]:
                failed.append(name)
        if made["title"]:
            story = replace(story, title=cut(clean(made["title"]), 300))
        return replace(_bare(story, made["body"]) if made["body"] else story, failed_templates=tuple(failed))


@dataclass(frozen=True, kw_only=True)
class Voice:
    """How a destination words things.

    Args:
        links: Where a reader finds more, instead of the file's own `links`.
        templates: Own words in place of the built-in ones.
    """

    groups: ClassVar[bool] = False

    links: Links = field(default_factory=Links)
    templates: Templates = field(default_factory=Templates)

    def tell(self, notification: Notification) -> Story:
        """The story of a notification, in this destination's words and with its links."""
        story = replace(tell(notification), links=self.links.of(notification.incident))
        return self.templates.applied(story, notification)


def _check_link(name: str, url: str) -> None:
    if url and not url.startswith(("https://", "http://")):
        raise ValueError(f"{name} must begin with https://")
    try:
        places = {place for _, place, _, _ in string.Formatter().parse(url) if place is not None}
    except ValueError:
        places = {""}
    if unknown := places - set(_PLACES):
        shown = ", ".join(f"{{{place}}}" for place in sorted(unknown))
        raise ValueError(f"{name} holds {shown}; only {', '.join(f'{{{place}}}' for place in _PLACES)} are known")


def _check_template(name: str, text: str) -> None:
    from jinja2 import TemplateSyntaxError
    from jinja2.meta import find_undeclared_variables

    try:
        unknown = find_undeclared_variables(_environment().parse(text)) - set(_NAMES)
    except TemplateSyntaxError as error:
        raise ValueError(f"{name} is not a template: line {error.lineno}: {error.message}") from None
    if unknown:
        raise ValueError(f"{name} uses {', '.join(sorted(unknown))}; only {', '.join(_NAMES)} are known")


@functools.cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@functools.lru_cache(maxsize=64)
def _compiled(text: str) -> Template:
    return _environment().from_string(text)


def _rendered(text: str, names: Mapping[str, Any]) -> str:
    """Clean lines, or nothing if the template fails, however it does: an alert in built-in words beats none."""
    try:
        lines = _compiled(text).render(names).strip().splitlines()
    except Exception:  # noqa: BLE001 - a template can raise anything; it is counted, and the alert goes out
        return ""
    return "\n".join(clean(line) for line in lines[:_MOST_LINES]).strip()


def _names(story: Story, notification: Notification) -> dict[str, Any]:
    """What a template may use: words, never objects, so that there is nothing to reach through."""
    incident = notification.incident
    names = {name: value for name, value in asdict(story).items() if name in _NAMES}
    urls = {link.name: link.url for link in story.links}
    return names | {
        "links": list(urls.values()),
        "url": urls.get("Incident", ""),
        "runbook_url": urls.get("Runbook", ""),
        "id": incident.id,
        "cause": clean(incident.cause),
        "target": clean(incident.target),
        "subject": clean(incident.subject),
        "severity": incident.severity.name.lower(),
        "state": incident.state.value,
        "reason": notification.reason.value,
        "opened": rfc3339(incident.opened) or "",
    }


def _bare(story: Story, body: str) -> Story:
    """A story that has this to say and nothing else."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("first_action", "eta", "culprit", "since", "trend", "affected", "notes", "also"), ""
    )
    nothing |= dict.fromkeys(("evidence", "ruled_out", "examples"), ())
    return replace(story, summary=body, **nothing)
