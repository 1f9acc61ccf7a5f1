"""What is deployed fits what is built: commands, flags, paths and metric names that the files in deploy/ speak of."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from sentinel.cli import main
from sentinel.metrics import Metrics

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNIT = (DEPLOY / "sentinel.service").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
RULES = yaml.safe_load((DEPLOY / "prometheus" / "sentinel-rules.yml").read_text())


def docker(instruction: str) -> str:
    """The last line of a Dockerfile's instruction."""
    return re.findall(rf"^{instruction} (.*)$", DOCKERFILE, re.MULTILINE)[-1]


def setting(name: str) -> str:
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)[-1]


COMMANDS = {
    "unit": shlex.split(setting("ExecStart"))[1:],
    "image": json.loads(docker("CMD")),
    "compose": COMPOSE["services"]["sentinel"]["command"],
}


@pytest.mark.parametrize("place", COMMANDS)
def test_deployed_commands_use_flags_that_exist(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, *arguments = COMMANDS[place]
    with pytest.raises(SystemExit):
        main([command, "--help"])
    helped = capsys.readouterr().out
    assert [flag for flag in arguments if flag.startswith("--") and flag not in helped] == []


def test_what_the_image_copies_is_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    missing = [name for line in copied for name in line.split() if not (ROOT / name).exists()]
    assert missing == []


def test_what_the_image_copies_is_let_through() -> None:
    let_through = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    assert {f"!{name}" for name in copied} <= set(let_through)


def test_the_image_does_not_run_as_root() -> None:
    assert int(docker("USER")) > 0


def test_the_daemon_is_given_time_to_stop() -> None:
    assert int(setting("TimeoutStopSec")) > 10
    assert COMPOSE["services"]["sentinel"]["stop_grace_period"] == "20s"


def test_compose_publishes_the_pages_on_loopback_only() -> None:
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE["services"]["sentinel"]["ports"])


async def test_rules_speak_of_metrics_that_exist() -> None:
    exposed = (await Metrics("1").exposition()).decode()
    known = set(re.findall(r"^# TYPE (\S+) ", exposed, re.MULTILINE)) | {"sentinel_sampler_up"}
    spoken = {name for rule in RULES["groups"][0]["rules"] for name in re.findall(r"sentinel_\w+", rule["expr"])}
    assert spoken
    assert spoken <= known


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")
def test_prometheus_accepts_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", DEPLOY / "prometheus" / "sentinel-rules.yml"], check=True)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "sentinel.service"
    unit.write_text(UNIT.replace("/opt/sentinel/bin/sentinel", "/bin/true"))
    answer = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
