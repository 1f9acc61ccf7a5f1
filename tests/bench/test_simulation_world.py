"""The simulated server keeps its books: what a census, INFO and the counters say agrees at every poll."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from sentinel.model import Poll, Series, labels

from .simulation.clients import OLD, Elastic, Mark, Sessions, Workers
from .simulation.fleet import Rollout, fleet, interrupted
from .simulation.plan import Deployment, Flood, Leak, Plan
from .simulation.polls import polls
from .simulation.shop import named_groups, quiet_plan
from .simulation.traffic import DAY, HOUR, MONDAY, Grid, Wave, wander
from .simulation.world import SEATS, World

RNG = np.random.default_rng(1)
STEP = 30.0


def counts(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def values(poll: Poll) -> dict[Series, float]:
    return {sample.series: sample.value for sample in poll.samples}


def total(poll: Poll, metric: str) -> float:
    return sum(sample.value for sample in poll.samples if sample.series.metric == metric)


@pytest.fixture(scope="module")
def quiet() -> World:
    return World(quiet_plan(7, days=7))


def test_a_mark_pool_fills_to_its_peak_and_never_closes() -> None:
    assert Mark(limit=5).use(counts(2, 1, 4, 9, 0), STEP, RNG).count.tolist() == [2, 2, 4, 5, 5]


def test_what_a_peak_opened_and_nobody_needed_again_is_unused_once_it_is_old() -> None:
    wanted = counts(2, 5, 3, *[2] * 30)
    use = Mark(limit=9).use(wanted, STEP, RNG)
    # The fourth and fifth were opened at poll 1; the third served again at poll 2. 60 s are two polls.
    assert use.untouched.tolist() == [2, 3, *[2] * 31]
    assert use.unused[2] == 0
    assert use.unused[3:].tolist() == [2] * 30


def test_an_elastic_pool_closes_what_idled_for_its_timeout() -> None:
    use = Elastic(limit=9, idle_timeout=60.0, lifetime=1e12).use(counts(1, 4, 1, 1, 1), STEP, RNG)
    assert use.count.tolist() == [1, 4, 4, 1, 1]


def test_warm_connections_that_load_never_reaches_are_unused_once_they_are_old() -> None:
    use = Elastic(limit=9, warm=6, lifetime=1e12).use(counts(*[2] * 40), STEP, RNG)
    assert use.untouched.tolist() == [6] + [4] * 39
    assert use.unused.tolist() == [0] * 2 + [4] * 38


def test_a_connection_that_served_is_not_unused_when_load_falls() -> None:
    use = Elastic(limit=9, warm=6, lifetime=1e12).use(counts(*[6] * 10, *[2] * 60), STEP, RNG)
    assert use.untouched[1:].max() == 0
    assert use.unused.max() == 0


def test_renewal_makes_spare_connections_unused_again() -> None:
    use = Elastic(limit=9, warm=6, lifetime=1_200.0).use(counts(*[2] * 4_000), STEP, np.random.default_rng(2))
    # A renewed spare is unused until its next renewal: older than 60 s for exp(-60/1200) of the time.
    assert use.unused[100:].mean() == pytest.approx(4 * 0.951, rel=0.1)
    assert use.recycled.mean() == pytest.approx(6 * STEP / 1_200.0, rel=0.1)


def test_workers_wait_blocked_unless_a_job_is_there() -> None:
    use = Workers(slots=4, command=1).use(counts(0, 3, 9), STEP, RNG)
    assert use.blocked.tolist() == [4, 1, 0]
    assert use.count.tolist() == [5, 5, 5]


def test_sessions_come_and_go_while_their_number_stays() -> None:
    use = Sessions(lifetime=300.0).use(counts(*[100] * 2_000), STEP, RNG)
    assert use.recycled.mean() == pytest.approx(10.0, rel=0.03)


def test_a_deploy_replaces_every_process() -> None:
    lives = fleet([(0.0, 4)], [Rollout(1_000.0, "surge")], 5_000.0, RNG)
    old, new = [end for end in lives if end[1] < 5_000.0], [end for end in lives if end[1] == 5_000.0]
    assert len(old) == len(new) == 4
    assert all(start < 1_000.0 < end for start, end in old)
    assert all(start >= 1_000.0 for start, _ in new)


def test_an_outage_parts_a_life_in_two() -> None:
    (before, after) = interrupted([(0.0, 100.0)], [(40.0, 50.0)], RNG)
    assert before == (0.0, 40.0)
    assert after[0] >= 50.0
    assert after[1] == 100.0


def test_noise_has_the_spread_and_the_memory_that_were_asked_for() -> None:
    noise = wander(np.random.default_rng(5), 200_000, 0.9)
    assert noise.std() == pytest.approx(1.0, abs=0.03)
    assert np.corrcoef(noise[1:], noise[:-1])[0, 1] == pytest.approx(0.9, abs=0.01)


def test_a_wave_rises_holds_and_falls() -> None:
    wave = Wave(start=100.0, rise=10.0, hold=20.0, fall=10.0, factor=3.0)
    assert wave.over(np.array([99.0, 105.0, 120.0, 135.0, 141.0])).tolist() == [1.0, 2.0, 3.0, 2.0, 1.0]


def test_the_grid_finds_the_poll_at_or_after_a_time() -> None:
    grid = Grid(100.0, 15.0, 10)
    assert [grid.at(time) for time in (0.0, 100.0, 100.1, 115.0, 9_999.0)] == [0, 0, 1, 1, 10]


def test_births_less_deaths_are_the_change_of_each_group(quiet: World) -> None:
    before = None
    for poll in islice(polls(quiet), 0, 6_000, 50):
        now = values(poll)
        if before is not None:
            for series in now:
                if series.metric == "redis_group_clients":
                    births = Series("redis_group_births_total", series.labels)
                    deaths = Series("redis_group_deaths_total", series.labels)
                    change = now[births] - before[births] - (now[deaths] - before[deaths])
                    assert now[series] - before[series] == change
        before = now


def test_the_groups_add_up_to_the_connected_clients(quiet: World) -> None:
    for poll in islice(polls(quiet), 0, 6_000, 100):
        assert total(poll, "redis_group_clients") == total(poll, "redis_connected_clients")


def test_no_part_of_a_group_is_larger_than_the_group(quiet: World) -> None:
    for label, group in quiet.groups.items():
        assert group.births.min() >= 0, label
        assert group.deaths.min() >= 0, label
        assert (group.blocked >= 0).all(), label
        assert (group.unused <= group.untouched).all(), label
        assert (group.untouched <= group.count).all(), label


def test_the_server_accepted_at_least_what_the_census_saw_born(quiet: World) -> None:
    births = np.sum([group.births for group in quiet.groups.values()], axis=0)
    assert (quiet.received >= births).all()


def test_an_ordinary_day_has_the_rhythm_of_a_shop(quiet: World) -> None:
    wednesday = quiet.connected[quiet.during(MONDAY + 2 * DAY, MONDAY + 3 * DAY)]
    sunday = quiet.connected[quiet.during(MONDAY + 6 * DAY, MONDAY + 7 * DAY)]
    assert 400 < wednesday.mean() < 800
    assert np.percentile(wednesday, 90) > 1.1 * np.percentile(wednesday, 10)
    assert sunday.mean() < wednesday.mean()


def test_the_same_seed_gives_the_same_polls() -> None:
    first = list(polls(World(quiet_plan(4, days=0.2))))
    assert first == list(polls(World(quiet_plan(4, days=0.2))))
    assert first != list(polls(World(quiet_plan(5, days=0.2))))


def test_a_leak_leaves_the_background_as_it_was() -> None:
    plan = quiet_plan(6, days=2)
    leak = Leak(named_groups(plan)[0], 330.0, MONDAY + DAY)
    quiet, leaking = World(plan), World(replace(plan, leaks=(leak,)))
    before = quiet.grid.at(MONDAY + DAY)
    assert (quiet.connected[:before] == leaking.connected[:before]).all()
    assert (quiet.load == leaking.load).all()


@pytest.mark.parametrize("shape", ["steady", "load", "bursts"])
@pytest.mark.parametrize("per_hour", [70.0, 3_600.0])
def test_a_leak_adds_what_it_says_an_hour(shape: str, per_hour: float) -> None:
    plan = quiet_plan(6, days=2)
    leak = Leak(named_groups(plan)[0], per_hour, MONDAY, shape=shape)
    extra = World(replace(plan, leaks=(leak,))).demand - World(plan).demand
    assert extra[-1] / 48.0 == pytest.approx(per_hour, rel=0.12)
    assert (np.diff(extra) >= 0).all()


def test_leaked_connections_join_the_unused_when_they_are_as_old_as_the_census_asks() -> None:
    plan = quiet_plan(6, days=2)
    label = named_groups(plan)[0]
    leaking = World(replace(plan, leaks=(Leak(label, 300.0, MONDAY + DAY),))).groups[label]
    quiet = World(plan).groups[label]
    extra = leaking.unused - quiet.unused
    at, later = leaking.grid.at(MONDAY + DAY), round(OLD / plan.step)
    assert extra[: at + later].max() == 0
    assert (extra[later:] == (leaking.count - quiet.count)[:-later]).all()


def test_a_fix_closes_what_had_leaked() -> None:
    plan = quiet_plan(6, days=2)
    leak = Leak(named_groups(plan)[0], 900.0, MONDAY + DAY, stop=MONDAY + DAY + 6 * HOUR)
    fixed, quiet = World(replace(plan, leaks=(leak,))), World(plan)
    after = fixed.grid.at(MONDAY + DAY + 6 * HOUR)
    assert (fixed.demand - quiet.demand)[after - 1] == pytest.approx(5_400, rel=0.05)
    assert (fixed.demand == quiet.demand)[after:].all()


def test_the_wall_is_where_an_unfixed_leak_would_have_met_the_ceiling() -> None:
    plan = quiet_plan(6, days=3, limits=((0.0, 6_000),))
    label = named_groups(plan)[0]
    unfixed = Leak(label, 900.0, MONDAY + DAY)
    fixed = replace(unfixed, stop=MONDAY + DAY + 3 * HOUR)
    truth = World(replace(plan, leaks=(unfixed,))).wall()
    assert truth is not None
    assert World(replace(plan, leaks=(fixed,))).wall((fixed,)) == truth
    assert World(replace(plan, leaks=(fixed,))).wall() is None


def test_the_wall_of_a_leak_is_not_that_of_one_which_its_fix_leaves_behind() -> None:
    plan = quiet_plan(6, days=3, limits=((0.0, 6_000),))
    label = named_groups(plan)[0]
    first = Leak(label, 900.0, MONDAY + DAY, stop=MONDAY + DAY + 3 * HOUR)
    rest = Leak(label, 700.0, MONDAY + DAY + 3.1 * HOUR)
    alone, both = World(replace(plan, leaks=(first,))), World(replace(plan, leaks=(first, rest)))
    assert both.wall((first,)) == alone.wall((first,))
    assert both.wall((rest,), rest.start) == World(replace(plan, leaks=(rest,))).wall()


def test_at_the_ceiling_the_count_stands_and_refusals_rise() -> None:
    plan = quiet_plan(6, days=2, limits=((0.0, 1_500),), restarts=())
    leak = Leak(named_groups(plan)[0], 600.0, MONDAY + DAY)
    world = World(replace(plan, leaks=(leak,)))
    wall = world.wall()
    assert wall is not None
    full = [poll for poll in polls(world) if poll.time > wall + HOUR]
    for poll in full[::50]:
        assert total(poll, "redis_connected_clients") == 1_500 - plan.replicas
        assert total(poll, "redis_group_clients") == 1_500 - plan.replicas
        assert values(poll)[Series("redis_dial_failed", labels(reason="full"))] == 1.0
    refused = [total(poll, "redis_connections_rejected_total") for poll in full]
    assert refused[-1] > refused[0] > 0


def test_a_flood_comes_within_its_spread_and_leaves() -> None:
    plan = quiet_plan(6, days=1, restarts=(), rollouts={}, waves=())
    flood = Flood(MONDAY + 5 * HOUR, 2_000, 120.0, 1_200.0, tuple(named_groups(plan)))
    extra = World(replace(plan, floods=(flood,))).demand - World(plan).demand
    grid = World(plan).grid
    assert extra[grid.at(flood.start)] == 0
    assert extra[grid.at(flood.start + 150.0)] == pytest.approx(2_000, abs=len(flood.labels))
    assert extra[-1] == 0


def test_a_frozen_server_gives_no_numbers_but_says_that_it_is_not_read() -> None:
    frozen = (MONDAY + HOUR, MONDAY + HOUR + 180.0)
    world = World(quiet_plan(6, days=0.2, freezes=(frozen,), restarts=()))
    during = [poll for poll in polls(world) if frozen[0] <= poll.time < frozen[1]]
    assert len(during) >= 5
    for poll in during:
        assert total(poll, "sampler_up") == 0.0
        assert values(poll)[Series("redis_dial_failed", labels(reason="timeout"))] == 1.0
        assert Series("redis_dial_failed", labels(reason="refused")) not in values(poll)
        assert Series("redis_connected_clients") not in values(poll)


def test_a_restart_begins_the_servers_counters_and_uptime_anew() -> None:
    down = MONDAY + 2 * HOUR + 5.0
    world = World(quiet_plan(6, days=0.2, restarts=((down, down + 10.0),)))
    seen = list(polls(world))
    before = [poll for poll in seen if poll.time < down][-1]
    after = next(poll for poll in seen if poll.time > down + 60.0)
    assert total(after, "redis_uptime_seconds") < 120.0
    assert total(after, "redis_restarts_total") == total(before, "redis_restarts_total") + 1
    assert total(after, "redis_connections_received_total") < total(before, "redis_connections_received_total")


def test_a_deployment_of_fixed_size_holds_what_its_processes_hold() -> None:
    pool = Workers(slots=3, command=2)
    plan = Plan(seed=1, days=0.5, deployments=(Deployment("encode", pool, 0.0, replicas=4),))
    world = World(plan)
    assert set(world.groups["encode"].count[5:].tolist()) == {20}
    assert set(world.groups["sentinel"].count.tolist()) == {SEATS}
