"""The call over all intervals: choices, time, interrupts, progress, greedy."""

from __future__ import annotations

import numpy as np
import pytest
from provisioning_cases import covers_exactly, medium_problem

import hercules_opt as ho
from hercules_opt.provisioning.policies.hercules import Hercules


def test_the_tiny_instance_by_hand():
    """Interval 0: one CPU server each; greedy takes a GPU for ranking since its QPS per watt is better."""
    instance = ho.load_instance("tiny")
    plan, greedy = ho.provision(instance), ho.provision(instance, policy="greedy")
    assert plan.power_w.tolist() == [270.0, 640.0, 1160.0, 120.0]
    assert greedy.power_w.tolist() == [520.0, 640.0, 1160.0, 120.0]
    assert plan.objective == plan.bound == 547.5
    assert plan.gap == 0.0
    assert plan.status == "optimal"
    assert greedy.status == "feasible"
    assert greedy.bound is None
    assert greedy.gap is None
    assert plan.servers.tolist() == [2, 3, 5, 1]
    assert plan.provenance == "assumed"
    assert (plan.policy, plan.solver, plan.objective_name) == ("hercules", "branch-and-price", "power")
    assert (greedy.policy, greedy.solver) == ("greedy", "none")


def test_the_objective_is_weighted_by_time():
    """An interval twice as long counts twice."""
    problem = ho.ProvisioningProblem([[10.0]], [[30.0]], [3], [[10.0], [20.0]], duration_h=[2.0, 1.0])
    assert ho.provision(problem).objective == 40.0


def test_to_frame_lists_the_counts():
    """One row per count above zero, with names."""
    frame = ho.provision(ho.load_instance("tiny")).to_frame()
    assert list(frame.columns) == ["interval", "server_type", "model", "count"]
    assert frame.query("interval == 0").to_numpy().tolist() == [
        [0, "cpu", "ranking", 1],
        [0, "cpu", "retrieval", 1],
    ]


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"policy": "gredy"}, "unknown policy, found 'gredy'. Did you mean 'greedy'"),
        ({"policy": None}, "policy: must be the name of a policy, or a policy"),
        ({"solver": "highz"}, "unknown solver for policy 'hercules', found 'highz'. Did you mean 'highs'"),
        ({"policy": "greedy", "solver": "highs"}, "unknown solver for policy 'greedy'"),
        ({"objective": "powr"}, "unknown objective, found 'powr'"),
        ({"gap": -1e-6}, "gap: must be at least 0"),
        ({"gap": float("nan")}, "gap: must be a finite number"),
        ({"gap": "small"}, "gap: must be a finite number"),
        ({"time_limit_s": -1}, "time_limit_s: must be at least 0"),
        ({"time_limit_s": True}, "time_limit_s: must be a finite number"),
    ],
)
def test_bad_choices_are_refused(choice, text):
    """The nearest valid name is given."""
    with pytest.raises(ho.InputError) as error:
        ho.provision(ho.load_instance("tiny"), **choice)
    assert text in str(error.value)


def test_progress_counts_intervals_and_equal_ones_are_solved_once(monkeypatch):
    """Three of four intervals are the same: two solves, and every interval is reported."""
    solved = []
    original = Hercules.solve

    def counting(self, interval, effort):
        solved.append(interval)
        return original(self, interval, effort)

    monkeypatch.setattr(Hercules, "solve", counting)
    problem = ho.ProvisioningProblem([[10.0]], [[30.0]], [3], [[10.0], [20.0], [10.0], [10.0]])
    seen = []
    plan = ho.provision(problem, progress=lambda done, total: seen.append((done, total)))
    assert len(solved) == 2
    assert seen == [(3, 4), (4, 4)]
    assert plan.servers.tolist() == [1, 2, 1, 1]


def test_same_input_same_plan():
    """Twice the same call gives the same counts, bounds and certificates."""
    problem = medium_problem(3, intervals=3)
    one, two = ho.provision(problem), ho.provision(problem)
    assert one.counts.tolist() == two.counts.tolist()
    assert one.certificate == two.certificate


def test_no_time_still_gives_a_valid_plan():
    """With no time at all every interval has counts within availability, and what is claimed is true."""
    for seed in range(8):
        problem = medium_problem(seed, intervals=2)
        plan = ho.provision(problem, time_limit_s=0.0)
        assert ho.verify(problem, plan) == []
        assert (plan.counts.sum(axis=2) <= problem.available).all()
        assert "infeasible" not in plan.interval_status or "certified" in plan.bound_source
        if plan.status == "feasible":
            assert plan.stopped_by == "time_limit"


def test_an_interrupt_keeps_what_was_found(monkeypatch):
    """The first interval is solved, the rest get the greedy answer, and the plan says so."""
    problem = ho.ProvisioningProblem([[10.0], [25.0]], [[30.0], [60.0]], [9, 9], [[10.0], [20.0], [70.0]])
    original = Hercules.solve
    calls = []

    def interrupted(self, interval, effort):
        calls.append(interval)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, interval, effort)

    monkeypatch.setattr(Hercules, "solve", interrupted)
    plan = ho.provision(problem)
    assert plan.stopped_by == "interrupt"
    assert plan.interval_status == ("optimal", "feasible", "feasible")
    assert all(covers_exactly(problem, plan.counts[t], t) for t in range(3))
    assert ho.verify(problem, plan) == []


def test_greedy_takes_the_best_rate_per_watt_in_order():
    """By hand: model 1 empties the efficient type, model 2 gets the rest and falls short."""
    qps = [[10.0, 10.0], [4.0, np.nan]]
    problem = ho.ProvisioningProblem(qps, [[50.0, 50.0], [40.0, 40.0]], [2, 5], [[15.0, 10.0]])
    plan = ho.provision(problem, policy="greedy")
    assert plan.counts[0].tolist() == [[2, 0], [0, 0]]
    assert plan.interval_status == ("unknown",)
    assert plan.shortfall[0].tolist() == [0.0, 10.0]
    assert plan.objective is None
    other = ho.provision(problem, policy=ho.Greedy(order=(1, 0)))
    assert other.counts[0].tolist() == [[1, 1], [2, 0]]
    assert other.status == "feasible"
    assert ho.verify(problem, other) == []
    with pytest.raises(ho.InputError, match="must name each of the 2 models once"):
        ho.provision(problem, policy=ho.Greedy(order=(0, 0)))


def test_greedy_breaks_ties_by_type_order_and_counts_exactly():
    """Equal efficiency: the first type; a hair above a multiple takes one more."""
    problem = ho.ProvisioningProblem(
        [[10.0], [20.0]], [[50.0], [100.0]], [9, 9], [[30 * (1 + 1e-12)], [30.0]]
    )
    plan = ho.provision(problem, policy="greedy")
    assert plan.counts[:, :, 0].tolist() == [[4, 0], [3, 0]]


def test_over_provisioning_is_decimal():
    """Five per cent on 100 is 105 exactly, and 21 servers of 5 cover it."""
    problem = ho.ProvisioningProblem([[5.0]], [[1.0]], [99], [[100.0]], over_provision=0.05)
    assert ho.provision(problem).servers.tolist() == [21]
