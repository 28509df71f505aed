"""The largest rate within the latency target, by repeated bisection over runs under load.

A bisection leaves its bracket between a rate that held and one that missed; each begins where the one before
ended and has queries of its own, so that their spread tells what queries and the machine do to the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, stdev

from hercules_opt.measurement.load_test import BUSY_CORES, LoadRun, Server, load_run
from hercules_opt.problem.models import Model
from hercules_opt.simulation.intervals import Interval, t_quantile

#: Ratio of the ends at which a bisection is done.
_RESOLVED = 1.06
#: First step from where the first bisection begins, and a later one, which begins where the one before ended;
#: each next step is wider by this power.
FIRST_STEP, NEXT_STEP, _WIDER = 1.5, 1.1, 1.5
#: Rates that miss one after the other, from which it is taken that none holds.
_MOST_MISSES = 5
#: Highest rate that is offered: what one process can send.
_MOST_QPS = 20_000.0
#: The confidence of all intervals.
_CONFIDENCE = 0.95
#: Seeds of two runs, and of two bisections, differ: queries do not repeat.
_RUNS_APART, _REPEATS_APART = 100, 10


@dataclass(frozen=True)
class Effort:
    """How long to measure one schedule.

    Attributes
    ----------
    repeats
        Bisections.
    run_s, least_queries, targets
        Time of one run, at least; where the rate is low, as long as so many queries take; and so many times
        the latency target, or a rate above saturation would hold, whose queue has not grown to it yet.
    """

    repeats: int = 3
    run_s: float = 3.0
    least_queries: int = 200
    targets: float = 25.0

    def queries(self, rate_qps: float, sla_ms: float) -> int:
        """Return the queries of a run."""
        return max(self.least_queries, int(rate_qps * max(self.run_s, self.targets * sla_ms * 1e-3)))


#: For schedules the best of which is measured again.
ONCE = Effort(repeats=1)
#: Seconds, to see that it works.
QUICK = Effort(repeats=2, run_s=0.2, least_queries=50, targets=1.0)


@dataclass(frozen=True)
class LargestRate:
    """The largest rate within the latency target.

    Attributes
    ----------
    qps
        Geometric mean of the bisections with its 95 % interval: Student's t over them, and half of a
        bracket; 0 where no rate holds.
    bisections
        What each found; 0: no rate.
    latency_ms
        Percentiles with their intervals in the run at the highest rate that held; none: no rate did.
    lateness_ms
        Largest delay of whoever sent the queries.
    busy_cores
        Cores that others kept busy, on average over all runs; ``None``: not known.
    runs, disturbed_runs
        Runs that it took, and those in which others used the machine.
    """

    qps: Interval
    bisections: tuple[float, ...]
    latency_ms: dict[float, Interval]
    lateness_ms: float
    busy_cores: float | None
    runs: int
    disturbed_runs: int

    @property
    def disturbed(self) -> bool:
        """Whether others used the machine in more than a few runs."""
        return self.disturbed_runs > BUSY_CORES * self.runs


def largest_rate(
    server: Server,
    model: Model,
    expected_qps: float,
    *,
    effort: Effort | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> LargestRate:
    """Return the largest rate at which enough queries are within the latency target.

    Parameters
    ----------
    expected_qps
        Where to begin.
    seed
        Of the queries: measurements with the same one offer the same.
    progress
        Called with a line per run.
    """
    effort, runs, found = effort or Effort(), list[LoadRun](), list[float]()
    begin, step = expected_qps, FIRST_STEP
    for repeat in range(effort.repeats):
        qps, offered = bisected(
            server, model, begin, step, effort=effort, seed=_REPEATS_APART * seed + repeat, progress=progress
        )
        found.append(qps)
        runs += offered
        if max(found) == 0.0:
            break
        begin, step = qps or begin, NEXT_STEP
    return summarized(found, runs, model.sla_percentile)


def summarized(found: list[float], runs: list[LoadRun], percentile: float) -> LargestRate:
    """Return what bisections found, with what is known of their runs."""
    busy = [run.busy_cores for run in runs if run.busy_cores is not None]
    return LargestRate(
        rate_interval(found),
        tuple(found),
        _percentiles(runs, percentile),
        max(run.lateness_ms for run in runs),
        fmean(busy) if busy else None,
        len(runs),
        sum(run.disturbed for run in runs),
    )


def bisected(
    server: Server,
    model: Model,
    begin_qps: float,
    step: float,
    *,
    effort: Effort,
    seed: int,
    progress: Callable[[str], None] | None = None,
) -> tuple[float, list[LoadRun]]:
    """Return what one bisection finds, and its runs; each has queries of its own."""
    runs: list[LoadRun] = []
    assert model.sla_ms is not None
    sla_ms = model.sla_ms

    def held(rate_qps: float) -> bool:
        queries = effort.queries(rate_qps, sla_ms)
        run = load_run(server, model, rate_qps, queries, _RUNS_APART * seed + len(runs))
        runs.append(run)
        if progress is not None:
            progress(_line(run))
        return run.held

    return bisection(held, min(begin_qps, _MOST_QPS), step), runs


def bisection(held: Callable[[float], bool], begin: float, step: float) -> float:
    """Return the middle of the bracket that a bisection of rates ends with; 0 where no rate holds."""
    low, high, rate, misses = 0.0, math.inf, begin, 0
    while low == 0.0 or high == math.inf:
        if held(rate):
            if rate >= _MOST_QPS:
                return rate
            low, rate = rate, min(rate * step, _MOST_QPS)
        else:
            high, rate, misses = rate, rate / step, misses + 1
            if misses == _MOST_MISSES:
                return 0.0
        step **= _WIDER
    while high / low > _RESOLVED:
        rate = math.sqrt(low * high)
        low, high = (rate, high) if held(rate) else (low, rate)
    return math.sqrt(low * high)


def rate_interval(found: list[float]) -> Interval:
    """Return the geometric mean of what bisections found, with its 95 % interval.

    One that found no rate is left out, unless at least half of them did: a moment of the machine does that.
    """
    some = [qps for qps in found if qps > 0.0]
    if 2 * len(some) <= len(found):
        return Interval(0.0, 0.0, max(found))
    return geometric_interval(some, math.log(_RESOLVED) / 2.0)


def geometric_interval(values: list[float], error: float = 0.0) -> Interval:
    """Return a geometric mean with its interval by Student's t, without an end where there is one value.

    ``error`` is one more, in logarithms.
    """
    logs = [math.log(value) for value in values]
    mean = fmean(logs)
    if len(logs) == 1:
        return Interval(math.exp(mean), 0.0, math.inf)
    spread = stdev(logs) / math.sqrt(len(logs))
    half = math.hypot(t_quantile(len(logs) - 1, _CONFIDENCE) * spread, error)
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def _percentiles(runs: list[LoadRun], percentile: float) -> dict[float, Interval]:
    held = [run for run in runs if run.held]
    if not held:
        return {}
    best = max(held, key=lambda run: run.rate_qps)
    return {each: best.percentile_ms(each) for each in sorted({50.0, 95.0, 99.0, percentile})}


def _line(run: LoadRun) -> str:
    busy = f", others busy {run.busy_cores:.2f}" if run.disturbed else ""
    return f"  {run.rate_qps:.4g} QPS {'held' if run.held else 'missed'}{busy}"
