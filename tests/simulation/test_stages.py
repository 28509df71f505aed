"""Bad input is refused with the place, the rule and what was found; data objects do not change."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hercules_opt.errors import InputError
from hercules_opt.simulation.largest_load import largest_load
from hercules_opt.simulation.network import run_network
from hercules_opt.simulation.server import poisson_trace, simulate_server
from hercules_opt.simulation.stages import Stage, Trace, draw_sizes

TABLE = [[0.0, 1.0, 2.0], [0.0, 1.5, 3.0]]
STAGE = Stage(2, TABLE)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"servers": 0}, "servers"),
        ({"servers": 2.0}, "servers"),
        ({"servers": True}, "servers"),
        ({"servers": 3}, r"found shape \(2, 3\)"),
        ({"time_ms": [1.0, 2.0]}, "shape"),
        ({"time_ms": [[0.0], [0.0]]}, "shape"),
        ({"time_ms": "fast"}, "numbers"),
        ({"time_ms": [[0.0, 1.0], [0.0]]}, "numbers"),
        ({"time_ms": [[0.0, 1.0, 2.0], [0.0, 1.0, math.nan]]}, "2 servers busy and 2 items"),
        ({"time_ms": [[0.0, -1.0, 2.0], [0.0, 1.0, 1.0]]}, "1 servers busy and 1 items.*found -1.0"),
        ({"time_ms": [[0.0, 0.0, 2.0], [0.0, 1.0, 1.0]]}, "greater than 0"),
        ({"time_ms": [[0.0, math.inf, 2.0], [0.0, 1.0, 1.0]]}, "finite"),
        ({"fuse_items": 0}, "fuse_items"),
        ({"fuse_items": 3}, "at most the largest batch of time_ms, 2 items, found 3"),
        ({"variability": "exponentail"}, "Did you mean 'exponential'"),
    ],
)
def test_bad_stages(arguments: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Stage(**{"servers": 2, "time_ms": TABLE, **arguments})


@pytest.mark.parametrize(
    ("times", "sizes", "told"),
    [
        ([], [], r"not empty, found shape \(0,\)"),
        ([[0.0]], [[1]], "list of times"),
        ([0.0, math.nan], [1, 1], "finite"),
        ([0.0, math.inf], [1, 1], "finite"),
        ([0.0, 2.0, 1.0], [1, 1, 1], "query 2 arrives before query 1"),
        ([0.0, 1.0], [1], "one size per arrival, 2"),
        ([0.0, 1.0], [1, 0], "integers from 1 to 1,000,000, found 0"),
        ([0.0, 1.0], [1, 2.5], "integers from 1 to 1,000,000, found 2.5"),
        ([0.0, 1.0], [1, math.nan], "integers from 1"),
        ([0.0, 1.0], [1, 1e12], "integers from 1"),
        ([0.0, 1.0], [1, 2**70], "integers from 1"),
        ([0.0, 1.0], [True, False], "integers from 1 .*found 0"),
        ([0.0, 1.0], [[1], [1, 2]], "array of numbers"),
        ([0.0, 1.0], ["a", "b"], "array of numbers"),
        (["0", "1"], [1, 1], "array of numbers"),
        (np.array(["2022-04-02", "2022-04-03"], dtype="datetime64[ns]"), [1, 1], "array of numbers"),
        ([0.0, 1j], [1, 1], "array of numbers"),
        ([0.0, 10**400], [1, 1], "array of numbers"),
    ],
)
def test_bad_traces(times: list, sizes: list, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Trace(times, sizes)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"load_qps": 0}, "load_qps"),
        ({"load_qps": -1.0}, "load_qps"),
        ({"load_qps": math.nan}, "load_qps"),
        ({"load_qps": math.inf}, "load_qps"),
        ({"load_qps": "10"}, "load_qps"),
        ({"load_qps": 10**400}, "load_qps"),
        ({"load_qps": 1e-12}, "steps of the clock there.*a higher load"),
        ({"load_qps": None}, "give load_qps and sizes, or a trace"),
        ({"sizes": None}, "give load_qps and sizes, or a trace"),
        ({"sizes": []}, "not empty"),
        ({"sizes": [1, -2]}, "integers from 1 to 1,000,000, found -2"),
        ({"sizes": [3]}, "covers batches of up to 2 items, and pieces of 3 items occur"),
        ({"sizes": lambda rng, count: np.ones(3)}, "must return 10 sizes"),
        ({"queries": 0}, "queries"),
        ({"queries": 1.5}, "queries"),
        ({"queries": 10**12}, "queries: must be at most 1,000,000,000"),
        ({"batch_items": 0}, "batch_items"),
        ({"batch_items": 1.5}, "batch_items"),
        ({"warmup_share": 1.0}, "warmup_share"),
        ({"warmup_share": math.nan}, "warmup_share"),
        ({"warmup_share": "0.1"}, "warmup_share"),
        ({"load_qps": None, "sizes": None, "trace": ([0.0], [1])}, "trace: must be a Trace, found tuple"),
        ({"trace": Trace([0.0], [1])}, "leave out load_qps and sizes"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"stages": []}, "one or more Stage"),
        ({"stages": STAGE}, "one or more Stage"),
        ({"stages": [TABLE]}, "one or more Stage"),
    ],
)
def test_bad_calls(arguments: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        simulate_server(**{"stages": [STAGE], "load_qps": 10.0, "sizes": [1, 2], "queries": 10, **arguments})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"sla_ms": 0}, "sla_ms"),
        ({"sla_ms": math.nan}, "sla_ms"),
        ({"percentile": 100}, "percentile"),
        ({"percentile": 0}, "percentile"),
        ({"percentile": 0.95}, "in per cent: 95, not 0.95"),
        ({"percentile": math.nan}, "percentile"),
        ({"tolerance": 0}, "tolerance"),
        ({"tolerance": 1.0}, "tolerance"),
        ({"tolerance": math.nan}, "tolerance"),
        ({"tolerance": "fine"}, "tolerance"),
        ({"sizes": [5]}, "Set batch_items, or extend the table"),
    ],
)
def test_bad_targets(arguments: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        largest_load([STAGE], **{"sla_ms": 5.0, "sizes": [1, 2], "queries": 100, **arguments})


def test_splitting_makes_large_queries_fit() -> None:
    """A query of 9 items fits a table of 2 once it is split."""
    trace = Trace([0.0], [9])
    with pytest.raises(InputError, match="pieces of 9 items"):
        run_network([STAGE], trace)
    assert run_network([STAGE], trace, batch_items=2).done_ms.size == 1


@pytest.mark.parametrize("number", [np.int8, np.uint64, int])
def test_counts_of_any_integer_type_are_the_same(number: type) -> None:
    """Small types overflow in arithmetic, and numba takes no integer beyond 64 bits."""
    stage = Stage(number(2), np.ones((2, 101)), fuse_items=number(100))
    found = largest_load([stage], sla_ms=50.0, sizes=[1, 300], batch_items=number(2), queries=100)
    plain = Stage(2, np.ones((2, 101)), fuse_items=100)
    assert found == largest_load([plain], sla_ms=50.0, sizes=[1, 300], batch_items=2, queries=100)
    whole = {"sizes": [1, 90], "queries": 100}
    assert largest_load([stage], sla_ms=50.0, batch_items=2**70, **whole) == largest_load(
        [plain], sla_ms=50.0, **whole
    )


def test_times_that_would_swallow_the_latencies_are_refused() -> None:
    """At 1e18 ms floating-point numbers are 128 ms apart; milliseconds since 1970 still are fine."""
    with pytest.raises(InputError, match=r"steps of the clock there, 128 ms.*Let a trace begin at 0"):
        run_network([STAGE], Trace([1e18, 1e18 + 1e3], [1, 2]))
    since_1970 = run_network([STAGE], Trace([1.7e12, 1.7e12 + 1e3], [1, 2]))
    assert (since_1970.done_ms - [1.7e12, 1.7e12 + 1e3]).tolist() == pytest.approx([1.0, 2.0], abs=5e-4)


def test_inputs_are_copied_and_frozen() -> None:
    """Changing an array afterwards changes nothing, and the object's own array refuses."""
    table, times, sizes = np.array(TABLE), np.array([0.0, 1.0]), np.array([1, 2])
    stage, trace = Stage(2, table), Trace(times, sizes)
    table[:], times[:], sizes[:] = 9.0, 9.0, 9
    assert stage.table_ms.tolist() == TABLE
    assert (trace.times_ms.tolist(), trace.items.tolist()) == ([0.0, 1.0], [1, 2])
    for array in (stage.table_ms, trace.times_ms, trace.items):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_sizes_from_a_sampler_or_a_list() -> None:
    """A list is drawn from with replacement; a sampler is asked once for all."""
    rng = np.random.default_rng(0)
    drawn = draw_sizes([2, 4], 10_000, rng)
    assert set(drawn.tolist()) == {2, 4}
    assert drawn.mean() == pytest.approx(3.0, abs=0.05)
    assert draw_sizes(lambda rng, count: np.arange(1, count + 1), 3, rng).tolist() == [1, 2, 3]


def test_the_load_only_scales_the_gaps() -> None:
    """Common random numbers: twice the load, half the times, the same sizes."""
    slow, fast = (poisson_trace(load, [1, 2, 3], 1000, seed=7) for load in (100.0, 200.0))
    np.testing.assert_allclose(slow.times_ms, 2 * fast.times_ms, rtol=1e-12)
    np.testing.assert_array_equal(slow.items, fast.items)


def test_gaps_are_exponential() -> None:
    """Mean 1 / load and coefficient of variation 1: Poisson arrivals, not Poisson gaps."""
    gaps = np.diff(poisson_trace(100.0, [1], 100_000, seed=1).times_ms)
    assert gaps.mean() == pytest.approx(10.0, rel=0.02)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, rel=0.02)
    assert np.mean(gaps > 20.0) == pytest.approx(math.exp(-2.0), rel=0.03)
