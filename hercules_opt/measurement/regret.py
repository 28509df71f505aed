"""What is lost by taking the schedule that the cost model picks, and not the best one measured.

A search keeps the luckiest of its measurements, so that both schedules are measured again, in turns: what
drifts on the machine meanwhile meets both. Each round offers both the same queries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hercules_opt.measurement.largest_rate import NEXT_STEP, geometric_interval
from hercules_opt.measurement.load_test import LoadRun
from hercules_opt.problem.schedule import Schedule
from hercules_opt.simulation.intervals import Interval

#: Seeds of the rounds are none of the search's.
_FIRST_SEED = 1_000
#: Multiples of the golden ratio are spread evenly between whole numbers.
_GOLDEN = (5.0**0.5 - 1.0) / 2.0

#: Bisects the rate of a schedule from where to begin, by which first step, with queries of a seed.
Bisected = Callable[[Schedule, float, float, int], tuple[float, list[LoadRun]]]


@dataclass(frozen=True)
class Regret:
    """Two schedules measured in turns.

    Attributes
    ----------
    picked_qps, best_qps
        The rates of the cost model's pick and of the best one measured, with 95 % intervals over the rounds.
    lost
        Share of the best one's rate that the pick does not serve, with its 95 % interval from the ratios of
        the rounds; below 0 where the pick is the better one after all.
    rounds, runs, disturbed_runs
        How often each was measured; runs in all, and those in which others used the machine.
    """

    picked_qps: Interval
    best_qps: Interval
    lost: Interval
    rounds: int
    runs: int
    disturbed_runs: int


def regret(
    bisected: Bisected, picked: tuple[Schedule, float], best: tuple[Schedule, float], *, rounds: int
) -> Regret | None:
    """Measure two schedules in turns (A B, B A, ...), each from the rate that it is known to hold.

    Rounds in which one of them holds no rate at all are left out; ``None`` where no round is left.
    """
    # A bisection ends on one of few rates around where it begins; the beginnings are spread evenly.
    begun = 0
    pairs: list[tuple[float, float]] = []
    runs: list[LoadRun] = []
    for number in range(rounds):
        order = (picked, best) if number % 2 == 0 else (best, picked)
        found = {}
        for schedule, begin in order:
            begun += 1
            shifted = begin * NEXT_STEP ** (begun * _GOLDEN % 1.0 - 0.5)
            found[schedule], some = bisected(schedule, shifted, NEXT_STEP, _FIRST_SEED + number)
            runs += some
        if min(found.values()) > 0.0:
            pairs.append((found[picked[0]], found[best[0]]))
    disturbed = sum(run.disturbed for run in runs)
    if not pairs:
        return None
    kept = geometric_interval([mine / other for mine, other in pairs])
    return Regret(
        geometric_interval([mine for mine, _ in pairs]),
        geometric_interval([other for _, other in pairs]),
        Interval(1.0 - kept.value, 1.0 - kept.upper, 1.0 - kept.lower),
        len(pairs),
        len(runs),
        disturbed,
    )
