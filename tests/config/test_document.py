"""YAML texts as plain values with their lines."""

from __future__ import annotations

import pytest

from sentinel.config.document import UNKNOWN, Document, Substituted, parse
from sentinel.config.errors import ConfigError, Place


def read(text: str, **environment: str) -> Document:
    return parse(text, "s.yaml", environment)


def said(document: Document) -> list[str]:
    return [str(problem) for problem in document.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("yes", "yes"),
        ("true", True),
        ("12:30", "12:30"),
        ("2025-09-03", "2025-09-03"),
        ("010", 10),
        ("0x10", "0x10"),
        ("9" * 5000, float("inf")),
        ("-2.5e3", -2500.0),
        ("1_000", "1_000"),
        ("~", None),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("", {}),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert read(text).value == value
    assert type(read(text).value) is type(value)


def test_every_value_knows_its_line() -> None:
    document = read("a: 1\nb:\n  - c: 2\n    d:\n      3\n")
    assert document.place(("b", 0, "d")) == Place("s.yaml", 4)
    assert str(document.place(("b", 0, "c"))) == "s.yaml:3"


def test_a_missing_value_is_placed_where_it_would_belong() -> None:
    assert read("a: 1\nb:\n  c: 2\n").place(("b", "url")) == Place("s.yaml", 2)


def test_doubled_keys_are_refused_with_both_lines() -> None:
    document = read("a:\n  url: x\n  db: 1\n  url: y\n")
    assert said(document) == ["s.yaml:4: a.url: is given twice, first on line 2; keep one"]


def test_a_key_that_is_no_text_is_refused() -> None:
    assert said(read("a: 1\n2: b\n")) == ["s.yaml:2: a key must be text; put it in quotes"]


def test_variables_are_put_in_within_any_scalar() -> None:
    document = read("- redis://${HOST}:6379/${DB}\n- '${HOST}'\n", HOST="h", DB="2")
    assert document.value == ["redis://h:6379/2", "h"]


def test_what_came_from_the_environment_is_marked() -> None:
    marked, plain = read("- ${A}\n- a\n", A="a").value
    assert isinstance(marked, Substituted)
    assert not isinstance(plain, Substituted)


def test_a_variable_s_own_dollars_are_left_alone() -> None:
    assert read("${A}", A="$$x${B}").value == "$$x${B}"


@pytest.mark.parametrize(
    ("text", "value"), [("$$", "$"), ("$${A}", "${A}"), ("$$${A}", "$1"), ("a$b", "a$b"), ("5$", "5$")]
)
def test_two_dollars_are_one(text: str, value: str) -> None:
    assert read(text, A="1").value == value


def test_an_unset_variable_is_told_by_name() -> None:
    document = read("a: 1\nurl: ${NO_SUCH}\n")
    assert said(document) == ["s.yaml:2: url: NO_SUCH is not in the environment; set it"]
    assert document.value["url"] is UNKNOWN


def test_an_open_brace_is_told() -> None:
    assert said(read("url: ${OPEN\n")) == ["s.yaml:1: url: write ${NAME} for a variable, $$ for a dollar sign"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: }", "s.yaml:2: this is not YAML: while parsing a flow sequence, did not find expected ',' or ']'"),
        ("a: *b", "s.yaml:1: this is not YAML: found undefined alias"),
        (
            "a: 1\n---\nb: 2",
            "s.yaml:2: this is not YAML: expected a single document in the stream, but found another document",
        ),
        ("a: \x00", "s.yaml: this is not YAML: cannot be read as text"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(text)
    assert str(raised.value) == message


def test_a_value_that_holds_itself_is_refused() -> None:
    assert "nested too deeply" in said(read("a: &a [*a]\n"))[0]


def test_an_unknown_tag_is_refused() -> None:
    assert said(read("a: !vault x\n")) == ["s.yaml:1: a: the tag !vault is not known; leave it out"]


def test_a_value_put_in_later_has_its_own_place() -> None:
    document = read("a:\n  - b: 1\n")
    flag = Place("--flag")
    document.append(("a",), {"b": 2}, flag)
    document.put(("a", 0, "b"), 3, flag)
    document.put(("c", "d"), 4, flag)
    assert document.value == {"a": [{"b": 3}, {"b": 2}], "c": {"d": 4}}
    assert [document.place(path) for path in [("a", 1, "b"), ("a", 0, "b"), ("c", "d")]] == [flag] * 3
    assert str(document.place(("a", 0))) == "s.yaml:2"


def test_what_cannot_be_put_anywhere_is_left_out() -> None:
    document = read("a: text\n")
    document.append(("a",), 1, Place("--flag"))
    document.put(("a", "b"), 1, Place("--flag"))
    assert document.value == {"a": "text"}
