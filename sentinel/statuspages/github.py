"""Pages that live in a repository on GitHub: cState (one file an incident) and Upptime (one issue an incident).

Knows GitHub's contents and issues API. A file's path is made from the incident alone, and is so its own idempotency:
making what exists is refused. An issue is found by a marker in its text; one that Upptime opened by itself is adopted,
which means that it is commented on and never closed. Source: reference/delivery.md 5.10.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

import aiohttp
import yaml

from sentinel.model import ComponentStatus, PublicUpdate, Secret, Stage
from sentinel.notifiers.base import Attempt, DeliveryError
from sentinel.notifiers.wording import rfc3339
from sentinel.statuspages.api import Api
from sentinel.statuspages.base import Page, Remote, StatusPage

__all__ = ["CState", "Upptime"]

_SEVERITIES = {
    ComponentStatus.OPERATIONAL: "notice",
    ComponentStatus.DEGRADED: "disrupted",
    ComponentStatus.PARTIAL: "disrupted",
    ComponentStatus.MAJOR: "down",
}
_FOLDER, _MADE, _MOST = "contents/content/issues", "-sentinel-", 10
_ADOPTED = "adopted:"


@dataclass(frozen=True, kw_only=True)
class _Repository(StatusPage):
    """A repository on GitHub.

    Args:
        repository: `owner/name`.
        token: Fine-grained, for this repository alone.
        url: Of the API.
    """

    rate: ClassVar[float] = 0.2
    sets_components: ClassVar[bool] = False

    repository: str
    token: Secret
    url: str = "https://api.github.com"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.repository.count("/") != 1:
            raise ValueError(f"repository must be owner/name, got {self.repository!r}")

    def api(self, session: aiohttp.ClientSession, attempt: Attempt) -> Api:
        """GitHub, asked on behalf of one update."""
        headers = {
            "authorization": f"Bearer {self.token.reveal()}",
            "accept": "application/vnd.github+json",
            "x-github-api-version": "2022-11-28",
        }
        return Api(self, session, f"{self.url.rstrip('/')}/repos/{self.repository}", headers, attempt.now)


@dataclass(frozen=True, kw_only=True)
class CState(_Repository):
    """Keeps one file an incident in the repository of a cState page. Components are its systems, by name.

    Args:
        branch: Where it is published from.
    """

    kind: ClassVar[str] = "cstate"
    keyed: ClassVar[bool] = True
    drafts: ClassVar[bool] = True

    branch: str = "main"

    def open(self, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt) -> Page:
        """The repository, for one update."""
        return _Files(self, self.api(session, attempt), about, attempt)


class _Files(Page):
    """One update in one file. A system shows the worst of the open files that name it."""

    def __init__(self, settings: CState, api: Api, about: Mapping[str, Any], attempt: Attempt) -> None:
        self._api, self._about, self._branch = api, about, settings.branch
        self._now = rfc3339(attempt.now)

    def _path(self, update: PublicUpdate) -> str:
        ref = str(self._about["ref"]).removeprefix("SNT-").lower()
        return f"content/issues/{str(rfc3339(update.started))[:10]}{_MADE}{ref}.md"

    async def find(self, update: PublicUpdate) -> Sequence[Remote]:
        """The path is known beforehand. What is under another, by our key, is of ours too, and was forgotten."""
        own = await self.read(self._path(update)) if self._about["ref"] else None
        found = [own] if own is not None else [await self._read(path, by_key=True) for path in await self._newest()]
        return [remote for remote in found if remote is not None and remote.open]

    async def _newest(self) -> list[str]:
        """Files of any Sentinel, the older first."""
        listed = await self._api.look(f"{_FOLDER}?ref={quote(self._branch, safe='')}") or ()
        return sorted(str(each["path"]) for each in listed if _MADE in each["name"])[-_MOST:]

    async def read(self, remote: str) -> Remote | None:
        return await self._read(remote, by_key=False)

    async def _read(self, remote: str, *, by_key: bool) -> Remote | None:
        """A file; `by_key`, only if it is marked with our key."""
        found = await self._api.look(f"contents/{remote}?ref={quote(self._branch, safe='')}")
        if found is None:
            return None
        matter, body = _parted(base64.b64decode(found["content"]).decode())
        if by_key and matter.get("id") != self._about["key"]:
            return None
        return Remote(remote, str(found["sha"]), body.split("{{<", 1)[0].strip(), not matter.get("resolved", False))

    async def create(self, update: PublicUpdate) -> Remote:
        return await self._write(self._path(update), update, "", None)

    async def append(self, remote: str, update: PublicUpdate) -> Remote:
        found = await self._api.ask("GET", f"contents/{remote}?ref={quote(self._branch, safe='')}")
        _, body = _parted(base64.b64decode(found["content"]).decode())
        return await self._write(remote, update, body, str(found["sha"]))

    async def _write(self, path: str, update: PublicUpdate, before: str, sha: str | None) -> Remote:
        over = update.stage is Stage.RESOLVED
        worst = max((status for _, status in update.components), default=ComponentStatus.DEGRADED)
        matter = {
            "title": update.title,
            "date": rfc3339(update.started),
            "resolved": over,
            **({"resolvedWhen": self._now} if over else {}),
            "severity": _SEVERITIES[worst],
            "affected": [component for component, _ in update.components],
            "section": "issue",
            "id": str(self._about["key"]),
            "automated": True,
            "draft": update.draft,
        }
        line = f'{update.message} {{{{< track "{self._now}" >}}}}'
        text = (
            f"---\n{yaml.safe_dump(matter, sort_keys=False, allow_unicode=True)}---\n{line}\n\n{before}".rstrip() + "\n"
        )
        body = {
            "message": f"{update.title}: {update.stage}",
            "content": base64.b64encode(text.encode()).decode(),
            "branch": self._branch,
            **({"sha": sha} if sha else {}),
        }
        try:
            made = await self._api.ask("PUT", f"contents/{path}", body)
        except DeliveryError as error:
            if error.status not in (409, 422):
                raise
            # It has changed since we read it: by us, if the request was repeated on its way, as those of a PUT may be.
            there = await self.read(path)
            if there is None or there.text != update.message:
                raise
            return there
        return Remote(path, str(made["content"]["sha"]), update.message, not over)


@dataclass(frozen=True, kw_only=True)
class Upptime(_Repository):
    """Keeps one issue an incident in the repository of an Upptime page. Components are the slugs of its sites."""

    kind: ClassVar[str] = "upptime"
    keyed: ClassVar[bool] = True
    drafts: ClassVar[bool] = False

    def open(self, session: aiohttp.ClientSession, about: Mapping[str, Any], attempt: Attempt) -> Page:
        """The repository, for one update."""
        return _Issues(self.api(session, attempt), about)


class _Issues(Page):
    """One update in one issue. Upptime measures its sites itself."""

    def __init__(self, api: Api, about: Mapping[str, Any]) -> None:
        self._api = api
        self._marker = f"<!-- sentinel:key={about['key']} -->"

    async def find(self, update: PublicUpdate) -> Sequence[Remote]:
        """Open issues of ours, by the marker."""
        ours = [issue for issue in await self._open_issues(update) if self._marker in (issue["body"] or "")]
        found = [
            await self.read(str(issue["number"])) for issue in sorted(ours, key=lambda issue: int(issue["number"]))
        ]
        return [remote for remote in found if remote is not None]

    async def _open_issues(self, update: PublicUpdate) -> list[Any]:
        labels = ",".join(["status", *(component for component, _ in update.components)])
        return await self._api.listed(f"issues?labels={quote(labels, safe=',')}&state=open&per_page=100")

    async def read(self, remote: str) -> Remote | None:
        number = remote.removeprefix(_ADOPTED)
        issue = await self._api.look(f"issues/{number}")
        if issue is None:
            return None
        comments = await self._api.listed(f"issues/{number}/comments?per_page=100")
        newest = comments[-1] if comments else {"id": "first", "body": issue["body"]}
        text = str(newest["body"]).replace(self._marker, "").strip()
        return Remote(remote, str(newest["id"]), text, issue["state"] == "open")

    async def create(self, update: PublicUpdate) -> Remote:
        """A new issue, or a comment on the one that Upptime opened for the same site."""
        theirs = [issue for issue in await self._open_issues(update) if self._marker not in (issue["body"] or "")]
        if theirs:
            return await self._comment(f"{_ADOPTED}{theirs[0]['number']}", update, locked=bool(theirs[0].get("locked")))
        labels = ["status", *(component for component, _ in update.components)]
        body = {"title": update.title, "body": f"{update.message}\n\n{self._marker}", "labels": labels}
        made = await self._api.ask("POST", "issues", body)
        return Remote(str(made["number"]), "first", update.message)

    async def append(self, remote: str, update: PublicUpdate) -> Remote:
        number = remote.removeprefix(_ADOPTED)
        issue = await self._api.ask("GET", f"issues/{number}")
        told = await self._comment(remote, update, locked=bool(issue.get("locked")))
        await self.complete(remote, update)
        return told._replace(open=update.stage is not Stage.RESOLVED or remote.startswith(_ADOPTED))

    async def complete(self, remote: str, update: PublicUpdate) -> None:
        """The end closes an issue that is ours."""
        if update.stage is Stage.RESOLVED and not remote.startswith(_ADOPTED):
            await self._api.ask("PATCH", f"issues/{remote}", {"state": "closed"})

    async def _comment(self, remote: str, update: PublicUpdate, *, locked: bool) -> Remote:
        """Upptime locks its issues: unlock, comment, lock."""
        number = remote.removeprefix(_ADOPTED)
        if locked:
            await self._api.ask("DELETE", f"issues/{number}/lock")
        made = await self._api.ask("POST", f"issues/{number}/comments", {"body": update.message})
        if locked:
            await self._api.ask("PUT", f"issues/{number}/lock", {"lock_reason": "resolved"})
        return Remote(remote, str(made["id"]), update.message)


def _parted(text: str) -> tuple[dict[str, Any], str]:
    """Front matter and body of a file.

    Raises:
        ValueError: there is no front matter.
    """
    _, matter, body = text.split("---\n", 2)
    found = yaml.safe_load(matter)
    if not isinstance(found, dict):
        raise ValueError("the file has no front matter")
    return found, body
