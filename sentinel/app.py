"""The whole daemon, wired in one straight function and torn down in reverse.

Knows every room and lets each do its own work. It is the only place with tasks that loop, and so the only one that
logs, counts and outlives what goes wrong in a single poll. A bug in the pipeline is not outlived: the process ends,
its manager starts it again, and the store holds what was due.

A reload (SIGHUP) ends one `serve` and begins another in the same process: the store, the reserved seats of targets
that did not change, what was learnt and what was told all stay. A file that cannot be read changes nothing.

Whatever the pipeline is told, what follows goes through `commit`: there is no other way to a notification.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from typing import Any

from sentinel import __version__, model
from sentinel.aftercare import Aftercare, Verb
from sentinel.announce import announce
from sentinel.clock import Clock
from sentinel.config import ConfigError, Settings
from sentinel.delivery import Delivery
from sentinel.fallback import Fallbacks
from sentinel.listening import listening
from sentinel.logs import Redactor, configure, log
from sentinel.metrics import Metrics
from sentinel.model import Incident, Notification, Poll, Seconds, Secret, Severity
from sentinel.orphans import keep_sweeping
from sentinel.outbox import Letter
from sentinel.pace import Lateness, keep_pace
from sentinel.pipeline import Action, Pipeline, SnapshotError, Step
from sentinel.pipeline.publishing import Published
from sentinel.rounds import DOWN, Stand, keep_telling
from sentinel.samplers.pushed import PushedHeartbeats
from sentinel.samplers.target import Target
from sentinel.self_watch import self_poll
from sentinel.signals import Signals, Told
from sentinel.store import Store, StoreError
from sentinel.systemd import ServiceManager
from sentinel.tape import Begin
from sentinel.taping import Taping
from sentinel.web import TargetState
from sentinel.web.approval import Links

__all__ = ["run"]

SNAPSHOT_EVERY: Seconds = 60.0
DRAIN: Seconds = 4.0
"""How long due notifications may take at the end. A commit and a close on a locked file take 2 s each on top."""
COLLECT_AFTER = (20_000, 20, 20)
"""New objects before cycles are looked for. Hardly any arise here, and each full look stops a daemon of a thousand
targets for a quarter of a second: at Python's default it took 7 to 14 % of the processor, so it takes 0.3 %."""
LISTS_AT_ONCE = 4
"""Client lists held in memory at one time, over all targets."""
LOOK_AGAIN: Seconds = 60.0
"""A wall clock that is set forward makes something due before the wait for it is over: by so much at most."""
SELF_EVERY: Seconds = 15.0
"""From one look at what does not get through, or is not saved, to the next."""
HEARTBEATS_EVERY: Seconds = 5.0
"""From one look at the pushed heartbeats to the next."""
_logger = logging.getLogger("sentinel.app")


async def run(load: Callable[[], Settings], clock: Clock | None = None) -> None:
    """Watch until SIGTERM or SIGINT.

    Args:
        load: Reads the settings; called again on SIGHUP.
        clock: Gives the time; tests pass their own.

    Raises:
        ConfigError: the settings cannot be used; only before the first of them were.
        StoreUnusableError: another daemon has the state directory.
        ListenError: the configured address is taken.
    """
    settings = load()
    redactor = Redactor()
    async with AsyncExitStack() as stack:
        _configure_logs(settings, redactor)
        signals = stack.enter_context(Signals())
        store = Store(settings.state_dir / "sentinel.db")
        await store.open()
        stack.push_async_callback(store.close)
        daemon = _Daemon(clock or Clock(), store, settings, ServiceManager())
        stack.push_async_callback(daemon.close_targets)
        stack.push_async_callback(daemon.taping.end)
        await daemon.restore()
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)
        while (new := await daemon.serve(signals, load)) is not None:
            _configure_logs(new, redactor)
            daemon.adopt(new)
        log(_logger, logging.INFO, "Stopped")


@dataclass
class _Daemon:
    """What the tasks share; also what the pages look at (`sentinel.web.View`)."""

    clock: Clock
    store: Store
    settings: Settings
    manager: ServiceManager
    metrics: Metrics = field(init=False)
    pipeline: Pipeline = field(init=False)
    delivery: Delivery = field(init=False)
    _targets: dict[str, Target] = field(default_factory=dict)
    _sampled: dict[str, float] = field(default_factory=dict)
    _read: dict[str, float] = field(default_factory=dict)
    """When something was read of each target; not only that it could not be."""
    _saved: float | None = None
    _unsaved: str = ""
    _served: bool = False
    _due: asyncio.Event = field(default_factory=asyncio.Event)
    _lateness: Lateness = field(default_factory=lambda: Lateness())
    _late_said: float = float("-inf")
    _desk: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LISTS_AT_ONCE))
    _pushed: PushedHeartbeats = field(init=False)
    _fallbacks: Fallbacks = field(init=False)
    _links: Links | None = None
    """By which drafts may be answered; None if nobody could follow them."""
    _aftercare: Aftercare = field(init=False)
    _pushed_file: asyncio.Lock = field(default_factory=asyncio.Lock)
    taping: Taping = field(default_factory=Taping)

    def __post_init__(self) -> None:
        self.metrics = Metrics(__version__, latest=lambda: self.pipeline.latest())
        self.pipeline = Pipeline(self.settings.pipeline)

    # Its life

    async def restore(self) -> None:
        """Take up what an earlier process left: incidents and what was told of them, and what was learnt."""
        since = self.now() - self.settings.pipeline.incidents.history
        incidents = await self.store.live_incidents(resolved_since=since)
        told, kept, public = await self.store.told(), await self.store.kept(), await self.store.public()
        snapshot = await self.store.snapshot.load()
        self._say_of_the_store()
        if snapshot.why:
            log(_logger, logging.INFO, "Detectors start cold", why=snapshot.why)
        self._listen_for_heartbeats()
        begin = Begin(self.now(), "warm" if snapshot.data or incidents else "cold")
        await self.taping.begin(self.settings.state_dir / "tape", self.settings.tape, begin)
        self.pipeline = self.taping.pipeline(self.settings.pipeline)
        self._take_up(snapshot.data, incidents, told, kept, public)

    def _take_up(
        self,
        snapshot: bytes | None,
        incidents: Sequence[Incident],
        told: Sequence[model.Told],
        kept: Mapping[str, Action],
        public: Sequence[Notification] = (),
    ) -> None:
        try:
            self.pipeline.restore(snapshot=snapshot, incidents=incidents, told=told, kept=kept, public=public)
        except SnapshotError as error:
            log(_logger, logging.WARNING, "Detectors start cold", why=str(error))

    async def serve(self, signals: Signals, load: Callable[[], Settings]) -> Settings | None:
        """Run with the present settings until told otherwise. Gives new ones after a reload, None to stop.

        In this order: no more polls, what is due is sent while delivery still works, what was learnt is kept.
        """
        await self._open_targets()
        settings = self.settings
        elsewhere = await self.store.elsewhere()
        self._fallbacks = Fallbacks(settings.delivery.fallbacks, settings.delivery.fallback_after, elsewhere)
        self._aftercare = Aftercare(self.store, settings.notifiers, self.pipeline.incidents, self.now)
        self.delivery = Delivery(
            self.store,
            settings.notifiers,
            settings.delivery,
            now=self.now,
            metrics=self.metrics,
            open_incidents=lambda: {incident.id for incident in self.pipeline.incidents()},
            finish=self._with_link,
        )
        key = self.store.path.with_name("links.key")
        async with (
            listening(self, settings.http, settings.state_dir, key, must=not self._served) as self._links,
            asyncio.TaskGroup() as tasks,
        ):
            self._served = True
            delivering = tasks.create_task(self.delivery.run())
            watching = [tasks.create_task(work) for work in self._work()]
            self.manager.ready(f"Watching {len(settings.targets)} targets")
            self._say_what_is_watched()
            new = await self._told(signals, load)
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)
            await self.delivery.drain(DRAIN)
            delivering.cancel()
        await self._save()
        return new

    async def _told(self, signals: Signals, load: Callable[[], Settings]) -> Settings | None:
        """New settings after a good reload, None to stop."""
        while await signals.next() is Told.RELOAD:
            self.manager.reloading(asyncio.get_running_loop().time())
            try:
                settings = await asyncio.to_thread(load)
            except ConfigError as error:
                log(_logger, logging.ERROR, "The new configuration cannot be used; the old one stays", why=str(error))
                self.metrics.config_reloads.labels(outcome="refused").inc()
                self.manager.ready("The last reload was refused: see the log")
            else:
                self.metrics.config_reloads.labels(outcome="ok").inc()
                return settings
        self.manager.stopping(10.0)
        log(_logger, logging.INFO, "Stopping")
        return None

    def _work(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What goes on beside delivery. Targets are staggered over their interval."""
        yield self._keep_reminding()
        yield self._keep_saving()
        yield self._lateness.watch()
        yield keep_pace(SELF_EVERY, SELF_EVERY, self._look_at_itself, lambda missed: None)
        yield self.taping.keep_writing()
        yield keep_sweeping(
            self.settings.pipeline.instance_id, self.settings.notifiers, self._public, self.act, self.now
        )
        for name, switch in self.settings.switches.items():
            yield keep_telling(name, switch, self._stand, self.now, self.metrics)
        if self.manager.watchdog_interval is not None:
            yield self._keep_alive(self.manager.watchdog_interval)
        if self.settings.pushed_heartbeats:
            yield keep_pace(HEARTBEATS_EVERY, 0.0, self._poll_pushed, lambda missed: None)
        for number, target in enumerate(self.settings.targets):
            skipped = self.metrics.polls_skipped.labels(target=target.name)
            offset = target.interval * number / len(self.settings.targets)
            yield keep_pace(target.interval, offset, partial(self._poll, self._targets[target.name]), skipped.inc)

    def adopt(self, settings: Settings) -> None:
        """New settings: the pipeline goes on from where the old one was, where the two agree."""
        old, before, self.settings = self.pipeline, self.settings, settings
        self.pipeline = self.taping.pipeline(settings.pipeline)
        self._listen_for_heartbeats()
        self._take_up(old.snapshot(), [*old.incidents(), *old.recent()], old.told(), old.kept())
        gone = {target.name for target in before.targets} - {target.name for target in settings.targets}
        self.pipeline.forget(gone)
        for name in gone:
            self.metrics.forget_target(name)
            self._sampled.pop(name, None)
            self._read.pop(name, None)
        for name in before.notifiers.keys() - settings.notifiers.keys():
            self.metrics.forget_destination(name)
        for name in before.switches.keys() - settings.switches.keys():
            self.metrics.forget_switch(name)
        self.taping.gap("reload", self.now())
        if settings.tape != before.tape:
            log(_logger, logging.WARNING, "Another tape needs a restart", stays="on" if before.tape.keep else "off")
        if settings.state_dir != before.state_dir:
            log(_logger, logging.WARNING, "A new state directory needs a restart", stays=str(before.state_dir))
        log(_logger, logging.INFO, "Reloaded", targets=len(settings.targets))

    async def _open_targets(self) -> None:
        """Targets as configured. Those that did not change keep their seats: a full server would give none anew."""
        wanted = {settings.name: settings for settings in self.settings.targets}
        for name, target in list(self._targets.items()):
            if wanted.get(name) != target.settings:
                await self._targets.pop(name).close()
        for name, settings in wanted.items():
            if name not in self._targets:
                self._targets[name] = Target(settings, self._desk)

    async def close_targets(self) -> None:
        """Give all seats back."""
        for target in self._targets.values():
            await target.close()

    def _with_link(self, told: Notification) -> Notification:
        """As it is sent: with the link that answers a draft, which nothing else ever holds."""
        if self._links is None:
            return told
        return self._links.put_into(told, (one for one, _, _ in self.pipeline.published()), self.now())

    # Its tasks

    async def _poll(self, target: Target) -> None:
        loop, name = asyncio.get_running_loop(), target.settings.name
        started = loop.time()
        try:
            poll = await target.poll(self.now())
        except Exception as error:  # noqa: BLE001 - one bad read is logged, counted and waited out
            log(_logger, logging.ERROR, "A poll failed in a way it should not", target=name, error=repr(error))
            self.metrics.polls.labels(target=name, outcome="error").inc()
            return
        self.metrics.poll_seconds.observe(loop.time() - started)
        for note in target.notes():
            log(_logger, logging.WARNING, "Sampling changed", target=name, note=note)
        if self._too_late(target, poll):
            self.metrics.polls.labels(target=name, outcome="late").inc()
            return
        self.metrics.polls.labels(target=name, outcome=_outcome(poll)).inc()
        self.metrics.samples.labels(target=name).inc(len(poll.samples))
        self._sampled[name] = poll.time
        if _was_read(poll):
            self._read[name] = poll.time
        await self.commit(self.pipeline.feed(poll))

    def _too_late(self, target: Target, poll: Poll) -> bool:
        """Whether a poll ran into its time-out because this process was starved: that says nothing of the server."""
        late, now = self._lateness.seconds, self.now()
        if late < target.settings.timeout / 4 or not _timed_out(poll):
            return False
        if now - self._late_said >= LOOK_AGAIN:
            self._late_said = now
            log(_logger, logging.ERROR, "This process gets too little time; what it misses is no evidence", late=late)
        return True

    def _listen_for_heartbeats(self) -> None:
        """Those of the present settings, with what was heard of them before."""
        self._pushed = PushedHeartbeats(self.settings.pushed_heartbeats, self.store.path.with_name("heartbeats.json"))
        trouble = self._pushed.load()
        if trouble:
            log(_logger, logging.WARNING, "Heartbeats of before are lost", why=trouble)

    async def _poll_pushed(self) -> None:
        await self.commit(self.pipeline.feed(self._pushed.poll(self.now())))

    async def beat(self, name: str, kind: str) -> None:
        """A job or worker tells of itself; kept before it is acknowledged."""
        self._pushed.take(name, kind, self.now())
        async with self._pushed_file:
            try:
                await asyncio.to_thread(self._pushed.save)
            except OSError as error:
                self.metrics.store_failures.inc()
                log(_logger, logging.ERROR, "A heartbeat is known until a restart only", why=str(error))

    async def commit(self, step: Step) -> None:
        """Keep what a step changed, and have it delivered. A disk that fails is told, not died of."""
        announce(step, self.metrics)
        if not step.lasting:
            return
        notifications = (*step.notifications, *self._fallbacks.follow(step.notifications))
        try:
            await self.store.commit(
                step.incidents,
                notifications,
                self.now(),
                told=step.told,
                events=step.events,
                recordings=step.recordings,
                kept=step.kept,
                elsewhere=self._fallbacks.fresh(),
            )
        except StoreError as error:
            self.metrics.store_failures.inc()
            log(_logger, logging.ERROR, "Not saved, and sent all the same", why=str(error))
        self._say_of_the_store()
        self._due.set()
        self.delivery.wake()

    async def _look_at_itself(self) -> None:
        """Its own troubles are judged as a target's are; what a destination keeps waiting is told elsewhere."""
        now, outbox, standings = self.now(), self.store.outbox, self.delivery.standings()
        public, refs = self.pipeline.published(), self.store.refs
        await self.commit(self.pipeline.feed(self_poll(now, standings, outbox, self.store.failing, public, refs)))
        found = standings.items()
        down = {name: (standing.since, standing.reason) for name, standing in found if standing.since is not None}
        await self.commit(Step(notifications=tuple(self._fallbacks.look(outbox.rows(), down, now))))

    def _public(self) -> set[tuple[str, str]]:
        """Page and component of all that is drafted or public."""
        return {(one.page, one.component) for one, _, _ in self.pipeline.published()}

    async def _stand(self) -> Stand:
        """How all of it stands, after a write to the state file: what a round for a dead man's switch is judged by."""
        await self.store.prove()
        return Stand(
            targets=self.targets(),
            read=self._read,
            down=frozenset(one.target for one in self.pipeline.incidents() if one.cause in DOWN),
            deadline=self.pipeline.next_deadline(),
            failing=self.store.failing,
            waiting={name: age for name, age in self.outbox_ages().items() if name in self.settings.notifiers},
        )

    async def _keep_reminding(self) -> None:
        """What falls due by time alone."""
        while True:
            self._due.clear()
            deadline = self.pipeline.next_deadline()
            wait = LOOK_AGAIN if deadline is None else min(LOOK_AGAIN, max(0.0, deadline - self.now()))
            try:
                async with asyncio.timeout(wait):
                    await self._due.wait()
            except TimeoutError:
                await self.commit(self.pipeline.advance(self.now()))

    async def _keep_saving(self) -> None:
        while True:
            await asyncio.sleep(SNAPSHOT_EVERY)
            await self._save()

    async def _save(self) -> None:
        """Keep what was learnt. A disk that goes on failing is told once."""
        self._say_of_the_store()
        why = ""
        try:
            await self.store.snapshot.save(self.pipeline.snapshot_parts(), self.now())
            self._saved = self.now()
        except StoreError as error:
            why = str(error)
            self.metrics.store_failures.inc()
        if why and why != self._unsaved:
            log(_logger, logging.ERROR, "What was learnt could not be saved", why=why)
        elif self._unsaved and not why:
            log(_logger, logging.INFO, "What was learnt is saved again")
        self._unsaved = why

    async def _keep_alive(self, interval: Seconds) -> None:
        while True:
            self.manager.alive()
            await asyncio.sleep(interval)

    def _say_of_the_store(self) -> None:
        """What the store found and did on the way, once."""
        for note in self.store.notes:
            log(_logger, logging.WARNING, "About the state file", note=note)
        self.store.notes.clear()

    def _say_what_is_watched(self) -> None:
        for target in self.settings.targets:
            log(_logger, logging.INFO, "Watching", target=target.name, every=target.interval)
        for destination in self.settings.pipeline.destinations:
            severity = destination.min_severity.name.lower()
            log(_logger, logging.INFO, "Telling", destination=destination.name, from_severity=severity)

    # What the pages see

    def now(self) -> float:
        """Unix seconds."""
        return self.clock.now()

    async def exposition(self) -> bytes:
        """Own metrics and the newest samples."""
        open_now = self.pipeline.incidents()
        for severity in Severity:
            count = sum(incident.severity is severity for incident in open_now)
            self.metrics.incidents.labels(state="open", severity=severity.name.lower()).set(count)
        self.metrics.clock_held_back_seconds.set(self.clock.held_back)
        self.metrics.late_seconds.set(self._lateness.seconds)
        if self._saved is not None:
            self.metrics.snapshot_age_seconds.set(self.now() - self._saved)
        self.delivery.measure(self.now())
        return await self.metrics.exposition()

    def targets(self) -> Mapping[str, TargetState]:
        """Every configured target and when it was last sampled."""
        return {s.name: TargetState(self._sampled.get(s.name), s.interval) for s in self.settings.targets}

    def outbox_ages(self) -> Mapping[str, Seconds]:
        """Seconds that the oldest row has waited, by destination."""
        now = self.now()
        return {name: self.store.outbox.oldest(name, now) for name in self.store.outbox.destinations()}

    def degraded(self) -> Sequence[str]:
        """Why the daemon is less than well."""
        reasons = [reason for reason in (self.store.failing, self._unsaved) if reason]
        if self.clock.held_back > 1:
            reasons.append(f"the wall clock was set back; it is {self.clock.held_back:.0f} s behind")
        if self.now() - self._late_said < LOOK_AGAIN:
            reasons.append("this process gets too little time: give it more processor, or fewer targets")
        return reasons

    def open_incidents(self) -> Sequence[Incident]:
        """In order of opening."""
        return self.pipeline.incidents()

    async def incident(self, name: str) -> Incident | None:
        """The one of that id or reference; the pipeline knows the newest of what is open."""
        known = (one for one in self.pipeline.incidents() if name in (one.id, one.ref))
        return next(known, None) or await self.store.incident(name)

    async def past_incidents(self, limit: int) -> Sequence[Incident]:
        """The newest ones, as the pipeline knows those that are open."""
        open_now = {incident.id: incident for incident in self.pipeline.incidents()}
        return [open_now.get(incident.id, incident) for incident in await self.store.past_incidents(limit)]

    async def act(self, action: Action) -> Step:
        """Take what somebody does, and have it on the disk before it is confirmed."""
        step = self.pipeline.act(action)
        await self.commit(step)
        return step

    async def letters(self, limit: int) -> Sequence[Letter]:
        """What is on its way, and what was given up."""
        return await self._aftercare.letters(limit)

    async def letter(self, event_id: str) -> Letter | None:
        """One of them."""
        return await self._aftercare.letter(event_id)

    def wording(self, notification: Notification) -> str:
        """What a notification would send; empty if its destination is no longer configured."""
        return self._aftercare.wording(notification)

    async def look_after(self, event_id: str, verb: Verb, by: str) -> None:
        """Try a notification again now, or give it up; who did so is in the history."""
        await self.commit(Step(events=(await self._aftercare.look_after(event_id, verb, by),)))

    def published(self) -> Sequence[tuple[Published, str, str]]:
        """Drafts and open incidents of status pages."""
        return self.pipeline.published()

    def kept(self) -> Mapping[str, Action]:
        """Silences and deploys that hold."""
        return self.pipeline.kept()

    async def events(self, incident: str | None, limit: int) -> Sequence[model.Event]:
        """The history."""
        return await self.store.events(incident, limit)

    async def sent(self, incident: str) -> Sequence[model.Sent]:
        """What became of each notification."""
        return await self.store.sent(incident)

    async def recording(self, incident: str) -> model.Recording | None:
        """The newest there is: the pipeline's, while it records."""
        return self.pipeline.recording(incident) or await self.store.recording(incident)


def _outcome(poll: Poll) -> str:
    """`ok`, or why the first sampler that failed did."""
    failed = (dict(sample.series.labels) for sample in poll.samples if sample.series.metric == "sampler_failed")
    return next((labels["reason"] for labels in failed), "ok")


def _was_read(poll: Poll) -> bool:
    """Whether any sampler got something."""
    return any(sample.series.metric == "sampler_up" and sample.value for sample in poll.samples)


def _timed_out(poll: Poll) -> bool:
    """Whether a sampler or the dial probe waited in vain."""
    failures = (
        sample.series for sample in poll.samples if sample.series.metric in ("sampler_failed", "redis_dial_failed")
    )
    return any(("reason", "timeout") in series.labels for series in failures)


def _configure_logs(settings: Settings, redactor: Redactor) -> None:
    redactor.learn(_secrets(settings))
    configure(settings.log.format, settings.log.level, redactor=redactor)


def _secrets(value: Any) -> Iterator[Secret]:
    """Every secret anywhere in the settings."""
    if isinstance(value, Secret):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from _secrets(getattr(value, each.name, None))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _secrets(item)
