"""One run of a server: seeds, warm-up, throughput, stability, saturation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hercules_opt.simulation.saturation import saturation_of_trace
from hercules_opt.simulation.server import ServerRun, simulate_server
from hercules_opt.simulation.stages import Stage, Trace

ITEMS = np.arange(65)
HOST = Stage(4, np.array([0.2 + 0.05 * ITEMS * (1 + 0.1 * k) for k in range(4)]), name="host")
DEVICE = Stage(
    2, np.array([1.0 + 0.01 * ITEMS * (1 + 0.2 * k) for k in range(2)]), fuse_items=64, name="device"
)
SIZES = [3, 10, 30, 64]


def run(load_qps: float, **options: object) -> ServerRun:
    settings = {"load_qps": load_qps, "sizes": SIZES, "batch_items": 16, "queries": 20_000, **options}
    return simulate_server([HOST, DEVICE], **settings)  # type: ignore[arg-type]


def test_same_seed_same_run_and_other_seed_other_run() -> None:
    """Everything random follows from the seed, exponential service included."""
    noisy = Stage(2, np.full((2, 65), 1.0), variability="exponential")
    runs = [
        simulate_server([noisy, DEVICE], load_qps=500.0, sizes=SIZES, queries=3000, seed=seed).latency_ms
        for seed in (3, 3, 4)
    ]
    assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_a_trace_gives_the_latencies_of_its_queries() -> None:
    """Two far apart, one behind another; without warm-up all are kept."""
    stage = Stage(1, [[0.0, 2.0, 5.0]])
    result = simulate_server([stage], trace=Trace([0.0, 1.0, 50.0], [1, 2, 2]), warmup_share=0.0)
    assert result.latency_ms.tolist() == [2.0, 6.0, 5.0]
    assert result.load_qps == pytest.approx(1000 * 2 / 50)
    assert math.isinf(result.percentile_ms(95).upper)


def test_one_query_has_a_latency_and_no_rate() -> None:
    """The smallest trace gives its latency; rates and use are unknown, not zero."""
    result = simulate_server([HOST], trace=Trace([5.0], [16]))
    assert result.latency_ms.tolist() == pytest.approx([0.2 + 0.05 * 16])
    assert math.isnan(result.load_qps)
    assert math.isnan(result.throughput_qps.value)
    assert not result.stable


def test_warm_up_is_the_first_share_of_the_queries() -> None:
    """The latencies kept are the last ones of the run that keeps all."""
    everything, kept = run(300.0, warmup_share=0.0), run(300.0, warmup_share=0.25)
    assert kept.warmup_queries == 5000
    assert_array_equal(kept.latency_ms, everything.latency_ms[5000:])


def test_starting_empty_would_flatter_a_busy_server() -> None:
    """Near saturation the first queries are faster than the later ones: the reason for a warm-up."""
    stage = Stage(1, [[0.0, 1.0]])
    runs = [
        simulate_server([stage], load_qps=950.0, sizes=[1], queries=2000, warmup_share=0, seed=s).latency_ms
        for s in range(50)
    ]
    early, late = np.mean(runs, axis=0)[:20].mean(), np.mean(runs, axis=0)[1000:].mean()
    assert early < 0.6 * late


def test_throughput_is_the_load_below_and_saturation_above() -> None:
    """Three loads against the rate at which the slowest stage can work at all."""
    saturation = run(300.0).saturation_qps
    for share in (0.5, 0.9):
        result = run(share * saturation)
        assert result.stable
        assert result.throughput_qps.value == pytest.approx(share * saturation, rel=0.03)
    overloaded = run(1.5 * saturation)
    assert not overloaded.stable
    assert not overloaded.long_enough
    assert overloaded.throughput_qps.value == pytest.approx(saturation, rel=0.01)
    assert overloaded.stages[0].utilization == pytest.approx(1.0, abs=1e-3)


def test_overloaded_fusion_completes_at_its_saturation_rate() -> None:
    """The fused stage is the slow one: batches fill up as far as whole pieces fit."""
    result = simulate_server([DEVICE], load_qps=20_000.0, sizes=SIZES, batch_items=16, queries=100_000)
    assert not result.stable
    assert result.throughput_qps.value == pytest.approx(result.saturation_qps, rel=0.01)
    assert result.stages[0].mean_batch_items > 58


def test_saturation_by_hand() -> None:
    """Sizes 5 and 2 in pieces of 2: 2, 2, 1 and 2. Both servers busy; fused up to 4: 2 + 2, 1 + 2."""
    table = np.array([[0, 1, 2, 3, 4], [0, 2, 4, 5, 7.0]])
    trace = Trace([0.0, 1.0], [5, 2])
    single = saturation_of_trace([Stage(2, table)], trace, batch_items=2)
    assert single == pytest.approx(1000 * 2 * 2 / (4 + 4 + 2 + 4))
    fused = Stage(2, table, fuse_items=4)
    assert saturation_of_trace([fused], trace, batch_items=2) == pytest.approx(1000 * 2 * 2 / (7 + 5))
    assert saturation_of_trace([Stage(2, table), fused], trace, batch_items=2) == pytest.approx(single)


def test_long_enough_says_how_long_a_run_must_be() -> None:
    """More queries for the same load, or less load for the same queries."""
    saturation = run(300.0).saturation_qps
    assert run(0.5 * saturation).long_enough
    assert not run(0.97 * saturation).long_enough
    assert run(0.9 * saturation, queries=150_000).long_enough


@pytest.mark.parametrize("load_qps", [50.0, 300.0, 600.0])
def test_percentiles_rise_and_bracket(load_qps: float) -> None:
    """Each percentile lies inside its interval; higher percentiles are larger."""
    result = run(load_qps)
    found = [result.percentile_ms(p) for p in (50, 90, 95, 99)]
    assert [i.value for i in found] == sorted(i.value for i in found)
    assert all(i.lower <= i.value <= i.upper for i in found)
    assert result.latency_ms.min() <= result.mean_ms.value <= result.latency_ms.max()


def test_utilization_is_the_work_offered() -> None:
    """Where times do not depend on busy servers, utilization = load x work / servers."""
    flat = Stage(4, np.tile(0.5 + 0.05 * ITEMS, (4, 1)))
    work_ms = np.mean([0.5 + 0.05 * s for s in SIZES])
    result = simulate_server([flat], load_qps=1000.0, sizes=SIZES, queries=100_000)
    assert result.stages[0].utilization == pytest.approx(work_ms / 4, rel=0.02)


def test_splitting_shortens_the_unloaded_tail() -> None:
    """A query of 64 items on four idle servers: four pieces of 16 side by side, at the pace of four."""
    split = simulate_server([HOST], trace=Trace([0.0], [64]), batch_items=16).latency_ms[0]
    whole = simulate_server([HOST], trace=Trace([0.0], [64])).latency_ms[0]
    assert split == pytest.approx(0.2 + 0.05 * 16 * 1.3)
    assert whole == pytest.approx(0.2 + 0.05 * 64)
