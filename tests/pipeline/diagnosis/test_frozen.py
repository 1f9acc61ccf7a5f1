"""No answer, or BUSY, told as one trouble."""

from __future__ import annotations

from sentinel.model import Severity
from sentinel.pipeline.diagnosis.frozen import Frozen
from tests.pipeline.diagnosis.server import Server


def steady() -> Server:
    server = Server(Frozen(), redis_connected_clients=100.0)
    assert server.run(60) == []
    return server


def test_silence_is_critical_after_half_a_minute() -> None:
    server = steady().down("timeout")
    assert server.run(30) == []
    (finding,) = server.tick()
    assert finding.severity is Severity.CRITICAL
    assert finding.summary == (
        "redis-a has not answered since 16:01 UTC (30 s): whatever is sent to it waits or is lost."
    )


def test_a_poll_that_waited_tells_of_the_time_until_its_end() -> None:
    server = steady().down("timeout").set(poll_seconds=2.0)
    server.hidden.discard("poll_seconds")
    assert server.run(25) == []
    (finding,) = server.run(10)
    assert finding.value == 32.0


def test_a_script_that_holds_everyone_up_is_told_with_the_way_to_kill_it() -> None:
    server = steady().down("timeout")
    server.run(10)
    found = server.down("busy").run(60)
    assert found[-1].since == server.now - 65.0  # the silence before BUSY is part of it
    assert "tells everyone BUSY: a script has been running since 16:01 UTC" in found[-1].summary
    assert found[-1].first_action.startswith("SCRIPT KILL ends it")


def test_a_blip_is_not_told_and_an_answer_ends_it() -> None:
    server = steady()
    assert server.down("timeout").run(30) == []
    assert server.up().run(60) == []


def test_a_server_that_refuses_is_left_to_unreachable() -> None:
    assert steady().down("refused").run(300) == []
