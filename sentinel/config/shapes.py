"""From a dataclass whose fields are settings to what its YAML may look like.

Plug-ins and settings are plain dataclasses that know nothing of YAML. Here their fields become a pydantic
type: each hint is read strictly, unknown keys are refused, defaults stay the dataclass's own, and what comes
out is the dataclass itself, so that its `__post_init__` is the last word on impossible values.

* A field of `init=False` is state, not a setting; a trailing underscore is dropped (`for_` is `for`).
* A `Secret` named `url` may also be given as `url_file: PATH` or `url_env: NAME`.
* A hint that stands in the table of families is chosen by the key `kind` from that family's table.
* A `ValueError` whose text begins with a field's name is told at that field.

Knows nothing of files, lines or which settings there are.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, ConfigDict, Field, GetCoreSchemaHandler, WrapValidator, create_model
from pydantic_core import CoreSchema, core_schema

from sentinel.config.building import Builder, Chooser, is_secret, ways
from sentinel.config.fields import (
    as_yaml,
    default_of,
    descriptions,
    first_line,
    key_of,
    required,
    settings_of,
)
from sentinel.config.scalars import SCALARS, SECRET_ENV, SECRET_FILE, choice, choices
from sentinel.model import Seconds, Secret

__all__ = ["Family", "Shapes"]


@dataclass(frozen=True)
class Family:
    """Plug-ins among which `kind` chooses, and what is made of the one that was chosen."""

    table: Mapping[str, type]
    finish: Callable[[Any], Any] = lambda instance: instance


class Shapes:
    """Makes the type of each dataclass once.

    Args:
        families: For a hint (a protocol, a callable), the family from which its values are chosen, or
            whatever pydantic type shall read it.
    """

    def __init__(self, families: Mapping[Any, Any] | None = None) -> None:
        self._families = dict(families or {})
        self._made: dict[tuple[type, str], Any] = {}

    def of(self, cls: type, kind: str = "") -> Any:
        """The pydantic type of a dataclass; with `kind`, of that member of a family."""
        if (cls, kind) not in self._made:
            self._made[cls, kind] = self._make(cls, kind)
        return self._made[cls, kind]

    def hint(self, hint: Any) -> Any:
        """The pydantic type of any hint."""
        if hint in self._families:
            found = self._families[hint]
            return self._family(found) if isinstance(found, Family) else found
        if hint in SCALARS:
            return SCALARS[hint]
        if dataclasses.is_dataclass(hint):
            return self.of(typing.cast(type, hint))
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return choice(choices(hint))
        return self._composed(hint, typing.get_origin(hint), typing.get_args(hint))

    def _composed(self, hint: Any, origin: Any, args: tuple[Any, ...]) -> Any:
        if origin is Annotated:
            base = Seconds if "seconds" in args else args[0]
            marks = [mark for mark in args[1:] if not isinstance(mark, str)]
            return Annotated[(self.hint(base), *marks)] if marks else self.hint(base)
        if origin is Literal:
            return choice({arg: arg for arg in args})
        if origin in (Union, types.UnionType):
            members = tuple(None if arg is type(None) else self.hint(arg) for arg in args)
            return Union[members]  # noqa: UP007 - its members are known only now
        if origin in (tuple, frozenset):
            return origin[tuple(arg if arg is ... else self.hint(arg) for arg in args)]
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return dict.__class_getitem__((str, self.hint(args[1])))
        raise TypeError(f"no YAML is known for the type {hint!r}")

    def _family(self, family: Family) -> Any:
        members = {kind: self.of(member, kind) for kind, member in family.table.items()}
        chooser = WrapValidator(Chooser(list(members)))
        return Annotated[Any, _ByKind(members), chooser, AfterValidator(family.finish)]

    def _make(self, cls: type, kind: str) -> Any:
        hints = typing.get_type_hints(cls, include_extras=True)
        fields: dict[str, Any] = {"kind": (Literal[kind], Field())} if kind else {}
        for field in settings_of(cls):
            key, hint = key_of(field), hints[field.name]
            types = _SECRET if is_secret(hint) else {"": self.hint(hint)}
            for suffix, read in types.items():
                fields[f"{key}{suffix}_"] = read, Field(alias=key + suffix, default_factory=_unset)
        about = functools.partial(_describe, cls, hints, kind)
        config = ConfigDict(extra="forbid", title=kind or cls.__name__, json_schema_extra=about, defer_build=True)
        model = create_model(f"{cls.__name__}_{kind}", __config__=config, **fields)
        return Annotated[model, WrapValidator(Builder(cls, hints, kind))]


_SECRET = dict(zip(ways(""), (SCALARS[Secret], SECRET_FILE, SECRET_ENV), strict=True))


def _unset() -> None:
    """The default of every key in the model; the dataclass knows the real one."""


def _describe(cls: type, hints: Mapping[str, Any], kind: str, schema: dict[str, Any]) -> None:
    """Put into a schema what the dataclass says of its fields, and which of them it requires."""
    said = descriptions(cls)
    schema["description"] = first_line(cls)
    schema["required"] = ["kind"] if kind else []
    for field in settings_of(cls):
        key, secret = key_of(field), is_secret(hints[field.name])
        texts = (said.get(field.name, ""), *(_ELSEWHERE if secret else ()))
        for way, text in zip(ways(key), texts, strict=False):
            if text:
                schema["properties"][way]["description"] = text
        if required(field) and secret:
            schema.setdefault("allOf", []).append({"oneOf": [{"required": [way]} for way in ways(key)]})
        elif required(field):
            schema["required"].append(key)
        elif not secret:
            schema["properties"][key]["default"] = as_yaml(default_of(field))


_ELSEWHERE = ("A file that holds it, relative to this one.", "A variable of the environment that holds it.")


class _ByKind:
    """A union of members, told apart by `kind`."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        self._members = members

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {kind: handler.generate_schema(member) for kind, member in self._members.items()}
        return core_schema.tagged_union_schema(choices, discriminator="kind")
