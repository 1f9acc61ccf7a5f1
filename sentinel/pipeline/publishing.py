"""What customers are told, and when: the gates in front of a status page.

An alert wakes someone who can judge it; a public page can not be taken back. So nothing is public unless a rule says so
by component and in words for customers, the trouble is critical, has lasted, is seen from two sides and through eyes
that are well, and a budget is left; and by default a person still approves the exact text (`mode: draft`).

    trouble ─ gates ─▶ drafted ─ approve ─▶ investigating ─ clear ─▶ monitoring ─ stays clear ─▶ resolved
                         └─ no answer: dropped     └────── a relapse goes back ◀──┘

Knows pages by their destination, and what is public on them. Does not know vendors, nor why an incident fires; never
sees a label, host or queue in what it writes, because its templates cannot name one. Ids come from the incidents' own
times, so that a step told twice across a crash makes nothing twice.

Source: reference/delivery.md section 8.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from sentinel.model import (
    ComponentStatus,
    Finding,
    Incident,
    IncidentState,
    Notification,
    PublicUpdate,
    Reason,
    Severity,
    Stage,
    fingerprint,
    ulid,
)
from sentinel.pipeline.diagnosis.words import clock_time, span
from sentinel.pipeline.public_rules import STATUSES, Gates, PublicPage, PublicRule, refusal

__all__ = [
    "Published",
    "Publishing",
    "PublishingError",
    "public_key",
]

MOST_UPDATES: Final = 90
STUCK: Final = 86400.0


class PublishingError(Exception):
    """A person asked for something that cannot be; the text says why and what to do."""


@dataclass(slots=True)
class Published:
    """One incident on one component of one page, or the draft of one."""

    page: str
    component: str
    rule: PublicRule
    id: str
    opened: float
    """When the trouble began to fire."""
    stage: Stage = Stage.INVESTIGATING
    status: ComponentStatus = ComponentStatus.DEGRADED
    drafted: float | None = None
    """Since when it waits for a person; None once it is public."""
    approved: bool = False
    clear_since: float | None = None
    told: float = 0.0
    mailed: float | None = None
    quiet: bool = False
    """It came back shortly after its end: no mails."""
    updates: int = 0

    @property
    def ref(self) -> str:
        """Short human reference."""
        return "SNT-" + self.id[-6:]


Key = tuple[str, str]
"""A page's destination, and a component of it."""


class _Words(NamedTuple):
    title: str
    message: str


class Publishing:
    """All status pages of one daemon.

    Args:
        instance_id: Part of every key on a page.
        pages: As configured.
    """

    def __init__(self, instance_id: str, pages: Iterable[PublicPage]) -> None:
        self._instance_id = instance_id
        self._pages = {page.destination: page for page in pages if page.mode != "off"}
        self._published: dict[Key, Published] = {}
        self._firing: dict[Key, float] = {}
        self._ended: dict[Key, float] = {}
        self._begun: dict[str, list[float]] = {}
        self._dropped: dict[Key, float] = {}
        """Drafts that nobody wanted, by when their trouble began."""
        self.notes: list[str] = []
        """What operators should know; take them and clear."""

    def take(
        self, incidents: Collection[Incident], now: float, trusted: Callable[[Incident], bool]
    ) -> list[Notification]:
        """Look at what is open. Gives what the pages are told.

        Args:
            incidents: All that are open.
            now: Unix seconds.
            trusted: Whether an incident counts: neither silenced, flapping nor in maintenance, and from eyes that are
                well and warm. What is not trusted opens nothing, and resolves nothing.
        """
        told: list[Notification] = []
        for page in self._pages.values():
            for component in dict.fromkeys(rule.component for rule in page.rules):
                rules = [rule for rule in page.rules if rule.component == component]
                told += self._look(page, component, rules, incidents, now, trusted)
        return told

    def approve(self, ref: str, now: float) -> list[Notification]:
        """A person publishes a draft, or lets subscribers of a public incident have mails.

        Raises:
            PublishingError: there is none of that reference.
        """
        published = self._find(ref)
        published.approved = True
        if published.drafted is None:
            return []
        published.drafted = None
        return [self._tell(published, now)]

    def withdraw(self, ref: str, now: float) -> None:
        """A person does not want a draft to be published.

        Raises:
            PublishingError: there is none of that reference, or it is public already.
        """
        published = self._find(ref)
        if published.drafted is None:
            raise PublishingError(f"{ref} is public already; resolve it on the page, and Sentinel leaves it alone")
        self._drop(published)

    def adopt(self, page: str, component: str, text: str, now: float) -> None:
        """Take up an incident of ours that was found open on a page and that nothing here knows.

        Raises:
            PublishingError: it is known, nobody configured it, or a person wrote last.
        """
        key = page, component
        rules = self._rules_of(key)
        if not rules:
            raise PublishingError(f"{page} has no rule for {component} any more; resolve it on the page")
        if key in self._published:
            raise PublishingError(f"what is open on {page} for {component} is known")
        rule = rules[0]
        if not rule.wrote(text):
            raise PublishingError(f"a person wrote last on {page} about {component}; resolve it on the page")
        name, status = ulid(now, f"{self._key(page, component)}:adopted:{now!r}"), STATUSES[rule.status]
        self._published[key] = Published(page, component, rule, name, now, status=status, told=now, updates=1)

    def targets_of(self, page: str, component: str, names: Iterable[str]) -> list[str]:
        """Those targets whose trouble may be public in a component."""
        rules = self._rules_of((page, component))
        return [name for name in names if any(rule.concerns(name) for rule in rules)]

    def published(self) -> list[Published]:
        """Drafts and open public incidents, oldest first."""
        return sorted(self._published.values(), key=lambda each: each.opened)

    def text(self, published: Published) -> tuple[str, str]:
        """Title and message as they would be, or are, public."""
        return self._words(published, published.stage)

    # One component of one page

    def _look(
        self,
        page: PublicPage,
        component: str,
        rules: list[PublicRule],
        incidents: Collection[Incident],
        now: float,
        trusted: Callable[[Incident], bool],
    ) -> Iterator[Notification]:
        key, gates = (page.destination, component), page.gates
        found = [(rule, each) for rule in rules for each in incidents if _matches(rule, each, gates)]
        sure = [(rule, each) for rule, each in found if trusted(each)]
        published = self._published.get(key)
        if published is not None:
            yield from self._go_on(published, page, found, sure, now)
            return
        if not sure:
            self._firing.pop(key, None)
            return
        since = self._firing.setdefault(key, max(min(each.opened for _, each in sure), self._ended.get(key, 0.0)))
        rule = _worst(rules, sure)
        if now - since < gates.firing_for or not _corroborated(rule, sure) or self._dropped.get(key) == since:
            return
        yield from self._begin(page, component, rule, since, now)

    def _begin(
        self, page: PublicPage, component: str, rule: PublicRule, since: float, now: float
    ) -> Iterator[Notification]:
        key = (page.destination, component)
        quiet = now - self._ended.get(key, float("-inf")) <= page.gates.reopen_window
        published = Published(
            page=page.destination,
            component=component,
            rule=rule,
            id=ulid(since, f"{self._key(page.destination, component)}:{since!r}"),
            opened=since,
            status=STATUSES[rule.status],
            quiet=quiet,
        )
        title, message = self._words(published, Stage.INVESTIGATING)
        if (why := refusal(f"{title}\n{message}".replace(published.ref, ""))) is not None:
            self.notes.append(f"{page.destination}: nothing was published, the text for {component} holds {why}")
            self._dropped[key] = since
            return
        self._published[key] = published
        spent = [time for time in self._begun.get(page.destination, ()) if now - time < 3600.0]
        if page.mode == "draft" or len(spent) >= page.gates.per_hour:
            published.drafted = now
            self.notes.append(
                f"{page.destination}: a public update waits for {span(page.gates.draft_ttl)}: “{title}: {message}” "
                f"Publish it with: sentinel page approve {published.ref}"
            )
            if page.drafts:
                yield self._tell(published, now, draft=True)
            return
        self._begun[page.destination] = [*spent, now]
        yield self._tell(published, now)

    def _go_on(
        self,
        published: Published,
        page: PublicPage,
        found: list[tuple[PublicRule, Incident]],
        sure: list[tuple[PublicRule, Incident]],
        now: float,
    ) -> Iterator[Notification]:
        gates = page.gates
        if published.drafted is not None:
            if not found or now - published.drafted >= gates.draft_ttl:
                self.notes.append(f"{page.destination}: the draft {published.ref} was dropped, nobody answered in time")
                self._drop(published)
            return
        if found:
            yield from self._while_firing(published, gates, sure, now)
            return
        published.clear_since = now if published.clear_since is None else published.clear_since
        if published.stage is Stage.INVESTIGATING:
            published.stage = Stage.MONITORING
            yield self._tell(published, now)
        elif now - published.clear_since >= gates.stable_for:
            published.stage = Stage.RESOLVED
            yield self._tell(published, now)
            key = (published.page, published.component)
            del self._published[key]
            self._firing.pop(key, None)
            self._ended[key] = now

    def _while_firing(
        self, published: Published, gates: Gates, sure: list[tuple[PublicRule, Incident]], now: float
    ) -> Iterator[Notification]:
        published.clear_since = None
        worst = max((STATUSES[rule.status] for rule, _ in sure), default=published.status)
        relapsed = published.stage is Stage.MONITORING
        if now - published.opened >= STUCK and now - published.told >= STUCK:
            published.told = now
            self.notes.append(f"{published.page}: {published.ref} has been public for more than a day; look at it")
        if relapsed or worst > published.status:
            published.stage, published.status = Stage.INVESTIGATING, max(worst, published.status)
            yield self._tell(published, now)
        elif gates.update_every and now - published.told >= gates.update_every and published.updates < MOST_UPDATES:
            yield self._tell(published, now, ongoing=True)

    def _drop(self, published: Published) -> None:
        key = (published.page, published.component)
        del self._published[key]
        self._dropped[key] = published.opened

    def _find(self, ref: str) -> Published:
        for published in self._published.values():
            if ref in (published.ref, published.id):
                return published
        known = ", ".join(published.ref for published in self.published()) or "none"
        raise PublishingError(f"there is no draft or public incident {ref}; there are: {known}")

    # Words

    def _words(self, published: Published, stage: Stage, *, ongoing: bool = False) -> _Words:
        rule = published.rule
        template = rule.ongoing if ongoing else getattr(rule, stage.value)
        values = {
            "component": rule.name,
            "started_at": clock_time(published.opened),
            "stage": stage.value,
            "ref": published.ref,
        }
        return _Words(rule.filled(rule.title, values), rule.filled(template, values))

    def _tell(self, published: Published, now: float, *, ongoing: bool = False, draft: bool = False) -> Notification:
        page = self._pages[published.page]
        published.updates += 1
        published.told = now
        over = published.stage is Stage.RESOLVED
        title, message = self._words(published, published.stage, ongoing=ongoing)
        status = ComponentStatus.OPERATIONAL if published.stage is not Stage.INVESTIGATING else published.status
        public = PublicUpdate(
            stage=published.stage,
            title=title,
            message=message,
            components=((published.component, status),),
            started=published.opened,
            notify=not draft and self._mails(published, page.gates, now),
            draft=draft,
            components_only=page.mode == "component_only",
        )
        first = published.updates == 1
        reason = Reason.RESOLVED if over else Reason.OPENED if first else Reason.UPDATED
        seed = f"{published.id}:{published.stage}" if first else f"{published.id}:{published.updates}:{now!r}"
        return Notification(
            receiver="page",
            destination=published.page,
            reason=reason,
            incident=self._incident(published, message, now),
            time=now,
            event_id="msg_" + ulid(published.opened if first else now, seed),
            public=public,
        )

    def _mails(self, published: Published, gates: Gates, now: float) -> bool:
        """Whether subscribers get a mail: those who were told that it began are told that it is over."""
        if published.stage is Stage.RESOLVED:
            return published.mailed is not None
        old_enough = published.approved or now - published.opened >= gates.quiet_for + gates.firing_for
        rested = published.mailed is None or now - published.mailed >= gates.mail_every
        if published.quiet or not old_enough or not rested:
            return False
        published.mailed = now
        return True

    def _incident(self, published: Published, message: str, now: float) -> Incident:
        """What delivery knows of it: which lane, how old, whether it is over. Holds nothing that is not public."""
        over = published.stage is Stage.RESOLVED
        finding = Finding("page", "public", "cause", Severity.CRITICAL, now, not over, message)
        return Incident(
            id=published.id,
            dedup_key=self._key(published.page, published.component),
            target="page",
            cause="public",
            subject=published.component,
            severity=Severity.CRITICAL,
            state=IncidentState.RESOLVED if over else IncidentState.OPEN,
            opened=published.opened,
            updated=now,
            finding=finding,
            resolved=now if over else None,
            sequence=published.updates,
        )

    def _key(self, page: str, component: str) -> str:
        return public_key(self._instance_id, page, component)

    # Across a restart or reload

    def progress(self) -> Any:
        """What is public, drafted or counted, to be pickled."""
        return self._published, self._firing, self._ended, self._begun, self._dropped

    def go_on(self, progress: Any) -> None:
        """Take up what `progress` gave; what a page no longer has a rule for is left to people."""
        published, firing, ended, begun, dropped = progress
        self._firing, self._ended = dict(firing), dict(ended)
        self._begun, self._dropped = dict(begun), dict(dropped)
        for key, each in published.items():
            if rules := self._rules_of(key):
                self._published[key] = replace(each, rule=rules[0] if each.rule not in rules else each.rule)
            else:
                self._leave(key, each.ref)

    def catch_up(self, last: Iterable[Notification]) -> None:
        """Take up what pages were told after `progress` was saved, or without it: nothing public is ever forgotten.

        Args:
            last: What each page was told last of each component.
        """
        for told in last:
            update = told.public
            if update is None or len(update.components) != 1 or told.destination not in self._pages:
                continue
            ((component, status),) = update.components
            key = (told.destination, component)
            known = self._published.get(key)
            if known is not None and (known.opened, known.updates) >= (update.started, told.incident.sequence):
                continue
            if update.stage is Stage.RESOLVED:
                self._published.pop(key, None)
                self._firing.pop(key, None)
                self._ended[key] = max(told.time, self._ended.get(key, 0.0))
            else:
                self._catch_up(key, told, update, status)

    def _catch_up(self, key: Key, told: Notification, update: PublicUpdate, status: ComponentStatus) -> None:
        rules = self._rules_of(key)
        if not rules:
            self._leave(key, told.incident.ref)
            return
        known = self._published.get(key)
        if known is None or known.id != told.incident.id:
            known = Published(told.destination, key[1], rules[0], told.incident.id, update.started)
            self._begun.setdefault(key[0], []).append(told.time)
        self._published[key] = replace(
            known,
            stage=update.stage,
            status=max(status, known.status),
            drafted=told.time if update.draft else None,
            clear_since=told.time if update.stage is Stage.MONITORING else None,
            told=told.time,
            mailed=told.time if update.notify else known.mailed,
            updates=told.incident.sequence,
        )

    def _rules_of(self, key: Key) -> list[PublicRule]:
        page, component = key
        rules = self._pages[page].rules if page in self._pages else ()
        return [rule for rule in rules if rule.component == component]

    def _leave(self, key: Key, ref: str) -> None:
        self.notes.append(f"{key[0]}: {ref} has no rule any more; resolve it on the page")


def public_key(instance_id: str, page: str, component: str) -> str:
    """By which a page's incidents of one component are marked as one daemon's."""
    return f"sentinel:{instance_id}:{fingerprint('public', page, component)}"


def _matches(rule: PublicRule, incident: Incident, gates: Gates) -> bool:
    return (
        incident.state is IncidentState.OPEN
        and incident.severity >= gates.min_severity
        and incident.cause in rule.causes
        and rule.concerns(incident.target)
    )


def _worst(rules: list[PublicRule], found: list[tuple[PublicRule, Incident]]) -> PublicRule:
    return max((rule for rule, _ in found), key=lambda rule: (STATUSES[rule.status], -rules.index(rule)))


def _corroborated(rule: PublicRule, found: list[tuple[PublicRule, Incident]]) -> bool:
    causes, targets = {each.cause for _, each in found}, {each.target for _, each in found}
    return max(len(causes), len(targets)) >= rule.quorum
