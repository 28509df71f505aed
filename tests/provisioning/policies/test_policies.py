"""One contract for all policies: cover or say what is missing, repeat, never beat a proven optimum."""

from __future__ import annotations

import numpy as np
import pytest
from provisioning_cases import covers_exactly, medium_problem, tiny_problem

import hercules_opt as ho
from hercules_opt.provisioning.policies import POLICIES, Oblivious

OBJECTIVES = ("power", "servers", ["servers", "power"])


@pytest.mark.parametrize("policy", POLICIES)
def test_it_covers_or_says_what_is_missing(policy):
    """Counts within availability; covered exactly where the plan says so; every claim verifies."""
    covered = 0
    for seed in range(60):
        problem = tiny_problem(seed) if seed % 2 else medium_problem(seed)
        plan = ho.provision(problem, policy=policy)
        assert ho.verify(problem, plan) == []
        assert (plan.counts.sum(axis=2) <= problem.available).all()
        assert bool(plan.covered[0]) == covers_exactly(problem, plan.counts[0])
        assert bool(plan.covered[0]) == (plan.shortfall[0].sum() == 0)
        covered += int(plan.covered[0])
    assert covered > 15


@pytest.mark.parametrize("policy", POLICIES)
def test_it_repeats_itself(policy):
    """The same input gives the same counts."""
    problem = medium_problem(7, intervals=3)
    plans = [ho.provision(problem, policy=policy) for _ in range(2)]
    assert plans[0].counts.tolist() == plans[1].counts.tolist()
    assert plans[0].policy == policy


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
@pytest.mark.parametrize("policy", [name for name in POLICIES if name != "hercules"])
def test_it_never_beats_a_proven_optimum(policy, objective):
    """Whatever is minimized, no policy is below hercules where both cover."""
    compared = 0
    for seed in range(40):
        problem = medium_problem(seed)
        best, plan = ho.provision(problem, objective=objective), ho.provision(
            problem, policy=policy, objective=objective
        )  # fmt: skip
        assert plan.levels == best.levels
        if plan.covered[0]:
            compared += 1
            assert best.status == "optimal"
            own = (plan.interval_objective[0], *plan.later_objective[0])
            assert own >= (best.interval_objective[0], *best.later_objective[0])
    assert compared > 5


@pytest.mark.parametrize("policy", POLICIES)
def test_no_load_takes_no_server(policy):
    """Zero loads, zero servers, pairs that cannot serve."""
    problem = ho.ProvisioningProblem(
        [[10.0, np.nan], [np.nan, 4.0]], [[50.0, np.nan], [np.nan, 30.0]], [0, 3], [[0.0, 0.0], [0.0, 8.0]]
    )
    plan = ho.provision(problem, policy=policy)
    assert plan.counts.tolist() == [[[0, 0], [0, 0]], [[0, 0], [0, 2]]]
    assert plan.covered.all()


def _mean_power(policy, problems):
    plans = [ho.provision(problem, policy=policy) for problem in problems]
    covered = [bool(plan.covered.all()) for plan in plans]
    return [plan.power_w[0] if ok else None for plan, ok in zip(plans, covered, strict=True)]


def test_priority_and_rounding_are_stronger_than_greedy():
    """On random problems that all cover: hercules, then these two, then greedy, then oblivious."""
    problems = [medium_problem(seed) for seed in range(80)]
    powers = {name: _mean_power(name, problems) for name in POLICIES}
    common = [k for k in range(len(problems)) if all(row[k] is not None for row in powers.values())]
    assert len(common) > 10
    mean = {name: sum(row[k] for k in common) for name, row in powers.items()}
    assert mean["hercules"] < mean["lp-rounding"] < mean["greedy"]
    assert mean["hercules"] < mean["greedy-priority"] < mean["greedy"]
    assert mean["greedy"] < mean["oblivious"]


def test_what_greedy_spends_on_the_wrong_model_priority_saves():
    """Both models like type1; model2 has no good second choice, so it goes first."""
    problem = ho.ProvisioningProblem(
        qps=[[10.0, 10.0], [9.0, 2.0]], power_w=[[50.0, 50.0], [50.0, 50.0]], available=[2, 20],
        load_qps=[18.0, 20.0],
    )  # fmt: skip
    greedy, priority = (ho.provision(problem, policy=name) for name in ("greedy", "greedy-priority"))
    assert greedy.power_w[0] == 600.0
    assert priority.power_w[0] == 200.0
    assert priority.counts[0].tolist() == [[0, 2], [2, 0]]


def test_oblivious_depends_on_its_seed_only():
    """Seeds differ, the same seed does not; a bad one is refused."""
    problem = medium_problem(12, intervals=2)
    plans = [ho.provision(problem, policy=Oblivious(seed)).counts.tolist() for seed in (1, 1, 2, 3, 4)]
    assert plans[0] == plans[1]
    assert len({str(counts) for counts in plans}) > 2
    with pytest.raises(ho.InputError, match="seed: must be a whole number, at least 0, found -1"):
        Oblivious(-1)


def test_oblivious_takes_types_as_often_as_they_are_there():
    """With equal servers in two types, draws follow availability."""
    problem = ho.ProvisioningProblem([[1.0], [1.0]], [[50.0], [90.0]], [300, 100], [200.0])
    used = [ho.provision(problem, policy=Oblivious(seed)).counts[0, :, 0] for seed in range(20)]
    assert all(counts.sum() == 200 for counts in used)
    assert 140 < np.mean([counts[0] for counts in used]) < 160


def test_unknown_policies_are_refused():
    """With the nearest name."""
    with pytest.raises(ho.InputError, match=r"unknown policy, found 'greedy-prority'"):
        ho.provision(medium_problem(1), policy="greedy-prority")
