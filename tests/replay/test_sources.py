"""Histories that others kept: Prometheus' API, what was saved of it, and tables."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from aiohttp import web

from sentinel.cli import main
from sentinel.model import Poll, Secret, Series, labels
from sentinel.replay.names import SELECTOR, Row, polls
from sentinel.replay.prometheus import HistoryError, Prometheus, read_export
from sentinel.replay.table import read_table

NOW = 1764000000.0
SCRAPE = {"instance": "redis-a:6379", "job": "redis"}


def values(poll: Poll) -> dict[str, float]:
    return {s.series.metric + "".join(f" {v}" for _, v in s.series.labels): s.value for s in poll.samples}


def row(name: str, value: float, time: float = NOW, **more: str) -> Row:
    return Row(time, name, SCRAPE | more, value)


# Names


def test_the_exporters_names_become_ours_and_one_scrape_one_poll() -> None:
    (poll,) = polls(
        [
            row("redis_up", 1),
            row("redis_connected_clients", 412),
            row("redis_config_maxclients", 10000),
            row("redis_rejected_connections_total", 3),
            row("redis_commands_processed_total", 99),
            row("redis_connected_slaves", 1),
            row("redis_errors_total", 4, err="NOPERM"),
            row("redis_key_size", 17, key="jobs", db="db0"),
            row("redis_instance_info", 1, role="master", redis_version="7.0.15", maxmemory_policy="noeviction"),
            row("redis_memory_used_rss_bytes", 5),
            row("redis_slowlog_length", 5),
        ]
    )
    assert (poll.target, poll.time) == ("redis-a:6379", NOW)
    assert {sample.time for sample in poll.samples} == {NOW}
    assert values(poll) == {
        "sampler_up info": 1,
        "redis_connected_clients": 412,
        "redis_max_clients": 10000,
        "redis_connections_rejected_total": 3,
        "redis_commands_total": 99,
        "redis_connected_replicas": 1,
        "redis_errors_total NOPERM": 4,
        "queue_depth jobs": 17,
        "redis_info master redis 7.0.15": 1,
        "redis_memory_noeviction": 1,
    }


def test_what_info_says_of_the_ceiling_wins_over_what_is_configured() -> None:
    for order in (1, -1):
        rows = [row("redis_max_clients", 268), row("redis_config_maxclients", 10000)][::order]
        (poll,) = polls(rows)
        assert values(poll) == {"redis_max_clients": 268}


def test_a_server_that_is_down_is_told_as_one_that_cannot_be_read() -> None:
    (poll,) = polls([row("redis_up", 0)])
    assert values(poll) == {"sampler_up info": 0, "sampler_failed refused info": 1}


def test_an_uptime_that_falls_is_a_restart() -> None:
    told = polls([row("redis_uptime_in_seconds", up, NOW + at) for at, up in enumerate((100, 115, 5, 20))])
    assert [values(poll)["redis_restarts_total"] for poll in told] == [0, 0, 1, 1]


def test_our_own_metrics_are_taken_as_they_are_by_their_target() -> None:
    (poll,) = polls(
        [
            Row(NOW, "redis_group_clients", {**SCRAPE, "target": "redis-b", "group": "api"}, 7),
            Row(NOW, "sentinel_sampler_up", {**SCRAPE, "target": "redis-b", "sampler": "census"}, 1),
        ]
    )
    assert poll.target == "redis-b"
    assert [sample.series for sample in poll.samples] == [
        Series("redis_group_clients", labels(group="api")),
        Series("sampler_up", labels(sampler="census")),
    ]


def test_another_label_may_name_the_target() -> None:
    (poll,) = polls([row("redis_connected_clients", 1, pod="redis-7")], target_label="pod")
    assert poll.target == "redis-7"


@pytest.mark.parametrize("name", ["redis_up", "redis_connected_clients", "redis_group_unused_clients", "queue_depth"])
def test_what_can_be_used_is_asked_for(name: str) -> None:
    assert re.fullmatch(SELECTOR, name)


@pytest.mark.parametrize("name", ["redis_db_keys", "redis_commands_duration_seconds_total", "node_load1"])
def test_what_cannot_be_used_is_not(name: str) -> None:
    assert not re.fullmatch(SELECTOR, name)


# The API


class FakePrometheus:
    """Instant queries of range selectors over one series, as Prometheus answers them."""

    def __init__(self, times: list[float], most: int = 10**9, closed: bool = False, token: str = "") -> None:
        self.times, self.most, self.closed, self.token = times, most, closed, token
        self.asked = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401, text="no")
        form = await request.post()
        end, length = float(str(form["time"])), re.search(r"\[(\d+)ms\]$", str(form["query"]))
        assert length is not None
        start = end - int(length[1]) / 1000
        found = [t for t in self.times if (start <= t if self.closed else start < t) and t <= end]
        if len(found) > self.most:
            error = "query processing would load too many samples into memory in query execution"
            return web.json_response({"status": "error", "errorType": "execution", "error": error}, status=422)
        metric = {"__name__": "redis_connected_clients", **SCRAPE}
        series = [{"metric": metric, "values": [[t, "5"] for t in found]}] if found else []
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": series}})

    async def ask(self, since: float, until: float, token: str | None = None) -> list[float]:
        app = web.Application()
        app.router.add_post("/prom/api/v1/query", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            url = f"http://user:hunter2@127.0.0.1:{runner.addresses[0][1]}/prom/"
            history = Prometheus(url, Secret(token) if token else None)
            return [row.time async for page in history.rows(since, until) for row in page]
        finally:
            await runner.cleanup()


@pytest.mark.parametrize("closed", [False, True], ids=["left end out", "left end in"])
async def test_pages_lose_nothing_and_double_nothing(closed: bool) -> None:
    times = [NOW + 900.0 * n for n in range(1, 97)]
    server = FakePrometheus(times, closed=closed)
    assert await server.ask(NOW, NOW + 86400) == times
    assert server.asked == 4


async def test_a_page_that_is_too_much_for_the_server_is_asked_for_in_halves() -> None:
    times = [NOW + 60.0 * n for n in range(1, 1441)]
    server = FakePrometheus(times, most=100)
    assert await server.ask(NOW, NOW + 86400) == times


async def test_a_gap_is_no_value() -> None:
    times = [NOW + 15, NOW + 30, NOW + 7200, NOW + 7215]
    assert await FakePrometheus(times).ask(NOW, NOW + 86400) == times


async def test_a_token_is_sent_and_its_absence_told_without_any_secret() -> None:
    server = FakePrometheus([NOW + 1], token="t0ken")
    assert await server.ask(NOW, NOW + 60, token="t0ken") == [NOW + 1]
    with pytest.raises(HistoryError, match="answered 401.*--token-file") as error:
        await server.ask(NOW, NOW + 60)
    assert "hunter2" not in str(error.value)


async def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(HistoryError, match="does not answer"):
        async for _ in Prometheus("http://me:hunter2@127.0.0.1:1").rows(NOW, NOW + 60):
            pass
    assert "hunter2" not in repr(Prometheus("http://me:hunter2@127.0.0.1:1"))


# What was saved

METRIC = {"__name__": "redis_connected_clients", **SCRAPE}
SAVED = [Row(NOW, METRIC["__name__"], METRIC, 5.0), Row(NOW + 15, METRIC["__name__"], METRIC, 6.0)]
PAIRS = [[NOW, "5"], [NOW + 15, "6"]]
EXPORTS = {
    "an answer": json.dumps({"status": "success", "data": {"result": [{"metric": METRIC, "values": PAIRS}]}}),
    "VictoriaMetrics": json.dumps({"metric": METRIC, "values": [6, 5], "timestamps": [(NOW + 15) * 1000, NOW * 1000]}),
    "promtool": "\n".join(
        f'{{__name__="redis_connected_clients", instance="redis-a:6379", job="redis"}} {value} {int(time * 1000)}'
        for time, value in PAIRS
    ),
}


@pytest.mark.parametrize("kind", EXPORTS)
def test_an_export_is_read(tmp_path: Path, kind: str) -> None:
    (tmp_path / "e.json").write_text(EXPORTS[kind])
    assert list(read_export(tmp_path / "e.json")) == SAVED


@pytest.mark.parametrize("text", ["{}", "[]", "hello", '{"data": {"result": [{"metric": {}}]}}'])
def test_what_is_no_export_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "e.json").write_text(text)
    with pytest.raises(HistoryError, match="is not an answer of"):
        list(read_export(tmp_path / "e.json"))


def test_a_table_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        'time,target,redis_connected_clients,"redis_group_clients{group=""api""}"\n'
        "2025-11-24T16:00:00Z,a,5,3\n"
        "1764000005,a,6,\n"
    )
    first, second = polls(read_table(tmp_path / "t.csv"))
    assert (first.target, first.time, values(first)) == (
        "a",
        NOW,
        {"redis_connected_clients": 5, "redis_group_clients api": 3},
    )
    assert (second.time, values(second)) == (NOW + 5, {"redis_connected_clients": 6})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "needs a column `time`"),
        ("time,load\n1,2\n", "needs a column `time`"),
        ("time,redis_x y\n", "t.csv:1: 'redis_x y'"),
        ("time,redis_connected_clients\n1,2,3\n", "t.csv:2: has 3 cells"),
        ("time,redis_connected_clients\n1,2\nsoon,3\n", "t.csv:3: "),
        ("time,redis_connected_clients\n1,many\n", "t.csv:2: "),
    ],
)
def test_a_table_that_is_wrong_says_where(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(HistoryError, match=re.escape(says)):
        list(read_table(tmp_path / "t.csv"))


def test_the_command_replays_a_table_and_keeps_it_as_a_tape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["time,redis_connected_clients,redis_max_clients,redis_connections_rejected_total"]
    lines += [f"{NOW + 15 * n},{min(100, 40 + n // 4)},100,{max(0, n - 240)}" for n in range(400)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    kept = tmp_path / "kept.jsonl.gz"
    assert main(["replay", str(tmp_path / "t.csv"), "--keep-tape", str(kept)]) == 0
    first = capsys.readouterr().out
    assert "exhaustion on redis" in first
    assert main(["replay", str(kept)]) == 0
    assert capsys.readouterr().out == first


def test_a_source_that_holds_nothing_of_ours_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "e.json").write_text(json.dumps({"data": {"result": []}}))
    assert main(["replay", str(tmp_path / "e.json")]) == 1
    assert "holds nothing of redis_exporter or Sentinel" in capsys.readouterr().err
