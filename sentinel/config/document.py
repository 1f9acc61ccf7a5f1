"""A YAML text as plain values, with the line of each.

Knows YAML and `${NAME}`; nothing of what the keys mean. Scalars follow YAML 1.2's core schema, less octal and
hexadecimal numbers, so `off` is a word, `12:30` is not 750 and a date is text. A key may be given once. `${NAME}` in
any scalar is replaced from the environment, `$$` is a dollar sign. What came from the environment is marked, because
it may be a secret and because it may stand for a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from sentinel.config.errors import ConfigError, KeyPath, Place, Problem

__all__ = ["UNKNOWN", "Document", "Substituted", "parse"]


class Substituted(str):
    """Text that came at least partly from the environment: never shown in a message."""

    __slots__ = ()


class _Unknown:
    """Stands for a value that has been complained about already."""


UNKNOWN = _Unknown()


@dataclass
class Document:
    """Plain values, where each was written, and what was wrong with them as YAML."""

    value: Any
    places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place:
        """Where the value at `path` was written, or what it would be part of."""
        while path not in self.places and path:
            path = path[:-1]
        return self.places[path]

    def complain(self, path: KeyPath, message: str) -> None:
        """Note a problem at `path`."""
        self.problems.append(Problem(self.place(path), path, message))

    def unknown(self, path: KeyPath) -> bool:
        """Whether the value at `path` has been complained about already."""
        return self._reach(path) is UNKNOWN

    def put(self, path: KeyPath, value: Any, place: Place) -> None:
        """Set the value at `path`, making mappings on the way; where something else is in the way, do nothing."""
        parent = self._reach(path[:-1], dict)
        if isinstance(parent, dict):
            parent[path[-1]] = value
            self.places = {known: at for known, at in self.places.items() if known[: len(path)] != path}
            self.places[path] = place

    def append(self, path: KeyPath, value: Any, place: Place) -> None:
        """Add to the list at `path`, made if there is none; where something else is there, do nothing."""
        items = self._reach(path, list)
        if isinstance(items, list):
            items.append(value)
            self.places[*path, len(items) - 1] = place

    def mappings(self, *path: str) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
        """The mappings in the list at `path`, as far as there are any."""
        items = self._reach(path)
        for position, item in enumerate(items if isinstance(items, list) else []):
            if isinstance(item, dict):
                yield (*path, position), item

    def _reach(self, path: KeyPath, make: Callable[[], Any] | None = None) -> Any:
        found = self.value
        for depth, step in enumerate(path, 1):
            if isinstance(found, dict):
                if make is not None:
                    found.setdefault(step, make() if depth == len(path) else {})
                found = found.get(step)
            else:
                found = found[step] if isinstance(found, list) and isinstance(step, int) else None
        return found


def parse(text: str, source: str, environment: Mapping[str, str]) -> Document:
    """The values of a YAML text. What is wrong with them is noted on the document.

    Raises:
        ConfigError: it is not YAML at all.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError([_syntax(error, source)]) from None
    document = Document(None, {(): Place(source, 1)})
    document.value = {} if root is None else _Reader(document, source, environment).read(root, ())
    return document


def _syntax(error: yaml.YAMLError, source: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    said = filter(None, (getattr(error, "context", None), getattr(error, "problem", None)))
    message = ", ".join(said) or "cannot be read as text"
    return Problem(Place(source, mark.line + 1 if mark else None), (), f"this is not YAML: {message}")


class _Reader:
    """Turns composed nodes into plain values, noting places and problems on the way."""

    def __init__(self, document: Document, source: str, environment: Mapping[str, str]) -> None:
        self._document = document
        self._source = source
        self._environment = environment

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        if len(path) > 32:
            self._document.complain(path[:4], "is nested too deeply; does an alias hold itself?")
            return UNKNOWN
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*path, position)) for position, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _item(self, node: yaml.Node, path: KeyPath) -> Any:
        self._document.places[path] = self._place(node)
        return self.read(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag != _TAG + "str":
                self._note(key, path, "a key must be text; put it in quotes")
            elif key.value in values:
                first = self._document.places[*path, key.value].line
                self._note(key, (*path, key.value), f"is given twice, first on line {first}; keep one")
            else:
                self._document.places[*path, key.value] = self._place(key)
                values[key.value] = self.read(value, (*path, key.value))
        return values

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind == "str":
            return self._substitute(node.value, path)
        if kind in _SCALARS:
            return _SCALARS[kind](node.value)
        self._document.complain(path, f"the tag {node.tag} is not known; leave it out")
        return UNKNOWN

    def _substitute(self, text: str, path: KeyPath) -> Any:
        missing = [name for name in _NAME.findall(text.replace("$$", "")) if name not in self._environment]
        if missing:
            self._document.complain(path, f"{', '.join(missing)} is not in the environment; set it")
            return UNKNOWN
        if "${" in _NAME.sub("", text.replace("$$", "")):
            self._document.complain(path, "write ${NAME} for a variable, $$ for a dollar sign")
            return UNKNOWN
        full = _DOLLAR.sub(lambda found: self._environment[found[1]] if found[1] else "$", text)
        return Substituted(full) if _NAME.search(text.replace("$$", "")) else full

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._source, node.start_mark.line + 1)

    def _note(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self._document.problems.append(Problem(self._place(node), path, message))


_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_DOLLAR = re.compile(rf"\$\$|{_NAME.pattern}")
_TAG = "tag:yaml.org,2002:"
_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": lambda text: int(text) if len(text) < 20 else float(text),
    "float": lambda text: float(text.replace(".inf", "inf").replace(".nan", "nan")),
}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Resolves plain scalars by YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - what PyYAML looks for


for _kind, _pattern, _first in (
    ("null", r"null|~|", ["n", "~", ""]),
    ("bool", r"true|false|True|False|TRUE|FALSE", list("tfTF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(rf"^(?:{_pattern})$"), _first)
