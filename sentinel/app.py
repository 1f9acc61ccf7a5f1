"""The whole daemon, wired in one straight function and torn down in reverse.

Knows every room and lets each do its own work. It is the only place with tasks that loop, and so the only one that
logs, counts and outlives what goes wrong in a single poll. A bug in the pipeline is not outlived: the process ends,
its manager starts it again, and the store holds what was due.

A reload (SIGHUP) ends one `_serve` and begins another in the same process: the store, the reserved seats of targets
that did not change, what was learnt and what was told all stay. A file that cannot be read changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from sentinel import __version__
from sentinel.clock import Clock
from sentinel.config import ConfigError, Settings
from sentinel.delivery import Delivery
from sentinel.logs import Redactor, configure, log
from sentinel.metrics import Metrics
from sentinel.model import Incident, Notification, Reason, Seconds, Secret, Severity
from sentinel.pipeline import Pipeline, SnapshotError, Step
from sentinel.samplers.target import Target
from sentinel.store import Store, StoreError
from sentinel.systemd import ServiceManager
from sentinel.web import ListenError, TargetState, make_app, serve

__all__ = ["run"]

SNAPSHOT_EVERY: Seconds = 60.0
DRAIN: Seconds = 6.0
"""How long due notifications may take at the end; with what else there is to do a stop takes less than 10 s."""
DEFAULT_PORT = 9750
"""Of `http: listen:`; if it is taken, as by another Sentinel, any free port does."""

_logger = logging.getLogger("sentinel.app")


async def run(load: Callable[[], Settings]) -> None:
    """Watch until SIGTERM or SIGINT.

    Args:
        load: Reads the settings; called again on SIGHUP.

    Raises:
        ConfigError: the settings cannot be used; only before the first of them were.
        StoreUnusableError: another daemon has the state directory.
        ListenError: the configured address is taken.
    """
    settings = load()
    redactor = Redactor()
    clock = Clock()
    async with AsyncExitStack() as stack:
        _configure_logs(settings, redactor)
        signals = stack.enter_context(_Signals(load))
        store = Store(settings.state_dir / "sentinel.db")
        await store.open()
        stack.push_async_callback(store.close)
        daemon = _Daemon(clock, store, settings, ServiceManager())
        stack.push_async_callback(daemon.close_targets)
        await daemon.restore()
        while await daemon.serve(signals):
            _configure_logs(daemon.settings, redactor)
        log(_logger, logging.INFO, "Stopped")


class _Signals:
    """What the process was told: to stop, or to reload, with the settings that then hold."""

    def __init__(self, load: Callable[[], Settings]) -> None:
        self._load = load
        self._told: asyncio.Queue[signal.Signals] = asyncio.Queue()

    def __enter__(self) -> _Signals:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._told.put_nowait, number)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)

    async def next(self, daemon: _Daemon) -> Settings | None:
        """New settings after a good reload, None to stop."""
        while await self._told.get() is signal.SIGHUP:
            daemon.manager.reloading(asyncio.get_running_loop().time())
            try:
                settings = await asyncio.to_thread(self._load)
            except ConfigError as error:
                log(_logger, logging.ERROR, "The new configuration cannot be used; the old one stays", why=str(error))
                daemon.metrics.config_reloads.labels(outcome="refused").inc()
                daemon.manager.ready("The last reload was refused: see the log")
                continue
            daemon.metrics.config_reloads.labels(outcome="ok").inc()
            return settings
        return None


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
    _saved: float | None = None
    _due: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.metrics = Metrics(__version__, latest=lambda: self.pipeline.latest())
        self.pipeline = Pipeline(self.settings.pipeline)

    # Its life

    async def restore(self) -> None:
        """Take up what an earlier process left: incidents and what was told of them, and what was learnt."""
        now = self.now()
        since = now - self.settings.pipeline.incidents.history
        incidents = await self.store.live_incidents(resolved_since=since)
        snapshot = await self.store.load_snapshot()
        try:
            self.pipeline.restore(snapshot=snapshot.data, incidents=incidents, told=await self.store.told())
        except SnapshotError as error:
            log(_logger, logging.WARNING, "Detectors start cold", why=str(error))
        else:
            if snapshot.data is None and snapshot.why:
                log(_logger, logging.INFO, "Detectors start cold", why=snapshot.why)

    async def serve(self, signals: _Signals) -> bool:
        """Run with the present settings until told otherwise. True after a reload, False to stop."""
        settings = self.settings
        await self._open_targets()
        self.delivery = Delivery(self.store, settings.notifiers, settings.delivery, now=self.now, metrics=self.metrics)
        new: Settings | None = None
        async with self._pages(), asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work) for work in self._work()]
            self.manager.ready(f"Watching {len(settings.targets)} targets")
            self._say_what_is_watched()
            new = await signals.next(self)
            if new is None:
                self.manager.stopping(DRAIN + 4)
            for task in running:
                task.cancel()
        await self._save()
        if new is None:
            await self.delivery.drain(DRAIN)
            return False
        self._adopt(new)
        return True

    def _work(self) -> Iterator[Any]:
        """Everything that goes on at the same time. Targets are staggered over their interval."""
        yield self.delivery.run()
        yield self._keep_reminding()
        yield self._keep_saving()
        if self.manager.watchdog_interval is not None:
            yield self._keep_alive(self.manager.watchdog_interval)
        for number, settings in enumerate(self.settings.targets):
            offset = settings.interval * number / len(self.settings.targets)
            yield self._keep_sampling(self._targets[settings.name], offset)

    def _adopt(self, settings: Settings) -> None:
        """New settings: the pipeline goes on from where the old one was, where the two agree."""
        old, self.settings = self.pipeline, settings
        self.pipeline = Pipeline(settings.pipeline)
        try:
            self.pipeline.restore(snapshot=old.snapshot(), incidents=old.incidents(), told=old.told())
        except SnapshotError as error:
            log(_logger, logging.WARNING, "Detectors start cold", why=str(error))
        gone = self._targets.keys() - {target.name for target in settings.targets}
        self.pipeline.forget(gone)
        for name in gone:
            self.metrics.forget_target(name)
        log(_logger, logging.INFO, "Reloaded", targets=len(settings.targets))

    async def _open_targets(self) -> None:
        """Targets as configured. Those that did not change keep their seats: a full server would give none anew."""
        wanted = {settings.name: settings for settings in self.settings.targets}
        for name, target in list(self._targets.items()):
            if wanted.get(name) != target.settings:
                await self._targets.pop(name).close()
        for name, settings in wanted.items():
            if name not in self._targets:
                self._targets[name] = Target(settings)

    async def close_targets(self) -> None:
        """Give all seats back."""
        for target in self._targets.values():
            await target.close()

    @asynccontextmanager
    async def _pages(self) -> AsyncIterator[None]:
        """Serve the pages. A default port that is taken is no reason not to watch: any free one does then."""
        async with AsyncExitStack() as stack:
            address = self.settings.http.address
            if address is not None:
                app = make_app(self)
                try:
                    bound = await stack.enter_async_context(serve(app, *address))
                except ListenError as error:
                    if address[1] != DEFAULT_PORT:
                        raise
                    log(_logger, logging.WARNING, "Serving the pages on another port", why=str(error))
                    bound = await stack.enter_async_context(serve(app, address[0], 0))
                log(_logger, logging.INFO, "Serving /metrics, /healthz and /readyz", host=bound[0], port=bound[1])
            yield

    # Its tasks

    async def _keep_sampling(self, target: Target, offset: Seconds) -> None:
        """Poll at the target's interval, one poll at a time; those that would overlap are skipped and counted."""
        loop = asyncio.get_running_loop()
        name, interval = target.settings.name, target.settings.interval
        due = loop.time() + offset
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            started = loop.time()
            await self._poll(target)
            self.metrics.poll_seconds.labels(target=name).observe(loop.time() - started)
            missed = max(0, int((loop.time() - due) // interval))
            if missed:
                self.metrics.polls_skipped.labels(target=name).inc(missed)
            due += interval * (missed + 1)

    async def _poll(self, target: Target) -> None:
        name = target.settings.name
        try:
            poll = await target.poll(self.now())
        except Exception as error:  # noqa: BLE001 - one bad read is logged, counted and waited out
            log(_logger, logging.ERROR, "A poll failed in a way it should not", target=name, error=repr(error))
            self.metrics.polls.labels(target=name, outcome="error").inc()
            return
        for note in target.notes():
            log(_logger, logging.WARNING, "Sampling changed", target=name, note=note)
        down = next((s for s in poll.samples if s.series.metric == "sampler_up" and not s.value), None)
        self.metrics.polls.labels(target=name, outcome="partial" if down else "ok").inc()
        self.metrics.samples.labels(target=name).inc(len(poll.samples))
        self._sampled[name] = poll.time
        await self._take(self.pipeline.feed(poll))

    async def _take(self, step: Step) -> None:
        """Commit what a step changed and have it delivered. A disk that fails is told, not died of."""
        for finding in step.findings:
            state = "began" if finding.firing else "ended"
            log(
                _logger,
                logging.INFO,
                f"Anomaly {state}",
                target=finding.target,
                rule=finding.source,
                says=finding.summary,
            )
        if not step.incidents and not step.notifications:
            return
        for notification in step.notifications:
            _log_notification(notification)
        for incident in step.incidents:
            if incident.sequence == 1:
                severity = incident.severity.name.lower()
                self.metrics.incidents_opened.labels(cause=incident.cause, severity=severity).inc()
                log(_logger, logging.INFO, "Incident opened", ref=incident.ref, cause=incident.cause, severity=severity)
        try:
            await self.store.commit(step.incidents, step.notifications, self.now())
        except StoreError as error:
            self.metrics.store_failures.inc()
            log(
                _logger,
                logging.ERROR,
                "The state could not be saved; notifications go out all the same",
                why=str(error),
            )
        self._due.set()
        self.delivery.wake()

    async def _keep_reminding(self) -> None:
        """What falls due by time alone."""
        while True:
            deadline = self.pipeline.next_deadline()
            self._due.clear()
            wait = None if deadline is None else max(0.0, deadline - self.now())
            try:
                await asyncio.wait_for(self._due.wait(), wait)
            except TimeoutError:
                await self._take(self.pipeline.advance(self.now()))

    async def _keep_saving(self) -> None:
        while True:
            await asyncio.sleep(SNAPSHOT_EVERY)
            await self._save()

    async def _save(self) -> None:
        try:
            await self.store.save_snapshot(self.pipeline.snapshot(), self.now())
        except StoreError as error:
            self.metrics.store_failures.inc()
            log(_logger, logging.ERROR, "What was learnt could not be saved", why=str(error))
        else:
            self._saved = self.now()

    async def _keep_alive(self, interval: Seconds) -> None:
        while True:
            self.manager.alive()
            await asyncio.sleep(interval)

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
        reasons = [self.store.failing] if self.store.failing else []
        if self.clock.held_back > 1:
            reasons.append(f"the wall clock was set back; it is {self.clock.held_back:.0f} s behind")
        return reasons

    def open_incidents(self) -> Sequence[Incident]:
        """In order of opening."""
        return self.pipeline.incidents()


def _log_notification(notification: Notification) -> None:
    incident = notification.incident
    level = logging.INFO if notification.reason is Reason.RESOLVED else logging.WARNING
    log(
        _logger,
        level,
        "Notifying",
        destination=notification.destination,
        reason=notification.reason,
        target=incident.target,
        cause=incident.cause,
        severity=incident.severity.name.lower(),
        ref=incident.ref,
        says=incident.finding.summary,
    )


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
