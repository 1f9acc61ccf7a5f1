"""What a configuration amounts to, in words: what would be watched, and who would be told of what."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.config.file import CAUSES, KINDS
from sentinel.config.settings import Settings
from sentinel.model import Reason, Severity
from sentinel.pipeline.public_rules import PublicPage
from sentinel.pipeline.settings import Destination, Route, Rule
from sentinel.samplers.target import TargetSettings

__all__ = ["summary"]

_WEEK = 7 * 86400.0


def summary(settings: Settings) -> str:
    """Some lines for `check-config`. Shows no secret."""
    return "\n".join(_lines(settings))


def _lines(settings: Settings) -> Iterator[str]:
    pipeline = settings.pipeline
    yield f"instance {pipeline.instance_id}, state in {settings.state_dir}, http {_served(settings)}"
    if settings.time_scale != 1:
        yield f"for drills: time passes {settings.time_scale:g} times faster in rules, causes, incidents and routes"
    yield "watched:"
    for target in settings.targets:
        yield from _target(target)
    for beat in settings.pushed_heartbeats:
        rhythm = f"every {words(beat.period)}" if beat.period else "by its own rhythm"
        yield f"  heartbeat {beat.name}: pushed {rhythm}, {words(beat.grace)} late at most"
    off = [name for name in CAUSES if name not in pipeline.causes]
    yield f"causes: {', '.join(pipeline.causes) or 'none'}" + (f" (off: {', '.join(off)})" if off else "")
    yield f"rules:{'' if pipeline.rules else ' none'}"
    yield from map(_rule, pipeline.rules)
    yield from _cost(pipeline.rules, len(settings.targets))
    for window in pipeline.maintenance:
        targets = ", ".join(window.targets) or "all targets"
        labels = "".join(f", {name}={value}" for name, value in window.labels.items())
        yield f"maintenance {window.name}: {window.start} {window.timezone}, {words(window.lasts)}, {targets}{labels}"
    yield "told:" if not pipeline.shadow else "told: nobody, in shadow mode; a digest says what would have been told"
    for destination in pipeline.destinations:
        yield from _told(destination, pipeline.routes)
    for page in pipeline.pages:
        yield from _page(page, settings)
    for name, switch in settings.switches.items():
        yield f"dead man's switch {name}: {switch.kind}, every {words(switch.interval)} while all works"


def _served(settings: Settings) -> str:
    return "off" if settings.http.address is None else f"on {settings.http.listen}"


def _target(target: TargetSettings) -> Iterator[str]:
    yield f"  {target.name}: {target.address}, every {words(target.interval)}"
    for queue in target.queues:
        place = "" if queue.db is None else f" in db {queue.db}"
        key, name = getattr(queue, "key", ""), getattr(queue, "name", "")
        yield (
            f"    queue {name or key}: {KINDS[type(queue)]} at {key}{place}"
            if key
            else f"    {KINDS[type(queue)]}{place}"
        )
    for heartbeat in target.heartbeats:
        yield f"    heartbeats of {heartbeat.group}: {KINDS[type(heartbeat)]} at {heartbeat.key}"
    if target.discover.enabled:
        yield f"    and what is found of {', '.join(target.discover.systems) or 'every job system'}"


def _rule(rule: Rule) -> str:
    detector = rule.detector()
    kind = KINDS.get(type(detector), type(detector).__name__)
    if rule.false_alarms is not None:
        often = f"about one false alarm in {words(rule.false_alarms)} and series"
        return f"  {rule.name}: {rule.metric} by {kind}, {often}, {rule.severity.name.lower()}"
    return (
        f"  {rule.name}: {rule.metric} by {kind}, score from {rule.threshold:g} for {words(rule.for_)}, "
        f"{rule.severity.name.lower()}"
    )


def _cost(rules: tuple[Rule, ...], targets: int) -> Iterator[str]:
    """What the budgets of the rules come to for the fleet, by severity."""
    rates: dict[Severity, float] = {}
    for rule in rules:
        if rule.false_alarms is not None:
            rates[rule.severity] = rates.get(rule.severity, 0.0) + _WEEK / rule.false_alarms
    for severity, rate in sorted(rates.items(), reverse=True):
        yield (
            f"  {severity.name.lower()}: {rate * targets:.3g} false alarms a week with {targets} "
            f"target{'s' if targets != 1 else ''} of one series a rule; {rate * 1000.0:,.0f} with a thousand"
        )


def _told(destination: Destination, routes: tuple[Route, ...]) -> Iterator[str]:
    own = [route for route in routes if route.receiver == destination.receiver]
    steps = [(route, step) for route in routes for step in route.escalate if step.to == destination.receiver]
    for route, step in steps:
        yield f"  {destination.name}: {words(step.after)} after {route.receiver}, unless somebody acknowledges"
    if not own and not steps:
        yield f"  {destination.name}: nothing, no route names the receiver {destination.receiver}"
    for route in own:
        severity = max(destination.min_severity, route.min_severity).name.lower()
        causes = ", ".join(route.causes) or "everything"
        labels = "".join(f", {name}={value}" for name, value in route.labels.items())
        targets = (", ".join(route.targets) or "all targets") + labels
        shadow = ", in shadow mode" if route.shadow else ""
        reminded = route.repeat_interval and Reason.REPEATED in destination.reasons
        again = f"again every {words(route.repeat_interval)}" if reminded else "without reminders"
        yield f"  {destination.name}: {causes} on {targets}, from {severity}, {again}{shadow}"


def _page(page: PublicPage, settings: Settings) -> Iterator[str]:
    kind = settings.notifiers[page.destination].kind
    yield f"status page {page.destination.removeprefix('page/')}: {kind}, {page.mode}"
    for rule in page.rules:
        targets = ", ".join(rule.targets) or "all targets"
        yield f"  {rule.name} ({rule.component}) is {rule.status}: {', '.join(rule.causes)} on {targets}"


def words(seconds: float) -> str:
    """A duration as one would write it in YAML.

    >>> words(5400), words(300), words(2.5), words(0.25), words(86400)
    ('90m', '5m', '2.5s', '250ms', '1d')
    """
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds * 1000:g}ms" if 0 < seconds < 1 else f"{seconds:g}s"
