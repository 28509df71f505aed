"""Plan against plan: moves by hand, and what holds for any two plans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from provisioning_cases import medium_problem
from rich.text import Text

import hercules_opt as ho
from hercules_opt.provisioning.answers.diff import moves
from hercules_opt.reporting.diffs import diff_page

TINY = ho.load_instance("tiny")


def with_counts(plan: ho.Plan, counts: np.ndarray) -> ho.Plan:
    return replace(plan, counts=counts)


@pytest.fixture(name="plan", scope="module")
def _plan() -> ho.Plan:
    return ho.provision(TINY)


def test_moves_by_hand(plan: ho.Plan) -> None:
    """cpu: ranking gives 3, retrieval gets 1, so 2 go idle; gpu: 1 starts for ranking."""
    change = np.array([[-3, 1], [1, 0]])
    assert list(moves(change, plan)) == [
        ho.Move("cpu", "ranking", "retrieval", 1),
        ho.Move("cpu", "ranking", None, 2),
        ho.Move("gpu", None, "ranking", 1),
    ]


def test_power_servers_and_churn_by_hand(plan: ho.Plan) -> None:
    """Interval 0 has a cpu for each model (150 and 120 W); a gpu (400 W) for ranking is 250 W more."""
    assert plan.counts[0].tolist() == [[1, 1], [0, 0]]
    counts = plan.counts.copy()
    counts[0] = [[0, 1], [1, 0]]
    found = ho.diff(TINY, None, plan, with_counts(plan, counts))
    assert found.changed == (0,)
    entry = found.intervals[0]
    assert (entry.power_w, entry.servers, entry.between_models) == (250.0, 0, 0)
    assert (entry.added, entry.removed) == (1, 1)
    assert found.mean_power_w == 250 / 4
    still = np.repeat(plan.counts[:1], 4, axis=0)
    still[2] = [[2, 0], [0, 1]]
    churn = ho.diff(TINY, None, plan, with_counts(plan, still)).churn[1]
    assert churn == ho.Churn(between_models=2, started=1, stopped=1)
    assert churn.total == 4


def test_mean_power_is_also_said_of_what_both_cover(plan: ho.Plan) -> None:
    """One plan leaves interval 0 without servers, then all of them."""
    counts = plan.counts.copy()
    counts[0] = 0
    counts[2, 1] += [1, 0]
    found = ho.diff(TINY, None, plan, with_counts(plan, counts))
    assert found.uncovered == (0,)
    assert found.mean_power_w == (400 - 270) / 4
    assert found.mean_power_covered_w == 400 / 3
    [line] = [
        part.plain for part in diff_page(TINY, ("a", "b"), found) if isinstance(part, Text) and part.plain
    ]
    assert line.endswith("mean power +32.5 W over all, +133.3 W over the 3 that both plans cover.")
    nothing = ho.diff(TINY, None, plan, with_counts(plan, np.zeros_like(counts)))
    assert (nothing.uncovered, nothing.mean_power_covered_w) == ((0, 1, 2, 3), None)
    page = " ".join(part.plain for part in diff_page(TINY, ("a", "b"), nothing) if isinstance(part, Text))
    assert "W, though no interval is covered by both plans." in page


@pytest.mark.parametrize("seed", range(12))
def test_of_any_two_plans(seed: int) -> None:
    """A plan and itself: nothing. The other way round: every move backwards. Moves rebuild the counts."""
    problem = medium_problem(seed, intervals=3)
    one, other = ho.provision(problem), ho.provision(problem, policy="greedy")
    same = ho.diff(problem, one, one)
    assert same.changed == ()
    assert same.mean_power_w == 0
    there, back = ho.diff(problem, one, other), ho.diff(problem, other, one)
    assert there.churn == back.churn[::-1]
    assert there.mean_power_w == -back.mean_power_w
    for forth, reverse in zip(there.intervals, back.intervals, strict=True):
        assert forth.power_w == -reverse.power_w
        assert forth.servers == -reverse.servers == forth.added - forth.removed
        turned = [ho.Move(m.server_type, m.to_model, m.from_model, m.count) for m in reverse.moves]
        assert sorted(map(repr, forth.moves)) == sorted(map(repr, turned))
        counts = one.counts[forth.interval].copy()
        for move in forth.moves:
            h = problem.server_types.index(move.server_type)
            if move.from_model is not None:
                counts[h, problem.models.index(move.from_model)] -= move.count
            if move.to_model is not None:
                counts[h, problem.models.index(move.to_model)] += move.count
        assert (counts == other.counts[forth.interval]).all()
        change = other.counts[forth.interval] - one.counts[forth.interval]
        gained, lost = np.maximum(change, 0).sum(axis=1), np.maximum(-change, 0).sum(axis=1)
        assert sum(move.count for move in forth.moves) == np.maximum(gained, lost).sum()


def test_plans_of_another_problem_are_refused(plan: ho.Plan) -> None:
    problem = ho.ProvisioningProblem.from_instance(TINY)

    def refused(other: object, text: str) -> None:
        with pytest.raises(ho.InputError) as error:
            ho.diff(problem, plan, other)  # type: ignore[arg-type]
        assert str(error.value) == text

    another = "second: is a plan of another problem: "
    refused(replace(plan, models=("ranking", "rest")), f"{another}the problem has no model 'rest'")
    refused(replace(plan, server_types=("gpu", "cpu")), f"{another}its server types are in another order")
    shorter = ho.provision(problem.replace(load_qps=problem.load_qps[:3], duration_h=6.0))
    refused(shorter, f"{another}it has 3 intervals, the problem 4")
    counts = plan.counts.copy()
    counts[1, 0, 1] = -2
    refused(
        with_counts(plan, counts), "second, interval 1, cpu x retrieval: counts must be at least 0, found -2"
    )
    refused(None, "second: must be a Plan, found 'NoneType'")
    with pytest.raises(ho.InputError) as error:
        ho.diff(problem, plan, plan, plan)
    assert str(error.value) == "diff: give (instance, table, first, second) or (problem, first, second)"


def test_a_plan_without_one_of_the_types_is_named(plan: ho.Plan) -> None:
    problem = ho.ProvisioningProblem.from_instance(TINY)
    less = replace(plan, server_types=("cpu",), counts=plan.counts[:, :1])
    with pytest.raises(
        ho.InputError, match=r"^first: is a plan of another problem: it has no server type 'gpu'$"
    ):
        ho.diff(problem, less, plan)
