"""Simulate one server under a load and report its latencies, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hercules_opt.errors import InputError, check_type
from hercules_opt.simulation.intervals import (
    BATCHES,
    Interval,
    half_width,
    mean_interval,
    percentile_interval,
)
from hercules_opt.simulation.network import StageUse, run_network
from hercules_opt.simulation.saturation import saturation_of_trace
from hercules_opt.simulation.stages import (
    MOST_QUERIES,
    FloatArray,
    SizeSampler,
    Stage,
    Trace,
    check_count,
    check_network,
    check_positive,
    check_range,
    draw_sizes,
    random_stream,
)

CONFIDENCE = 0.95
#: Share of the queries at the beginning that is left out.
WARMUP_SHARE = 0.1
#: See `ServerRun.long_enough`.
SPANS = 200


@dataclass(frozen=True, eq=False)
class ServerRun:
    """One simulated run of a server, its warm-up removed.

    Attributes
    ----------
    latency_ms
        Shape (queries,): from arrival to the end of the last piece, of the queries kept, in order of
        arrival.
    warmup_queries
        How many queries at the beginning were left out.
    load_qps
        The Poisson rate, or the mean rate of the trace while observed.
    saturation_qps
        What the slowest stage completes when all servers are busy all the time, with these query sizes.
    mean_ms
        Mean latency with its 95 % interval.
    throughput_qps
        Queries completed per second between the arrivals of the first and the last query kept, with its 95
        % interval.
    stages
        The use of each stage in that time.
    """

    latency_ms: FloatArray
    warmup_queries: int
    load_qps: float
    saturation_qps: float
    mean_ms: Interval
    throughput_qps: Interval
    stages: tuple[StageUse, ...]
    seed: int

    @property
    def stable(self) -> bool:
        """Whether the load is below saturation; if not, latencies grow for as long as the load lasts."""
        return self.load_qps < self.saturation_qps

    @property
    def long_enough(self) -> bool:
        """Whether the run spans enough of the queue's slow swings for its intervals to be trusted.

        Latencies of queries about 4 / (1 - rho)^2 apart still depend on each other (rho = load / saturation);
        the intervals were seen to hold their level from 200 such spans on.
        """
        return spans_enough(self.latency_ms.size, self.load_qps / self.saturation_qps)

    def percentile_ms(self, percentile: float) -> Interval:
        """Return a latency percentile with its 95 % interval."""
        return percentile_interval(self.latency_ms, percentile, CONFIDENCE)


def simulate_server(
    stages: Sequence[Stage],
    *,
    load_qps: float | None = None,
    sizes: ArrayLike | SizeSampler | None = None,
    queries: int = 100_000,
    trace: Trace | None = None,
    batch_items: int | None = None,
    warmup_share: float = WARMUP_SHARE,
    seed: int = 0,
) -> ServerRun:
    """Simulate a server from empty, under Poisson arrivals or a trace, until the last query is done.

    Parameters
    ----------
    stages
        One or more, in the order in which every piece passes them.
    load_qps, sizes, queries
        Poisson rate, query sizes in items (a list to draw from with replacement, or ``sampler(rng,
        count)``), and how many queries.
    trace
        In place of these: the queries themselves.
    batch_items
        Query splitting: pieces of at most this many items, the remainder last; None: queries stay whole.
    warmup_share
        Share of the queries at the beginning that is left out.
    seed
        Fixes everything random. Runs that differ in the load only see the same gaps (scaled), sizes and
        service draws.

    Raises
    ------
    InputError
        For bad numbers, and for pieces larger than a stage's table.
    """
    trace, rate = _offered(load_qps, sizes, queries, trace, seed)
    stages, _ = check_network(stages, batch_items, int(trace.items.max()))
    check_range(
        warmup_share, "warmup_share", 0.0, math.nextafter(1.0, 0.0), "must be at least 0 and less than 1"
    )
    skip = int(warmup_share * trace.items.size)
    window_ms = (float(trace.times_ms[skip]), float(trace.times_ms[-1]))
    run = run_network(stages, trace, batch_items=batch_items, seed=seed, window_ms=window_ms)
    latency_ms = (run.done_ms - trace.times_ms)[skip:]
    latency_ms.setflags(write=False)
    return ServerRun(
        latency_ms=latency_ms,
        warmup_queries=skip,
        load_qps=_mean_rate_qps(latency_ms.size - 1, window_ms) if rate is None else rate,
        saturation_qps=saturation_of_trace(stages, trace, batch_items),
        mean_ms=mean_interval(latency_ms, CONFIDENCE),
        throughput_qps=_throughput(run.done_ms, window_ms),
        stages=run.stages,
        seed=seed,
    )


def spans_enough(queries: int, utilization: float) -> bool:
    """Return whether so many queries in a row, at this share of saturation, are enough for intervals."""
    return utilization < 1 and queries * (1 - utilization) ** 2 >= 4 * SPANS


def poisson_trace(load_qps: float, sizes: ArrayLike | SizeSampler, queries: int, seed: int) -> Trace:
    """Return queries with exponential gaps and independent sizes; the load only scales the gaps."""
    check_positive(load_qps, "load_qps")
    check_count(queries, "queries", None)
    check_range(queries, "queries", 1, MOST_QUERIES, f"must be at most {MOST_QUERIES:,}")
    times_ms = random_stream(seed, 0).standard_exponential(queries)
    np.cumsum(times_ms, out=times_ms)
    times_ms *= 1000.0 / load_qps
    return Trace(times_ms, draw_sizes(sizes, queries, random_stream(seed, 1)))


def _offered(
    load_qps: float | None,
    sizes: ArrayLike | SizeSampler | None,
    queries: int,
    trace: Trace | None,
    seed: int,
) -> tuple[Trace, float | None]:
    """Return the queries, and the Poisson rate where there is one."""
    if trace is not None:
        if load_qps is not None or sizes is not None:
            raise InputError(
                "a trace has its own arrivals and sizes: leave out load_qps and sizes", where="trace"
            )
        check_type("trace", trace, Trace)
        return trace, None
    if load_qps is None or sizes is None:
        raise InputError("give load_qps and sizes, or a trace", where="simulate_server")
    return poisson_trace(load_qps, sizes, queries, seed), float(load_qps)


def _throughput(done_ms: FloatArray, window_ms: tuple[float, float]) -> Interval:
    """Return the completions per second inside the window, with an interval over its equal parts."""
    begin, end = window_ms
    if end <= begin:
        return Interval(math.nan, -math.inf, math.inf)
    counts, _ = np.histogram(done_ms, bins=BATCHES, range=window_ms)
    rates = counts * (1000.0 * BATCHES / (end - begin))
    value, half = float(rates.mean()), half_width(rates, CONFIDENCE)
    return Interval(value, value - half, value + half)


def _mean_rate_qps(gaps: int, window_ms: tuple[float, float]) -> float:
    span_ms = window_ms[1] - window_ms[0]
    return 1000.0 * gaps / span_ms if span_ms > 0 else math.nan
