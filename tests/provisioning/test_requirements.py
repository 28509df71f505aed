"""Pairs forbidden, pinned or fixed, minimum servers, power caps: kept by all, least of every split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from provisioning_cases import covering_plans, medium_problem, text_value, tiny_problem

import hercules_opt as ho
from hercules_opt.provisioning.files.plan_files import load_plan, save_plan
from hercules_opt.provisioning.policies import POLICIES
from hercules_opt.reporting.plans import ending_line


def _power(problem, counts):
    return sum(text_value(problem.power_w[h, m]) * int(counts[h, m]) for h, m in np.argwhere(counts > 0))


def _random_requirements(problem, seed):
    """Return requirements that fit a problem, and a test of counts (h, m)."""
    random = np.random.default_rng(seed)
    types, models = problem.server_types, problem.models
    h, m = int(random.integers(len(types))), int(random.integers(len(models)))
    kind = int(random.integers(5))
    if kind == 0:
        return ho.Requirements(forbid=[(types[h], models[m])]), lambda counts: counts[h, m] == 0
    if kind == 1:
        others = [k for k in range(len(models)) if k != m]
        return ho.Requirements(pin={types[h]: models[m]}), lambda counts: not counts[h, others].any()
    if kind == 2:
        most = int(problem.available[h]) if problem.can_serve[h, m] else 0
        count = int(random.integers(0, most + 1))
        return ho.Requirements(fixed={(types[h], models[m]): count}), lambda counts: counts[h, m] == count
    if kind == 3:
        usable = int(problem.available[problem.can_serve[:, m]].sum())
        least = int(random.integers(0, min(usable, 5) + 1))
        return ho.Requirements(at_least={models[m]: least}), lambda counts: counts[:, m].sum() >= least
    cap = float(random.integers(0, 400))
    return ho.Requirements(power_cap_w=cap), lambda counts: _power(problem, counts) <= cap


@pytest.mark.parametrize("block", range(6))
def test_the_least_that_keeps_to_them_matches_every_split(block):
    """180 tiny problems: least power, or proven infeasible."""
    kinds = set()
    for seed in range(block * 30, block * 30 + 30):
        problem = tiny_problem(seed)
        requirements, holds = _random_requirements(problem, seed)
        plan = ho.provision(problem, requirements=requirements)
        assert ho.verify(problem, plan) == [], seed
        fixed = requirements.fixed_counts(problem)[0]
        plans = [
            np.maximum(counts, fixed)
            for counts in covering_plans(problem, max((requirements.at_least or {0: 0}).values()))
            if holds(np.maximum(counts, fixed))
            and (np.maximum(counts, fixed).sum(axis=1) <= problem.available).all()
        ]
        kinds.add(plan.status)
        assert plan.status == ("optimal" if plans else "infeasible"), seed
        if plans:
            assert text_value(plan.power_w[0]) == min(_power(problem, counts) for counts in plans), seed
        if not requirements.power_cap_w and (plans or not requirements.at_least):
            assert holds(plan.counts[0])
    assert kinds == {"optimal", "infeasible"}


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_keeps_to_them(policy):
    """What a policy answers passes the check of the requirements, also where it falls short."""
    for seed in range(30):
        problem = medium_problem(seed, intervals=2)
        types, models = problem.server_types, problem.models
        requirements = ho.Requirements(
            forbid=[(types[0], models[0])],
            pin={types[1]: models[-1]},
            at_least={models[-1]: [0, min(2, int(problem.available[1:] @ problem.can_serve[1:, -1]))]},
            power_cap_w=[1e9, 2000.0],
        )
        plan = ho.provision(problem, policy=policy, requirements=requirements)
        assert ho.verify(problem, plan) == []
        assert (plan.counts[:, 0, 0] == 0).all()
        assert not plan.counts[:, 1, :-1].any()
        assert plan.power_w[1] <= 2000.0


def test_a_cap_that_nothing_keeps_is_proven_infeasible():
    """The bound on power is above the cap; the counts keep to it and miss least."""
    problem = ho.ProvisioningProblem([[10.0], [25.0]], [[50.0], [110.0]], [6, 2], [60.0])
    plan = ho.provision(problem, requirements=ho.Requirements(power_cap_w=200))
    assert plan.status == "infeasible"
    assert plan.bound_source == ("certified",)
    assert plan.power_w[0] <= 200
    assert plan.shortfall[0, 0] == 20.0
    assert ho.verify(problem, plan) == []
    free = ho.provision(problem)
    assert free.objective == 270.0
    assert ho.provision(problem, requirements=ho.Requirements(power_cap_w=270)).objective == 270.0


def test_a_cap_works_with_later_objectives():
    """The first objective decides whether the cap is kept."""
    problem = ho.ProvisioningProblem([[10.0], [20.0]], [[50.0], [100.0]], [6, 3], [60.0])
    for cap, status in ((300, "optimal"), (299.9, "infeasible")):
        plan = ho.provision(
            problem, objective=["power", "servers"], requirements=ho.Requirements(power_cap_w=cap)
        )
        assert plan.status == status
        assert plan.bound_source == ("certified",)
        assert ho.verify(problem, plan) == []


def test_fixed_counts_may_differ_by_interval():
    """A list has one count per interval."""
    problem = ho.ProvisioningProblem([[10.0], [20.0]], [[50.0], [90.0]], [6, 3], [[40.0], [40.0]])
    requirements = ho.Requirements(fixed={("type1", "model1"): [0, 3]})
    plan = ho.provision(problem, requirements=requirements)
    assert plan.counts[:, 0, 0].tolist() == [0, 3]
    assert plan.power_w.tolist() == [180.0, 240.0]
    assert plan.status == "optimal"
    assert ho.verify(problem, plan) == []


def test_they_survive_the_file(tmp_path):
    """A plan is loaded with its requirements."""
    problem = ho.ProvisioningProblem([[10.0], [20.0]], [[50.0], [90.0]], [6, 3], [[40.0], [40.0]])
    requirements = ho.Requirements(
        forbid=[("type2", "model1")], pin={"type1": "model1"}, fixed={("type1", "model1"): [4, 5]},
        at_least={"model1": [1, 2]}, power_cap_w=[300.0, 300.0],
    )  # fmt: skip
    plan = ho.provision(problem, requirements=requirements)
    save_plan(plan, tmp_path / "plan.json")
    loaded = load_plan(tmp_path / "plan.json")
    assert loaded.requirements == requirements
    assert ho.verify(problem, loaded) == []


def test_breaking_them_is_a_violation():
    """Plans that claim requirements which their counts break."""
    problem = ho.ProvisioningProblem([[10.0], [20.0]], [[50.0], [90.0]], [6, 3], [40.0])
    plan = ho.provision(problem)
    for requirements, text in (
        (ho.Requirements(forbid=[("type2", "model1")]), "cannot serve"),
        (ho.Requirements(fixed={("type1", "model1"): 1}), "is fixed at 1, has 0 servers"),
        (ho.Requirements(power_cap_w=100), "draws 180.0 W, the cap is 100.0 W"),
        (ho.Requirements(at_least={"model1": 3}), "model1 must have at least 3 servers, has 2"),
        (ho.Requirements(pin={"typo": "model1"}), "unknown server type"),
    ):
        found = ho.verify(problem, replace(plan, requirements=requirements))
        assert any(text in str(violation) for violation in found), text


LEVELS = (
    ("servers",), ("cost",), ("servers", "power"), ("cost", "servers", "power"), ("power", "cost"),
)  # fmt: skip


@pytest.mark.parametrize("levels", LEVELS)
def test_limits_hold_for_every_objective(levels):
    """Minimum servers and a cap together, whatever comes first: the least of every split, or infeasible."""
    kinds = set()
    for seed in range(40):
        problem = tiny_problem(seed)
        random = np.random.default_rng(seed)
        problem = problem.replace(cost_per_h=random.integers(0, 9, len(problem.server_types)))
        usable = problem.available @ problem.can_serve
        fewest = np.minimum(random.integers(0, 4, len(usable)), usable)
        cap = float(random.integers(0, 500))
        asked = ho.Requirements(
            at_least=dict(zip(problem.models, fewest.tolist(), strict=True)), power_cap_w=cap
        )
        plan = ho.provision(problem, objective=list(levels), requirements=asked)
        assert ho.verify(problem, plan) == [], seed
        values = [
            _values(problem, levels, counts)
            for counts in covering_plans(problem, max(fewest))
            if (counts.sum(axis=0) >= fewest).all() and _power(problem, counts) <= cap
        ]
        kinds.add(plan.status)
        assert plan.status == ("optimal" if values else "infeasible"), seed
        if values:
            found = [plan.interval_objective[0], *plan.later_objective[0]]
            assert found == pytest.approx([float(value) for value in min(values)]), seed
    assert kinds == {"optimal", "infeasible"}


def _values(problem, levels, counts):
    hourly = sum(text_value(problem.cost_per_h[h]) * int(count) for h, count in enumerate(counts.sum(axis=1)))
    figures = {"power": _power(problem, counts), "servers": int(counts.sum()), "cost": hourly}
    return tuple(figures[level] for level in levels)


def test_minimum_servers_that_cost_nothing_keep_the_proof():
    """A plan that has them anyway is certified; one that needs more has a solver's bound."""
    problem = ho.ProvisioningProblem([[10.0], [25.0]], [[50.0], [110.0]], [6, 2], [60.0])
    for least, power, source in ((3, 270.0, "certified"), (5, 300.0, "claimed")):
        plan = ho.provision(problem, requirements=ho.Requirements(at_least={"model1": least}))
        assert (plan.status, plan.objective, plan.bound_source) == ("optimal", power, (source,))
        assert plan.servers[0] >= least
        assert ho.verify(problem, plan) == []


def test_minimum_servers_are_given_to_a_model_without_a_load_and_may_be_fixed_ones():
    """By every policy and by a solver of one's choice."""
    problem = ho.ProvisioningProblem([[10.0, 5.0]], [[50.0, 20.0]], [6], [[20.0, 0.0]])
    least = {"model2": 2}
    for choice in [{"policy": name} for name in POLICIES] + [{"solver": "cbc"}]:
        plan = ho.provision(problem, requirements=ho.Requirements(at_least=least), **choice)
        assert plan.counts.tolist() == [[[2, 2]]]
        assert ho.verify(problem, plan) == []
    fixed = ho.Requirements(at_least=least, fixed={("type1", "model2"): 3})
    plan = ho.provision(problem, requirements=fixed)
    assert plan.counts.tolist() == [[[2, 3]]]
    assert plan.bound_source == ("certified",)


def test_minimum_servers_that_do_not_fit_together_are_infeasible():
    """Each alone is possible; the loads are covered all the same."""
    problem = ho.ProvisioningProblem([[10.0, 10.0]], [[50.0, 50.0]], [6], [[20.0, 30.0]])
    plan = ho.provision(problem, requirements=ho.Requirements(at_least={"model1": 3, "model2": 4}))
    assert (plan.status, plan.bound_source) == ("infeasible", ("claimed",))
    assert not plan.shortfall.any()
    assert (
        ending_line(plan) == "infeasible: no plan covers the loads of 1 interval (0), within the requirements"
    )
    assert ho.verify(problem, plan) == []
    found = ho.verify(problem, replace(plan, requirements=ho.Requirements()))
    assert any("claims to be infeasible, but every load is covered" in str(entry) for entry in found)


TOML = """
forbid = [["type2", "model1"]]
power_cap_w = 500

[pin]
type1 = "model1"

[fixed.type1]
model1 = 5

[at_least]
model1 = 2
"""


def test_a_toml_file_says_the_same(tmp_path):
    """The keys of the file are the fields of the object."""
    path = tmp_path / "requirements.toml"
    path.write_text(TOML)
    assert ho.Requirements.load(path) == ho.Requirements(
        forbid=[("type2", "model1")],
        pin={"type1": "model1"},
        fixed={("type1", "model1"): 5},
        at_least={"model1": 2},
        power_cap_w=500,
    )


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("forbit = []", "forbit: unknown key. Did you mean 'forbid'?"),
        ("forbid = 3", "forbid: must be a list of pairs, found 3"),
        ('forbid = [["a"]]', "forbid: must be a pair of server type and model"),
        ('forbid = [["a", 3]]', "forbid: must be a name, found 3"),
        ("pin = 3", "pin: must be a table, found 3"),
        ("[pin]\na = 3", "pin: must be a name, found 3"),
        ("fixed = []", "fixed: must be a table, found an empty list"),
        ("[fixed]\na = 3", "fixed.a: must be a table, found 3"),
        (
            "[fixed.a]\nb = -1",
            "fixed, a x b: must be a whole number from 0 to 1000000, or a list of them, found -1",
        ),
        ("[fixed.a]\nb = 1.5", "fixed, a x b: must be a whole number"),
        ("[fixed.a]\nb = true", "fixed, a x b: must be a whole number"),
        ("at_least = 3", "at_least: must be a table, found 3"),
        ("[at_least]\na = -1", "at_least, a: must be a whole number from 0 to 1000000, or a list of them"),
        ("[at_least]\na = [1, 0.5]", "at_least, a: must be a whole number from 0 to 1000000"),
        ("power_cap_w = -1", "power_cap_w: must be a number from 0 to 1e+15, or a list of them, found -1"),
        ("power_cap_w = nan", "power_cap_w: must be a number from 0"),
        ('power_cap_w = "x"', "power_cap_w: must be a number from 0"),
        ("forbid = [", "is not valid TOML"),
    ],
)
def test_malformed_files_are_refused_with_the_key(tmp_path, toml, text):
    """One message: file, key, rule, what was found."""
    path = tmp_path / "bad.toml"
    path.write_text(toml)
    with pytest.raises(ho.InputError) as caught:
        ho.Requirements.load(path)
    assert text in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("requirements", "text"),
    [
        (
            {"forbid": [("typ1", "model1")]},
            "forbid: unknown server type, found 'typ1'. Did you mean 'type1'?",
        ),
        ({"pin": {"type1": "modle1"}}, "pin: unknown model, found 'modle1'. Did you mean 'model1'?"),
        ({"fixed": {("type1", "model1"): 7}}, "type1: must be at most what is available (6), found 7"),
        ({"fixed": {("type1", "model2"): 1}}, "is fixed, but the pair cannot serve or is forbidden, found 1"),
        ({"fixed": {("type1", "model1"): [1, 2]}}, "must be a number, or one per interval (1), found 2"),
        ({"at_least": {"modle1": 1}}, "at_least: unknown model, found 'modle1'. Did you mean 'model1'?"),
        (
            {"at_least": {"model2": 4}},
            "at_least, model2: must be at most the servers there are that can serve it (3), found 4",
        ),
        ({"at_least": {"model1": [1, 2]}}, "at_least, model1: must be a number, or one per interval (1)"),
        ({"power_cap_w": [1, 2]}, "power_cap_w: must be a number, or one per interval (1), found 2"),
    ],
)
def test_requirements_that_do_not_fit_the_problem_are_refused(requirements, text):
    """Names, counts and lengths are checked against the problem."""
    problem = ho.ProvisioningProblem(
        [[10.0, np.nan], [20.0, 5.0]], [[50.0, np.nan], [90.0, 30.0]], [6, 3], [40.0, 5.0]
    )
    with pytest.raises(ho.InputError) as caught:
        ho.provision(problem, requirements=ho.Requirements(**requirements))
    assert text in str(caught.value)


def test_what_does_not_go_together_is_refused():
    """Shortfalls are not minimized under limits, and requirements are of their class."""
    problem = ho.ProvisioningProblem([[10.0]], [[50.0]], [6], [40.0])
    for limits in (ho.Requirements(power_cap_w=100), ho.Requirements(at_least={"model1": 2})):
        with pytest.raises(ho.InputError, match="cannot be asked for with minimum servers or a power cap"):
            ho.provision(problem, allow_shortfall=True, requirements=limits)
    with pytest.raises(ho.InputError, match="must be Requirements, found 'dict'"):
        ho.provision(problem, requirements={"forbid": []})


def test_a_start_changes_nothing_but_the_time():
    """From its own plan, from a similar day's, from one that does not cover: the same optimum, proven."""
    for seed in range(12):
        problem = medium_problem(seed, intervals=2)
        plan = ho.provision(problem)
        more = problem.replace(load_qps=np.floor(problem.load_qps * 1.03))
        for data, expected in ((problem, plan), (more, ho.provision(more))):
            again = ho.provision(data, start=plan)
            assert again.interval_status == expected.interval_status
            assert again.power_w[again.covered].tolist() == expected.power_w[expected.covered].tolist()
            assert ho.verify(data, again) == []


def test_what_a_start_cannot_use_is_left_out():
    """The optimum and a server of a pair that cannot serve; forbidden and fixed pairs."""
    problem = ho.ProvisioningProblem(
        [[10.0, 10.0], [20.0, np.nan]], [[50.0, 50.0], [90.0, np.nan]], [6, 3], [[40.0, 20.0]]
    )
    plan = ho.provision(problem)
    odd = replace(plan, counts=np.array([[[0, 2], [2, 1]]]))
    for asked in (
        ho.Requirements(),
        ho.Requirements(forbid=[("type2", "model1")]),
        ho.Requirements(fixed={("type2", "model1"): 1}, at_least={"model2": 3}),
    ):
        again = ho.provision(problem, start=odd, requirements=asked)
        expected = ho.provision(problem, requirements=asked)
        assert (again.status, again.power_w.tolist()) == ("optimal", expected.power_w.tolist())
        assert ho.verify(problem, again) == []


def test_a_start_spares_the_linear_programs(monkeypatch):
    """At the prices of the plan itself no interval needs column generation."""
    problem = medium_problem(5, intervals=2)
    plan = ho.provision(problem)
    assert plan.status == "optimal"

    def forbidden(*_):
        raise AssertionError("a linear program was solved")

    monkeypatch.setattr("hercules_opt.provisioning.engine.columns.ColumnPool.mix", forbidden)
    assert ho.provision(problem, start=plan).objective == plan.objective


def test_a_start_must_fit():
    """Another shape, another policy, or no plan at all."""
    problem = medium_problem(5, intervals=2)
    plan = ho.provision(problem)
    with pytest.raises(ho.InputError, match="start: must have the problem's server types"):
        ho.provision(problem.replace(load_qps=problem.load_qps[:1], duration_h=None), start=plan)
    with pytest.raises(ho.InputError, match="start: needs the policy hercules with branch and price"):
        ho.provision(problem, policy="greedy", start=plan)
    with pytest.raises(ho.InputError, match="start: must be a Plan, found 'int'"):
        ho.provision(problem, start=3)


@pytest.mark.parametrize("policy", ["hercules", "greedy"])
@pytest.mark.parametrize("count", [1, 4])
def test_fixed_counts_alone_above_the_cap_are_infeasible_and_no_violation(policy, count):
    """Whether they cover the loads or not; one server beside them is a violation."""
    problem = tiny_problem(60)
    h, m = (int(index) for index in np.argwhere(problem.can_serve)[0])
    name = (problem.server_types[h], problem.models[m])
    cap = 0.9 * float(problem.power_w[h, m])
    asked = ho.Requirements(fixed={name: count}, power_cap_w=cap)
    plan = ho.provision(problem, policy=policy, requirements=asked)
    assert plan.status == "infeasible"
    assert ho.verify(problem, None, plan) == []
    more = plan.counts.copy()
    more[0, h, m] += 1
    told = ho.verify(problem, None, replace(plan, counts=more))
    assert any(f"the cap is {cap!r} W" in str(entry) for entry in told)
