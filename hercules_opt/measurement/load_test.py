"""A server under an open-loop Poisson load: latencies, with intervals, of one run at one rate.

Queries arrive when they arrive, whether or not the server keeps up; latency counts from the intended arrival.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hercules_opt.measurement.timing import Neighbours
from hercules_opt.problem.models import Model, QuerySize
from hercules_opt.simulation.intervals import Interval, percentile_interval
from hercules_opt.simulation.stages import Trace
from hercules_opt.workloads.query_sizes import size_distribution

Floats = npt.NDArray[np.float64]

#: Cores kept busy by others from which a measurement is called disturbed.
BUSY_CORES = 0.1
#: Share of the queries at the beginning that is left out: the server is empty then.
_WARMUP_SHARE = 0.1
#: Whole numbers of queries are not to be missed by rounding.
_ROUNDING = 1e-9
#: Stands for a latency that never ended, where numbers must be finite.
_NEVER_MS = 1e300


@dataclass(frozen=True)
class LateLimit:
    """A run is lost, and may end, as soon as more than so many queries after the first miss the target."""

    sla_ms: float
    most_late: int
    skipped: int = 0

    def broken(self, latency_ms: Floats, since_ms: Floats) -> bool:
        """Whether too many are late, given latencies so far and the time since each query was due."""
        late = (latency_ms > self.sla_ms) & (since_ms > self.sla_ms)
        return int(np.count_nonzero(late[self.skipped :])) > self.most_late


def allowed_late(percentile: float, queries: int) -> int:
    """Return how many of some queries may miss a target that a percentile of them must meet."""
    return queries - math.ceil(percentile / 100.0 * queries - _ROUNDING)


class Server(Protocol):
    """What serves queries; tests have one without a clock."""

    def serve(self, trace: Trace, limit: LateLimit) -> tuple[Floats, float]:
        """Return latencies in ms, infinite for what is not done, and the largest delay of sending in ms."""

    def cpu_s(self) -> float:
        """Return the processor time of its processes so far."""


@dataclass(frozen=True, eq=False)
class LoadRun:
    """One run at one rate.

    Attributes
    ----------
    rate_qps, held
        The rate, and whether enough of all queries were within the target.
    latency_ms
        Of the queries after the warm-up, in order of arrival; infinite for what was not done.
    lateness_ms
        Largest delay of whoever sent the queries.
    busy_cores
        Cores that others kept busy meanwhile; ``None``: not known.
    """

    rate_qps: float
    held: bool
    latency_ms: Floats
    lateness_ms: float
    busy_cores: float | None

    @property
    def disturbed(self) -> bool:
        """Whether others used the machine."""
        return (self.busy_cores or 0.0) >= BUSY_CORES

    def percentile_ms(self, percentile: float) -> Interval:
        """Return a percentile with its 95 % interval: order statistics, as latencies depend on each other.

        See ``simulation.intervals.percentile_interval``; an end that was not reached is infinite.
        """
        finite = np.where(np.isfinite(self.latency_ms), self.latency_ms, _NEVER_MS)
        found = percentile_interval(finite, percentile)
        given = (found.value, max(found.lower, 0.0), found.upper)
        ends = (np.inf if end >= _NEVER_MS else end for end in given)
        return Interval(*ends)


def offered(rate_qps: float, query_size: QuerySize, queries: int, seed: int) -> Trace:
    """Return the queries of a run: a Poisson process given its number, sizes evenly over their distribution.

    So a short run offers the rate that it is meant to, in queries and in items: of 200 independent ones, it
    would be off by 7 % and more.
    """
    rng = np.random.default_rng((seed, queries))
    times_ms = np.cumsum(rng.standard_exponential(queries))
    times_ms *= queries / rate_qps * 1e3 / times_ms[-1]
    sizes = size_distribution(query_size)
    shares = rng.permutation(np.arange(queries) + rng.random(queries)) / queries
    levels = np.cumsum(sizes.weight)
    index = np.searchsorted(levels, shares * levels[-1], side="right")
    return Trace(times_ms, sizes.items[np.minimum(index, len(levels) - 1)])


def load_run(server: Server, model: Model, rate_qps: float, queries: int, seed: int) -> LoadRun:
    """Offer queries at a rate; the run ends early where it is lost."""
    assert model.sla_ms is not None
    assert model.query_size is not None
    trace = offered(rate_qps, model.query_size, queries, seed)
    skipped = int(_WARMUP_SHARE * queries)
    most_late = allowed_late(model.sla_percentile, queries - skipped)
    neighbours = Neighbours(own_s=server.cpu_s)
    latency, lateness = server.serve(trace, LateLimit(model.sla_ms, most_late, skipped))
    kept = latency[skipped:]
    held = int(np.count_nonzero(kept > model.sla_ms)) <= most_late
    return LoadRun(rate_qps, held, kept, lateness, neighbours.cores())
