"""A real Prometheus that scrapes a real redis_exporter while a server is leaked on, and what a replay of it says."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from sentinel.cli import main
from sentinel.embedded import EmbeddedServer, free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("prometheus-redis-exporter")),
        reason="needs prometheus and prometheus-redis-exporter",
    ),
]

CEILING = 200
BEFORE, LEAKED_AT_MOST, AFTER = 15.0, 120.0, 6.0
CONFIG = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: redis
    static_configs: [{{targets: ["127.0.0.1:{exporter}"], labels: {{server: redis-a}}}}]
"""


@contextmanager
def running(*command: str, log: Path) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=log.parent)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def answers(url: str) -> str:
    """What it says, once it does."""
    until = monotonic() + 20
    while True:
        try:
            with urlopen(url, timeout=2) as response:
                text: str = response.read().decode()
                return text
        except (URLError, OSError):
            if monotonic() > until:
                raise
            sleep(0.1)


def leak(server: EmbeddedServer) -> None:
    """Three connections a second that are never closed, until the server refuses, and a while beyond."""
    with ExitStack() as stack:
        until = monotonic() + LEAKED_AT_MOST
        refused = False
        while monotonic() < until:
            opened = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            opened.sendall(b"PING\r\n")
            if not refused and not opened.recv(100).startswith(b"+PONG"):
                refused, until = True, monotonic() + AFTER
            sleep(1 / 3)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    exporter, port = free_port(), free_port()
    (folder / "prometheus.yml").write_text(CONFIG.format(exporter=exporter))
    listen = f"127.0.0.1:{port}"
    with (
        EmbeddedServer("--maxclients", str(CEILING)) as server,
        running(
            *("prometheus-redis-exporter", "-redis.addr", server.url),
            *("-web.listen-address", f"127.0.0.1:{exporter}"),
            log=folder / "exporter.log",
        ),
        running(
            *("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
            f"--web.listen-address={listen}",
            log=folder / "prometheus.log",
        ),
    ):
        answers(f"http://127.0.0.1:{exporter}/metrics")
        answers(f"http://{listen}/-/ready")
        sleep(BEFORE)
        leak(server)
        yield f"http://{listen}"


def test_a_leak_is_reported_with_its_lead(prometheus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("time_scale: 15\n")
    shown = ["--since", "10m", "--target-label", "server", "-c", str(config), "--json"]
    assert main(["replay", prometheus, *shown]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["targets"] == ["redis-a"]
    assert report["samples"] > 500
    told = report["verdicts"][str(config)]["told"]
    assert told, report
    assert {each["cause"] for each in told} <= {
        *("leak", "flood", "exhaustion", "refused", "unreachable")
    }  # totals do not say who; at the wall the exporter itself gets no connection
    leads = [each["lead_seconds"] for each in told if each["wall"] is not None]
    assert 5 < max(leads) < LEAKED_AT_MOST


def test_a_saved_answer_says_the_same_as_the_server(
    prometheus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "saved.json"
    selector = '{__name__=~"redis_.*"}[10m]'
    saved.write_text(answers(f"{prometheus}/api/v1/query?{urlencode({'query': selector})}"))
    shown = ["--target-label", "server", "--json"]
    assert main(["replay", str(saved), *shown]) == 0
    from_file = json.loads(capsys.readouterr().out)
    until = str(from_file["to"] + 0.001)
    assert main(["replay", prometheus, "--since", "10m", "--until", until, *shown]) == 0
    from_server = json.loads(capsys.readouterr().out)
    keys = ("targets", "from")
    assert [from_file[key] for key in keys] == [from_server[key] for key in keys]
    assert from_file["verdicts"] == from_server["verdicts"]
