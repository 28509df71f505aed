"""Offloading by query size: small queries are split over host threads, large ones go to the accelerator.

The two parts share nothing in the cost model. Poisson arrivals told apart by their size are two independent
Poisson streams, so that the share of late queries is the mean of both parts', each at its own load with its
own sizes; the latency-bounded throughput is the largest load at which that mean is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY, Efficiency
from hercules_opt.hardware.operating_point import OperatingPoint
from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Schedule
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.prior import WithThreshold, instance_counts
from hercules_opt.scheduling.programs import detail
from hercules_opt.scheduling.space import COLUMN, FIELDS, Floats, Integers, search_space
from hercules_opt.workloads.query_sizes import size_distribution, sizes_between

#: Shares of the queries that a threshold may keep on the host: steps of 5 %, finer at the end.
_KEPT = (*(np.arange(1, 20) / 20.0).tolist(), 0.97, 0.98, 0.99, 0.995)
#: Batch sizes that are tried, and halvings of the load, whose last is this share of saturation.
_BATCHES, _HALVINGS = 64, 30
_MOST = 1.0 - 1e-6
#: A share of late queries so small that every share that matters is above it.
_TINY = 1e-12
#: A power budget that nothing reaches.
_ENDLESS_W = 1e15
#: Rounds of choosing each variable in turn.
_ROUNDS = 4


class Halves(NamedTuple):
    """A pair as the small queries see it and as the large ones do, and the share of the small."""

    small: Pair
    large: Pair
    small_share: float


@dataclass(frozen=True)
class Offloaded:
    """The best schedule with a threshold; ``evaluations`` counts schedules that were judged."""

    schedule: Schedule | None
    qps: float
    power_w: float | None
    evaluations: int


def halves(
    server: ServerType, model: Model, above: int, efficiency: Efficiency = DEFAULT_EFFICIENCY
) -> Halves:
    """Return a pair told apart by the size of its queries: up to ``above`` items, and beyond."""
    assert model.query_size is not None
    sizes = size_distribution(model.query_size)
    parts = [
        pack(server, model.replace(query_size=sizes_between(model.query_size, least, most)), efficiency)
        for least, most in ((1, above), (above + 1, int(sizes.items[-1])))
    ]
    return Halves(parts[0], parts[1], float(sizes.weight[sizes.items <= above].sum()))


def thresholds(model: Model) -> list[int]:
    """Return the query sizes that are tried as thresholds; none where all queries are of one size."""
    assert model.query_size is not None
    sizes = size_distribution(model.query_size)
    largest = int(sizes.items[-1])
    return sorted({size for kept in _KEPT if (size := sizes.quantile(kept)) < largest})


def offload_search(
    server: ServerType,
    model: Model,
    batch_size: int,
    prior: WithThreshold,
    efficiency: Efficiency = DEFAULT_EFFICIENCY,
) -> Offloaded:
    """Return the best schedule with a threshold; ``batch_size`` is where the search begins.

    Threshold and instances are chosen together, then the batch size, in turn as long as it helps.
    """
    search = _Search(server, model, prior, efficiency)
    if not search.above:
        return Offloaded(None, 0.0, None, 0)
    best, best_qps = np.array([0, 0, batch_size]), 0.0
    for _ in range(_ROUNDS):
        before = best_qps
        for choices in (search.other_parts, search.other_batches):
            candidates = choices(best)
            qps = search.throughput(candidates)
            if qps.max() > best_qps:
                best, best_qps = candidates[qps.argmax()], float(qps.max())
        if best_qps <= before:
            break
    if best_qps == 0.0:
        return Offloaded(None, 0.0, None, search.judged)
    schedule = search.schedule(best)
    return Offloaded(schedule, *within_budget(search.parts[best[0]], schedule, best_qps), search.judged)


class _Search:
    """Candidates of one pair: rows of the number of a threshold, instances and batch size."""

    def __init__(
        self, server: ServerType, model: Model, prior: WithThreshold, efficiency: Efficiency
    ) -> None:
        self.above = thresholds(model)
        self.parts = [halves(server, model, above, efficiency) for above in self.above]
        patient = [_lenient(part) for both in self.parts for part in (both.small, both.large)]
        self.evaluator = AnalyticalEvaluator(patient)
        self.judged = 0
        whole = pack(server, model, efficiency)
        self.allowed, self.cores = whole.terms.tail, int(whole.host.cores)
        space = search_space("accelerator", whole)
        self.instances = np.array(instance_counts(space, prior))
        self.fused = space.fused_items[0]
        largest = search_space("cpu", whole).max_batch
        self.batches = np.unique(np.rint(np.geomspace(1, largest, _BATCHES)).astype(np.int64))

    def other_parts(self, choice: Integers) -> Integers:
        """Return all thresholds with all numbers of instances, shape (k, 3)."""
        cuts, counts = np.meshgrid(np.arange(len(self.above)), self.instances)
        return np.column_stack([cuts.ravel(), counts.ravel(), np.full(cuts.size, choice[2])])

    def other_batches(self, choice: Integers) -> Integers:
        """Return all batch sizes that are tried, shape (k, 3)."""
        return np.column_stack([np.tile(choice[:2], (len(self.batches), 1)), self.batches])

    def schedule(self, choice: Integers) -> Schedule:
        cut, instances, batch = choice.tolist()
        return Schedule(
            placement="cpu",
            threads=self.cores,
            cores_per_thread=1,
            batch_size=batch,
            instances=instances,
            fused_items=self.fused,
            offload_above=self.above[cut],
        )

    def throughput(self, choices: Integers) -> Floats:
        """Return the largest load of each choice that meets the latency target; memory counts, power not."""
        self.judged += len(choices)
        count = len(choices)
        small, large = np.ones((2, count, len(FIELDS)))
        small[:, COLUMN["threads"]], small[:, COLUMN["batch_size"]] = self.cores, choices[:, 2]
        large[:, COLUMN["instances"]], large[:, COLUMN["fused_items"]] = choices[:, 1], self.fused
        share = np.array([both.small_share for both in self.parts])[choices[:, 0]]

        def late(load_qps: Floats) -> tuple[Floats, Floats, Floats]:
            on_host, missed = self.evaluator.violation("cpu", 2 * choices[:, 0], small, share * load_qps)
            on_device, missed_there = self.evaluator.violation(
                "accelerator", 2 * choices[:, 0] + 1, large, (1.0 - share) * load_qps
            )
            total = _TINY * (share * np.exp(missed) + (1.0 - share) * np.exp(missed_there))
            most = np.minimum(on_host.saturation_qps / share, on_device.saturation_qps / (1.0 - share))
            return total, most, np.maximum(on_host.memory, on_device.memory)

        _, saturation, memory = late(np.full(count, 1.0))
        low, high = np.zeros(count), _MOST * saturation
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            met = late(middle)[0] <= self.allowed
            low, high = np.where(met, middle, low), np.where(met, high, middle)
        return np.where(memory <= 1.0, low, 0.0)


def _lenient(pair: Pair) -> Pair:
    """Return a pair whose violation at a load is the logarithm of the late share over a tiny one."""
    return pair._replace(terms=pair.terms._replace(tail=_TINY, budget_w=_ENDLESS_W))


def host_part(schedule: Schedule) -> Schedule:
    """Return how the small queries are run."""
    return schedule.replace(instances=None, fused_items=None, offload_above=None)


def device_part(schedule: Schedule) -> Schedule:
    """Return how the large queries are run."""
    return Schedule(placement="accelerator", instances=schedule.instances, fused_items=schedule.fused_items)


def power_w(both: Halves, schedule: Schedule, load_qps: float) -> float:
    """Return the power of host and accelerators, each at its own part of a load."""
    host = _part_at(both.small, host_part(schedule), both.small_share * load_qps)
    device = _part_at(both.large, device_part(schedule), (1.0 - both.small_share) * load_qps)
    return float(host.host_power_w + device.device_power_w)


def _part_at(pair: Pair, schedule: Schedule, load_qps: float) -> OperatingPoint:
    point = search_space(schedule.placement, pair).point(schedule)
    return detail(schedule.placement, pair, point, load_qps).point


def within_budget(both: Halves, schedule: Schedule, load_qps: float) -> tuple[float, float | None]:
    """Return the largest load up to the given one within the power budget, and the power there.

    0 and ``None`` where no load is.
    """
    budget_w, least, most = both.small.terms.budget_w, 0.0, load_qps
    power = power_w(both, schedule, most)
    if power <= budget_w:
        return most, power
    for _ in range(_HALVINGS):
        middle = 0.5 * (least + most)
        within = power_w(both, schedule, middle) <= budget_w
        least, most = (middle, most) if within else (least, middle)
    return (least, power_w(both, schedule, least)) if least > 0.0 else (0.0, None)
