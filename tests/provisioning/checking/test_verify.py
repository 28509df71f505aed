"""Verification: true plans pass, each corruption is caught, certificates are recomputed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provisioning_cases import medium_problem, tiny_problem

import hercules_opt as ho
from hercules_opt.provisioning.certificate import Branch, Certificate, Leaf
from hercules_opt.provisioning.checking.check_certificate import (
    CertificateError,
    IntervalData,
    check_infeasible,
    proven_bound_w,
)


def _problem() -> ho.ProvisioningProblem:
    """Two intervals that can be covered and one that cannot; type2 cannot serve model2."""
    return ho.ProvisioningProblem(
        qps=[[10.0, 8.0], [25.0, np.nan]],
        power_w=[[50.0, 45.0], [110.0, np.nan]],
        available=[6, 2],
        load_qps=[[60.0, 15.0], [20.0, 8.0], [60.0, 90.0]],
        duration_h=[1.0, 2.0, 1.0],
    )


def _changed(array, place, value):
    copy = np.array(array)
    copy[place] = value
    return copy


def _certificate_with(plan, t, **changes):
    certificates = list(plan.certificate)
    certificates[t] = replace(certificates[t], **changes)
    return tuple(certificates)


def _higher_price_leaf(plan):
    leaf = plan.certificate[0].root
    assert isinstance(leaf, Leaf)
    return replace(leaf, least=(leaf.least[0] + 1.0, *leaf.least[1:]))


def _higher_listing(plan):
    return replace(plan.certificate[0].root, listed=1e6)


def _moved(plan):
    counts = np.array(plan.counts)
    counts[1, 1, 1] += 1
    return counts


def _raised_bound(plan):
    return _changed(plan.interval_bound, 0, plan.interval_bound[0] + 0.5)


def _lowered_bound(plan):
    return _changed(plan.interval_bound, 0, plan.interval_bound[0] - 30)


#: What is done to a true plan, and the codes that must be found.
CORRUPTIONS = {
    "a server too few": (lambda p: {"counts": p.counts - (p.counts > 0)}, {"coverage", "power"}),
    "a server too many": (lambda p: {"counts": _changed(p.counts, (1, 0, 0), 5)}, {"power", "servers"}),
    "a negative count": (lambda p: {"counts": _changed(p.counts, (1, 0, 0), -1)}, {"negative"}),
    "a pair that cannot serve": (lambda p: {"counts": _moved(p)}, {"pair"}),
    "more than available": (lambda p: {"counts": _changed(p.counts, (0, 1, 0), 3)}, {"availability"}),
    "a power too low": (lambda p: {"power_w": p.power_w - 0.001}, {"power"}),
    "a wrong number of servers": (lambda p: {"servers": p.servers + 1}, {"servers"}),
    "an objective that is not power": (lambda p: {"objective_name": "servers"}, {"objective"}),
    "an objective from nowhere": (lambda p: {"objective": 12.0}, {"objective"}),
    "a hidden shortfall": (lambda p: {"shortfall": np.zeros_like(p.shortfall)}, {"shortfall"}),
    "an invented shortfall": (lambda p: {"shortfall": p.shortfall + 1}, {"shortfall"}),
    "a bound that is not proven": (lambda p: {"interval_bound": _raised_bound(p)}, {"bound"}),
    "a bound too low for its gap": (lambda p: {"interval_bound": _lowered_bound(p)}, {"gap", "status"}),
    "a wrong gap": (lambda p: {"interval_gap": _changed(p.interval_gap, 0, 0.25)}, {"gap"}),
    "a certificate that claims too much": (
        lambda p: {"certificate": _certificate_with(p, 0, bound=1e6)},
        {"certificate"},
    ),
    "a certificate with a wrong leaf": (
        lambda p: {"certificate": _certificate_with(p, 0, root=_higher_price_leaf(p))},
        {"certificate"},
    ),
    "a listing that claims too much": (
        lambda p: {"certificate": _certificate_with(p, 0, root=_higher_listing(p), bound=1e6)},
        {"certificate"},
    ),
    "a certificate taken away": (lambda p: {"certificate": (None,) * 3}, {"bound", "certificate"}),
    "infeasible called feasible": (
        lambda p: {"interval_status": ("optimal", "optimal", "feasible"), "status": "feasible"},
        {"coverage"},
    ),
    "optimal called infeasible": (
        lambda p: {"interval_status": ("infeasible", "optimal", "infeasible")},
        {"status"},
    ),
    "an infeasible plan called optimal": (lambda p: {"status": "optimal"}, {"status"}),
    "other models": (lambda p: {"models": ("model1", "modelx")}, {"names"}),
    "a better provenance": (lambda p: {"provenance": "measured"}, {"provenance"}),
    "a plan's bound from nowhere": (lambda p: {"bound": 1.0}, {"bound"}),
    "a plan's gap from nowhere": (lambda p: {"gap": 0.0}, {"gap"}),
}


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_each_corruption_is_caught(kind):
    """The violation names what is wrong."""
    corrupt, codes = CORRUPTIONS[kind]
    problem = _problem()
    plan = ho.provision(problem)
    assert plan.interval_status == ("optimal", "optimal", "infeasible")
    assert ho.verify(problem, plan) == []
    violations = ho.verify(problem, replace(plan, **corrupt(plan)))
    assert codes <= {violation.code for violation in violations}
    assert all(str(violation) for violation in violations)


def test_a_corrupt_total_of_a_covered_plan_is_caught():
    """Objective, bound and gap of the whole plan are recomputed from the intervals."""
    problem = medium_problem(5, intervals=2)
    plan = ho.provision(problem)
    assert plan.status == "optimal"
    for change, code in (
        ({"objective": plan.objective * 0.999}, "objective"),
        ({"objective": None}, "objective"),
        ({"bound": plan.bound * 1.001}, "bound"),
        ({"gap": 0.5}, "gap"),
    ):
        assert code in {violation.code for violation in ho.verify(problem, replace(plan, **change))}


@pytest.mark.parametrize("policy", ["hercules", "greedy"])
def test_every_plan_passes(policy):
    """Feasible and infeasible, with zeros and missing pairs."""
    for seed in range(60):
        problem = tiny_problem(seed)
        assert ho.verify(problem, ho.provision(problem, policy=policy)) == []


def test_a_plan_of_another_problem_fails():
    """The same names, but one more QPS of load than the plan covers."""
    problem = ho.ProvisioningProblem([[10.0]], [[50.0]], [3], [20.0])
    plan = ho.provision(problem)
    violations = ho.verify(problem.replace(load_qps=[20.000000001]), plan)
    assert {"coverage", "shortfall"} <= {violation.code for violation in violations}


def test_a_claimed_bound_is_named_a_claim():
    """A bound above what the certificate proves is no violation if it is called a claim."""
    problem = _problem().replace(load_qps=[60.0, 15.0], duration_h=None)
    plan = ho.provision(problem)
    weak = Certificate("bound", 0.0, Leaf((0.0, 0.0), (0.0, 0.0)))
    claimed = replace(plan, certificate=(weak,), bound_source=("claimed",))
    audit = ho.audit(problem, claimed)
    assert audit.violations == ()
    assert audit.intervals[0].label == "solver's claim"
    assert audit.intervals[0].certified_bound == 0.0
    assert audit.intervals[0].claimed_bound == plan.interval_bound[0]
    assert ho.audit(problem, plan).intervals[0].label == "certified"


def test_a_claimed_infeasibility_is_named_a_claim():
    """Without its proof an infeasible interval is the solver's claim."""
    problem = _problem().replace(load_qps=[60.0, 90.0], duration_h=None)
    plan = ho.provision(problem)
    claimed = replace(plan, certificate=(None,), bound_source=("claimed",))
    assert ho.verify(problem, claimed) == []
    assert ho.audit(problem, claimed).intervals[0].label == "solver's claim"
    assert ho.audit(problem, plan).intervals[0].label == "certified"


def test_verify_takes_an_instance_or_a_problem():
    """Both forms of the call; anything else is refused."""
    instance = ho.load_instance("tiny")
    plan = ho.provision(instance)
    assert ho.verify(instance, instance.table, plan) == []
    assert ho.verify(instance, None, plan) == []
    assert ho.verify(ho.ProvisioningProblem.from_instance(instance), plan) == []
    with pytest.raises(ho.InputError, match="must be a Plan"):
        ho.verify(instance, instance.table)
    with pytest.raises(ho.InputError, match="give \\(instance, table, plan\\)"):
        ho.verify(instance, plan, plan)


FRACTIONS = st.fractions(min_value=0, max_value=20, max_denominator=10)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    rates=st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), min_size=1, max_size=2),
    prices=st.lists(st.integers(0, 8), min_size=2, max_size=2),
    loads=st.lists(FRACTIONS, min_size=2, max_size=2),
    available=st.lists(st.integers(0, 3), min_size=2, max_size=2),
)
def test_a_leaf_is_accepted_up_to_the_true_least_and_not_above(rates, prices, loads, available):
    """Against every count: the checker takes the true least cost of each model, and nothing above it."""
    models = len(rates)
    data = IntervalData(
        tuple(tuple(Fraction(rate) for rate in row) for row in rates),
        tuple(
            tuple(Fraction(7 + 3 * h + m) if rates[m][h] else Fraction(0) for h in range(2))
            for m in range(models)
        ),
        tuple(loads[:models]),
        tuple(available),
    )
    least = []
    for m in range(models):
        costs = [
            sum((data.powers_w[m][h] + prices[h]) * n for h, n in enumerate(counts))
            for counts in product(*(range(most + 1) for most in available))
            if sum(rates[m][h] * n for h, n in enumerate(counts)) >= loads[m]
        ]
        least.append(float(min(costs)) if costs else None)
    multipliers = tuple(float(price) for price in prices)
    certificate = Certificate("bound", 0.0, Leaf(multipliers, tuple(least)))
    if None in least:
        check_infeasible(
            data,
            Certificate(
                "infeasible", None, Leaf((0.0, 0.0), tuple(None if x is None else 0.0 for x in least))
            ),
        )
        return
    expected = sum(least) - sum(price * most for price, most in zip(prices, available, strict=True))
    assert proven_bound_w(data, certificate) >= expected
    plans = [
        sum(data.powers_w[m][h] * row[h] for m, row in enumerate(counts) for h in range(2))
        for counts in product(product(*(range(most + 1) for most in available)), repeat=models)
        if all(sum(row[h] for row in counts) <= available[h] for h in range(2))
        and all(sum(rates[m][h] * row[h] for h in range(2)) >= loads[m] for m, row in enumerate(counts))
    ]
    listed = float(min(plans)) if plans else 1e6
    assert proven_bound_w(data, Certificate("bound", 0.0, Leaf(multipliers, tuple(least), listed))) >= listed
    if plans:
        with pytest.raises(CertificateError, match="claims no plan below"):
            proven_bound_w(data, Certificate("bound", 0.0, Leaf(multipliers, tuple(least), listed + 0.01)))
    for m in range(models):
        too_much = tuple(x + 0.01 if k == m else x for k, x in enumerate(least))
        with pytest.raises(CertificateError, match="claims no cover below"):
            proven_bound_w(data, Certificate("bound", 0.0, Leaf(multipliers, too_much)))


ONE = IntervalData(((Fraction(10),),), ((Fraction(50),),), (Fraction(25),), (4,))


@pytest.mark.parametrize(
    ("root", "text"),
    [
        (Leaf((0.0,), (0.0, 0.0)), "wrong number of figures"),
        (Leaf((-1.0,), (0.0,)), "negative or not finite"),
        (Leaf((float("nan"),), (0.0,)), "negative or not finite"),
        (Leaf((0.0,), (float("inf"),)), "least cost or a bound that is not finite"),
        (Leaf((0.0,), (150.0,), float("nan")), "least cost or a bound that is not finite"),
        (Leaf((0.0,), (150.0,), 150.5), "claims no plan below 150.5"),
        (Leaf((0.0,), (None,)), "claims no cover at all"),
        (Leaf((0.0,), (151.0,)), "claims no cover below 151.0"),
        (Branch(1, 0, 2, Leaf((0.0,), (None,)), Leaf((0.0,), (150.0,))), "does not exist"),
        (Branch(0, 0, -1, Leaf((0.0,), (None,)), Leaf((0.0,), (150.0,))), "does not exist"),
        (Branch(0, 0, 3, Leaf((0.0,), (None,)), Leaf((0.0,), (200.0,))), "claims no cover at all"),
    ],
)
def test_malformed_certificates_are_refused(root, text):
    """What is wrong is said."""
    with pytest.raises(CertificateError, match=text):
        proven_bound_w(ONE, Certificate("bound", 0.0, root))


def test_a_branch_proves_the_lower_of_its_parts():
    """At most two servers cover nothing, three cost 150 W; at most three cost 150 W, four cost 200 W."""
    empty, three, four = Leaf((0.0,), (None,)), Leaf((0.0,), (150.0,)), Leaf((0.0,), (200.0,))
    assert proven_bound_w(ONE, Certificate("bound", 0.0, Branch(0, 0, 2, empty, three))) == 150
    assert proven_bound_w(ONE, Certificate("bound", 0.0, Branch(0, 0, 3, three, four))) == 150
    short = IntervalData(ONE.rates_qps, ONE.powers_w, (Fraction(45),), ONE.available)
    check_infeasible(short, Certificate("infeasible", None, empty))
    with pytest.raises(CertificateError, match="not of a bound"):
        proven_bound_w(short, Certificate("bound", 0.0, empty))
