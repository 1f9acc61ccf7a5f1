"""Dataclasses whose fields are settings, read from plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import pytest
from annotated_types import Gt
from pydantic import TypeAdapter, ValidationError

from sentinel.config.document import Substituted
from sentinel.config.errors import dotted
from sentinel.config.scalars import Context
from sentinel.config.shapes import Family, Shapes
from sentinel.model import Reason, Seconds, Secret, Severity


class Horn(Protocol):
    def sound(self) -> str: ...


@dataclass(frozen=True)
class Bell:
    """Rings."""

    url: Secret
    loudness: Severity = Severity.INFO
    """How bad it must be."""

    def sound(self) -> str:
        return "ding"


@dataclass
class Whistle:
    pitch: float
    blown: int = field(default=0, init=False)

    def sound(self) -> str:
        return "tweet"


@dataclass(frozen=True)
class Tls:
    ca_file: Path | None = None
    phrase: Secret | None = None


@dataclass(frozen=True)
class Tower:
    """Where horns are.

    Args:
        name: What it is
            called.
    """

    name: str = "tower"
    interval: Seconds = 5.0
    for_: Seconds = 60.0
    floors: Annotated[int, Gt(0)] = 3
    lit: bool = False
    mode: Literal["day", "night"] = "day"
    tls: Tls = Tls()
    limit: float | None = None
    horns: tuple[Horn, ...] = ()
    match: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    reasons: frozenset[Reason] = frozenset(Reason)

    def __post_init__(self) -> None:
        if self.interval == 0:
            raise ValueError(f"interval must be above 0 seconds, got {self.interval}")
        if self.mode == "night" and not self.lit:
            raise ValueError("at night a tower must be lit")


TOWER: TypeAdapter[Tower] = TypeAdapter(Shapes({Horn: Family({"bell": Bell, "whistle": Whistle})}).of(Tower))


def read(directory: Path = Path("/etc/x"), **keys: Any) -> Tower:
    return TOWER.validate_python(keys, context=Context({"RING": "sesame", "EMPTY": ""}, directory))


def said(directory: Path = Path("/etc/x"), **keys: Any) -> list[str]:
    with pytest.raises(ValidationError) as raised:
        read(directory, **keys)
    return [f"{dotted(error['loc'])}: {error['msg']}" for error in raised.value.errors()]


def test_nothing_given_is_the_dataclass_with_its_own_defaults() -> None:
    assert read() == Tower()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(7, 7), (0.25, 0.25), ("250ms", 0.25), ("10s", 10), ("5m", 300), ("2h", 7200), ("3d", 259200), ("1h30m", 5400)],
)
def test_durations_are_numbers_or_words(text: object, seconds: float) -> None:
    assert read(interval=text).interval == seconds


@pytest.mark.parametrize("text", ["5 minutes", "10", "-5s", "", "s", True, None, [1], float("nan")])
def test_other_durations_are_refused(text: object) -> None:
    assert said(interval=text)[0].startswith("interval: must be a duration such as 250ms, 10s, 5m, 2h or 3d, got ")


def test_a_trailing_underscore_is_dropped() -> None:
    assert read(**{"for": "2m"}).for_ == 120
    assert said(for_=3)[0].startswith("for_: is not known here; did you mean `for`?")


def test_values_become_what_the_hints_say() -> None:
    tower = read(mode="night", lit=True, limit=3, match={"queue": "a"}, reasons=["opened"], params={"n": [1]})
    assert (tower.mode, tower.limit, tower.match) == ("night", 3, {"queue": "a"})
    assert (tower.reasons, tower.params) == (frozenset({Reason.OPENED}), {"n": [1]})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"name": 5}, "name: must be text, got 5; put it in quotes"),
        ({"name": None}, "name: must be text, got nothing"),
        ({"floors": 2.5}, "floors: must be a whole number, got 2.5"),
        ({"floors": "3"}, "floors: must be a number, got '3'"),
        ({"floors": True}, "floors: must be a number, got true"),
        ({"floors": 0}, "floors: must be above 0, got 0"),
        ({"limit": float("inf")}, "limit: must be a number, got inf"),
        ({"lit": "yes"}, "lit: must be true or false, got 'yes'"),
        ({"mode": "nigth"}, "mode: must be one of day, night, got 'nigth'; did you mean night?"),
        ({"tls": []}, "tls: must be a mapping of keys to values, got a list"),
        ({"tls": {"ca": "x"}}, "tls.ca: is not known here; did you mean `ca_file`?"),
        ({"match": {"queue": 5}}, "match.queue: must be text, got 5; put it in quotes"),
        ({"reasons": "opened"}, "reasons: must be a list, got text"),
        ({"for": -1}, "for: must be 0 seconds or more, got -1"),
        ({"horns": [{"pitch": 1}]}, "horns[0].kind: is missing; add one of bell, whistle"),
        ({"horns": [{"kind": "bel"}]}, "horns[0].kind: 'bel' is not known here; did you mean `bell`?"),
        ({"horns": ["bell"]}, "horns[0]: must be a mapping with a `kind`, got text"),
        ({"horns": [{"kind": "whistle"}]}, "horns[0].pitch: is missing; add it"),
        (
            {"horns": [{"kind": "whistle", "pitch": 1, "blown": 2}]},
            "horns[0].blown: is not known here; known here: kind, pitch",
        ),
        ({"horns": [{"kind": "bell"}]}, "horns[0].url: is missing; add one of url, url_file, url_env"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_with_what_to_do(keys: dict[str, Any], message: str) -> None:
    assert said(**keys) == [message]


def test_the_dataclass_has_the_last_word_at_the_field_it_names() -> None:
    assert said(interval=0) == ["interval: must be above 0 seconds, got 0"]
    assert said(mode="night") == [": at night a tower must be lit"]


def test_impossible_values_are_told_together_with_unknown_keys_and_wrong_types() -> None:
    messages = said(interval=0, mode="night", florrs=3, name=[], **{"for": -3})
    assert [message.split(":")[0] for message in messages] == ["name", "florrs", "interval", ""]
    assert said(interval=0, **{"for": -3}) == [
        "interval: must be above 0 seconds, got 0",
        "for: must be 0 seconds or more, got -3",
    ]


def test_a_family_s_member_is_picked_by_kind() -> None:
    bell, whistle = read(
        horns=[{"kind": "bell", "url": "u", "loudness": "critical"}, {"kind": "whistle", "pitch": 440}]
    ).horns
    assert bell == Bell(Secret("u"), Severity.CRITICAL)
    assert whistle == Whistle(440)


def test_what_the_environment_gave_may_be_a_number_or_a_switch() -> None:
    tower = read(floors=Substituted("7"), lit=Substituted("true"), interval=Substituted("3"), name=Substituted("5"))
    assert (tower.floors, tower.lit, tower.interval, tower.name) == (7, True, 3, "5")
    assert type(tower.name) is str
    params = {"n": Substituted("10"), "x": Substituted("2.5"), "s": Substituted("x")}
    assert read(params=params).params == {"n": 10, "x": 2.5, "s": "x"}


def test_what_the_environment_gave_is_never_shown() -> None:
    assert said(floors=Substituted("hunter2")) == ["floors: must be a number, got what the environment holds"]


def test_a_secret_comes_from_itself_a_file_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text("from file\n")
    assert read(tls={"phrase": "itself"}).tls.phrase == Secret("itself")
    assert read(tmp_path, tls={"phrase_file": "phrase"}).tls.phrase == Secret("from file")
    assert read(tls={"phrase_env": "RING"}).tls.phrase == Secret("sesame")


def test_a_secret_is_never_shown() -> None:
    assert said(tls={"phrase": 12345}) == ["tls.phrase: must be text, got a number; put it in quotes"]
    assert "itself" not in repr(read(tls={"phrase": "itself"}))


def test_a_secret_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for keys, message in [
        ({"phrase": " "}, "phrase: is empty; give the secret itself"),
        ({"phrase_file": "gone"}, f"phrase_file: cannot read {tmp_path}/gone: No such file or directory"),
        ({"phrase_file": "empty"}, f"phrase_file: {tmp_path}/empty is empty; write the secret into it"),
        ({"phrase_file": "binary"}, f"phrase_file: cannot read {tmp_path}/binary: it is not text"),
        ({"phrase_file": "https://h/hunter2"}, "phrase_file: must be the path of a file, not the secret itself"),
        ({"phrase_env": "hunter-2"}, "phrase_env: must be the name of a variable, not the secret itself"),
        ({"phrase_env": "NO_SUCH"}, "phrase_env: NO_SUCH is not in the environment; set it"),
        ({"phrase_env": "EMPTY"}, "phrase_env: EMPTY is empty; set it"),
        ({"phrase": "a", "phrase_env": "RING"}, "phrase_env: phrase and phrase_env say the same thing; keep one"),
    ]:
        assert said(tmp_path, tls=keys) == [f"tls.{message}"]


def test_paths_begin_at_the_file_s_directory(tmp_path: Path) -> None:
    assert read(tmp_path, tls={"ca_file": "ca.pem"}).tls.ca_file == tmp_path / "ca.pem"
    assert read(tmp_path, tls={"ca_file": "/ca.pem"}).tls.ca_file == Path("/ca.pem")


def test_a_hint_without_a_yaml_is_the_programmer_s_error() -> None:
    @dataclass
    class Odd:
        what: complex = 0j

    with pytest.raises(TypeError, match="no YAML is known for the type <class 'complex'>"):
        Shapes().of(Odd)


def test_the_schema_says_defaults_descriptions_and_choices() -> None:
    schema = TOWER.json_schema()
    keys = schema["properties"]
    assert schema["description"] == "Where horns are."
    assert keys["name"]["description"] == "What it is called."
    assert keys["for"]["default"] == 60.0
    assert keys["mode"]["anyOf"][0] == {"enum": ["day", "night"]}
    bell = schema["$defs"]["Bell_bell"]
    assert bell["properties"]["loudness"]["default"] == "info"
    assert bell["properties"]["loudness"]["description"] == "How bad it must be."
    assert bell["properties"]["kind"]["const"] == "bell"
    assert set(bell["properties"]) == {"kind", "url", "url_file", "url_env", "loudness"}
