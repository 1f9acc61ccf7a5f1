"""Files and command lines as settings, and everything that is wrong with them at once."""

from __future__ import annotations

import contextlib
import pickle
import tempfile
import textwrap
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import Default, Ewma, Robust, RsHash
from sentinel.config import ConfigError, Overrides, Settings, load, summary
from sentinel.model import Secret, Severity
from sentinel.notifiers import BY_NAME as NOTIFIERS
from sentinel.pipeline.diagnosis import BY_NAME as CAUSES
from sentinel.pipeline.settings import IncidentSettings, Route, Rule, default_rules

ENVIRONMENT = {"HOME": "/home/s", "SLACK": "https://hooks.slack.com/services/T0/B0/hunter2"}
URL = "redis://127.0.0.1:6379"


class Desk:
    """A directory with one configuration file in it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "s.yaml"

    def load(self, text: str, **overrides: Any) -> Settings:
        self.path.write_text(textwrap.dedent(text))
        return load(self.path, Overrides(**overrides), ENVIRONMENT)

    def said(self, text: str, **overrides: Any) -> list[str]:
        with pytest.raises(ConfigError) as raised:
            self.load(text, **overrides)
        return str(raised.value).replace(f"{self.path.parent}/", "").splitlines()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def from_flags(**overrides: Any) -> Settings:
    return load(overrides=Overrides(**overrides), environment=ENVIRONMENT)


def said_of_flags(**overrides: Any) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        from_flags(**overrides)
    return str(raised.value).splitlines()


# Without a file


def test_one_url_is_enough() -> None:
    settings = from_flags(urls=(URL,))
    assert [(target.name, target.interval) for target in settings.targets] == [("127.0.0.1:6379", 5.0)]
    assert set(settings.pipeline.causes) == set(CAUSES)
    assert [rule.name for rule in settings.pipeline.rules] == [rule.name for rule in default_rules()]
    assert settings.notifiers == {"stdout/stdout": NOTIFIERS["stdout"]()}
    assert settings.pipeline.routes == (Route("stdout"),)
    assert settings.http.address == ("127.0.0.1", 9750)


def test_nothing_to_watch_says_how_to_start() -> None:
    assert said_of_flags() == [
        "sentinel: nothing to watch: name a server, as in `sentinel run redis://127.0.0.1:6379`,"
        " or a file with `-c FILE`"
    ]


def test_no_receiver_takes_the_name_under_which_status_pages_are_told(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "targets: [{url: redis://a}]\nreceivers: {page: [{kind: stdout}]}\n"
        "status_pages: {stdout: {kind: gatus, url: 'https://g.example', token: x}}\n"
    )
    with pytest.raises(ConfigError, match="must not have one that is called `page`"):
        load(path, environment={"HOME": "/h"})


def test_destinations_of_flags_form_the_receiver_cli() -> None:
    settings = from_flags(
        urls=(URL,),
        webhooks=("https://a.example/1", "https://a.example/2"),
        slacks=("https://hooks.slack.com/services/x",),
        pagerduty_keys=("0123456789abcdef",),
    )
    assert list(settings.notifiers) == ["cli/webhook", "cli/webhook-2", "cli/slack", "cli/pagerduty"]
    assert [(d.name, d.min_severity) for d in settings.pipeline.destinations] == [
        ("cli/webhook", Severity.INFO),
        ("cli/webhook-2", Severity.INFO),
        ("cli/slack", Severity.WARNING),
        ("cli/pagerduty", Severity.CRITICAL),
    ]
    assert settings.notifiers["cli/pagerduty"].routing_key == Secret("0123456789abcdef")  # type: ignore[attr-defined]


def test_flags_are_told_by_name_and_all_at_once() -> None:
    assert said_of_flags(
        urls=("redis://a", "redis://b"), interval="-5", time_scale="0", listen="9750", log_level="loud", webhooks=("x",)
    ) == [
        "--listen: must be host:port, such as 127.0.0.1:9750, or off, got '9750'",
        "--log-level: must be one of debug, info, warning, error, got 'loud'",
        "--interval: must be above 0 seconds, got -5",
        "--webhook: must begin with https:// and name a host",
        "--time-scale: must be above 0, got 0",
    ]


def test_a_wrong_url_on_the_command_line_is_told_without_its_password() -> None:
    (message,) = said_of_flags(urls=("http://u:hunter2@h",))
    assert message.startswith("command line: not a target URL")
    assert "hunter2" not in message


def test_two_urls_of_one_server_are_refused() -> None:
    (message,) = said_of_flags(urls=(URL, URL + "/1"))
    assert message == "command line: 127.0.0.1:6379 is the name of another, at command line; choose another"


def test_flags_set_what_they_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = from_flags(
        urls=(URL,),
        interval="500ms",
        instance_id="7",
        state_dir="s",
        listen="off",
        log_format="json",
        log_level="error",
    )
    assert settings.targets[0].interval == 0.5
    assert settings.pipeline.instance_id == "7"
    assert settings.state_dir == tmp_path / "s"
    assert settings.http.address is None
    assert (settings.log.format, settings.log.level) == ("json", "error")


@pytest.mark.parametrize(
    ("listen", "address"), [("[::1]:0", ("::1", 0)), ("0.0.0.0:80", ("0.0.0.0", 80)), ("off", None)]
)
def test_pages_are_served_where_listen_says(listen: str, address: tuple[str, int] | None) -> None:
    assert from_flags(urls=(URL,), listen=listen).http.address == address


@pytest.mark.parametrize("listen", ["9750", ":80", "h:http", "h:65536", ""])
def test_other_addresses_are_refused(listen: str) -> None:
    (message,) = said_of_flags(urls=(URL,), listen=listen)
    assert message == f"--listen: must be host:port, such as 127.0.0.1:9750, or off, got {listen!r}"


@pytest.mark.parametrize(
    ("environment", "directory"),
    [
        ({"HOME": "/home/s"}, "/home/s/.local/state/sentinel/sentinel-"),
        ({"HOME": "/home/s", "XDG_STATE_HOME": "/x"}, "/x/sentinel/sentinel-"),
        ({"HOME": "/home/s", "XDG_STATE_HOME": "/x", "STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "/var/lib/a"),
    ],
)
def test_state_is_kept_where_the_system_wants_it(environment: dict[str, str], directory: str) -> None:
    assert str(load(overrides=Overrides(urls=(URL,)), environment=environment).state_dir).startswith(directory)


def test_daemons_that_watch_different_servers_keep_their_state_apart() -> None:
    environment = {"HOME": "/home/s"}
    one, other = (
        load(overrides=Overrides(urls=(url,)), environment=environment).state_dir
        for url in ("redis://127.0.0.1:1", "redis://127.0.0.1:2")
    )
    assert one != other


# A file


def test_everything_wrong_is_told_at_once_with_its_line(desk: Desk) -> None:
    assert desk.said(
        """\
        instance_id: ""
        targets:
          - url: http://h
            intervall: 3
          - name: b
            url: redis://b
            interval: -5
            db: first
            db: 2
          - name: b
            password_env: NO_SUCH
        receivers:
          ops:
            - kind: slak
            - kind: slack
              url: ${NO_SUCH}
        routes:
          - receiver: opps
            targets: [c]
            causes: [leek, mine]
        rules:
          - name: mine
            metric: redis_ping_seconds
            detector: {kind: ewma, half_life: 0}
            for: -1
          - name: leak
            metric: redis_ping_seconds
            detector: {kind: above, limit: x}
        causes:
          churn: off
          leek: off
          leak: true
        """
    ) == [
        "s.yaml:1: instance_id: must not be empty",
        "s.yaml:3: targets[0].url: not a target URL: it must begin with redis://, rediss:// (TLS) or unix://,"
        " such as redis://[user[:password]@]host[:port][/db]",
        "s.yaml:4: targets[0].intervall: is not known here; did you mean `interval`?",
        "s.yaml:7: targets[1].interval: must be above 0 seconds, got -5",
        "s.yaml:8: targets[1].db: must be a number, got 'first'",
        "s.yaml:9: targets[1].db: is given twice, first on line 8; keep one",
        "s.yaml:10: targets[2].name: b is the name of another, at s.yaml:5; choose another",
        "s.yaml:10: targets[2].url: is missing; add it",
        "s.yaml:11: targets[2].password_env: NO_SUCH is not in the environment; set it",
        "s.yaml:14: receivers.ops[0].kind: 'slak' is not known here; did you mean `slack`?",
        "s.yaml:16: receivers.ops[1].url: NO_SUCH is not in the environment; set it",
        "s.yaml:18: routes[0].receiver: there is no opps; did you mean `ops`?",
        "s.yaml:19: routes[0].targets[0]: there is no c; known here: b",
        "s.yaml:20: routes[0].causes[0]: there is no leek; did you mean `leak`?",
        "s.yaml:24: rules[0].detector.half_life: must be above 0 seconds, got 0",
        "s.yaml:25: rules[0].for: must be 0 seconds or more, got -1",
        "s.yaml:26: rules[1].name: leak is the name of a cause; choose another",
        "s.yaml:28: rules[1].detector.limit: must be a number, got 'x'",
        "s.yaml:31: causes.leek: is not known here; did you mean `leak`?",
        "s.yaml:32: causes.leak: must be a mapping of keys to values, got true or false",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s.yaml:1: targets: nothing to watch; add `- url: redis://HOST:6379`"),
        ("targets: []", "s.yaml:1: targets: nothing to watch; add `- url: redis://HOST:6379`"),
        ("- a", "s.yaml:1: must be a mapping of keys to values, got a list"),
        ("targets: [{url: 'redis://a'}]\nhttp:", "s.yaml:2: http: is empty; fill it or leave it out"),
        (
            "targets: [{url: 'redis://a'}]\nreceivers: {a: []}",
            "s.yaml:2: receivers.a: has no destination; add one, such as `- kind: slack`",
        ),
        (
            "targets: [{url: 'redis://a'}]\nreceivers: {a/b: [{kind: stdout}]}",
            "s.yaml:2: receivers.a/b: a receiver's name must not be empty or hold a /",
        ),
        ("targets: 'redis://a'", "s.yaml:1: targets: must be a list, got text"),
    ],
)
def test_what_is_wrong_with_a_whole_file_is_told(desk: Desk, text: str, message: str) -> None:
    assert desk.said(text) == [message]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "gone.yaml")
    assert str(raised.value) == f"{tmp_path}/gone.yaml: cannot be read: No such file or directory"


def test_plug_ins_get_their_settings_and_defaults_stay(desk: Desk) -> None:
    settings = desk.load(
        """\
        targets: [{url: "redis://a"}]
        causes:
          leak: {critical_within: 1h}
          churn: off
        rules:
          - name: mine
            metric: redis_ping_seconds
            detector: {kind: ewma, half_life: 10m}
            for: 30s
            severity: warning
        incidents: {history: 2h}
        """
    )
    assert settings.pipeline.causes["leak"] == CAUSES["leak"](critical_within=3600)  # type: ignore[call-arg]
    assert set(CAUSES) - set(settings.pipeline.causes) == {"churn"}
    (rule,) = settings.pipeline.rules
    assert (rule.for_, rule.severity, rule.detector()) == (30, Severity.WARNING, Ewma(half_life=600))
    assert settings.pipeline.incidents == IncidentSettings(history=7200)


def test_detectors_are_made_anew_for_each_series_and_can_be_pickled() -> None:
    (rule, *_) = from_flags(urls=(URL,), time_scale="2").pipeline.rules
    assert rule.detector() is not rule.detector()
    assert pickle.loads(pickle.dumps(rule.detector))() == Default()
    assert rule.false_alarms == 3.5 * 86400


def test_time_scale_shortens_what_the_pipeline_waits_for_and_nothing_else(desk: Desk) -> None:
    text = """\
        time_scale: 2
        targets: [{url: "redis://a", interval: 10s}]
        receivers: {ops: [{kind: stdout}]}
        routes: [{receiver: ops, repeat_interval: 1h}]
        causes: {leak: {critical_within: 1h}}
        rules:
          - {name: mine, metric: m, detector: {kind: ewma, half_life: 60s}, for: 30s}
        """
    settings, plain = desk.load(text), desk.load(text, time_scale="1")
    (rule,) = settings.pipeline.rules
    assert (rule.for_, rule.keep_firing_for, rule.adopt_after) == (15, 150, 43200)
    assert rule.detector() == Ewma(half_life=30)
    assert settings.pipeline.causes["leak"].critical_within == 1800
    assert settings.pipeline.causes["frozen"].for_ == plain.pipeline.causes["frozen"].for_ / 2
    assert settings.pipeline.incidents == IncidentSettings(150, 300, 1800, startup_grace=30, no_data_for=450)
    assert settings.pipeline.routes[0].repeat_interval == 1800
    assert settings.delivery == plain.delivery
    assert settings.targets[0].census.unused_after == plain.targets[0].census.unused_after / 2
    assert settings.targets[0].probe == plain.targets[0].probe
    assert settings.targets[0].interval == 10


def test_no_secret_is_shown(desk: Desk) -> None:
    settings = desk.load(
        """\
        targets:
          - url: redis://u:hunter2@a
            password: hunter2
        receivers:
          ops:
            - {kind: slack, url: "${SLACK}"}
            - {kind: webhook, url: "https://h/hunter2", authorization: hunter2, headers: {X-Key: hunter2}}
            - {kind: pagerduty, routing_key: hunter2}
        """
    )
    assert settings.targets[0].address.password == Secret("hunter2")
    assert "hunter2" not in repr(settings) + summary(settings)


def test_the_same_file_gives_the_same_settings(desk: Desk) -> None:
    text = "targets: [{url: 'redis://a', password_env: SLACK}]\nreceivers: {a: [{kind: slack, url: '${SLACK}'}]}"
    once, again = desk.load(text), desk.load(text)
    assert (once.targets, once.notifiers) == (again.targets, again.notifiers)
    assert repr(once.pipeline.rules) == repr(again.pipeline.rules)


# Both


def test_the_command_line_adds_to_the_file_and_wins(desk: Desk) -> None:
    settings = desk.load(
        """\
        instance_id: file
        targets:
          - {url: "redis://a", interval: 10s}
          - {name: "b:6379", url: "redis://old", timeout: 9s, username: kept}
        receivers: {ops: [{kind: stdout}]}
        routes: [{receiver: ops, causes: [leak]}]
        """,
        urls=("redis://b", "redis://c"),
        interval="1",
        instance_id="flag",
        webhooks=("https://a.example",),
    )
    a, b, c = settings.targets
    assert [(t.name, str(t.address), t.interval) for t in (a, b, c)] == [
        ("a:6379", "redis://a:6379", 1),
        ("b:6379", "redis://b:6379", 1),
        ("c:6379", "redis://c:6379", 1),
    ]
    assert (b.timeout, b.username, c.timeout) == (9, "kept", 2)
    assert settings.pipeline.instance_id == "flag"
    assert list(settings.notifiers) == ["ops/stdout", "cli/webhook"]
    assert settings.pipeline.routes == (Route("ops", causes=("leak",)), Route("cli"))


def test_errors_of_the_file_and_of_flags_are_told_together(desk: Desk) -> None:
    assert desk.said("targets: [{url: 'redis://a'}]\nlog: {levle: info}", interval="soon") == [
        "--interval: must be a duration such as 250ms, 10s, 5m, 2h or 3d, got 'soon'",
        "s.yaml:2: log.levle: is not known here; did you mean `level`?",
    ]


# Odd files

LINES = (Path(__file__).parents[2] / "config" / "sentinel.yaml").read_text().splitlines()
WORDS = [
    "",
    "-",
    "off",
    "-1",
    "1e999",
    "[]",
    "{}",
    "~",
    "'",
    "${",
    "&a [*a]",
    "x: y",
    "kind: ewma",
    "9" * 400,
    "\x00",
    "!x y",
]


@given(st.lists(st.tuples(st.integers(0, len(LINES) - 1), st.sampled_from(WORDS), st.booleans()), max_size=6))
def test_whatever_a_file_holds_it_is_settings_or_a_config_error(changes: list[tuple[int, str, bool]]) -> None:
    lines = list(LINES)
    for number, word, keep in changes:
        key, colon, _ = lines[number].partition(":")
        lines[number] = key + colon + " " + word if keep else word
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "s.yaml"
        path.write_text("\n".join(lines))
        with contextlib.suppress(ConfigError):
            load(path, environment=ENVIRONMENT)


# In words


def test_the_summary_says_what_is_watched_and_who_is_told(desk: Desk) -> None:
    settings = desk.load(
        """\
        state_dir: state
        targets: [{name: a, url: "rediss://u:p@h", interval: 90m}]
        receivers: {ops: [{kind: stdout}, {kind: slack, url: "${SLACK}"}], nobody: [{kind: stdout}]}
        routes:
          - {receiver: ops, causes: [leak], repeat_interval: 0}
          - {receiver: ops, targets: [a], min_severity: critical}
        causes: {churn: off}
        rules: [{name: mine, metric: m, detector: {kind: above, limit: 5}, for: 250ms}]
        http: {listen: off}
        time_scale: 1
        """
    )
    causes = ", ".join(name for name in CAUSES if name != "churn")
    assert summary(settings).splitlines() == [
        f"instance sentinel, state in {desk.path.parent}/state, http off",
        "watched:",
        "  a: rediss://h:6379, every 90m",
        "    and what is found of every job system",
        f"causes: {causes} (off: churn)",
        "rules:",
        "  mine: m by above, score from 1 for 250ms, info",
        "told:",
        "  ops/stdout: leak on all targets, from info, without reminders",
        "  ops/stdout: everything on a, from critical, again every 4h",
        "  ops/slack: leak on all targets, from warning, without reminders",
        "  ops/slack: everything on a, from critical, without reminders",
        "  nobody/stdout: nothing, no route names the receiver nobody",
    ]


def test_the_summary_names_queues_and_worker_groups(desk: Desk) -> None:
    settings = desk.load(
        """\
        targets:
          - url: redis://h
            queues: [{kind: list, key: jobs}, {kind: stream, key: s, group: g, name: encode}]
            heartbeats: [{kind: key, group: mailers, key: "hb:{client}"}]
        """
    )
    lines = summary(settings).splitlines()
    at = lines.index("watched:")
    assert lines[at + 2 : at + 5] == [
        "    queue jobs: list at jobs",
        "    queue encode: stream at s",
        "    heartbeats of mailers: key at hb:{client}",
    ]


# Rules that are there by default


def test_latency_churn_arrivals_and_errors_are_watched_by_the_default_detector() -> None:
    rules = from_flags(urls=(URL,)).pipeline.rules
    assert {rule.metric for rule in rules} >= {
        "redis_ping_seconds",
        "redis_connections_received_total",
        "queue_enqueued_total",
        "redis_errors_total",
        "queue_failed_total",
    }
    assert {(type(rule.detector()), rule.false_alarms) for rule in rules} == {(Default, 7 * 86400)}


def test_default_rules_are_information_which_no_destination_that_wakes_people_hears_unasked() -> None:
    for rule in default_rules():
        assert [rule.severity, *(level.severity for level in rule.levels)] == [Severity.INFO]
    # Alertmanager is told everything, with its severity, and routes by itself.
    waking = [one for kind, one in NOTIFIERS.items() if one.pages and kind != "alertmanager"]
    assert waking
    for notifier in waking:
        least = next(field.default for field in fields(notifier) if field.name == "min_severity")
        assert least > Severity.INFO, notifier


# Budgets


def budgeted(desk: Desk, rule: str) -> Rule:
    text = f"""\
        targets: [{{url: "redis://a"}}]
        receivers: {{ops: [{{kind: stdout}}]}}
        rules:
          - {rule}
        """
    (found,) = desk.load(text).pipeline.rules
    return found


@pytest.mark.parametrize(
    ("said", "seconds"), [("1/week", 7 * 86400), ("3/day", 28800), ("1/month", 30 * 86400), ("4d", 4 * 86400)]
)
def test_a_rule_may_state_how_often_it_is_wrong(desk: Desk, said: str, seconds: float) -> None:
    rule = budgeted(desk, f"{{name: mine, metric: m, detector: {{kind: ewma}}, false_alarms: {said}}}")
    assert (rule.false_alarms, rule.threshold, rule.for_, rule.learn) == (seconds, 0.5, 0.0, "always")


def test_a_rule_with_a_budget_takes_no_threshold(desk: Desk) -> None:
    with pytest.raises(ConfigError, match=r"threshold: must be left out where false_alarms is given, got 3"):
        budgeted(desk, "{name: mine, metric: m, detector: {kind: ewma}, false_alarms: 1/week, threshold: 3}")


def ensemble(desk: Desk, members: str) -> Rule:
    return budgeted(desk, f"{{name: mine, metric: m, detector: {{kind: ensemble, members: {members}, agree: 2}}}}")


def test_an_ensemble_names_its_members_and_shares_none_between_series(desk: Desk) -> None:
    make = ensemble(desk, "[{kind: ewma, half_life: 10m}, {kind: robust}]").detector
    one, other = make(), pickle.loads(pickle.dumps(make))()
    for minute in range(400):
        one.learn(60.0 * minute, minute % 7)
    assert repr(one.members) == repr((Ewma(half_life=600.0), Robust()))
    assert one.score(24000.0, 99.0) > 0.5
    assert other.score(24000.0, 99.0) is None
    assert make().score(24000.0, 99.0) is None


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ("[{kind: ewmaa}, {kind: robust}]", r"members\[0\]\.kind: .*ewma"),
        ("[{kind: ewma}, {kind: ensemble, members: [{kind: ewma}]}]", r"members\[1\]\.kind: .*"),
        ("[{kind: ewma, half_life: 0s}, {kind: robust}]", r"members\[0\]\.half_life: must be above 0"),
        ("[{kind: ewma}]", r"agree: must be from 1 to the number of members \(1\), got 2"),
    ],
)
def test_what_is_wrong_with_a_member_is_told_at_its_place(desk: Desk, members: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ensemble(desk, members)


def test_a_rule_may_look_at_several_metrics_at_once(desk: Desk) -> None:
    rule = budgeted(desk, "{name: mine, metric: m, beside: [n, o], detector: {kind: rs_hash}, false_alarms: 1/week}")
    assert (rule.beside, rule.detector()) == (("n", "o"), RsHash())


def test_metrics_beside_one_that_looks_at_none_are_told(desk: Desk) -> None:
    with pytest.raises(ConfigError, match=r"beside: must be left out: of all detectors only rs_hash"):
        budgeted(desk, "{name: mine, metric: m, beside: [n], detector: {kind: ewma}}")


def test_the_summary_says_what_budgets_cost_a_fleet(desk: Desk) -> None:
    text = """\
        targets: [{url: "redis://a"}, {url: "redis://b"}]
        receivers: {ops: [{kind: stdout}]}
        rules:
          - {name: mine, metric: m, detector: {kind: ewma}, false_alarms: 1/week, severity: warning}
          - {name: more, metric: n, detector: {kind: default}, false_alarms: 2/week, severity: warning}
        """
    # (1 + 2) a week and target
    assert "  warning: 6 false alarms a week with 2 targets of one series a rule; 3,000 with a thousand" in (
        summary(desk.load(text)).splitlines()
    )
