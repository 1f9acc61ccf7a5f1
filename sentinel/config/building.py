"""Making a dataclass, or a member of a family, from what was read, and saying all that is wrong with it.

Knows pydantic's errors and the convention that a `ValueError` begins with the name of the field it is about.
Every error leaves here in our words; knows nothing of files and lines.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from sentinel.config.errors import nearest
from sentinel.config.fields import key_of, required, settings_of
from sentinel.config.scalars import shown, sort, wrong
from sentinel.model import Seconds, Secret

__all__ = ["Builder", "Chooser", "is_secret", "ways"]


def is_secret(hint: Any) -> bool:
    """Whether a hint is that of a secret, which can be given in three ways."""
    return hint in (Secret, Secret | None)


def ways(key: str) -> list[str]:
    """The keys that may give the secret `key`: itself, the name of a file, the name of a variable."""
    return [key, f"{key}_file", f"{key}_env"]


class Chooser:
    """Says what is wrong with a `kind`, and leaves the member's name out of where things are wrong."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self._kinds = kinds

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        if not isinstance(value, dict):
            raise wrong(f"must be a mapping with a `kind`, got {sort(value)}")
        kind = value.get("kind")
        if kind not in self._kinds:
            raise _error([_detail(wrong(self._advice(kind) if "kind" in value else self._advice(), "kind"))])
        try:
            return handler(value)
        except ValidationError as error:
            raise _error(_details(error, (), skip=1)) from None

    def _advice(self, kind: Any = None) -> str:
        if kind is None:
            return f"is missing; add one of {', '.join(self._kinds)}"
        return f"{shown(kind)} is not known here; {nearest(str(kind), self._kinds)}"


class Builder:
    """Makes the dataclass from what was read; tells impossible values even where other keys are wrong."""

    def __init__(self, cls: type, hints: Mapping[str, Any], model: type[BaseModel]) -> None:
        self._cls = cls
        self._keys = [str(field.alias or name) for name, field in model.model_fields.items()]
        self._fields = settings_of(cls)
        self._secrets = [field for field in self._fields if is_secret(hints[field.name])]
        self._durations = [field for field in self._fields if hints[field.name] in (Seconds, Seconds | None)]

    def __call__(self, value: Any, handler: Callable[[Any], BaseModel]) -> Any:
        try:
            return self._build(handler(value))
        except ValidationError as error:
            details = _details(error, self._keys)
        except PydanticCustomError as complaint:
            details = [_detail(complaint)]
        if isinstance(value, dict):
            broken = {detail["loc"][0] for detail in details if detail["loc"]}
            details += self._complaints(value, broken, handler)
        raise _error(details)

    def _complaints(
        self, value: dict[str, Any], broken: set[Any], handler: Callable[[Any], BaseModel]
    ) -> Iterator[InitErrorDetails]:
        """What else is wrong once the broken keys are left out, if the rest makes a dataclass."""
        gone: set[Any] = set()
        while broken & value.keys():
            gone |= broken
            value = {key: inner for key, inner in value.items() if key not in broken}
            try:
                self._build(handler(value))
            except ValidationError:
                return
            except PydanticCustomError as complaint:
                detail = _detail(complaint)
                broken = set(detail["loc"])
                if gone.isdisjoint(way for key in broken for way in ways(key)):
                    yield detail

    def _build(self, read: BaseModel) -> Any:
        given = {name.removesuffix("_"): getattr(read, name) for name in read.model_fields_set}
        settings = {field.name: given[field.name] for field in self._fields if field.name in given}
        for field in self._secrets:
            settings |= _choose(field, given)
        try:
            made = self._cls(**settings)
        except (ValueError, TypeError, ImportError) as error:
            raise self._blame(str(error)) from None
        for field in self._durations:
            if (settings.get(field.name) or 0) < 0:
                raise wrong(f"must be 0 seconds or more, got {settings[field.name]}", key_of(field))
        return made

    def _blame(self, text: str) -> PydanticCustomError:
        first, _, rest = text.partition(" ")
        keys = {field.name: key_of(field) for field in self._fields}
        return wrong(rest, keys[first]) if first in keys else wrong(text)


def _choose(field: dataclasses.Field[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    names = ways(key_of(field))
    found = [way for way in names if way in given]
    if len(found) > 1:
        raise wrong(f"{' and '.join(found)} say the same thing; keep one", found[-1])
    if found:
        return {field.name: given[found[0]]}
    if required(field):
        raise wrong(f"is missing; add {names[0]}, {names[1]} or {names[2]}", names[0])
    return {}


def _detail(complaint: PydanticCustomError) -> InitErrorDetails:
    field = (complaint.context or {})["field"]
    return {"type": complaint, "loc": (field,) if field else (), "input": None}


def _details(error: ValidationError, keys: Sequence[str], skip: int = 0) -> list[InitErrorDetails]:
    """The errors of one level in our words; those from below are in our words already."""
    found = error.errors(include_url=False, include_input=True)
    return [{"type": _told(each, keys), "loc": each["loc"][skip:], "input": None} for each in found]


def _error(details: list[InitErrorDetails]) -> ValidationError:
    return ValidationError.from_exception_data("config", details)


def _told(error: ErrorDetails, keys: Sequence[str]) -> PydanticCustomError:
    got, limits = error["input"], error.get("ctx", {})
    if error["type"] == "config":
        return wrong(limits["said"])
    if error["type"] == "missing":
        return wrong("is missing; add it")
    if error["type"] == "extra_forbidden":
        return wrong(f"is not known here; {nearest(str(error['loc'][-1]), keys)}")
    for name, (expected, limit) in _BOUNDS.items():
        if name == error["type"]:
            return wrong(f"must be {expected} {limits[limit]}, got {shown(got)}")
    container = _CONTAINERS.get(error["type"])
    return wrong(f"must be {container}, got {sort(got)}" if container else error["msg"].lower())


_CONTAINERS = {
    "model_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "frozen_set_type": "a list",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
