"""The compiled network against the plain reference, query by query, and its chunking."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from reference_simulator import ReferenceStage, simulate, stage_draws

from hercules_opt.simulation import network
from hercules_opt.simulation.network import run_network
from hercules_opt.simulation.stages import Stage, Trace

MAX_ITEMS = 24


@st.composite
def stage_plans(draw: st.DrawFn) -> dict:
    """A stage whose times depend on size and busy servers in any way; coarse times make ties."""
    servers = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    coarse = draw(st.booleans())
    table = (
        rng.integers(1, 5, (servers, MAX_ITEMS + 1))
        if coarse
        else rng.uniform(0.1, 3, (servers, MAX_ITEMS + 1))
    )
    return {
        "servers": servers,
        "time_ms": np.asarray(table, dtype=float),
        "fuse_items": draw(st.one_of(st.none(), st.integers(1, MAX_ITEMS))),
        "variability": draw(st.sampled_from(["deterministic", "exponential"])),
    }


def reference_done_ms(plans: list[dict], trace: Trace, batch_items: int | None, seed: int) -> list[float]:
    stages = [
        ReferenceStage(
            p["servers"],
            p["time_ms"].tolist(),
            p["fuse_items"],
            stage_draws(seed, index) if p["variability"] == "exponential" else lambda: 1.0,
        )
        for index, p in enumerate(plans)
    ]
    return simulate(stages, trace.times_ms.tolist(), trace.items.tolist(), batch_items)


def random_trace(rng: np.random.Generator, queries: int, mean_gap_ms: float, whole_ms: bool) -> Trace:
    times = np.cumsum(rng.exponential(mean_gap_ms, queries))
    return Trace(np.floor(times) if whole_ms else times, rng.integers(1, MAX_ITEMS + 1, queries))


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    plans=st.lists(stage_plans(), min_size=1, max_size=3),
    queries=st.integers(1, 120),
    mean_gap_ms=st.floats(0.05, 10),
    whole_ms=st.booleans(),
    batch_items=st.one_of(st.none(), st.integers(1, MAX_ITEMS)),
    seed=st.integers(0, 2**32 - 1),
)
def test_same_times_as_reference_on_random_networks(
    plans: list[dict], queries: int, mean_gap_ms: float, whole_ms: bool, batch_items: int | None, seed: int
) -> None:
    """Not close: equal, for every query, ties and simultaneous arrivals included."""
    trace = random_trace(np.random.default_rng(seed), queries, mean_gap_ms, whole_ms)
    run = run_network([Stage(**p) for p in plans], trace, batch_items=batch_items, seed=seed)
    assert_array_equal(run.done_ms, reference_done_ms(plans, trace, batch_items, seed))


@pytest.mark.parametrize("chunk", [1, 3, 50])
def test_chunks_do_not_change_the_result(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny chunks pass the backlog on, make the rings grow and wrap, and give the same times."""
    rng = np.random.default_rng(5)
    plans = [
        {
            "servers": 3,
            "time_ms": rng.uniform(0.5, 2, (3, MAX_ITEMS + 1)),
            "fuse_items": fuse,
            "variability": "deterministic",
        }
        for fuse in (None, MAX_ITEMS)
    ]
    trace = random_trace(rng, 1500, mean_gap_ms=0.7, whole_ms=True)
    monkeypatch.setattr(network, "CHUNK_PIECES", chunk)
    run = run_network([Stage(**p) for p in plans], trace, batch_items=5)
    assert_array_equal(run.done_ms, reference_done_ms(plans, trace, 5, 0))


def test_all_that_start_together_see_each_other() -> None:
    """Three pieces on four free servers all take the time for three busy ones."""
    table = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [0.0, 4.0]])
    run = run_network([Stage(4, table)], Trace([10.0], [3]), batch_items=1)
    assert run.done_ms.tolist() == [13.0]


def test_a_batch_keeps_the_pace_it_started_with() -> None:
    """The first is alone at its start; the second finds one busy server and takes longer."""
    table = np.array([[0.0, 10.0], [0.0, 20.0]])
    run = run_network([Stage(2, table)], Trace([0.0, 1.0], [1, 1]))
    assert run.done_ms.tolist() == [10.0, 21.0]


def test_fusion_never_waits_and_keeps_the_order() -> None:
    """The first goes alone; then 3 + 3 fill a batch of 6, and 2 goes next, alone."""
    table = np.tile(np.arange(7.0), (1, 1))
    stage = Stage(1, table, fuse_items=6)
    run = run_network([stage], Trace([0.0, 0.5, 0.5, 0.5], [1, 3, 3, 2]))
    assert run.done_ms.tolist() == [1.0, 7.0, 7.0, 9.0]


def test_a_piece_above_fuse_items_goes_alone() -> None:
    """Fusion limits what is joined, not what one query brings."""
    stage = Stage(1, np.arange(11.0)[None, :], fuse_items=4)
    assert run_network([stage], Trace([0.0, 0.0], [9, 2])).done_ms.tolist() == [9.0, 11.0]


def test_remainder_is_the_last_piece() -> None:
    """7 items in pieces of 3: 3, 3 and 1, one after the other on one server whose time is the square."""
    stage = Stage(1, np.arange(8.0)[None, :] ** 2)
    assert run_network([stage], Trace([0.0], [7]), batch_items=3).done_ms.tolist() == [9.0 + 9.0 + 1.0]


def test_use_of_stages_by_hand() -> None:
    """Two queries on one server: busy 5 of 5 ms; the second waits 2 ms."""
    stage = Stage(1, np.array([[0.0, 3.0, 2.0]]), name="s")
    (use,) = run_network([stage], Trace([0.0, 1.0], [1, 2])).stages
    assert (use.name, use.utilization, use.mean_queue) == ("s", 1.0, 0.4)
    assert (use.mean_batch_items, use.mean_batch_pieces) == (1.5, 1.0)


def test_use_counts_only_the_window() -> None:
    """Between 2 and 4 ms: busy 2 of 2, one piece waits 1 of 2, one batch starts."""
    stage = Stage(1, np.array([[0.0, 3.0, 2.0]]))
    run = run_network([stage], Trace([0.0, 1.0], [1, 2]), window_ms=(2.0, 4.0))
    (use,) = run.stages
    assert (use.utilization, use.mean_queue, use.mean_batch_items) == (1.0, 0.5, 2.0)


def test_littles_law_for_the_queue() -> None:
    """Mean queue = arrival rate x mean wait, exactly, over a whole run."""
    rng = np.random.default_rng(3)
    trace = random_trace(rng, 5000, mean_gap_ms=1.0, whole_ms=False)
    stage = Stage(2, np.full((2, MAX_ITEMS + 1), 1.7))
    run = run_network([stage], trace)
    waits_ms = run.done_ms - trace.times_ms - 1.7
    span_ms = run.done_ms.max() - trace.times_ms[0]
    assert math.isclose(run.stages[0].mean_queue, waits_ms.sum() / span_ms, rel_tol=1e-9)
