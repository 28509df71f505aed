"""The rivals of the benchmark keep to their budget and to the lattice, and are no straw men."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.rivals import RIVALS, TPE_TRIALS, Budgeted, SpentError, at_unit, spend
from hercules_opt.hardware.packing import Pair
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.exhaustive import _product
from hercules_opt.scheduling.space import COLUMN, Space, search_space

#: Rivals that look further as long as they may.
PATIENT = ("random", "differential evolution", "polish from random starts")


@pytest.fixture(params=["cpu-sd", "accelerator-hot"])
def problem(request, small_pair: Callable[[str, int], Pair]) -> tuple[Pair, Space]:
    """A pair with few cores and small queries, and the space of one placement."""
    pair = small_pair("T7", 4)
    return pair, search_space(request.param, pair)


def best_of_all(pair: Pair, space: Space) -> float:
    points = np.concatenate(list(_product(space, tuple(space.names))))
    rows = np.zeros(len(points), dtype=np.int64)
    return float(AnalyticalEvaluator([pair]).evaluate(space.placement, rows, points).qps.max())


@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize("budget", [100, 600])
def test_a_rival_uses_its_budget_and_finds_a_schedule_of_the_lattice(problem, rival, budget) -> None:
    """To the last evaluation, where it goes on for as long as it may; what it finds is what it says."""
    pytest.importorskip("optuna")
    pair, space = problem
    found = spend(rival, pair, space, budget)
    assert found.used <= budget
    if rival in PATIENT:
        assert found.used == budget
    if rival == "TPE":
        assert found.used == min(budget, TPE_TRIALS)
    assert space.contains(found.best_point[None]).all()
    again = AnalyticalEvaluator([pair]).evaluate(
        space.placement, np.zeros(1, dtype=np.int64), found.best_point[None]
    )
    # Ascents that are cut short have not been rounded yet.
    assert found.best_qps == (0.0 if rival == "gradient without polish" and budget == 100 else again.qps[0])


@pytest.mark.parametrize("rival", PATIENT)
def test_a_rival_with_time_finds_the_optimum_of_a_small_space(small_pair, rival: str) -> None:
    pair = small_pair("T2", 4)
    space = search_space("cpu-sd", pair)
    assert spend(rival, pair, space, 20 * space.size).best_qps == best_of_all(pair, space)


def test_tpe_comes_near_the_optimum(small_pair) -> None:
    pytest.importorskip("optuna")
    pair = small_pair("T2", 4)
    space = search_space("cpu-sd", pair)
    assert spend("TPE", pair, space, TPE_TRIALS).best_qps >= 0.99 * best_of_all(pair, space)


def test_same_budget_same_answer(problem) -> None:
    pair, space = problem
    for rival in PATIENT:
        first, second = (spend(rival, pair, space, 200) for _ in range(2))
        assert np.array_equal(first.best_point, second.best_point)


def test_the_unit_cube_is_the_whole_lattice_and_nothing_else(problem, rng) -> None:
    _, space = problem
    points = at_unit(space, rng.random((20_000, len(space.names))))
    assert space.contains(points).all()
    splits = np.unique(points[:, space.split_columns], axis=0)
    assert len(splits) == len(space.splits)
    for name, grid in space.grids.items():
        assert np.array_equal(np.unique(points[:, COLUMN[name]]), grid)


def test_what_is_not_left_is_not_judged(problem) -> None:
    """Seven points with a budget of five: five are judged, and the best of the five counts."""
    pair, space = problem
    points = space.sample(7, np.random.default_rng(3))
    budgeted = Budgeted(pair, space, 5)
    with pytest.raises(SpentError):
        budgeted.judged(points)
    rows = np.zeros(7, dtype=np.int64)
    qps = AnalyticalEvaluator([pair]).evaluate(space.placement, rows, points).qps
    assert budgeted.used == 5
    assert budgeted.best_qps == qps[:5].max()


def test_a_point_beside_the_lattice_is_not_found(problem) -> None:
    pair, space = problem
    between = space.lower.copy()
    between[space.split_columns[0]] = 1.5
    budgeted = Budgeted(pair, space, 10)
    budgeted.judged(between[None])
    assert budgeted.best_qps == 0.0
    assert budgeted.used == 1
