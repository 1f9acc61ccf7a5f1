"""Workers from poll to poll: lost, gone, forgotten, too many."""

from __future__ import annotations

from sentinel.samplers.base import Client
from sentinel.samplers.queues.ageing import Ageing, Peeking
from sentinel.samplers.queues.base import Sight
from sentinel.samplers.queues.fleet import Fleet, Presence
from tests.samplers.adapters.conftest import told


def values(fleet: Fleet, clock: float) -> dict[tuple[str, str], float]:
    return told(list(fleet.samples(clock, clock)))


def test_a_worker_that_is_not_seen_any_more_is_lost_for_an_hour_and_then_forgotten() -> None:
    fleet = Fleet("rq", 15.0)
    fleet.beat("w", "g", 1000.0, 1000.0)
    assert values(fleet, 4600.0)["heartbeat_age_seconds", "w"] == 3600
    assert values(fleet, 4601.0) == {}


def test_a_worker_that_left_is_told_of_for_a_minute_and_comes_back_with_a_beat() -> None:
    fleet = Fleet("rq", 15.0)
    fleet.beat("w", "g", 1000.0, 1000.0)
    fleet.leave("w", 1010.0)
    assert values(fleet, 1070.0) == {("worker_gone", "w"): 1}
    assert values(fleet, 1071.0) == {}
    fleet.leave("w", 1080.0)
    fleet.beat("w", "g", 1090.0, 1090.0)
    assert ("worker_gone", "w") not in values(fleet, 1090.0)


def test_one_that_was_lost_did_not_leave_unless_it_says_so() -> None:
    fleet = Fleet("rq", 15.0)
    for worker in ("cleared", "late"):
        fleet.beat(worker, "g", 1000.0, 1000.0)
    fleet.leave("cleared", 1020.0)
    fleet.leave("late", 1020.0, said=True)
    assert values(fleet, 1020.0) == {("worker_gone", "late"): 1}


def test_a_beat_that_lies_ahead_is_skew_and_no_negative_age() -> None:
    fleet = Fleet("sidekiq", 30.0)
    fleet.beat("w", "g", 1030.0, 1000.0)
    found = values(fleet, 1000.0)
    assert (found["heartbeat_age_seconds", "w"], found["worker_clock_skew_seconds", "w"]) == (0, 30)


def test_workers_beyond_two_thousand_and_long_dead_ones_are_not_taken_in() -> None:
    fleet = Fleet("rq", 15.0)
    fleet.beat("dead", "g", 1000.0, 9000.0)
    for number in range(2005):
        fleet.beat(f"w{number}", "g", 9000.0, 9000.0)
    assert len(fleet) == 2000
    assert "dead" not in fleet


def test_without_a_counter_an_age_begins_anew_whenever_the_next_job_is_another() -> None:
    queue = Ageing()
    readings = [(5, 1, 0.0), (5, 1, 10.0), (5, 2, 20.0), (6, 2, 50.0), (0, None, 60.0), (1, 3, 70.0)]
    assert [queue.age(depth, head, clock) for depth, head, clock in readings] == [0, 10, 0, 30, 0, 0]


def test_where_payloads_are_alike_a_counter_that_rose_means_that_the_next_job_is_another() -> None:
    queue = Ageing(unique=False)
    readings = [(2, 1, 0.0, 10), (2, 1, 10.0, 10), (2, 1, 20.0, 12)]
    assert [queue.age(depth, head, clock, finished) for depth, head, clock, finished in readings] == [0, 10, 0]


def test_a_long_backlog_is_remembered_in_bounded_memory() -> None:
    queue = Ageing()
    for second in range(10_000):
        age = queue.age(second + 1, 7, float(second))
    assert age == 9999
    assert len(queue._arrivals) <= 720


def test_a_payload_of_half_a_megabyte_is_fetched_again_after_two_minutes() -> None:
    peeking = Peeking()
    assert peeking.fetched("k", b"x" * 512 * 1024, 1000.0) is not None
    assert not peeking.may("k", 1119.0)
    assert peeking.may("k", 1120.0)
    assert peeking.may("other", 1000.0)


class Pool:
    """Connections of workers on two hosts, and who is seen when some of them ask."""

    def __init__(self) -> None:
        self.presence = Presence(Fleet("arq", 30.0), quiet=5.0)

    def seen(self, clock: float, asking: str, silent: str = "", *, needed: bool = True, busy: bool = False) -> set[str]:
        """Each connection is a letter, of the second host a capital one; the ages of workers that are late are told."""
        clients = [
            Client(ord(one), f"10.0.0.{1 + one.isupper()}:{ord(one)}", "", 900, idle, False, 0, cmd)
            for letters, cmd, idle in ((asking, "zrangebyscore", 0), (silent, "exec", 20))
            for one in letters
        ]
        workers = self.presence.recognized(clients, lambda client: client.cmd == "zrangebyscore")
        self.presence.see("g", workers, clock, clock, needed=needed, busy=busy)
        return {letter(worker) for worker in workers}

    def all_seen(self, clock: float, asking: str, silent: str = "", hanging: str = "", *, busy: bool) -> None:
        """As told by one system, with work waiting."""
        clients = [
            Client(ord(one), f"10.0.0.1:{ord(one)}", "", 900, idle, False, 0, cmd)
            for letters, cmd, idle in (
                (asking, "zrangebyscore", 0),
                (silent, "exec", 20),
                (hanging, "zrangebyscore", 20),
            )
            for one in letters
        ]
        sight = Sight(clock, clock, clients=clients, listed=clock)
        self.presence.see_all(("q",), lambda c: c.cmd == "zrangebyscore" and c.idle < 2, sight, needed=True, busy=busy)

    def late(self, clock: float) -> list[str]:
        """Workers without a sign of life."""
        ages = values(self.presence.fleet, clock)
        return [letter(worker) for (metric, worker), age in ages.items() if "age" in metric and age > 10]


def letter(worker: str) -> str:
    return chr(int(worker.rpartition(":")[2].partition("#")[0]))


def test_a_worker_that_asks_over_another_connection_of_its_pool_is_the_same_and_does_not_hang() -> None:
    pool = Pool()
    assert pool.seen(1000.0, "a") == {"a"}
    assert pool.seen(1030.0, "b", "acd") == {"a"}
    assert pool.seen(1060.0, "c", "abd") == {"a"}
    assert pool.seen(1090.0, "a", "bcd") == {"a"}
    assert pool.late(1090.0) == []


def test_a_worker_that_is_busy_stays_known_and_is_lost_with_its_connection() -> None:
    pool = Pool()
    assert pool.seen(1000.0, "abC") == {"a", "b", "C"}
    assert pool.seen(1030.0, "", "abC", busy=True) == {"a", "b", "C"}
    assert pool.late(1030.0) == []
    assert pool.seen(1060.0, "", "aC", busy=True) == {"a", "C"}
    pool.seen(1090.0, "", "aC", busy=True)
    assert pool.late(1090.0) == ["b"]


def test_a_connection_takes_the_place_of_none_on_another_host() -> None:
    pool = Pool()
    pool.seen(1000.0, "a")
    assert pool.seen(1030.0, "B", "a", busy=True) == {"a", "B"}


def test_one_that_asks_again_beside_the_one_in_its_place_is_a_worker_of_its_own() -> None:
    pool = Pool()
    pool.seen(1000.0, "a")
    pool.seen(1030.0, "b", "a", busy=True)
    pool.seen(1060.0, "ab")
    assert len(pool.presence.fleet) == 2


def test_a_connection_of_a_pool_that_is_not_used_any_more_is_no_worker_once_there_is_nothing_to_do() -> None:
    pool = Pool()
    pool.all_seen(1000.0, "ab", busy=True)
    pool.all_seen(1030.0, "c", "ab", busy=True)
    assert len(pool.presence.fleet) == 2
    pool.all_seen(1060.0, "c", "a", busy=False)
    pool.all_seen(1099.0, "c", "a", busy=False)
    assert len(pool.presence.fleet) == 1
    assert pool.late(1099.0) == []


def test_a_worker_that_asked_last_and_shows_nothing_since_hangs() -> None:
    pool = Pool()
    pool.all_seen(1000.0, "ab", busy=False)
    pool.all_seen(1030.0, "a", hanging="b", busy=False)
    assert pool.late(1030.0) == ["b"]


def test_that_a_worker_was_silent_while_it_was_busy_is_not_held_against_it_when_it_is_done() -> None:
    pool = Pool()
    client = Client(1, "10.0.0.1:97", "", 900, 600, False, 0, "bzpopmin")
    pool.presence.see("g", {"10.0.0.1:97": client}, 1000.0, 1000.0, needed=False, busy=True)
    pool.presence.see("g", {"10.0.0.1:97": client}, 1000.0, 1020.0, needed=False, busy=False)
    assert pool.late(1020.0) == []


def test_how_many_work_is_unknown_while_jobs_are_in_flight_and_nobody_was_seen_to_ask() -> None:
    presence = Presence(Fleet("arq", 30.0), quiet=5.0)
    sight = Sight(1000.0, 1000.0, listed=1000.0)
    told_of = [
        [one.series.metric for one in presence.see_all(("q",), lambda client: True, sight, needed=True, busy=busy)]
        for busy in (True, False)
    ]
    assert told_of == [[], ["queue_consumers"]]


def test_workers_of_several_queues_are_told_of_together() -> None:
    presence = Presence(Fleet("bee", 30.0), quiet=5.0)
    client = Client(1, "10.0.0.1:1", "", 9, 0, True, 0, "brpoplpush")
    sight = Sight(1000.0, 1000.0, place="@db2", listed=1000.0, clients=[client])
    samples = presence.see_all(("a", "b"), lambda client: True, sight, needed=False, busy=False)
    assert told(samples)["consumers", "*@db2"] == 1
    assert dict(samples[-1].series.labels)["group"] == "bee:*@db2"
