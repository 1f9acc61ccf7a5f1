"""What people do is a value that survives JSON, and a wrong one is refused with the field's name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sentinel.pipeline.actions import (
    BY_NAME,
    Acknowledge,
    Action,
    ActionError,
    Adopt,
    Approve,
    Deploy,
    Mark,
    Note,
    Resolve,
    Silence,
    Unsilence,
    Withdraw,
    decode,
    encode,
)

T = 1764000000.0
EACH: list[Action] = [
    Acknowledge(T, "ada", "SNT-000001"),
    Note(T, "ada", "SNT-000001", "looked at it"),
    Mark(T, "ada", "SNT-000001", "noise"),
    Resolve(T, "ada", "SNT-000001", "restarted the api"),
    Silence(T, "ada", ("target=redis-a", "cause!=refused"), until=T + 60.5, until_resolved=True),
    Unsilence(T, "ada", "01KAV9FT00"),
    Deploy(T, "ci", "v4.2", ("redis-a",), lasts=600.0),
    Approve(T, "ada", "SNT-4F2K9Q"),
    Withdraw(T, "ada", "SNT-4F2K9Q"),
    Adopt(T, "the orphan sweep", "page/customers", "1001", "It is over."),
]


@pytest.mark.parametrize("action", EACH, ids=lambda action: type(action).__name__)
def test_an_action_survives_json(action: Action) -> None:
    assert decode(json.loads(json.dumps(encode(action)))) == action


def test_every_action_has_a_name_in_json() -> None:
    assert {type(action) for action in EACH} == set(BY_NAME.values())


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"kind": "explode"}, "`kind` must be one of acknowledge, note"),
        ({}, "`kind` must be one of"),
        ({"kind": "note", "time": T, "by": "ada", "incident": "x"}, "`text` is missing"),
        ({"kind": "unsilence", "time": "now", "by": "ada", "silence": "x"}, "`time` must be a number"),
        ({"kind": "unsilence", "time": True, "by": "ada", "silence": "x"}, "`time` must be a number"),
        ({"kind": "unsilence", "time": T, "by": 7, "silence": "x"}, "`by` must be text"),
        ({"kind": "unsilence", "time": T, "by": "ada", "silence": "x", "colour": 1}, "`colour` is not known here"),
        ({"kind": "mark", "time": T, "by": "ada", "incident": "x", "verdict": "meh"}, "`verdict` must be `real`"),
        ({"kind": "silence", "time": T, "by": "ada", "matchers": "target=a"}, "`matchers` must be a list of texts"),
    ],
)
def test_what_is_no_action_is_refused_with_the_name_of_the_field(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ActionError, match=says):
        decode(values)
