"""Replies that pile up: for whom, for how long, and what is only one large reply."""

from __future__ import annotations

from sentinel.model import Series, Severity, labels
from sentinel.pipeline.diagnosis.client_buffers import ClientBuffers
from tests.pipeline.diagnosis.server import Server

MIB = 1 << 20
ROW = {"name": "feed-3", "addr": "10.0.0.7:51000", "cmd": "subscribe", "id": "77", "omem": str(30 * MIB)}


def server(largest: float = 0.0, together: float = 10 * MIB, limit: float = 1000 * MIB) -> Server:
    made = Server(ClientBuffers(), redis_client_output_buffer_max_bytes=largest, redis_memory_max_bytes=limit)
    return made.set(redis_memory_clients_bytes=together)


def named(one: Server) -> Server:
    one.exemplars[Series("redis_client_output_bytes")] = labels(**ROW)
    return one.set(redis_client_output_bytes=30.0 * MIB)


def test_eight_mebibytes_for_a_minute_are_a_warning_with_the_clients_name() -> None:
    one = named(server(30 * MIB, together=40 * MIB))
    assert one.run(60) == []
    (finding,) = one.tick()
    assert finding.severity is Severity.WARNING
    assert finding.summary == (
        "Replies pile up for feed-3 (last command SUBSCRIBE): 30 MiB since 16:00 UTC. All buffers of clients take "
        "40 MiB, 4% of 1,000 MiB."
    )
    assert finding.culprit is not None
    assert finding.culprit.name == "feed-3"
    assert finding.culprit.detail.endswith("75% of all buffers")
    assert finding.first_action.startswith("CLIENT KILL ID 77 frees the memory at once")


def test_a_quarter_of_the_memory_is_critical_however_many_share_it() -> None:
    found = server(together=260 * MIB).run(70)
    assert found[0].severity is Severity.CRITICAL
    assert "for a client: " in found[0].summary


def test_one_large_reply_is_not_told() -> None:
    one = server(200 * MIB)
    assert one.run(55) == []
    assert one.set(redis_client_output_buffer_max_bytes=0.0).run(300) == []


def test_it_ends_below_four_fifths_of_the_line_and_forgets_the_client() -> None:
    one = named(server(9 * MIB))
    one.run(70)
    assert one.set(redis_client_output_buffer_max_bytes=7.0 * MIB).tick() != []
    one.drop("redis_client_output_bytes")
    assert one.set(redis_client_output_buffer_max_bytes=6.0 * MIB).tick() == []
    found = one.set(redis_client_output_buffer_max_bytes=9.0 * MIB).run(70)
    assert found[-1].culprit is None


def test_the_usual_little_of_many_clients_is_not_told() -> None:
    assert server(largest=20480.0, together=90 * MIB).run(600) == []
