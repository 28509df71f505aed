"""Check before you claim: each chosen schedule is simulated at the rate that the cost model states for it.

A rate holds if enough queries are within the latency target, with confidence: the lower end of the 95 %
interval of their share is at least the model's percentile. A rate that does not hold is stepped down to one
that does. The interval is one of batch means, taken at the target and not at the percentile found, so that it
stays bounded near saturation too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY, Efficiency
from hercules_opt.hardware.packing import pack
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Schedule
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.offload import halves, power_w
from hercules_opt.scheduling.optimize import Progress, ScheduleResult
from hercules_opt.scheduling.predict import predict_all
from hercules_opt.scheduling.simulated import OffloadingServer, SimulatedServer, simulated_server
from hercules_opt.simulation.intervals import (
    BATCHES,
    batch_means,
    half_width,
    percentile_interval,
    t_quantile,
)
from hercules_opt.simulation.server import CONFIDENCE, poisson_trace
from hercules_opt.simulation.stages import FloatArray, SizeSampler, Trace

#: Queries of the longest run, and pieces where a query has many.
MOST_QUERIES, MOST_PIECES = 200_000, 2_000_000
#: Near saturation a server forgets its start slowly: a run counts from this many queries times 1 / (1 -
#: rho)^2, about twelve relaxation times of a queue with one server.
STEADY = 50.0
#: A rate that was stepped down is found within this share.
RESOLUTION = 0.005
#: Share of the queries that is looked at first, where it has ``FIRST_STEADY`` times 1 / (1 - rho)^2 of them:
#: where that decides, the rest is spared.
FIRST_LOOK, FIRST_STEADY = 0.2, 200.0
#: Rates simulated per schedule at most.
MOST_RATES = 10
#: A rate below this share of the claim counts as none.
LEAST_SHARE = 1e-3
WARMUP_SHARE = 0.1


@dataclass(frozen=True)
class Held:
    """What holds of a claimed rate.

    Attributes
    ----------
    qps
        The claim where it holds, else the largest rate found that does; 0 where none does.
    p95_ms, p99_ms
        Simulated at that rate; ``None`` where there is none.
    rates
        How many rates were simulated.
    """

    qps: float
    p95_ms: float | None
    p99_ms: float | None
    rates: int


@dataclass(frozen=True)
class Checked:
    """A schedule after its check.

    Attributes
    ----------
    qps, p95_ms, p99_ms
        As in ``Held``.
    power_w
        Of the cost model, at that rate; ``None`` where there is none.
    reason
        Why nothing is served.
    """

    qps: float
    power_w: float | None
    p95_ms: float | None
    p99_ms: float | None
    reason: str | None


@dataclass(frozen=True)
class _Answer:
    """A rate: the upper end of the share of late queries over what is allowed; latencies of the run."""

    qps: float
    late: float
    latency_ms: FloatArray

    @property
    def holds(self) -> bool:
        return self.late <= 1.0


def check_results(
    pairs: Sequence[tuple[ServerType, Model]],
    results: Sequence[ScheduleResult],
    *,
    seed: int = 0,
    efficiency: Efficiency = DEFAULT_EFFICIENCY,
    progress: Progress | None = None,
) -> list[Checked | None]:
    """Check the rate of every result that has a schedule; ``None`` for the others.

    ``efficiency`` are the constants that the results were found with. Where a rate is lowered, power is that
    of the cost model at the lowered rate.
    """
    rows = [row for row, result in enumerate(results) if result.schedule is not None]
    models = [pairs[row][1] for row in rows]
    schedules = [result.schedule for result in results if result.schedule is not None]
    claims = [results[row].qps for row in rows]
    servers = [
        simulated_server(pack(*pairs[row], efficiency), pairs[row][1], schedule)
        for row, schedule in zip(rows, schedules, strict=True)
    ]
    found = check_claims(servers, models, claims, seed=seed, progress=progress)
    power = [results[row].power_w for row in rows]
    lowered = [place for place, held in enumerate(found) if 0.0 < held.qps < claims[place]]
    lowered_pairs = [pairs[rows[place]] for place in lowered]
    loads = [found[place].qps for place in lowered]
    powers = _powers_w(lowered_pairs, [schedules[place] for place in lowered], loads, efficiency)
    for place, watts in zip(lowered, powers, strict=True):
        power[place] = watts
    checked: list[Checked | None] = [None] * len(results)
    for place, row in enumerate(rows):
        checked[row] = _checked(found[place], power[place], models[place], claims[place])
    return checked


def _powers_w(
    pairs: Sequence[tuple[ServerType, Model]],
    schedules: Sequence[Schedule],
    loads_qps: Sequence[float],
    efficiency: Efficiency,
) -> list[float]:
    """Return the cost model's power of many pairs, each with its schedule at a load."""
    plain = [place for place, schedule in enumerate(schedules) if schedule.offload_above is None]
    predictions = predict_all(
        [pack(*pairs[place], efficiency) for place in plain],
        [pairs[place][1] for place in plain],
        [schedules[place] for place in plain],
        [loads_qps[place] for place in plain],
        efficiency,
    )
    found = dict(zip(plain, (prediction.power_w for prediction in predictions), strict=True))
    for place, schedule in enumerate(schedules):
        if schedule.offload_above is not None:
            both = halves(*pairs[place], schedule.offload_above, efficiency)
            found[place] = power_w(both, schedule, loads_qps[place])
    return [found[place] for place in range(len(schedules))]


def _checked(held: Held, power_w: float | None, model: Model, claim_qps: float) -> Checked:
    if held.qps > 0.0:
        return Checked(held.qps, power_w, held.p95_ms, held.p99_ms, None)
    reason = (
        f"the cost model states {claim_qps:.4g} QPS, but in simulation no rate keeps "
        f"{model.sla_percentile:g} % of the queries within the target of {model.sla_ms:g} ms; "
        "a longer target helps"
    )
    return Checked(0.0, None, None, None, reason)


def check_claims(
    servers: Sequence[SimulatedServer | OffloadingServer],
    models: Sequence[Model],
    claims_qps: Sequence[float],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Held]:
    """Return what holds of the claimed rate of each server; the same seed gives the same answers."""
    done = []
    # Kernels leave Python's lock, so that threads use all cores.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        work = threads.map(
            lambda case: check_claim(*case, seed=seed), zip(servers, models, claims_qps, strict=True)
        )
        for found in work:
            done.append(found)
            if progress is not None:
                progress(len(done), len(servers))
    return done


def check_claim(
    server: SimulatedServer | OffloadingServer, model: Model, claim_qps: float, *, seed: int = 0
) -> Held:
    """Return what holds of a claimed rate.

    The claim is simulated first. Where it fails, further rates follow: first down, until one holds, then
    between the largest that holds and the smallest that does not, where the logarithm of the share of late
    queries is close to linear in the load. All rates see the same queries and the same gaps, scaled.
    """
    target = _Target(server, model, seed)
    load = min(claim_qps, target.steadiest_qps)
    holds: _Answer | None = None
    fails: _Answer | None = None
    rates = 0
    while rates < MOST_RATES and load > LEAST_SHARE * claim_qps:
        answer = target.ask(load)
        rates += 1
        holds, fails = (answer, fails) if answer.holds else (holds, answer)
        if holds is not None and (fails is None or holds.qps >= (1.0 - RESOLUTION) * fails.qps):
            break
        load = target.next_load(holds, fails)
    if holds is None:
        return Held(0.0, None, None, rates)
    p95_ms, p99_ms = (percentile_interval(holds.latency_ms, percent).value for percent in (95.0, 99.0))
    return Held(holds.qps, p95_ms, p99_ms, rates)


class _Target:
    """The latency target of a server, and the queries that it is checked with."""

    def __init__(self, server: SimulatedServer | OffloadingServer, model: Model, seed: int) -> None:
        assert model.sla_ms is not None
        self.server, self.seed = server, seed
        self.sla_ms, self.allowed = model.sla_ms, 1.0 - model.sla_percentile / 100.0
        probe = _unit_trace(server.sizes, 1000, seed)
        pieces = 1.0 if server.batch_items is None else float((-(-probe.items // server.batch_items)).mean())
        queries = int(min(MOST_QUERIES, MOST_PIECES / pieces))
        self.trace = _unit_trace(server.sizes, queries, seed)
        self.saturation_qps = server.saturation_qps(self.trace)
        self.steadiest_qps = (1.0 - math.sqrt(STEADY / _kept(queries))) * self.saturation_qps

    def ask(self, load_qps: float) -> _Answer:
        """Simulate a rate: a first look where it is long enough and decides, else all queries."""
        queries = self.trace.items.size
        first = int(FIRST_LOOK * queries)
        if _kept(first) * (1.0 - load_qps / self.saturation_qps) ** 2 >= FIRST_STEADY:
            answer, decided = self._look(load_qps, first)
            if decided:
                return answer
        return self._look(load_qps, queries)[0]

    def _look(self, load_qps: float, queries: int) -> tuple[_Answer, bool]:
        """Return the answer of a run, and whether it is out of doubt."""
        trace = Trace(self.trace.times_ms[:queries] / load_qps, self.trace.items[:queries])
        done_ms = self.server.done_ms(trace, self.seed)
        latency_ms = (done_ms - trace.times_ms)[int(WARMUP_SHARE * queries) :]
        within = (latency_ms <= self.sla_ms).astype(np.float64)
        late, allowed = 1.0 - float(within.mean()), self.allowed
        independent = math.sqrt(allowed * (1.0 - allowed) / within.size) * t_quantile(BATCHES - 1, CONFIDENCE)
        half = max(half_width(batch_means(within), CONFIDENCE), independent)
        answer = _Answer(load_qps, (late + half) / allowed, latency_ms)
        return answer, answer.holds or late - half > allowed

    def next_load(self, holds: _Answer | None, fails: _Answer | None) -> float:
        """Return a rate below what fails and above what holds, where about as many are late as may be."""
        assert fails is not None
        margin = 0.5 * RESOLUTION * fails.qps
        if holds is None:
            # The tail decays as exp(-rate x target), at a rate in proportion to what is left of saturation.
            late = min(fails.late * self.allowed, 0.5)
            left = (self.saturation_qps - fails.qps) * math.log(self.allowed) / math.log(late)
            return min(max(self.saturation_qps - left, 0.5 * fails.qps), fails.qps - margin)
        above, below = math.log(fails.late), math.log(holds.late)
        load = holds.qps + (fails.qps - holds.qps) * below / (below - above) - margin
        return min(max(load, holds.qps + margin), fails.qps - margin)


@lru_cache(maxsize=16)
def _unit_trace(sizes: SizeSampler, queries: int, seed: int) -> Trace:
    """Return queries at one a second; servers of the same model see the same ones."""
    return poisson_trace(1.0, sizes, queries, seed)


def _kept(queries: int) -> float:
    return (1.0 - WARMUP_SHARE) * queries
