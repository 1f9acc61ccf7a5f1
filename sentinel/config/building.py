"""Making a dataclass, or a member of a family, from what was read, and saying all that is wrong with it.

Knows pydantic's errors and the convention that a `ValueError` begins with the name of the field it is about.
Every error leaves here in our words; knows nothing of files and lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
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
            raise _error([_detail(wrong(self._advice(kind), "kind"))])
        try:
            return handler(value)
        except ValidationError as error:
            raise _error(_details(error, (), skip=1)) from None

    def _advice(self, kind: Any) -> str:
        if kind is None:
            return f"is missing; add one of {', '.join(self._kinds)}"
        return f"{shown(kind)} is not known here; {nearest(str(kind), self._kinds)}"


class Builder:
    """Makes the dataclass from what was read.

    All that is wrong is told at once: what is broken is left out, and the rest is tried again.
    """

    def __init__(self, cls: type, hints: Mapping[str, Any], kind: str) -> None:
        self._cls = cls
        self._fields = {
            field: ways(key_of(field)) if is_secret(hints[field.name]) else [key_of(field)]
            for field in settings_of(cls)
        }
        self._known = (["kind"] if kind else []) + [key for keys in self._fields.values() for key in keys]
        self._durations = [field for field in self._fields if hints[field.name] in (Seconds, Seconds | None)]

    def __call__(self, value: Any, handler: Callable[[Any], BaseModel]) -> Any:
        made: Any = None
        details: list[InitErrorDetails] = []
        broken: set[Any] = set()
        fresh: set[Any] = {""}
        while fresh:
            found: list[InitErrorDetails] = []
            try:
                made = self._build(handler(_without(value, broken)), broken)
            except ValidationError as error:
                found = _details(error, self._known)
            except PydanticCustomError as complaint:
                found = [_detail(complaint)]
            details += found
            fresh = {detail["loc"][0] for detail in found if detail["loc"]} - broken
            broken |= fresh
        if details:
            raise _error(details)
        return made

    def _build(self, read: BaseModel, broken: set[str]) -> Any:
        settings = self._settings(read, broken)
        made = None
        try:
            made = self._cls(**settings)
        except (ValueError, TypeError, ImportError) as error:
            self._complain(str(error), settings)
        for field in self._durations:
            seconds = settings.get(field.name)
            if isinstance(seconds, int | float) and seconds < 0:
                raise wrong(f"must be 0 seconds or more, got {seconds}", key_of(field))
        return made

    def _settings(self, read: BaseModel, broken: set[str]) -> dict[str, Any]:
        given = {name.removesuffix("_"): getattr(read, name) for name in read.model_fields_set}
        settings: dict[str, Any] = {}
        missing: list[InitErrorDetails] = []
        for field, keys in self._fields.items():
            found = [key for key in keys if key in given]
            if len(found) > 1:
                raise wrong(f"{' and '.join(found)} say the same thing; keep one", found[-1])
            if found:
                settings[field.name] = given[found[0]]
            elif required(field) and broken.isdisjoint(keys):
                advice = "it" if len(keys) == 1 else f"one of {', '.join(keys)}"
                missing.append(_detail(wrong(f"is missing; add {advice}", keys[0])))
            elif required(field):
                settings[field.name] = _StandIn()
        if missing:
            raise _error(missing)
        return settings

    def _complain(self, text: str, settings: Mapping[str, Any]) -> None:
        """Raise what the dataclass said, at the field that it names; not if it may be about a stand-in."""
        named = re.match(r"[`'\"]?(\w+)[`'\"]?(?: of .+?)? (must .*)", text, re.DOTALL)
        field = next((field for field in self._fields if named and field.name == named[1]), None)
        if named is None or field is None:
            if not any(isinstance(value, _StandIn) for value in settings.values()):
                raise wrong(text)
            return
        value = settings.get(field.name)
        got = f", got {value}" if isinstance(value, int | float) and "got " not in text else ""
        if not isinstance(value, _StandIn):
            raise wrong(named[2] + got, key_of(field))


class _StandIn:
    """Takes the place of a required value that is broken, so that the others can be judged; answers nothing."""

    def __getattr__(self, name: str) -> Any:
        raise TypeError(f"a stand-in has no {name}")


def _without(value: Any, keys: Collection[str]) -> Any:
    return {key: inner for key, inner in value.items() if key not in keys} if isinstance(value, dict) else value


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
    if error["type"] == "extra_forbidden":
        return wrong(f"is not known here; {nearest(str(error['loc'][-1]), keys)}")
    for name, (expected, limit) in _BOUNDS.items():
        if name == error["type"]:
            return wrong(f"must be {expected} {limits[limit]}, got {shown(got)}")
    container = _CONTAINERS.get(error["type"])
    if container is None:
        return wrong(error["msg"].lower())
    return wrong(f"must be {container}, got {sort(got)}" if got is not None else "is empty; fill it or leave it out")


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
