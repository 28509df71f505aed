"""Search on the lattice with few measured schedules, from the cost model's answer.

The cost model ranks, and measurements decide. What it may be wrong about most is how the cores are divided,
so that two lists take turns: the best schedule of each division (placement and cores per thread) by the cost
model, and the neighbours on the lattice of the best schedule measured so far. Of each, the highest
prediction comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hercules_opt.hardware.packing import Pair
from hercules_opt.measurement.host_server import HOST_PLACEMENTS
from hercules_opt.measurement.largest_rate import LargestRate
from hercules_opt.measurement.measured_points import MeasuredPoint
from hercules_opt.problem.schedule import Placement, Schedule
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.lattice import ascents, coarse_steps
from hercules_opt.scheduling.space import COLUMN, Floats, Space, Tasks, placements, search_space

#: Schedules that are measured per model.
DEFAULT_POINTS = 4

#: Measures a schedule, given what is expected of it.
Measure = Callable[[Schedule, float], LargestRate]

_NONE = np.zeros(1, dtype=np.int64)


def measured_search(
    pair: Pair, pick: Schedule, measure: Measure, most: int, relative_error: float
) -> list[MeasuredPoint]:
    """Return what was measured, the cost model's pick first.

    Parameters
    ----------
    pick
        The best schedule by the cost model.
    measure
        Returns the largest rate of a schedule.
    most
        Schedules to measure.
    relative_error
        Of the cost model. What it expects so little of that no error within this would make it the best is
        not measured.
    """
    guide = _Guide(pair)
    expected = guide.qps(pick)
    least = expected / (1.0 + relative_error) ** 2
    divisions = [each for each in guide.divisions() if guide.qps(each) >= least]
    found = [MeasuredPoint(pick, measure(pick, expected))]
    turns = 0
    while len(found) < most:
        best = max(found, key=lambda point: point.rate.qps.value)
        known = {point.schedule for point in found}
        divided = {_division(schedule) for schedule in known}
        lists = [
            [each for each in divisions if _division(each) not in divided],
            [each for each in guide.around(best.schedule) if each not in known and guide.qps(each) >= least],
        ]
        turn = lists[turns % 2] or lists[(turns + 1) % 2]
        if not turn:
            break
        following = max(turn, key=guide.qps)
        # Where the cost model was off for its pick, it will be for others: begin where measurements are.
        shift = best.rate.qps.value / guide.qps(best.schedule) or 1.0
        found.append(MeasuredPoint(following, measure(following, shift * guide.qps(following))))
        turns += 1
    return found


def _division(schedule: Schedule) -> Schedule:
    """Return how a schedule divides the cores, whatever its batch size."""
    return schedule.replace(batch_size=None)


class _Guide:
    """What the cost model expects of schedules of a pair."""

    def __init__(self, pair: Pair) -> None:
        self._evaluator = AnalyticalEvaluator([pair])
        self._spaces = {
            placement: search_space(placement, pair)
            for placement in placements(pair)
            if placement in HOST_PLACEMENTS
        }
        self._qps: dict[Schedule, float] = {}

    def qps(self, schedule: Schedule) -> float:
        """Return the throughput that is expected of a schedule."""
        if schedule not in self._qps:
            point = self._spaces[schedule.placement].point(schedule)[None]
            found = self._evaluator.evaluate(schedule.placement, _NONE, point)
            self._qps[schedule] = float(found.qps[0])
        return self._qps[schedule]

    def divisions(self) -> list[Schedule]:
        """Return the best schedule with each placement and number of cores per thread; doubled from 1 on."""
        return [
            space.schedule(self._ascent(placement, space, width))
            for placement, space in self._spaces.items()
            for width in _widths(space)
        ]

    def around(self, schedule: Schedule) -> list[Schedule]:
        """Return the neighbours of a schedule on the lattice."""
        space = self._spaces[schedule.placement]
        return [space.schedule(point) for point in coarse_steps(space, space.point(schedule))]

    def _ascent(self, placement: Placement, space: Space, width: int) -> Floats:
        task = Tasks(placement, _NONE, (space,))
        return np.asarray(ascents(self._evaluator, task, _NONE, width).points[0])


def _widths(space: Space) -> Iterator[int]:
    width = 1
    while width <= space.upper[COLUMN["cores_per_thread"]]:
        yield width
        width *= 2
