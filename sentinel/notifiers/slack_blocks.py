"""An incident in Slack's blocks, within Slack's limits and with Slack's escapes.

Knows blocks; nothing of how they are sent. Source: reference/delivery.md 4.1. The sum of all blocks stays below the
10,000 characters at which Slack begins to refuse (slackapi/bolt-js#2509).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sentinel.notifiers.wording import Link, Story, cut

__all__ = ["JSON", "escape", "text_and_blocks", "turn"]

JSON = "application/json; charset=utf-8"


def text_and_blocks(story: Story, *, minimal: bool = False) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arguments `text` and `blocks` of a message, and what was cut; `minimal` is the text alone."""
    parts = (f"{story.sign} {story.title}: {story.status}.", story.summary, story.first_action)
    text, cut_text = escape(" ".join(part for part in parts if part), 3000)
    document: dict[str, Any] = {"text": text}
    truncated = {"text"} if cut_text else set()
    if not minimal:
        document["blocks"] = list(_blocks(story, truncated))
    return document, tuple(sorted(truncated))


def turn(story: Story) -> str:
    """One line on what has changed, for below a message that says the rest."""
    line = f"{story.sign} {story.status}. {story.eta or story.summary}"
    return escape(line, 2900)[0]


def escape(text: str, limit: int) -> tuple[str, bool]:
    """Slack's three escapes, at most `limit` characters after them; and whether it was cut.

    >>> escape("a<b", 10), escape("a<bc", 6)
    (('a&lt;b', False), ('a&lt;…', True))
    """
    taken: list[str] = []
    length = 0
    for character in text:
        escaped = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(character, character)
        if length + len(escaped) > limit - 1:
            rest_fits = length + len(escaped) <= limit and len(taken) == len(text) - 1
            return ("".join(taken) + (escaped if rest_fits else "…"), not rest_fits)
        taken.append(escaped)
        length += len(escaped)
    return "".join(taken), False


def _blocks(story: Story, truncated: set[str]) -> Iterator[dict[str, Any]]:
    """At most eight blocks and 9,800 characters, within every limit of its kind."""
    header = f"{story.sign} {story.title}"
    if len(header) > 150:
        truncated.add("title")
    yield {"type": "header", "text": {"type": "plain_text", "text": cut(header, 150), "emoji": True}}
    marked = _Marker(truncated)
    yield from marked.section("summary", "", story.summary, 2500)
    yield from marked.section("first_action", "*First action:* ", story.first_action, 1500)
    facts = [(label, text) for label, text in story.facts if text is not story.first_action]
    lines = [f"*{label}:* " + marked.text("facts", text, 350) for label, text in facts]
    yield from _section("\n".join(lines))
    yield from _section(marked.lines("evidence", "*Evidence*\n", story.evidence, 1300))
    yield from _section(marked.lines("ruled_out", "*It is not*\n", story.ruled_out, 800))
    rows = marked.lines("examples", "", story.examples, 1000, bullet="")
    yield from _section(f"```{rows.replace('```', '')}```" if rows else "")
    footer = marked.text("status", f"{story.ref} · {story.status}", 200) + "".join(map(_link, story.links))
    yield {"type": "context", "elements": [{"type": "mrkdwn", "text": footer}]}


def _link(link: Link) -> str:
    """A link at the end of a line; one that is too long to be whole is left out."""
    url = escape(link.url, 10_000)[0].replace("|", "%7C")
    return f" · <{url}|{link.name}>" if len(url) <= 400 else ""


def _section(text: str) -> Iterator[dict[str, Any]]:
    if text:
        yield {"type": "section", "text": {"type": "mrkdwn", "text": text}}


class _Marker:
    """Escapes and cuts, and remembers what was cut."""

    def __init__(self, truncated: set[str]) -> None:
        self._truncated = truncated

    def section(self, name: str, label: str, text: str, limit: int) -> Iterator[dict[str, Any]]:
        yield from _section(label + self.text(name, text, limit) if text else "")

    def text(self, name: str, text: str, limit: int) -> str:
        escaped, short = escape(text, limit)
        if short:
            self._truncated.add(name)
        return escaped

    def lines(self, name: str, label: str, items: Iterable[str], limit: int, bullet: str = "• ") -> str:
        """As many whole lines as fit; empty if there is none."""
        taken = label
        for item in items:
            line = bullet + self.text(name, item, 300) + "\n"
            if len(taken) + len(line) > limit:
                self._truncated.add(name)
                break
            taken += line
        return taken.rstrip("\n") if taken != label else ""
