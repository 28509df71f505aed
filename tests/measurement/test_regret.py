"""What the pick loses against the best schedule measured, both measured in turns."""

from __future__ import annotations

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.measurement.largest_rate import bisection
from hercules_opt.measurement.load_test import LoadRun
from hercules_opt.measurement.regret import regret

PICK = ho.Schedule(placement="cpu", threads=1, cores_per_thread=1, batch_size=4)
BEST = ho.Schedule(placement="cpu", threads=2, cores_per_thread=1, batch_size=4)
RUN = LoadRun(1.0, True, np.ones(10), 0.0, 0.0)


class Machine:
    """Drifts from one call to the next; the best schedule serves a quarter more at any time."""

    def __init__(self, drift: float = 1.0, more: float = 1.25, noise: tuple[float, ...] = (1.0,)) -> None:
        self.drift, self.more, self.noise = drift, more, noise
        self.calls: list[tuple[ho.Schedule, int]] = []

    def bisected(
        self, schedule: ho.Schedule, begin: float, step: float, seed: int
    ) -> tuple[float, list[LoadRun]]:
        number = len(self.calls)
        self.calls.append((schedule, seed))
        slower = self.drift**number * self.noise[number % len(self.noise)]
        return 100.0 * slower * (self.more if schedule == BEST else 1.0), [RUN, RUN]


def test_rounds_turn_and_offer_both_the_same_queries() -> None:
    machine = Machine()
    found = regret(machine.bisected, (PICK, 90.0), (BEST, 130.0), rounds=4)
    assert found is not None
    assert [schedule for schedule, _ in machine.calls] == [PICK, BEST, BEST, PICK, PICK, BEST, BEST, PICK]
    seeds = [seed for _, seed in machine.calls]
    assert seeds[0::2] == seeds[1::2]
    assert len(set(seeds)) == 4
    assert found.lost.value == pytest.approx(0.2)
    assert (found.rounds, found.runs, found.disturbed_runs) == (4, 16, 0)


def test_a_machine_that_drifts_changes_rates_and_hardly_what_is_lost() -> None:
    found = regret(Machine(drift=0.9).bisected, (PICK, 90.0), (BEST, 130.0), rounds=4)
    assert found is not None
    assert found.picked_qps.value < 80.0
    assert found.lost.value == pytest.approx(0.2, abs=0.01)


def test_noise_widens_the_interval_and_a_better_pick_loses_nothing() -> None:
    noisy = regret(Machine(noise=(1.0, 0.8, 1.1)).bisected, (PICK, 90.0), (BEST, 130.0), rounds=6)
    assert noisy is not None
    assert noisy.lost.lower < noisy.lost.value < noisy.lost.upper
    better = regret(Machine(more=0.9).bisected, (PICK, 90.0), (BEST, 130.0), rounds=2)
    assert better is not None
    assert better.lost.value == pytest.approx(-1.0 / 9.0)


def test_no_round_in_which_both_hold_a_rate() -> None:
    assert regret(Machine(more=0.0).bisected, (PICK, 90.0), (BEST, 130.0), rounds=3) is None


def test_what_bisections_leave_open_is_in_the_interval() -> None:
    """A machine without any noise: what bisections find is off by up to 3 %, and none is favoured."""

    def bisected(schedule: ho.Schedule, begin: float, step: float, seed: int) -> tuple[float, list[LoadRun]]:
        return bisection(lambda rate: rate <= 100.0, begin, step), [RUN]

    found = regret(bisected, (PICK, 97.0), (BEST, 104.0), rounds=8)
    assert found is not None
    assert found.lost.lower < 0.0 < found.lost.upper
    assert abs(found.lost.value) < 0.02
    assert found.lost.upper - found.lost.lower > 0.005
