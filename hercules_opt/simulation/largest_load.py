"""Latency-bounded throughput by simulation: the largest load whose latency percentile meets the target."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from hercules_opt.simulation.intervals import TIE, Interval, percentile_interval
from hercules_opt.simulation.network import run_network
from hercules_opt.simulation.saturation import saturation_of_trace
from hercules_opt.simulation.server import (
    CONFIDENCE,
    WARMUP_SHARE,
    poisson_trace,
    simulate_server,
    spans_enough,
)
from hercules_opt.simulation.stages import (
    SizeSampler,
    Stage,
    Trace,
    check_network,
    check_percentile,
    check_positive,
    check_range,
)

#: Shares of saturation tried in ascending order, so that no load below the answer is known to miss.
SCAN = (0.25, 0.5, 0.75, 0.9, 1.0)
#: An exponential draw exceeds this once in 10^17: queries this many service times apart never meet.
EXPONENTIAL_BOUND = 40.0


@dataclass(frozen=True)
class LargestLoad:
    """The largest load that meets the latency target, with its 95 % interval.

    Attributes
    ----------
    value_qps
        Largest simulated load whose percentile is within the target; 0 when queries miss it even alone.
    lower_qps, upper_qps
        The loads at which the percentile's interval lies wholly within the target, and wholly above it.
    bound_by
        ``"latency"``; ``"saturation"``: the target still holds there; ``"unloaded"``: a query alone misses
        it.
    saturation_qps
        See `ServerRun.saturation_qps`; no value exceeds it.
    unloaded_ms
        The percentile of queries that never meet another one.
    runs
        How many loads were simulated.
    queries
        How many queries of each run were kept.
    """

    value_qps: float
    lower_qps: float
    upper_qps: float
    bound_by: Literal["latency", "saturation", "unloaded"]
    saturation_qps: float
    unloaded_ms: Interval
    runs: int
    queries: int
    seed: int

    @property
    def long_enough(self) -> bool:
        """Whether the interval is to be trusted: see `ServerRun.long_enough`, here at the load found."""
        return spans_enough(self.queries, self.value_qps / self.saturation_qps)


def largest_load(
    stages: Sequence[Stage],
    *,
    sla_ms: float,
    sizes: ArrayLike | SizeSampler,
    percentile: float = 95.0,
    batch_items: int | None = None,
    queries: int = 100_000,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> LargestLoad:
    """Find the largest Poisson load whose latency percentile meets ``sla_ms``.

    All loads see the same queries, gaps (scaled) and service draws, so that the percentile is a nearly
    continuous function of the load. The value is the root for the percentile itself; the interval's ends
    are the roots for the upper and the lower end of the percentile's interval, which inverts that
    interval: it covers the true load as often as the other covers the true percentile.

    Parameters
    ----------
    stages, sizes, batch_items, queries, seed
        As in `simulate_server`; each run simulates ``queries`` queries.
    sla_ms, percentile
        The target: this percentile of the latency is at most ``sla_ms``.
    tolerance
        Relative, on each of the three loads; from 1e-9 to 0.1.

    Raises
    ------
    InputError
        As `simulate_server` does, and for a target or tolerance out of range.
    """
    check_positive(sla_ms, "sla_ms")
    check_range(tolerance, "tolerance", 1e-9, 0.1, "must be from 1e-9 to 0.1")
    check_percentile(percentile)
    trace = poisson_trace(1.0, sizes, queries, seed)
    stages, _ = check_network(stages, batch_items, int(trace.items.max()))
    saturation_qps = saturation_of_trace(stages, trace, batch_items)
    unloaded_ms = unloaded_percentile(stages, trace, batch_items, percentile, seed)

    def percentile_at(load_qps: float) -> Interval:
        scaled = Trace(trace.times_ms / load_qps, trace.items)
        return simulate_server(stages, trace=scaled, batch_items=batch_items, seed=seed).percentile_ms(
            percentile
        )

    search = _Search(percentile_at, unloaded_ms, saturation_qps, sla_ms, tolerance)
    value = search.largest(lambda interval: interval.value)
    return LargestLoad(
        value_qps=value,
        lower_qps=search.largest(lambda interval: interval.upper),
        upper_qps=search.largest(lambda interval: interval.lower),
        bound_by="unloaded"
        if search.missed_alone
        else "saturation"
        if value >= saturation_qps
        else "latency",
        saturation_qps=saturation_qps,
        unloaded_ms=unloaded_ms,
        runs=len(search.seen) - 1,
        queries=queries - int(WARMUP_SHARE * queries),
        seed=seed,
    )


@dataclass
class _Search:
    """Roots of several ends of one interval over the load; every simulated load serves all of them."""

    percentile_at: Callable[[float], Interval]
    unloaded_ms: Interval
    saturation_qps: float
    sla_ms: float
    tolerance: float
    seen: dict[float, Interval] = field(init=False)

    @property
    def missed_alone(self) -> bool:
        """Whether queries that never meet another one miss the target."""
        return self.unloaded_ms.value > self.sla_ms * (1.0 + TIE)

    def __post_init__(self) -> None:
        self.seen = {0.0: self.unloaded_ms}

    def largest(self, end: Callable[[Interval], float]) -> float:
        """Return the largest load at which this end of the percentile's interval is within the target."""

        def excess(load_qps: float) -> float:
            """Negative within the target; close to linear in the load, as 1 / latency is for M/M/1."""
            if load_qps not in self.seen:
                self.seen[load_qps] = self.percentile_at(load_qps)
            reached_ms = end(self.seen[load_qps])
            allowed_ms = self.sla_ms * (1.0 + TIE)
            return 1.0 - (allowed_ms / reached_ms if reached_ms > 0 else math.inf)

        from scipy.optimize import brentq

        met = 0.0
        if excess(met) > 0:
            return 0.0
        for share in SCAN:
            load = share * self.saturation_qps
            if excess(load) > 0:
                # The bracket keeps a finite sign at its lower end.
                brentq(
                    lambda x: max(excess(x), -1e3),
                    met,
                    load,
                    xtol=1e-9 * self.saturation_qps,
                    rtol=self.tolerance,
                )
                missed = min(x for x in self.seen if x > met and excess(x) > 0)
                return max(x for x in self.seen if x < missed and excess(x) <= 0)
            met = load
        return self.saturation_qps


def unloaded_percentile(
    stages: tuple[Stage, ...], trace: Trace, batch_items: int | None, percentile: float, seed: int
) -> Interval:
    """Return the percentile of queries so far apart that none meets another, of those that a run keeps."""
    largest = int(trace.items.max())
    _, piece = check_network(stages, batch_items, largest)
    gap_ms = -(-largest // piece) * sum(
        float(stage.table_ms[:, 1 : max(piece, min(stage.fuse_items or 0, largest)) + 1].max())
        * (EXPONENTIAL_BOUND if stage.variability == "exponential" else 1.0)
        for stage in stages
    )
    apart = Trace(np.arange(trace.items.size) * gap_ms, trace.items)
    run = run_network(stages, apart, batch_items=batch_items, seed=seed)
    kept_ms = (run.done_ms - apart.times_ms)[int(WARMUP_SHARE * apart.items.size) :]
    return percentile_interval(kept_ms, percentile, CONFIDENCE)
