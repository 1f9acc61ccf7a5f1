"""How events look in a terminal and to a machine, and what must never be seen in either."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from sentinel.logs import Redactor, configure, log
from sentinel.model import Secret

LOGGER = logging.getLogger("sentinel.delivery")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A stream to log to; afterwards logging is as it was."""
    root, own = logging.getLogger(), logging.getLogger("sentinel")
    handlers, levels = list(root.handlers), (root.level, own.level)
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])
    logging.captureWarnings(False)


def only(stream: io.StringIO) -> dict[str, object]:
    (line,) = stream.getvalue().splitlines()
    return json.loads(line)


def test_a_json_line_has_its_five_parts(stream: io.StringIO) -> None:
    configure("json", stream=stream)
    log(LOGGER, logging.WARNING, "Breaker opened", destination="ops/slack", failures=5, share=0.25, after=None)
    line = only(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("time")))
    assert line == {
        "level": "warning",
        "logger": "sentinel.delivery",
        "message": "Breaker opened",
        "fields": {"destination": "ops/slack", "failures": 5, "share": 0.25, "after": None},
    }


def test_a_human_line_is_aligned_and_names_its_fields(stream: io.StringIO) -> None:
    configure("human", stream=stream)
    log(LOGGER, logging.INFO, "Delivered", destination="ops/slack", seconds=0.123456789)
    log(logging.getLogger("sentinel.app"), logging.WARNING, "Late")
    first, second = [line[25:] for line in stream.getvalue().splitlines()]
    assert first == "INFO    delivery   Delivered destination=ops/slack seconds=0.123457"
    assert second == "WARNING app        Late"


def test_a_foreign_text_stays_on_its_line_and_inside_its_field(stream: io.StringIO) -> None:
    configure("human", stream=stream)
    log(LOGGER, logging.INFO, "Client seen", name='x level=error\n\x1b[2J"')
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(r'Client seen name="x level=error\n\u001b[2J\""')


def test_a_message_of_a_library_stays_on_its_line(stream: io.StringIO) -> None:
    configure("human", stream=stream)
    logging.getLogger("aiohttp.server").error("Bad request\nGET /\x1b[2J")
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("Bad request GET / [2J")


def test_a_percent_sign_in_the_text_is_only_text(stream: io.StringIO) -> None:
    configure("json", stream=stream)
    log(LOGGER, logging.INFO, "100 %s sure")
    assert only(stream)["message"] == "100 %s sure"


def test_events_below_the_level_are_not_shown_nor_the_chatter_of_libraries(stream: io.StringIO) -> None:
    configure("json", "info", stream=stream)
    log(LOGGER, logging.DEBUG, "too fine")
    logging.getLogger("aiohttp.access").info("chatter")
    assert stream.getvalue() == ""
    configure("json", "debug", stream=stream)
    log(LOGGER, logging.DEBUG, "fine")
    assert only(stream)["message"] == "fine"


def test_configuring_again_does_not_double_the_lines(stream: io.StringIO) -> None:
    configure("json", stream=stream)
    configure("json", stream=stream)
    log(LOGGER, logging.INFO, "once")
    assert only(stream)["message"] == "once"


def test_a_trace_is_one_field_of_the_json_line(stream: io.StringIO) -> None:
    configure("json", stream=stream)
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        LOGGER.exception("Task failed")
    trace = str(only(stream)["trace"])
    assert trace.startswith("Traceback")
    assert trace.endswith("RuntimeError: boom")


@pytest.mark.parametrize("odd", ["\ud800", 2**70, {1, 2}, {"nested": [object]}, float("nan")])
def test_no_value_is_too_odd_to_be_logged(stream: io.StringIO, odd: object) -> None:
    configure("json", stream=stream)
    log(LOGGER, logging.INFO, "odd", value=odd)
    assert only(stream)["message"] == "odd"


@pytest.mark.parametrize("format", ["human", "json"])
def test_a_known_secret_is_masked_wherever_it_comes_up(stream: io.StringIO, format: str) -> None:
    secret = 'hunter"2 ü'
    configure(format, redactor=Redactor([Secret(secret)]), stream=stream)  # type: ignore[arg-type]
    try:
        raise ValueError(f"bad password {secret}")
    except ValueError:
        LOGGER.exception("Refused with %s", secret, extra={"fields": {"url": f"/x?p={secret}", "all": [secret]}})
    shown = stream.getvalue()
    assert shown.count("****") == 4
    assert "hunter" not in shown


def test_a_secret_that_is_a_url_is_known_by_its_path_too() -> None:
    redact = Redactor([Secret("https://hooks.example/services/T0/B0/xyz?k=v")])
    assert redact("POST /services/T0/B0/xyz?k=v gave 404") == "POST /**** gave 404"


def test_a_secret_quoted_for_a_url_is_masked() -> None:
    assert Redactor([Secret("p@ss/word")])("at p%40ss%2Fword") == "at ****"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert Redactor([Secret("abcd"), Secret("abcdefgh")])("abcdefgh") == "****"


def test_a_very_short_secret_does_not_spoil_every_word() -> None:
    assert Redactor([Secret("a"), Secret("")])("a task") == "a task"


def test_a_secret_learnt_later_is_masked_beside_the_first() -> None:
    redact = Redactor([Secret("first-one")])
    redact.learn([Secret("second-one")])
    assert redact("first-one second-one") == "**** ****"


def test_numbers_stay_numbers_even_when_a_secret_looks_like_one(stream: io.StringIO) -> None:
    configure("json", redactor=Redactor([Secret("1234")]), stream=stream)
    log(LOGGER, logging.INFO, "count", clients=51234)
    assert only(stream)["fields"] == {"clients": 51234}
