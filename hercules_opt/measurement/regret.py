"""What is lost by taking the schedule that the cost model picks, and not the best one measured.

A search keeps the luckiest of its measurements, so that both schedules are measured again, in turns: what
drifts on the machine meanwhile meets both. Each round has seeds of its own, the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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
class Turns:
    """One of several schedules measured in turns: what each round found, 0 where no rate held; all runs."""

    found: list[float] = field(default_factory=list)
    runs: list[LoadRun] = field(default_factory=list)


def in_turns(bisected: Bisected, begun: Sequence[tuple[Schedule, float]], rounds: int) -> list[Turns]:
    """Measure schedules in turns (A B, B A, ...), each from about the rate that it is known to hold."""
    turns, count = [Turns() for _ in begun], 0
    for number in range(rounds):
        order = range(len(begun)) if number % 2 == 0 else reversed(range(len(begun)))
        for which in order:
            schedule, begin = begun[which]
            # A bisection ends on one of few rates around where it begins; the beginnings are spread evenly.
            count += 1
            shifted = begin * NEXT_STEP ** (count * _GOLDEN % 1.0 - 0.5)
            qps, runs = bisected(schedule, shifted, NEXT_STEP, _FIRST_SEED + number)
            turns[which].found.append(qps)
            turns[which].runs.extend(runs)
    return turns


def regret(picked: Turns, best: Turns) -> Interval | None:
    """Return the share of the best one's rate that the pick does not serve, from the ratios of the rounds.

    Below 0 where the pick is the better one after all. Rounds in which one of them held no rate are left out;
    ``None`` where fewer than two are left.
    """
    pairs = zip(picked.found, best.found, strict=True)
    ratios = [mine / other for mine, other in pairs if min(mine, other) > 0.0]
    if len(ratios) < 2:
        return None
    kept = geometric_interval(ratios)
    return Interval(1.0 - kept.value, 1.0 - kept.upper, 1.0 - kept.lower)
