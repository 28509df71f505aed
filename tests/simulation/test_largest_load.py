"""Latency-bounded throughput by simulation, against queues whose answer is exact."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hercules_opt.simulation.largest_load import LargestLoad, largest_load
from hercules_opt.simulation.server import poisson_trace, simulate_server
from hercules_opt.simulation.stages import Stage, Trace

MM1 = Stage(1, [[0.0, 1.0]], variability="exponential")
ITEMS = np.arange(65)
HOST = Stage(4, np.array([0.2 + 0.05 * ITEMS * (1 + 0.1 * k) for k in range(4)]))
DEVICE = Stage(2, np.array([1.0 + 0.01 * ITEMS * (1 + 0.2 * k) for k in range(2)]), fuse_items=64)
SIZES = [3, 10, 30, 64]


def mm1_largest_qps(sla_ms: float, percentile: float) -> float:
    """M/M/1 with 1000 services a second: rate - load = -ln(1 - p) / sla."""
    return 1000 * (1 + math.log(1 - percentile / 100) / sla_ms)


def covers(found: LargestLoad, truth: float) -> bool:
    return found.lower_qps <= truth <= found.upper_qps


@pytest.mark.parametrize(("sla_ms", "percentile"), [(4.0, 95.0), (15.0, 95.0), (15.0, 99.0)])
def test_mm1(sla_ms: float, percentile: float) -> None:
    """The interval holds the exact load, and is narrow."""
    found = largest_load([MM1], sla_ms=sla_ms, percentile=percentile, sizes=[1], queries=100_000, seed=1)
    assert covers(found, mm1_largest_qps(sla_ms, percentile))
    assert found.upper_qps - found.lower_qps < 0.15 * found.value_qps
    assert found.bound_by == "latency"


@pytest.mark.slow
def test_mm1_interval_holds_the_truth_200_runs() -> None:
    """At least 90 % of 200 seeded searches."""
    truth = mm1_largest_qps(10.0, 95.0)
    found = (largest_load([MM1], sla_ms=10.0, sizes=[1], queries=30_000, seed=s) for s in range(200))
    assert np.mean([covers(f, truth) for f in found]) >= 0.9


def search(sla_ms: float, **options: object) -> LargestLoad:
    settings = {"sizes": SIZES, "batch_items": 16, "queries": 20_000, **options}
    return largest_load([HOST, DEVICE], sla_ms=sla_ms, **settings)  # type: ignore[arg-type]


def test_the_value_meets_the_target_and_a_little_more_does_not() -> None:
    """Checked by single runs on the same queries."""
    found = search(12.0, seed=5)
    unit = poisson_trace(1.0, SIZES, 20_000, 5)
    for factor, meets in ((1.0, True), (0.9, True), (0.6, True), (1.0 + 2e-3, False)):
        trace = Trace(unit.times_ms / (factor * found.value_qps), unit.items)
        run = simulate_server([HOST, DEVICE], trace=trace, batch_items=16, seed=5)
        assert (run.percentile_ms(95.0).value <= 12.0 * (1 + 1e-5)) is meets


def test_order_and_growth() -> None:
    """lower <= value <= upper <= saturation, and a looser target never costs throughput."""
    found = [search(sla) for sla in (6.0, 8.0, 12.0, 30.0, 1e4)]
    for f in found:
        assert 0 <= f.lower_qps <= f.value_qps <= f.upper_qps <= f.saturation_qps
    values = [f.value_qps for f in found]
    assert values == sorted(values)
    assert found[-1].bound_by == "saturation"
    assert values[-1] == found[-1].saturation_qps


def test_zero_when_a_query_alone_misses() -> None:
    """The unloaded percentile is exact here: 64 items in four pieces of 16, then the device."""
    alone_ms = (0.2 + 0.05 * 16 * 1.3) + (1.0 + 0.01 * 64)
    found = search(0.9 * alone_ms)
    assert found.unloaded_ms.value == pytest.approx(alone_ms, rel=1e-6)
    assert (found.value_qps, found.upper_qps, found.bound_by, found.runs) == (0.0, 0.0, "unloaded", 0)
    assert search(1.3 * alone_ms).value_qps > 0


@pytest.mark.parametrize("queries", [3, 50, 2000])
def test_a_target_above_the_unloaded_percentile_is_met_by_some_load(queries: int) -> None:
    """Both look at the same queries: those after the warm-up."""
    for seed in range(20):
        options = {"sizes": [1], "queries": queries, "seed": seed}
        alone_ms = largest_load([MM1], sla_ms=1e6, **options).unloaded_ms.value  # type: ignore[arg-type]
        found = largest_load([MM1], sla_ms=1.01 * alone_ms, **options)  # type: ignore[arg-type]
        assert found.bound_by != "unloaded"
        assert found.value_qps > 0.0


def test_long_enough_is_judged_at_the_load_found() -> None:
    """800 / (1 - rho)^2 of the queries kept: 20,000 at 80 % of saturation, never enough at saturation."""
    for queries, enough in ((30_000, True), (10_000, False)):
        found = largest_load([MM1], sla_ms=15.0, sizes=[1], queries=queries)
        assert found.queries == 0.9 * queries
        assert found.long_enough is enough
    assert not largest_load([MM1], sla_ms=1e6, sizes=[1], queries=30_000).long_enough


def test_same_seed_same_answer() -> None:
    assert search(12.0, seed=2) == search(12.0, seed=2)


def test_too_few_queries_bound_nothing() -> None:
    """Ten queries give a value, and an interval that admits ignorance: from nothing to saturation."""
    found = largest_load([MM1], sla_ms=5.0, sizes=[1], queries=10)
    assert (found.lower_qps, found.upper_qps) == (0.0, found.saturation_qps)
