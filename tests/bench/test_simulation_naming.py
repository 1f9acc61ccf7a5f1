"""The real census and the leak cause name the right group in mixed populations of CLIENT LIST."""

from __future__ import annotations

import pytest

from .simulation.naming import name_culprits, naming_table
from .simulation.populations import populations


@pytest.mark.slow
def test_whoever_leaks_is_named_in_each_of_twenty_populations_and_nobody_else() -> None:
    named = name_culprits(populations())
    assert [one.population.seed for one in named if not one.right] == []
    assert len(naming_table(named).splitlines()) == 22


def test_a_leak_is_not_told_by_a_name_that_a_twin_may_bear_as_well() -> None:
    (named,) = name_culprits(populations([15]))
    assert not named.population.truth.nameable
    assert named.told == "unnamed 10.2.234.0/24 redis-py data db0 user api"
