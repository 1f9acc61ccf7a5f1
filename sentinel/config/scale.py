"""Time made shorter for drills: every duration of a setting divided by a factor.

Knows hints and dataclasses; not which settings are scaled (`load` says so).
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, Union

from sentinel.config.fields import settings_of

__all__ = ["factory", "scaled"]

_Any = TypeVar("_Any")


def scaled(value: _Any, factor: float) -> _Any:
    """`value` with every `Seconds` in it divided by `factor`, however deep; the value itself is not changed.

    A factory (`functools.partial` of a dataclass) becomes one with shorter durations.

    >>> from sentinel.pipeline.settings import Route
    >>> scaled(Route("ops", repeat_interval=3600.0), 60.0).repeat_interval
    60.0
    """
    return value if factor == 1 else _scaled(value, factor, None)


def _scaled(value: Any, factor: float, hint: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated and "seconds" in args:
        return value / factor
    if isinstance(value, functools.partial) and dataclasses.is_dataclass(value.func):
        return factory(_dataclass(value(), factor))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _dataclass(value, factor)
    if origin in (Union, types.UnionType):
        return None if value is None else _scaled(value, factor, next(arg for arg in args if arg is not type(None)))
    if isinstance(value, tuple):
        return tuple(_scaled(item, factor, args[0] if args else None) for item in value)
    if isinstance(value, Mapping):
        inner = args[1] if len(args) > 1 else None
        return {key: _scaled(item, factor, inner) for key, item in value.items()}
    return value


def factory(instance: Any) -> functools.partial[Any]:
    """What makes fresh instances with the same settings; it can be pickled."""
    make: Callable[..., Any] = type(instance)
    return functools.partial(make, **{field.name: getattr(instance, field.name) for field in settings_of(instance)})


def _dataclass(instance: Any, factor: float) -> Any:
    hints = typing.get_type_hints(type(instance), include_extras=True)
    changed = {
        field.name: _scaled(getattr(instance, field.name), factor, hints[field.name]) for field in settings_of(instance)
    }
    return dataclasses.replace(instance, **changed)
