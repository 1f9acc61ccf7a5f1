"""Public update: a text for customers waits for a person, or a person has taken one over.

Nothing is wrong with a server: it is how drafts and hands off of status pages get to those who are told of incidents,
by the same routes and into the same chats. It ends when somebody answers, when the draft is dropped, or when the public
incident is over. There is no look-alike: Sentinel tells of what it did or left itself.

Source: reference/delivery.md section 8 (approval; hands off "except an offer in chat").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from sentinel.model import Evidence, Finding, Severity
from sentinel.pipeline.diagnosis.base import View
from sentinel.pipeline.series import Track

__all__ = ["PublicUpdate"]


@dataclass
class PublicUpdate:
    """A text for customers waits for a person, or was taken over by one."""

    name: ClassVar[str] = "public_update"
    needs: ClassVar[tuple[str, ...]] = ("status_pages",)
    windows: ClassVar[tuple[str, ...]] = ()

    def judge(self, view: View) -> Iterable[Finding]:
        """Fires once a draft, and once an incident that a person took over."""
        for track in view.each("status_page_draft_seconds"):
            yield self._draft(view, track)
        for track in view.each("status_page_hands_off"):
            yield self._left(view, track)

    def _draft(self, view: View, track: Track) -> Finding:
        page, ref, component, text = _told(track)
        return self._finding(
            view,
            f"{page}/{ref}",
            f"Shall customers read this of {component} on {page}? “{text}”",
            Evidence("has waited for", track.raw, "s", "an answer; it is dropped without one"),
            f"Publish it with `sentinel page approve {ref}`, drop it with `sentinel page withdraw {ref}`.",
            "not public: without an answer customers read nothing",
            waited=track.raw,
        )

    def _left(self, view: View, track: Track) -> Finding:
        page, ref, component, _ = _told(track)
        return self._finding(
            view,
            f"{page}/{ref}",
            f"A person wrote on {page} about {component}: Sentinel leaves {ref} alone and writes nothing more.",
            Evidence("updates that are not Sentinel's", 1.0, "", "0"),
            f"Resolve {ref} on {page} by hand when it is over.",
            "not a lost answer: the newest update there is none that Sentinel sent",
        )

    def _finding(
        self,
        view: View,
        subject: str,
        summary: str,
        evidence: Evidence,
        first_action: str,
        ruled_out: str,
        waited: float | None = None,
    ) -> Finding:
        return Finding(
            target=view.target,
            source=self.name,
            kind="cause",
            severity=Severity.WARNING,
            time=view.now,
            firing=True,
            summary=summary,
            subject=subject,
            value=waited,
            evidence=(evidence,),
            first_action=first_action,
            ruled_out=(ruled_out,),
            since=None if waited is None else view.now - waited,
        )


def _told(track: Track) -> tuple[str, str, str, str]:
    said = dict(track.exemplar or ())
    return track.label("page"), track.label("ref"), said.get("component", ""), said.get("text", "")
