"""From a file and a command line to settings.

Both are read in one way: what the command line says is put into the file's values before they are looked at,
so that everything wrong with either is told at once and in the same words.

`time_scale` divides every `Seconds` of rules, their detectors, causes, incidents and routes, given or default: what
the pipeline waits for, and the ages by which the census counts. Sampling intervals, network timeouts and delivery's
back-off stay real seconds.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from sentinel.config.agreement import check_agreement
from sentinel.config.document import Document, parse
from sentinel.config.errors import ConfigError, Place, Problem, nearest
from sentinel.config.file import CAUSES, NOTIFIERS, OFF, File, default_rules, shape
from sentinel.config.overlay import RECEIVER, overlay
from sentinel.config.scalars import Context
from sentinel.config.scale import scaled
from sentinel.config.settings import Overrides, Settings
from sentinel.fingerprints import Fingerprint
from sentinel.fingerprints.read import FingerprintError, known, read
from sentinel.notifiers.base import Notifier
from sentinel.notifiers.voice import Links, Voice
from sentinel.pipeline.public_rules import PublicPage
from sentinel.pipeline.settings import Destination, PipelineSettings, Route
from sentinel.samplers.pushed import TARGET as PUSHED
from sentinel.self_watch import TARGET as SELF

__all__ = ["load"]

_START = "nothing to watch: name a server, as in `sentinel run redis://127.0.0.1:6379`, or a file with `-c FILE`"


def load(
    path: Path | None = None,
    overrides: Overrides | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings of a file, a command line, or both; the command line wins.

    Raises:
        ConfigError: with everything that is wrong.
    """
    document = _read(path, environment)
    if isinstance(document.value, dict):
        overlay(document, overrides or Overrides())
        check_agreement(document, CAUSES, [rule.name for rule in default_rules()])
        _check_targets(document, path)
    file = _validate(document, Context(environment, path.absolute().parent if path else Path.cwd()))
    settings = _settings(file, environment)
    _check_fallbacks(document, settings)
    return settings


def _read(path: Path | None, environment: Mapping[str, str]) -> Document:
    if path is None:
        return Document({}, {(): Place("sentinel")})
    try:
        return parse(path.read_text("utf-8-sig"), str(path), environment)
    except OSError as error:
        raise ConfigError([Problem(Place(str(path)), (), f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(Place(str(path)), (), "cannot be read: it is not UTF-8 text")]) from None


def _check_targets(document: Document, path: Path | None) -> None:
    if document.value.get("targets") or document.problems:
        return
    document.complain(("targets",), _START if path is None else "nothing to watch; add `- url: redis://HOST:6379`")


def _validate(document: Document, context: Context) -> File:
    try:
        file = shape().validate_python(document.value, context=context)
    except ValidationError as error:
        for each in error.errors(include_url=False, include_context=False, include_input=False):
            if not document.unknown(each["loc"]):
                document.complain(each["loc"], each["msg"])
    if document.problems:
        raise ConfigError(document.problems)
    return file


def _check_fallbacks(document: Document, settings: Settings) -> None:
    """Both ends of a fallback must be there, and it must end there: two that name each other would never be done."""
    fallbacks = settings.delivery.fallbacks
    for name, other in fallbacks.items():
        path = ("delivery", "fallbacks", name)
        for wanted in (name, other):
            if wanted not in settings.notifiers:
                document.complain(
                    path, f"there is no destination {wanted}; {nearest(wanted, list(settings.notifiers))}"
                )
        if other in fallbacks:
            document.complain(path, f"{other} has a fallback of its own; name one that has none")
    if document.problems:
        raise ConfigError(document.problems)


def _settings(file: File, environment: Mapping[str, str]) -> Settings:
    receivers = _linked(file.receivers or {"stdout": (NOTIFIERS["stdout"](),)}, file.links)
    return Settings(
        pipeline=_pipeline(file, receivers),
        targets=tuple(replace(target, census=scaled(target.census, file.time_scale)) for target in file.targets),
        notifiers={name: notifier for _, name, notifier in _destinations(receivers)}
        | {f"page/{name}": page for name, page in file.status_pages.items()},
        delivery=file.delivery,
        http=file.http,
        log=file.log,
        state_dir=file.state_dir or _state_dir(environment, _watched(file)),
        tape=file.tape,
        time_scale=file.time_scale,
        pushed_heartbeats=scaled(file.pushed_heartbeats, file.time_scale),
        switches=file.dead_mans_switches,
    )


def _linked(receivers: Mapping[str, tuple[Notifier, ...]], links: Links) -> Mapping[str, tuple[Notifier, ...]]:
    """The file's links for every destination that has none of its own."""
    return {
        name: tuple(
            replace(notifier, links=links) if isinstance(notifier, Voice) and notifier.links == Links() else notifier
            for notifier in notifiers
        )
        for name, notifiers in receivers.items()
    }


def _pipeline(file: File, receivers: Mapping[str, tuple[Notifier, ...]]) -> PipelineSettings:
    causes = {name: getattr(file.causes, name) for name in CAUSES}
    settings = PipelineSettings(
        instance_id=file.instance_id,
        rules=file.rules,
        causes={name: cause for name, cause in causes.items() if cause != OFF},
        incidents=file.incidents,
        routes=_routes(file, receivers),
        destinations=tuple(
            Destination(
                receiver,
                name,
                notifier.min_severity,
                notifier.reasons,
                notifier.pages,
                notifier.groups,
                getattr(notifier, "change_events", False),
            )
            for receiver, name, notifier in _destinations(receivers)
        ),
        targets=_targets(file),
        inhibitions=file.inhibitions,
        never_page=file.never_page,
        fingerprints=_fingerprints(file.fingerprints),
        ports={target.name: str(target.address.port) for target in file.targets},
        maintenance=file.maintenance,
        deploys=file.deploys,
        shadow=file.shadow,
        digest=file.digest,
        pages=tuple(_pages(file)),
    )
    return scaled(settings, file.time_scale)


def _targets(file: File) -> dict[str, Mapping[str, str]]:
    """Labels of all that is watched; pushed heartbeats belong to no server, and are one."""
    pushed: dict[str, Mapping[str, str]] = {PUSHED: {}} if file.pushed_heartbeats else {}
    return {target.name: target.labels for target in file.targets} | pushed | {SELF: {}}


def _pages(file: File) -> Iterator[PublicPage]:
    """Status pages; in shadow mode nothing is public."""
    for name, page in file.status_pages.items():
        mode = "off" if file.shadow else page.mode
        yield PublicPage(f"page/{name}", mode, page.publish, page.gates, page.drafts)


def _fingerprints(path: Path | None) -> tuple[Fingerprint, ...]:
    """The user's first: of two that ask as much the first wins."""
    try:
        return (*(read(path) if path else ()), *known())
    except FingerprintError as error:
        raise ConfigError([Problem(Place(str(path)), (), str(error).removeprefix(f"{path}: "))]) from None


def _routes(file: File, receivers: Iterable[str]) -> tuple[Route, ...]:
    """The file's; without any, everything to every receiver, and so to the command line's in any case."""
    routed = {route.receiver for route in file.routes}
    left_out = [name for name in receivers if name not in routed and (name == RECEIVER or not routed)]
    return file.routes + tuple(Route(name) for name in left_out)


def _destinations(receivers: Mapping[str, tuple[Notifier, ...]]) -> Iterator[tuple[str, str, Notifier]]:
    """Receiver, name and notifier of each; the second of a kind within a receiver is `receiver/kind-2`."""
    for receiver, notifiers in receivers.items():
        seen: Counter[str] = Counter()
        for notifier in notifiers:
            seen[notifier.kind] += 1
            suffix = f"-{seen[notifier.kind]}" if seen[notifier.kind] > 1 else ""
            yield receiver, f"{receiver}/{notifier.kind}{suffix}", notifier


def _watched(file: File) -> str:
    """A folder of its own for each set of targets, so that two daemons of one user do not meet by accident."""
    names = "\n".join(sorted(f"{target.name} {target.address.label}" for target in file.targets))
    return f"{file.instance_id}-{hashlib.sha256(names.encode()).hexdigest()[:12]}"


def _state_dir(environment: Mapping[str, str], watched: str) -> Path:
    """Where systemd says (the first of its list), else a folder where the user's state belongs."""
    if given := environment.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    state = environment.get("XDG_STATE_HOME") or Path(environment.get("HOME") or Path.home()) / ".local" / "state"
    return Path(state) / "sentinel" / watched
