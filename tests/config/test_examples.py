"""The files under config/: they load, they say the defaults, and none is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sentinel.config import Overrides, json_schema, load
from sentinel.config.document import parse
from sentinel.config.summary import summary
from sentinel.notifiers import BY_NAME as NOTIFIERS
from sentinel.statuspages import BY_NAME as STATUS_PAGES
from sentinel.switches import BY_NAME as SWITCHES

CONFIG = Path(__file__).parents[2] / "config"
ANNOTATED = CONFIG / "sentinel.yaml"
EXAMPLES = sorted((CONFIG / "examples").glob("*.yaml"))
ENVIRONMENT = {
    "STATUSPAGE_API_KEY": "s",
    "INSTATUS_API_KEY": "i",
    "BETTER_STACK_TOKEN": "b",
    "INCIDENT_IO_API_KEY": "o",
    "CACHET_TOKEN": "c",
    "ONEUPTIME_API_KEY": "u",
    "GITHUB_TOKEN": "g",
    "GATUS_TOKEN": "t",
    "KUMA_PUSH_TOKEN": "k",
    "ALERTMANAGER_AUTHORIZATION": "Bearer t",
    "ALERTMANAGER_TOKEN": "t",
    "APPRISE_URL": "jsons://hooks.example.com/x",
    "DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/x",
    "SENTINEL_API_TOKEN": "t",
    "HEALTHCHECKS_URL": "https://hc.example.com/ping/0bbd4f6e-6d39-4e7b-9a3c-5b1f8a0c2d11",
    "HOME": "/home/s",
    "ENCODING_SLACK_URL": "https://hooks.slack.com/services/T0/B0/x",
    "OPSGENIE_API_KEY": "x",
    "PAGERDUTY_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
    "PLATFORM_SLACK_URL": "https://hooks.slack.com/services/T0/B1/x",
    "PROXY_URL": "http://proxy.example.com:3128",
    "REDIS_PASSWORD": "p",
    "SLACK_BOT_TOKEN": "xoxb-0",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B2/x",
    "SMTP_PASSWORD": "p",
    "TEAMS_WEBHOOK_URL": "https://prod-1.logic.example/workflows/x?sig=y",
    "TELEGRAM_BOT_TOKEN": "1:x",
    "WEBHOOK_AUTHORIZATION": "Bearer t",
    "WEBHOOK_SECRET": "whsec_" + "QUFB" * 8,
    "WEBHOOK_SECRET_BEFORE": "whsec_" + "QkJC" * 8,
    "WEBHOOK_TOKEN": "t",
}
SCHEMA = jsonschema.Draft202012Validator(json_schema())


def valid(text: str) -> bool:
    return not list(SCHEMA.iter_errors(parse(text, "", ENVIRONMENT).value))


@pytest.fixture(scope="module")
def everything() -> str:
    """The annotated file with every setting switched on that is commented out."""
    head, _, body = ANNOTATED.read_text().partition("\ninstance_id:")
    return "\n" * head.count("\n") + "\ninstance_id:" + re.sub(r"(?m)^(\s*)#(?=\w|  )", r"\1", body)


@pytest.mark.parametrize("path", [ANNOTATED, *EXAMPLES], ids=lambda path: path.name)
def test_it_loads_and_the_schema_knows_it(path: Path) -> None:
    load(path, environment=ENVIRONMENT)
    assert valid(path.read_text())


def test_check_config_says_what_customers_may_read_of() -> None:
    said = summary(load(CONFIG / "examples" / "status-pages.yaml", environment=ENVIRONMENT)).splitlines()
    at = said.index("status page customers: statuspage, draft")
    assert said[at + 1] == "  Background jobs (k3v1x2y3z4a5) is degraded: stall, backlog, refused on all targets"


def test_every_destination_has_an_example() -> None:
    texts = [path.read_text() for path in EXAMPLES]
    assert {kind for kind in NOTIFIERS if not any(f"kind: {kind}\n" in text for text in texts)} == {"stdout"}
    assert {
        kind for kind in (*STATUS_PAGES, *SWITCHES) if not any(f"kind: {kind}\n" in text for text in texts)
    } == set()


def test_the_smallest_has_six_lines() -> None:
    assert len((CONFIG / "examples" / "minimal.yaml").read_text().splitlines()) == 6


def test_the_annotated_file_says_the_defaults() -> None:
    said = load(ANNOTATED, environment=ENVIRONMENT)
    default = load(overrides=Overrides(urls=("redis://127.0.0.1:6379",)), environment=ENVIRONMENT)
    for name in ("targets", "delivery", "http", "log", "time_scale", "state_dir"):
        assert getattr(said, name) == getattr(default, name), name
    for name in ("instance_id", "causes", "incidents"):
        assert getattr(said.pipeline, name) == getattr(default.pipeline, name), name
    assert [_plain(rule) for rule in said.pipeline.rules] == [_plain(rule) for rule in default.pipeline.rules]
    assert list(said.notifiers.values()) == list(default.notifiers.values())


def test_what_is_commented_out_in_the_annotated_file_is_right(everything: str, tmp_path: Path) -> None:
    assert valid(everything)
    assert load_all(everything.replace(river(everything), ""), tmp_path) == len(NOTIFIERS) + len(STATUS_PAGES)


@pytest.mark.slow
def test_what_the_annotated_file_says_of_river_is_right(everything: str, tmp_path: Path) -> None:
    pytest.importorskip("river")
    assert load_all(everything, tmp_path) == len(NOTIFIERS) + len(STATUS_PAGES)


def river(text: str) -> str:
    """The rule that needs river, whose import takes seconds."""
    found = re.search(r"(?s)  - name: d10.*?\n\n", text)
    assert found
    return found[0]


def load_all(text: str, directory: Path) -> int:
    """How many destinations the whole file has: one of each kind."""
    (directory / "all.yaml").write_text(text)
    (directory / "secrets").mkdir()
    for name in ("pagerduty", "pagerduty-before"):
        (directory / "secrets" / name).write_text(ENVIRONMENT["PAGERDUTY_ROUTING_KEY"])
    return len(load(directory / "all.yaml", environment=ENVIRONMENT).notifiers)


def test_the_annotated_file_leaves_no_setting_and_no_plug_in_out(everything: str) -> None:
    missing = [key for key in _keys(json_schema()) if not re.search(rf"\b{key}(_file|_env)?:", everything)]
    assert missing == []
    kinds = {name for definition in json_schema()["$defs"].values() for name in _kind(definition)}
    assert {kind for kind in kinds if not re.search(rf"kind: {kind}\b", everything)} == set()


@pytest.mark.parametrize(
    "text",
    [
        "targets: [{url: 'redis://a', intervall: 3}]",
        "targets: [{url: 'redis://a', interval: 5 minutes}]",
        "targets: [{name: a}]",
        "receivers: {a: [{kind: slak}]}",
        "receivers: {a: [{kind: slack}]}",
        "receivers: {a: [{kind: slack, url: x, url_env: X}]}",
        "receivers: {a: [{kind: stdout, min_severity: warn}]}",
        "causes: {leak: on}",
        "time_scale: fast",
    ],
)
def test_the_schema_refuses_what_loading_refuses(text: str) -> None:
    assert not valid(text)


def test_the_schema_lets_variables_stand_for_numbers() -> None:
    schema = SCHEMA.evolve(schema=json_schema())
    for value in ({"time_scale": "${SCALE}"}, {"targets": [{"url": "${URL}", "db": "${DB}", "interval": "${SOON}"}]}):
        assert schema.is_valid(value)


def _plain(rule: Any) -> Any:
    return [rule.detector() if name == "detector" else getattr(rule, name) for name in rule.__slots__]


def _keys(schema: Any) -> set[str]:
    """Every key that any mapping may have, less the two other ways to give a secret."""
    if isinstance(schema, list):
        return set().union(*map(_keys, schema))
    if not isinstance(schema, dict):
        return set()
    own = set(schema.get("properties", {}))
    own -= {key for key in own if key.removesuffix("_file").removesuffix("_env") in own - {key}}
    return own.union(*(_keys(value) for value in schema.values()))


def _kind(definition: dict[str, Any]) -> list[str]:
    kind = definition["properties"].get("kind", {})
    return [kind["const"]] if "const" in kind else []
