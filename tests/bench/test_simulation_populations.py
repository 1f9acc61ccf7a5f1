"""Populations of CLIENT LIST read as a server's would, and hold the truth that they claim."""

from __future__ import annotations

import pytest

from .simulation.populations import LISTS, Population, populations

SEEDS = range(1, 21)


@pytest.fixture(scope="module")
def crowds() -> list[Population]:
    return list(populations(SEEDS))


def rows(listing: bytes) -> list[dict[str, str]]:
    """Rows as key=value pairs, as any reader of CLIENT LIST takes them."""
    return [dict(pair.split("=", 1) for pair in line.split(" ")) for line in listing.decode().splitlines()]


def test_there_are_twenty_lists_of_some_hundred_clients_each(crowds: list[Population]) -> None:
    assert [crowd.seed for crowd in crowds] == list(SEEDS)
    for crowd in crowds:
        assert len(crowd.lists) == LISTS
        assert 150 < len(rows(crowd.lists[0][1])) < 900


def test_about_six_in_ten_clients_are_unnamed(crowds: list[Population]) -> None:
    unnamed = [sum(not row["name"] for row in rows(c.lists[0][1])) / len(rows(c.lists[0][1])) for c in crowds]
    assert sum(unnamed) / len(unnamed) == pytest.approx(0.6, abs=0.08)


def test_the_same_seed_gives_the_same_bytes(crowds: list[Population]) -> None:
    (again,) = populations([3])
    assert again == crowds[2]


def test_ids_are_unique_and_rise_with_the_time_of_birth(crowds: list[Population]) -> None:
    for crowd in crowds:
        before: set[int] = set()
        for _, listing in crowd.lists:
            ids = [int(line[3 : line.index(b" ")]) for line in listing.splitlines()]
            assert len(ids) == len(set(ids))
            assert not before or min(set(ids) - before, default=10**9) > max(before)
            before |= set(ids)


def test_nobody_idles_longer_than_he_lives(crowds: list[Population]) -> None:
    for crowd in crowds:
        for row in rows(crowd.lists[-1][1]):
            assert 0 <= int(row["idle"]) <= int(row["age"])


def test_what_leaked_stays_unused_from_its_first_second(crowds: list[Population]) -> None:
    for crowd in crowds:
        last = {row["addr"]: row for row in rows(crowd.lists[-1][1])}
        assert len(crowd.truth.leaked) >= 15
        for address in crowd.truth.leaked:
            row = last[address]
            assert int(row["age"]) - int(row["idle"]) <= 1
            assert row["cmd"] == crowd.truth.command
            assert row["name"].startswith(crowd.truth.name)
            assert row["addr"].rsplit(":", 1)[0] in crowd.truth.hosts


def test_half_of_the_culprits_have_no_name(crowds: list[Population]) -> None:
    assert 9 <= sum(not crowd.truth.name for crowd in crowds) <= 14


def test_a_deploy_and_a_script_come_and_go_around_the_leak(crowds: list[Population]) -> None:
    for crowd in crowds:
        first, last = ({row["addr"] for row in rows(crowd.lists[at][1])} for at in (0, -1))
        assert len(first - last) > 10
        assert len(last - first - crowd.truth.leaked) > 10


def test_where_nobody_can_be_named_a_twin_shares_all_that_a_list_shows(crowds: list[Population]) -> None:
    hidden = [crowd for crowd in crowds if not crowd.truth.nameable]
    assert len(hidden) == 4
    for crowd in hidden:
        (host,) = crowd.truth.hosts
        healthy = [
            row
            for row in rows(crowd.lists[-1][1])
            if row["addr"].startswith(host + ":") and row["addr"] not in crowd.truth.leaked
        ]
        shown = {(row["name"], row["user"], row["db"], row.get("lib-name")) for row in healthy}
        assert len(shown) == 1
        assert len(healthy) >= 20
