"""The simulator against exact results: the 95 % interval holds the truth in at least 90 % of seeded runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import closed_forms as exact
import numpy as np
import pytest

from hercules_opt.simulation.intervals import Interval, mean_interval, percentile_interval
from hercules_opt.simulation.server import poisson_trace, simulate_server
from hercules_opt.simulation.stages import Stage, Trace

QUERIES = 40_000


@dataclass(frozen=True)
class Case:
    """A queue with its exact mean and, where known, 95th percentile (ms); ``run(seed)`` gives latencies."""

    name: str
    run: Callable[[int], np.ndarray]
    mean_ms: float
    p95_ms: float | None = None


def exponential_stage(
    mean_ms: float, servers: int = 1, fuse_items: int | None = None, items: int = 1
) -> Stage:
    return Stage(servers, np.full((servers, items + 1), mean_ms), fuse_items, variability="exponential")


def latencies(
    stages: list[Stage],
    load_qps: float,
    sizes: np.ndarray,
    batch_items: int | None = None,
    queries: int = QUERIES,
) -> Callable[[int], np.ndarray]:
    """Return the runner of one queue."""

    def run(seed: int) -> np.ndarray:
        return simulate_server(
            stages, load_qps=load_qps, sizes=sizes, batch_items=batch_items, queries=queries, seed=seed
        ).latency_ms

    return run


def two_separate_queues(load_qps: float, mean_ms: float) -> Callable[[int], np.ndarray]:
    """One arrival stream into two servers, each with its own queue: the later of two runs."""

    def run(seed: int) -> np.ndarray:
        trace = poisson_trace(load_qps, [1], QUERIES, seed)
        halves = [
            simulate_server(
                [exponential_stage(mean_ms)], trace=trace, seed=10_000 + 2 * seed + half
            ).latency_ms
            for half in (0, 1)
        ]
        return np.maximum(*halves)

    return run


def queries_apart(servers: int) -> Callable[[int], np.ndarray]:
    """Queries of ``servers`` pieces that never meet."""

    def run(seed: int) -> np.ndarray:
        trace = Trace(np.arange(QUERIES) * 1000.0, np.full(QUERIES, servers))
        stage = exponential_stage(2.0, servers)
        return simulate_server([stage], trace=trace, batch_items=1, seed=seed).latency_ms

    return run


def mixed_sizes() -> tuple[Case, Case]:
    """M/G/1 with service affine in the size, and queries of several exponential pieces on one server."""
    sizes = np.array([1, 2, 3, 5, 8, 13, 21, 34])
    service_ms = 0.5 + 0.25 * np.arange(35)
    s = service_ms[sizes]
    load = 0.75 / s.mean()
    affine = Case(
        "M/G/1",
        latencies([Stage(1, service_ms[None, :])], 1000 * load, sizes),
        exact.mg1_mean(load, s.mean(), (s**2).mean()),
    )
    x = np.array([1, 2, 4, 6])
    pieces = Case(
        "M[X]/M/1",
        latencies([exponential_stage(1.0)], 1000 * 0.7 / x.mean(), x, batch_items=1),
        exact.mg1_mean(0.7 / x.mean(), x.mean(), (x + x**2).mean()),
    )
    return affine, pieces


ONE = np.array([1])
CASES = (
    Case("M/M/1 0.3", latencies([exponential_stage(1.0)], 300.0, ONE), *exact.mm1(0.3, 1.0)),
    Case("M/M/1 0.8", latencies([exponential_stage(1.0)], 800.0, ONE), *exact.mm1(0.8, 1.0)),
    Case("M/M/4", latencies([exponential_stage(2.0, 4)], 1600.0, ONE), *exact.mmc(1.6, 0.5, 4)),
    Case(
        "M/M/20",
        latencies([exponential_stage(20.0, 20)], 900.0, ONE, queries=100_000),
        *exact.mmc(0.9, 0.05, 20),
    ),
    Case("M/D/1", latencies([Stage(1, [[0.0, 1.0]])], 800.0, ONE), *exact.md1(0.8, 1.0)),
    *mixed_sizes(),
    Case(
        "tandem",
        latencies([exponential_stage(1.0), exponential_stage(0.8)], 700.0, ONE),
        *exact.tandem(0.7, (1.0, 1.25)),
    ),
    Case("fork-join, two queues", two_separate_queues(700.0, 1.0), exact.fork_join_two_queues_mean(0.7, 1.0)),
    Case(
        "fork-join, shared queue",
        latencies([exponential_stage(1.0, 2)], 750.0, np.array([2]), batch_items=1),
        *exact.fork_join_shared_queue(0.75, 1.0),
    ),
    Case("fork-join, no load", queries_apart(8), *exact.largest_of(8, 0.5)),
    Case(
        "fused, up to 4",
        latencies([exponential_stage(1.0, fuse_items=4, items=4)], 2500.0, ONE),
        exact.bulk_service_mean(2.5, 1.0, 4),
    ),
)


def holds(interval: Interval, truth: float) -> bool:
    return interval.lower <= truth <= interval.upper


def coverage(case: Case, seeds: range) -> tuple[float, float, float]:
    """Return the shares of runs whose intervals hold mean and 95th percentile, and the mean's half width."""
    means, tails, widths = [], [], []
    for seed in seeds:
        latency_ms = case.run(seed)
        mean = mean_interval(latency_ms)
        means.append(holds(mean, case.mean_ms))
        widths.append(mean.relative_half_width)
        if case.p95_ms is not None:
            tails.append(holds(percentile_interval(latency_ms, 95.0), case.p95_ms))
    return float(np.mean(means)), float(np.mean(tails)) if tails else 1.0, float(np.mean(widths))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_interval_holds_the_truth_20_runs(case: Case) -> None:
    """A smoke of the next test; intervals must also be narrow enough to mean something."""
    mean, tail, width = coverage(case, range(20))
    assert min(mean, tail) >= 0.8
    assert width < 0.15


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_interval_holds_the_truth_200_runs(case: Case) -> None:
    """At least 90 % of 200 seeded runs, for the mean and for the 95th percentile."""
    mean, tail, width = coverage(case, range(1000, 1200))
    assert min(mean, tail) >= 0.9
    assert width < 0.15


def test_exact_results_agree_where_they_meet() -> None:
    """The formulas themselves: M/M/c at c = 1 is M/M/1, and two pieces that find nobody take 3 / (2 rate)."""
    assert exact.mmc(0.3, 1.0, 1) == pytest.approx(exact.mm1(0.3, 1.0))
    assert exact.fork_join_shared_queue(1e-9, 1.0) == pytest.approx(exact.largest_of(2, 1.0))
    assert exact.bulk_service_mean(0.6, 1.0, 1) == pytest.approx(exact.mm1(0.6, 1.0)[0])
    assert exact.fork_join_two_queues_mean(1e-9, 1.0) == pytest.approx(1.5)


@pytest.mark.slow
def test_throughput_interval_holds_the_load() -> None:
    """A stable server completes what arrives: 90 % of 200 seeded runs, on one and on two stages."""
    for stages in ([exponential_stage(4.0, 4)], [exponential_stage(1.0), exponential_stage(0.5)]):
        runs = (
            simulate_server(stages, load_qps=800.0, sizes=ONE, queries=QUERIES, seed=s) for s in range(200)
        )
        assert np.mean([holds(run.throughput_qps, 800.0) for run in runs]) >= 0.9
