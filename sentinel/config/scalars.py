"""How one plain value is read: text, numbers, durations, severities, secrets, paths.

Each reader takes what YAML gave and returns the value or raises `wrong(...)` with what is expected instead.
Knows nothing of keys, files or which plug-in asks.
"""

from __future__ import annotations

import enum
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from sentinel.config.document import Substituted
from sentinel.config.errors import close
from sentinel.model import Seconds, Secret

__all__ = [
    "SCALARS",
    "SECRET_ENV",
    "SECRET_FILE",
    "Context",
    "choice",
    "choices",
    "or_variable",
    "shown",
    "sort",
    "wrong",
]


class Context(NamedTuple):
    """What a reader may need from outside."""

    environment: Mapping[str, str]
    directory: Path
    """Relative paths begin here."""


def wrong(message: str, field: str = "") -> PydanticCustomError:
    """The error of a value that cannot be used; `field` names the key within a mapping that is to blame."""
    return PydanticCustomError("config", "{said}", {"said": message, "field": field})


def shown(value: Any) -> str:
    """A value as messages show it: briefly, and never what came from the environment.

    >>> shown(-5), shown("5 minutes"), shown([1]), shown(True)
    ('-5', "'5 minutes'", 'a list', 'true')
    """
    if isinstance(value, Substituted):
        return "what the environment holds"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, int | float):
        return str(value)
    return repr(value[:40]) if isinstance(value, str) else sort(value)


def sort(value: Any) -> str:
    """What sort of value it is, without the value."""
    sorts = {dict: "a mapping", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    return sorts.get(type(value), "text" if isinstance(value, str) else "nothing")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    advice = "; put it in quotes" if isinstance(value, bool | int | float) else ""
    raise wrong(f"must be text, got {shown(value)}{advice}")


def _number(value: Any) -> float:
    if isinstance(value, Substituted):
        value = _as_number(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise wrong(f"must be a number, got {shown(value)}")
    return value


def _whole(value: Any) -> int:
    number = _number(value)
    if number != int(number):
        raise wrong(f"must be a whole number, got {shown(value)}")
    return int(number)


def _as_number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _switch(value: Any) -> bool:
    found = {"true": True, "false": False}.get(value) if isinstance(value, Substituted) else value
    if not isinstance(found, bool):
        raise wrong(f"must be true or false, got {shown(value)}")
    return found


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+"
_SPANS = {"hour": 3600.0, "day": 86400.0, "week": 7 * 86400.0, "month": 30 * 86400.0}
_RATE = r"[1-9][0-9]*/(?:hour|day|week|month)"
"""How often; read as the time between two."""


def _duration(value: Any) -> float:
    if isinstance(value, str) and re.fullmatch(_DURATION, value):
        parts = re.findall(r"([0-9.]+)([a-z]+)", value)
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    if isinstance(value, str) and re.fullmatch(_RATE, value):
        times, span = value.split("/")
        return _SPANS[span] / int(times)
    number = _as_number(value) if isinstance(value, Substituted) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise wrong(f"must be a duration such as 250ms, 10s, 5m, 2h or 3d, got {shown(value)}")
    return number


def _secret(value: Any) -> Secret:
    if not isinstance(value, str):
        raise wrong(f"must be text, got {sort(value)}; put it in quotes")
    if not value.strip():
        raise wrong("is empty; give the secret itself")
    return Secret(str(value))


def _secret_file(value: Any, info: ValidationInfo[Context]) -> Secret:
    if isinstance(value, str) and "://" in value:
        raise wrong("must be the path of a file, not the secret itself")
    path = _path(value, info)
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise wrong(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise wrong(f"cannot read {path}: it is not text") from None
    if not text.strip():
        raise wrong(f"{path} is empty; write the secret into it")
    return Secret(text.rstrip("\r\n"))


def _secret_env(value: Any, info: ValidationInfo[Context]) -> Secret:
    name = _text(value)
    if not re.fullmatch(r"\w+", name):
        raise wrong("must be the name of a variable, not the secret itself")
    found = info.context.environment.get(name)
    if not found:
        raise wrong(f"{name} is {'empty' if found == '' else 'not in the environment'}; set it")
    return Secret(found)


def _path(value: Any, info: ValidationInfo[Context]) -> Path:
    text = _text(value)
    if not text:
        raise wrong("is empty; give a path")
    return info.context.directory / os.path.expanduser(text)


def _anything(value: Any) -> Any:
    if isinstance(value, Substituted):
        number = _as_number(value)
        if isinstance(number, str):
            return str(number)
        return int(number) if number.is_integer() else number
    if isinstance(value, dict):
        return {key: _anything(inner) for key, inner in value.items()}
    return [_anything(inner) for inner in value] if isinstance(value, list) else value


def choices(kind: type[enum.Enum]) -> dict[str, enum.Enum]:
    """The members of an enum by their names in YAML: an ordered enum by name, others by value."""
    named = issubclass(kind, int)
    return {member.name.lower() if named else str(member.value): member for member in kind}


def choice(table: Mapping[Any, Any]) -> Any:
    """A type for one of a few words; `table` gives the value of each."""

    def read(value: Any) -> Any:
        if isinstance(value, str | int | float) and value in table:
            return table[value]
        names = [str(name) for name in table]
        meant = None if isinstance(value, Substituted) else close(str(value), names)
        advice = f"; did you mean {meant}?" if meant else ""
        raise wrong(f"must be one of {', '.join(names)}, got {shown(value)}{advice}")

    return Annotated[Any, PlainValidator(read), WithJsonSchema(or_variable({"enum": list(table)}))]


def or_variable(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that also lets `${NAME}` stand where no text could."""
    return {"anyOf": [schema, {"type": "string", "pattern": r"\$\{\w+\}"}]}


def _scalar(read: Callable[..., Any], schema: dict[str, Any]) -> Any:
    return Annotated[Any, PlainValidator(read), WithJsonSchema(schema)]


_SECONDS = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": rf"^{_DURATION}$|^{_RATE}$|\$\{{"}]
}

SCALARS: dict[Any, Any] = {
    str: _scalar(_text, {"type": "string"}),
    float: _scalar(_number, or_variable({"type": "number"})),
    int: _scalar(_whole, or_variable({"type": "integer"})),
    bool: _scalar(_switch, or_variable({"type": "boolean"})),
    Seconds: _scalar(_duration, _SECONDS),
    Secret: _scalar(_secret, {"type": "string"}),
    Path: _scalar(_path, {"type": "string"}),
    Any: _scalar(_anything, {}),
}
"""The type that reads each plain hint."""

SECRET_FILE = _scalar(_secret_file, {"type": "string"})
"""Reads the name of a file as the secret that it holds, less the line break at its end."""
SECRET_ENV = _scalar(_secret_env, {"type": "string"})
"""Reads the name of a variable of the environment as the secret that it holds."""
