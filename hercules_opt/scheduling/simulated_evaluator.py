"""Schedules judged by simulation: an evaluator for searches on the lattice, slow and without a gradient.

The latency-bounded throughput is found by simulated queries in place of the cost model's formulas of
queueing; service times, memory and the power budget remain those of the cost model.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hercules_opt.errors import InputError
from hercules_opt.hardware.packing import Pair
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Placement, Schedule
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator, Evaluation, Flags
from hercules_opt.scheduling.simulated import simulated_servers
from hercules_opt.scheduling.space import Floats, Integers, search_space
from hercules_opt.simulation.largest_load import LargestLoad, largest_load

#: A latency target that no query misses, so that the cost model stops at the power budget or at saturation.
_ENDLESS_S = 1e9


class SimulatedEvaluator:
    """Latency-bounded throughput by simulation, for schedules of the lattice.

    All schedules see the same queries, so that their differences are less noisy than their values.

    Parameters
    ----------
    pairs, models
        The pairs as ``packing.pack`` returns them, and their models.
    queries
        Per simulated load.
    tolerance
        Relative, of the throughput.
    seed
        Of all queries.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        models: Sequence[Model],
        *,
        queries: int = 20_000,
        tolerance: float = 5e-3,
        seed: int = 0,
    ) -> None:
        self.evaluations: Integers = np.zeros(len(pairs), dtype=np.int64)
        self._pairs, self._models = tuple(pairs), tuple(models)
        self._queries, self._tolerance, self._seed = queries, tolerance, seed
        patient = [pair._replace(terms=pair.terms._replace(sla_s=_ENDLESS_S)) for pair in pairs]
        self._limits = AnalyticalEvaluator(patient)
        self._found: dict[tuple[Placement, int, bytes], LargestLoad] = {}

    def evaluate(self, placement: Placement, pair: Integers, points: Floats) -> Evaluation:
        """Return the judgement of points, shape (n, 8), of the pairs with numbers ``pair``, shape (n,).

        Each point is simulated once, and remembered. Those beyond memory, or over the power budget without
        load, are not simulated.
        """
        np.add.at(self.evaluations, pair, 1)
        limits = self._limits.evaluate(placement, pair, points)
        rows = np.flatnonzero(limits.qps > 0.0)
        qps, excess, saturation = (column.copy() for column in limits[:3])
        # Kernels leave Python's lock, so that threads use all cores.
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            loads = threads.map(lambda row: self.largest(placement, int(pair[row]), points[row]), rows)
            for row, load in zip(rows, loads, strict=True):
                late = np.log(load.unloaded_ms.value / 1e3 / self._pairs[pair[row]].terms.sla_s)
                qps[row] = min(load.value_qps, qps[row])
                excess[row], saturation[row] = max(late, excess[row]), load.saturation_qps
        return Evaluation(qps, excess, saturation, limits.memory)

    def may_beat(self, placement: Placement, pair: Integers, points: Floats, qps: Floats) -> Flags:
        """Return that all points may: nothing short of simulating a point tells."""
        return np.ones(len(points), dtype=np.bool_)

    def largest(self, placement: Placement, pair: int, point: Floats) -> LargestLoad:
        """Return the simulated throughput of one point with its interval; power and memory do not count.

        Raises
        ------
        InputError
            If the point is not on the lattice.
        """
        key = (placement, pair, point.tobytes())
        if key not in self._found:
            space = search_space(placement, self._pairs[pair])
            if not space.contains(point[None])[0]:
                raise InputError(
                    "must lie on the lattice to be simulated", where="schedule", found=point.tolist()
                )
            self._found[key] = self._simulated(pair, space.schedule(point))
        return self._found[key]

    def _simulated(self, pair: int, schedule: Schedule) -> LargestLoad:
        model = self._models[pair]
        assert model.sla_ms is not None
        server = simulated_servers([self._pairs[pair]], [model], [schedule])[0]
        return largest_load(
            server.stages,
            sla_ms=model.sla_ms,
            sizes=server.sizes,
            percentile=model.sla_percentile,
            batch_items=server.batch_items,
            queries=self._queries,
            tolerance=self._tolerance,
            seed=self._seed,
        )
