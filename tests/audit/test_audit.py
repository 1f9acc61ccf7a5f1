"""The audit of real servers: what is planted is named, and nothing more is needed than what it prints."""

from __future__ import annotations

import json
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from sentinel.audit.checks import remarks
from sentinel.audit.clients import grouped, rows
from sentinel.audit.look import Look
from sentinel.cli import main
from sentinel.config import load
from sentinel.embedded import EmbeddedServer
from sentinel.model import Sample, Series
from tests.servers import server

ORPHANS = 14
Text = pytest.CaptureFixture[str]


def said(capsys: Text, *arguments: str) -> tuple[int, str]:
    code = main(["audit", *arguments])
    return code, capsys.readouterr().out


def connected(port: int, stack: ExitStack, *commands: bytes) -> socket.socket:
    opened = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    for command in commands:
        opened.sendall(command + b"\r\n")
        opened.recv(65536)
    return opened


@pytest.fixture(scope="module")
def leaking() -> Iterator[EmbeddedServer]:
    """Unnamed connections whose last command is INFO, one after another, beside a pool that came at once."""
    with server("--maxclients", "500") as found, ExitStack() as stack:
        for number in range(12):
            connected(found.port, stack, b"CLIENT SETNAME api-%d" % number, b"GET x")
        for _ in range(ORPHANS):
            connected(found.port, stack, b"INFO")
            time.sleep(0.4)
        time.sleep(2.5)
        yield found


LOOK = ("--unused-after", "2")


def test_an_orphan_cohort_is_named_with_its_fingerprint_and_its_fix(leaking: EmbeddedServer, capsys: Text) -> None:
    code, text = said(capsys, leaking.url, *LOOK)
    text = " ".join(text.split())
    assert code == 2
    assert "danger leak: unnamed 127.0.0.0/24 info db0 holds 14 connections" in text
    assert "Known as ioredis-orphan" in text
    assert "quit() it in a finally" in text
    assert "https://github.com/hanshino/redive_linebot/issues/709" in text
    assert "the server is full in" in text


def test_a_pool_that_came_at_once_is_no_leak(leaking: EmbeddedServer, capsys: Text) -> None:
    _, text = said(capsys, leaking.url, *LOOK, "--json")
    leaks = [remark["says"] for remark in json.loads(text)["remarks"] if remark["about"] == "leak"]
    assert len(leaks) == 1
    groups = {group["group"]: group for group in json.loads(text)["groups"]}
    assert (groups["api-*"]["clients"], groups["api-*"]["unused"], groups["api-*"]["named"]) == (12, 12, True)


def test_a_users_fingerprint_wins_where_it_says_more(leaking: EmbeddedServer, capsys: Text, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text('- {id: shop, title: ours, match: {name: "", cmd: info, db: "0"}, fix: Update, fixed_in: "2.1"}')
    _, text = said(capsys, leaking.url, *LOOK, "--fingerprints", str(own))
    assert "Known as shop: ours" in text
    assert "Fixed in 2.1" in text


def test_text_has_no_colour_where_there_is_no_terminal(leaking: EmbeddedServer, capsys: Text) -> None:
    assert "\x1b" not in said(capsys, leaking.url)[1]


def test_markdown_is_two_tables_and_the_line(leaking: EmbeddedServer, capsys: Text) -> None:
    _, text = said(capsys, leaking.url, *LOOK, "--markdown")
    assert text.startswith(f"# Audit of {leaking.url}\n")
    assert re.search(r"^\| danger \| leak \| .* \| .*\[1\]\(https://", text, re.MULTILINE)
    assert re.search(r"^\| 14 \| 14 \| 1 \| `unnamed 127\.0\.0\.0/24 info db0` \|$", text, re.MULTILINE)
    assert "\nACL SETUSER " in text


@pytest.mark.parametrize("debian", [False, True], ids=["embedded", "Debian's"])
def test_the_printed_line_is_enough_and_nothing_in_it_is_unknown(capsys: Text, debian: bool) -> None:
    binary = Path("/usr/bin/redis-server") if debian else None
    if debian and not Path("/usr/bin/redis-server").exists():
        pytest.skip("needs Debian's redis-server")
    with EmbeddedServer("--maxclients", "100", binary=binary) as running:
        with redis.Redis(port=running.port) as administrator:
            administrator.sadd("rq:queues", "rq:queue:mail")
            administrator.rpush("rq:queue:mail", "a-job")
            first = json.loads(said(capsys, running.url, "--json")[1])
            line = first["acl"].replace(">PASSWORD", ">secret")
            assert administrator.execute_command(*line.split()) == b"OK"
        own = running.url.replace("redis://", "redis://sentinel:secret@")
        second = json.loads(said(capsys, own, "--json")[1])
    assert second["forbidden"] == second["notes"] == []
    assert second["queues"]
    assert (second["queues"], second["acl"]) == (first["queues"], first["acl"])
    assert second["ceiling"]["limit"] == first["ceiling"]["limit"] == 100
    about = [{remark["about"] for remark in each["remarks"]} for each in (first, second)]
    assert about[0] - about[1] == {"deploy", "names"}  # of the administrator's own connection


def test_what_may_not_be_asked_is_told_and_the_rest_is_not_lost(capsys: Text) -> None:
    with server("--maxclients", "100") as running:
        with redis.Redis(port=running.port) as administrator:
            administrator.execute_command("ACL", "SETUSER", "blind", "on", ">secret", "-@all", "+info", "+ping")
        code, text = said(capsys, running.url.replace("redis://", "redis://blind:secret@"), "--json")
    audit = json.loads(text)
    assert code == 0
    assert {"CLIENT LIST", "CONFIG GET"} <= set(audit["forbidden"])
    assert audit["ceiling"]["limit"] == 100
    assert audit["groups"] == []


def test_a_server_that_cannot_be_looked_at_is_neither_ok_nor_in_danger(capsys: Text) -> None:
    assert main(["audit", "redis://me:hunter2@127.0.0.1:1"]) == 3
    error = capsys.readouterr().err
    assert "nobody listens there" in error
    assert "hunter2" not in error


def test_the_configuration_to_begin_with_is_right_and_holds_no_password(capsys: Text, tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    with server("--requirepass", "hunter2") as running:
        with redis.Redis(port=running.port, password="hunter2") as administrator:
            administrator.sadd("rq:queues", "rq:queue:mail")
        url = running.url.replace("redis://", "redis://:hunter2@")
        said(capsys, url, "--write-config", str(file))
        assert "hunter2" not in file.read_text()
        settings = load(file, environment={"REDIS_PASSWORD": "hunter2", "HOME": str(tmp_path)})
        (target,) = settings.targets
        assert str(target.address) == running.url
        assert target.discover.systems == ("rq",)
        assert settings.tape.keep
        assert main(["audit", url, "--write-config", str(file)]) == 1
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "about", "says", "code"),
    [
        (("--tcp-keepalive", "0"), "tcp-keepalive", "kept for ever", 1),
        (("--client-output-buffer-limit", "pubsub 0 0 0"), "output buffers", "has no bound", 1),
        (("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), "eviction", "jobs will be lost", 2),
        (("--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"), "eviction", "jobs will be lost", 1),
    ],
)
def test_a_silent_limit_is_found(capsys: Text, options: tuple[str, ...], about: str, says: str, code: int) -> None:
    with server(*options) as running:
        with redis.Redis(port=running.port) as administrator:
            administrator.sadd("rq:queues", "rq:queue:mail")
            administrator.rpush("rq:queue:mail", "a-job")
            administrator.sadd("rq:workers", "rq:worker:w1")
            administrator.hset("rq:worker:w1", mapping={"queues": "mail", "state": "idle"})
        found, text = said(capsys, running.url, "--json")
    told = [remark["says"] for remark in json.loads(text)["remarks"] if remark["about"] == about]
    assert told, text
    assert says in told[0]
    assert found >= code


def test_a_cache_beside_queues_is_found(capsys: Text) -> None:
    with server() as running:
        with redis.Redis(port=running.port) as administrator:
            administrator.sadd("rq:queues", "rq:queue:mail")
            with administrator.pipeline() as pipe:
                for number in range(1000):
                    pipe.set(f"cache:{number}", 1, ex=1000)
                pipe.execute()
        _, text = said(capsys, running.url)
    assert "one server for all" in text


def test_nearly_full_is_danger_and_so_is_a_deploy_that_does_not_fit(capsys: Text) -> None:
    with server("--maxclients", "60") as running, ExitStack() as stack:
        for _ in range(44):
            connected(running.port, stack, b"CLIENT SETNAME web", b"GET x")
        code, text = said(capsys, running.url)
        assert code == 2
        assert re.search(r"attention +head-room now: 4\d of 60 clients", text)
        assert re.search(r"danger +deploy: .* web alone does not fit either", " ".join(text.split()))


def test_births_spread_over_time_are_a_leak_and_a_burst_is_not() -> None:
    def listed(ages: list[int]) -> str:
        line = "id={n} addr=10.0.0.1:{n} name= age={age} idle={age} flags=N db=0 cmd=get user=default lib-name="
        return "\n".join(line.format(n=number, age=age) for number, age in enumerate(ages, 1))

    (steady,) = grouped(rows(listed(list(range(600, 3600, 60)))), 600)
    (burst,) = grouped(rows(listed([3600, *[900] * 49])), 600)
    assert steady.cohort.spread
    assert not burst.cohort.spread
    assert len(steady.cohort) == len(burst.cohort) == 50
    assert steady.cohort.pace == pytest.approx(25 / 2040)


@pytest.mark.parametrize(
    ("server_up", "room", "said"),
    [(30.0, 2000.0, True), (2.0, 2000.0, False), (30.0, 100.0, False)],
    ids=["a leak younger than its server", "as old as its server", "full before it is as old again"],
)
def test_a_leak_that_restarts_take_away_is_told_with_what_a_freeze_does(
    server_up: float, room: float, said: bool
) -> None:
    """One more each 20 minutes for 40 hours: of 2,000 places, full after 26 days without a restart."""
    day = 86400.0
    line = "id={n} addr=10.0.0.1:{n} name=api age={age} idle={age} flags=N db=0 cmd=get user=default lib-name="
    listed = "\n".join(line.format(n=n, age=1200 * n) for n in range(1, 121))
    values = {"redis_max_clients": room + 120.0, "redis_connected_clients": 120.0}
    values["redis_uptime_seconds"] = server_up * day
    seen = Look("a", samples=tuple(Sample(Series(name, ()), 0.0, value) for name, value in values.items()))
    found = [each for each in remarks(seen, grouped(rows(listed), 600), ()) if each.about == "freeze"]
    assert bool(found) is said
    if said:
        assert re.search(
            r"the oldest of them is 40 h old, the server 30 d; .* it is full 2\d d from now", found[0].says
        )


def spent(administrator: redis.Redis) -> float:
    """Seconds that the server's main thread has worked: unlike the time that commands took, none of it is waiting."""
    cpu = administrator.info("cpu")
    return float(cpu["used_cpu_user_main_thread"]) + float(cpu["used_cpu_sys_main_thread"])


@pytest.mark.slow
def test_five_thousand_clients_cost_the_server_less_than_20_ms(capsys: Text) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 12000)), hard))
    with server("--maxclients", "6000") as running, ExitStack() as stack:
        for _ in range(5000):
            connected(running.port, stack, b"PING")
        with redis.Redis(port=running.port) as administrator:
            costs = []
            for _ in range(5):
                before = spent(administrator)
                said(capsys, running.url)
                costs.append(1000 * (spent(administrator) - before))
    assert min(costs) < 20, costs
