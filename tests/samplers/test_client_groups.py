"""Which clients fall together, by name and by address."""

from __future__ import annotations

from typing import Any

import pytest

from sentinel.samplers.client_groups import Grouping, NamedGroup, Origin


def named(name: str, user: str = "default") -> Origin:
    return Origin(name, user, "", "10.4.7.3", "get", "0")


def groups(*names: str) -> set[str]:
    """Labels as of the second list."""
    grouping = Grouping()
    for _ in range(2):
        labels = {name: grouping.label(named(name)) for name in names}
        grouping.learn(dict.fromkeys(labels.values(), 5))
    return set(labels.values())


def test_pods_with_five_random_digits_are_one_group() -> None:
    assert groups("billing-8ceb4", "billing-90e1a", "billing-fcf1f") == {"billing-*"}


def test_a_pod_whose_suffix_holds_no_digit_is_known_by_those_that_do() -> None:
    assert groups("api-x2xqz", "api-7kkbd", "api-bzz4t", "api-bcbfc") == {"api-*"}


def test_what_counts_instances_is_learned_for_one_name_and_not_for_all() -> None:
    assert "worker-encode" in groups("api-x2xqz", "api-7kkbd", "api-bzz4t", "worker-encode")


def test_words_with_their_numbers_at_the_end_stay_apart() -> None:
    assert groups("shard-east1", "shard-east2", "shard-west1", "shard-west2") == {"shard-east*", "shard-west*"}


def test_a_new_group_is_learned_once_and_then_stays() -> None:
    grouping = Grouping()
    for name in ("api-x2xqz", "api-7kkbd", "api-bzz4t"):
        grouping.label(named(name))
    assert grouping.learn({})
    assert not grouping.learn({})
    assert grouping.label(named("api-9999z")) == "api-*"


def test_users_of_one_name_stay_apart() -> None:
    grouping = Grouping()
    assert grouping.label(named("api-7", "payments")) == "api-* user payments"


def test_unnamed_clients_are_known_by_what_else_they_show() -> None:
    one = Origin("", "jobs", "ioredis", "10.4.7.3", "hgetall", "3")
    assert Grouping().label(one) == "unnamed 10.4.7.0/24 ioredis data db3 user jobs"


CHECKOUT = NamedGroup("checkout", addr="10.4.0.0/16", lib="redis-py*")


def test_a_group_of_the_operators_own_takes_what_would_be_many() -> None:
    grouping = Grouping([CHECKOUT, NamedGroup("nightly", name="batch-*", db=3), NamedGroup("v6", addr="fd00:1::/32")])
    clients = {
        Origin("", "default", "redis-py", "10.4.7.3", "get", "0"): "checkout",
        Origin("api-1", "shop", "redis-py(async)", "10.4.9.3", "set", "1"): "checkout",
        Origin("", "default", "ioredis", "10.4.7.3", "get", "0"): "unnamed 10.4.7.0/24 ioredis data db0",
        Origin("batch-7", "default", "ioredis", "10.5.7.3", "get", "3"): "nightly",
        Origin("batch-7", "default", "ioredis", "10.5.7.3", "get", "0"): "batch-*",
        Origin("", "", "", "[fd00:1:2:3::9]", "get", "0"): "v6",
        Origin("", "", "redis-py", "/run/redis.sock", "get", "0"): "unnamed unix redis-py data db0",
    }
    assert {origin: grouping.label(origin) for origin in clients} == clients


def test_the_first_group_of_the_operators_own_that_fits_wins() -> None:
    origin = Origin("api-1", "shop", "redis-py", "10.4.7.3", "get", "0")
    assert Grouping([NamedGroup("shop", user="shop"), CHECKOUT]).label(origin) == "shop"
    assert Grouping([CHECKOUT, NamedGroup("shop", user="shop")]).label(origin) == "checkout"


def test_groups_of_the_operators_own_are_no_instances_of_one_thing() -> None:
    own = [NamedGroup(f"shop-part{letter}", user=f"u{letter}") for letter in "abcdefghijklmnopqrst"]
    grouping = Grouping(own)
    assert not grouping.learn({one.group: 1 for one in own})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"group": ""}, "name of your own"),
        ({"group": "other", "name": "x"}, "name of your own"),
        ({"group": "unnamed x", "name": "x"}, "name of your own"),
        ({"group": "x"}, "set name, user, lib, addr or db"),
        ({"group": "x", "addr": "10.4.0.0/99"}, "a network such as"),
    ],
)
def test_a_group_that_cannot_be_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NamedGroup(**settings)
