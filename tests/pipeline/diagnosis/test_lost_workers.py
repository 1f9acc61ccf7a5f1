"""Lost workers: those that stop without a word are told, those that sign off or whose clock is wrong are not."""

from __future__ import annotations

from sentinel.model import Finding, Sample, Series, Severity, labels
from sentinel.pipeline.diagnosis.clock_skew import ClockSkew
from sentinel.pipeline.diagnosis.lost_workers import LostWorkers
from tests.pipeline.diagnosis.queue_world import Judged


class Fleet:
    """Ten workers that beat every 10 s, read every 5 s; `dead` fell silent, and `gone` signed off."""

    def __init__(self, size: int = 10, behind: float = 0.0) -> None:
        self.judged = Judged(LostWorkers())
        self.size, self.behind = size, behind
        self.beats = [0.0] * size
        self.time = 0.0
        self.dead: set[int] = set()
        self.gone: set[int] = set()

    def run(self, seconds: float, dead_after: float | None = None) -> Finding | None:
        found = None
        for _ in range(int(seconds / 5)):
            self.time += 5.0
            for worker in set(range(self.size)) - self.dead:
                if self.time - self.beats[worker] >= 10.0:
                    self.beats[worker] = self.time - worker % 5
            ages = [self.time - beat for worker, beat in enumerate(self.beats) if worker not in self.gone]
            ages[:1] = [age + self.behind for age in ages[:1]]
            found = self.judged.fleet(*ages, dead_after=dead_after)
        return found


def test_a_fifth_of_a_fleet_that_falls_silent_is_a_warning_after_three_periods() -> None:
    fleet = Fleet()
    assert fleet.run(600) is None
    fleet.dead = {3, 4}
    assert fleet.run(25) is None
    found = fleet.run(30)
    assert found is not None
    assert found.severity is Severity.WARNING
    assert found.summary.startswith("2 of 10 workers of encoders have not beaten for over ")
    assert found.culprit is not None
    assert found.culprit.name == "w3, w4"


def test_half_of_a_fleet_is_critical() -> None:
    fleet = Fleet()
    fleet.run(600)
    fleet.dead = set(range(5))
    found = fleet.run(60)
    assert found is not None
    assert found.severity is Severity.CRITICAL


def test_what_the_job_system_says_of_the_dead_wins_over_what_was_learnt() -> None:
    fleet = Fleet()
    fleet.run(600, dead_after=120.0)
    fleet.dead = {3, 4}
    assert fleet.run(115, dead_after=120.0) is None
    assert fleet.run(20, dead_after=120.0) is not None


def test_workers_that_sign_off_are_not_lost() -> None:
    fleet = Fleet()
    fleet.run(600)
    fleet.gone = fleet.dead = {7, 8, 9}
    assert fleet.run(300) is None


def test_one_of_twenty_is_not_worth_a_page() -> None:
    fleet = Fleet(size=20)
    fleet.run(600)
    fleet.dead = {3}
    assert fleet.run(300) is None


def test_it_is_over_when_they_beat_again() -> None:
    fleet = Fleet()
    fleet.run(600)
    fleet.dead = {3, 4}
    assert fleet.run(60) is not None
    fleet.dead = set()
    assert fleet.run(10) is None


def test_a_worker_whose_clock_is_behind_is_not_lost_while_its_beats_arrive() -> None:
    fleet = Fleet(behind=300.0)
    fleet.run(60)
    assert fleet.run(600) is None
    fleet.dead = {0}
    assert fleet.run(60) is not None


def test_a_clock_that_is_wrong_for_five_minutes_is_information() -> None:
    judged = Judged(ClockSkew())
    found = [judged.poll(*beat(-90.0)) for _ in range(62)]
    assert found[59] is None
    assert found[61] is not None
    assert found[61].severity is Severity.INFO
    assert "The clock of w1 (encoders) is about 90 s behind the server's" in found[61].summary


def test_a_clock_that_is_off_by_a_few_seconds_is_not_worth_a_word() -> None:
    judged = Judged(ClockSkew())
    assert not any(judged.poll(*beat(14.0)) for _ in range(200))


def beat(skew: float) -> tuple[Sample, Sample]:
    worker = labels(group="encoders", worker="w1")
    age = Sample(Series("heartbeat_age_seconds", worker), 0.0, 2.0)
    return age, Sample(Series("worker_clock_skew_seconds", worker), 0.0, skew)
