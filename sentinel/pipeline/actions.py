"""What people do to incidents, as values: the third thing that a pipeline is told, beside polls and time.

Each says when and by whom, so that the tape can hold it and a replay does the same again. As JSON an action is its
fields and `kind`, its name in `BY_NAME`. What follows from an action is decided elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal, get_type_hints

from sentinel.model import Seconds

__all__ = [
    "BY_NAME",
    "Acknowledge",
    "Action",
    "ActionError",
    "Adopt",
    "Approve",
    "Deploy",
    "Mark",
    "Note",
    "Resolve",
    "Silence",
    "Unsilence",
    "Withdraw",
    "decode",
    "encode",
]


class ActionError(Exception):
    """The action cannot be done, and nothing was changed. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Somebody has it in hand: reminders and escalation steps end, until it grows worse."""

    time: float
    """Unix seconds, as of every action."""
    by: str
    incident: str
    """The id of an incident, or its short reference (`SNT-…`)."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth remembering about an incident."""

    time: float
    by: str
    incident: str
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Whether an incident was worth telling. Noise is acknowledged by it, too."""

    time: float
    by: str
    incident: str
    verdict: Literal["real", "noise"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Resolve:
    """It is over, says somebody. If its cause still fires after a while, or grows worse, it opens again."""

    time: float
    by: str
    incident: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """Tell nobody of what matches; what is told already may still be told as resolved.

    Ends at `until`, or when nothing open matches any more, whichever of the two was asked for and comes first.
    """

    time: float
    by: str
    matchers: tuple[str, ...]
    """All must hold: `NAME=PATTERN` or `NAME!=PATTERN`; see `sentinel.pipeline.silences`."""
    until: float | None = None
    until_resolved: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Unsilence:
    """End a silence now."""

    time: float
    by: str
    silence: str
    """Its id."""


@dataclass(frozen=True, slots=True)
class Deploy:
    """Something is being rolled out: what that explains is not told while it lasts."""

    time: float
    by: str
    version: str
    targets: tuple[str, ...] = ()
    """Names or patterns of targets that it touches; none for all."""
    lasts: Seconds | None = None
    """How long it will take; None for what the settings say."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Approve:
    """The draft of a public update may go out, and its subscribers may have mails."""

    time: float
    by: str
    ref: str
    """Of the draft, as it was told: `SNT-…`."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The draft of a public update must not go out."""

    time: float
    by: str
    ref: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """An open public incident of ours was found on a page, and nothing here knows it: take it up, to its end."""

    time: float
    by: str
    page: str
    """The page's destination."""
    component: str
    text: str
    """Its newest update, as customers read it."""


Action = Acknowledge | Note | Mark | Resolve | Silence | Unsilence | Deploy | Approve | Withdraw | Adopt

BY_NAME: Mapping[str, type[Any]] = {
    "acknowledge": Acknowledge,
    "note": Note,
    "mark": Mark,
    "resolve": Resolve,
    "silence": Silence,
    "unsilence": Unsilence,
    "deploy": Deploy,
    "approve": Approve,
    "withdraw": Withdraw,
    "adopt": Adopt,
}
"""What each is called in JSON."""


def encode(action: Action) -> dict[str, Any]:
    """An action as JSON takes it.

    >>> encode(Unsilence(1764000000.0, "ada", "01KAV9FT00"))
    {'kind': 'unsilence', 'time': 1764000000.0, 'by': 'ada', 'silence': '01KAV9FT00'}
    """
    kind = next(name for name, cls in BY_NAME.items() if cls is type(action))
    return {"kind": kind, **asdict(action)}


def decode(values: Mapping[str, Any]) -> Action:
    """The action that `encode` made; fields with a default may be missing.

    Raises:
        ActionError: it is none; the text names the field.
    """
    cls = BY_NAME.get(values.get("kind", ""))
    if cls is None:
        raise ActionError(f"`kind` must be one of {', '.join(BY_NAME)}, got {values.get('kind')!r}")
    given = {key: value for key, value in values.items() if key != "kind"}
    hints = get_type_hints(cls, include_extras=False)
    for name in given:
        if name not in hints:
            raise ActionError(f"`{name}` is not known here; give only {', '.join(hints)}")
    for field in fields(cls):
        if field.name in given:
            given[field.name] = _read(field.name, given[field.name], hints[field.name])
        elif field.default is MISSING:
            raise ActionError(f"`{field.name}` is missing; add it")
    action: Action = cls(**given)
    return action


_READERS: Mapping[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("text", lambda value: isinstance(value, str)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    float: ("a number", lambda value: _is_number(value)),
    float | None: ("a number or null", lambda value: value is None or _is_number(value)),
    tuple[str, ...]: ("a list of texts", lambda value: _is_texts(value)),
    Literal["real", "noise"]: ("`real` or `noise`", lambda value: value in ("real", "noise")),
}


def _read(name: str, value: Any, hint: Any) -> Any:
    wanted, holds = _READERS[hint]
    if not holds(value):
        raise ActionError(f"`{name}` must be {wanted}, got {value!r:.60}")
    if hint in (float, float | None) and value is not None:
        return float(value)
    return tuple(value) if hint == tuple[str, ...] else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
