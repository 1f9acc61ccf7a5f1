"""What a dataclass says about its fields: which are settings, their keys, defaults and descriptions.

Knows dataclasses and their sources; nothing of YAML texts or validation.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import inspect
import itertools
import re
import textwrap
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from sentinel.model import Secret

__all__ = ["as_yaml", "default_of", "descriptions", "first_line", "key_of", "required", "settings_of"]


def settings_of(cls: Any) -> list[dataclasses.Field[Any]]:
    """The fields that can be set; those of `init=False` are state."""
    return [field for field in dataclasses.fields(cls) if field.init]


def key_of(field: dataclasses.Field[Any]) -> str:
    """The key of a field in YAML."""
    return field.name.rstrip("_")


def required(field: dataclasses.Field[Any]) -> bool:
    """Whether it must be given."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The value of a field that is not given; None where it is required."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def as_yaml(value: Any) -> Any:
    """A value as one would write it in YAML; secrets and callables become None.

    >>> from sentinel.model import Severity
    >>> as_yaml((Severity.WARNING, 0.5))
    ['warning', 0.5]
    """
    if isinstance(value, enum.Enum):
        return value.name.lower() if isinstance(value, int) else value.value
    if isinstance(value, frozenset):
        return sorted(map(as_yaml, value))
    if isinstance(value, tuple | list):
        return [as_yaml(item) for item in value]
    if isinstance(value, Mapping):
        return {key: as_yaml(inner) for key, inner in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {key_of(field): as_yaml(getattr(value, field.name)) for field in settings_of(value)}
    if isinstance(value, PurePath):
        return str(value)
    return None if isinstance(value, Secret) or callable(value) else value


def first_line(cls: type) -> str:
    """What the class says it is, in one line."""
    line = (inspect.getdoc(cls) or "").partition("\n")[0]
    return "" if line.startswith(f"{cls.__name__}(") else line


@functools.cache
def descriptions(cls: type) -> Mapping[str, str]:
    """What is said of each field: the string below it, or its line under `Args:` in the class's docstring."""
    said: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            said |= _listed(inspect.getdoc(base) or "") | _below(base)
    return said


def _listed(docstring: str) -> dict[str, str]:
    _, _, arguments = docstring.partition("Args:\n")
    arguments = textwrap.dedent(re.split(r"\n(?=\S)", "\n" + arguments)[0].lstrip("\n"))
    found = re.findall(r"^(\w+): (.*(?:\n[ ]+.*)*)", arguments, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def _below(cls: type) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, SyntaxError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
