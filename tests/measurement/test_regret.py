"""What the pick loses against the best schedule measured, both measured in turns."""

from __future__ import annotations

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.measurement.largest_rate import bisection
from hercules_opt.measurement.load_test import LoadRun
from hercules_opt.measurement.regret import Turns, in_turns, regret
from hercules_opt.simulation.intervals import Interval

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
    picked, best = in_turns(machine.bisected, [(PICK, 90.0), (BEST, 130.0)], 4)
    assert [schedule for schedule, _ in machine.calls] == [PICK, BEST, BEST, PICK, PICK, BEST, BEST, PICK]
    seeds = [seed for _, seed in machine.calls]
    assert seeds[0::2] == seeds[1::2]
    assert len(set(seeds)) == 4
    assert (picked.found, best.found) == ([100.0] * 4, [125.0] * 4)
    assert len(picked.runs) == len(best.runs) == 8
    lost = regret(picked, best)
    assert lost is not None
    assert lost.value == pytest.approx(0.2)


def test_one_schedule_alone_has_rounds_too() -> None:
    (only,) = in_turns(Machine(drift=0.9).bisected, [(PICK, 90.0)], 3)
    assert only.found == pytest.approx([100.0, 90.0, 81.0])


def lost_by(machine: Machine, rounds: int) -> Interval | None:
    picked, best = in_turns(machine.bisected, [(PICK, 90.0), (BEST, 130.0)], rounds)
    return regret(picked, best)


def test_a_machine_that_drifts_changes_rates_and_hardly_what_is_lost() -> None:
    lost = lost_by(Machine(drift=0.9), 4)
    assert lost is not None
    assert lost.value == pytest.approx(0.2, abs=0.01)


def test_noise_widens_the_interval_and_a_better_pick_loses_nothing() -> None:
    noisy = lost_by(Machine(noise=(1.0, 0.8, 1.1)), 6)
    assert noisy is not None
    assert noisy.lower < noisy.value < noisy.upper
    better = lost_by(Machine(more=0.9), 2)
    assert better is not None
    assert better.value == pytest.approx(-1.0 / 9.0)


def test_rounds_without_a_rate_are_left_out_and_one_round_says_nothing() -> None:
    assert lost_by(Machine(more=0.0), 3) is None
    assert lost_by(Machine(), 1) is None
    kept = regret(Turns([100.0, 0.0, 100.0]), Turns([125.0, 125.0, 125.0]))
    assert kept is not None
    assert kept.value == pytest.approx(0.2)


def test_what_bisections_leave_open_is_in_the_interval() -> None:
    """A machine without any noise: what bisections find is off by up to 3 %, and none is favoured."""

    def bisected(schedule: ho.Schedule, begin: float, step: float, seed: int) -> tuple[float, list[LoadRun]]:
        return bisection(lambda rate: rate <= 100.0, begin, step), [RUN]

    lost = regret(*in_turns(bisected, [(PICK, 97.0), (BEST, 104.0)], 8))
    assert lost is not None
    assert lost.lower < 0.0 < lost.upper
    assert abs(lost.value) < 0.02
    assert lost.upper - lost.lower > 0.005
