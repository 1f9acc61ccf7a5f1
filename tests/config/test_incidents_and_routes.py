"""What the file may say of incidents and routes: labels, steps, windows, shadow mode."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from sentinel.config import ConfigError, Settings, load, summary
from sentinel.pipeline.settings import EscalationStep, Inhibition, MaintenanceWindow

HEAD = """\
targets: [{name: redis-a, url: "redis://a", labels: {env: prod}}]
receivers:
  team: [{kind: slack, url: "https://hooks.slack.com/services/x"}]
  oncall: [{kind: pagerduty, routing_key: 0123456789abcdef0123456789abcdef}]
"""


def read(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "sentinel.yaml"
    file.write_text(HEAD + textwrap.dedent(text))
    return load(file, environment={"HOME": str(tmp_path)})


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_a_route_has_labels_and_steps(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """\
        routes:
          - {receiver: team, labels: {env: prod}, shadow: true, escalate: [{after: 10m, to: oncall}]}
        """,
    )
    (route,) = settings.pipeline.routes
    assert (route.labels, route.shadow) == ({"env": "prod"}, True)
    assert route.escalate == (EscalationStep(600.0, "oncall"),)
    assert settings.pipeline.targets["redis-a"] == {"env": "prod"}
    assert summary(settings).splitlines()[-2:] == [
        "  team/slack: everything on all targets, env=prod, from warning, without reminders, in shadow mode",
        "  oncall/pagerduty: 10m after team, unless somebody acknowledges",
    ]


def test_people_get_one_message_for_what_belongs_together_and_pagers_wake(tmp_path: Path) -> None:
    team, oncall = read(tmp_path, "").pipeline.destinations
    assert (team.groups, team.pages) == (True, False)
    assert (oncall.groups, oncall.pages) == (True, True)


def test_windows_and_inhibitions_are_read(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """\
        inhibitions: [{by: [refused], causes: [backlog]}]
        maintenance:
          - {name: weekly, start: 0 3 * * sun, lasts: 2h, timezone: Europe/Berlin, labels: {env: prod}}
        shadow: true
        """,
    )
    assert settings.pipeline.inhibitions == (Inhibition(("refused",), ("backlog",)),)
    assert settings.pipeline.maintenance == (
        MaintenanceWindow("weekly", "0 3 * * sun", 7200.0, labels={"env": "prod"}, timezone="Europe/Berlin"),
    )
    said = summary(settings).splitlines()
    assert "maintenance weekly: 0 3 * * sun Europe/Berlin, 2h, all targets, env=prod" in said
    assert "told: nobody, in shadow mode; a digest says what would have been told" in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "routes: [{receiver: team, escalate: [{after: 10m, to: onkall}]}]",
            "sentinel.yaml:5: routes[0].escalate[0].to: there is no onkall; did you mean `oncall`?",
        ),
        (
            "digest: {to: [boss]}",
            "sentinel.yaml:5: digest.to[0]: there is no boss; known here: team, oncall",
        ),
        (
            "maintenance: [{name: weekly, start: at three, lasts: 2h}]",
            "sentinel.yaml:5: maintenance[0].start: must be as in crontab, such as `0 3 * * sun`, got 'at three'",
        ),
        (
            "maintenance: [{name: weekly, start: 0 3 * * *, lasts: 2h, timezone: Mars}]",
            "sentinel.yaml:5: maintenance[0].timezone: must be one such as Europe/Berlin or UTC, got 'Mars'",
        ),
        (
            "incidents: {no_data: shout}",
            "sentinel.yaml:5: incidents.no_data: must be one of keep, alert, ok, got 'shout'",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    assert refused(tmp_path, text) == says
