"""The integer program: optimal against independent oracles, exact at hairs, monotone, symmetric, honest."""

from __future__ import annotations

import numpy as np
import pytest
from provisioning_cases import (
    brute_force_w,
    compact_milp_w,
    covers_exactly,
    least_shortfall_qps,
    medium_problem,
    text_value,
    tiny_problem,
)

import hercules_opt as ho
from hercules_opt.provisioning.checking.check_certificate import check_infeasible
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine import cover_lists
from hercules_opt.provisioning.engine.branch_and_price import least_power
from hercules_opt.provisioning.programs.exact import ExactProblem, exact_data
from hercules_opt.provisioning.programs.interval_program import interval_program
from hercules_opt.provisioning.solvers.covering import cover_exactly
from hercules_opt.provisioning.solvers.scipy_highs import SciPyHighs


@pytest.mark.parametrize("block", range(10))
def test_tiny_problems_match_brute_force(block):
    """240 problems: the power is the least of all splits exactly; infeasible where none covers."""
    for seed in range(block * 24, block * 24 + 24):
        problem = tiny_problem(seed)
        plan = ho.provision(problem)
        least = brute_force_w(problem)
        if least is None:
            assert plan.status == "infeasible", seed
            assert plan.bound_source == ("certified",)
            assert plan.objective is None
        else:
            assert plan.status == "optimal", seed
            assert text_value(plan.power_w[0]) == least
            assert covers_exactly(problem, plan.counts[0])
        assert ho.verify(problem, plan) == []


@pytest.mark.parametrize("block", range(6))
def test_medium_problems_match_the_compact_program(block):
    """120 problems: one program over n[h, m] gives the same power as branch and price."""
    for seed in range(block * 20, block * 20 + 20):
        problem = medium_problem(seed)
        plan = ho.provision(problem)
        least = compact_milp_w(problem)
        if least is None:
            assert plan.status == "infeasible", seed
        else:
            assert plan.status == "optimal", seed
            assert plan.power_w[0] == least, seed
        assert ho.verify(problem, plan) == []


def test_nearly_every_interval_is_certified():
    """Of 100 intervals all statuses rest on certificates that verify recomputes."""
    labels = []
    for seed in range(25):
        problem = medium_problem(seed, intervals=4)
        labels += [entry.label for entry in ho.audit(problem, ho.provision(problem)).intervals]
    assert len(labels) == 100
    assert set(labels) == {"certified"}


def test_hercules_is_never_above_greedy():
    """Wherever greedy covers, hercules covers with no more power."""
    compared = 0
    for seed in range(30):
        problem = medium_problem(seed, intervals=2)
        greedy, plan = ho.provision(problem, policy="greedy"), ho.provision(problem)
        both = greedy.covered
        assert plan.covered[both].all()
        assert (plan.power_w[both] <= greedy.power_w[both]).all()
        compared += int(both.sum())
    assert compared > 20


@pytest.mark.parametrize("seed", range(8))
def test_order_of_types_and_models_does_not_matter(seed):
    """Permuting the axes permutes the problem only; the least power stays."""
    problem = medium_problem(seed, intervals=2)
    random = np.random.default_rng(seed)
    types, models = random.permutation(problem.shape[1]), random.permutation(problem.shape[2])
    permuted = problem.replace(
        qps=problem.qps[np.ix_(types, models)],
        power_w=problem.power_w[np.ix_(types, models)],
        available=problem.available[types],
        load_qps=problem.load_qps[:, models],
        over_provision=problem.over_provision[models],
        server_types=[problem.server_types[h] for h in types],
        models=[problem.models[m] for m in models],
    )
    plan, other = ho.provision(problem), ho.provision(permuted)
    assert plan.interval_status == other.interval_status
    assert plan.power_w[plan.covered].tolist() == other.power_w[other.covered].tolist()


def _never_cheaper(problem, harder):
    plan, harder_plan = ho.provision(problem), ho.provision(harder)
    assert (plan.covered | ~harder_plan.covered).all()
    both = harder_plan.covered
    assert (harder_plan.power_w[both] >= plan.power_w[both]).all()


@pytest.mark.parametrize("seed", range(8))
def test_harder_problems_are_never_cheaper(seed):
    """More load, fewer servers and lower rates never lower the power."""
    problem = medium_problem(seed, intervals=2)
    _never_cheaper(problem, problem.replace(load_qps=problem.load_qps + 7))
    _never_cheaper(problem, problem.replace(available=np.maximum(problem.available - 1, 0)))
    _never_cheaper(problem, problem.replace(qps=np.where(problem.qps > 1, problem.qps - 1, problem.qps)))
    _never_cheaper(problem, problem.replace(over_provision=problem.over_provision + 0.1))


HAIRS = (1e-8, 1e-9, 1e-12)


@pytest.mark.parametrize("rate", [1e9, 123.456, 100.0, 1e-3])
@pytest.mark.parametrize("hair", HAIRS)
def test_a_load_a_hair_above_takes_one_more_server(rate, hair):
    """Ten servers cover up to ten times their rate, not a hair more."""
    load = float(text_value(rate) * 10 * (1 + text_value(hair)))
    problem = ho.ProvisioningProblem([[rate]], [[250.0]], [20], [load])
    assert text_value(load) > 10 * text_value(rate)
    plan = ho.provision(problem)
    assert plan.status == "optimal"
    assert plan.counts.tolist() == [[[11]]]
    assert ho.verify(problem, plan) == []


@pytest.mark.parametrize("rate", [1e9, 123.456, 100.0, 1e-3])
@pytest.mark.parametrize("hair", [0.0, *HAIRS])
def test_a_load_a_hair_below_takes_no_more(rate, hair):
    """Up to ten times the rate, ten servers are enough; with only ten there, that is feasible."""
    load = float(text_value(rate) * 10 * (1 - text_value(hair)))
    assert text_value(load) <= 10 * text_value(rate)
    plan = ho.provision(ho.ProvisioningProblem([[rate]], [[250.0]], [10], [load]))
    assert plan.status == "optimal"
    assert plan.counts.tolist() == [[[10]]]


def test_a_hair_above_all_servers_is_proven_infeasible():
    """Ten servers cannot cover a hair more than ten times their rate, and a certificate proves it."""
    problem = ho.ProvisioningProblem([[100.0]], [[250.0]], [10], [1000 * (1 + 1e-12)])
    plan = ho.provision(problem)
    assert plan.status == "infeasible"
    assert plan.bound_source == ("certified",)
    assert 0 < plan.shortfall[0, 0] < 1e-8
    assert ho.verify(problem, plan) == []


def _mixed_types(hair: float) -> ho.ProvisioningProblem:
    """Loads within a hair of what mixes of unequal servers cover; two models compete for the same types."""
    qps = np.array([[100.000001, 31.4159265], [99.999999, 27.1828182], [49.9999995, 14.1421356]])
    power_w = np.array([[200.0, 190.0], [201.0, 170.0], [99.0, 90.0]])
    loads = np.array([3 * qps[0, 0] + 2 * qps[1, 0] + qps[2, 0], 2 * qps[0, 1] + qps[1, 1] + 3 * qps[2, 1]])
    return ho.ProvisioningProblem(qps, power_w, [7, 4, 6], np.round(loads * (1 + hair), 12))


@pytest.mark.parametrize("hair", [0.0, *HAIRS, *(-hair for hair in HAIRS)])
def test_mixed_types_at_a_hair_match_brute_force(hair):
    """Coverage is exact for mixes too, and the least power is still found and proven."""
    problem = _mixed_types(hair)
    plan = ho.provision(problem)
    least = brute_force_w(problem)
    assert plan.status == "optimal"
    assert least is not None
    assert text_value(plan.power_w[0]) == least
    assert covers_exactly(problem, plan.counts[0])
    assert ho.verify(problem, plan) == []


@pytest.mark.parametrize("hair", [0.0, *HAIRS, *(-hair for hair in HAIRS)])
def test_the_whole_program_covers_exactly_too(hair):
    """Answers that fall short by a hair are split away until one covers exactly, at the least power."""
    problem = _mixed_types(hair)
    interval = ExactProblem.of(problem).intervals[0]
    found = cover_exactly(interval, Effort(1e-9))
    assert found.counts is not None
    assert interval.solved_by(found.counts)
    assert interval.cost(found.counts) * interval.cost_unit == brute_force_w(problem)


def test_the_solver_alone_would_fall_short():
    """The trap is real: HiGHS takes counts that miss the load by a part in 10^12."""
    problem = _mixed_types(1e-12)
    interval = ExactProblem.of(problem).intervals[0]
    built = interval_program(interval)
    assert built is not None
    answer = SciPyHighs().solve(built.program, 1e-9, None)
    assert answer.values is not None
    assert interval.short_models(built.counts(answer.values))


def test_whole_program_agrees_on_random_problems():
    """The program as a whole, split where it falls short, finds the same power as branch and price."""
    for seed in range(30):
        problem = medium_problem(seed)
        interval = ExactProblem.of(problem).intervals[0]
        found, plan = cover_exactly(interval, Effort(1e-9)), ho.provision(problem)
        assert found.infeasible == (plan.status == "infeasible")
        if found.counts is not None:
            assert float(interval.cost(found.counts) * interval.cost_unit) == plan.power_w[0]


def test_an_infeasible_interval_gets_the_least_shortfall():
    """One QPS of shortfall counts the same for every model; what is there goes where most is served."""
    problem = ho.ProvisioningProblem([[10.0, 4.0]], [[50.0, 50.0]], [3], [[25.0, 30.0], [5.0, 4.0]])
    plan = ho.provision(problem)
    assert plan.interval_status == ("infeasible", "optimal")
    assert plan.status == "infeasible"
    assert plan.counts[0].tolist() == [[3, 0]]
    assert plan.shortfall[0].tolist() == [0.0, 30.0]
    assert plan.shortfall[1].tolist() == [0.0, 0.0]
    assert plan.objective is None
    assert plan.bound is None


def test_the_total_shortfall_is_least():
    """Against every split of small infeasible problems."""
    checked = 0
    for seed in range(400):
        problem = tiny_problem(seed)
        if problem.qps.size > 4:
            continue
        plan = ho.provision(problem)
        if plan.status == "infeasible":
            checked += 1
            assert plan.shortfall.sum() == pytest.approx(least_shortfall_qps(problem), rel=1e-6), seed
    assert checked > 20


def test_a_model_that_nothing_serves_is_infeasible_only_with_a_load():
    """A missing pair matters only where there is load."""
    problem = ho.ProvisioningProblem([[10.0, np.nan]], [[50.0, np.nan]], [3], [[5.0, 0.0], [5.0, 1e-9]])
    plan = ho.provision(problem)
    assert plan.interval_status == ("optimal", "infeasible")
    assert plan.shortfall[1].tolist() == [0.0, 1e-9]
    assert ho.verify(problem, plan) == []


def test_no_load_takes_no_server():
    """Zero loads and zero counts are valid."""
    plan = ho.provision(ho.ProvisioningProblem([[10.0]], [[50.0]], [0], [0.0]))
    assert plan.status == "optimal"
    assert plan.objective == 0.0
    assert plan.gap == 0.0
    assert plan.provenance is None


def test_a_certificate_may_list_plans():
    """Where prices alone leave a gap, the certificate says below which power no plan can be listed."""
    listed = 0
    for seed in range(40):
        problem = medium_problem(seed)
        certificate = ho.provision(problem).certificate[0]
        assert certificate is not None
        listed += any(leaf.listed is not None for leaf in certificate.leaves())
    assert listed >= 3


@pytest.mark.parametrize("longest", [0, 3])
def test_a_certificate_may_need_branches(monkeypatch, longest):
    """Where the lists would grow too long, the certificate splits counts, and the power is the same."""
    branched = 0
    for seed in range(40):
        problem = medium_problem(seed)
        expected = ho.provision(problem)
        with monkeypatch.context() as patched:
            patched.setattr(cover_lists, "MOST_COVERS", longest)
            plan = ho.provision(problem)
        certificate = plan.certificate[0]
        assert certificate is not None
        assert plan.status == expected.status
        assert plan.objective == expected.objective
        if len(list(certificate.leaves())) > 1:
            branched += 1
            assert ho.verify(problem, plan) == []
    assert branched >= 3


@pytest.mark.slow
def test_many_random_problems_match_brute_force():
    """2,000 more tiny problems against every split."""
    for seed in range(1_000, 3_000):
        problem = tiny_problem(seed)
        plan, least = ho.provision(problem), brute_force_w(problem)
        assert plan.status == ("infeasible" if least is None else "optimal"), seed
        assert least is None or text_value(plan.power_w[0]) == least, seed
        assert ho.verify(problem, plan) == [], seed


@pytest.mark.slow
def test_many_medium_problems_match_the_compact_program():
    """600 more medium problems against the program as a whole."""
    for seed in range(1_000, 1_600):
        problem = medium_problem(seed)
        plan, least = ho.provision(problem), compact_milp_w(problem)
        assert plan.status == ("infeasible" if least is None else "optimal"), seed
        assert least is None or plan.power_w[0] == least, seed
        assert ho.verify(problem, plan) == [], seed


def test_a_tree_of_empty_leaves_is_a_proof_of_infeasibility():
    """One model has no cover; what the other costs at least is in power, which such a proof leaves out."""
    problem = ho.ProvisioningProblem(
        [[10.0, 10.0], [10.0, np.nan]], [[50.0, 50.0], [40.0, 40.0]], [2, 3], [[25.0, 30.0]]
    )
    interval = ExactProblem.of(problem).intervals[0]
    proof = least_power(interval, None, Effort(0.0))
    assert proof.counts is None
    assert proof.certificate is not None
    assert proof.certificate.kind == "infeasible"
    check_infeasible(exact_data(interval), proof.certificate)
