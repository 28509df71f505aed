"""Check before you claim: each chosen schedule is simulated at the rate that the cost model states for it.

A rate holds if enough queries are within the latency target, with confidence: the lower end of the 95 %
interval of their share is at least the model's percentile. A rate that does not hold is stepped down to one
that does. The interval is one of batch means, taken at the target and not at the percentile found, so that it
stays bounded near saturation too.

Late queries come in clusters, the longer the closer to saturation. A run that happens to have few of them
also shows little variance, so that batch means alone pass too many rates. Two things mend that: the variance
is scaled to the share of late queries that is allowed, and a run that holds few clusters is held against the
theory of a queue in heavy traffic instead.
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
    TIE,
    batch_means,
    half_width,
    percentile_interval,
    t_quantile,
)
from hercules_opt.simulation.server import CONFIDENCE, WARMUP_SHARE, poisson_trace
from hercules_opt.simulation.stages import FloatArray, SizeSampler, Trace

#: Queries of the longest run, and pieces where a query has many.
MOST_QUERIES, MOST_PIECES = 600_000, 4_000_000
#: But never fewer queries than this.
LEAST_QUERIES = 1_000
#: Shares of them that are looked at in turn, until the answer is out of doubt; the first look never is final.
LOOKS = (1 / 15, 1 / 3, 1.0)
#: An early look decides only where the target lies outside an interval of this level: it adds hardly any
#: error.
EARLY_CONFIDENCE = 0.998
#: The spans of a run are its queries x (1 - rho)^2 x the share of late queries allowed, rho being load /
#: saturation; fewer where query sizes vary more than exponential ones do. Late queries of M/M/1 near
#: saturation come as if each cluster took this many.
CLUSTER = 4.0
#: From so many spans on, batch means tell the variance; with fewer than these, nothing is told at all.
ENOUGH_SPANS, LEAST_SPANS = 100.0, 5.0
#: A rate that was stepped down is found within this share.
RESOLUTION = 0.005
#: Rates simulated per schedule at most.
MOST_RATES = 12
#: Rates below this share of saturation are simulated at it, where queries hardly ever meet either: the clock
#: would not tell their latencies.
LEAST_LOAD = 1e-6
#: A rate below this share of the claim counts as none.
LEAST_SHARE = 1e-3


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
        How many rates were simulated; 0 where no run is long enough to tell the percentile.
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
    reason = f"the cost model states {claim_qps:.4g} QPS, but "
    if held.rates:
        reason += (
            f"in simulation no rate keeps {model.sla_percentile:g} % of the queries within the target of "
            f"{model.sla_ms:g} ms, beyond doubt; a longer target helps"
        )
    else:
        reason += (
            f"a simulation of at most {MOST_QUERIES:,} queries cannot tell p{model.sla_percentile:g}; "
            "a lower percentile helps, or to leave out the check"
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
    queries is close to linear in the load; halfway where two answers in a row were the same, as an early look
    gives a wider interval than a later one. All rates see the same queries and the same gaps, scaled.
    """
    target = _Target(server, model, seed)
    load = min(claim_qps, target.steadiest_qps)
    holds: _Answer | None = None
    fails: _Answer | None = None
    rates, repeated = 0, False
    while rates < MOST_RATES and load > LEAST_SHARE * claim_qps:
        answer = target.ask(load)
        rates += 1
        holds, fails = (answer, fails) if answer.holds else (holds, answer)
        if holds is not None and (fails is None or holds.qps >= (1.0 - RESOLUTION) * fails.qps):
            break
        if holds is not None and fails is not None and repeated == answer.holds and rates > 1:
            load = 0.5 * (holds.qps + fails.qps)
        else:
            load = target.next_load(holds, fails)
        repeated = answer.holds
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
        queries = int(max(min(MOST_QUERIES, MOST_PIECES / pieces), LEAST_QUERIES))
        self.trace = _unit_trace(server.sizes, queries, seed)
        self.saturation_qps = server.saturation_qps(self.trace)
        sizes = self.trace.items
        variation = 1.0 + float(sizes.var()) / float(sizes.mean()) ** 2
        self.rarity = self.allowed * min(1.0, 2.0 / variation)

    @property
    def steadiest_qps(self) -> float:
        """The largest rate that the longest run can tell about; 0 where it can tell about none."""
        kept = _kept(self.trace.items.size)
        # Where all are in time, the share allowed must lie outside the interval of independent queries.
        if independent_half_width(self.allowed, int(kept), CONFIDENCE) > self.allowed:
            return 0.0
        return max(1.0 - math.sqrt(LEAST_SPANS / (kept * self.rarity)), 0.0) * self.saturation_qps

    def ask(self, load_qps: float) -> _Answer:
        """Simulate a rate: more and more queries until the answer is out of doubt."""
        simulated_qps = max(load_qps, LEAST_LOAD * self.saturation_qps)
        for look, share in enumerate(LOOKS):
            queries = int(share * self.trace.items.size)
            spans = _kept(queries) * (1.0 - simulated_qps / self.saturation_qps) ** 2 * self.rarity
            last = share == 1.0 or (look > 0 and spans >= ENOUGH_SPANS)
            if spans < LEAST_SPANS and not last:
                continue
            late, half, latency_ms = self._look(
                simulated_qps, queries, spans, CONFIDENCE if last else EARLY_CONFIDENCE
            )
            if last or abs(late - self.allowed) > half:
                break
        return _Answer(load_qps, (late + half) / self.allowed, latency_ms)

    def _look(
        self, load_qps: float, queries: int, spans: float, confidence: float
    ) -> tuple[float, float, FloatArray]:
        """Return the share of late queries, the half width of its interval, and the latencies."""
        trace = Trace(self.trace.times_ms[:queries] / load_qps, self.trace.items[:queries])
        done_ms = self.server.done_ms(trace, self.seed)
        latency_ms = (done_ms - trace.times_ms)[int(WARMUP_SHARE * queries) :]
        within = (latency_ms <= self.sla_ms * (1.0 + TIE)).astype(np.float64)
        late = 1.0 - float(within.mean())
        half = half_width(batch_means(within), confidence)
        if 0.0 < late < self.allowed:
            half *= math.sqrt(self.allowed / late)
        half = max(half, independent_half_width(self.allowed, within.size, confidence))
        if spans < ENOUGH_SPANS:
            half = max(half, clustered_half_width(self.allowed, spans, confidence))
        return late, half, latency_ms

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


def independent_half_width(allowed: float, queries: int, confidence: float) -> float:
    """Return the half width for a share that is just the one allowed, if queries were independent."""
    return math.sqrt(allowed * (1.0 - allowed) / queries) * t_quantile(BATCHES - 1, confidence)


def clustered_half_width(allowed: float, spans: float, confidence: float) -> float:
    """Return how far below the share allowed one that is just that falls at most, near saturation.

    The share is about a gamma variable with the variance ``allowed`` x ``allowed`` x ``CLUSTER`` / ``spans``.
    """
    from scipy.special import gammaincinv

    shape = spans / CLUSTER
    return allowed * (1.0 - float(gammaincinv(shape, 0.5 - confidence / 2)) / shape)


@lru_cache(maxsize=16)
def _unit_trace(sizes: SizeSampler, queries: int, seed: int) -> Trace:
    """Return queries at one a second; servers of the same model see the same ones."""
    return poisson_trace(1.0, sizes, queries, seed)


def _kept(queries: int) -> float:
    return (1.0 - WARMUP_SHARE) * queries
