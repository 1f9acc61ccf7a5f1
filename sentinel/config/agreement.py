"""What must agree between keys that are far apart: names that are used and names that are there.

Looks at plain values as they stand in the file, so that it finds what it can even where other things are wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from sentinel.config.document import Document
from sentinel.config.errors import KeyPath, nearest

__all__ = ["check_agreement"]

RESERVED = ("sentinel", "heartbeats")
"""Targets that are there by themselves: its own troubles, and heartbeats that are pushed."""


def check_agreement(document: Document, causes: Collection[str], rules: Collection[str]) -> None:
    """Complain of names that are doubled or not there.

    Args:
        causes: Names of all causes that there are.
        rules: Names of the rules that are there by default.
    """
    own = _names(document, "rules")
    for key in ("targets", "rules", "pushed_heartbeats"):
        _check_doubled(document, key)
    for path, rule in document.mappings("rules"):
        if rule.get("name") in causes:
            document.complain((*path, "name"), f"{rule['name']} is the name of a cause; choose another")
    for path, target in document.mappings("targets"):
        if target.get("name") in RESERVED:
            document.complain((*path, "name"), f"{target['name']} is what Sentinel calls itself here; choose another")
    _check_receivers(document)
    _check_routes(document, [*causes, *(own or rules)])


def _names(document: Document, key: str) -> list[str]:
    names = (item.get("name") for _, item in document.mappings(key))
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))


def _check_doubled(document: Document, key: str) -> None:
    seen: dict[Any, KeyPath] = {}
    for path, item in document.mappings(key):
        name = item.get("name")
        if not isinstance(name, str):
            continue
        if name in seen:
            first = document.place(seen[name])
            document.complain((*path, "name"), f"{name} is the name of another, at {first}; choose another")
        seen.setdefault(name, path)


def _check_receivers(document: Document) -> None:
    receivers = document.value.get("receivers")
    for name, destinations in receivers.items() if isinstance(receivers, dict) else ():
        if "/" in name or not name:
            document.complain(("receivers", name), "a receiver's name must not be empty or hold a /")
        if destinations == []:
            document.complain(("receivers", name), "has no destination; add one, such as `- kind: slack`")


def _check_routes(document: Document, causes: Collection[str]) -> None:
    receivers = document.value.get("receivers")
    known = {
        "receiver": list(receivers) if isinstance(receivers, dict) else [],
        "targets": _names(document, "targets"),
        "causes": list(causes),
    }
    for path, route in document.mappings("routes"):
        for key, names in known.items():
            _check_words(document, (*path, key), route.get(key), names)
        steps = route.get("escalate")
        for position, step in enumerate(steps if isinstance(steps, list) else []):
            if isinstance(step, dict):
                _check_words(document, (*path, "escalate", position, "to"), step.get("to"), known["receiver"])
    digest = document.value.get("digest")
    if isinstance(digest, dict):
        _check_words(document, ("digest", "to"), digest.get("to"), known["receiver"])


def _check_words(document: Document, path: KeyPath, value: Any, names: Collection[str]) -> None:
    for place, name in _words(path, value):
        if name not in names:
            document.complain(place, f"there is no {name}; {nearest(name, names)}")


def _words(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, str]]:
    """The text at `path`, or the texts in the list there."""
    if isinstance(value, str):
        yield path, value
    for position, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, str):
            yield (*path, position), item
