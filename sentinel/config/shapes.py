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
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, ConfigDict, Field, GetCoreSchemaHandler, WrapValidator, create_model
from pydantic_core import CoreSchema, core_schema

from sentinel.config import fields as said_of
from sentinel.config.building import Builder, Chooser, is_secret, ways
from sentinel.config.fields import as_yaml, default_of, key_of, required, settings_of
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
        hints, said = typing.get_type_hints(cls, include_extras=True), said_of.descriptions(cls)
        fields: dict[str, Any] = {"kind": (Literal[kind], Field())} if kind else {}
        secrets = []
        for field in settings_of(cls):
            if is_secret(hints[field.name]):
                secrets.append(field)
                fields |= _secret(field, said.get(field.name))
            else:
                fields[f"{field.name}_"] = self.hint(hints[field.name]), _field(field, said.get(field.name))
        needed: list[Any] = [_one_of(field) for field in secrets if required(field)]
        config = ConfigDict(extra="forbid", title=kind or cls.__name__)
        if needed:
            config["json_schema_extra"] = {"allOf": needed}
        model = create_model(f"{cls.__name__}_{kind}", __config__=config, __doc__=said_of.first_line(cls), **fields)
        return Annotated[model, WrapValidator(Builder(cls, hints, model))]


def _one_of(field: dataclasses.Field[Any]) -> dict[str, Any]:
    return {"oneOf": [{"required": [way]} for way in ways(key_of(field))]}


def _unset() -> None:
    """The default of every field in the model; the dataclass knows the real one."""


def _field(field: dataclasses.Field[Any], said: str | None) -> Any:
    about: dict[str, Any] = {"alias": key_of(field), "description": said}
    if required(field):
        return Field(**about)
    return Field(**about, default_factory=_unset, json_schema_extra={"default": as_yaml(default_of(field))})


def _secret(field: dataclasses.Field[Any], said: str | None) -> dict[str, Any]:
    how = {
        SCALARS[Secret]: said,
        SECRET_FILE: "A file that holds it, relative to this one.",
        SECRET_ENV: "A variable of the environment that holds it.",
    }
    return {
        f"{way}_": (reader, Field(alias=way, description=text, default_factory=_unset))
        for way, (reader, text) in zip(ways(key_of(field)), how.items(), strict=True)
    }


class _ByKind:
    """A union of members, told apart by `kind`."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        self._members = members

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {kind: handler.generate_schema(member) for kind, member in self._members.items()}
        return core_schema.tagged_union_schema(choices, discriminator="kind")
