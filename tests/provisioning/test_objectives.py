"""Power, servers, cost, and several of them in order: least against every split, and proven."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from provisioning_cases import covering_plans, text_value, tiny_problem

import hercules_opt as ho
from hercules_opt.provisioning.engine import cover_lists
from hercules_opt.provisioning.objectives import OBJECTIVES, objective_levels, objective_text


def _with_costs(seed: int) -> ho.ProvisioningProblem:
    """A tiny problem with costs and equal powers among others, so that objectives tie."""
    problem = tiny_problem(seed)
    random = np.random.default_rng(seed)
    cost_per_h = random.integers(0, 4, problem.shape[1]) / 2
    power_w = np.where(random.random(problem.qps.shape) < 0.6, 50.0, problem.power_w)
    return problem.replace(cost_per_h=cost_per_h, power_w=power_w)


def _values(problem: ho.ProvisioningProblem, counts: np.ndarray, levels: tuple[str, ...]) -> list[Fraction]:
    figures = {
        "power": problem.power_w,
        "servers": np.ones_like(problem.qps),
        "cost": np.broadcast_to(problem.cost_per_h[:, np.newaxis], problem.qps.shape),
    }
    return [
        sum(
            (text_value(figures[level][h, m]) * int(counts[h, m]) for h, m in np.argwhere(counts > 0)),
            Fraction(0),
        )
        for level in levels
    ]


LISTS = [
    *OBJECTIVES,
    *(list(pair) for pair in permutations(OBJECTIVES, 2)),
    ["cost", "power", "servers"],
    ["servers", "cost", "power"],
]


@pytest.mark.parametrize("objective", LISTS, ids=str)
def test_the_least_in_order_matches_every_split(objective):
    """30 tiny problems each: no plan is better, the later objectives decide ties, and all is certified."""
    levels = objective_levels(objective)
    checked = 0
    for seed in range(30):
        problem = _with_costs(seed)
        plan = ho.provision(problem, objective=objective)
        plans = covering_plans(problem)
        assert ho.verify(problem, plan) == []
        assert plan.levels == levels
        if not plans:
            assert plan.status == "infeasible"
            continue
        checked += 1
        best = min(_values(problem, counts, levels) for counts in plans)
        assert plan.status == "optimal"
        assert _values(problem, plan.counts[0], levels) == best, seed
        stated = [plan.interval_objective[0], *plan.later_objective[0]]
        assert stated == [float(value) for value in best]
        assert plan.bound_source == ("certified",)
    assert checked > 10


def test_later_objectives_are_exact_with_long_figures():
    """Powers of 16 digits that tie to the last: the server count decides, and is proven."""
    power = 123.4567890123457
    problem = ho.ProvisioningProblem(
        qps=[[10.1, 7.3], [20.2, 14.6], [10.1, 7.3]],
        power_w=[[power, power], [2 * power, 2 * power], [power * 1.0000000001, power]],
        available=[9, 5, 9],
        load_qps=[70.7, 51.1],
    )
    plan = ho.provision(problem, objective=["power", "servers"])
    best = min(_values(problem, counts, plan.levels) for counts in covering_plans(problem))
    assert plan.status == "optimal"
    assert _values(problem, plan.counts[0], plan.levels) == best
    assert plan.later_bound[0, 0] == plan.later_objective[0, 0]
    fewest = ho.provision(problem, objective="servers")
    assert fewest.servers[0] <= plan.servers[0]
    assert ho.verify(problem, plan) == []


def test_branches_prove_later_objectives_too(monkeypatch):
    """Without lists the tree of splits reaches the same values."""
    expected = [ho.provision(_with_costs(seed), objective=["cost", "power"]) for seed in range(12)]
    monkeypatch.setattr(cover_lists, "MOST_COVERS", 0)
    for seed, plan in enumerate(expected):
        other = ho.provision(_with_costs(seed), objective=["cost", "power"])
        assert other.objective == plan.objective
        assert ho.verify(_with_costs(seed), other) == []


def test_only_what_is_minimized_must_be_known():
    """Unknown powers and costs are errors under their own objective, and reported as unknown otherwise."""
    problem = ho.ProvisioningProblem(
        [[10.0], [20.0]], [[50.0], [np.nan]], [3, 2], [40.0], cost_per_h=[np.nan, 1.0]
    )
    plan = ho.provision(problem, objective="servers")
    assert plan.objective == 2.0
    assert plan.status == "optimal"
    assert np.isnan(plan.power_w).all()
    assert ho.verify(problem, plan) == []
    claims_power = replace(plan, power_w=np.array([100.0]))
    assert [found.code for found in ho.verify(problem, claims_power)] == ["power"]
    with pytest.raises(
        ho.InputError, match="power_w, type2 x model1: must be known where power is minimized"
    ):
        ho.provision(problem)
    with pytest.raises(ho.InputError, match="cost_per_h, type1: must be known where cost is minimized"):
        ho.provision(problem, objective=["servers", "cost"])


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        ("powr", "unknown objective, found 'powr'. Did you mean 'power'?"),
        ("power, power", "an objective may appear only once, found 'power'"),
        ([], "must be an objective or a list of them"),
        (7, "must be an objective or a list of them"),
        (["power", 3], "unknown objective, found 3"),
        ("power,", "unknown objective, found ''"),
    ],
)
def test_bad_objectives_are_refused(objective, text):
    """The message says what was found and what is meant."""
    with pytest.raises(ho.InputError) as caught:
        objective_levels(objective)
    assert text in str(caught.value)


def test_text_and_list_mean_the_same():
    """Commas in a text, as on the command line."""
    assert objective_levels("power,servers") == objective_levels(["power", "servers"])
    assert objective_text(objective_levels("cost, power")) == "cost, power"


def test_costs_come_from_the_instance():
    """``cost_per_h`` of the server types; unknown where they have none."""
    instance = ho.load_instance("tiny")
    problem = ho.ProvisioningProblem.from_instance(instance)
    stated = [server.cost_per_h for server in instance.servers.values()]
    assert [None if np.isnan(cost) else cost for cost in problem.cost_per_h] == stated
    with pytest.raises(ho.InputError, match="cost_per_h, type1: must be at least 0"):
        ho.ProvisioningProblem([[1.0]], [[1.0]], [1], [1.0], cost_per_h=[-1.0])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda p: {"interval_objective": p.interval_objective + 1}, "objective"),
        (lambda p: {"later_objective": p.later_objective - 1}, "objective"),
        (lambda p: {"later_bound": p.later_bound + 1}, "bound"),
        (lambda p: {"later_bound": p.later_bound * np.nan}, "gap"),
        (lambda p: {"objective_name": "servers, cost"}, "objective"),
    ],
)
def test_false_objectives_are_caught(change, code):
    """Values and bounds of every objective are recomputed."""
    problem = _with_costs(3)
    plan = ho.provision(problem, objective=["servers", "power"])
    assert plan.status == "optimal"
    assert ho.verify(problem, plan) == []
    assert code in {found.code for found in ho.verify(problem, replace(plan, **change(plan)))}


def test_unknown_power_is_bounded_by_idle_and_peak():
    """Where a pair's power is unknown, the plan says between which figures it lies; never a single one."""
    problem = ho.ProvisioningProblem(
        [[10.0], [20.0]], [[50.0], [np.nan]], [3, 2], [[60.0], [20.0], [10.0]], idle_w=[20.0, 40.0],
        peak_w=[60.0, 120.0],
    )  # fmt: skip
    plan = ho.provision(problem, objective="servers")
    assert plan.servers.tolist() == [4, 1, 1]
    for t in range(3):
        used = plan.counts[t, :, 0]
        assert plan.power_low_w[t] == 50.0 * used[0] + 40.0 * used[1]
        assert plan.power_high_w[t] == 50.0 * used[0] + 120.0 * used[1]
        assert np.isnan(plan.power_w[t]) == (used[1] > 0)
    assert ho.verify(problem, plan) == []
    for name in ("power_low_w", "power_high_w"):
        wrong = replace(plan, **{name: getattr(plan, name) + 1})
        assert {found.code for found in ho.verify(problem, wrong)} == {"power"}
    unbounded = problem.replace(peak_w=[60.0, np.nan])
    plan = ho.provision(unbounded, objective="servers")
    assert np.isnan(plan.power_high_w[0])
    assert plan.power_low_w[0] > 0
    assert ho.verify(unbounded, plan) == []


def test_known_power_is_its_own_bound():
    """Nothing lies between."""
    problem = tiny_problem(3)
    plan = ho.provision(problem)
    assert plan.power_low_w.tolist() == plan.power_w.tolist() == plan.power_high_w.tolist()


def test_bounds_come_from_keys_or_parts():
    """Explicit keys count; else idle parts below, the power budget or the rated parts above."""
    instance = ho.load_instance("hpca22")
    cpu = instance.servers["T1"]
    low, high = cpu.power_bounds_w
    assert low == cpu.board_w + cpu.cpu.sockets * cpu.cpu.idle_w + cpu.cpu.memory_idle_w
    assert 0 < low < high
    for server in instance.servers.values():
        assert server.power_bounds_w[0] < server.power_bounds_w[1]
    bare = type(cpu)(available=1)
    assert bare.power_bounds_w == (None, None)
    assert type(cpu)(available=1, idle_w=5.0, peak_w=9.0).power_bounds_w == (5.0, 9.0)
    assert cpu.replace(peak_w=1000.0).power_bounds_w == (low, 1000.0)
    assert cpu.replace(power_budget_w=100.0).power_bounds_w == (low, 100.0)
    assert cpu.replace(power_budget_w=1.0).power_bounds_w == (low, low)
    assert cpu.replace(power_budget_w=1.0, idle_w=90.0).power_bounds_w == (90.0, 90.0)


def test_bounds_out_of_order_are_refused():
    """Idle above peak."""
    with pytest.raises(ho.InputError, match="idle_w, type1: must be at most peak_w, 9, found 10"):
        ho.ProvisioningProblem([[1.0]], [[1.0]], [1], [1.0], idle_w=10.0, peak_w=9.0)
